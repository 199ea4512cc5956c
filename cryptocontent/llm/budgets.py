"""Budgets: the most that a project may spend on models in a month, or in any one generation."""

import asyncio
import math
from typing import Any, Literal, get_args

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from cryptocontent.audit import lock, record
from cryptocontent.errors import Refused
from cryptocontent.identity import Person
from cryptocontent.llm.bookings import month_of
from cryptocontent.llm.calls import Pricing
from cryptocontent.storage.database import pairs, reading
from cryptocontent.storage.models import Budget, Spending
from cryptocontent.storage.types import utc_now

BudgetScope = Literal["month", "generation"]
"""A calendar month (UTC), or any one generation."""


def set_budget(
    session: Session, project_id: str, scope: BudgetScope, cap_usd: float | None, by: Person
) -> None:
    """Bound what the project may spend, in US dollars; `None` takes the bound away. Calls under way go on:
    a cap below what is spent already only keeps new ones from starting. Admins only; audited."""
    by.require("administer")
    if scope not in get_args(BudgetScope):
        raise Refused(f"budget {scope!r}: allowed are {', '.join(get_args(BudgetScope))}")
    if cap_usd is not None and not 0 <= cap_usd < math.inf:
        raise Refused(f"budget of {scope}: {cap_usd} US dollars: a finite amount of at least 0, or none")
    lock(session, project_id)
    budget = session.get(Budget, (project_id, scope), populate_existing=True)
    before = budget.cap_usd if budget else None
    if before == cap_usd:
        return
    if budget is None and cap_usd is not None:
        session.add(Budget(project_id=project_id, scope=scope, cap_usd=cap_usd, author=by.name))
    elif budget is not None and cap_usd is not None:
        budget.cap_usd, budget.author, budget.updated_at = cap_usd, by.name, utc_now()
    elif budget is not None:
        session.delete(budget)
    session.flush()
    change = {"before": before, "after": cap_usd}
    record(session, project_id, by.actor, "budget.set", f"models:budget:{scope}", change)


def budgets_of(session: Session, project_id: str) -> dict[str, float]:
    """The caps in force in US dollars, by scope; a scope without one is missing."""
    query = select(Budget.scope, Budget.cap_usd).filter_by(project_id=project_id).order_by(Budget.scope)
    return pairs(session.execute(query))


async def refusal_of_price(engine: Engine, project_id: str, pricing: Pricing) -> str | None:
    """Why a call with such a price must not be made, if so: what costs nobody knows how much keeps to no
    budget."""

    def budgeted() -> bool:
        with reading(engine) as session:
            return bool(budgets_of(session, project_id))

    if pricing == "unknown" and await asyncio.to_thread(budgeted):
        return "its price is unknown, and there is a budget: give it a price in the policy"
    return None


def standing(session: Session, project_id: str, generation_id: str | None = None) -> list[dict[str, Any]]:
    """How the project's month, and a generation, stand: what was spent and what calls under way may still
    cost, in US dollars; `cap` and `left` are none where there is no budget."""
    caps = budgets_of(session, project_id)
    periods = {"month": month_of(utc_now())} | ({"generation": generation_id} if generation_id else {})
    query = select(Spending.period, Spending.spent_usd, Spending.reserved_usd)
    rows = session.execute(
        query.filter_by(project_id=project_id).where(Spending.period.in_(periods.values()))
    )
    used = {period: (spent, reserved) for period, spent, reserved in rows}
    lines: list[dict[str, Any]] = []
    for scope, period in periods.items():
        cap, (spent, reserved) = caps.get(scope), used.get(period, (0.0, 0.0))
        left = None if cap is None else max(round(cap - spent - reserved, 9), 0.0)
        line = {
            "scope": scope,
            "period": period,
            "cap": cap,
            "spent": spent,
            "reserved": reserved,
            "left": left,
        }
        lines.append(line)
    return lines
