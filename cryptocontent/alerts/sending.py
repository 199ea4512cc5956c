"""Sending: each pending alert by each way once, again later where a way fails, by one process at a time.

A process claims an alert for some minutes (`not_before`), sends it, and writes down at once by which way it
went out. Killed in between, it leaves the alert to the next one: then an alert may arrive twice, never not at
all. While no way is configured, what is pending is set aside as `kept`, so that nobody is sent the past when
alerts are switched on.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, or_, select, update
from sqlalchemy.orm import make_transient

from cryptocontent.alerts.scrubbing import scrubbed, scrubbed_all
from cryptocontent.alerts.ways import NotSent, Way, off, ways
from cryptocontent.errors import Refused
from cryptocontent.settings import Settings
from cryptocontent.storage.database import reading, writing
from cryptocontent.storage.models import Alert
from cryptocontent.storage.types import utc_now

MOST_ATTEMPTS = 8
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
# Longer than any way takes with all its timeouts.
_CLAIM = timedelta(minutes=5)
_TOO_OLD = timedelta(days=1)
_AT_ONCE = 100


@dataclass(slots=True)
class Sent:
    """What a round did: keys that went out by all ways, that wait for another try (with the reason), that are
    given up; how many were set aside because no way is configured, or because they are older than a day."""

    sent: list[str] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    kept: int = 0


def send_alerts(engine: Engine, settings: Settings, seconds: float) -> Sent:
    """Send what is due, the oldest first, for about so many seconds. One query if there is nothing."""
    deadline = time.monotonic() + seconds
    configured, done = ways(settings), Sent()
    now = utc_now()
    with reading(engine) as session:
        due = list(
            session.execute(
                select(Alert.key, Alert.sent, Alert.attempts, Alert.created_at, Alert.not_before)
                .where(*_due(now))
                .order_by(Alert.created_at, Alert.key)
                .limit(_AT_ONCE)
            ).tuples()
        )
    if not due:
        return done
    if not configured:
        done.kept = _keep(engine, now, "nothing was configured to send it by")
        return done
    old = now - _TOO_OLD
    # One that a person has had sent again has a `not_before`.
    if any(created < old and not tries and again is None for _, _, tries, created, again in due):
        done.kept = _keep(engine, now, "it was older than a day when it could have been sent", old)
    down: set[str] = set()
    for key, gone, tries, created, again in due:
        if time.monotonic() > deadline:
            break
        if created < old and not tries and again is None:
            continue
        if {way.name for way in configured} - set(gone) <= down:
            continue  # it would only meet the same receiver that just failed; its turn comes
        _send(engine, settings, key, configured, down, done)
    return done


def send_now(engine: Engine, settings: Settings, keys: Sequence[str]) -> Sent:
    """Send these alerts at once, whatever they wait for. `Refused` if no way is configured."""
    if why := off(settings):
        raise Refused(why)
    done = Sent()
    with writing(engine) as session:
        session.execute(
            update(Alert).where(Alert.key.in_(keys), Alert.status == "pending").values(not_before=utc_now())
        )
    for key in keys:
        _send(engine, settings, key, ways(settings), set(), done)
    return done


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return Alert.status == "pending", or_(Alert.not_before.is_(None), Alert.not_before <= now)


def _keep(engine: Engine, now: datetime, why: str, before: datetime | None = None) -> int:
    """Set aside what was never tried, with the reason; all that is due, or what was raised before."""
    chosen = [*_due(now)]
    if before is not None:
        chosen += [Alert.created_at < before, Alert.attempts == 0, Alert.not_before.is_(None)]
    with writing(engine) as session:
        result = session.execute(update(Alert).where(*chosen).values(status="kept", error=why))
        return int(result.rowcount)  # type: ignore[attr-defined]


def _send(
    engine: Engine, settings: Settings, key: str, configured: Sequence[Way], down: set[str], done: Sent
) -> None:
    """One alert, if nobody else has claimed it. A way that fails is in `down` afterwards."""
    alert = _claimed(engine, key)
    if alert is None:
        return
    # Whoever wrote it may not have known what a secret is here.
    alert.title, alert.body = scrubbed(alert.title, settings), scrubbed(alert.body, settings)
    alert.data = scrubbed_all(alert.data, settings)
    gone, problems, patience = list(alert.sent), [], 0.0
    for way in configured:
        if way.name in gone or way.name in down:
            continue
        try:
            way.send(alert)
        except NotSent as error:
            down.add(way.name)
            problems.append(f"{way.name}: {scrubbed(str(error), settings)}")
            patience = max(patience, error.seconds or 0.0)
        except Exception as error:  # a library that stumbles over this alert must not stop the others
            problems.append(f"{way.name}: {type(error).__name__}: {scrubbed(str(error), settings)}")
        else:
            gone.append(way.name)
            _record(engine, key, sent=gone)
    _settle(engine, alert, {way.name for way in configured} - set(gone), problems, patience, done)


def _claimed(engine: Engine, key: str) -> Alert | None:
    now = utc_now()
    with writing(engine) as session:
        claim = update(Alert).where(Alert.key == key, *_due(now)).values(not_before=now + _CLAIM)
        if not session.execute(claim).rowcount:  # type: ignore[attr-defined]
            return None
        alert = session.get_one(Alert, key, populate_existing=True)
        session.expunge(alert)
    make_transient(alert)  # it is read only from here on, and scrubbed
    return alert


def _settle(
    engine: Engine, alert: Alert, left: Collection[str], problems: list[str], patience: float, done: Sent
) -> None:
    error = "; ".join(problems)[:2000]
    if not left:
        _record(engine, alert.key, status="sent", error="", not_before=None)
        done.sent.append(alert.key)
    elif not problems:  # its other way failed for another alert just now
        _record(engine, alert.key, not_before=utc_now() + _FIRST_WAIT)
        done.waiting[alert.key] = "a receiver does not answer"
    elif alert.attempts + 1 >= MOST_ATTEMPTS:
        _record(engine, alert.key, status="failed", attempts=alert.attempts + 1, error=error, not_before=None)
        done.failed[alert.key] = error
    else:
        wait = max(_FIRST_WAIT * 2**alert.attempts, timedelta(seconds=patience))
        later = utc_now() + min(wait, _LONGEST_WAIT)
        _record(engine, alert.key, attempts=alert.attempts + 1, error=error, not_before=later)
        done.waiting[alert.key] = error


def _record(engine: Engine, key: str, **values: object) -> None:
    with writing(engine) as session:
        session.execute(update(Alert).where(Alert.key == key).values(**values))
