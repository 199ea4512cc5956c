"""What of an article's current version is behind: sources and market facts with a newer state than it cites.

- A passage that the newest revision of its reference has no longer, or a reference that was withdrawn. (One
  that was recalled reopens its articles at once: `knowledge.recall`.)
- A market fact that has moved by more than `price_max_drift` of the project's limits, or a price older than
  `price_max_age_hours` of which a newer one is known. A sentence that names the day of a number tells
  history, which is never behind. Rule and numbers are those of the check `price.stale`.

All is asked by set: the number of queries does not depend on how many articles there are.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session

from cryptocontent.content.checks.numbers import current_facts, drift, is_old
from cryptocontent.content.checks.subject import Fact, Subject
from cryptocontent.content.rules import Rules
from cryptocontent.content.sources import fact_source, known_facts
from cryptocontent.content.templates import Outline, WordRange
from cryptocontent.storage.models import (
    Article,
    Citation,
    Passage,
    Reference,
    ReferenceRevision,
    RevisionPassage,
    Version,
)

_EXCERPT = 200
_MOST_STEPS = 12
# Whether a sentence tells history does not depend on what the brief asked for.
_ANY = Outline(
    title="",
    language="en",
    tone="",
    audience="",
    jurisdictions=(),
    words=WordRange(min=0, max=1),
    sections=(),
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an article is behind. `kind`: source_changed | source_withdrawn | fact_moved | fact_old. `source`
    is the reference's title or what the fact measures; `then` what is cited, `now` what is known, `since`
    when (ISO 8601). `numbers` are the footnotes; `keys` identify the newer state: one that is further on has
    all of these and others. `fact` is the cited fact's id, if it is one."""

    kind: str
    source: str
    then: str
    now: str
    since: str
    numbers: tuple[int, ...]
    keys: tuple[str, ...]
    fact: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the table."""
        return asdict(self) | {"numbers": list(self.numbers), "keys": list(self.keys)}


class Staleness:
    """Finds the reasons of many articles; keeps the facts and rules that it read, for one pass."""

    def __init__(self, rules_of: Callable[[Session, str], Rules], now: datetime) -> None:
        self.rules_of, self.now = rules_of, now
        self._facts: dict[str, Fact] = {}
        self._rules: dict[str, Rules] = {}

    def reasons(self, session: Session, articles: Sequence[Article]) -> dict[str, list[Reason]]:
        """The reasons of the articles that are behind, by article id. Facts that are told as history are
        among them (`without_history`)."""
        found: dict[str, list[Reason]] = {}
        by_id = {article.id: article for article in articles}
        for article_id, reason in _behind_sources(session, list(by_id)):
            found.setdefault(article_id, []).append(reason)
        cited = _cited_facts(session, list(by_id))
        unknown = {fact for facts in cited.values() for fact in facts} - self._facts.keys()
        self._facts |= known_facts(session, unknown)
        for article_id, facts in cited.items():
            rules = self._rules_of(session, by_id[article_id].project_id)
            for fact_id, numbers in facts.items():
                behind = _of_fact(self._facts[fact_id], numbers, rules, self.now)
                if behind is not None:
                    found.setdefault(article_id, []).append(behind)
        return found

    def without_history(self, session: Session, article: Article, reasons: Sequence[Reason]) -> list[Reason]:
        """The reasons without facts that no sentence states as of now. It reads the text: ask it of what is
        about to be proposed."""
        facts = {number: self._facts[one.fact] for one in reasons if one.fact for number in one.numbers}
        if not facts:
            return list(reasons)
        rules = self._rules_of(session, article.project_id)
        markdown = session.scalar(select(Version.markdown).filter_by(id=article.version_id)) or ""
        subject = Subject(
            markdown=_citing(markdown, facts),
            outline=_ANY,
            rules=rules,
            now=self.now,
            sources={number: fact_source(number, fact, rules) for number, fact in facts.items()},
        )
        current = current_facts(subject)
        return [one for one in reasons if not one.fact or one.fact in current]

    def _rules_of(self, session: Session, project_id: str) -> Rules:
        if project_id not in self._rules:
            self._rules[project_id] = self.rules_of(session, project_id)
        return self._rules[project_id]


def _behind_sources(session: Session, article_ids: Sequence[str]) -> Iterator[tuple[str, Reason]]:
    """Each article's references that no longer say what it cites."""
    still_there = exists().where(
        RevisionPassage.revision_id == Reference.revision_id,
        RevisionPassage.passage_id == Citation.passage_id,
    )
    changed = and_(
        Reference.status == "active",
        Reference.revision_id != Citation.revision_id,
        Citation.passage_id.is_not(None),
        ~still_there,
    )
    rows = session.execute(
        select(
            Article.id,
            Citation.number,
            Reference,
            ReferenceRevision,
            func.substr(Passage.text, 1, _EXCERPT + 1),
        )
        .join(Citation, Citation.version_id == Article.version_id)
        .join(Reference, Reference.id == Citation.reference_id)
        .outerjoin(ReferenceRevision, ReferenceRevision.id == Reference.revision_id)
        .outerjoin(Passage, Passage.id == Citation.passage_id)
        .where(Article.id.in_(article_ids), or_(Reference.status == "withdrawn", changed))
        .order_by(Article.id, Reference.id, Citation.number)
    ).tuples()
    grouped: dict[tuple[str, str], list[tuple[int, Reference, ReferenceRevision | None, str | None]]] = {}
    for article_id, number, reference, revision, text in rows:
        grouped.setdefault((article_id, reference.id), []).append((number, reference, revision, text))
    for (article_id, _), cited in grouped.items():
        numbers = tuple(number for number, *_ in cited)
        _, reference, revision, text = cited[0]
        yield article_id, _of_reference(reference, revision, _cut(text or ""), numbers)


def _of_reference(
    reference: Reference, revision: ReferenceRevision | None, text: str, numbers: tuple[int, ...]
) -> Reason:
    if reference.status == "withdrawn" or revision is None:
        since, now = reference.updated_at, "the source was withdrawn"
        key, kind = f"withdrawn:{reference.id}", "source_withdrawn"
    else:
        since, now = revision.fetched_at, f"revision {revision.number} no longer says so"
        key, kind = f"revision:{revision.id}", "source_changed"
    return Reason(kind, reference.title, text, now, since.isoformat(timespec="seconds"), numbers, (key,))


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 1]}…"


def _cited_facts(session: Session, article_ids: Sequence[str]) -> dict[str, dict[str, tuple[int, ...]]]:
    """Which facts each article cites, with the numbers of the footnotes."""
    rows = session.execute(
        select(Article.id, Citation.market_fact_id, Citation.number)
        .join(Citation, Citation.version_id == Article.version_id)
        .where(Article.id.in_(article_ids), Citation.market_fact_id.is_not(None))
        .order_by(Article.id, Citation.number)
    ).tuples()
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for article_id, fact_id, number in rows:
        facts = found.setdefault(article_id, {})
        facts[str(fact_id)] = (*facts.get(str(fact_id), ()), number)
    return found


def _of_fact(fact: Fact, numbers: tuple[int, ...], rules: Rules, now: datetime) -> Reason | None:
    """A fact that has moved, or an old price of which a newer one is known. A newer state is one whose
    distance has doubled (5, 10, 20 %), not each tick of the market."""
    if fact.newest_as_of <= fact.as_of:
        return None
    old = fact.metric == "price" and is_old(fact, rules.limits, now)
    moved, limit = drift(fact), rules.limits.price_max_drift
    if not old and abs(moved) <= limit:
        return None
    keys = [f"old:{fact.id}"] if old else []
    if abs(moved) > limit:
        steps = min(1 + int(math.log2(abs(moved) / limit)), _MOST_STEPS)
        keys += [f"moved:{fact.id}:{'up' if moved > 0 else 'down'}:{step}" for step in range(1, steps + 1)]
    name = next((one.name for one in rules.assets.assets if one.id == fact.asset_id), fact.asset_id)
    return Reason(
        "fact_moved" if abs(moved) > limit else "fact_old",
        f"{name}: {fact.metric.replace('_', ' ')}",
        _stated(fact.value, fact.unit, fact.as_of),
        _stated(fact.newest_value, fact.unit, fact.newest_as_of),
        fact.newest_as_of.isoformat(timespec="seconds"),
        numbers,
        tuple(keys),
        fact.id,
    )


def _stated(value: float, unit: str, at: datetime) -> str:
    return f"{value:,.8g} {unit} on {at.day} {at:%B %Y} at {at:%H:%M} UTC"


def _citing(markdown: str, numbers: Collection[int] | Mapping[int, Any]) -> str:
    """The blocks of a text that bear one of the markers: the others need not be read."""
    marker = re.compile(rf"\[\^(?:{'|'.join(map(str, sorted(numbers)))})\](?!:)")
    return "\n\n".join(block for block in re.split(r"\n\s*\n", markdown) if marker.search(block))
