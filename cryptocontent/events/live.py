"""Events on their way to the table: told at once by whoever works, written a few times a second.

Events show; they decide nothing. What cannot be written is dropped and logged once a minute: nobody's
work waits for, or fails by, those who watch.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, delete, insert, select

from cryptocontent.storage.database import reading, writing
from cryptocontent.storage.models import Event
from cryptocontent.storage.types import utc_now

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.2
KEPT = timedelta(days=7)
_COMPLAIN_SECONDS = 60.0


@dataclass(slots=True)
class NewEvent:
    """Something that happened in a project, about `subject` (`article:<id>`)."""

    project_id: str
    subject: str
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


def publish(engine: Engine, events: Sequence[NewEvent]) -> None:
    """Write events, in order, in one transaction."""
    if not events:
        return
    now = utc_now()
    rows = [
        {
            "project_id": one.project_id,
            "subject": one.subject,
            "kind": one.kind,
            "data": one.data,
            "created_at": now,
        }
        for one in events
    ]
    with writing(engine) as session:
        session.execute(insert(Event), rows)


def followed(
    engine: Engine, project_id: str, after: int = 0, *, subject: str = "", limit: int = 500
) -> list[Event]:
    """The project's events after the one with id `after`, oldest first; of one subject, if it is given."""
    query = select(Event).where(Event.project_id == project_id, Event.id > after)
    if subject:
        query = query.where(Event.subject == subject)
    with reading(engine) as session:
        return list(session.scalars(query.order_by(Event.id).limit(limit)))


def prune(engine: Engine, older_than: timedelta = KEPT) -> int:
    """Forget old events; returns how many."""
    with writing(engine) as session:
        result = session.execute(delete(Event).where(Event.created_at < utc_now() - older_than))
        return int(result.rowcount)  # type: ignore[attr-defined]


class Live:
    """Takes events from any thread without waiting, joins tokens of the same source, and writes what has
    gathered every `interval` seconds from a thread of its own, which ends when there is nothing to do."""

    def __init__(self, engine: Engine, interval: float = INTERVAL_SECONDS) -> None:
        self.engine, self.interval = engine, interval
        self._gathered: list[NewEvent] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._complained = 0.0

    def tell(self, event: NewEvent) -> None:
        """Take an event. A `token` behind another of the same request joins it."""
        source = _source(event)
        with self._lock:
            last = next((one for one in reversed(self._gathered) if _source(one) == source), None)
            if event.kind == "token" and last is not None and last.kind == "token":
                last.data["text"] += event.data["text"]
                return
            self._gathered.append(event)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="events", daemon=True)
                self._thread.start()

    def watcher(self, project_id: str, subject: str, stage: str) -> Callable[[str, Mapping[str, Any]], None]:
        """A function that takes a kind and data of a stage's events."""

        def watch(kind: str, data: Mapping[str, Any]) -> None:
            self.tell(NewEvent(project_id, subject, kind, {"stage": stage, **data}))

        return watch

    def flush(self) -> None:
        """Write what has gathered, now."""
        with self._lock:
            events, self._gathered = self._gathered, []
        try:
            publish(self.engine, events)
        except Exception as error:
            if time.monotonic() - self._complained > _COMPLAIN_SECONDS:
                self._complained = time.monotonic()
                log.warning("%s events were not written: %s", len(events), error)

    def _write(self) -> None:
        while True:
            time.sleep(self.interval)
            self.flush()
            with self._lock:
                if not self._gathered:
                    self._thread = None
                    return


def _source(event: NewEvent) -> tuple[str, str, str]:
    """Who tells: what it is about, the stage, and the request to a model."""
    return event.subject, event.data.get("stage", ""), event.data.get("request", "")
