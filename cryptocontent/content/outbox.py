"""The outbox: which targets have to hear of a publication or a withdrawal.

Rows only, written in the transaction that decides; the room `publishing` delivers them. Of an article's
versions at one target only the newest waits: those before it are superseded.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor
from cryptocontent.storage.models import Article, Publication, PublishingTarget, Version

FILES = "files"
"""The target that every project has: a folder of its exports."""


def targets_of_project(session: Session, project_id: str) -> list[str]:
    """The names of the targets that a publication goes to now."""
    query = select(PublishingTarget.name).filter_by(project_id=project_id, enabled=True)
    return [FILES, *session.scalars(query.order_by(PublishingTarget.name))]


def hand_out(
    session: Session,
    article: Article,
    version_id: str,
    actor: Actor,
    now: datetime,
    *,
    targets: Collection[str],
    again: bool = False,
) -> None:
    """Ask for the delivery of a version to these targets. What was delivered is left alone, unless it is to
    be handed out `again`."""
    rows = list(session.scalars(select(Publication).filter_by(article_id=article.id)))
    own = {row.target: row for row in rows if row.version_id == version_id}
    for name in targets:
        row = own.get(name)
        if row is None:
            session.add(
                Publication(
                    article_id=article.id,
                    version_id=version_id,
                    target=name,
                    author=str(actor),
                    created_at=now,
                )
            )
        elif again or row.status != "delivered":
            wait(row, "pending")
    for row in rows:
        if row.version_id != version_id and row.status in ("pending", "failed", "withdrawing"):
            row.status = "superseded"


def take_back(session: Session, article: Article) -> None:
    """Ask for the withdrawal of an article wherever any version of it may be: also where a delivery failed,
    as it may have gone through without our knowledge."""
    query = select(Publication).join(Version, Version.id == Publication.version_id)
    rows = session.scalars(query.where(Publication.article_id == article.id).order_by(Version.number.desc()))
    settled: set[str] = set()
    for row in rows:
        if row.target in settled:
            if row.status in ("pending", "failed", "withdrawing"):
                row.status = "superseded"
        elif row.status == "withdrawn":
            settled.add(row.target)
        elif row.attempts or row.status in ("delivered", "withdrawing"):
            wait(row, "withdrawing")
            settled.add(row.target)
        elif row.status == "pending":
            row.status = "superseded"


def wait(row: Publication, status: str) -> None:
    """Have a row delivered (`pending`) or withdrawn (`withdrawing`) as soon as possible. A process that is at
    it keeps its lease. One try is left on the count: what was tried may be at its target."""
    row.status, row.error, row.not_before, row.attempts = status, "", None, 1
