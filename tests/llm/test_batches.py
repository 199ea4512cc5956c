"""The batch lane: put down, submitted once, collected, resumed by key; what a batch fails is asked live."""

from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from sqlalchemy import Engine, select, update

from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.identity import Person
from cryptocontent.llm.batches import poll
from cryptocontent.llm.budgets import set_budget
from cryptocontent.llm.calls import AnswerPending, BudgetExceeded, CallScope, Spent
from cryptocontent.llm.router import Router
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import BatchedRequest, ModelBatch, ModelCall, Spending
from cryptocontent.storage.types import utc_now
from tests.fakes.vendors import Fault, Reply, Vendors
from tests.llm.scripted import policy

SCOPE = CallScope("p", "writer", generation_id="g", brief_id="b", lane="batch")
MODELS = {
    "openai": "openai:gpt-5.6-luna",
    "anthropic": "anthropic:claude-sonnet-5-5",
    "google": "google:gemini-3.8-flash",
}


class Answer(BaseModel):
    """A form of answer."""

    number: int


@pytest.fixture(autouse=True)
def script(vendors: Vendors) -> None:
    vendors.script = lambda asked: Reply(json={"number": 7})


@pytest.fixture
def router(sqlite_engine: Engine, tmp_path: Path, vendors: Vendors) -> Router:
    with writing(sqlite_engine) as session:
        create_project(session, "p", "", Actor("test", "t"))
    return Router(sqlite_engine, vendors.settings(tmp_path))


async def ask(
    router: Router, model: str, prompt: str = "how many?", scope: CallScope = SCOPE
) -> tuple[int, Spent]:
    spent = Spent()
    chosen = router.model(policy(model), scope, accept=Answer.model_validate_json, spent=spent)
    result = await Agent(output_type=Answer).run(prompt, model=chosen)
    return result.output.number, spent


def statuses(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return list(session.scalars(select(BatchedRequest.status)))


@pytest.mark.parametrize("vendor", MODELS)
async def test_a_request_waits_for_its_batch_and_costs_half(
    router: Router, vendors: Vendors, vendor: str
) -> None:
    for _ in range(2):  # a stage that comes again finds its request put down
        with pytest.raises(AnswerPending, match=MODELS[vendor]):
            await ask(router, MODELS[vendor])
    assert await router.submit("p") == 1 and await router.submit("p") == 0
    assert await poll(router) == 0 and statuses(router.engine) == ["submitted"]
    vendors.batches.end(vendor)
    assert await poll(router) == 1 and await poll(router) == 0
    answer, spent = await ask(router, MODELS[vendor])
    assert (answer, spent.calls, spent.kept) == (7, 0, 1)
    live, paid = await ask(router, MODELS[vendor], scope=CallScope("p", "writer"), prompt="how many now?")
    with reading(router.engine) as session:
        batched, direct = session.scalars(select(ModelCall).order_by(ModelCall.created_at))
        month = session.scalars(select(Spending).where(Spending.period != "g")).one()
    assert live == 7 and (batched.lane, batched.outcome, direct.lane) == ("batch", "ok", "live")
    # The same question but for a word: half the price, give or take that word.
    assert batched.cost_usd == pytest.approx(paid.cost_usd / 2, rel=0.1) and month.reserved_usd == 0


async def test_what_a_batch_does_not_answer_is_asked_live(router: Router, vendors: Vendors) -> None:
    with pytest.raises(AnswerPending):
        await ask(router, MODELS["openai"])
    await router.submit("p")
    vendors.batches.end("openai", "expired")
    assert await poll(router) == 1 and statuses(router.engine) == ["failed"]
    answer, spent = await ask(router, MODELS["openai"])
    assert (answer, spent.calls) == (7, 1)


async def test_an_answer_of_the_wrong_form_is_asked_live(router: Router, vendors: Vendors) -> None:
    with pytest.raises(AnswerPending):
        await ask(router, MODELS["anthropic"])
    await router.submit("p")
    vendors.script = lambda asked: Reply(json={"numb": 7})
    vendors.batches.end("anthropic")
    await poll(router)
    vendors.script = lambda asked: Reply(json={"number": 8})
    with reading(router.engine) as session:
        assert session.scalars(select(BatchedRequest.status)).one() == "answered"
    answer, spent = await ask(router, MODELS["anthropic"])
    assert (answer, spent.calls, spent.kept) == (8, 1, 0)


@pytest.mark.parametrize("vendor", MODELS)
async def test_a_batch_that_is_refused_is_submitted_again_but_not_for_ever(
    router: Router, vendors: Vendors, vendor: str
) -> None:
    with pytest.raises(AnswerPending):
        await ask(router, MODELS[vendor])
    for _ in range(2):
        vendors.next(vendor, Fault(status=503), batch=True)
        assert await router.submit("p") == 0 and statuses(router.engine) == ["queued"]
        assert await router.submit("p") == 0, "it is left alone for a while"
        with writing(router.engine) as session:
            session.execute(update(BatchedRequest).values(not_before=utc_now()))
    vendors.next(vendor, Fault(status=500), batch=True)
    assert await router.submit("p") == 0 and statuses(router.engine) == ["failed"]
    with reading(router.engine) as session:
        assert set(session.scalars(select(ModelBatch.status))) == {"failed"}
        assert session.scalars(select(ModelCall)).one().cost_usd == 0
    assert (await ask(router, MODELS[vendor]))[1].calls == 1, "asked live"


@pytest.mark.parametrize("vendor", MODELS)
async def test_a_batch_that_is_rejected_is_asked_live(router: Router, vendors: Vendors, vendor: str) -> None:
    with pytest.raises(AnswerPending):
        await ask(router, MODELS[vendor])
    vendors.next(vendor, Fault(status=400), batch=True)
    assert await router.submit("p") == 0 and statuses(router.engine) == ["failed"]
    answer, spent = await ask(router, MODELS[vendor])
    assert (answer, spent.calls) == (7, 1)
    with reading(router.engine) as session:
        assert session.scalars(select(ModelCall).filter_by(lane="batch")).one().cost_usd == 0


@pytest.mark.parametrize("vendor", MODELS)
async def test_a_lost_reply_is_never_submitted_again(router: Router, vendors: Vendors, vendor: str) -> None:
    with pytest.raises(AnswerPending):
        await ask(router, MODELS[vendor])
    vendors.next(vendor, Fault("disconnect"), batch=True)
    assert await router.submit("p") == 0 and await router.submit("p") == 0
    assert statuses(router.engine) == ["failed"]
    with reading(router.engine) as session:
        call = session.scalars(select(ModelCall)).one()
    assert (call.outcome, call.cost_usd) == ("cancelled", call.reserved_usd) and call.cost_usd > 0


async def test_a_vendor_that_is_away_is_looked_at_again(router: Router, vendors: Vendors) -> None:
    with pytest.raises(AnswerPending):
        await ask(router, MODELS["anthropic"])
    await router.submit("p")
    vendors.batches.end("anthropic")
    vendors.next("anthropic", Fault(status=500), batch=True)
    assert await poll(router) == 0
    assert await poll(router) == 1


async def test_what_waits_counts_against_the_budget(router: Router, vendors: Vendors) -> None:
    with writing(router.engine) as session:
        set_budget(session, "p", "generation", 0.04, Person("ada", "admin"))
    with pytest.raises(AnswerPending):
        await ask(
            router, MODELS["anthropic"], "one"
        )  # 4,000 tokens at $15 a million, half of it: $0.03 and more
    with pytest.raises(BudgetExceeded):
        router.shared.ledger.reserve = _impatient(router)  # type: ignore[method-assign]
        await ask(router, MODELS["anthropic"], "two")


def _impatient(router: Router):  # type: ignore[no-untyped-def]
    reserve = router.shared.ledger.reserve

    async def at_once(*args: object, **more: object) -> str:
        return await reserve(*args, **more, patience=0.05)  # type: ignore[arg-type,misc]

    return at_once


async def test_a_policy_without_such_a_vendor_is_asked_live(router: Router, vendors: Vendors) -> None:
    answer, spent = await ask(router, "grok:grok-4.7")
    assert (answer, spent.calls) == (7, 1)
