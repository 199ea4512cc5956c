"""Deliveries: what the outbox holds is handed to targets, each row by one process at a time.

A row is leased in a short transaction (which also counts the try, so that a killed one is known of), the
target is asked while no transaction is open, and what came of it is written in a second one. A process that
is killed in between leaves a lease that ends by itself; the target then finds what it made before.
"""

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from cryptocontent.alerts import scrubbed
from cryptocontent.audit import Actor, lock
from cryptocontent.content.outbox import FILES
from cryptocontent.errors import Explained, Refused
from cryptocontent.publishing.outcomes import Failure, Outcome, Place, Waits, settle
from cryptocontent.publishing.parcels import parcel_of
from cryptocontent.publishing.targets import TARGETS, open_target
from cryptocontent.publishing.targets.seam import Delivered, TryLater
from cryptocontent.settings import Settings
from cryptocontent.storage.database import reading, writing
from cryptocontent.storage.models import Article, Publication, PublishingTarget, Version
from cryptocontent.storage.object_store import ObjectStore
from cryptocontent.storage.types import utc_now

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
"""How long a row whose process was killed waits for another; one that works renews it."""
_OFF_PAUSE = timedelta(minutes=5)
_CANDIDATES = 20


_Passed = set[tuple[str, str]]
"""Targets (project, name) that are not asked again in this call."""


def deliver(
    engine: Engine,
    objects: ObjectStore,
    settings: Settings,
    *,
    actor: Actor,
    project_id: str | None = None,
    article_ids: Collection[str] | None = None,
    seconds: float = 60.0,
    limit: int = 100,
) -> list[Outcome]:
    """Deliver and withdraw what is due, of all projects, one, or some articles: none is begun after
    `seconds`, and at most `limit`. Returns what came of each try. A target that does not answer is not asked
    again in the same call."""
    deadline = time.monotonic() + seconds
    passed: _Passed = set()
    outcomes: list[Outcome] = []
    while len(outcomes) < limit and time.monotonic() < deadline:
        place = _next(engine, settings, passed, project_id, article_ids)
        if place is None:
            break
        with _held(engine, place):
            result = _attempt(engine, objects, settings, place)
        if isinstance(result, Waits) and result.of_target:
            passed.add((place.project_id, place.target))
        outcomes.append(settle(engine, place, result, actor))
    return outcomes


def some_due(engine: Engine, settings: Settings) -> bool:
    """Whether anything waits that could be delivered now. What waits for a target that is off is told why,
    and looked at again after a while."""
    query = _due(set(), None, None).with_only_columns(*_OF_TARGET).order_by(None).distinct()
    with reading(engine) as session:
        targets = session.execute(query).tuples().all()
    off = [_is_off(engine, settings, *target) for target in targets]
    return not all(off)


_OF_TARGET = (Article.project_id, Publication.target, PublishingTarget.kind)


def _due(passed: _Passed, project_id: str | None, article_ids: Collection[str] | None) -> Any:
    query = (
        select(Publication, *_OF_TARGET)
        .join(Article, Article.id == Publication.article_id)
        .outerjoin(
            PublishingTarget,
            and_(
                PublishingTarget.project_id == Article.project_id, PublishingTarget.name == Publication.target
            ),
        )
        .where(_is_due(), ~_being_done(), or_(PublishingTarget.name.is_(None), PublishingTarget.enabled))
        .order_by(Publication.created_at, Publication.article_id, Publication.target)
    )
    for project, target in passed:
        query = query.where(or_(Article.project_id != project, Publication.target != target))
    if project_id is not None:
        query = query.where(Article.project_id == project_id)
    if article_ids is not None:
        query = query.where(Publication.article_id.in_(article_ids))
    return query


def _is_due() -> ColumnElement[bool]:
    now = utc_now()
    waiting = Publication.status.in_(("pending", "withdrawing"))
    return and_(waiting, or_(Publication.not_before.is_(None), Publication.not_before <= now))


def _being_done() -> ColumnElement[bool]:
    """Whether a process is at any version of the same article at the same target: they go one by one."""
    other = aliased(Publication)
    same = and_(other.article_id == Publication.article_id, other.target == Publication.target)
    return exists().where(same, other.leased_until > utc_now())


def _next(
    engine: Engine,
    settings: Settings,
    passed: _Passed,
    project_id: str | None,
    article_ids: Collection[str] | None,
) -> Place | None:
    """Lease the next due row. Targets that are off are passed."""
    while True:
        with reading(engine) as session:
            query = _due(passed, project_id, article_ids).limit(_CANDIDATES)
            rows = session.execute(query).tuples().all()
        if not rows:
            return None
        for row, project, name, kind in rows:
            if (project, name) in passed:
                continue
            if _is_off(engine, settings, project, name, kind):
                passed.add((project, name))
            elif place := _lease(engine, row, project):
                return place


def _is_off(engine: Engine, settings: Settings, project_id: str, name: str, kind: str | None) -> bool:
    """Whether nothing can be delivered there with these settings: then its rows say so, and wait."""
    off = open_target(kind).off(settings) if kind in TARGETS else ""
    if off:
        articles = select(Article.id).filter_by(project_id=project_id)
        statement = (
            update(Publication)
            .where(Publication.target == name, Publication.article_id.in_(articles), _is_due())
            .values(error=off, not_before=utc_now() + _OFF_PAUSE)
        )
        with writing(engine) as session:
            session.execute(statement, execution_options={"synchronize_session": False})
    return bool(off)


def _lease(engine: Engine, row: Publication, project_id: str) -> Place | None:
    with writing(engine) as session:
        lock(session, project_id)
        article = session.get_one(Article, row.article_id)
        target = session.get(PublishingTarget, (project_id, row.target))
        if row.target == FILES:
            target = PublishingTarget(name=FILES, kind=FILES, config={})
        key = {"article_id": row.article_id, "version_id": row.version_id, "target": row.target}
        statement = update(Publication).filter_by(**key).where(_is_due(), ~_being_done())
        leased = statement.values(leased_until=utc_now() + LEASE, attempts=Publication.attempts + 1)
        if not session.execute(leased, execution_options={"synchronize_session": False}).rowcount:  # type: ignore[attr-defined]
            return None
        now = session.scalars(select(Publication).filter_by(**key)).one()
        kind = target.kind if target is not None else ""
        return Place(
            **key,
            project_id=project_id,
            slug=article.slug,
            kind=kind,
            config=dict(target.config) if target is not None else {},
            status=now.status,
            attempts=now.attempts,
            previous=_previous(session, now, kind),
        )


def _previous(session: Session, row: Publication, kind: str) -> Delivered | None:
    """Where the target has the article, by the newest version that it took. Of another target that bore the
    same name nothing is told."""
    query = select(Publication).join(Version, Version.id == Publication.version_id)
    query = query.where(Publication.article_id == row.article_id, Publication.target == row.target)
    for one in session.scalars(query.order_by(Version.number.desc())):
        if one.external_id and one.details.get("kind") == kind:
            return Delivered(one.external_id, one.url, one.details)
    return None


def _attempt(
    engine: Engine, objects: ObjectStore, settings: Settings, place: Place
) -> Delivered | Failure | Waits:
    """Ask the target. Errors become words without secrets: what a vendor's library says may hold one."""
    if not place.kind:
        what = "taken down there" if place.status == "withdrawing" else "delivered"
        return Failure(f"target {place.target!r} was removed: the article can't be {what}")
    try:
        target = open_target(place.kind)
        ids = (place.project_id, place.article_id, place.version_id)
        parcel = parcel_of(engine, objects, *ids, place.previous)
        act = target.withdraw if place.status == "withdrawing" else target.deliver
        made = act(settings, target.check(place.config), parcel)
        return replace(made, details={**made.details, "kind": place.kind})
    except Refused as error:
        return Failure(scrubbed(str(error), settings))
    except TryLater as error:
        return Waits(scrubbed(str(error), settings), error.seconds, of_target=True)
    except Explained as error:
        return Waits(scrubbed(str(error), settings))
    except Exception as error:
        text = scrubbed(f"unexpected {type(error).__name__}: {error}", settings)
        log.warning("%s to %s: %s", place.slug, place.target, text)
        return Waits(text)


@contextmanager
def _held(engine: Engine, place: Place) -> Iterator[None]:
    """Keeps the lease while the target is asked, however long it takes."""
    done = Event()

    def renew() -> None:
        while not done.wait(LEASE.total_seconds() / 4):
            try:
                with writing(engine) as session:
                    own = update(Publication).filter_by(**place.key)
                    session.execute(own.values(leased_until=utc_now() + LEASE))
            except Explained as error:
                log.warning("the lease of %s at %s was not renewed: %s", place.slug, place.target, error)

    thread = Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
