"""Budgets: who may set them, to what, and how a project stands."""

import pytest
from sqlalchemy import Engine, select

from cryptocontent.errors import NotAllowed, Refused
from cryptocontent.identity import Person
from cryptocontent.llm.bookings import month_of
from cryptocontent.llm.budgets import budgets_of, set_budget, standing
from cryptocontent.llm.ledger import Ledger
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry, Budget
from cryptocontent.storage.types import utc_now
from tests.llm.money import ADA, ended, make_project, reserve, set_caps


@pytest.fixture
def money(engine: Engine) -> Engine:
    make_project(engine)
    make_project(engine, "q", month=7)
    return engine


def test_a_budget_is_set_changed_and_taken_away_and_audited(money: Engine) -> None:
    for cap in (10.0, 10.0, 0, None, None):
        with writing(money) as session:
            set_budget(session, "p", "month", cap, ADA)
            set_budget(session, "p", "generation", 2.5, ADA)
        with reading(money) as session:
            month = {} if cap is None else {"month": cap}
            assert budgets_of(session, "p") == month | {"generation": 2.5}
            assert budgets_of(session, "q") == {"month": 7}
    with reading(money) as session:
        query = select(AuditEntry).filter_by(project_id="p", action="budget.set").order_by(AuditEntry.seq)
        entries = session.scalars(query).all()
        assert [(one.subject, one.data["before"], one.data["after"]) for one in entries] == [
            ("models:budget:month", None, 10.0),
            ("models:budget:generation", None, 2.5),
            ("models:budget:month", 10.0, 0),
            ("models:budget:month", 0.0, None),
        ]
        assert {one.actor for one in entries} == {"person:ada"}
        assert session.get_one(Budget, ("p", "generation")).author == "ada"


@pytest.mark.parametrize("cap", [-0.01, float("nan"), float("inf"), float("-inf")])
def test_a_cap_is_a_finite_amount(money: Engine, cap: float) -> None:
    with (
        writing(money) as session,
        pytest.raises(Refused, match=rf"budget of month: {cap} US dollars: a finite amount of at least 0"),
    ):
        set_budget(session, "p", "month", cap, ADA)
    with reading(money) as session:
        assert budgets_of(session, "p") == {}


def test_a_budget_is_of_a_month_or_a_generation_and_an_admins_to_set(money: Engine) -> None:
    with writing(money) as session:
        with pytest.raises(Refused, match="budget 'year': allowed are month, generation"):
            set_budget(session, "p", "year", 1.0, ADA)  # type: ignore[arg-type]
        for role in ("viewer", "writer", "editor", "api"):
            with pytest.raises(NotAllowed, match="lacks the right to administer"):
                set_budget(session, "p", "month", 1.0, Person("x", role))  # type: ignore[arg-type]
        assert budgets_of(session, "p") == {}


async def test_how_a_project_stands(money: Engine) -> None:
    ledger, month = Ledger(money), month_of(utc_now())
    with reading(money) as session:
        assert standing(session, "p") == [
            {"scope": "month", "period": month, "cap": None, "spent": 0.0, "reserved": 0.0, "left": None}
        ]
    set_caps(money, month=1.0)
    await ledger.settle(await reserve(ledger, 0.5), ended(0.1))
    await reserve(ledger, 0.2)
    line = {"spent": 0.1, "reserved": 0.2}
    with reading(money) as session:
        assert standing(session, "p", "g1") == [
            {"scope": "month", "period": month, "cap": 1.0, "left": 0.7} | line,
            {"scope": "generation", "period": "g1", "cap": None, "left": None} | line,
        ]
        assert standing(session, "p", "g2")[1]["spent"] == 0.0
    set_caps(money, month=0.05)
    with reading(money) as session:
        assert standing(session, "p")[0]["left"] == 0.0
