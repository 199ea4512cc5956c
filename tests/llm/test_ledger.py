"""The ledger: what may be spent is never exceeded, and what was paid for is never lost."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine, event, text

from cryptocontent.errors import NotFound
from cryptocontent.llm import bookings
from cryptocontent.llm.bookings import dollars, month_of, prune_kept
from cryptocontent.llm.calls import BudgetExceeded, CallScope, Settlement, TokenUse
from cryptocontent.llm.ledger import Ledger
from cryptocontent.storage.types import utc_now
from tests.llm.money import (
    SCOPE,
    accounts,
    booked,
    call_of,
    count_calls,
    ended,
    make_project,
    reserve,
    set_caps,
)

OTHER = CallScope("p", "seo")  # of no generation


@pytest.fixture
def money(engine: Engine) -> Engine:
    make_project(engine)
    return engine


@pytest.fixture
def ledger(money: Engine) -> Ledger:
    return Ledger(money)


@contextmanager
def held_up(engine: Engine) -> Iterator[None]:
    """Nobody's booking gets through within the block."""
    with engine.begin() as connection:  # SQLite: the write lock
        if engine.name == "postgresql":
            connection.execute(text("LOCK TABLE spending"))
        yield


async def until_waiting(ledger: Ledger, number: int = 1) -> None:
    async with asyncio.timeout(10):
        while len(ledger._bookings._waiting) < number:
            await asyncio.sleep(0.002)


async def test_a_call_is_written_before_it_leaves_and_settled_with_what_it_was(
    money: Engine, ledger: Ledger
) -> None:
    month = month_of(utc_now())
    call = await ledger.reserve(SCOPE, "key", "openai", "gpt-5", 3, 0.5, lane="batch")
    row = call_of(money, call)
    assert (row.outcome, row.reserved_usd, row.attempt, row.lane, row.settled_at) == (
        "reserved", 0.5, 3, "batch", None
    )  # fmt: skip
    assert (row.project_id, row.stage, row.generation_id, row.brief_id, row.article_id, row.run_id) == (
        "p", "writer", "g1", "b1", "a1", "r1"
    )  # fmt: skip
    assert accounts(money) == {month: (0.0, 0.5), "g1": (0.0, 0.5)}
    use = TokenUse(1000, 200, 300, 40)
    await ledger.settle(call, Settlement("ok", use, 0.2, "own", 3.5, 0.7, response='{"a": 1}'))
    row = call_of(money, call)
    assert (row.outcome, row.cost_usd, row.pricing, row.reserved_usd) == ("ok", 0.2, "own", 0.5)
    assert (row.input_tokens, row.output_tokens, row.cache_read_tokens, row.cache_write_tokens) == (
        1000, 200, 300, 40
    )  # fmt: skip
    assert (row.seconds, row.first_token_seconds) == (3.5, 0.7)
    assert row.settled_at is not None and row.settled_at >= row.created_at
    assert accounts(money) == {month: (0.2, 0.0), "g1": (0.2, 0.0)}
    assert await ledger.kept("key") == '{"a": 1}'
    assert await ledger.kept("another") is None


async def test_what_a_vendor_says_of_a_failure_can_always_be_stored(money: Engine, ledger: Ledger) -> None:
    call = await reserve(ledger, 0.1)
    await ledger.settle(call, Settlement("server_error", error="bad\0 \ud800" + "x" * 5000))
    row = call_of(money, call)
    assert row.outcome == "server_error" and row.error.startswith("bad ?x") and len(row.error) <= 2000


async def test_settling_twice_changes_nothing(money: Engine, ledger: Ledger) -> None:
    call = await reserve(ledger, 0.5)
    first, second = ended(0.2, response="1"), Settlement("timeout", cost_usd=0.4, response="2")
    await asyncio.gather(ledger.settle(call, first, "one"), ledger.settle(call, second, "two"))
    before = accounts(money)
    await ledger.settle(call, second, "two")
    assert accounts(money) == before == booked(money)
    assert call_of(money, call).outcome == "ok"
    assert (await ledger.kept("one"), await ledger.kept("two")) == ("1", None)
    with pytest.raises(NotFound, match="no call 'nowhere' in the ledger"):
        await ledger.settle("nowhere", first)


@pytest.mark.parametrize("amount", [-0.1, float("nan"), float("inf")])
async def test_an_amount_is_finite_and_not_negative(sqlite_engine: Engine, amount: float) -> None:
    ledger = Ledger(sqlite_engine)
    with pytest.raises(ValueError, match="worst_usd"):
        await reserve(ledger, amount)
    with pytest.raises(ValueError, match="cost_usd"):
        await ledger.settle("x", ended(amount))


async def test_a_settlement_and_its_response_are_one_transaction(money: Engine, ledger: Ledger) -> None:
    call = await reserve(ledger, 0.5)
    before = accounts(money)
    with money.begin() as connection:
        connection.execute(text("ALTER TABLE kept_responses RENAME TO elsewhere"))
    with pytest.raises(Exception, match="kept_responses"):
        await ledger.settle(call, ended(0.2, response="{}"), "key")
    assert accounts(money) == before
    assert (call_of(money, call).outcome, call_of(money, call).settled_at) == ("reserved", None)
    with money.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO kept_responses"))
    await ledger.settle(call, ended(0.2, response="{}"), "key")
    assert (call_of(money, call).outcome, await ledger.kept("key")) == ("ok", "{}")


async def test_the_first_kept_response_stays(money: Engine, ledger: Ledger) -> None:
    for cost, response in ((0.1, "first"), (0.2, "second")):
        await ledger.settle(await reserve(ledger, 0.5), ended(cost, response=response), "key")
    assert await ledger.kept("key") == "first"
    assert accounts(money)["g1"] == (0.3, 0.0)


async def test_what_is_spent_leaves_no_room(money: Engine, ledger: Ledger) -> None:
    set_caps(money, month=10, generation=1.5)
    await ledger.settle(await reserve(ledger, 1.2), ended(1.2))
    with pytest.raises(BudgetExceeded) as error:
        await reserve(ledger, 0.3125)
    assert str(error.value) == (
        "project 'p': the budget of generation g1 is $1.50, $1.20 of it is spent, "
        "and this call (writer, openai:gpt-5) may cost $0.3125"
    )
    await reserve(ledger, 0.3)  # to the cent
    await reserve(ledger, 8.5, OTHER)  # another generation's, or none's
    set_caps(money, month=1.0)
    with pytest.raises(BudgetExceeded, match=rf"the budget of month {month_of(utc_now())} is \$1.00"):
        await reserve(ledger, 0.1, OTHER)


async def test_tenths_add_up_to_the_cap(money: Engine, ledger: Ledger) -> None:
    set_caps(money, month=0.3)
    calls = await asyncio.gather(*(reserve(ledger, 0.1, OTHER) for _ in range(3)))
    for call in calls:
        await ledger.settle(call, ended(0.1))
    assert accounts(money) == {month_of(utc_now()): (0.3, 0.0)}


async def test_who_waits_goes_on_when_another_costs_less_than_it_reserved(
    money: Engine, ledger: Ledger
) -> None:
    set_caps(money, month=1.0)
    first = await reserve(ledger, 0.9)
    ledger._bookings._pause = 3600.0  # it is told, it need not look
    second = asyncio.create_task(reserve(ledger, 0.8))
    await until_waiting(ledger)
    assert accounts(money)["g1"] == (0.0, 0.9)
    async with asyncio.timeout(5):
        await ledger.settle(first, ended(0.15))
        await second
    assert accounts(money)["g1"] == (0.15, 0.8)


async def test_who_waits_hears_of_other_processes(money: Engine, ledger: Ledger) -> None:
    set_caps(money, generation=1.0)
    elsewhere = Ledger(money)
    first = await reserve(elsewhere, 0.9)
    second = asyncio.create_task(reserve(ledger, 0.8))
    await until_waiting(ledger)
    async with asyncio.timeout(5):
        await elsewhere.settle(first, ended(0.1))
        await second
    third = asyncio.create_task(reserve(ledger, 0.3))
    await until_waiting(ledger)
    await elsewhere.settle(await second, ended(0.8))
    with pytest.raises(BudgetExceeded, match=r"\$0.90 of it is spent"):
        async with asyncio.timeout(5):  # no need to be patient any more
            await third


async def test_who_has_waited_long_enough_is_told_what_stood_in_the_way(
    money: Engine, ledger: Ledger
) -> None:
    set_caps(money, month=1.0)
    await reserve(ledger, 0.9)
    with pytest.raises(BudgetExceeded, match=r"\$0.90 is reserved by calls under way.* waited 0 seconds"):
        await reserve(ledger, 0.2, patience=0)
    began = asyncio.get_running_loop().time()
    with pytest.raises(BudgetExceeded, match=r"waited 0\.3 seconds"):
        await reserve(ledger, 0.2, patience=0.3)
    assert 0.3 <= asyncio.get_running_loop().time() - began < 2
    assert count_calls(money) == 1


async def test_who_is_cancelled_has_reserved_nothing(money: Engine, ledger: Ledger) -> None:
    set_caps(money, month=1.0)
    await ledger.settle(await reserve(ledger, 0.1), ended(0.0))
    holding = await reserve(ledger, 0.9)
    waiting = asyncio.create_task(reserve(ledger, 0.7))
    await until_waiting(ledger)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await ledger.settle(holding, ended(0.0))
    assert accounts(money)["g1"] == (0.0, 0.0)

    with held_up(money):
        under_way = asyncio.create_task(reserve(ledger, 0.6))
        await asyncio.sleep(0)  # it is on its way to the database now, in a thread
        await asyncio.sleep(0)
        assert not ledger._bookings._queue
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        queued = asyncio.create_task(reserve(ledger, 0.5))
        await asyncio.sleep(0)
    await queued
    assert accounts(money)["g1"] == (0.0, 0.5), "the cancelled one was given back"
    assert accounts(money) == booked(money)


async def test_a_grant_that_comes_together_with_a_cancellation_is_given_back(
    money: Engine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = ledger._bookings.submit

    def submit_and_cancel(item: bookings.Reserve) -> "asyncio.Future[bookings.Result]":
        granted = submit(item)
        granted.add_done_callback(lambda _: task.cancel())  # before the task itself hears of it
        return granted

    monkeypatch.setattr(ledger._bookings, "submit", submit_and_cancel)
    task = asyncio.create_task(reserve(ledger, 0.6))
    await asyncio.sleep(0)
    monkeypatch.undo()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert count_calls(money) == 1, "it was granted"
    await ledger.settle(await reserve(ledger, 0.1), ended(0.1))
    assert accounts(money)["g1"] == (0.1, 0.0)


async def test_a_cancelled_settlement_is_done_all_the_same(money: Engine, ledger: Ledger) -> None:
    call = await reserve(ledger, 0.5)
    settling = asyncio.create_task(ledger.settle(call, ended(0.2, response="{}"), "key"))
    await asyncio.sleep(0)
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    await reserve(ledger, 0.0)
    assert (call_of(money, call).outcome, await ledger.kept("key")) == ("ok", "{}")


async def test_a_call_is_booked_in_the_month_of_its_reservation(
    money: Engine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at(*moment: int) -> None:
        monkeypatch.setattr(bookings, "utc_now", lambda: datetime(*moment, tzinfo=UTC))  # type: ignore[misc,arg-type]

    set_caps(money, month=1.0)
    at(2026, 11, 30, 23, 59, 59)
    november = await reserve(ledger, 0.9)
    at(2026, 12, 1, 0, 0, 1)
    december = await reserve(ledger, 0.8)
    await ledger.settle(november, ended(0.7))
    assert accounts(money) == {"2026-11": (0.7, 0.0), "2026-12": (0.0, 0.8), "g1": (0.7, 0.8)}
    await ledger.settle(december, ended(0.1))
    assert accounts(money) == booked(money)


def test_a_month_is_utcs() -> None:
    east = timezone(timedelta(hours=5))
    assert month_of(datetime(2026, 12, 1, 4, 59, tzinfo=east)) == "2026-11"
    assert month_of(datetime(2026, 12, 1, 5, 0, tzinfo=east)) == "2026-12"


async def test_what_the_database_refuses_fails_alone(money: Engine, ledger: Ledger) -> None:
    with held_up(money):
        first = asyncio.create_task(reserve(ledger, 0.1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        good = asyncio.create_task(reserve(ledger, 0.2))
        bad = asyncio.create_task(reserve(ledger, 0.3, CallScope("nowhere", "writer")))
        await asyncio.sleep(0)
    await first
    await good
    with pytest.raises(Exception, match=r"FOREIGN KEY|foreign key"):
        await bad
    assert accounts(money)["g1"] == (0.0, 0.3)


async def test_calls_that_come_together_share_transactions(money: Engine, ledger: Ledger) -> None:
    commits: list[object] = []

    def committed(connection: object) -> None:
        commits.append(connection)

    event.listen(money, "commit", committed)
    calls = await asyncio.gather(*(reserve(ledger, 0.1) for _ in range(300)))
    await asyncio.gather(*(ledger.settle(call, ended(0.05, response="{}"), call) for call in calls))
    event.remove(money, "commit", committed)
    assert len(set(calls)) == 300 and len(commits) <= 6
    threads = threading.active_count()
    kept = await asyncio.gather(*(ledger.kept(call) for call in calls))
    assert kept == ["{}"] * 300 and threading.active_count() <= threads + 1
    assert accounts(money) == booked(money)
    assert accounts(money)["g1"] == (15.0, 0.0)


def test_a_ledger_outlives_its_event_loop(money: Engine) -> None:
    ledger = Ledger(money)
    set_caps(money, month=1.0)

    async def leave_one_waiting() -> str:
        call = await reserve(ledger, 0.9)
        asyncio.create_task(reserve(ledger, 0.5))  # noqa: RUF006 (is cancelled with the loop)
        await until_waiting(ledger)
        return call

    call = asyncio.run(leave_one_waiting())

    async def go_on() -> None:
        await ledger.settle(call, ended(0.1))
        await reserve(ledger, 0.9)

    asyncio.run(go_on())
    assert accounts(money)["g1"] == (0.1, 0.9)


async def test_old_responses_are_forgotten(
    money: Engine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = utc_now()
    for days in (10, 1):
        call = await reserve(ledger, 0.1)
        monkeypatch.setattr(bookings, "utc_now", lambda days=days: now - timedelta(days=days))
        await ledger.settle(call, ended(0.1, response="{}"), f"{days} days")
        monkeypatch.undo()
    assert prune_kept(money, timedelta(days=5)) == 1
    assert (await ledger.kept("10 days"), await ledger.kept("1 days")) == (None, "{}")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "$0.00"), (0.5, "$0.50"), (0.0123, "$0.0123"), (1234.5, "$1,234.50"), (0.000001, "$0.000001")],
)
def test_dollars_show_cents_and_what_is_needed(amount: float, shown: str) -> None:
    assert dollars(amount) == shown
