"""A desk whose model is a Python function: it gets what a model would be told and gives the answer."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from cryptocontent.agents.desk import Desk, Tool
from cryptocontent.content.rules import Rules, shipped_rules
from cryptocontent.llm.calls import CallScope
from cryptocontent.llm.policies import Candidate, StagePolicy


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as a model sees it. `problems` is what came back of its last answer ("" the first
    time), `form` the name of the answer's class, `tools` the names of the tools that it may call, `results`
    what its calls of them returned."""

    system: str
    material: str
    task: str
    problems: str = ""
    form: str = ""
    tools: tuple[str, ...] = ()
    results: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it."""
        return "\n\n".join((self.system, self.material, self.task, self.problems))


@dataclass(frozen=True, slots=True)
class Use:
    """Instead of an answer: the call of a tool."""

    tool: str
    args: Mapping[str, Any] = field(default_factory=dict)


Reply = Mapping[str, Any] | BaseModel | Use | str
"""The answer, a call, or (a string) raw JSON, which need not be sound."""


@dataclass(slots=True)
class ScriptedModels:
    """Hands out models that answer by `reply`; `asked` has every request, in order."""

    reply: Callable[[Asked], Reply]
    asked: list[Asked] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)

    async def submit(self, project_id: str) -> int:
        return 0

    async def discard(self, keys: Sequence[str]) -> None:
        self.discarded += keys

    def model(self, policy: Any, scope: Any, *, accept: Any, watch: Any, spent: Any) -> Any:
        from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
        from pydantic_ai.models.function import FunctionModel

        def answer(messages: Any, info: Any) -> Any:
            one = _asked(messages, info)
            self.asked.append(one)
            spent.calls += 1
            given = self.reply(one)
            if isinstance(given, Use):
                return ModelResponse(parts=[ToolCallPart(given.tool, dict(given.args))])
            if isinstance(given, BaseModel):
                given = given.model_dump(mode="json")
            args = given if isinstance(given, str) else json.dumps(given)
            if info.output_tools:
                return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, args)])
            return ModelResponse(parts=[TextPart(args)])

        return FunctionModel(answer, model_name="scripted")


def _asked(messages: Any, info: Any) -> Asked:
    from pydantic_ai.messages import RetryPromptPart, ToolReturnPart, UserPromptPart

    texts: list[str] = []
    problems, results = "", []
    outputs = {tool.name for tool in info.output_tools}
    for number, message in enumerate(messages):
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                given = [part.content] if isinstance(part.content, str) else part.content
                if number:
                    problems = "\n".join(one for one in given if isinstance(one, str))
                else:
                    texts += [one for one in given if isinstance(one, str)]
            elif isinstance(part, RetryPromptPart):
                problems = part.content if isinstance(part.content, str) else part.model_response()
            elif isinstance(part, ToolReturnPart) and part.tool_name in outputs:
                problems = str(part.content)
            elif isinstance(part, ToolReturnPart):
                results.append(str(part.content))
    schema = info.output_tools[0].parameters_json_schema if info.output_tools else {}
    return Asked(
        system=info.instructions or "",
        material=texts[0] if len(texts) > 1 else "",
        task=texts[-1] if texts else "",
        problems=problems,
        form=str(schema.get("title", "")),
        tools=tuple(tool.name for tool in info.function_tools),
        results=tuple(results),
    )


def desk(
    reply: Callable[[Asked], Reply],
    *,
    stage: str = "writer",
    rules: Rules | None = None,
    style: str = "",
    tools: Mapping[str, Tool] | None = None,
    output: str = "structured",
) -> tuple[Desk, list[Asked]]:
    """A desk at which `reply` answers every question, and the list of what it is asked."""
    models = ScriptedModels(reply)
    policy = StagePolicy.model_validate({"candidates": [Candidate(model="local:scripted")], "output": output})
    made = Desk(
        stage=stage,
        models=models,
        policy=policy,
        scope=CallScope(project_id="p", stage=stage, brief_id="b"),
        rules=rules or shipped_rules(),
        style=style,
        tools=tools or {},
    )
    return made, models.asked
