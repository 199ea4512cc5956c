"""Market facts: numbers about assets with unit, source and instant, imported from CSV files.

A fact is written once. Its id follows from its content, so the same file imported twice makes nothing
twice, and a newer value is a newer fact. Facts alone never make research stale: an article keeps the
facts that it was written from, and the check `price.stale` warns when the market has moved on. A
generation that wants the newest ones says so (`research.freeze(..., newest_facts=True)`).
"""

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import func, insert, select, tuple_
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, lock, record
from cryptocontent.content.brief_files import RowProblem
from cryptocontent.content.projects import get_project
from cryptocontent.content.rules import load_rules
from cryptocontent.content.rules.files import Asset
from cryptocontent.content.sources import fact_statement
from cryptocontent.content.text import content_hash
from cryptocontent.errors import NotFound, Refused
from cryptocontent.storage.database import batched
from cryptocontent.storage.models import MarketFact
from cryptocontent.storage.types import utc_now

Metric = Literal["price", "market_cap", "volume_24h", "tvl", "supply"]
METRICS: tuple[Metric, ...] = get_args(Metric)
COLUMNS = ("asset_id", "metric", "value", "unit", "source", "as_of")
MOST_BYTES = 25_000_000
# Clocks differ a little; a fact from further ahead is a mistake.
AHEAD = timedelta(minutes=10)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
_UNIT = re.compile(r"[A-Za-z%][A-Za-z0-9%/.-]{0,19}\Z")
Key = tuple[str, str, str, str, datetime]
"""Of a fact: asset id, metric, unit, source, as-of time."""


@dataclass(frozen=True, slots=True)
class FactsReport:
    """What an import did: the ids of new facts, how many were known. Any problem, and nothing was
    written."""

    created: tuple[str, ...] = ()
    unchanged: int = 0
    problems: tuple[RowProblem, ...] = ()


def fact_id(project_id: str, key: Key, value: float) -> str:
    """A fact's id: 32 hex digits that follow from its content."""
    asset, metric, unit, source, as_of = key
    return content_hash([project_id, asset, metric, unit, source, as_of.isoformat(), value])[:32]


def import_facts(
    session: Session, project_id: str, data: bytes, actor: Actor, *, now: datetime | None = None
) -> FactsReport:
    """Import a UTF-8 CSV file with the columns of `COLUMNS`. `asset_id` is one of the project's rules
    (`assets`), `metric` one of `METRICS`, `value` a number of at least 0 in `unit` (`USD`), `as_of` an ISO
    8601 time with its zone. Any bad row, and nothing is written: all are in `problems`. `Refused` if it is
    no CSV file of these columns at all."""
    get_project(session, project_id)
    rows = _read(data)
    lock(session, project_id)
    assets = {asset.id for asset in load_rules(session, project_id).assets.assets}
    problems: list[RowProblem] = []
    facts: dict[Key, tuple[int, float]] = {}
    repeated = 0
    for line, row in rows:
        found, wrong = _checked(line, row, assets, now or utc_now())
        problems += wrong
        if found is None:
            continue
        key, value = found
        if key not in facts:
            facts[key] = (line, value)
        elif facts[key][1] == value:
            repeated += 1
        else:
            other = f"line {facts[key][0]} says {facts[key][1]!r} of the same asset, source and time"
            problems.append(RowProblem(line, "value", row["value"], other))
    known = _known(session, project_id, list(facts))
    for key, value in known.items():
        line, stated = facts[key]
        if stated != value:
            reason = f"{value!r} is known of the same asset, source and time, and facts never change"
            problems.append(RowProblem(line, "value", repr(stated), reason))
    if problems:
        return FactsReport(problems=tuple(sorted(problems, key=lambda one: one.line)))
    new = {key: value for key, (_, value) in facts.items() if key not in known}
    created = _insert(session, project_id, new, actor, {"file": hashlib.sha256(data).hexdigest()})
    return FactsReport(tuple(created), len(known) + repeated)


def add_facts(
    session: Session, project_id: str, facts: Mapping[Key, float], actor: Actor
) -> tuple[list[str], int]:
    """Add facts whose values were checked: the ids of new ones, and how many were known. A source that states
    another number of the same instant later on is not believed: facts never change."""
    lock(session, project_id)
    known = _known(session, project_id, list(facts))
    new = {key: value for key, value in facts.items() if key not in known}
    return _insert(session, project_id, new, actor, {}), len(known)


def _read(data: bytes) -> list[tuple[int, dict[str, Any]]]:
    """The rows with their line numbers; a cell beyond the header is under the key ``."""
    if len(data) > MOST_BYTES:
        raise Refused(f"the file has {len(data):,} bytes; allowed are {MOST_BYTES:,}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"the file is not UTF-8 text (byte {error.start})") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or []]
        if sorted(header) != sorted(COLUMNS):
            missing = [name for name in COLUMNS if name not in header]
            raise Refused(
                f"header {','.join(header)!r}: "
                + (f"column {missing[0]!r} is missing; " if missing else "a column is unknown or twice; ")
                + f"the columns are {','.join(COLUMNS)}"
            )
        reader.fieldnames = header
        rows = [(reader.line_num, dict(row)) for row in reader]
    except csv.Error as error:
        raise Refused(f"line {reader.line_num}: {error}") from None
    if not rows:
        raise Refused("the file has no rows under its header")
    return rows


def _checked(
    line: int, row: Mapping[str, Any], assets: set[str], now: datetime
) -> tuple[tuple[Key, float] | None, list[RowProblem]]:
    problems: list[RowProblem] = []

    def refuse(column: str, value: str, reason: str) -> None:
        problems.append(RowProblem(line, column, value, reason))

    if "" in row:
        refuse("(beyond the header)", ",".join(row[""]), "the row has more cells than the header")
        return None, problems
    cells = {name: (row[name] or "").strip() for name in COLUMNS}
    asset, metric, unit, source = (cells[name] for name in ("asset_id", "metric", "unit", "source"))
    if asset not in assets:
        refuse("asset_id", asset, "no such asset in the project's rules (`rules show assets`)")
    if metric not in METRICS:
        refuse("metric", metric, f"allowed are {', '.join(METRICS)}")
    if not _NUMBER.match(cells["value"]) or float(cells["value"]) == float("inf"):
        refuse("value", cells["value"], "not a number of at least 0 such as 67123.45, without separators")
    if not _UNIT.match(unit):
        refuse("unit", unit, "not a unit such as USD, BTC or % (at most 20 letters and digits)")
    source = " ".join(source.split())
    if not source or len(source) > 200:
        refuse("source", source[:80], "1 to 200 characters that name who states it")
    as_of = _instant(cells["as_of"])
    if as_of is None:
        refuse("as_of", cells["as_of"], "not an ISO 8601 time with zone such as 2026-11-24T12:00:00Z")
    elif as_of > now + AHEAD:
        refuse("as_of", cells["as_of"], f"it lies in the future; it is {now:%Y-%m-%dT%H:%MZ} now")
    if problems or as_of is None:
        return None, problems
    return ((asset, metric, unit, source, as_of), float(cells["value"])), []


def _instant(text: str) -> datetime | None:
    """The instant in UTC; none if it is no time, or a time without zone."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _known(session: Session, project_id: str, keys: Sequence[Key]) -> dict[Key, float]:
    """The values of the facts that are there already."""
    columns = (MarketFact.asset_id, MarketFact.metric, MarketFact.unit, MarketFact.source, MarketFact.as_of)
    found: dict[Key, float] = {}
    for some in batched(keys, 150):
        rows = session.execute(
            select(*columns, MarketFact.value).where(
                MarketFact.project_id == project_id, tuple_(*columns).in_(some)
            )
        ).tuples()
        found |= {(asset, metric, unit, source, at): value for asset, metric, unit, source, at, value in rows}
    return found


def _insert(
    session: Session, project_id: str, facts: Mapping[Key, float], actor: Actor, origin: Mapping[str, Any]
) -> list[str]:
    now = utc_now()
    rows = [
        {
            "id": fact_id(project_id, key, value),
            "project_id": project_id,
            **dict(zip(("asset_id", "metric", "unit", "source", "as_of"), key, strict=True)),
            "value": value,
            "created_at": now,
        }
        for key, value in facts.items()
    ]
    created = [str(row["id"]) for row in rows]
    if rows:
        session.execute(insert(MarketFact), rows)
        change = {
            "facts": len(created),
            "assets": sorted({key[0] for key in facts}),
            "after": content_hash(sorted(created)),
            **origin,
        }
        record(session, project_id, actor, "market_facts.imported", f"project:{project_id}", change)
    return created


def newest(session: Session, project_id: str, asset_ids: Sequence[str] = ()) -> list[MarketFact]:
    """The newest fact of each asset, metric and unit, in that order; of all assets if none is named. Of
    several sources' facts of one instant the source first in the alphabet counts."""
    rank = func.row_number().over(
        partition_by=(MarketFact.asset_id, MarketFact.metric, MarketFact.unit),
        order_by=(MarketFact.as_of.desc(), MarketFact.source, MarketFact.id),
    )
    ranked = select(MarketFact.id, rank.label("rank")).filter_by(project_id=project_id)
    if asset_ids:
        ranked = ranked.where(MarketFact.asset_id.in_(sorted(set(asset_ids))))
    best = ranked.subquery()
    query = (
        select(MarketFact)
        .join(best, best.c.id == MarketFact.id)
        .where(best.c.rank == 1)
        .order_by(MarketFact.asset_id, MarketFact.metric, MarketFact.unit)
    )
    return list(session.scalars(query))


def statement(fact: MarketFact, asset: Asset) -> str:
    """What a fact says, in one English sentence that a footnote can point at: "The price of Bitcoin was
    67,123.45 USD on 24 November 2026 at 12:00 UTC, according to CoinGecko." """
    return fact_statement(fact, asset.name)


def list_facts(session: Session, project_id: str, asset_id: str | None = None) -> list[dict[str, Any]]:
    """The newest facts with their sentences, for people; `NotFound` for an asset of neither rules nor
    facts."""
    assets = {asset.id: asset for asset in load_rules(session, project_id).assets.assets}
    facts = newest(session, project_id, [asset_id] if asset_id else ())
    if asset_id and not facts and asset_id not in assets:
        raise NotFound(f"no asset {asset_id!r} in the project's rules (`rules show assets`)")
    return [
        {
            "id": fact.id,
            "asset_id": fact.asset_id,
            "metric": fact.metric,
            "value": fact.value,
            "unit": fact.unit,
            "source": fact.source,
            "as_of": fact.as_of.isoformat(),
            "statement": fact_statement(
                fact, assets[fact.asset_id].name if fact.asset_id in assets else fact.asset_id
            ),
        }
        for fact in facts
    ]
