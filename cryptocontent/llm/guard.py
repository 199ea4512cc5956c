"""The guard before one model: the only place where a call is tried again, timed, limited and paid for.

An attempt passes the circuit, the rate limits, the budget and the concurrency limit, and the circuit again
in the end (a call may have waited); then it leaves, and whatever becomes of it is settled in the ledger and
told to the circuit.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from pydantic import TypeAdapter
from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelRequestTimeout,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from cryptocontent.llm.budgets import refusal_of_price
from cryptocontent.llm.calls import Outcome, Pricing, Settlement, TokenUse
from cryptocontent.llm.circuit import Admission, Circuits
from cryptocontent.llm.cost import price_of, worst_case
from cryptocontent.llm.judging import Unusable, judge, shortened
from cryptocontent.llm.ledger import Ledger
from cryptocontent.llm.limits import RateLimits
from cryptocontent.llm.policies import Candidate
from cryptocontent.llm.question import Question

if TYPE_CHECKING:
    from pydantic_ai.models import Model

_BACKOFF_SECONDS, _LONGEST_BACKOFF = 0.5, 8.0
_AGAIN: frozenset[Outcome] = frozenset(
    ["rate_limited", "unavailable", "server_error", "connection", "malformed"]
)
"""After these the same model is asked again. A timeout has cost enough time: the next one is asked."""
_UNBILLED: frozenset[Outcome] = frozenset(
    ["rate_limited", "quota", "unavailable", "server_error", "rejected"]
)
"""Refused by the vendor before any work. What else failed may be billed: it counts as the most it can be."""
_RESPONSE: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)


class NotNow(Exception):
    """The model must not be asked before `until` (on the guard's clock): nothing was sent."""

    def __init__(self, model: str, until: float) -> None:
        super().__init__(model)
        self.model, self.until = model, until


class Failed(Exception):
    """The model was asked, as often as allowed, and gave no answer. `final`: it would not if asked again."""

    def __init__(self, model: str, outcome: Outcome, reason: str) -> None:
        super().__init__(f"{model}: {outcome}: {reason}")
        self.outcome = outcome
        self.final = outcome in ("rejected", "quota")


@dataclass(slots=True)
class Shared:
    """What all guards of an event loop share."""

    ledger: Ledger
    circuits: Circuits
    limits: RateLimits
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _places: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _underway: set[asyncio.Task[None]] = field(default_factory=set)

    def places(self, candidate: Candidate) -> asyncio.Semaphore:
        """The candidate's places for calls in flight."""
        if candidate.model not in self._places:
            self._places[candidate.model] = asyncio.Semaphore(candidate.concurrency)
        return self._places[candidate.model]

    async def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what has to be done even if the caller is cancelled meanwhile."""
        task = asyncio.create_task(work)
        self._underway.add(task)
        task.add_done_callback(self._underway.discard)
        with anyio.CancelScope(shield=True):  # pydantic-ai's own scopes cancel again at every await
            await asyncio.shield(task)


class Guard(WrapperModel):
    """One candidate of a question's policy, with everything that a call of it has to pass."""

    def __init__(self, model: "Model", candidate: Candidate, question: Question, shared: Shared) -> None:
        super().__init__(model)
        self.candidate, self.question, self.shared = candidate, question, shared

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The model's answer. Raises `NotNow` when it must not be asked now, `Failed` when it gave none,
        `BudgetExceeded` when the next attempt could cost more than is left."""
        policy = self.question.policy
        for attempt in range(1, policy.tries + 1):
            try:
                return await self._attempt(messages, model_settings, model_request_parameters)
            except _Again as error:
                last = attempt == policy.tries or self.question.attempts >= policy.attempts
                if last or error.outcome not in _AGAIN:
                    raise Failed(self.candidate.model, error.outcome, error.reason) from error.__cause__
                wait = error.retry_after
                if wait is None:
                    wait = backoff(attempt)
                elif wait > _LONGEST_BACKOFF:  # another model may answer sooner
                    raise NotNow(self.candidate.model, self.shared.clock() + wait) from None
                await self.shared.sleep(wait)
        raise AssertionError("tries is at least 1")

    async def _attempt(self, messages: list[ModelMessage], settings: Any, parameters: Any) -> ModelResponse:
        """One upstream call, or `NotNow`. Nothing that others need is held while it waits for its budget."""
        await self._look_ahead()
        call, worst, pricing = await self._reserved()
        async with AsyncExitStack() as given_back:
            # Whoever does not get as far as the call has spent nothing.
            given_back.push_async_callback(self._give_back, call)
            async with self.shared.places(self.candidate):
                admission = await self.shared.circuits.admit(self.candidate.model)
                if not admission.allowed:  # it closed while this call waited
                    raise self._not_now(admission.retry_at)
                given_back.pop_all()
                self.question.attempts += 1
                return await self._call(call, admission, worst, pricing, messages, settings, parameters)

    async def _look_ahead(self) -> None:
        """`NotNow` where circuit or limits say so already."""
        name, now = self.candidate.model, self.shared.clock()
        retry_at = (await self.shared.circuits.states([name]))[name].retry_at
        if retry_at is not None and retry_at > now:
            raise self._not_now(min(retry_at, now + 1))
        await self._keep_to_limits()

    def _not_now(self, until: float | None) -> NotNow:
        return NotNow(self.candidate.model, until or self.shared.clock() + 1)

    async def _reserved(self) -> tuple[str, float, Pricing]:
        """The ledger's id of the call, the most that it can cost, and where that price is from."""
        candidate, question = self.candidate, self.question
        worst, pricing = worst_case(candidate, question.input_tokens, question.policy.max_tokens)
        reason = await refusal_of_price(self.shared.ledger.engine, question.scope.project_id, pricing)
        if reason:
            question.problems.append(f"{candidate.model}: {reason}")
            raise Failed(candidate.model, "rejected", reason)
        call = await self.shared.ledger.reserve(
            question.scope,
            question.request_key,
            candidate.provider,
            candidate.name,
            question.attempts + 1,
            worst,
        )
        return call, worst, pricing

    async def _give_back(self, call: str) -> None:
        await self.shared.finish(self.shared.ledger.settle(call, Settlement("cancelled", error="not sent")))

    async def _keep_to_limits(self) -> None:
        candidate = self.candidate
        if candidate.requests_per_minute is None and candidate.tokens_per_minute is None:
            return
        wait = await self.shared.limits.wait_for(
            candidate.model,
            candidate.requests_per_minute,
            candidate.tokens_per_minute,
            self.question.likely_tokens,
        )
        if wait > 0:
            raise NotNow(candidate.model, self.shared.clock() + wait)

    async def _call(
        self,
        call: str,
        admission: Admission,
        worst: float,
        pricing: Pricing,
        messages: list[ModelMessage],
        settings: Any,
        parameters: Any,
    ) -> ModelResponse:
        """Ask, and settle whatever comes of it before anybody hears of it."""
        question, began = self.question, time.perf_counter()
        first: list[float] = []
        response: ModelResponse | None = None
        outcome: Outcome = "ok"
        error: BaseException | None = None
        kept, use, cost = None, TokenUse(), 0.0
        try:
            response = await self._ask(messages, settings, parameters, first)
            outcome = judge(response, parameters, question)
            kept = _RESPONSE.dump_json(response).decode()
        except BaseException as raised:
            outcome, error, kept = outcome_of(raised), raised, None
        if response is not None:
            use = use_of(response)
            cost, pricing = price_of(self.candidate, use)
        elif outcome not in _UNBILLED and not _never_sent(error):
            cost = worst
        settlement = Settlement(
            outcome,
            use,
            cost,
            pricing,
            time.perf_counter() - began,
            first[0] if first else None,
            reason_of(error),
            kept,
        )
        retry_after = getattr(error, "retry_after", None)
        # A cancelled call is settled all the same: what was spent is spent.
        await self.shared.finish(self._settle(call, settlement, admission, retry_after))
        spent = question.spent
        spent.calls += 1
        spent.input_tokens += use.input_tokens
        spent.output_tokens += use.output_tokens
        spent.cost_usd += cost
        if error is None and response is not None:
            spent.models.append(self.candidate.model)
            question.tell(
                "answered", model=self.candidate.model, cost_usd=cost, output_tokens=use.output_tokens
            )
            return response
        if outcome == "cancelled" and error is not None:
            raise error
        if first:
            question.tell("reset", model=self.candidate.model, reason=outcome)
        question.problems.append(f"{self.candidate.model}: {outcome}: {reason_of(error)}")
        raise _Again(outcome, reason_of(error), retry_after) from error

    async def _settle(
        self, call: str, settlement: Settlement, admission: Admission, retry_after: float | None
    ) -> None:
        # The ledger first: what was paid for must not be lost while a circuit's record is waited for.
        await self.shared.ledger.settle(call, settlement, self.question.request_key)
        await self.shared.circuits.note(self.candidate.model, admission, settlement.outcome, retry_after)

    async def _ask(
        self, messages: list[ModelMessage], settings: Any, parameters: Any, first: list[float]
    ) -> ModelResponse:
        """The model's answer within the attempt's time; streamed where somebody watches."""
        policy, wrapped = self.question.policy, self.wrapped
        # Every model has a form of its own for messages; the router hands them over as they are.
        prepared = wrapped.prepare_messages(messages, parameters)
        if not policy.stream:
            async with asyncio.timeout(policy.timeouts.attempt):
                return await wrapped.request(prepared, settings, parameters)
        began = asyncio.get_running_loop().time()
        most = policy.timeouts.attempt
        async with (
            asyncio.timeout_at(began + min(policy.timeouts.first_token, most)) as patience,
            wrapped.request_stream(prepared, settings, parameters) as stream,
        ):
            async for event in stream:
                if not first:
                    first.append(asyncio.get_running_loop().time() - began)
                    patience.reschedule(began + most)
                if text := _text(event):
                    self.question.tell("token", text=text)
            response = stream.get()
        # The SDKs of these two take a stream that was cut off for one that has ended.
        cut = self.candidate.provider in ("anthropic", "google") and response.finish_reason is None
        if cut or response.state != "complete":
            raise Unusable("connection", "the stream ended before the answer did")
        return response


class _Again(Exception):
    """An attempt failed."""

    def __init__(self, outcome: Outcome, reason: str, retry_after: float | None) -> None:
        super().__init__(reason)
        self.outcome, self.reason, self.retry_after = outcome, reason, retry_after


def backoff(attempt: int) -> float:
    """Seconds to wait before the next attempt: full jitter (M. Brooker, "Exponential Backoff And Jitter",
    2015)."""
    return random.uniform(0, min(_LONGEST_BACKOFF, _BACKOFF_SECONDS * 2 ** (attempt - 1)))  # noqa: S311


def outcome_of(error: BaseException) -> Outcome:
    """How an attempt ended that raised `error`."""
    if isinstance(error, Unusable):
        return error.outcome
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | SystemExit):
        return "cancelled"
    kinds: tuple[tuple[type[BaseException], Outcome], ...] = (
        (ModelRateLimitError, "rate_limited"),
        (ModelQuotaExceededError, "quota"),
        (ModelUnavailableError, "unavailable"),
        (ModelServerError, "server_error"),
        (ModelTimeoutError, "timeout"),
        (ModelRequestTimeout, "timeout"),
        (TimeoutError, "timeout"),
        (ModelConnectionError, "connection"),
        (ModelRequestRejectedError, "rejected"),
        (ContentFilterError, "filtered"),
        (ConnectionError, "connection"),
    )
    for kind, outcome in kinds:
        if isinstance(error, kind):
            return outcome
    if isinstance(error, ModelHTTPError):
        return "server_error" if error.status_code >= 500 else "rejected"
    if isinstance(error, ModelAPIError | UnexpectedModelBehavior | ValueError):
        return "malformed"  # also bare ones, and parsers' errors: what came is no answer
    # `UserError` and what else is wrong here, not there: the same would happen again.
    return "rejected"


def _never_sent(error: BaseException | None) -> bool:
    """Whether the request surely never reached the vendor."""
    return isinstance(error, ModelConnectionError) and error.phase in ("pool", "connect")


def reason_of(error: BaseException | None) -> str:
    """The error in a line. Vendors' errors hold no key: keys travel in headers, which are not shown."""
    if error is None:
        return ""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return shortened(f"{type(error).__name__}: {error}" if not isinstance(error, Unusable) else str(error))


def use_of(response: ModelResponse) -> TokenUse:
    """The tokens that a response says it took."""
    usage = response.usage
    return TokenUse(
        usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens
    )


def _text(event: Any) -> str:
    """What a streamed event adds to the answer's text or to its JSON."""
    part = event.part if isinstance(event, PartStartEvent) else None
    delta = event.delta if isinstance(event, PartDeltaEvent) else None
    if isinstance(part, TextPart):
        return part.content
    if isinstance(delta, TextPartDelta):
        return delta.content_delta
    if isinstance(part, ToolCallPart):  # Google sends its arguments as one object
        return part.args_as_json_str() if part.args else ""
    if isinstance(delta, ToolCallPartDelta):
        return delta.args_delta if isinstance(delta.args_delta, str) else ""
    return ""
