"""The desk at which a model works on one stage of one brief: how an engine asks, and what it may use.

A question has four parts, in the order in which vendors cache them: who the agent is (`system`), what
it may use (`material`: data, never instructions), then what to do now (`task`). An answer is typed. What
an answer claims is checked by the engine's own `check`: its problems go back to the model once, word for
word; what is wrong after that is for the engine to remove.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, TypeAdapter

from cryptocontent.content.rules import Rules
from cryptocontent.llm.calls import CallScope, ModelsFailed, Spent
from cryptocontent.llm.policies import StagePolicy

if TYPE_CHECKING:
    from pydantic_ai import Agent as PydanticAgent
    from pydantic_ai.models import Model

T = TypeVar("T", bound=BaseModel)
Check = Callable[[T], Sequence[str]]
"""What is wrong with an answer, each problem as a sentence that the model can act upon."""
Watch = Callable[[str, Mapping[str, Any]], None]
"""Told of what happens while a model answers: `("token", {"text": …})`, `("reset", {…})`, …"""
Tool = Callable[..., Awaitable[str]]
"""A function that a model may call: typed parameters and a docstring, which it is told; read-only."""

MOST_REQUESTS = 12
"""Requests of one question: tool calls, and going back with problems, included."""


class Models(Protocol):
    """Where models come from: the router; in a test of an engine anything with this method."""

    def model(
        self,
        policy: StagePolicy,
        scope: CallScope,
        *,
        accept: Callable[[str], object] | None,
        watch: Watch | None,
        spent: Spent,
    ) -> "Model":
        """A model that carries out the policy for the scope. `accept` raises `ValueError` on an answer's
        JSON that is not of the form asked for; `spent` is added to."""

    async def submit(self, project_id: str) -> int:
        """Hand over what was put down for the batch lane."""

    async def discard(self, keys: Sequence[str]) -> None:
        """Forget kept answers: they led nowhere, and would again."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A model's answer, of the form asked for, and what of it was still wrong when it came back."""

    output: T
    problems: tuple[str, ...]


@dataclass(slots=True)
class _Asked:
    """The state of one question while it is being answered."""

    check: Callable[[Any], Sequence[str]] | None
    returned: bool = False
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class Desk:
    """What a model engine works with. `tools` are those that the stage may offer to the model; `rules` and
    `style` are the project's. `spent` sums what all questions used."""

    stage: str
    models: Models
    policy: StagePolicy
    scope: CallScope
    rules: Rules
    style: str = ""
    tools: Mapping[str, Tool] = field(default_factory=dict)
    most_tool_calls: int = 8
    watch: Watch | None = None
    spent: Spent = field(default_factory=Spent)

    async def ask(
        self,
        output: type[T],
        *,
        system: str,
        material: str,
        task: str,
        check: Check[T] | None = None,
        tools: Sequence[str] = (),
    ) -> Answer[T]:
        """Ask for an answer of the form `output`. `tools` names those of `self.tools` that may be called.
        Raises `ModelsFailed` when no model gives one, `BudgetExceeded`, `AnswerPending`."""
        from pydantic_ai import CachePoint, FunctionToolset, UsageLimits
        from pydantic_ai.exceptions import UnexpectedModelBehavior, UsageLimitExceeded

        asked, spent = _Asked(check), Spent()
        adapter = TypeAdapter(output)
        model = self.models.model(
            self.policy, self.scope, accept=adapter.validate_json, watch=self.watch, spent=spent
        )
        prompt: list[Any] = [material, CachePoint(), task] if material else [task]
        offered = [FunctionToolset([self.tools[name] for name in tools])] if tools else None
        limits = UsageLimits(request_limit=MOST_REQUESTS, tool_calls_limit=self.most_tool_calls)
        try:
            result = await _agent(output, self.policy.output).run(
                prompt,
                model=model,
                instructions=system,
                deps=asked,
                toolsets=offered,
                usage_limits=limits,
            )
        except (UnexpectedModelBehavior, UsageLimitExceeded) as error:
            # This question's answers only: those of others were paid for and are of use.
            await self.models.discard(spent.keys)
            raise ModelsFailed(f"{self.stage}: no usable answer: {error}") from error
        finally:
            self.spent.add(spent)
        return Answer(result.output, asked.problems)


@lru_cache(maxsize=64)
def _agent(output: type[T], mode: str) -> "PydanticAgent[_Asked, T]":
    """The agent for a form of answer, made once: it knows its schema, but no model."""
    from pydantic_ai import Agent, ModelRetry, PromptedOutput, RunContext

    form: Any = PromptedOutput(output) if mode == "text" else output
    agent: Agent[_Asked, T] = Agent(None, deps_type=_Asked, output_type=form, retries=2)

    @agent.output_validator
    def checked(context: RunContext[_Asked], answer: T) -> T:
        asked = context.deps
        problems = tuple(asked.check(answer)) if asked.check else ()
        if problems and not asked.returned:
            asked.returned = True
            listed = "\n".join(f"- {one}" for one in problems)
            raise ModelRetry(
                f"Your answer has these problems. Mend exactly them, change nothing else:\n{listed}"
            )
        asked.problems = problems
        return answer

    return agent
