"""The router: which of a policy's models answers, and who takes over when one does not.

Nested pydantic-ai models: kept answers → router → one guard per candidate → the provider's model.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import pydantic_ai
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from sqlalchemy import Engine

from cryptocontent.errors import Refused
from cryptocontent.llm import batches
from cryptocontent.llm.cache import KeptAnswers
from cryptocontent.llm.calls import CallScope, ModelsFailed, Spent
from cryptocontent.llm.circuit import Circuits
from cryptocontent.llm.guard import Failed, Guard, NotNow, Shared, backoff
from cryptocontent.llm.ledger import Ledger
from cryptocontent.llm.limits import RateLimits
from cryptocontent.llm.policies import Candidate, StagePolicy
from cryptocontent.llm.providers import open_model
from cryptocontent.llm.question import Question
from cryptocontent.llm.records import open_records
from cryptocontent.settings import Settings

pydantic_ai.BANNER_ENABLED = False  # it would stand in the output of our commands
_LONGEST_PAUSE = 2.0
"""Seconds. A model that is out may be back sooner than its circuit said: another process may have probed."""


class Router:
    """A process's way to all models: what its calls share, and the models that it makes for questions."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        open_candidate: Callable[[str, Settings], Model] = open_model,
    ) -> None:
        self.engine, self.settings = engine, settings
        self._open = open_candidate
        self._shared: WeakKeyDictionary[asyncio.AbstractEventLoop, Shared] = WeakKeyDictionary()

    @property
    def shared(self) -> Shared:
        """What the calls of the running event loop share: connections and tasks belong to one."""
        loop = asyncio.get_running_loop()
        if loop not in self._shared:
            self._shared[loop] = Shared(
                Ledger(self.engine),
                Circuits(open_records(self.settings.cache_url)),
                RateLimits(self.settings.cache_url),
            )
        return self._shared[loop]

    def model(
        self,
        policy: StagePolicy,
        scope: CallScope,
        *,
        accept: Callable[[str], object] | None = None,
        watch: Callable[[str, Mapping[str, Any]], None] | None = None,
        spent: Spent | None = None,
    ) -> Model:
        """A model that carries out the policy for one question. `accept` raises `ValueError` on JSON that is
        not of the form asked for; `watch` is told of tokens; `spent` is added to."""
        question = Question(policy, scope, accept, watch, spent if spent is not None else Spent())
        return KeptAnswers(Routed(self, question), question, self.shared.ledger)

    def open(self, name: str) -> Model:
        """The provider's model of that name, unguarded: for what is no call (batches)."""
        return self._open(name, self.settings)

    def guard(self, candidate: Candidate, question: Question) -> Guard:
        """The candidate, guarded."""
        return Guard(self.open(candidate.model), candidate, question, self.shared)

    async def submit(self, project_id: str) -> int:
        """Hand over what the project's stages put down for the batch lane; returns how many requests."""
        return await batches.submit(self, project_id)

    async def discard(self, keys: Sequence[str]) -> None:
        """Forget kept answers: they led nowhere, and would again."""
        await self.shared.ledger.discard(keys)


class Routed(Model):
    """A question's policy as a model: asks the candidates in turn, and waits where all are out."""

    def __init__(self, router: Router, question: Question) -> None:
        super().__init__()
        self.router, self.question = router, question

    @property
    def model_name(self) -> str:
        return ",".join(one.name for one in self.question.policy.candidates)

    @property
    def system(self) -> str:
        return "router"

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        # Each candidate prepares the request by its own profile; there is none that fits all.
        return model_settings, model_request_parameters

    def prepare_messages(
        self,
        messages: list[ModelMessage],
        model_request_parameters: ModelRequestParameters | None = None,
    ) -> list[ModelMessage]:
        return messages

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The first answer. Raises `ModelsFailed` with every reason when there is none in the policy's time
        and attempts, `BudgetExceeded` when a further attempt could cost more than is left."""
        question, shared = self.question, self.router.shared
        policy = question.policy
        settings = settings_of(policy, model_settings)
        if question.scope.lane == "batch" and (chosen := batches.batchable(policy)):
            await batches.put_down(
                shared.ledger, question, chosen, messages, settings, model_request_parameters
            )
        deadline = shared.clock() + policy.timeouts.total
        final: set[str] = set()
        rounds = 0
        while True:
            rounds += 1
            soonest = float("inf")
            for candidate in self._order(final):
                if question.attempts >= policy.attempts:
                    raise self._failed(f"{question.attempts} attempts are all that the policy allows")
                try:
                    async with asyncio.timeout(max(0.0, deadline - shared.clock())):
                        return await self.router.guard(candidate, question).request(
                            messages, settings, model_request_parameters
                        )
                except NotNow as error:
                    soonest = min(soonest, error.until)
                except Failed as error:
                    if error.final:
                        final.add(candidate.model)
                except Refused as error:  # no key, say: others may have one
                    question.problems.append(str(error))
                    final.add(candidate.model)
                except TimeoutError:
                    raise self._failed(f"no answer within {policy.timeouts.total:g} s") from None
            if len(final) == len(policy.candidates):
                raise self._failed("none of the models would answer if asked again")
            # All are out: to fail now would fail nearly everybody, to wait for the first one nobody.
            wait = backoff(rounds) if soonest == float("inf") else soonest - shared.clock()
            wait = min(max(wait, 0.0), _LONGEST_PAUSE) + random.uniform(0, 0.1)  # noqa: S311
            if shared.clock() + wait >= deadline:
                raise self._failed(f"no model was to be had within {policy.timeouts.total:g} s")
            await shared.sleep(wait)

    def _order(self, final: set[str]) -> Sequence[Candidate]:
        policy = self.question.policy
        left = [one for one in policy.candidates if one.model not in final]
        if policy.choice == "in_order":
            return left
        # Each comes first as often as its weight says (Efraimidis and Spirakis, 2006).
        return sorted(
            left,
            key=lambda one: random.random() ** (1 / one.weight) if one.weight else -1.0,  # noqa: S311
            reverse=True,
        )

    def _failed(self, why: str) -> ModelsFailed:
        question = self.question
        told = "; ".join(question.problems[-6:]) or "; ".join(
            f"{one.model}: not to be asked now" for one in question.policy.candidates
        )
        return ModelsFailed(f"{question.scope.stage}: {why} ({told})")


def settings_of(policy: StagePolicy, given: ModelSettings | None) -> ModelSettings:
    """What a model is asked with: the policy's settings over those given."""
    settings = ModelSettings(**(given or {}))
    settings["max_tokens"] = policy.max_tokens
    if policy.temperature is not None:
        settings["temperature"] = policy.temperature
    return settings
