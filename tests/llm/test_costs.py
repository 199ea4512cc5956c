"""Sums over the ledger."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from sqlalchemy import Engine

from cryptocontent.llm import bookings
from cryptocontent.llm.calls import CallScope, Settlement, TokenUse
from cryptocontent.llm.costs import By, costs, totals
from cryptocontent.llm.ledger import Ledger
from cryptocontent.storage import reading
from tests.llm.money import make_project

FIRST = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
USE = TokenUse(100, 20, 30, 0)


@pytest.fixture
async def spent(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    for project in ("p", "q"):
        make_project(engine, project)
    ledger = Ledger(engine)

    async def call(hours: int, scope: CallScope, model: str, settlement: Settlement | None) -> None:
        monkeypatch.setattr(bookings, "utc_now", lambda: FIRST + timedelta(hours=hours))
        provider, name = model.split(":")
        call = await ledger.reserve(scope, "k", provider, name, 1, 1.0)
        if settlement:
            await ledger.settle(call, settlement)

    a1, a2 = (CallScope("p", "writer", "g1", article_id=one) for one in ("a1", "a2"))
    seo = CallScope("p", "seo", "g2", article_id="a1")
    await call(0, a1, "openai:x", Settlement("ok", USE, 0.1))
    await call(0, a1, "anthropic:x", Settlement("timeout", USE, 0.2))
    await call(1, a2, "openai:x", Settlement("ok", USE, 0.0, "unknown"))
    await call(1, seo, "openai:y", Settlement("ok", USE, 0.7))
    await call(1, seo, "openai:y", None)
    await call(1, CallScope("q", "seo"), "openai:x", Settlement("ok", USE, 9.0))
    monkeypatch.undo()
    return engine


def sums(engine: Engine, by: By, **options: Any) -> list[tuple[str, int, int, float]]:
    with reading(engine) as session:
        rows = costs(session, "p", by=by, **options)
    return [(row[by], row["calls"], row["failed"], row["cost_usd"]) for row in rows]


async def test_calls_are_summed_by_what_one_asks_for(spent: Engine) -> None:
    assert sums(spent, "stage") == [("seo", 2, 0, 0.7), ("writer", 3, 1, 0.3)]
    assert sums(spent, "model") == [
        ("openai:y", 2, 0, 0.7), ("anthropic:x", 1, 1, 0.2), ("openai:x", 2, 0, 0.1)
    ]  # fmt: skip
    assert sums(spent, "article") == [("a1", 4, 1, 1.0), ("a2", 1, 0, 0.0)]
    assert sums(spent, "generation") == [("g2", 2, 0, 0.7), ("g1", 3, 1, 0.3)]
    assert sums(spent, "outcome") == [("ok", 3, 0, 0.8), ("timeout", 1, 1, 0.2), ("reserved", 1, 0, 0.0)]
    assert sums(spent, "day") == [("2026-11-24", 2, 1, 0.3), ("2026-11-25", 3, 0, 0.7)]
    assert sums(spent, "day", since=FIRST + timedelta(minutes=1)) == [("2026-11-25", 3, 0, 0.7)]
    for by in get_args(By):
        assert sums(spent, by, since=FIRST + timedelta(days=9)) == []


async def test_a_row_holds_tokens_and_the_share_of_unknown_prices(spent: Engine) -> None:
    with reading(spent) as session:
        by_stage = {row.pop("stage"): row for row in costs(session, "p", by="stage")}
    assert by_stage["writer"] == {
        "calls": 3, "failed": 1, "under_way": 0, "input_tokens": 300, "output_tokens": 60,
        "cache_read_tokens": 90, "cost_usd": 0.3, "unknown_price": 1 / 3,
    }  # fmt: skip
    assert (by_stage["seo"]["under_way"], by_stage["seo"]["input_tokens"]) == (1, 100)


async def test_totals_of_articles_and_generations(spent: Engine) -> None:
    with reading(spent) as session:
        ids = ["a1", "a2", *(f"other {n}" for n in range(1000))]
        found = totals(session, "article", ids)
        assert list(found) == ids
        assert {one: sums["cost_usd"] for one, sums in found.items() if sums["cost_usd"]} == {"a1": 1.0}
        assert totals(session, "generation", ["g1", "g9"])["g9"]["calls"] == 0
        assert totals(session, "generation", ["g1", "g9"])["g1"]["output_tokens"] == 60
        assert totals(session, "article", []) == {}
