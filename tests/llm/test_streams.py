"""Answers that are watched as they come: tokens, a break midway, a model that says nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.exceptions import ModelConnectionError
from pydantic_ai.models.function import FunctionModel
from sqlalchemy import Engine, select

from cryptocontent.llm.router import Router
from cryptocontent.storage import reading
from cryptocontent.storage.models import ModelCall
from tests.fakes.vendors import Fault, Reply
from tests.llm.scripted import Vendors, ask, make_router, policy, text

Stream = Callable[[str], AsyncIterator[str]]


class Streams(Vendors):
    """Candidates that stream what `stream` yields for their name."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(lambda name, number: text("not streamed"))
        self.stream = stream

    def open(self, name: str, settings: Any) -> FunctionModel:
        async def stream(messages: Any, info: Any) -> AsyncIterator[str]:
            self.calls[name] += 1
            async for piece in self.stream(name):
                yield piece

        return FunctionModel(stream_function=stream, model_name=name)


async def watched(router: Router, **more: Any) -> tuple[str, list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def watch(kind: str, data: Mapping[str, Any]) -> None:
        seen.append((kind, data.get("text") or data.get("reason") or data.get("model")))

    chosen = policy("openai:a", "grok:b", stream=True, tries=1, **more)
    answer, _ = await ask(router, chosen, watch=watch)
    return answer, seen


def outcomes(engine: Engine) -> list[tuple[str, bool]]:
    with reading(engine) as session:
        calls = session.scalars(select(ModelCall).order_by(ModelCall.attempt))
        return [(call.outcome, call.first_token_seconds is not None) for call in calls]


async def test_tokens_are_told_as_they_come(sqlite_engine: Engine, tmp_path: Path) -> None:
    async def stream(name: str) -> AsyncIterator[str]:
        for piece in ("The ", "base ", "fee"):
            yield piece

    answer, seen = await watched(make_router(sqlite_engine, tmp_path, Streams(stream)))
    assert answer == "The base fee"
    assert "".join(said for kind, said in seen if kind == "token") == answer and len(seen) >= 3
    assert seen[-1] == ("answered", "openai:a") and outcomes(sqlite_engine) == [("ok", True)]


async def test_a_stream_that_breaks_starts_again_with_the_next_model(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    async def stream(name: str) -> AsyncIterator[str]:
        yield f"{name} says "
        if name == "openai:a":
            raise ModelConnectionError(name, "the line went dead", phase="read")
        yield "this"

    answer, seen = await watched(make_router(sqlite_engine, tmp_path, Streams(stream)))
    assert answer == "grok:b says this"
    reset = seen.index(("reset", "connection"))
    assert "".join(said for kind, said in seen[:reset] if kind == "token") == "openai:a says "
    assert "".join(said for kind, said in seen[reset:] if kind == "token") == answer
    assert outcomes(sqlite_engine) == [("connection", True), ("ok", True)]


@pytest.mark.parametrize(("timeouts", "began"), [({"first_token": 0.05}, False), ({"attempt": 0.05}, True)])
async def test_a_silent_model_is_left(
    sqlite_engine: Engine, tmp_path: Path, timeouts: dict[str, float], began: bool
) -> None:
    async def stream(name: str) -> AsyncIterator[str]:
        if name == "openai:a":
            if began:
                yield "and then "
            await asyncio.Event().wait()
        yield "well"

    answer, _ = await watched(make_router(sqlite_engine, tmp_path, Streams(stream)), timeouts=timeouts)
    assert answer == "well" and outcomes(sqlite_engine) == [("timeout", began), ("ok", True)]


@pytest.mark.parametrize(
    "model", ["anthropic:claude-sonnet-5-5", "google:gemini-3.8-flash", "openai:gpt-5.6-luna"]
)
async def test_a_stream_that_is_cut_off_is_no_answer(
    sqlite_engine: Engine, tmp_path: Path, vendors: Any, model: str
) -> None:
    make_router(sqlite_engine, tmp_path, Streams(lambda name: _nothing()))  # the project
    router = Router(sqlite_engine, vendors.settings(tmp_path))
    vendors.script = lambda asked: Reply(text="The base fee is burned in every block of the chain.")
    vendors.next(model.split(":")[0], Fault("truncated"))
    answer, _ = await ask(router, policy(model, "grok:grok-4.7", stream=True, tries=1))
    assert answer == "The base fee is burned in every block of the chain."
    assert [outcome for outcome, _ in outcomes(sqlite_engine)] == ["connection", "ok"]


async def _nothing() -> AsyncIterator[str]:
    yield ""
