"""Where two sources say different things of one asset at about the same time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cryptocontent.alerts import raise_alert
from cryptocontent.knowledge.market_data import MarketConfig
from cryptocontent.storage.models import MarketFact

_LOOK_BACK = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Divergence:
    """Two newest facts of one asset, metric and unit that are further apart than is allowed; `percent` is of
    the smaller one."""

    asset_id: str
    metric: str
    unit: str
    percent: float
    low: MarketFact
    high: MarketFact

    def row(self) -> dict[str, Any]:
        """For people and programs."""
        return {
            "asset_id": self.asset_id,
            "metric": self.metric,
            "unit": self.unit,
            "percent": round(self.percent, 2),
            "low": self.low.value,
            "low_source": self.low.source,
            "low_as_of": self.low.as_of.isoformat(timespec="seconds"),
            "high": self.high.value,
            "high_source": self.high.source,
            "high_as_of": self.high.as_of.isoformat(timespec="seconds"),
        }


def divergences(session: Session, project_id: str, config: MarketConfig, now: datetime) -> list[Divergence]:
    """The newest facts of each source held against one another, if their times are at most
    `divergence_minutes` apart; those more than `divergence_percent` apart, the widest first. Facts of the
    last two days count."""
    rank = func.row_number().over(
        partition_by=(MarketFact.asset_id, MarketFact.metric, MarketFact.unit, MarketFact.source),
        order_by=MarketFact.as_of.desc(),
    )
    ranked = (
        select(MarketFact.id, rank.label("rank"))
        .where(MarketFact.project_id == project_id, MarketFact.as_of > now - _LOOK_BACK)
        .subquery()
    )
    query = select(MarketFact).join(ranked, ranked.c.id == MarketFact.id).where(ranked.c.rank == 1)
    stated: dict[tuple[str, str, str], list[MarketFact]] = {}
    for fact in session.scalars(query.order_by(MarketFact.source)):
        stated.setdefault((fact.asset_id, fact.metric, fact.unit), []).append(fact)
    window = timedelta(minutes=config.divergence_minutes)
    found = [one for facts in stated.values() if (one := _widest(facts, window))]
    wide = [one for one in found if one.percent > config.divergence_percent]
    return sorted(wide, key=lambda one: (-one.percent, one.asset_id, one.metric, one.unit))


def _widest(facts: Sequence[MarketFact], window: timedelta) -> Divergence | None:
    pairs = [
        (low, high)
        for low in facts
        for high in facts
        if low.value < high.value and low.value > 0 and abs(low.as_of - high.as_of) <= window
    ]
    if not pairs:
        return None
    low, high = max(pairs, key=lambda pair: pair[1].value / pair[0].value)
    percent = (high.value / low.value - 1) * 100
    return Divergence(low.asset_id, low.metric, low.unit, percent, low, high)


def raise_divergences(session: Session, project_id: str, found: Sequence[Divergence]) -> int:
    """Have people told of each once a day, in the caller's transaction; returns of how many anew."""
    new = 0
    for one in found:
        day = max(one.low.as_of, one.high.as_of).date()
        key = f"divergence:{project_id}:{one.asset_id}:{one.metric}:{one.unit}:{day}"
        title = f"{project_id}: sources differ by {one.percent:.1f} % on the {one.metric} of {one.asset_id}"
        body = "\n".join(
            f"{fact.source}: {fact.value:,} {fact.unit} as of {fact.as_of:%Y-%m-%d %H:%M} UTC"
            for fact in (one.low, one.high)
        )
        new += raise_alert(session, key[:200], title, body, {"project": project_id, **one.row()})
    return new
