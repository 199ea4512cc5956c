"""A project with budgets, and a look at its accounts and calls."""

from typing import Any

from sqlalchemy import Engine, func, select, text

from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.identity import Person
from cryptocontent.llm.budgets import set_budget
from cryptocontent.llm.calls import CallScope, Settlement
from cryptocontent.llm.ledger import Ledger
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import ModelCall, Spending

ADA = Person("ada", "admin")
SCOPE = CallScope("p", "writer", generation_id="g1", brief_id="b1", article_id="a1", run_id="r1")


def make_project(engine: Engine, project: str = "p", **caps: float) -> None:
    with writing(engine) as session:
        create_project(session, project, "", Actor("test", "t"))
    set_caps(engine, project, **caps)


def set_caps(engine: Engine, project: str = "p", **caps: float) -> None:
    with writing(engine) as session:
        for scope, cap in caps.items():
            set_budget(session, project, scope, cap, ADA)  # type: ignore[arg-type]


async def reserve(ledger: Ledger, worst: float, scope: CallScope = SCOPE, **options: Any) -> str:
    return await ledger.reserve(scope, "k" * 64, "openai", "gpt-5", 1, worst, **options)


def ended(cost: float, **more: Any) -> Settlement:
    return Settlement("ok", cost_usd=cost, **more)


def accounts(engine: Engine, project: str = "p") -> dict[str, tuple[float, float]]:
    """Spent and reserved, by period."""
    query = select(Spending.period, Spending.spent_usd, Spending.reserved_usd).filter_by(project_id=project)
    with reading(engine) as session:
        return {period: (spent, reserved) for period, spent, reserved in session.execute(query)}


def booked(engine: Engine, project: str = "p") -> dict[str, tuple[float, float]]:
    """What `accounts` has to be by the calls: the sums over their rows."""
    sums: dict[str, list[float]] = {}
    with reading(engine) as session:
        for call in session.scalars(select(ModelCall).filter_by(project_id=project)):
            month = call.created_at.strftime("%Y-%m")
            for period in {month, call.generation_id} - {""}:
                entry = sums.setdefault(period, [0.0, 0.0])
                entry[call.outcome == "reserved"] += (
                    call.reserved_usd if call.outcome == "reserved" else call.cost_usd
                )
    return {period: (round(spent, 9), round(reserved, 9)) for period, (spent, reserved) in sums.items()}


def call_of(engine: Engine, call_id: str) -> ModelCall:
    with reading(engine) as session:
        return session.get_one(ModelCall, call_id)


def count_calls(engine: Engine) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(ModelCall)) or 0


def trace_accounts(engine: Engine) -> None:
    """From now on the database itself writes down every state of every account."""
    body = "INSERT INTO trace VALUES (NEW.period, NEW.spent_usd, NEW.reserved_usd);"
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE trace (period TEXT, spent FLOAT, reserved FLOAT)"))
        if engine.name == "sqlite":
            connection.execute(text(f"CREATE TRIGGER traced AFTER UPDATE ON spending BEGIN {body} END"))
            return
        function = f"BEGIN {body} RETURN NEW; END"
        connection.execute(
            text(f"CREATE FUNCTION traced() RETURNS trigger LANGUAGE plpgsql AS $$ {function} $$")
        )
        connection.execute(
            text("CREATE TRIGGER traced AFTER UPDATE ON spending FOR EACH ROW EXECUTE FUNCTION traced()")
        )


def traced(engine: Engine, period: str) -> list[tuple[float, float]]:
    with engine.begin() as connection:
        query = text("SELECT spent, reserved FROM trace WHERE period = :period")
        return [(spent, reserved) for spent, reserved in connection.execute(query, {"period": period})]
