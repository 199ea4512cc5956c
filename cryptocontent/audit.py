"""The audit trail: what changed, by whom, chained by hash within each project.

Every entry's hash covers its content and the hash before it, so that an entry that was changed,
deleted, inserted or swapped breaks the chain at its place.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from cryptocontent.storage.database import insert_ignoring_conflicts
from cryptocontent.storage.models import AuditEntry, AuditHead
from cryptocontent.storage.types import utc_now


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `person:anna`, `stage:writer`, `sensor:generations`, `cli:root`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing done: what (`article.versioned`), to what (`article:…`), with before and after."""

    actor: Actor
    action: str
    subject: str
    data: dict[str, Any]


def _hash(
    previous: str, project_id: str, seq: int, at: datetime, actor: str, action: str, subject: str, data: Any
) -> str:
    content = [previous, project_id, seq, at.isoformat(timespec="microseconds"), actor, action, subject, data]
    return hashlib.sha256(
        json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()


def lock(session: Session, project_id: str) -> AuditHead:
    """The project's head, whose row lock serialises the project's writers until the caller's transaction
    ends. Who decides by what other writers wrote (a free slug, a state) takes it first; who takes those of
    several projects takes them in the order of their ids."""
    session.execute(
        insert_ignoring_conflicts(session.get_bind().dialect, AuditHead).values(
            project_id=project_id, seq=0, hash=""
        )
    )
    return session.execute(
        select(AuditHead)
        .filter_by(project_id=project_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one()


def record_all(session: Session, project_id: str, changes: Sequence[Change]) -> None:
    """Append entries in the caller's transaction. The head stays locked until that transaction ends, so
    record last and commit soon."""
    if not changes:
        return
    head = lock(session, project_id)
    at = utc_now()
    rows = []
    for change in changes:
        previous, seq = head.hash, head.seq + 1
        digest = _hash(
            previous, project_id, seq, at, str(change.actor), change.action, change.subject, change.data
        )
        rows.append(
            {
                "project_id": project_id,
                "seq": seq,
                "at": at,
                "actor": str(change.actor),
                "action": change.action,
                "subject": change.subject,
                "data": change.data,
                "previous_hash": previous,
                "hash": digest,
            }
        )
        head.seq, head.hash = seq, digest
    session.execute(insert(AuditEntry), rows)


def record(
    session: Session, project_id: str, actor: Actor, action: str, subject: str, data: dict[str, Any]
) -> None:
    """Append one entry in the caller's transaction."""
    record_all(session, project_id, [Change(actor, action, subject, data)])


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on a chain: how many entries were read, and what is wrong at which one."""

    project_id: str
    entries: int
    broken_at: int | None = None
    problem: str = ""


def verify(session: Session, project_id: str) -> Verification:
    """Read the whole chain and name the first entry that does not follow from the one before."""
    previous, expected = "", 1
    query = (
        select(
            AuditEntry.seq,
            AuditEntry.at,
            AuditEntry.actor,
            AuditEntry.action,
            AuditEntry.subject,
            AuditEntry.data,
            AuditEntry.previous_hash,
            AuditEntry.hash,
        )
        .filter_by(project_id=project_id)
        .order_by(AuditEntry.seq)
        .execution_options(yield_per=5000)
    )
    for seq, at, actor, action, subject, data, stated_previous, digest in session.execute(query):
        if seq != expected:
            return Verification(project_id, expected - 1, expected, f"entry {expected} is missing")
        if stated_previous != previous:
            return Verification(
                project_id, expected - 1, seq, f"entry {seq} does not follow from entry {seq - 1}"
            )
        if _hash(previous, project_id, seq, at, actor, action, subject, data) != digest:
            return Verification(
                project_id, expected - 1, seq, f"entry {seq} was changed after it was written"
            )
        previous, expected = digest, expected + 1
    head = session.get(AuditHead, project_id)
    if head is not None and (head.seq, head.hash) != (expected - 1, previous):
        return Verification(project_id, expected - 1, expected, f"the chain ends before entry {head.seq}")
    return Verification(project_id, expected - 1)
