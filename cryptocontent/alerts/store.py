"""The table of alerts: raising one once, listing them, having one sent again."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cryptocontent.errors import NotFound, Refused
from cryptocontent.storage.database import insert_ignoring_conflicts
from cryptocontent.storage.models import Alert
from cryptocontent.storage.types import utc_now

MOST_BODY = 10_000
STATUSES = ("pending", "sent", "failed", "kept")


def raise_alert(
    session: Session, key: str, title: str, body: str, data: Mapping[str, Any] | None = None
) -> bool:
    """Have people told, once per `key` (at most 200 characters: `run:<id>`). Returns whether the key is new.

    `data` is JSON for programs; in it `project` names the project that it is about and `link` an address to
    look at, if there are such. No secrets: see `scrubbed`.
    """
    if not 0 < len(key) <= 200:
        raise ValueError(f"key {key[:60]!r}…: 1 to 200 characters")
    statement = insert_ignoring_conflicts(session.get_bind().dialect, Alert).returning(Alert.key)
    row = {
        "key": key,
        "title": " ".join(_storable(title).split())[:300],
        "body": _storable(body)[:MOST_BODY],
        "data": dict(data or {}),
        "status": "pending",
        "sent": [],
        "attempts": 0,
        "error": "",
        "created_at": utc_now(),
    }
    return session.scalar(statement.values(row)) is not None


def _storable(text: str) -> str:
    """An exception may quote anything; Postgres takes no NUL, and UTF-8 no half of a surrogate pair."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def list_alerts(
    session: Session, status: str | None = None, project_id: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Alerts, newest first; with `project_id` those about that project or about none."""
    query = select(Alert).order_by(Alert.created_at.desc(), Alert.key)
    if status is not None and status not in STATUSES:
        raise Refused(f"status {status!r}: allowed are {', '.join(STATUSES)}")
    if status:
        query = query.filter_by(status=status)
    if project_id is None:
        query = query.limit(limit)
    rows = [
        {
            "key": alert.key,
            "status": alert.status,
            "title": alert.title,
            "body": alert.body,
            "sent": alert.sent,
            "attempts": alert.attempts,
            "error": alert.error,
            "data": alert.data,
            "created_at": alert.created_at.isoformat(timespec="seconds"),
        }
        for alert in session.scalars(query)
        if project_id is None or alert.data.get("project") in (None, project_id)
    ]
    return rows[:limit]


def retry(session: Session, key: str | None = None, project_id: str | None = None) -> list[str]:
    """Have an alert that could not be sent, or was kept, sent now; without a key all that failed or wait for
    another try (not those that were kept). With `project_id` only those about that project or about none.
    Returns their keys. Ways by which one went out already are not used again."""
    query = select(Alert)
    in_trouble = (Alert.status == "failed") | ((Alert.status == "pending") & (Alert.error != ""))
    query = query.where(in_trouble if key is None else Alert.key == key)
    found = [
        alert
        for alert in session.scalars(query.order_by(Alert.created_at))
        if project_id is None or alert.data.get("project") in (None, project_id)
    ]
    if key is not None and not found:
        raise NotFound(f"no alert {key!r} (`cryptocontent alert list`)")
    keys = [alert.key for alert in found if alert.status != "sent"]
    again = {"status": "pending", "attempts": 0, "error": "", "not_before": utc_now()}
    session.execute(update(Alert).where(Alert.key.in_(keys)).values(**again))
    return keys
