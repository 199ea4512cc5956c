"""The batch lane: requests that may wait for hours, by the vendors' batch APIs at half the price.

A stage that asks in this lane puts its request down under its key and stops (`AnswerPending`). The run
submits what was put down, a sensor looks at the vendors' batches (`poll`), and what came back is kept
under the key: the stage, done again, finds its answer there. A request that a batch did not answer is
asked live when its stage comes again.

Nothing is handed over twice: a batch whose process died, or whose vendor's reply was lost, may have been
taken, so its requests count as spent and are asked live. `batch_rows` writes all of it down.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError, ModelRateLimitError, UserError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models._batch_codec import BatchJobError
from pydantic_ai.models.batch import Batch, BatchRequest, BatchResult, EncodedBatchRequest
from pydantic_ai.settings import ModelSettings
from sqlalchemy import Engine

from cryptocontent.errors import NotFound
from cryptocontent.llm import batch_rows
from cryptocontent.llm.batch_rows import Row, prune_batches
from cryptocontent.llm.budgets import refusal_of_price
from cryptocontent.llm.calls import AnswerPending, Outcome, Settlement
from cryptocontent.llm.cost import price_of, worst_case
from cryptocontent.llm.guard import reason_of, use_of
from cryptocontent.llm.ledger import Ledger
from cryptocontent.llm.policies import Candidate, StagePolicy, load_policies
from cryptocontent.llm.question import Question
from cryptocontent.storage.database import DatabaseUnavailable, batched, reading
from cryptocontent.storage.models import ModelBatch
from cryptocontent.storage.types import utc_now

if TYPE_CHECKING:
    from cryptocontent.llm.router import Router

__all__ = ["batchable", "poll", "prune_batches", "put_down", "submit", "submit_all"]
log = logging.getLogger(__name__)

PROVIDERS = ("openai", "anthropic", "google")
"""Providers that have a batch API."""
VENDOR_SECONDS = 30.0
"""The time for one call of a vendor's batch API."""
_MOST_REQUESTS = 500
_REFUSALS = 3
"""So often in a row a vendor may refuse a request that it might take later."""
_BATCH: TypeAdapter[Batch] = TypeAdapter(Batch)
_RESPONSE: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)


@dataclass
class _Stored:
    """A request as it is put down. (pydantic-ai's own class holds settings that can't be put into JSON.)"""

    messages: list[ModelMessage]
    settings: dict[str, Any]
    parameters: ModelRequestParameters

    def request(self, key: str) -> BatchRequest:
        return BatchRequest(
            custom_id=key,
            messages=self.messages,
            model_settings=ModelSettings(**self.settings),  # type: ignore[typeddict-item]
            model_request_parameters=self.parameters,
        )


_STORED: TypeAdapter[_Stored] = TypeAdapter(_Stored)


def batchable(policy: StagePolicy) -> Candidate | None:
    """The first candidate whose vendor has a batch API."""
    return next((one for one in policy.candidates if one.provider in PROVIDERS), None)


async def put_down(
    ledger: Ledger,
    question: Question,
    candidate: Candidate,
    messages: list[ModelMessage],
    settings: ModelSettings,
    parameters: ModelRequestParameters,
) -> None:
    """Put the request down and raise `AnswerPending`; so does a request that waits already. Returns when it
    is to be asked live: a batch did not answer it (usably), or it is none for a batch. Raises
    `BudgetExceeded`."""
    key, scope, engine = question.request_key, question.scope, ledger.engine
    status = await asyncio.to_thread(batch_rows.join, engine, key, scope)
    if status == "withdrawn":  # by a generation that was cancelled: this one wants it anew
        await asyncio.to_thread(batch_rows.withdraw, engine, scope.project_id)
    elif status and status not in batch_rows.OPEN:  # answered, yet here: the answer was of no use
        return
    if status not in batch_rows.OPEN:
        worst, pricing = worst_case(candidate, question.input_tokens, question.policy.max_tokens)
        if await refusal_of_price(engine, scope.project_id, pricing):
            return  # the guard refuses it, and says why
        try:
            stored = _STORED.dump_json(_Stored(messages, dict(settings), parameters)).decode()
        except ValueError as error:
            log.warning("a request of %s can't be put down: %s", scope.stage, error)
            return
        call = await ledger.reserve(
            scope, key, candidate.provider, candidate.name, 1, worst / 2, lane="batch"
        )
        values = {
            "request_key": key,
            "call_id": call,
            "project_id": scope.project_id,
            "generation_id": scope.generation_id,
            "brief_id": scope.brief_id,
            "provider": candidate.provider,
            "model": candidate.name,
            "request": stored,
            "status": "queued",
            "refusals": 0,
            "not_before": None,
            "error": "",
            "created_at": utc_now(),
        }
        # A process that dies in between leaves a lost call behind, as any that dies during one.
        try:
            mine = await asyncio.to_thread(batch_rows.put, engine, values, scope)
        except Exception as error:
            await ledger.settle(call, Settlement("cancelled", error=_reason(error)))
            raise
        if not mine:
            await ledger.settle(call, Settlement("cancelled", error="another process put it down, too"))
    raise AnswerPending(f"waits for a batch of {candidate.model}")


async def submit(router: "Router", project_id: str) -> int:
    """Hand the project's requests that were put down over to their vendors; returns how many. What a vendor
    refuses for now stays put down, with the reason, and is tried again by the next run or tick."""
    groups = await asyncio.to_thread(batch_rows.queued, router.shared.ledger.engine, project_id)
    return await _each(_submit(router, project_id, *name, keys) for name, keys in groups.items())


async def submit_all(router: "Router", project_ids: Iterable[str]) -> int:
    """`submit` for several projects at once."""
    return await _each(submit(router, project_id) for project_id in project_ids)


async def _each(works: Iterable[Any]) -> int:
    """Do all of them at once; the sum. What goes wrong with one of them does not touch the others."""
    done = 0
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, int):
            done += result
        elif isinstance(result, DatabaseUnavailable) or not isinstance(result, Exception):
            raise result
        else:
            log.error("the batch lane", exc_info=result)
    return done


async def _submit(router: "Router", project_id: str, provider: str, name: str, keys: Sequence[str]) -> int:
    """The requests to one model."""
    ledger, done = router.shared.ledger, 0
    try:
        model = router.open(f"{provider}:{name}")
    except Exception as error:
        log.warning("no batch to %s:%s: %s", provider, name, error)
        await asyncio.to_thread(batch_rows.unopened, ledger.engine, keys, _reason(error))
        await _give_up_refused(ledger, keys)
        return 0
    for page in batched(keys, _MOST_REQUESTS):
        rows = await asyncio.to_thread(batch_rows.load, ledger.engine, page)
        for some in _fitting(model, await _encoded(ledger, model, rows)):
            done += await _hand_over(ledger, model, project_id, (provider, name), some)
    return done


async def _encoded(ledger: Ledger, model: Model, rows: Sequence[Row]) -> list[EncodedBatchRequest]:
    """The requests in the vendor's form. One that has none fails alone."""
    encoded: list[EncodedBatchRequest] = []
    bad: list[_Ended] = []
    for row in rows:
        try:
            async with asyncio.timeout(VENDOR_SECONDS):
                encoded.append(await model.batch_encode(_STORED.validate_json(row.request).request(row.key)))
        except Exception as error:
            bad.append(_Ended(row, "failed", Settlement("rejected", error=_reason(error))))
    await _settle(ledger, bad)
    return encoded


def _fitting(model: Model, encoded: Sequence[EncodedBatchRequest]) -> Iterator[list[EncodedBatchRequest]]:
    """The requests as batches that the vendor takes: of one group, not too many, not too large."""
    most, largest = min(model.batch_max_requests or _MOST_REQUESTS, _MOST_REQUESTS), model.batch_max_bytes
    groups: dict[str, list[EncodedBatchRequest]] = {}
    for one in encoded:
        groups.setdefault(one.group, []).append(one)
    for group in groups.values():
        batch: list[EncodedBatchRequest] = []
        size = 0
        for one in group:
            more = model.batch_request_size(one) if largest is not None else 0
            if batch and (len(batch) >= most or (largest is not None and size + more > largest)):
                yield batch
                batch, size = [], 0
            batch.append(one)
            size += more
        yield batch


async def _hand_over(
    ledger: Ledger,
    model: Model,
    project_id: str,
    name: tuple[str, str],
    some: Sequence[EncodedBatchRequest],
) -> int:
    """One batch. It is written down before it leaves; who dies here leaves it to `poll`."""
    engine, ids = ledger.engine, [one.custom_id for one in some]
    batch_id, mine = await asyncio.to_thread(batch_rows.claim, engine, project_id, *name, ids)
    if not mine:
        return 0
    try:
        async with asyncio.timeout(VENDOR_SECONDS):
            batch = await model.batch_create([one for one in some if one.custom_id in mine])
    except Exception as error:
        fate = _fate(error)
        log.warning("batch of %s requests to %s:%s: %s: %s", len(mine), *name, fate, _reason(error))
        if fate == "refused":
            await asyncio.to_thread(batch_rows.refused, engine, batch_id, _reason(error))
            await _give_up_refused(ledger, ids)
        else:
            await _give_up(ledger, batch_id, _reason(error), spent=fate == "lost")
        return 0
    handle = _BATCH.dump_python(batch, mode="json")
    if not await asyncio.to_thread(batch_rows.taken, engine, batch_id, handle):
        log.warning("batch %s was given up before %s:%s took it", batch_id, *name)
        await _cancel(model, batch)
        return 0
    return len(mine)


def _fate(error: Exception) -> Literal["refused", "rejected", "lost"]:
    """What became of a batch: `refused` for now, `rejected` for good, or nobody knows: it may be there."""
    if isinstance(error, UserError):  # raised before anything is sent
        return "rejected"
    if isinstance(error, ModelRateLimitError):
        return "refused"
    if isinstance(error, ModelConnectionError) and error.phase in ("pool", "connect"):
        return "refused"
    if isinstance(error, ModelHTTPError):
        if error.status_code in (408, 429, 500, 503, 529):
            return "refused"
        if error.status_code < 500:
            return "rejected"
    return "lost"  # a gateway's 502 or 504 among them: it does not know either


async def _give_up_refused(ledger: Ledger, keys: Sequence[str]) -> None:
    rows = await asyncio.to_thread(batch_rows.refused_often, ledger.engine, keys, _REFUSALS)
    reason = f"refused {_REFUSALS} times in a row"
    for some in batched(rows, batch_rows.CHUNK):
        await _settle(ledger, [_Ended(row, "failed", Settlement("rejected", error=reason)) for row in some])


async def _give_up(ledger: Ledger, batch_id: str, reason: str, *, spent: bool) -> int:
    """The batch's requests are to be asked live. `spent`: the vendor may have been paid for them."""
    done = 0
    outcome: Outcome = "cancelled" if spent else "rejected"
    while rows := await asyncio.to_thread(batch_rows.of_batch, ledger.engine, batch_id):
        ended = [
            _Ended(
                row, "failed", Settlement(outcome, cost_usd=row.reserved_usd if spent else 0.0, error=reason)
            )
            for row in rows
        ]
        await _settle(ledger, ended)
        done += len(rows)
    await asyncio.to_thread(batch_rows.close, ledger.engine, batch_id, "failed", reason)
    return done


@dataclass(frozen=True, slots=True)
class _Ended:
    """A request that waits no more."""

    row: Row
    status: Literal["answered", "failed"]
    settlement: Settlement


async def _settle(ledger: Ledger, ended: Sequence[_Ended]) -> None:
    """Settle the calls, then let the requests go: who dies in between settles them again, to no effect."""
    if not ended:
        return
    results = await asyncio.gather(
        *(ledger.settle(one.row.call_id, one.settlement, one.row.key) for one in ended),
        return_exceptions=True,
    )
    marks: dict[str, tuple[str, str]] = {}
    problems: list[BaseException] = []
    for one, result in zip(ended, results, strict=True):
        if result is None or isinstance(result, NotFound):  # no such call: nothing to settle
            marks[one.row.key] = (one.status, one.settlement.error)
        else:
            problems.append(result)
    await asyncio.to_thread(batch_rows.mark, ledger.engine, marks)
    if problems:
        raise problems[0]


async def poll(router: "Router", *, most: int = 20) -> int:
    """Look at the vendors' batches under way, those looked at longest ago first, and keep what has come
    back. Returns how many requests wait no more."""
    ledger, done = router.shared.ledger, 0
    for batch_id in await asyncio.to_thread(batch_rows.left_behind, ledger.engine):
        done += await _give_up(ledger, batch_id, "whoever submitted it died: it may be under way", spent=True)
    due = await asyncio.to_thread(batch_rows.to_check, ledger.engine, most)
    return done + await _each(_look(router, one) for one in due)


async def _look(router: "Router", one: ModelBatch) -> int:
    """Look at one batch; how many of its requests wait no more."""
    ledger = router.shared.ledger
    late = utc_now() - one.created_at > batch_rows.DEADLINE
    model: Model | None = None
    batch: Batch | None = None
    problem = ""
    try:
        model = router.open(f"{one.provider}:{one.model}")
        batch = _BATCH.validate_python(one.handle)
        async with asyncio.timeout(VENDOR_SECONDS):
            batch = await model.batch_status(batch)
        if batch.status == "ended":
            async with asyncio.timeout(VENDOR_SECONDS):
                results = await model.batch_results(batch)
            return await _collect(ledger, model, one, {result.custom_id: result for result in results})
    except DatabaseUnavailable:
        raise
    except Exception as error:
        problem = _reason(error)
        log.warning("batch %s of %s:%s: %s", one.id, one.provider, one.model, problem)
        if batch is not None and batch.status == "ended" and not _heals(error):
            # A job that failed as a whole has answered nothing.
            return await _give_up(ledger, one.id, problem, spent=not isinstance(error, BatchJobError))
    if not late:
        await asyncio.to_thread(batch_rows.note, ledger.engine, one.id, problem)
        return 0
    if model is not None and batch is not None and batch.status != "ended":
        await _cancel(model, batch)
    return await _give_up(ledger, one.id, problem or "the vendor was not done in time", spent=True)


def _heals(error: Exception) -> bool:
    """Whether the results may be had later."""
    if isinstance(error, BatchJobError):
        return False
    return (
        not isinstance(error, ModelHTTPError) or error.status_code in (408, 429) or error.status_code >= 500
    )


async def _cancel(model: Model, batch: Batch) -> None:
    """Nobody waits for the batch any more; tried once."""
    try:
        async with asyncio.timeout(VENDOR_SECONDS):
            await model.batch_cancel(batch)
    except Exception as error:
        log.warning("batch %s can't be cancelled: %s", batch.id, _reason(error))


async def _collect(ledger: Ledger, model: Model, one: ModelBatch, results: Mapping[str, BatchResult]) -> int:
    """Settle every request of an ended batch; those settled before a crash are not settled again."""
    name, done = f"{one.provider}:{one.model}", 0
    candidate = await asyncio.to_thread(_candidate, ledger.engine, one.project_id, name)
    while rows := await asyncio.to_thread(batch_rows.of_batch, ledger.engine, one.id):
        await _settle(ledger, [_ended(model, candidate, row, results.get(row.key)) for row in rows])
        done += len(rows)
    await asyncio.to_thread(batch_rows.close, ledger.engine, one.id, "ended")
    return done


def _candidate(engine: Engine, project_id: str, model: str) -> Candidate:
    """The model as the project's policy has it (it may name a price), or as it is."""
    with reading(engine) as session:
        policies = load_policies(session, project_id)
    stages = (policies.default, *policies.stages.values())
    known = [one for stage in stages for one in stage.candidates if one.model == model]
    return next((one for one in known if one.price), Candidate(model=model))


def _ended(model: Model, candidate: Candidate, row: Row, result: BatchResult | None) -> _Ended:
    """What became of a request. An answer that can't be read was paid for all the same."""
    if result is None:
        return _Ended(row, "failed", Settlement("rejected", error="the batch has no result for it"))
    try:
        response = model.batch_decode(result, _STORED.validate_json(row.request).request(row.key))
        use = use_of(response)
        cost, pricing = price_of(candidate, use, batch=True)
        kept = _RESPONSE.dump_json(response).decode()
        return _Ended(row, "answered", Settlement("ok", use, cost, pricing, response=kept))
    except Exception as error:
        if result.status == "succeeded":
            settlement = Settlement("malformed", cost_usd=row.reserved_usd, error=_reason(error))
        else:
            settlement = Settlement("rejected", error=_reason(error))
        return _Ended(row, "failed", settlement)


def _reason(error: BaseException) -> str:
    """The error in a line that every database stores."""
    return reason_of(error).encode("utf-8", "replace").decode().replace("\0", "")
