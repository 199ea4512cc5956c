"""How long an audit chain takes to verify, against bare `json` + `sha256` over the same entries."""

import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from cryptocontent.audit import Actor, Change, record_all, requested, text_change, verify
from cryptocontent.content.projects import create_project
from cryptocontent.storage import migrate, open_engine, reading, writing
from cryptocontent.storage.database import batched
from cryptocontent.storage.models import AuditEntry

WHO = Actor("person", "anna")
_BEFORE = "# Blobs\n\nA blob holds 4096 field elements.\n\nIt is pruned after 18 days.\n"


def make_chain(engine: Engine, entries: int) -> None:
    """A project `bench` whose chain has `entries` entries: mostly small ones, every tenth with a diff."""
    with writing(engine) as session:
        create_project(session, "bench", "", WHO)
    for numbers in batched(range(1, entries), 5_000):
        with writing(engine) as session, requested("cli:bench"):
            record_all(session, "bench", [_change(number) for number in numbers])


def _change(number: int) -> Change:
    data: dict[str, Any] = {"before": "0" * 64, "after": "1" * 64, "number": number, "status": ["draft", "x"]}
    if number % 10 == 0:
        data |= text_change(_BEFORE, _BEFORE.replace("4096", str(number)))
    return Change(WHO, "version.created", f"article:{number:032x}", data)


def verifying(entries: int = 100_000, database_url: str | None = None) -> list[dict[str, Any]]:
    """Seconds to verify a chain in a database (an SQLite file of its own if none is named, else an empty
    one), and to hash the same entries from memory."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        engine = open_engine(database_url or f"sqlite:///{Path(folder) / 'audit.db'}")
        migrate(engine)
        make_chain(engine, entries)
        began = time.perf_counter()
        with reading(engine) as session:
            verdict = verify(session, "bench")
        seconds = time.perf_counter() - began
        if (verdict.entries, verdict.broken_at) != (entries, None):
            raise RuntimeError(f"the chain does not hold: {verdict}")
        with reading(engine) as session:
            rows = [list(row) for row in session.execute(_columns()).tuples()]
        engine.dispose()
    bare = _bare(rows)
    return [
        _row("audit verify", entries, seconds, bare),
        _row("json + sha256 of the same entries", entries, bare, bare),
    ]


def _columns() -> Any:
    entry = AuditEntry
    return select(
        entry.previous_hash,
        entry.project_id,
        entry.seq,
        entry.at,
        entry.actor,
        entry.action,
        entry.subject,
        entry.origin,
        entry.request_id,
        entry.data,
    ).order_by(entry.seq)


def _bare(rows: list[list[Any]]) -> float:
    for row in rows:
        row[3] = row[3].isoformat(timespec="microseconds")
    began = time.perf_counter()
    for row in rows:
        hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
    return time.perf_counter() - began


def _row(what: str, entries: int, seconds: float, bare: float) -> dict[str, Any]:
    return {
        "what": what,
        "entries": entries,
        "seconds": seconds,
        "entries/s": entries / seconds,
        "× bare": seconds / bare,
    }
