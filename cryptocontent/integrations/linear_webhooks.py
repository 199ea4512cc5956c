"""Linear's webhooks (https://linear.app/developers/webhooks): who sent one, when, and what it says."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptocontent.integrations.linear import Issue, read_issue

MOST_BYTES = 1_000_000
"""Bytes that a delivery may have."""
WINDOW = timedelta(seconds=60)
"""How far a delivery's time may be from ours: who records one and sends it again later is refused."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What a delivery says: `action` (create, update, remove, …) on a thing of `type` (Issue, Project, …);
    for issues, the issue."""

    action: str
    type: str
    sent_at: datetime | None
    issue: Issue | None = None


def is_signed(secret: str, body: bytes, signature: str) -> bool:
    """Whether the header `Linear-Signature` is the hex HMAC-SHA256 of the raw body."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.strip().lower().encode())


def read_payload(body: bytes | str) -> Payload:
    """What a body says; `ValueError` if it is none of Linear's."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is no JSON") from None
    if not isinstance(data, dict):
        raise ValueError("the body is no object")
    action, kind = str(data.get("action") or ""), str(data.get("type") or "")
    if not kind:
        raise ValueError("the body names no `type`")
    issue = None
    if kind == "Issue":
        if not isinstance(data.get("data"), dict):
            raise ValueError("the body holds no `data`")
        issue = read_issue(data["data"])
    return Payload(action, kind, _sent_at(data.get("webhookTimestamp")), issue)


def is_fresh(sent_at: datetime | None, now: datetime) -> bool:
    """Whether a delivery was sent just now."""
    return sent_at is not None and abs(now - sent_at) <= WINDOW


def _sent_at(value: Any) -> datetime | None:
    """An instant from epoch milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
