"""What came of a try to deliver: written to its row, with audit, event and, where people must act, alert."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, or_, select, tuple_, update
from sqlalchemy.orm import Session

from cryptocontent.alerts import raise_alert
from cryptocontent.audit import Actor, lock, record
from cryptocontent.publishing.targets.seam import Delivered
from cryptocontent.storage.database import writing
from cryptocontent.storage.models import Article, Event, Publication, PublishingTarget
from cryptocontent.storage.types import utc_now

MOST_ATTEMPTS = 80
"""With the pauses between them about three days: a weekend without a working token loses nothing."""
TELL_AFTER = 6
"""So many tries in vain, about a quarter of an hour, and people are told that a target does not take it."""
FOLLOWED = ("open", "closed")
"""States of a delivery that may still change: a pull request waits, or was closed and may be reopened."""
FOLLOW_FIRST = timedelta(minutes=2)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
_LONGEST_ASKED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Place:
    """A leased row: which version goes to (or is taken from) which target, and where the target had the
    article before. `status` is `pending` or `withdrawing`, as it was when it was leased."""

    article_id: str
    version_id: str
    target: str
    project_id: str
    slug: str
    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)
    status: str = "pending"
    attempts: int = 0
    previous: Delivered | None = None

    @property
    def key(self) -> dict[str, str]:
        """The row's primary key."""
        return {"article_id": self.article_id, "version_id": self.version_id, "target": self.target}


@dataclass(frozen=True, slots=True)
class Failure:
    """The target refuses: no later try mends that."""

    error: str


@dataclass(frozen=True, slots=True)
class Waits:
    """It did not go through, and may do so later. `of_target`: for a reason that other articles meet there as
    well. `seconds`: the target said for how long; then all that its account has to deliver waits."""

    error: str
    seconds: float | None = None
    of_target: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try, as people are told."""

    project_id: str
    article_id: str
    slug: str
    target: str
    status: Literal["delivered", "withdrawn", "failed", "waiting", "changed"]
    url: str = ""
    error: str = ""
    again_at: datetime | None = None

    def __str__(self) -> str:
        where = f" {self.url}" if self.url else ""
        why = f": {self.error}" if self.error else ""
        again = f" (again at {self.again_at:%Y-%m-%d %H:%M:%S} UTC)" if self.again_at else ""
        return f"{self.project_id}/{self.slug} → {self.target}: {self.status}{where}{why}{again}"


def later(attempts: int, seconds: float | None = None) -> timedelta:
    """The pause before the next try: what the target asked for, else from half a minute to an hour, doubled
    each time; up to a fifth longer by chance, so that what failed together does not come back together."""
    if seconds is not None:
        pause = min(timedelta(seconds=max(seconds, 1.0)), _LONGEST_ASKED)
    else:
        pause = min(_FIRST_PAUSE * 2 ** min(max(attempts - 1, 0), 16), _LONGEST_PAUSE)
    return pause * (1 + random.random() / 5)  # noqa: S311


def settle(engine: Engine, place: Place, result: Delivered | Failure | Waits, actor: Actor) -> Outcome:
    """Write what came of a try and give the lease back. Where people decided otherwise meanwhile (archived,
    published a newer version), their decision stays, and only what is known of the target is kept."""
    with writing(engine) as session:
        lock(session, place.project_id)
        row = session.scalars(select(Publication).filter_by(**place.key).with_for_update()).one()
        row.leased_until = None
        if isinstance(result, Delivered):
            return _arrived(session, place, row, result, actor)
        if row.status != place.status:
            return outcome_of(place, "waiting", error=f"it is {row.status} by now")
        if isinstance(result, Waits) and place.attempts < MOST_ATTEMPTS:
            return _wait(session, place, row, result)
        return _failed(session, place, row, result, actor)


def _arrived(session: Session, place: Place, row: Publication, made: Delivered, actor: Actor) -> Outcome:
    row.external_id, row.url = made.external_id[:300], made.url[:2000]
    row.details, row.error = made.details, ""
    done: Literal["delivered", "withdrawn"] = "withdrawn" if place.status == "withdrawing" else "delivered"
    # A version that was superseded on its way did get there: the next one updates it.
    if row.status == place.status or (done == "delivered" and row.status == "superseded"):
        now = utc_now()
        row.status, row.not_before = done, None
        if done == "delivered":
            row.delivered_at = now
        if made.details.get("state") in FOLLOWED:
            row.not_before = now + FOLLOW_FIRST
        # What became of earlier versions there is told by this one.
        others = update(Publication).filter_by(article_id=place.article_id, target=place.target)
        others = others.where(
            Publication.version_id != place.version_id, Publication.status.in_(("delivered", "withdrawn"))
        )
        session.execute(others.values(not_before=None))
        known = {"url": row.url, "external_id": row.external_id, "attempts": place.attempts}
        tell(session, place, done, known, actor)
    return outcome_of(place, done, url=row.url)


def _wait(session: Session, place: Place, row: Publication, result: Waits) -> Outcome:
    until = utc_now() + later(place.attempts, result.seconds)
    row.error, row.not_before = result.error, until
    if result.seconds is not None and place.kind:
        _let_rest(session, place.kind, until)
    if place.attempts == TELL_AFTER:
        title = f"{place.slug} is not yet at {place.target}"
        _alert(session, place, ":late", title, f"{result.error}\n\nIt is tried again by itself.")
    data = {"version": place.version_id, "target": place.target, "status": "waiting", "error": result.error}
    session.add(_event(place, data))
    return outcome_of(place, "waiting", error=result.error, again_at=until)


def _let_rest(session: Session, kind: str, until: datetime) -> None:
    """All that waits for a kind of target waits as long: it is one account, and it asked for a pause."""
    same = select(PublishingTarget.project_id, PublishingTarget.name).filter_by(kind=kind)
    of_project = select(Article.project_id).where(Article.id == Publication.article_id).scalar_subquery()
    session.execute(
        update(Publication)
        .where(
            Publication.status.in_(("pending", "withdrawing")),
            or_(Publication.not_before.is_(None), Publication.not_before < until),
            tuple_(of_project, Publication.target).in_(same),
        )
        .values(not_before=until),
        execution_options={"synchronize_session": False},
    )


def _failed(
    session: Session, place: Place, row: Publication, result: Failure | Waits, actor: Actor
) -> Outcome:
    row.status, row.error, row.not_before = "failed", result.error, None
    tell(session, place, "failed", {"error": result.error, "attempts": place.attempts}, actor)
    leaves = place.status == "withdrawing"
    what = f"{place.slug} could not be {'taken back from' if leaves else 'delivered to'} {place.target}"
    which = f"--article {place.slug} --target {place.target} -p {place.project_id}"
    _alert(
        session,
        place,
        ":withdraw" if leaves else "",
        what,
        f"{result.error}\n\nOnce mended: `cryptocontent publication retry {which}`",
    )
    return outcome_of(place, "failed", error=result.error)


def _alert(session: Session, place: Place, suffix: str, title: str, body: str) -> None:
    key = f"publication:{place.article_id}:{place.version_id}:{place.target}{suffix}"
    data = {"project": place.project_id, "article": place.article_id, "target": place.target}
    raise_alert(session, key, title, body, data)


def tell(session: Session, place: Place, what: str, data: dict[str, Any], actor: Actor) -> None:
    """Audit what happened to a publication, and show it to those who watch."""
    data = {"version": place.version_id, "target": place.target, "kind": place.kind, **data}
    record(session, place.project_id, actor, f"publication.{what}", f"article:{place.article_id}", data)
    session.add(_event(place, {**data, "status": what}))


def _event(place: Place, data: dict[str, Any]) -> Event:
    subject = f"article:{place.article_id}"
    return Event(project_id=place.project_id, subject=subject, kind="publication", data=data)


def outcome_of(
    place: Place,
    status: Literal["delivered", "withdrawn", "failed", "waiting", "changed"],
    **known: Any,
) -> Outcome:
    """The outcome of a try at that place."""
    return Outcome(place.project_id, place.article_id, place.slug, place.target, status, **known)
