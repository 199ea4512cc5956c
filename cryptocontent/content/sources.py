"""What the footnotes of an article may point at: the passages and market facts of its research, and
whatever its versions cite beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from cryptocontent.content.checks.subject import CitedSource, Fact
from cryptocontent.content.documents import Source
from cryptocontent.content.rules import Rules
from cryptocontent.storage.database import batched
from cryptocontent.storage.models import Citation, MarketFact, Passage, Reference, Research, Version

_SERIES = ("project_id", "asset_id", "metric", "unit")


@dataclass(frozen=True, slots=True)
class Target:
    """What one number points at: a passage as it stands in a revision, or a market fact."""

    passage_id: str | None = None
    reference_id: str | None = None
    revision_id: str | None = None
    market_fact_id: str | None = None

    @property
    def id(self) -> str:
        """The passage's or fact's id."""
        return self.passage_id or self.market_fact_id or ""


@dataclass(frozen=True, slots=True)
class Known:
    """A target with what is known of it."""

    target: Target
    cited: CitedSource
    footnote: Source


def targets_of(session: Session, version: Version) -> dict[int, Target]:
    """Everything that a version may cite, by number: its research, then its own citations."""
    found: dict[int, Target] = {}
    research_id = version.provenance.get("research")
    research = session.get(Research, research_id) if research_id else None
    if research is not None:
        for number, item in enumerate(research.passages, 1):
            found[number] = Target(item["passage_id"], item["reference_id"], item["revision_id"])
        for number, fact_id in enumerate(research.facts, len(research.passages) + 1):
            found[number] = Target(market_fact_id=fact_id)
    for citation in session.scalars(select(Citation).filter_by(version_id=version.id)):
        found[citation.number] = Target(
            citation.passage_id, citation.reference_id, citation.revision_id, citation.market_fact_id
        )
    return found


def known_sources(session: Session, targets: Mapping[int, Target], rules: Rules) -> dict[int, Known]:
    """The targets with their texts, in a handful of queries."""
    passages = _passages(session, {target.passage_id for target in targets.values() if target.passage_id})
    facts = known_facts(
        session, {target.market_fact_id for target in targets.values() if target.market_fact_id}
    )
    found: dict[int, Known] = {}
    for number, target in sorted(targets.items()):
        if target.passage_id in passages:
            passage, reference = passages[target.passage_id]
            found[number] = Known(
                target,
                CitedSource(
                    number=number,
                    id=passage.id,
                    title=reference.title,
                    text=passage.text,
                    reference_id=reference.id,
                    url=reference.url,
                    licence=reference.licence,
                    status=reference.status,  # type: ignore[arg-type]
                ),
                Source(
                    number, reference.title, tuple(passage.heading_path), reference.url, reference.licence
                ),
            )
        elif target.market_fact_id in facts:
            fact = facts[target.market_fact_id]
            cited = fact_source(number, fact, rules)
            found[number] = Known(target, cited, Source(number, cited.title, (cited.text,)))
    return found


def _passages(session: Session, ids: Iterable[str]) -> dict[str, tuple[Passage, Reference]]:
    found: dict[str, tuple[Passage, Reference]] = {}
    for some in batched(sorted(ids), 500):
        rows = session.execute(
            select(Passage, Reference)
            .join(Reference, Reference.id == Passage.reference_id)
            .where(Passage.id.in_(some))
        )
        found |= {passage.id: (passage, reference) for passage, reference in rows}
    return found


def known_facts(session: Session, ids: Iterable[str]) -> dict[str, Fact]:
    """The facts, each with the newest one of its asset, metric and unit."""
    rows = [
        row
        for some in batched(sorted(ids), 500)
        for row in session.scalars(select(MarketFact).where(MarketFact.id.in_(some)))
    ]
    newest = _newest(session, rows)
    return {
        row.id: Fact(
            row.id, row.asset_id, row.metric, row.value, row.unit, row.source, row.as_of,
            *newest[row.id],
        )
        for row in rows
    }  # fmt: skip


def _newest(session: Session, rows: Sequence[MarketFact]) -> dict[str, tuple[float, datetime]]:
    """The value and time of the newest fact of the asset, metric and unit of each of these, by its id: of the
    same source where that has a newer one, so that two sources which differ are no movement; else of any. Of
    several sources' facts of one instant the source first in the alphabet counts."""
    later = aliased(MarketFact)
    same = [getattr(later, name) == getattr(MarketFact, name) for name in _SERIES]
    own = later.source == MarketFact.source
    # By the index to the last of each series, however long it is.
    order = (later.as_of.desc(), later.source, later.id)
    last = select(later.id).where(*same).order_by(*order).limit(1).correlate(MarketFact).scalar_subquery()
    last_own = (
        select(later.id).where(*same, own).order_by(*order).limit(1).correlate(MarketFact).scalar_subquery()
    )
    found: dict[str, tuple[float, datetime]] = {}
    for some in batched(rows, 300):
        query = select(MarketFact.id, last, last_own).where(MarketFact.id.in_([row.id for row in some]))
        newest_of = {fact: (newer, own_newer) for fact, newer, own_newer in session.execute(query).tuples()}
        wanted = {fact for pair in newest_of.values() for fact in pair}
        facts = select(MarketFact).where(MarketFact.id.in_(wanted))
        known = {row.id: (row.value, row.as_of) for row in session.scalars(facts)}
        for row in some:
            newer, own_newer = newest_of[row.id]
            found[row.id] = known[newer if own_newer == row.id else own_newer]
    return found


def fact_source(number: int, fact: Fact, rules: Rules) -> CitedSource:
    """A market fact as a source: its text is the sentence that says it."""
    name = next((asset.name for asset in rules.assets.assets if asset.id == fact.asset_id), fact.asset_id)
    return CitedSource(
        number=number,
        id=fact.id,
        title=f"{fact.source}: {name}",
        text=fact_statement(fact, name),
        fact=fact,
    )


def fact_statement(fact: Fact | MarketFact, name: str) -> str:
    """The sentence that says a market fact, for footnotes and for the writer."""
    what = (
        fact.metric.replace("_24h", " over 24 hours").replace("_", " ").replace("tvl", "total value locked")
    )
    exact = f"{Decimal(repr(fact.value)):,f}"  # as it was given: some coins cost 0.0000000012 USD
    value = exact.rstrip("0").rstrip(".") if "." in exact else exact
    moment = f"{fact.as_of.day} {fact.as_of:%B %Y} at {fact.as_of:%H:%M} UTC"
    return f"The {what} of {name} was {value} {fact.unit} on {moment}, according to {fact.source}."
