"""The audit trail: what changed, by whom, from where, chained by hash within each project.

Every entry's hash covers its content and the hash before it, so that an entry that was changed,
deleted, inserted or swapped breaks the chain at its place. The hash is the SHA-256 of the UTF-8 bytes of

    json.dumps([previous_hash, project_id, seq, at, actor, action, subject, origin, request_id, data],
               sort_keys=True)

with `at` in UTC to the microsecond (`2026-11-24T12:00:00.000000+00:00`): any JSON library that can sort
keys, escape non-ASCII characters and write `", "` and `": "` between items can check an export.
"""

import difflib
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Text, cast, func, insert, select, type_coerce
from sqlalchemy.orm import Session

from cryptocontent.errors import Refused
from cryptocontent.storage.database import insert_ignoring_conflicts
from cryptocontent.storage.models import AuditEntry, AuditHead, Project
from cryptocontent.storage.types import new_id, utc_now

DIFF_CHARACTERS = 20_000
"""The most characters of a diff that an entry keeps."""

_FIRST_ACTION = "project.created"
_dumps = json.JSONEncoder(sort_keys=True, allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, as `kind:name`. Kinds: `person` (a member: `person:anna`), `stage` (an agent:
    `stage:writer`), `sensor` (`sensor:publications`), `run` (a Dagster run's own work), `key` (an API key,
    by its name), `cli` (the operating system's user), `system` (the house itself: `system:generations`)."""

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


class Request(NamedTuple):
    """What the entries of one request have in common: where it came from, and its id."""

    origin: str
    id: str


_request: ContextVar[Request | None] = ContextVar("audit_request", default=None)


@contextmanager
def requested(origin: str, request_id: str | None = None) -> Iterator[Request]:
    """Entries recorded within the block say where the request came from: `cli:HOST`, an IP address,
    `dagster:RUN_ID`, `sensor:NAME` (at most 200 characters), and bear one request id (at most 64; a random
    one if none is given). Holds for the thread or asyncio task, and for tasks started within."""
    request = Request(origin[:200], (request_id or new_id())[:64])
    token = _request.set(request)
    try:
        yield request
    finally:
        _request.reset(token)


def current_request() -> Request | None:
    """The request that the caller works for, if `requested` named one."""
    return _request.get()


def text_change(before: str, after: str) -> dict[str, Any]:
    """An entry's `data` for a change of text: the hashes of both (as `content.text.content_hash` makes
    them of a string, so that they can be compared with a version's) and a unified diff by lines. A diff
    of more than `DIFF_CHARACTERS` is cut, and `diff_left_out` says by how many characters."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", "", "", 1, "")
    diff = "\n".join(lines)
    change: dict[str, Any] = {"before": _text_hash(before), "after": _text_hash(after)}
    change["diff"] = diff[:DIFF_CHARACTERS]
    if len(diff) > DIFF_CHARACTERS:
        change["diff_left_out"] = len(diff) - DIFF_CHARACTERS
    return change


def _text_hash(text: str) -> str:
    return hashlib.sha256(json.dumps(text, ensure_ascii=False).encode()).hexdigest()


def _moment(at: datetime) -> str:
    """An aware UTC instant as it is hashed."""
    return at.isoformat(timespec="microseconds")


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
    record last and commit soon. `data` must be JSON; its keys are stored in alphabetical order."""
    if not changes:
        return
    head = lock(session, project_id)
    at = utc_now()
    origin, request_id = _request.get() or ("", "")
    rows = []
    for change in changes:
        # The stored text is the very text that was hashed: `verify` needs not parse it.
        data = _dumps(change.data)
        previous, seq, actor = head.hash, head.seq + 1, str(change.actor)
        fields = [previous, project_id, seq, _moment(at), actor, change.action, change.subject]
        digest = _digest([*fields, origin, request_id], data)
        rows.append(
            {
                "project_id": project_id,
                "seq": seq,
                "at": at,
                "actor": actor,
                "action": change.action,
                "subject": change.subject,
                "origin": origin,
                "request_id": request_id,
                "data": json.loads(data),
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


def _digest(fields: Sequence[Any], data: str) -> str:
    """The hash of an entry, from its fields before `data` and the JSON text of `data`."""
    return hashlib.sha256(f"{_dumps(fields)[:-1]}, {data}]".encode()).hexdigest()


class Head(NamedTuple):
    """The newest entry of a chain: what one keeps elsewhere to prove later that it is still there."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """From `SEQ:HASH`; `Refused` if it is none."""
        seq, _, digest = text.strip().partition(":")
        if not seq.isdecimal() or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise Refused(f"head {text!r}: it is SEQ:HASH, a number and 64 hex digits (`audit head`)")
        return cls(int(seq), digest)


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on a chain: how many entries hold, and what is wrong at which one."""

    project_id: str
    entries: int
    broken_at: int | None = None
    problem: str = ""


# An entry as it is stored, `at` and `data` as the texts that were hashed: seq, at, actor, action, subject,
# origin, request id, data, previous hash, hash.
_Row = Sequence[Any]


def verify(session: Session, project_id: str, kept: Head | None = None) -> Verification:
    """Read the whole chain and name the first entry that does not follow from the one before, or that the
    chain's head does not know of. With `kept`, a head that was kept elsewhere, also prove that the chain
    still holds that entry: who can write the whole database could make the whole chain anew."""
    exists = session.scalar(select(Project.id).filter_by(id=project_id)) is not None
    head, rows = _stored(session, project_id)
    if not exists and head is None and kept is None:
        return Verification(project_id, 0)  # no project, so no entries: a foreign key sees to that
    return _walk(project_id, rows, head, kept)


def _stored(session: Session, project_id: str) -> tuple[Head | None, Iterable[_Row]]:
    """The chain's head and its entries, by one statement: what others append meanwhile is in both or in
    neither. An entry's texts are read as they are, so that a broken one can't stop the reading."""
    on_postgres = session.get_bind().dialect.name == "postgresql"
    at = (
        func.to_char(func.timezone("UTC", AuditEntry.at), 'YYYY-MM-DD"T"HH24:MI:SS.US')
        if on_postgres
        else func.replace(type_coerce(AuditEntry.at, Text), " ", "T")
    )
    head = select(AuditHead.seq, AuditHead.hash).filter_by(project_id=project_id)
    query = (
        select(
            AuditEntry.seq,
            at.concat("+00:00"),
            AuditEntry.actor,
            AuditEntry.action,
            AuditEntry.subject,
            AuditEntry.origin,
            AuditEntry.request_id,
            cast(AuditEntry.data, Text) if on_postgres else type_coerce(AuditEntry.data, Text),
            AuditEntry.previous_hash,
            AuditEntry.hash,
            head.with_only_columns(AuditHead.seq).scalar_subquery(),
            head.with_only_columns(AuditHead.hash).scalar_subquery(),
        )
        .filter_by(project_id=project_id)
        .order_by(AuditEntry.seq)
        .execution_options(yield_per=2000)
    )
    rows = session.execute(query)
    first = rows.fetchone()
    if first is None:
        stated = session.execute(head).first()
        return (Head(*stated) if stated else None), ()
    return (Head(first[10], first[11]) if first[10] is not None else None), chain((first,), rows)


def _walk(
    project_id: str, rows: Iterable[_Row], head: Head | None, kept: Head | None, *, exported: bool = False
) -> Verification:
    """Follow the chain link by link, to the end that `head` states; an `exported` chain has no head."""
    previous, before_previous, last = "", "", 0

    def broken(place: int, problem: str) -> Verification:
        return Verification(project_id, min(last, max(place - 1, 0)), place, problem)

    for row in rows:
        seq, digest = row[0], row[9]
        if seq != last + 1:
            return broken(*_gap(seq, last, head))
        if row[8] != previous:
            # Renumbered since, but else as it was written after the entry before the last: that one is new.
            moved = [before_previous, project_id, last, *row[1:7]]
            if row[8] == before_previous and digest != previous and _hashes(moved, row[7]) == digest:
                return broken(last, f"entry {last} was inserted: entry {seq} follows from entry {last - 1}")
            return broken(seq, f"entry {seq} does not follow from entry {last}")
        if head and seq > head.seq:
            return broken(seq, f"entry {seq} was inserted: the chain's head is entry {head.seq}")
        if _hashes([previous, project_id, *row[:7]], row[7]) != digest:
            return broken(seq, f"entry {seq} was changed after it was written")
        if seq == 1 and row[3] != _FIRST_ACTION:
            return broken(1, f"entry 1 is {row[3]}, not {_FIRST_ACTION}: the chain was made anew")
        if kept and seq == kept.seq and digest != kept.hash:
            return broken(seq, f"entry {seq} is not the one whose hash was kept: the chain was made anew")
        previous, before_previous, last = digest, previous, seq
    if last == 0:
        return broken(1, f"entry 1 ({_FIRST_ACTION}) is missing")
    if head is None and not exported:
        return broken(last + 1, f"the chain's head is gone: nothing proves that entry {last} is the last")
    if head and head.seq > last:
        return broken(last + 1, f"entry {last + 1} is missing: the chain's head is entry {head.seq}")
    if head and head.hash != previous:
        return broken(last, f"entry {last} is not the one that the chain's head states")
    if kept and kept.seq > last:
        return broken(last + 1, f"entry {kept.seq}, whose hash was kept, is missing")
    return Verification(project_id, last)


def _hashes(fields: Sequence[Any], data: Any) -> str:
    """The hash of a stored entry's content; none if it holds what is never recorded (bytes, infinity)."""
    try:
        return _digest(fields, data)
    except (TypeError, ValueError):
        return ""


def _gap(seq: Any, last: int, head: Head | None) -> tuple[int, str]:
    """What it means that `seq` comes after `last`: its place and the problem."""
    if head and last >= head.seq:
        return last + 1, f"entry {seq} was inserted: the chain's head is entry {head.seq}"
    if isinstance(seq, int) and seq < 1:
        return seq, f"entry {seq} was inserted before the first"
    return last + 1, f"entry {last + 1} is missing"


def head_of(session: Session, project_id: str) -> Head:
    """The newest entry of a project's chain: keep it elsewhere and give it to `verify` later."""
    head = session.execute(select(AuditHead.seq, AuditHead.hash).filter_by(project_id=project_id)).first()
    if head is None:
        raise Refused(f"project {project_id!r} has no chain's head (`audit verify` says what is wrong)")
    return Head(*head)


_EXPORTED = (
    "seq", "at", "actor", "action", "subject", "origin", "request_id", "data", "previous_hash", "hash"
)  # fmt: skip


def export(session: Session, project_id: str) -> Iterator[str]:
    """The chain as JSON Lines, each entry an object of all its columns with its keys in alphabetical order,
    as `json.dumps(…, sort_keys=True)` writes it; read as it goes, whatever its length."""
    for row in _stored(session, project_id)[1]:
        entry = dict(zip(_EXPORTED, row, strict=False)) | {"project_id": project_id}
        try:
            entry["data"] = json.loads(entry["data"])
            yield _dumps(entry) + "\n"
        except (TypeError, ValueError):
            raise Refused(f"entry {row[0]} can't be read (`audit verify` says what is wrong)") from None


def verify_export(lines: Iterable[str], kept: Head | None = None) -> Verification:
    """`verify` for what `export` wrote. Entries cut off its end are missed only with `kept`."""
    rows = iter(lines)
    first = next(rows, "")
    try:
        project_id = str(json.loads(first)["project_id"])
    except (TypeError, KeyError, ValueError):
        raise Refused("line 1 is no audit entry: the file is none that `audit export` wrote") from None
    return _walk(project_id, _exported(project_id, chain((first,), rows)), None, kept, exported=True)


def _exported(project_id: str, lines: Iterable[str]) -> Iterator[_Row]:
    """The entries of an export. A line that is not as it was written becomes one that can't hold."""
    previous = ""
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            row = [entry[name] for name in _EXPORTED]
            written = _dumps(dict(zip(_EXPORTED, row, strict=True)) | {"project_id": project_id})
            row[7] = _dumps(row[7]) if written == line.rstrip("\r\n") else ""
        except (TypeError, KeyError, ValueError):
            row = [number, *[""] * 7, previous, ""]
        previous = row[9]
        yield row


def entries(
    session: Session,
    project_id: str,
    *,
    subject: str = "",
    subjects: Collection[str] | None = None,
    actor: str = "",
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """A project's entries as plain values, the newest first: of those whose subject begins with `subject`
    (`article:`) or is one of `subjects`, and whose actor begins with `actor` (`person:anna`, `stage:`)."""
    query = select(AuditEntry).filter_by(project_id=project_id).order_by(AuditEntry.seq.desc()).limit(limit)
    if subject:
        query = query.where(AuditEntry.subject.startswith(subject, autoescape=True))
    if subjects is not None:
        query = query.where(AuditEntry.subject.in_(subjects))
    if actor:
        query = query.where(AuditEntry.actor.startswith(actor, autoescape=True))
    return [
        {name: getattr(entry, name) for name in _EXPORTED} | {"at": _moment(entry.at)}
        for entry in session.scalars(query)
    ]
