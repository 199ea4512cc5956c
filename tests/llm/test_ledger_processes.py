"""Many processes at one budget, processes that die, and any sequence of calls at all."""

import asyncio
import multiprocessing
import os
import random
import signal
from datetime import timedelta
from multiprocessing.synchronize import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, insert, select, update

from cryptocontent.errors import NotAllowed
from cryptocontent.identity import Person
from cryptocontent.llm.bookings import month_of, release_lost
from cryptocontent.llm.calls import BudgetExceeded, CallScope
from cryptocontent.llm.ledger import Ledger
from cryptocontent.storage import open_engine, reading, writing
from cryptocontent.storage.models import AuditEntry, BatchedRequest, ModelCall
from cryptocontent.storage.types import new_id, utc_now
from tests.llm.money import (
    ADA,
    accounts,
    booked,
    call_of,
    ended,
    make_project,
    reserve,
    trace_accounts,
    traced,
)

FORK = multiprocessing.get_context("fork")
CAP, OF_GENERATION = 10.0, 4.0


def url_of(engine: Engine) -> str:
    url = engine.url.render_as_string(hide_password=False)
    engine.dispose()
    return url


def spend(url: str, seed: int, together: Barrier) -> None:
    """25 pipelines of one process, each with calls until the budget is used up."""
    open_engine.cache_clear()  # connections of the parent process are not the child's
    ledger = Ledger(open_engine(url))

    async def one(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        scope = CallScope("p", "writer", generation_id=f"g{number % 3}")
        for _ in range(20):
            worst = chance.uniform(0.01, 0.1)
            try:
                call = await reserve(ledger, worst, scope, patience=20)
            except BudgetExceeded:
                return
            await asyncio.sleep(chance.uniform(0, 0.004))  # the vendor's answer
            await ledger.settle(call, ended(chance.choice([0.0, worst / 3, worst])))

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(25):
                group.create_task(one(number))

    together.wait(30)
    asyncio.run(all_of_them())


def test_four_processes_with_a_hundred_calls_at_once_never_exceed_a_cap(engine: Engine) -> None:
    make_project(engine, month=CAP, generation=OF_GENERATION)
    trace_accounts(engine)
    url = url_of(engine)
    together = FORK.Barrier(4)
    children = [FORK.Process(target=spend, args=(url, seed, together)) for seed in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 4
    month = month_of(utc_now())
    states = traced(engine, month)
    assert len(states) > 50
    assert CAP - 0.1 < max(spent + reserved for spent, reserved in states) <= CAP + 1e-9
    for generation in ("g0", "g1", "g2"):
        assert max(spent + reserved for spent, reserved in traced(engine, generation)) <= OF_GENERATION + 1e-9
    spent, reserved = accounts(engine)[month]
    assert reserved == 0 and CAP - 0.1 < spent <= CAP, "the budget is used, and no more than it"
    assert accounts(engine) == booked(engine)


def reserve_and_die(url: str, how: str) -> None:
    open_engine.cache_clear()
    asyncio.run(reserve(Ledger(open_engine(url)), 0.7))
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(3)


@pytest.mark.parametrize("how", ["kill", "exit"])
def test_a_call_whose_process_died_stays_counted_until_an_admin_releases_it(engine: Engine, how: str) -> None:
    make_project(engine, month=1.0)
    child = FORK.Process(target=reserve_and_die, args=(url_of(engine), how))
    child.start()
    child.join(30)
    assert child.exitcode == (-signal.SIGKILL if how == "kill" else 3)
    assert accounts(engine)["g1"] == (0.0, 0.7)

    async def another() -> str:
        return await reserve(Ledger(engine), 0.4, patience=0)

    with pytest.raises(BudgetExceeded, match=r"\$0.70 is reserved by calls under way, or whose process died"):
        asyncio.run(another())
    with pytest.raises(NotAllowed):
        release_lost(engine, "p", timedelta(0), Person("ed", "editor"))
    assert release_lost(engine, "p", timedelta(hours=1), ADA) == 0
    assert release_lost(engine, "another", timedelta(0), ADA) == 0
    as_spent = how == "kill"
    assert release_lost(engine, "p", timedelta(0), ADA, as_spent=as_spent) == 1
    assert accounts(engine)["g1"] == ((0.7, 0.0) if as_spent else (0.0, 0.0))
    assert accounts(engine) == booked(engine)
    assert release_lost(engine, "p", timedelta(0), ADA) == 0
    with reading(engine) as session:
        entry = session.scalars(select(AuditEntry).filter_by(action="budget.lost_released")).one()
        call = session.scalars(select(ModelCall)).one()
    assert (entry.actor, entry.data) == ("person:ada", {"calls": 1, "usd": 0.7, "spent": as_spent})
    assert (call.outcome, call.error) == ("cancelled", "never settled; released by ada")


def test_a_call_that_waits_in_a_vendors_batch_is_not_lost(engine: Engine) -> None:
    make_project(engine)
    call = asyncio.run(reserve(Ledger(engine), 0.7, lane="batch"))
    row = {
        "request_key": "key", "call_id": call, "project_id": "p", "provider": "openai", "model": "gpt-5",
        "request": "{}", "status": "submitted",
    }  # fmt: skip
    with writing(engine) as session:
        session.execute(insert(BatchedRequest), [row])
    assert release_lost(engine, "p", timedelta(0), ADA) == 0
    with writing(engine) as session:
        session.execute(update(BatchedRequest).values(status="failed"))
    assert release_lost(engine, "p", timedelta(0), ADA) == 1
    assert call_of(engine, call).outcome == "cancelled"


def test_settlements_and_reservations_of_many_projects_cross_without_a_deadlock(engine: Engine) -> None:
    """Two ledgers book on the same accounts in opposite orders, in one transaction each."""
    for project in ("p", "q"):
        make_project(engine, project, month=1000.0)

    async def cross() -> None:
        async def call(ledger: Ledger, project: str, number: int) -> None:
            scope = CallScope(project, "writer", generation_id=f"{project}{number % 7}")
            await ledger.settle(await reserve(ledger, 0.1, scope), ended(0.1, response="{}"), f"{number}")

        async with asyncio.TaskGroup() as group, asyncio.timeout(20):
            for ledger, projects in ((Ledger(engine), "pq"), (Ledger(engine), "qp")):
                for number in range(60) if projects == "pq" else range(59, -1, -1):
                    for project in projects:
                        group.create_task(call(ledger, project, number))

    asyncio.run(cross())
    for project in ("p", "q"):
        assert accounts(engine, project) == booked(engine, project)
        assert accounts(engine, project)[month_of(utc_now())] == (12.0, 0.0)


AMOUNTS = st.floats(0, 3) | st.sampled_from([0.0, 0.1, 0.2, 1e-9, 1 / 3])
STEPS = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "settle again"]), AMOUNTS, st.integers(0, 5)), max_size=30
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(steps=STEPS, month=AMOUNTS, generation=AMOUNTS, at_once=st.integers(1, 8))
def test_the_accounts_are_the_sums_of_the_calls(
    engine: Engine, steps: list[tuple[str, float, int]], month: float, generation: float, at_once: int
) -> None:
    project = f"p{new_id()[:20]}"
    make_project(engine, project, month=month * 3, generation=generation * 2)
    ledger = Ledger(engine)
    open_calls: list[tuple[str, float]] = []
    done: list[str] = []

    async def step(kind: str, amount: float, number: int) -> None:
        if kind == "reserve":
            scope = CallScope(project, "writer", generation_id=("", "g0", "g1")[number % 3])
            try:
                call = await reserve(ledger, amount, scope, patience=0)
            except BudgetExceeded:
                return
            open_calls.append((call, amount))
        elif kind == "settle" and open_calls:
            call, worst = open_calls.pop(number % len(open_calls))
            await ledger.settle(call, ended(min(amount, worst)))
            done.append(call)
        elif done:
            await ledger.settle(done[number % len(done)], ended(amount))

    async def run() -> None:
        for begin in range(0, len(steps), at_once):
            await asyncio.gather(*(step(*one) for one in steps[begin : begin + at_once]))
            now = accounts(engine, project)
            # An account that is opened for a call that is then refused stays, empty.
            assert {key: one for key, one in now.items() if one != (0.0, 0.0)} == {
                key: one for key, one in booked(engine, project).items() if one != (0.0, 0.0)
            }
            for period, (spent, reserved) in now.items():
                cap = generation * 2 if period.startswith("g") else month * 3
                assert round(spent + reserved, 9) <= cap
                assert spent >= 0 and reserved >= 0

    asyncio.run(run())
    with reading(engine) as session:
        under_way = select(func.count(ModelCall.id)).where(
            ModelCall.project_id == project, ModelCall.outcome == "reserved"
        )
        assert session.scalar(under_way) == len(open_calls)
