"""Candidates whose answers a test decides: pydantic-ai's own function models behind the router's guards."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import FunctionModel
from sqlalchemy import Engine

from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.llm.calls import CallScope, Spent
from cryptocontent.llm.policies import StagePolicy
from cryptocontent.llm.router import Router
from cryptocontent.settings import Settings
from cryptocontent.storage import writing

SCOPE = CallScope("p", "writer", generation_id="g", brief_id="b", article_id="a", run_id="r")
Script = Callable[[str, int], ModelResponse]
"""From a model's name and the number of its call (from 1) to its answer; may raise."""


class Vendors:
    """What the candidates do, and how often each was called."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls: Counter[str] = Counter()
        self.tools: list[str] = []

    def open(self, name: str, settings: Settings) -> Model:
        async def answer(messages: Any, info: Any) -> ModelResponse:
            self.calls[name] += 1
            given = self.script(name, self.calls[name])
            if asyncio.isfuture(given) or asyncio.iscoroutine(given):
                given = await given
            if info.output_tools and isinstance(given.parts[0], ToolCallPart):
                given.parts[0].tool_name = info.output_tools[0].name
            return given

        return FunctionModel(answer, model_name=name)


def text(said: str) -> ModelResponse:
    return ModelResponse(parts=[TextPart(said)])


def answered(**values: Any) -> ModelResponse:
    return ModelResponse(parts=[ToolCallPart("output", values)])


def policy(*models: str, **more: Any) -> StagePolicy:
    candidates = [{"model": name} if isinstance(name, str) else name for name in models]
    return StagePolicy.model_validate({"candidates": candidates, **more})


def make_router(engine: Engine, tmp_path: Path, vendors: Vendors) -> Router:
    with writing(engine) as session:
        create_project(session, "p", "", Actor("test", "t"))
    settings = Settings(CRYPTOCONTENT_HOME=tmp_path)  # type: ignore[call-arg]
    router = Router(engine, settings, open_candidate=vendors.open)

    return router


async def ask(router: Router, chosen: StagePolicy, prompt: str = "hello", **more: Any) -> tuple[str, Spent]:
    spent = Spent()
    model = router.model(chosen, SCOPE, spent=spent, **more)
    result = await Agent().run(prompt, model=model)
    return result.output, spent
