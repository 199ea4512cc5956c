"""Leases: at most one process works on a brief at a time.

A lease expires unless it is renewed, so a killed process blocks nobody for longer than
`LEASE_SECONDS`; on the same machine its death is seen at once by its pid.
"""

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cryptocontent.storage.database import reading, writing
from cryptocontent.storage.models import BriefLease
from cryptocontent.storage.types import new_id, utc_now

LEASE_SECONDS = 20


def new_owner() -> str:
    """A name for this process's piece of work: host, pid and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{new_id()}"


def acquire(engine: Engine, brief_ids: Sequence[str], owner: str) -> set[str]:
    """Take the leases that are free, expired, or held by a dead process of this machine; returns them."""
    if not brief_ids:
        return set()
    _drop_dead(engine, brief_ids)
    now = utc_now()
    until = now + timedelta(seconds=LEASE_SECONDS)
    insert: Any = postgresql.insert if engine.name == "postgresql" else sqlite.insert
    statement = insert(BriefLease).values(
        [{"brief_id": brief, "owner": owner, "expires_at": until} for brief in sorted(brief_ids)]
    )
    statement = statement.on_conflict_do_update(
        index_elements=[BriefLease.brief_id],
        set_={"owner": owner, "expires_at": until},
        where=(BriefLease.expires_at < now) | (BriefLease.owner == owner),
    ).returning(BriefLease.brief_id)
    with writing(engine) as session:
        return set(session.scalars(statement))


def _drop_dead(engine: Engine, brief_ids: Sequence[str]) -> None:
    here = f"{socket.gethostname()}:"
    with reading(engine) as session:
        owners = set(session.scalars(select(BriefLease.owner).where(BriefLease.brief_id.in_(brief_ids))))
    dead = [owner for owner in owners if owner.startswith(here) and not _alive(int(owner.split(":")[1]))]
    if dead:
        with writing(engine) as session:
            session.execute(delete(BriefLease).where(BriefLease.owner.in_(dead)))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def renew(engine: Engine, owner: str) -> None:
    """Keep every lease of `owner` for another `LEASE_SECONDS`."""
    until = utc_now() + timedelta(seconds=LEASE_SECONDS)
    with writing(engine) as session:
        session.execute(update(BriefLease).filter_by(owner=owner).values(expires_at=until))


def release(engine: Engine, owner: str, brief_ids: Sequence[str]) -> None:
    """Give leases back."""
    with writing(engine) as session:
        session.execute(
            delete(BriefLease).where(BriefLease.owner == owner, BriefLease.brief_id.in_(brief_ids))
        )
