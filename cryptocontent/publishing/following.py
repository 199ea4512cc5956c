"""Following deliveries that people still decide about: whether a pull request was merged or closed.

A row that may still change bears in `not_before` when it is asked about next. The time is set before the
target is asked, so that two processes ask once, and one that dies asks later.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, and_, select, tuple_, update

from cryptocontent.alerts import scrubbed
from cryptocontent.audit import Actor, lock
from cryptocontent.errors import Refused
from cryptocontent.publishing.outcomes import FOLLOWED, Outcome, Place, outcome_of, tell
from cryptocontent.publishing.targets import open_target
from cryptocontent.publishing.targets.seam import Delivered, TryLater
from cryptocontent.settings import Settings
from cryptocontent.storage.database import reading, writing
from cryptocontent.storage.models import Article, Publication, PublishingTarget
from cryptocontent.storage.types import utc_now

log = logging.getLogger(__name__)

_SHORTEST, _LONGEST = timedelta(minutes=2), timedelta(hours=6)
_KEPT = timedelta(days=60)
_PAUSE_ON_ERROR = timedelta(minutes=15)
_OVER = ("delivered", "withdrawn")


def pause(age: timedelta) -> timedelta | None:
    """When a delivery of that age is asked about again: new ones every few minutes, old ones less often;
    `None`: no more."""
    return None if age > _KEPT else min(max(age / 8, _SHORTEST), _LONGEST)


def follow(
    engine: Engine,
    settings: Settings,
    *,
    actor: Actor,
    project_id: str | None = None,
    seconds: float = 20.0,
    limit: int = 50,
) -> list[Outcome]:
    """Ask what has become of deliveries that may still change, those first that wait longest; none is begun
    after `seconds`. Returns what changed. A target that does not answer is left alone for a while."""
    deadline = time.monotonic() + seconds
    changed: list[Outcome] = []
    unheard: set[str] = set()
    for row, project, kind, config in _due(engine, project_id, limit):
        if time.monotonic() > deadline:
            break
        if kind in unheard or not _claim(engine, row):
            continue
        target = open_target(kind)
        if target.off(settings):
            continue
        try:
            before = Delivered(row.external_id, row.url, row.details)
            now = target.follow(settings, target.check(config), before)
        except TryLater as error:
            unheard.add(kind)
            _let_rest(engine, kind, error.seconds)
            continue
        except Refused as error:
            log.warning("%s at %s: %s", row.article_id, row.target, scrubbed(str(error), settings))
            continue
        except Exception as error:
            log.warning(
                "following %s: %s", row.target, scrubbed(f"{type(error).__name__}: {error}", settings)
            )
            continue
        if now is not None and (outcome := _keep(engine, row, project, kind, now, actor)):
            changed.append(outcome)
    return changed


def _due(
    engine: Engine, project_id: str | None, limit: int
) -> list[tuple[Publication, str, str, dict[str, Any]]]:
    query = (
        select(Publication, Article.project_id, PublishingTarget.kind, PublishingTarget.config)
        .join(Article, Article.id == Publication.article_id)
        .join(
            PublishingTarget,
            and_(
                PublishingTarget.project_id == Article.project_id, PublishingTarget.name == Publication.target
            ),
        )
        .where(Publication.status.in_(_OVER), Publication.not_before <= utc_now(), PublishingTarget.enabled)
        .order_by(Publication.not_before)
        .limit(limit)
    )
    if project_id is not None:
        query = query.where(Article.project_id == project_id)
    with reading(engine) as session:
        return [tuple(row) for row in session.execute(query)]


def _key(row: Publication) -> dict[str, str]:
    return {"article_id": row.article_id, "version_id": row.version_id, "target": row.target}


def _claim(engine: Engine, row: Publication) -> bool:
    """Set when it is asked about next; `False` if another process has."""
    now = utc_now()
    wait = pause(now - (row.delivered_at or row.created_at))
    later: datetime | None = now + wait if wait else None
    statement = update(Publication).filter_by(**_key(row), not_before=row.not_before, status=row.status)
    with writing(engine) as session:
        return bool(session.execute(statement.values(not_before=later)).rowcount)  # type: ignore[attr-defined]


def _let_rest(engine: Engine, kind: str, seconds: float | None) -> None:
    until = utc_now() + (timedelta(seconds=seconds) if seconds else _PAUSE_ON_ERROR)
    same = select(PublishingTarget.project_id, PublishingTarget.name).filter_by(kind=kind)
    of_project = select(Article.project_id).where(Article.id == Publication.article_id).scalar_subquery()
    statement = update(Publication).where(
        Publication.status.in_(_OVER),
        Publication.not_before < until,
        tuple_(of_project, Publication.target).in_(same),
    )
    with writing(engine) as session:
        session.execute(statement.values(not_before=until), execution_options={"synchronize_session": False})


def _keep(
    engine: Engine, row: Publication, project_id: str, kind: str, now: Delivered, actor: Actor
) -> Outcome | None:
    """Write what the target says. People are told if the state or the address is another."""
    with writing(engine) as session:
        lock(session, project_id)
        current = session.scalars(select(Publication).filter_by(**_key(row)).with_for_update()).one()
        if current.status != row.status or current.external_id != row.external_id:
            return None  # delivered anew, or on its way back, meanwhile
        before = (current.details.get("state"), current.url)
        current.external_id, current.url = now.external_id[:300], now.url[:2000]
        current.details = {**now.details, "kind": kind}
        if now.details.get("state") not in FOLLOWED:
            current.not_before = None
        if before == (now.details.get("state"), now.url):
            return None
        article = session.get_one(Article, row.article_id)
        place = Place(row.article_id, row.version_id, row.target, project_id, article.slug, kind)
        states = [before[0], now.details.get("state")]
        tell(session, place, "changed", {"url": current.url, "state": states}, actor)
        return outcome_of(place, "changed", url=current.url, error=f"{states[0]} → {states[1]}")
