"""Deliveries of webhooks: kept before they are acknowledged, applied afterwards, each once.

A delivery is applied in the transaction that marks it as applied, by whoever comes first: the gateway right
after it answered, or the sensor's next tick.
"""

import logging
from collections import Counter
from datetime import timedelta

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from cryptocontent.integrations.linear_webhooks import Payload, read_payload
from cryptocontent.planning.linear_issues import apply_issues
from cryptocontent.planning.linear_sources import active_sources
from cryptocontent.settings import Settings
from cryptocontent.storage.database import insert_ignoring_conflicts, reading, writing
from cryptocontent.storage.models import Source, WebhookDelivery
from cryptocontent.storage.types import utc_now

LINEAR = "linear"
KEPT = timedelta(days=30)
"""How long deliveries are kept after they were applied."""

_BATCH = 100
_ROADMAP = ("Project", "ProjectMilestone", "Cycle")
_log = logging.getLogger(__name__)


def keep_delivery(engine: Engine, vendor: str, delivery_id: str, body: str) -> bool:
    """Keep a delivery; whether it is new."""
    values = {
        "vendor": vendor,
        "delivery_id": delivery_id,
        "body": body,
        "status": "received",
        "error": "",
        "created_at": utc_now(),
    }
    with writing(engine) as session:
        statement = insert_ignoring_conflicts(session.get_bind().dialect, WebhookDelivery).values(**values)
        return session.scalar(statement.returning(WebhookDelivery.delivery_id)) is not None


def apply_deliveries(engine: Engine, settings: Settings, *, most: int = 10_000) -> Counter[str]:
    """Apply the deliveries that wait, at most about so many; returns how many were applied and ignored."""
    done: Counter[str] = Counter()
    while sum(done.values()) < most and _waiting(engine):
        try:
            counts = _apply_some(engine, settings, _BATCH)
        except Exception:
            # One of them is poisoned: it must not keep the others waiting.
            counts = _apply_one(engine, settings)
        if not counts:
            break  # another process has them
        done += counts
    return done


def _waiting(engine: Engine) -> bool:
    query = select(WebhookDelivery.delivery_id).filter_by(vendor=LINEAR, status="received").limit(1)
    with reading(engine) as session:
        return session.scalar(query) is not None


def _apply_some(engine: Engine, settings: Settings, most: int) -> Counter[str]:
    with writing(engine) as session:
        rows = _claimed(session, most)
        payloads: list[Payload] = []
        for row in rows:
            row.status = "applied"
            try:
                payloads.append(read_payload(row.body))
            except ValueError as error:
                row.status, row.error = "ignored", str(error)
                continue
            if payloads[-1].issue is None and payloads[-1].type not in _ROADMAP:
                row.status = "ignored"  # nothing that we follow
        _apply(session, settings, payloads)
        return Counter(row.status for row in rows)


def _claimed(session: Session, most: int) -> list[WebhookDelivery]:
    query = (
        select(WebhookDelivery)
        .filter_by(vendor=LINEAR, status="received")
        .order_by(WebhookDelivery.created_at, WebhookDelivery.delivery_id)
        .limit(most)
    )
    return list(session.scalars(query.with_for_update(skip_locked=True)))


def _apply(session: Session, settings: Settings, payloads: list[Payload]) -> None:
    issues = [
        one.issue.model_copy(update={"archived": True}) if one.action == "remove" else one.issue
        for one in payloads
        if one.issue is not None
    ]
    # Of several states of one issue the newest is applied last, so that none is in vain.
    issues.sort(key=lambda issue: (issue.updated_at, issue.archived))
    roadmap = any(one.type in _ROADMAP for one in payloads)
    if not issues and not roadmap:
        return
    # Projects are locked in the order of their ids.
    for source in sorted(active_sources(session), key=lambda source: (source.project_id, source.id)):
        applied = apply_issues(session, source, issues, batch_size=settings.batch_size)
        if roadmap or applied.unknown_campaign:
            forget_roadmap(session, source.id)


def forget_roadmap(session: Session, source_id: str) -> None:
    """Have the next look at a source read the roadmap. In the caller's transaction."""
    source = session.scalars(select(Source).filter_by(id=source_id).with_for_update()).one()
    session.refresh(source)
    source.cursor = source.cursor | {"roadmap_at": ""}


def _apply_one(engine: Engine, settings: Settings) -> Counter[str]:
    """Apply the oldest delivery alone; put it aside if that is not possible."""
    try:
        return _apply_some(engine, settings, 1)
    except Exception as error:
        with writing(engine) as session:
            for row in _claimed(session, 1):
                row.status, row.error = "ignored", f"{type(error).__name__}: it could not be applied"
                _log.exception("delivery %s could not be applied", row.delivery_id)
        return Counter(ignored=1)


def prune_deliveries(engine: Engine) -> None:
    """Forget what was applied long ago."""
    old = WebhookDelivery.created_at < utc_now() - KEPT
    with writing(engine) as session:
        session.execute(delete(WebhookDelivery).where(WebhookDelivery.status != "received", old))
