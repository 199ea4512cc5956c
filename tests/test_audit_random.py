"""Any random chain with any single tampering: the verdict names its place, or the first at which it could
be known."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.orm import Session

from cryptocontent.audit import (
    Actor,
    Change,
    Verification,
    export,
    record_all,
    requested,
    verify,
    verify_export,
)
from cryptocontent.content.projects import create_project
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry, AuditHead
from cryptocontent.storage.types import new_id
from tests.test_audit import OTHER, _hashed, unprotect

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=12)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
DATA = st.dictionaries(
    TEXT,
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False, allow_infinity=False)
        | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
CHANGES = st.lists(st.tuples(TEXT, TEXT, TEXT, DATA), max_size=9)
COLUMNS = (
    "at", "actor", "action", "subject", "origin", "request_id", "data", "previous_hash", "hash", "seq"
)  # fmt: skip


@pytest.fixture
def open_to_all(engine: Engine) -> Engine:
    """A database whose triggers somebody has dropped."""
    with writing(engine) as session:
        unprotect(session)
    return engine


def make(session: Session, changes: list[tuple[str, str, str, dict[str, Any]]]) -> tuple[str, int]:
    """A project of its own with a chain; its id and length."""
    project = f"p{new_id()[:20]}"
    create_project(session, project, "", Actor("person", "anna"))
    for number, (name, action, origin, data) in enumerate(changes):
        with requested(origin, None if number % 2 else "r"):
            record_all(session, project, [Change(Actor("person", name), action, f"x:{number}", data)])
    return project, len(changes) + 1


class Chain:
    """One project's chain in the hands of somebody who may write the database."""

    def __init__(self, session: Session, project: str, length: int) -> None:
        self.session, self.project, self.length = session, project, length

    def entry(self, seq: int) -> dict[str, Any]:
        query = select(AuditEntry.__table__).filter_by(project_id=self.project, seq=seq)  # type: ignore[arg-type]
        return dict(self.session.execute(query).mappings().one())

    def set(self, number: int, **values: Any) -> None:
        where = update(AuditEntry).filter_by(project_id=self.project, seq=number)
        self.session.execute(where.values(**values))

    def shift(self, first: int, by: int) -> None:
        for off, least in ((1000, first), (by - 1000, 1000)):
            self.session.execute(
                update(AuditEntry)
                .where(AuditEntry.project_id == self.project, AuditEntry.seq >= least)
                .values(seq=AuditEntry.seq + off)
            )

    def change(self, seq: int, column: str) -> int:
        entry = self.entry(seq)
        values = {
            "at": entry["at"] + timedelta(microseconds=1),
            "data": {**entry["data"], "more": None} if "more" not in entry["data"] else {},
            "previous_hash": OTHER,
            "hash": OTHER,
            "seq": self.length + 7,
        }
        self.set(seq, **{column: values.get(column, f"{entry[column]}.")})
        return seq

    def delete(self, seq: int, renumber: bool) -> int:
        self.session.execute(delete(AuditEntry).filter_by(project_id=self.project, seq=seq))
        if renumber:
            self.shift(seq + 1, -1)
        return seq

    def swap(self, one: int, other: int) -> int:
        for old, new in ((one, 900), (other, one), (900, other)):
            self.set(old, seq=new)
        return min(one, other)

    def insert(self, seq: int, of: int, forge: bool) -> int:
        entry = self.entry(of) | {"seq": seq}
        if forge:
            entry = _hashed(entry, self.entry(seq - 1)["hash"] if seq > 1 else "")
        self.shift(seq, 1)
        self.session.execute(insert(AuditEntry).values(**entry))
        # Of two that are the same in everything the second is the one too many.
        return seq + 1 if of == seq else seq

    def head(self, how: str, by: int) -> int:
        rows = update(AuditHead).filter_by(project_id=self.project)
        if how == "delete":
            self.session.execute(delete(AuditHead).filter_by(project_id=self.project))
            return self.length + 1
        if how == "hash":
            self.session.execute(rows.values(hash=OTHER))
            return self.length
        seq = self.length + by if how == "raise" else max(self.length - by, 0)
        self.session.execute(rows.values(seq=seq))
        return min(seq, self.length) + 1


def tamper(chain: Chain, draw: Any) -> int:
    """One random tampering; the place where it can first be known."""
    place = st.integers(1, chain.length)
    kind = draw(st.sampled_from(["change", "delete", "swap", "insert", "head"]))
    if kind == "swap" and chain.length == 1:
        kind = "change"
    if kind == "change":
        return chain.change(draw(place), draw(st.sampled_from(COLUMNS)))
    if kind == "delete":
        return chain.delete(draw(place), draw(st.booleans()))
    if kind == "swap":
        one, other = draw(st.lists(place, min_size=2, max_size=2, unique=True))
        return chain.swap(one, other)
    if kind == "insert":
        return chain.insert(draw(st.integers(1, chain.length + 1)), draw(place), draw(st.booleans()))
    return chain.head(draw(st.sampled_from(["delete", "hash", "raise", "lower"])), draw(st.integers(1, 20)))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, data=st.data())
def test_one_tampering_is_named_at_its_place(open_to_all: Engine, changes: Any, data: st.DataObject) -> None:
    with writing(open_to_all) as session:
        project, length = make(session, changes)
        whole = verify(session, project)
        assert whole == Verification(project, length), "untouched it holds"
        lines = list(export(session, project))
        assert verify_export(lines) == whole, "and so does its export"
        place = tamper(Chain(session, project, length), data.draw)
    with reading(open_to_all) as session:
        verdict = verify(session, project)
    assert verdict.broken_at == place, verdict
    assert verdict.problem
