"""What calls of models have cost: sums over the ledger, for displays. Amounts are US dollars."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.orm import Session

from cryptocontent.storage.database import batched
from cryptocontent.storage.models import ModelCall

By = Literal["stage", "model", "article", "generation", "day", "outcome"]


def costs(
    session: Session, project_id: str, *, by: By, since: datetime | None = None
) -> list[dict[str, Any]]:
    """The project's calls, summed: a row per stage, model (`provider:model`), …, or day (UTC), under that
    name; days in order, else the dearest first. What is not of an article or a generation is under "".

    `failed` are calls without a usable answer, `under_way` those not settled (or never to be: see
    `release_lost`); `unknown_price` is the share of the settled calls whose price nobody knew, and which
    count as 0.
    """
    key = _key(session, by)
    query = _sums(key).where(ModelCall.project_id == project_id)
    if since is not None:
        query = query.where(ModelCall.created_at >= since)
    rows = [{by: row[0]} | _summed(row) for row in session.execute(query)]
    if by == "day":
        return sorted(rows, key=lambda row: str(row["day"]))
    return sorted(rows, key=lambda row: (-row["cost_usd"], -row["calls"], str(row[by])))


def totals(
    session: Session, of: Literal["article", "generation"], ids: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """The calls for each of these articles or generations, summed as by `costs`; zeros for those without
    a call."""
    key = ModelCall.article_id if of == "article" else ModelCall.generation_id
    found: dict[str, dict[str, Any]] = {}
    for some in batched(ids, 500):
        found |= {one: dict(_NOTHING) for one in some}
        found |= {row[0]: _summed(row) for row in session.execute(_sums(key).where(key.in_(some)))}
    return found


def _key(session: Session, by: By) -> Any:
    if by == "model":
        return ModelCall.provider + literal(":") + ModelCall.model
    if by == "day":
        if session.get_bind().dialect.name == "postgresql":
            return func.to_char(func.timezone("UTC", ModelCall.created_at), "YYYY-MM-DD")
        return func.date(ModelCall.created_at)
    columns = {
        "stage": ModelCall.stage,
        "article": ModelCall.article_id,
        "generation": ModelCall.generation_id,
        "outcome": ModelCall.outcome,
    }
    return columns[by]


def _count(condition: ColumnElement[bool]) -> Any:
    return func.count().filter(condition)


def _sums(key: Any) -> Any:
    # Grouped by its place: an expression with parameters is not the same expression twice to Postgres.
    named = key.label("key")
    return select(
        named,
        func.count().label("calls"),
        _count(ModelCall.outcome.not_in(("ok", "reserved"))).label("failed"),
        _count(ModelCall.outcome == "reserved").label("under_way"),
        func.sum(ModelCall.input_tokens).label("input_tokens"),
        func.sum(ModelCall.output_tokens).label("output_tokens"),
        func.sum(ModelCall.cache_read_tokens).label("cache_read_tokens"),
        func.sum(ModelCall.cost_usd).label("cost_usd"),
        _count(ModelCall.pricing == "unknown").label("unknown"),
    ).group_by(named)


def _summed(row: Any) -> dict[str, Any]:
    settled = row.calls - row.under_way
    return {
        "calls": row.calls,
        "failed": row.failed,
        "under_way": row.under_way,
        "input_tokens": int(row.input_tokens),
        "output_tokens": int(row.output_tokens),
        "cache_read_tokens": int(row.cache_read_tokens),
        "cost_usd": round(row.cost_usd, 9),
        "unknown_price": row.unknown / settled if settled else 0.0,
    }


_NOTHING: dict[str, Any] = {
    "calls": 0,
    "failed": 0,
    "under_way": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "cache_read_tokens": 0,
    "cost_usd": 0.0,
    "unknown_price": 0.0,
}
