"""Refreshes: articles that are behind their sources (`content.staleness`), proposed to people, once each.

    open ─► accepted (a generation writes the article anew) | dismissed | outdated (its cause is gone)

A newer state is known by its keys. What a person dismissed or accepted is proposed again only when something
is newer still, or when the generation came to nothing. An article has at most one open proposal; it follows
the newest state. Nothing is written anew without a person.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, Change, lock, record, record_all
from cryptocontent.content.generations import ENDED, request_generation
from cryptocontent.content.rules import load_rules
from cryptocontent.content.staleness import Reason, Staleness
from cryptocontent.content.text import content_hash
from cryptocontent.errors import NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.storage.database import batched, pairs, reading, writing
from cryptocontent.storage.models import (
    Article,
    Event,
    Generation,
    GenerationBrief,
    RefreshProposal,
    Version,
)
from cryptocontent.storage.types import utc_now

ARTICLES_AT_ONCE = 500
STATUSES = ("open", "accepted", "dismissed", "outdated")
_UNDER_WAY = ("held", "queued", "waiting")
_BY = Actor("sensor", "stale_content")
_PHASES = ("published", "others")


@dataclass(slots=True)
class Looked:
    """What a look did: how many articles it went through; new proposals, as slugs by project; how many became
    outdated. `cursor` is where to go on; empty when all articles were looked at."""

    articles: int = 0
    proposed: dict[str, list[str]] = field(default_factory=dict)
    outdated: int = 0
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to happen with an article's proposals: `propose` a new one; `renew` a known one (it is open
    afterwards, with today's reasons); `outdate` one."""

    do: Literal["propose", "renew", "outdate"]
    row: RefreshProposal | None = None


def decide(
    reasons: Sequence[Reason],
    version_id: str,
    rows: Sequence[RefreshProposal],
    in_vain: Collection[str] = (),
) -> list[Step]:
    """What follows from why an article is behind now, and from its proposals so far. `in_vain` are the ids of
    generations that failed or were cancelled."""
    keys = _keys(one.as_json() for one in reasons)
    standing = next((row for row in rows if row.status == "open"), None)
    settled = _keys(
        reason
        for row in rows
        if row.status == "dismissed" or (row.status == "accepted" and row.generation_id not in in_vain)
        for reason in row.reasons
    )
    if keys <= settled:
        return [Step("outdate", standing)] if standing else []
    same = next((row for row in rows if row.fingerprint == _fingerprint(keys)), None)
    if same is None:
        return [Step("renew", standing)] if standing else [Step("propose")]
    if same is standing:
        return [Step("renew", same)] if same.version_id != version_id else []
    return [*([Step("outdate", standing)] if standing else []), Step("renew", same)]


def _keys(reasons: Any) -> set[str]:
    return {key for reason in reasons for key in reason["keys"]}


def _fingerprint(keys: Collection[str]) -> str:
    return content_hash(sorted(keys))


def look(engine: Engine, cursor: str = "", *, seconds: float, now: datetime | None = None) -> Looked:
    """Go through the articles, published ones first, for about so many seconds; propose what is behind, and
    outdate what no longer is. Articles that a generation is at work on are passed over."""
    deadline = time.monotonic() + seconds
    looked, staleness = Looked(cursor=cursor), Staleness(load_rules, now or utc_now())
    phase, _, after = cursor.partition(":") if cursor else (_PHASES[0], "", "")
    while True:
        with reading(engine) as session:
            page = _page(session, phase, after)
            behind = _behind(session, page, staleness)
        if behind:
            with writing(engine) as session:
                _apply(session, behind, looked)
        looked.articles += len(page)
        if len(page) == ARTICLES_AT_ONCE:
            after = page[-1].id
        elif phase == _PHASES[0]:
            phase, after = _PHASES[1], ""
        else:
            looked.cursor = ""
            return looked
        looked.cursor = f"{phase}:{after}"
        if time.monotonic() > deadline:
            return looked


def _page(session: Session, phase: str, after: str) -> list[Article]:
    """The next articles in the order of their ids."""
    live = Article.published_version_id.is_not(None)
    query = select(Article).where(
        live if phase == _PHASES[0] else ~live, Article.version_id.is_not(None), Article.id > after
    )
    return list(session.scalars(query.order_by(Article.id).limit(ARTICLES_AT_ONCE)))


def _behind(
    session: Session, page: Sequence[Article], staleness: Staleness
) -> list[tuple[Article, list[Reason]]]:
    """The articles of a page of whose proposals one is to be made or changed, with the reasons."""
    busy = _busy(session, [article.brief_id for article in page])
    idle = [article for article in page if article.brief_id not in busy]
    living = [article for article in idle if article.status != "archived"]
    reasons = staleness.reasons(session, living)
    rows = _proposals(session, [article.id for article in idle])
    in_vain = _in_vain(session, rows)
    found = []
    for article in idle:
        mine, version_id = rows.get(article.id, []), article.version_id or ""
        why = reasons.get(article.id, [])
        if decide(why, version_id, mine, in_vain):
            why = staleness.without_history(session, article, why)
            if decide(why, version_id, mine, in_vain):
                found.append((article, why))
    return found


def _busy(session: Session, brief_ids: Sequence[str]) -> set[str]:
    """The briefs that a generation is at work on."""
    query = (
        select(GenerationBrief.brief_id)
        .join(Generation, Generation.id == GenerationBrief.generation_id)
        .where(
            GenerationBrief.brief_id.in_(brief_ids),
            GenerationBrief.status.in_(_UNDER_WAY),
            Generation.status.not_in(ENDED),
        )
    )
    return set(session.scalars(query))


def _proposals(session: Session, article_ids: Sequence[str]) -> dict[str, list[RefreshProposal]]:
    found: dict[str, list[RefreshProposal]] = {}
    for some in batched(article_ids, 500):
        query = select(RefreshProposal).where(RefreshProposal.article_id.in_(some))
        for row in session.scalars(query.order_by(RefreshProposal.id)):
            found.setdefault(row.article_id, []).append(row)
    return found


def _in_vain(session: Session, rows: dict[str, list[RefreshProposal]]) -> set[str]:
    """Of the generations of accepted proposals, those that failed or were cancelled for their brief."""
    ids = {row.generation_id for mine in rows.values() for row in mine if row.generation_id}
    return {
        generation
        for some in batched(sorted(ids), 500)
        for generation in session.scalars(
            select(GenerationBrief.generation_id).where(
                GenerationBrief.generation_id.in_(some), GenerationBrief.status.in_(("failed", "cancelled"))
            )
        )
    }


def _apply(session: Session, behind: Sequence[tuple[Article, list[Reason]]], looked: Looked) -> None:
    """Make and change proposals, decided again under the projects' locks: others may have been faster."""
    for project_id in sorted({article.project_id for article, _ in behind}):
        lock(session, project_id)
    rows = _proposals(session, [article.id for article, _ in behind])
    in_vain = _in_vain(session, rows)
    ids = [article.id for article, _ in behind]
    current = pairs(session.execute(select(Article.id, Article.version_id).where(Article.id.in_(ids))))
    changes: dict[str, list[Change]] = {}
    for article, reasons in behind:
        if current.get(article.id) != article.version_id:
            continue
        for step in decide(reasons, article.version_id or "", rows.get(article.id, []), in_vain):
            change = _take(session, article, reasons, step)
            changes.setdefault(article.project_id, []).append(change)
            if change.action == "refresh.proposed":
                looked.proposed.setdefault(article.project_id, []).append(article.slug)
            looked.outdated += step.do == "outdate"
    session.flush()
    for project_id, entries in sorted(changes.items()):
        record_all(session, project_id, entries)


def _take(session: Session, article: Article, reasons: Sequence[Reason], step: Step) -> Change:
    subject = f"article:{article.id}"
    if step.do == "outdate":
        assert step.row is not None  # noqa: S101
        step.row.status, step.row.decided_at = "outdated", utc_now()
        return Change(_BY, "refresh.outdated", subject, {"proposal": step.row.id})
    row, was_open = step.row, bool(step.row and step.row.status == "open")
    if row is None:
        row = RefreshProposal(project_id=article.project_id, article_id=article.id)
        session.add(row)
    row.version_id, row.status = article.version_id or "", "open"
    row.reasons = [one.as_json() for one in reasons]
    row.fingerprint = _fingerprint(_keys(row.reasons))
    if not was_open:
        row.decided_by = row.decided_at = row.generation_id = None
    session.flush()
    why = [{"kind": one.kind, "source": one.source, "then": one.then, "now": one.now} for one in reasons]
    if not was_open:
        data = {"proposal": row.id, "reasons": why[:20]}
        session.add(Event(project_id=article.project_id, subject=subject, kind="refresh_proposed", data=data))
    change = {"proposal": row.id, "version": article.version_id, "reasons": why}
    return Change(_BY, "refresh.changed" if was_open else "refresh.proposed", subject, change)


def open_counts(session: Session) -> dict[str, int]:
    """How many proposals are open, by project."""
    query = select(RefreshProposal.project_id, func.count()).filter_by(status="open")
    return pairs(session.execute(query.group_by(RefreshProposal.project_id)))


def list_proposals(session: Session, project_id: str, status: str | None = "open") -> list[dict[str, Any]]:
    """The project's proposals, the oldest first, those of published articles before others. `by_person`: the
    current text is a person's, and stays the current one whatever a generation writes."""
    if status is not None and status not in STATUSES:
        raise Refused(f"status {status!r}: allowed are {', '.join(STATUSES)}")
    query = (
        select(RefreshProposal, Article, Version.author_kind)
        .join(Article, Article.id == RefreshProposal.article_id)
        .join(Version, Version.id == Article.version_id)
        .where(RefreshProposal.project_id == project_id)
        .order_by(Article.published_version_id.is_(None), RefreshProposal.id)
    )
    if status:
        query = query.where(RefreshProposal.status == status)
    return [
        {
            "id": row.id,
            "article": article.slug,
            "title": article.title,
            "published": article.published_version_id is not None,
            "by_person": kind == "person",
            "status": row.status,
            "reasons": row.reasons,
            "decided_by": row.decided_by,
            "generation": row.generation_id,
            "created_at": row.created_at.isoformat(timespec="seconds"),
        }
        for row, article, kind in session.execute(query).tuples()
    ]


def accept(
    session: Session, project_id: str, proposal_id: int, by: Person, *, runner: str = "dagster"
) -> tuple[str, str]:
    """Have the article written anew from what is known now; returns the generation's id and the brief's.
    What readers see stays until somebody approves and publishes the new text, and a person's text stays the
    current one (docs/review.md)."""
    by.require("write")
    row, article = _open(session, project_id, proposal_id)
    if article.status == "archived":
        raise Refused(f"article {article.slug!r} is archived: reopen it first")
    if article.version_id != row.version_id:
        raise Refused(
            f"article {article.slug!r} has a newer version than proposal {row.id} is about: "
            "look again (`cryptocontent refresh look`)"
        )
    if _busy(session, [article.brief_id]):
        raise Refused(
            f"a generation is at work on article {article.slug!r} (`cryptocontent generation list`)"
        )
    generation = request_generation(
        session, project_id, [article.brief_id], by.actor, batch_size=1, runner=runner, newest_facts=True
    )
    _decided(session, row, "accepted", by, {"generation": generation})
    row.generation_id = generation
    session.flush()
    return generation, article.brief_id


def dismiss(session: Session, project_id: str, proposal_id: int, reason: str, by: Person) -> None:
    """Let the article be as it is, with the reason. It is proposed again when something is newer still."""
    by.require("review")
    if not reason.strip():
        raise Refused("reason '': say why the article may stay as it is")
    row, _ = _open(session, project_id, proposal_id)
    _decided(session, row, "dismissed", by, {"reason": reason.strip()})


def _open(session: Session, project_id: str, proposal_id: int) -> tuple[RefreshProposal, Article]:
    row = session.get(RefreshProposal, proposal_id)
    if row is None or row.project_id != project_id:
        raise NotFound(f"no proposal {proposal_id} in project {project_id!r} (`cryptocontent refresh list`)")
    lock(session, project_id)
    session.refresh(row)
    if row.status != "open":
        who = f" by {row.decided_by}" if row.decided_by else ""
        raise Refused(f"proposal {proposal_id} is {row.status}{who}: only an open one can be decided")
    return row, session.get_one(Article, row.article_id, populate_existing=True)


def _decided(session: Session, row: RefreshProposal, status: str, by: Person, data: dict[str, Any]) -> None:
    row.status, row.decided_by, row.decided_at = status, by.name, utc_now()
    session.flush()
    change = {"proposal": row.id, "version": row.version_id, **data}
    record(session, row.project_id, by.actor, f"refresh.{status}", f"article:{row.article_id}", change)
