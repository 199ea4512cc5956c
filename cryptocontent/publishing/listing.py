"""Publications for people: what went where, what waits, trying again, handing out what is live already."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from cryptocontent.audit import lock, record
from cryptocontent.content.outbox import FILES, hand_out, wait
from cryptocontent.errors import Refused
from cryptocontent.identity import Person
from cryptocontent.publishing.registry import find_target
from cryptocontent.storage.models import Article, Publication, PublishingTarget, Version
from cryptocontent.storage.types import utc_now

STATUSES = ("pending", "delivered", "failed", "superseded", "withdrawing", "withdrawn")


def list_publications(
    session: Session,
    project_id: str,
    *,
    article_id: str | None = None,
    statuses: Collection[str] = (),
    every: bool = False,
    limit: int = 200,
) -> list[dict[str, Any]]:
    """The newest publication of each article at each target, the newest first; with `every`, earlier versions
    too."""
    if unknown := [one for one in statuses if one not in STATUSES]:
        raise Refused(f"status {unknown[0]!r}: allowed are {', '.join(STATUSES)}")
    query = (
        select(Publication, Article.slug, Version.number, PublishingTarget.enabled)
        .join(Article, Article.id == Publication.article_id)
        .join(Version, Version.id == Publication.version_id)
        .outerjoin(
            PublishingTarget,
            and_(
                PublishingTarget.project_id == Article.project_id, PublishingTarget.name == Publication.target
            ),
        )
        .where(Article.project_id == project_id)
        .order_by(Publication.created_at.desc(), Article.slug, Version.number.desc(), Publication.target)
    )
    if article_id is not None:
        query = query.where(Publication.article_id == article_id)
    seen: set[tuple[str, str]] = set()
    rows = []
    for row, slug, number, enabled in session.execute(query).tuples():
        earlier = (row.article_id, row.target) in seen
        seen.add((row.article_id, row.target))
        if (earlier and not every) or (statuses and row.status not in statuses):
            continue
        rows.append(_values(row, slug, number, row.target == FILES or bool(enabled)))
        if len(rows) == limit:
            break
    return rows


def _values(row: Publication, slug: str, number: int, enabled: bool) -> dict[str, Any]:
    waits = row.status in ("pending", "withdrawing")
    return {
        "article": slug,
        "article_id": row.article_id,
        "version": number,
        "version_id": row.version_id,
        "target": row.target,
        "status": row.status,
        "state": row.details.get("state", ""),
        "url": row.url,
        "external_id": row.external_id,
        "attempts": row.attempts,
        "error": row.error or ("the target is disabled" if waits and not enabled else ""),
        "again_at": row.not_before.isoformat(timespec="seconds") if waits and row.not_before else None,
        "author": row.author,
        "created_at": row.created_at.isoformat(timespec="seconds"),
        "delivered_at": row.delivered_at.isoformat(timespec="seconds") if row.delivered_at else None,
        "notes": row.details.get("notes") or [],
    }


def retry(
    session: Session, project_id: str, by: Person, *, article_id: str | None = None, target: str | None = None
) -> int:
    """Have what failed, or waits for its next try, tried at once; returns how many publications that are."""
    by.require("review")
    lock(session, project_id)
    query = select(Publication, Article).join(Article, Article.id == Publication.article_id)
    query = query.where(
        Article.project_id == project_id, Publication.status.in_(("failed", "pending", "withdrawing"))
    )
    if article_id is not None:
        query = query.where(Publication.article_id == article_id)
    if target is not None:
        query = query.where(Publication.target == target)
    count = 0
    for row, article in session.execute(query).tuples():
        before, now = row.status, row.status
        if before == "failed":
            now = "pending" if article.published_version_id == row.version_id else "withdrawing"
            if article.published_version_id not in (None, row.version_id):
                row.status = "superseded"
                continue
        elif row.not_before is None:
            continue
        wait(row, now)
        count += 1
        data = {"version": row.version_id, "target": row.target, "status": [before, now]}
        record(session, project_id, by.actor, "publication.retried", f"article:{article.id}", data)
    return count


def send(session: Session, project_id: str, target: str, articles: Sequence[Article], by: Person) -> int:
    """Hand what is live of these articles to one target: to one that was added after their publication, or
    again to one whose settings changed. Returns how many; `Refused` names an article that is not live."""
    by.require("review")
    if target != FILES:
        find_target(session, project_id, target)
    lock(session, project_id)
    now = utc_now()
    for article in articles:
        session.refresh(article)
        if article.published_version_id is None:
            raise Refused(f"article {article.slug!r} is {article.status}, and no version of it is live")
        version = article.published_version_id
        hand_out(session, article, version, by.actor, now, targets=[target], again=True)
        data = {"version": version, "target": target}
        record(session, project_id, by.actor, "publication.sent", f"article:{article.id}", data)
    return len(articles)


def live_articles(session: Session, project_id: str) -> list[Article]:
    """The articles of which a version is live."""
    query = select(Article).where(Article.project_id == project_id, Article.published_version_id.is_not(None))
    return list(session.scalars(query.order_by(Article.published_at, Article.id)))
