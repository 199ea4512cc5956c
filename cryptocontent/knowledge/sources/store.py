"""The sources of a project: what is watched, how far each was read, and what was found there.

A look saves every page that a source's kind yields together with the cursor behind it, so that a process may
be killed between any two of them. Of two processes that look at one source at once the slower one stops.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, func, insert, or_, select, update
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, lock, record
from cryptocontent.content.watched import watch
from cryptocontent.errors import NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.knowledge.saving import withdraw_all
from cryptocontent.knowledge.sources import KINDS, open_kind
from cryptocontent.knowledge.sources.seam import Found, Look, Page, Unavailable
from cryptocontent.settings import Settings
from cryptocontent.storage.database import DatabaseUnavailable, batched, pairs, reading, writing
from cryptocontent.storage.models import Source, SourceItem
from cryptocontent.storage.types import utc_now

log = logging.getLogger(__name__)
_STATUSES = ("active", "paused", "removed")


@dataclass(slots=True)
class Looked:
    """What a look at a source did: how many new or changed items it found, how many are gone, how many pages
    it saved; `more` if it ran out of time; `error` if it could not go on, and why; `off` if that is for want
    of settings."""

    found: int = 0
    gone: int = 0
    pages: int = 0
    more: bool = False
    error: str = ""
    off: bool = False


@dataclass(frozen=True, slots=True)
class _Changes:
    """Rows to insert; rows whose content changed; rows of which something is known that changes nothing."""

    new: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    described: list[dict[str, Any]] = field(default_factory=list)


def add_source(
    session: Session,
    settings: Settings,
    project_id: str,
    kind: str,
    name: str,
    config: Mapping[str, Any],
    by: Person,
) -> Source:
    """Watch a place. `Refused` names what is wrong with the kind, the name or the configuration; it may not
    be reachable yet."""
    return watch(session, project_id, kind, name, open_kind(kind).check(config), by)


def find_source(session: Session, project_id: str, name: str) -> Source:
    """The source of that name; `NotFound` lists those that there are."""
    query = select(Source).where(Source.project_id == project_id, Source.status != "removed")
    sources = {source.name: source for source in session.scalars(query.order_by(Source.name))}
    if name not in sources:
        there = ", ".join(sources) or "none yet: `cryptocontent source add`"
        raise NotFound(f"no source {name!r} in project {project_id!r}; there are: {there}")
    return sources[name]


def set_status(session: Session, source: Source, status: str, by: Person) -> list[str]:
    """Pause, resume or remove a source. What a removed one brought is withdrawn, unless another source has
    it too; returns the external ids of those references."""
    by.require("administer")
    if status not in _STATUSES:
        raise Refused(f"status {status!r}: allowed are {', '.join(_STATUSES)}")
    lock(session, source.project_id)
    session.refresh(source)  # somebody else may have removed it meanwhile
    if source.status == "removed":
        raise NotFound(f"source {source.name!r} was removed meanwhile")
    before, source.status = source.status, status
    session.flush()
    change = {"status": [before, status]}
    record(session, source.project_id, by.actor, f"source.{status}", f"source:{source.id}", change)
    if status != "removed":
        return []
    items = session.scalars(select(SourceItem).where(SourceItem.source_id == source.id, _is_there()))
    reason = f"its source {source.name!r} was removed"
    return _leave(session, source, {item.external_id: reason for item in items}, by.actor)


def list_sources(session: Session, project_id: str) -> list[dict[str, Any]]:
    """The project's sources with the number of their items in each state."""
    counts: dict[str, dict[str, int]] = {}
    rows = session.execute(
        select(SourceItem.source_id, SourceItem.status, func.count())
        .join(Source, Source.id == SourceItem.source_id)
        .where(Source.project_id == project_id)
        .group_by(SourceItem.source_id, SourceItem.status)
    )
    for source_id, status, count in rows:
        counts.setdefault(source_id, {})[status] = count
    query = select(Source).where(Source.project_id == project_id, Source.status != "removed")
    return [
        {
            "id": source.id,
            "name": source.name,
            "kind": source.kind,
            "status": source.status,
            "config": source.config,
            "imported": counts.get(source.id, {}).get("imported", 0),
            "pending": counts.get(source.id, {}).get("pending", 0),
            "failed": counts.get(source.id, {}).get("failed", 0),
            "ignored": counts.get(source.id, {}).get("ignored", 0),
            "checked_at": source.checked_at.isoformat() if source.checked_at else None,
            "error": source.error,
        }
        for source in session.scalars(query.order_by(Source.name))
    ]


def troubled_items(session: Session, source_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """The items of a source that could not be imported, with the reason, newest first."""
    query = (
        select(SourceItem)
        .where(SourceItem.source_id == source_id, SourceItem.status.in_(("failed", "ignored")))
        .order_by(SourceItem.status, SourceItem.updated_at.desc(), SourceItem.external_id)
        .limit(limit)
    )
    return [
        {
            "item": item.name,
            "external_id": item.external_id,
            "status": item.status,
            "reason": item.error,
            "attempts": item.attempts,
            "again_at": item.not_before.isoformat() if item.not_before else None,
        }
        for item in session.scalars(query)
    ]


def watched(engine: Engine, kinds: Sequence[str], project_id: str | None = None) -> list[Source]:
    """The active sources of these kinds, those that were looked at longest ago first."""
    query = select(Source).where(Source.status == "active", Source.kind.in_(kinds))
    if project_id is not None:
        query = query.where(Source.project_id == project_id)
    with reading(engine) as session:
        return list(session.scalars(query.order_by(Source.checked_at.is_not(None), Source.checked_at)))


def is_due(now: datetime) -> ColumnElement[bool]:
    """Items whose import waits for nothing. A pending one may wait for as long as its source asked for."""
    waited = SourceItem.not_before <= now
    pending = and_(SourceItem.status == "pending", or_(SourceItem.not_before.is_(None), waited))
    return or_(pending, and_(SourceItem.status == "failed", waited))


def due_sources(engine: Engine, sources: Iterable[Source]) -> dict[str, list[str]]:
    """Which of these sources have items to import, by project."""
    by_id = {source.id: source for source in sources}
    if not by_id:
        return {}
    query = select(SourceItem.source_id).where(SourceItem.source_id.in_(by_id), is_due(utc_now())).distinct()
    found: dict[str, list[str]] = {}
    with reading(engine) as session:
        for source_id in sorted(session.scalars(query)):
            found.setdefault(by_id[source_id].project_id, []).append(source_id)
    return found


def look_at(
    engine: Engine,
    settings: Settings,
    source_id: str,
    *,
    seconds: float,
    full: bool = False,
    actor: Actor | None = None,
) -> Looked:
    """Ask a source what is new and save it, for about so many seconds. `full` lists everything anew, and has
    what failed or was ignored tried again. What stops it stands in `error`, of the result and of the source.
    `actor` is who withdraws what is gone; a sensor, if nobody is named."""
    deadline = time.monotonic() + seconds
    looked = Looked()
    with reading(engine) as session:
        source = session.get_one(Source, source_id)
    if source.kind not in KINDS:
        raise Refused(f"source {source.name!r}: its kind {source.kind!r} holds no references")
    kind = open_kind(source.kind)
    look = Look(
        settings,
        source_id,
        source.project_id,
        source.config,
        source.cursor,
        lambda: _known(engine, source_id),
        full,
    )
    looked.error = kind.off(settings)
    looked.off = bool(looked.error)
    cursor = source.cursor
    try:
        for page in kind.discover(look) if not looked.error else ():
            if not _save(engine, source, cursor, page, looked, full, actor or Actor("sensor", source.kind)):
                return looked  # another process was faster, or a person took the source away
            cursor = page.cursor
            if time.monotonic() > deadline:
                looked.more = True
                break
    except (Unavailable, Refused) as error:
        looked.error = str(error)
    except DatabaseUnavailable:
        raise
    except Exception as error:  # of one source; the others must have their turn
        log.exception("source %s", source_id)
        looked.error = f"unexpected {type(error).__name__}; the log of the process says more"
    with writing(engine) as session:
        session.execute(
            update(Source).filter_by(id=source_id).values(checked_at=utc_now(), error=looked.error)
        )
    return looked


def _known(engine: Engine, source_id: str) -> dict[str, dict[str, Any]]:
    query = select(SourceItem.external_id, SourceItem.details)
    with reading(engine) as session:
        rows = session.execute(query.where(SourceItem.source_id == source_id, _is_there()))
        return pairs(rows)


def _is_there() -> ColumnElement[bool]:
    return SourceItem.status != "gone"


def _save(
    engine: Engine,
    source: Source,
    before: Mapping[str, Any],
    page: Page,
    looked: Looked,
    full: bool,
    actor: Actor,
) -> bool:
    """One page and its cursor. Whether they were saved: not if the cursor is another than `before` by now."""
    with writing(engine) as session:
        if page.gone or page.whole or page.found:
            lock(session, source.project_id)  # before the source's own row: as an import takes them
        current = session.scalars(select(Source).filter_by(id=source.id).with_for_update()).one()
        if current.cursor != before or current.status != "active":
            return False
        changes = _found(session, source.id, page, full)
        if changes.new:
            session.execute(insert(SourceItem), changes.new)
        for rows in (changes.changed, changes.described):
            if rows:
                session.execute(update(SourceItem), rows)
        ignored = {item.external_id: item.ignored for item in page.found if item.ignored}
        gone = dict(page.gone)
        if page.whole:
            unseen = select(SourceItem.external_id).where(
                SourceItem.source_id == source.id, _is_there(), SourceItem.listing != page.listing
            )
            gone = dict.fromkeys(session.scalars(unseen), "it is no longer there") | gone
        _leave(session, current, ignored, actor, status="ignored")
        looked.gone += len(_leave(session, current, gone, actor))
        current.cursor = page.cursor
    looked.pages += 1
    looked.found += sum(row["status"] == "pending" for row in (*changes.new, *changes.changed))
    return True


def _found(session: Session, source_id: str, page: Page, full: bool) -> _Changes:
    """What a page's findings change in the table of items."""
    stored: dict[str, SourceItem] = {}
    for some in batched([_clean(item.external_id) for item in page.found], 500):
        query = select(SourceItem).filter_by(source_id=source_id)
        stored |= {
            item.external_id: item for item in session.scalars(query.where(SourceItem.external_id.in_(some)))
        }
    now, changes = utc_now(), _Changes()
    latest: dict[str, Found] = {_clean(item.external_id): item for item in page.found}
    for external_id, item in latest.items():
        known = stored.get(external_id)
        described = {"name": _clean(item.name)[:500], "details": item.details, "listing": page.listing}
        if known is not None and not page.listing:
            described["listing"] = known.listing
        state = {
            "revision": _clean(item.revision)[:200],
            "status": "ignored" if item.ignored else "pending",
            "error": item.ignored,
            "attempts": 0,
            "not_before": None,
            "updated_at": now,
        }
        key = {"source_id": source_id, "external_id": external_id}
        if known is None:
            changes.new.append(key | described | state)
        elif (
            known.revision != state["revision"]
            or known.status == "gone"
            or (item.ignored and known.status != "ignored")
            or (full and not item.ignored and _given_up(known))
        ):
            changes.changed.append(key | described | state)
        elif any(getattr(known, name) != value for name, value in described.items()):
            changes.described.append(key | described)
    return changes


def _given_up(item: SourceItem) -> bool:
    return item.status == "ignored" or (item.status == "failed" and item.not_before is None)


def _clean(text: str) -> str:
    """Without what no database takes: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _leave(
    session: Session, source: Source, reasons: Mapping[str, str], actor: Actor, status: str = "gone"
) -> list[str]:
    """Mark items as gone (or ignored) and withdraw what they brought, unless another source has it too."""
    if not reasons:
        return []
    items = [
        item
        for some in batched(sorted(reasons), 500)
        for item in session.scalars(
            select(SourceItem).where(
                SourceItem.source_id == source.id, SourceItem.external_id.in_(some), _is_there()
            )
        )
    ]
    now, left = utc_now(), {}
    for item in items:
        if item.status != status:
            item.status, item.updated_at, item.not_before = status, now, None
        item.error = reasons[item.external_id]
        if item.reference_id:
            left[item.reference_id] = reasons[item.external_id]
    session.flush()
    leave(session, source.project_id, left, actor)
    return [item.external_id for item in items]


def leave(session: Session, project_id: str, reasons: Mapping[str, str], actor: Actor) -> list[str]:
    """Withdraw references, by id and each for its reason, unless an item that is there still leads to them.
    The caller's items are marked already. Returns the external ids of the references."""
    still: set[str] = set()
    for some in batched(sorted(reasons), 500):
        query = (
            select(SourceItem.reference_id)
            .join(Source, Source.id == SourceItem.source_id)
            .where(
                SourceItem.reference_id.in_(some),
                SourceItem.status.in_(("imported", "pending", "failed")),
                Source.status != "removed",
            )
        )
        still |= {reference_id for reference_id in session.scalars(query) if reference_id}
    gone = {reference_id: why for reference_id, why in reasons.items() if reference_id not in still}
    return withdraw_all(session, project_id, gone, actor) if gone else []
