"""Who answers when models fail, are limited, hang or are all out; and what is paid meanwhile."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic_ai import Agent
from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelHTTPError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelServerError,
)
from pydantic_ai.messages import ModelResponse, TextPart
from sqlalchemy import Engine, select

from cryptocontent.identity import Person
from cryptocontent.llm.bookings import month_of
from cryptocontent.llm.budgets import set_budget
from cryptocontent.llm.calls import BudgetExceeded, ModelsFailed, Spent
from cryptocontent.llm.circuit import CircuitRules
from cryptocontent.llm.providers import open_model
from cryptocontent.llm.router import Router
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import KeptResponse, ModelCall, Spending
from cryptocontent.storage.types import utc_now
from tests.llm.money import trace_accounts, traced
from tests.llm.scripted import SCOPE, Vendors, answered, ask, make_router, policy, text

PRICE = {"input": 1.0, "output": 1000.0}
"""A tenth of a cent a token: sums are easy to see."""


class Answer(BaseModel):
    """A form of answer."""

    number: int


@pytest.fixture
def engine(sqlite_engine: Engine) -> Engine:
    """One database is enough here: the ledger has tests of its own on both."""
    return sqlite_engine


def boom(name: str) -> ModelServerError:
    return ModelServerError(name, "boom")


def limited(name: str, seconds: int) -> ModelHTTPError:
    return ModelHTTPError.for_category(
        ModelRateLimitError,
        status_code=429,
        model_name=name,
        body=None,
        headers={"retry-after": str(seconds)},
    )


def rows(engine: Engine) -> list[tuple[str, str, float]]:
    with reading(engine) as session:
        calls = session.scalars(select(ModelCall).order_by(ModelCall.created_at, ModelCall.attempt))
        return [(one.model, one.outcome, round(one.cost_usd, 6)) for one in calls]


def without_pauses(router: Router) -> list[float]:
    """Have the router pass over its pauses; returns them."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    router.shared.sleep = sleep
    return pauses


async def test_the_next_model_answers_when_the_first_fails(engine: Engine, tmp_path: Path) -> None:
    def script(name: str, number: int) -> ModelResponse:
        if name == "openai:a":
            raise boom(name)
        return text(f"by {name}")

    vendors = Vendors(script)
    router = make_router(engine, tmp_path, vendors)
    without_pauses(router)
    answer, spent = await ask(router, policy("openai:a", "anthropic:b"))
    assert answer == "by anthropic:b"
    assert (spent.calls, spent.models) == (3, ["anthropic:b"])
    assert [outcome for _, outcome, _ in rows(engine)] == ["server_error", "server_error", "ok"]


async def test_a_broken_model_soon_costs_no_call_any_more(engine: Engine, tmp_path: Path) -> None:
    def script(name: str, number: int) -> ModelResponse:
        if name == "openai:a":
            raise boom(name)
        return text("well")

    vendors = Vendors(script)
    router = make_router(engine, tmp_path, vendors)
    without_pauses(router)
    for number in range(40):
        await ask(router, policy("openai:a", "anthropic:b"), f"question {number}")
    assert vendors.calls["openai:a"] == 5 and vendors.calls["anthropic:b"] == 40


async def test_an_answer_of_the_wrong_form_goes_to_the_next_model(engine: Engine, tmp_path: Path) -> None:
    vendors = Vendors(lambda name, number: answered(wrong=1) if name == "openai:a" else answered(number=7))
    router = make_router(engine, tmp_path, vendors)
    without_pauses(router)
    accept = TypeAdapter(Answer).validate_json
    model = router.model(policy("openai:a", "google:b"), SCOPE, accept=accept)
    result = await Agent(output_type=Answer).run("how many?", model=model)
    assert result.output.number == 7
    assert [outcome for _, outcome, _ in rows(engine)] == ["malformed", "malformed", "ok"]


async def test_talk_instead_of_an_answer_goes_to_the_next_model(engine: Engine, tmp_path: Path) -> None:
    vendors = Vendors(lambda name, number: text("Sure! Seven.") if name == "local:a" else answered(number=7))
    router = make_router(engine, tmp_path, vendors)
    without_pauses(router)
    accept = TypeAdapter(Answer).validate_json
    model = router.model(policy("local:a", "google:b", tries=1), SCOPE, accept=accept)
    assert (await Agent(output_type=Answer).run("how many?", model=model)).output.number == 7
    assert [outcome for _, outcome, _ in rows(engine)] == ["malformed", "ok"]


async def test_a_refusal_by_a_content_filter_is_final(engine: Engine, tmp_path: Path) -> None:
    def script(name: str, number: int) -> ModelResponse:
        return ModelResponse(parts=[TextPart("")], finish_reason="content_filter")

    vendors = Vendors(script)
    router = make_router(engine, tmp_path, vendors)
    with pytest.raises(ContentFilterError):
        await ask(router, policy("openai:a", "anthropic:b"))
    assert vendors.calls == {"openai:a": 1} and rows(engine)[0][1] == "filtered"


async def test_what_every_model_rejects_fails_at_once_with_every_reason(
    engine: Engine, tmp_path: Path
) -> None:
    def script(name: str, number: int) -> ModelResponse:
        raise ModelRequestRejectedError(name, f"{name} has no such parameter")

    vendors = Vendors(script)
    router = make_router(engine, tmp_path, vendors)
    with pytest.raises(ModelsFailed) as failed:
        await ask(router, policy("openai:a", "anthropic:b"))
    assert "openai:a has no such" in str(failed.value) and "anthropic:b has no such" in str(failed.value)
    assert vendors.calls == {"openai:a": 1, "anthropic:b": 1}


async def test_a_model_without_a_key_is_passed_over(engine: Engine, tmp_path: Path) -> None:
    make_router(engine, tmp_path, Vendors(lambda name, number: text("")))  # the project
    well = Vendors(lambda name, number: text("well"))

    def open_candidate(name: str, settings: Any) -> Any:
        return open_model(name, settings) if name.startswith("openai") else well.open(name, settings)

    router = Router(engine, Settings(CRYPTOCONTENT_HOME=tmp_path), open_candidate=open_candidate)  # type: ignore[call-arg]
    assert (await ask(router, policy("openai:a", "anthropic:b")))[0] == "well"
    with pytest.raises(ModelsFailed, match="OPENAI_API_KEY"):
        await ask(router, policy("openai:a"))


async def test_where_all_are_out_it_waits_for_the_first_that_is_back(engine: Engine, tmp_path: Path) -> None:
    broken = True

    def script(name: str, number: int) -> ModelResponse:
        if broken:
            raise boom(name)
        return text("back")

    vendors = Vendors(script)
    router = make_router(engine, tmp_path, vendors)
    router.shared.circuits.rules = CircuitRules(open_first=0.3)
    chosen = policy("openai:a", "anthropic:b", attempts=30, tries=1)
    waiting = [asyncio.create_task(ask(router, chosen, f"question {number}")) for number in range(20)]
    while not all(state.state == "open" for state in (await _states(router)).values()):
        await asyncio.sleep(0.01)
    broken = False
    assert {answer for answer, _ in await asyncio.gather(*waiting)} == {"back"}


async def _states(router: Router) -> Any:
    return await router.shared.circuits.states(["openai:a", "anthropic:b"])


async def test_the_wait_is_bounded_by_the_policy(engine: Engine, tmp_path: Path) -> None:
    def script(name: str, number: int) -> ModelResponse:
        raise boom(name)

    router = make_router(engine, tmp_path, Vendors(script))
    began = time.monotonic()
    with pytest.raises(ModelsFailed, match=r"within 0\.5 s"):
        await ask(router, policy("openai:a", attempts=100, timeouts={"total": 0.5}))
    assert time.monotonic() - began < 3


async def test_a_request_makes_no_more_attempts_than_the_policy_allows(
    engine: Engine, tmp_path: Path
) -> None:
    def script(name: str, number: int) -> ModelResponse:
        raise boom(name)

    vendors = Vendors(script)
    router = make_router(engine, tmp_path, vendors)
    without_pauses(router)
    with pytest.raises(ModelsFailed, match="3 attempts are all"):
        await ask(router, policy("openai:a", "anthropic:b", attempts=3))
    assert sum(vendors.calls.values()) == 3


async def test_a_retry_waits_as_long_as_the_vendor_says(engine: Engine, tmp_path: Path) -> None:
    def script(name: str, number: int) -> ModelResponse:
        if number == 1:
            raise limited(name, 2)
        return text("well")

    router = make_router(engine, tmp_path, Vendors(script))
    pauses = without_pauses(router)
    await ask(router, policy("openai:a"))
    assert pauses == [2.0]


async def test_a_long_retry_after_sends_everybody_elsewhere(engine: Engine, tmp_path: Path) -> None:
    def script(name: str, number: int) -> ModelResponse:
        if name == "openai:a":
            raise ModelHTTPError.for_category(
                ModelRateLimitError,
                status_code=429,
                model_name=name,
                body=None,
                headers={"retry-after": "60"},
            )
        return text("well")

    vendors = Vendors(script)
    router = make_router(engine, tmp_path, vendors)
    pauses = without_pauses(router)
    for number in range(3):
        await ask(router, policy("openai:a", "anthropic:b"), f"question {number}")
    assert pauses == [] and vendors.calls == {"openai:a": 1, "anthropic:b": 3}


async def test_a_model_that_hangs_is_left_when_its_time_is_over(engine: Engine, tmp_path: Path) -> None:
    async def hang() -> ModelResponse:
        await asyncio.Event().wait()
        raise AssertionError

    def script(name: str, number: int) -> Any:
        return hang() if name == "openai:a" else text("well")

    vendors = Vendors(script)
    router = make_router(engine, tmp_path, vendors)
    answer, spent = await ask(
        router,
        policy(
            {"model": "openai:a", "price": PRICE}, "anthropic:b", timeouts={"attempt": 0.05}, max_tokens=100
        ),
    )
    assert answer == "well" and vendors.calls["openai:a"] == 1
    # It may have been billed: it counts as the most that it can have cost.
    (hung, *_) = rows(engine)
    assert hung[1] == "timeout" and 0.1 < hung[2] < 0.11 and spent.cost_usd == pytest.approx(hung[2])


async def test_no_attempt_is_made_that_could_exceed_the_budget(engine: Engine, tmp_path: Path) -> None:
    async def hang() -> ModelResponse:
        await asyncio.Event().wait()
        raise AssertionError

    vendors = Vendors(lambda name, number: hang())  # type: ignore[arg-type,return-value]
    router = make_router(engine, tmp_path, vendors)
    with writing(engine) as session:
        set_budget(session, "p", "generation", 0.25, Person("ada", "admin"))
    dear = [{"model": f"openai:{name}", "price": PRICE} for name in "abc"]
    with pytest.raises(BudgetExceeded, match=r"\$0\.25"):
        await ask(router, policy(*dear, timeouts={"attempt": 0.02}, max_tokens=100))
    assert sum(vendors.calls.values()) == 2, "a third attempt for up to $0.10 would exceed the cap"
    with reading(engine) as session:
        spending = session.scalars(select(Spending).filter_by(period="g")).one()
    assert spending.spent_usd <= 0.25 and spending.reserved_usd == 0


async def test_a_hundred_generations_at_once_never_exceed_the_cap(engine: Engine, tmp_path: Path) -> None:
    """With models that fail, hang and are limited: every attempt, retry and fallback is paid from one cap."""
    cap = 0.5

    async def hang() -> ModelResponse:
        await asyncio.Event().wait()
        raise AssertionError

    def script(name: str, number: int) -> Any:
        match number % 5:
            case 0:
                raise boom(name)
            case 1:
                return hang()
            case 2:
                raise limited(name, 0)
        return text("well")

    router = make_router(engine, tmp_path, Vendors(script))
    without_pauses(router)
    with writing(engine) as session:
        set_budget(session, "p", "month", cap, Person("ada", "admin"))
    trace_accounts(engine)
    dear = [{"model": f"openai:{name}", "price": PRICE} for name in "abcd"]
    chosen = policy(*dear, max_tokens=16, timeouts={"attempt": 0.02}, attempts=20)

    async def one(number: int) -> bool:
        scope = replace(SCOPE, generation_id=f"g{number}")
        try:
            await Agent().run(f"question {number}", model=router.model(chosen, scope))
        except BudgetExceeded:
            return False
        return True

    answered_of = [await task for task in [asyncio.create_task(one(number)) for number in range(100)]]
    month = month_of(utc_now())
    states = traced(engine, month)
    assert max(spent + reserved for spent, reserved in states) <= cap + 1e-9
    spent, reserved = states[-1]
    assert reserved == 0 and any(answered_of) and not all(answered_of)
    assert spent > cap - 0.02, "the cap was used: what is left is less than a call may cost"
    assert spent == pytest.approx(sum(cost for _, _, cost in rows(engine)))


async def test_a_model_of_unknown_price_is_not_asked_where_there_is_a_budget(
    engine: Engine, tmp_path: Path
) -> None:
    vendors = Vendors(lambda name, number: text(f"by {name}"))
    router = make_router(engine, tmp_path, vendors)
    chosen = policy("openai:unheard-of", "anthropic:claude-sonnet-5-5")
    assert (await ask(router, chosen, "no budget"))[0] == "by openai:unheard-of"
    with writing(engine) as session:
        set_budget(session, "p", "month", 5, Person("ada", "admin"))
    assert (await ask(router, chosen, "a budget"))[0] == "by anthropic:claude-sonnet-5-5"
    with pytest.raises(ModelsFailed, match="price is unknown"):
        await ask(router, policy("openai:unheard-of"), "a budget")


async def test_what_was_answered_is_not_asked_again(engine: Engine, tmp_path: Path) -> None:
    vendors = Vendors(lambda name, number: text(f"answer {number}"))
    router = make_router(engine, tmp_path, vendors)
    first, _ = await ask(router, policy("openai:a"))
    again, spent = await ask(Router(engine, router.settings, open_candidate=vendors.open), policy("openai:a"))
    assert first == again == "answer 1" and (spent.calls, spent.kept, spent.cost_usd) == (0, 1, 0.0)
    other, _ = await ask(router, policy("openai:a"), "another question")
    assert other == "answer 2"
    await router.discard(spent.keys)
    assert (await ask(router, policy("openai:a")))[0] == "answer 3"


async def test_a_cancelled_call_is_settled_and_says_nothing_of_the_model(
    engine: Engine, tmp_path: Path
) -> None:
    started = asyncio.Event()

    async def hang() -> ModelResponse:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    router = make_router(engine, tmp_path, Vendors(lambda name, number: hang()))  # type: ignore[arg-type,return-value]
    task = asyncio.create_task(ask(router, policy({"model": "openai:a", "price": PRICE})))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    ((_, outcome, cost),) = rows(engine)
    assert outcome == "cancelled" and cost > 0
    assert (await router.shared.circuits.states(["openai:a"]))["openai:a"].failures == 0


async def test_requests_are_spread_by_weight(engine: Engine, tmp_path: Path) -> None:
    vendors = Vendors(lambda name, number: text("well"))
    router = make_router(engine, tmp_path, vendors)
    chosen = policy(
        {"model": "openai:a", "weight": 3},
        {"model": "anthropic:b", "weight": 1},
        {"model": "google:c", "weight": 0},
        choice="weighted",
    )
    await asyncio.gather(*(ask(router, chosen, f"question {number}") for number in range(400)))
    assert vendors.calls["google:c"] == 0
    assert 240 <= vendors.calls["openai:a"] <= 360  # 300 ± 7 standard deviations


async def test_no_more_calls_are_in_flight_than_the_candidate_allows(engine: Engine, tmp_path: Path) -> None:
    now, most, full = 0, 0, asyncio.Event()

    async def answer() -> ModelResponse:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        now -= 1
        return text("well")

    router = make_router(engine, tmp_path, Vendors(lambda name, number: answer()))  # type: ignore[arg-type,return-value]
    chosen = policy({"model": "openai:a", "concurrency": 3})
    await asyncio.gather(*(ask(router, chosen, f"question {number}") for number in range(30)))
    assert most == 3


async def test_rate_limits_make_it_wait_or_go_elsewhere(engine: Engine, tmp_path: Path) -> None:
    vendors = Vendors(lambda name, number: text("well"))
    router = make_router(engine, tmp_path, vendors)
    chosen = policy({"model": "openai:a", "requests_per_minute": 4}, "anthropic:b")
    for number in range(6):
        await ask(router, chosen, f"question {number}")
    # A quarter of a minute's worth may come at once: one request.
    assert vendors.calls == {"openai:a": 1, "anthropic:b": 5}


async def test_an_answer_that_reaches_max_tokens_says_so(engine: Engine, tmp_path: Path) -> None:
    def script(name: str, number: int) -> ModelResponse:
        cut = answered(numb=1)
        cut.finish_reason = "length"
        return cut

    router = make_router(engine, tmp_path, Vendors(script))
    model = router.model(
        policy("openai:a", max_tokens=50), SCOPE, accept=TypeAdapter(Answer).validate_json, spent=Spent()
    )
    with pytest.raises(ModelsFailed, match="longer than max_tokens 50"):
        await Agent(output_type=Answer).run("how many?", model=model)


async def test_answer_and_settlement_are_one_transaction(engine: Engine, tmp_path: Path) -> None:
    router = make_router(engine, tmp_path, Vendors(lambda name, number: text("well")))
    _, spent = await ask(router, policy("openai:a"))
    with reading(engine) as session:
        kept = session.get_one(KeptResponse, spent.keys[0])
        call = session.get_one(ModelCall, kept.call_id)
    assert call.outcome == "ok" and call.settled_at is not None and "well" in kept.response
    assert (call.project_id, call.generation_id, call.brief_id, call.article_id, call.run_id, call.stage) == (
        "p", "g", "b", "a", "r", "writer",
    )  # fmt: skip
