"""What goes wrong around the batch lane: nothing waits for ever, is handed over twice or goes unpaid."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError, UserError
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models._batch_codec import BatchJobError
from pydantic_ai.models.batch import Batch, BatchRequest, BatchResult, EncodedBatchRequest
from pydantic_ai.models.function import FunctionModel
from sqlalchemy import Engine, insert, select, update

from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.errors import Refused
from cryptocontent.identity import Person
from cryptocontent.llm import batch_rows, batches
from cryptocontent.llm.batches import poll, prune_batches, submit_all
from cryptocontent.llm.budgets import set_budget
from cryptocontent.llm.calls import AnswerPending, CallScope, ModelsFailed
from cryptocontent.llm.router import Router
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import (
    BatchedRequest,
    BatchWaiter,
    Generation,
    ModelBatch,
    ModelCall,
    Spending,
)
from cryptocontent.storage.types import utc_now
from tests.llm.scripted import policy

OPENAI, ANTHROPIC = "openai:gpt-5.6-luna", "anthropic:claude-sonnet-5-5"
BAD = {"bad": UserError("not in a batch")}


class Vendor:
    """A vendor with a batch API; a test puts into `faults` what a call of it raises, or an event that
    never comes."""

    def __init__(self) -> None:
        self.faults: dict[str, Any] = {}
        self.batches: list[list[str]] = []
        self.asked: list[str] = []
        self.status = "ended"
        self.without_key: set[str] = set()
        self.most: int | None = None
        self.largest: int | None = None

    def open(self, name: str, settings: Settings) -> "Scripted":
        if name in self.without_key:
            raise Refused(f"{name}: no key")
        return Scripted(self, name)

    async def meet(self, step: str) -> None:
        fault = self.faults.get(step)
        if isinstance(fault, asyncio.Event):
            await fault.wait()
        elif fault is not None:
            raise fault


class Scripted(FunctionModel):
    """One of its models."""

    def __init__(self, vendor: Vendor, name: str) -> None:
        super().__init__(lambda messages, info: ModelResponse(parts=[TextPart("live")]), model_name=name)
        self.vendor, self.name = vendor, name

    @property
    def batch_max_requests(self) -> int | None:
        return self.vendor.most

    @property
    def batch_max_bytes(self) -> int | None:
        return self.vendor.largest

    def batch_request_size(self, request: EncodedBatchRequest) -> int:
        return len(request.body)

    async def batch_encode(self, request: BatchRequest) -> EncodedBatchRequest:
        said = str(request.messages[0].parts[-1].content)  # type: ignore[union-attr]
        if said in BAD:
            raise BAD[said]
        return EncodedBatchRequest(custom_id=request.custom_id, group=said.partition(" ")[0], body="x" * 10)

    async def batch_create(self, requests: Sequence[EncodedBatchRequest]) -> Batch:
        self.vendor.batches.append([one.custom_id for one in requests])
        await self.vendor.meet("create")
        return Batch(
            id=f"{self.name}/{len(self.vendor.batches)}", model_name=self.name, provider_name="x", group="g",
            status="in_progress", created_at=datetime.now(UTC), request_count=len(requests),
            provider_details={"ids": [one.custom_id for one in requests]},
        )  # fmt: skip

    async def batch_status(self, batch: Batch) -> Batch:
        self.vendor.asked.append(f"status {self.name}")
        await self.vendor.meet("status")
        await self.vendor.meet(f"status {self.name}")
        batch.status = self.vendor.status  # type: ignore[assignment]
        return batch

    async def batch_results(self, batch: Batch) -> list[BatchResult]:
        await self.vendor.meet("results")
        ids = (batch.provider_details or {})["ids"]
        return [BatchResult(custom_id=one, status="succeeded", body="{}") for one in ids]

    async def batch_cancel(self, batch: Batch) -> Batch:
        self.vendor.asked.append(f"cancel {self.name}")
        raise ModelHTTPError(500, self.name)

    def batch_decode(self, result: BatchResult, request: BatchRequest) -> ModelResponse:
        if fault := self.vendor.faults.get("decode"):
            raise fault
        return ModelResponse(parts=[TextPart("batched")])


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def router(sqlite_engine: Engine, tmp_path: Path, vendor: Vendor) -> Router:
    return make_router(sqlite_engine, tmp_path, vendor)


@pytest.fixture
def everywhere(engine: Engine, tmp_path: Path, vendor: Vendor) -> Router:
    """A router on each of the databases, for what locks rows or asks intricate questions."""
    return make_router(engine, tmp_path, vendor)


def make_router(engine: Engine, tmp_path: Path, vendor: Vendor) -> Router:
    with writing(engine) as session:
        create_project(session, "p", "", Actor("test", "t"))
    settings = Settings(CRYPTOCONTENT_HOME=tmp_path)  # type: ignore[call-arg]
    return Router(engine, settings, open_candidate=vendor.open)


async def ask(router: Router, prompt: str = "hi", *, generation: str = "g", model: str = OPENAI) -> str:
    scope = CallScope("p", "writer", generation_id=generation, brief_id="b", lane="batch")
    return (await Agent().run(prompt, model=router.model(policy(model), scope))).output


async def put_down(router: Router, *prompts: str, **more: str) -> None:
    for prompt in prompts or ("hi",):
        with pytest.raises(AnswerPending):
            await ask(router, prompt, **more)


def requests(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return list(session.scalars(select(BatchedRequest.status).order_by(BatchedRequest.created_at)))


def the_batch(engine: Engine) -> ModelBatch:
    with reading(engine) as session:
        return session.scalars(select(ModelBatch)).one()


def calls(engine: Engine) -> list[ModelCall]:
    with reading(engine) as session:
        return list(session.scalars(select(ModelCall).filter_by(lane="batch").order_by(ModelCall.created_at)))


def later(engine: Engine, by: timedelta) -> None:
    """Let time pass: what there is is that much older."""
    with writing(engine) as session:
        for kind in (ModelBatch, BatchedRequest):
            session.execute(update(kind).values(created_at=utc_now() - by))


def assert_spent(engine: Engine, *, whole: bool) -> None:
    """Nothing waits; the call costs all that was reserved, or nothing."""
    (call,) = calls(engine)
    assert requests(engine) == ["failed"] and call.outcome != "reserved"
    assert call.reserved_usd > 0 and call.cost_usd == (call.reserved_usd if whole else 0)
    with reading(engine) as session:
        assert set(session.scalars(select(Spending.reserved_usd))) == {0}


async def test_who_dies_while_submitting_leaves_nothing_that_waits_for_ever(
    everywhere: Router, vendor: Vendor
) -> None:
    router = everywhere
    await put_down(router)
    vendor.faults["create"] = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await router.submit("p")
    vendor.faults.clear()
    assert await poll(router) == 0 and the_batch(router.engine).status == "submitting", "it may be alive"
    later(router.engine, timedelta(minutes=16))
    assert await poll(router) == 1 and await router.submit("p") == 0
    assert_spent(router.engine, whole=True)
    assert the_batch(router.engine).status == "failed" and len(vendor.batches) == 1
    assert await ask(router) == "live"


async def test_a_batch_that_was_given_up_is_not_taken_up_again(router: Router, vendor: Vendor) -> None:
    await put_down(router)
    gate = vendor.faults["create"] = asyncio.Event()
    slow = asyncio.create_task(router.submit("p"))
    while not vendor.batches:
        await asyncio.sleep(0)
    later(router.engine, timedelta(minutes=16))
    assert await poll(router) == 1
    gate.set()
    assert await slow == 0 and the_batch(router.engine).status == "failed"
    assert vendor.asked == [f"cancel {OPENAI}"]


async def test_without_a_key_requests_wait_for_three_ticks(
    router: Router, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_rows, "PAUSE", timedelta(0))
    await put_down(router)
    await put_down(router, model=ANTHROPIC)
    vendor.without_key = {OPENAI}
    assert await router.submit("p") == 1, "the other vendor has its key"
    assert requests(router.engine) == ["queued", "submitted"]
    assert await router.submit("p") == 0 and requests(router.engine) == ["queued", "submitted"]
    assert await router.submit("p") == 0 and requests(router.engine) == ["failed", "submitted"]
    assert calls(router.engine)[0].cost_usd == 0


async def test_a_lost_reply_counts_as_spent(
    router: Router, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "VENDOR_SECONDS", 0.05)
    await put_down(router)
    vendor.faults["create"] = asyncio.Event()  # never set: the vendor hangs
    assert [await router.submit("p") for _ in range(3)] == [0, 0, 0] and len(vendor.batches) == 1
    assert_spent(router.engine, whole=True)


@pytest.mark.parametrize(
    ("error", "whole"),
    [(BatchJobError(504, "m"), False), (ModelHTTPError(404, "m"), True)],
)
async def test_results_that_will_never_come_are_asked_live(
    router: Router, vendor: Vendor, error: Exception, whole: bool
) -> None:
    await put_down(router)
    await router.submit("p")
    vendor.faults["results"] = error
    assert await poll(router) == 1 and the_batch(router.engine).status == "failed"
    assert_spent(router.engine, whole=whole)
    assert await ask(router) == "live"


@pytest.mark.parametrize("step", ["results", "status", "key", "in_progress"])
async def test_after_26_hours_a_batch_is_given_up(router: Router, vendor: Vendor, step: str) -> None:
    await put_down(router)
    await router.submit("p")
    if step == "key":
        vendor.without_key = {OPENAI}
    elif step == "in_progress":
        vendor.status = step
    else:
        vendor.faults[step] = ModelHTTPError(500, "m")
    assert await poll(router) == 0 and the_batch(router.engine).status == "in_progress"
    later(router.engine, timedelta(hours=26, minutes=1))
    assert await poll(router) == 1 and the_batch(router.engine).status == "failed"
    assert_spent(router.engine, whole=True)
    assert (f"cancel {OPENAI}" in vendor.asked) == (step in ("status", "in_progress"))


async def test_a_request_that_cant_be_encoded_fails_alone(router: Router, vendor: Vendor) -> None:
    await put_down(router, "one", "bad", "two")
    assert await router.submit("p") == 2
    assert requests(router.engine) == ["submitted", "failed", "submitted"]
    assert calls(router.engine)[1].cost_usd == 0
    assert await ask(router, "bad") == "live"


async def test_batches_are_cut_as_the_vendor_takes_them(router: Router, vendor: Vendor) -> None:
    await put_down(router, *(f"a {n}" for n in range(5)), *(f"b {n}" for n in range(2)))
    vendor.most, vendor.largest = 3, 25  # two requests of 10 bytes
    assert await router.submit("p") == 7
    assert [len(one) for one in vendor.batches] == [2, 2, 1, 2]
    await put_down(router, *(f"c {n}" for n in range(4)))
    vendor.largest = None
    assert await router.submit("p") == 4
    assert [len(one) for one in vendor.batches[4:]] == [3, 1]


async def test_a_vendor_that_hangs_blocks_nobody(
    router: Router, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "VENDOR_SECONDS", 0.2)
    await put_down(router)
    await put_down(router, model=ANTHROPIC)
    assert await submit_all(router, ["p"]) == 2
    vendor.faults[f"status {OPENAI}"] = asyncio.Event()  # never set
    assert await poll(router, most=2) == 1 and requests(router.engine) == ["submitted", "answered"]
    assert (
        the_one := the_open(router.engine)
    ).checked_at is not None and the_one.error == "no answer in time"


def the_open(engine: Engine) -> ModelBatch:
    with reading(engine) as session:
        return session.scalars(select(ModelBatch).filter_by(status="in_progress")).one()


async def test_a_tick_that_is_killed_leaves_its_batches_to_be_looked_at_last(
    router: Router, vendor: Vendor
) -> None:
    for model in (OPENAI, ANTHROPIC):
        await put_down(router, model=model)
        await router.submit("p")
    vendor.faults["status"] = asyncio.Event()  # never set
    for _ in range(2):
        tick = asyncio.create_task(poll(router, most=1))
        seen = len(vendor.asked)
        while len(vendor.asked) == seen:
            await asyncio.sleep(0.001)
        tick.cancel()
        await asyncio.gather(tick, return_exceptions=True)
    assert sorted(vendor.asked) == [f"status {ANTHROPIC}", f"status {OPENAI}"]


async def test_a_price_that_nobody_knows_is_refused_where_there_is_a_budget(
    router: Router, vendor: Vendor
) -> None:
    await put_down(router, model="openai:no-such-model-9")
    with writing(router.engine) as session:
        set_budget(session, "p", "month", 100.0, Person("ada", "admin"))
    with pytest.raises(ModelsFailed, match="its price is unknown, and there is a budget"):
        await ask(router, "more", model="openai:no-such-model-9")
    assert len(requests(router.engine)) == 1, "the second one was not put down"


async def test_an_answer_that_cant_be_read_was_paid_for(everywhere: Router, vendor: Vendor) -> None:
    router = everywhere
    await put_down(router)
    await router.submit("p")
    vendor.faults["decode"] = ValueError("bad \0 \ud800 answer")
    assert await poll(router) == 1 and the_batch(router.engine).status == "ended"
    assert_spent(router.engine, whole=True)


async def test_who_dies_while_collecting_leaves_the_rest_to_the_next_tick(
    everywhere: Router, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = everywhere
    await put_down(router, "a one", "a two")
    await router.submit("p")
    ledger, settled = router.shared.ledger, []
    settle = ledger.settle

    async def dies(call: str, *more: Any) -> None:
        settled.append(call)
        if len(settled) == 2:
            raise RuntimeError("killed")
        await settle(call, *more)

    monkeypatch.setattr(ledger, "settle", dies)
    assert await poll(router) == 0 and sorted(requests(router.engine)) == ["answered", "submitted"]
    assert await poll(router) == 1 and requests(router.engine) == ["answered", "answered"]
    assert [call.outcome for call in calls(router.engine)] == ["ok", "ok"]
    assert await ask(router, "a one") == await ask(router, "a two") == "batched"


async def test_of_two_processes_one_puts_a_request_down(
    everywhere: Router, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = everywhere
    ledger, both = router.shared.ledger, asyncio.Barrier(2)
    reserve = ledger.reserve

    async def together(*args: Any, **more: Any) -> str:
        call = await reserve(*args, **more)
        await both.wait()
        return call

    monkeypatch.setattr(ledger, "reserve", together)
    one = ask(router, generation="g1"), ask(router, generation="g2")
    results = await asyncio.gather(*one, return_exceptions=True)
    assert [type(result) for result in results] == [AnswerPending, AnswerPending]
    assert sorted(call.outcome for call in calls(router.engine)) == ["cancelled", "reserved"]
    with reading(router.engine) as session:
        assert set(session.scalars(select(BatchWaiter.generation_id))) == {"g1", "g2"}
        (month,) = session.scalars(select(Spending).where(Spending.period.like("20%")))
    assert month.reserved_usd == calls(router.engine)[0].reserved_usd


async def test_what_only_cancelled_generations_want_is_withdrawn(everywhere: Router, vendor: Vendor) -> None:
    router = everywhere
    await put_down(router, "one", "both", generation="g1")
    await put_down(router, "both", generation="g2")
    with writing(router.engine) as session:
        row = {"project_id": "p", "requested_by": "t", "batch_size": 1, "runner": "dagster"}
        session.execute(
            insert(Generation),
            [row | {"id": "g1", "status": "cancelled"}, row | {"id": "g2", "status": "running"}],
        )
    assert await router.submit("p") == 1 and requests(router.engine) == ["submitted"]
    first, second = calls(router.engine)
    assert (first.outcome, first.cost_usd, second.outcome) == ("cancelled", 0, "reserved")
    await put_down(router, "one", generation="g2")
    assert await router.submit("p") == 1, "wanted anew"


async def test_old_batches_are_forgotten(everywhere: Router, vendor: Vendor) -> None:
    router = everywhere
    await put_down(router, "one")
    await router.submit("p")
    await poll(router)
    await put_down(router, "two")
    await router.submit("p")
    assert prune_batches(router.engine, timedelta(days=30)) == 0
    later(router.engine, timedelta(days=31))
    assert prune_batches(router.engine, timedelta(days=30)) == 1
    assert requests(router.engine) == ["submitted"], "what is under way stays"
    assert the_batch(router.engine).status == "in_progress"
    with reading(router.engine) as session:
        assert len(session.scalars(select(BatchWaiter)).all()) == 1
    assert batch_rows.work(router.engine) == (1, [])
