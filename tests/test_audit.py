"""The audit chain: any changed, deleted, inserted or swapped entry is named; entries say from where."""

import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from cryptocontent.audit import (
    DIFF_CHARACTERS,
    Actor,
    Change,
    Head,
    entries,
    export,
    head_of,
    record,
    record_all,
    requested,
    text_change,
    verify,
    verify_export,
)
from cryptocontent.content.projects import create_project
from cryptocontent.content.text import content_hash
from cryptocontent.errors import Refused
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry, AuditHead, Project
from cryptocontent.storage.types import utc_now

WHO = Actor("person", "anna")
LAST = 9


@pytest.fixture
def chain(engine: Engine) -> Engine:
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
        with requested("cli:desk", "r1"):
            record_all(
                session,
                "p",
                [
                    Change(WHO, "brief.created", f"brief:{n}", {"n": n, "ü": [1.5, None], "a": "“x”\u2028"})
                    for n in range(LAST - 1)
                ],
            )
    return engine


def unprotect(session: Session) -> None:
    """What somebody who tampers has to do first: drop the triggers."""
    names = ["audit_entries_written_once"]
    on = " ON audit_entries"
    if session.get_bind().dialect.name == "sqlite":
        names, on = [f"{names[0]}_update", f"{names[0]}_delete"], ""
    for name in names:
        session.execute(text(f"DROP TRIGGER {name}{on}"))


def test_a_whole_chain_holds(chain: Engine) -> None:
    with reading(chain) as session:
        verdict = verify(session, "p")
    assert (verdict.entries, verdict.broken_at) == (LAST, None)


@pytest.mark.parametrize(
    "change", ["UPDATE audit_entries SET actor = 'person:eve'", "DELETE FROM audit_entries"]
)
def test_the_database_refuses_to_change_entries(chain: Engine, change: str) -> None:
    with pytest.raises(DBAPIError, match="written once"), writing(chain) as session:
        session.execute(text(change))
    with reading(chain) as session:
        assert verify(session, "p").entries == LAST


def _set(seq: int, /, **values: Any) -> Callable[[Session], object]:
    return lambda session: session.execute(update(AuditEntry).filter_by(seq=seq).values(**values))


def _drop(*seqs: int) -> Callable[[Session], object]:
    return lambda session: session.execute(delete(AuditEntry).where(AuditEntry.seq.in_(seqs)))


def _head(**values: Any) -> Callable[[Session], object]:
    return lambda session: session.execute(update(AuditHead).values(**values))


def _swap(session: Session) -> None:
    for old, new in ((4, 400), (5, 4), (400, 5)):
        session.execute(update(AuditEntry).filter_by(project_id="p", seq=old).values(seq=new))


def _shift(session: Session, first: int, by: int) -> None:
    """Renumber the entries from `first` on."""
    for off in (1000, by - 1000):
        where = AuditEntry.seq >= (first if off == 1000 else 1000)
        session.execute(update(AuditEntry).where(where).values(seq=AuditEntry.seq + off))


def _copy(session: Session, of: int, to: int) -> dict[str, Any]:
    row = session.execute(select(AuditEntry.__table__).filter_by(seq=of)).mappings().one()  # type: ignore[arg-type]
    return dict(row) | {"seq": to}


def _hashed(row: dict[str, Any], previous: str) -> dict[str, Any]:
    """A forged entry whose own hash is right, made as the module's docstring says."""
    names = ("seq", "at", "actor", "action", "subject", "origin", "request_id", "data")
    fields = [previous, row["project_id"], *(row[name] for name in names)]
    fields[3] = row["at"].isoformat(timespec="microseconds")
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    return row | {"previous_hash": previous, "hash": digest}


def _insert_copy(session: Session) -> None:
    row = _copy(session, 3, 5)
    _shift(session, 5, 1)
    session.execute(insert(AuditEntry).values(**row))


def _insert_forged(session: Session) -> None:
    previous = _copy(session, 4, 4)["hash"]
    row = _hashed(_copy(session, 3, 5) | {"actor": "person:eve"}, previous)
    _shift(session, 5, 1)
    session.execute(insert(AuditEntry).values(**row))


def _insert_first(session: Session) -> None:
    row = _hashed(_copy(session, 1, 1), "")
    _shift(session, 1, 1)
    session.execute(insert(AuditEntry).values(**row | {"at": utc_now()}))


def _insert_zero(session: Session) -> None:
    session.execute(insert(AuditEntry).values(**_hashed(_copy(session, 1, 0), "")))


def _append_forged(session: Session) -> None:
    last = _copy(session, LAST, LAST + 1)
    session.execute(insert(AuditEntry).values(**_hashed(last, last["hash"])))


def _append_far(session: Session) -> None:
    session.execute(insert(AuditEntry).values(**_copy(session, LAST, 500)))


def _wipe(session: Session) -> None:
    session.execute(delete(AuditEntry))
    session.execute(delete(AuditHead))


def _wipe_to_zero(session: Session) -> None:
    session.execute(delete(AuditEntry))
    session.execute(update(AuditHead).values(seq=0, hash=""))


def _wipe_and_go_on(session: Session) -> None:
    _wipe(session)
    record(session, "p", WHO, "brief.created", "brief:x", {})


def _delete_and_renumber(session: Session) -> None:
    session.execute(delete(AuditEntry).filter_by(seq=5))
    _shift(session, 6, -1)


OTHER = "0" * 64
TAMPERINGS: dict[str, tuple[Callable[[Session], object], int]] = {
    "data changed": (_set(3, data={"n": 99}), 3),
    "data reordered": (_set(3, data={"ü": [1.5, None], "n": 1, "a": "“x”\u2028"}), 3),
    "first actor changed": (_set(1, actor="person:eve"), 1),
    "last actor changed": (_set(LAST, actor="person:eve"), LAST),
    "time changed": (lambda s: s.execute(update(AuditEntry).filter_by(seq=6).values(at=utc_now())), 6),
    "action changed": (_set(2, action="brief.deleted"), 2),
    "subject changed": (_set(2, subject="brief:9"), 2),
    "origin changed": (_set(4, origin="cli:elsewhere"), 4),
    "request changed": (_set(4, request_id=""), 4),
    "previous hash changed": (_set(7, previous_hash=OTHER), 7),
    "hash changed": (_set(7, hash=OTHER), 7),
    "number changed": (_set(7, seq=70), 7),
    "last number changed": (_set(LAST, seq=70), LAST),
    "deleted first": (_drop(1), 1),
    "deleted in the middle": (_drop(5), 5),
    "deleted and renumbered": (_delete_and_renumber, 5),
    "deleted at the end": (_drop(LAST), LAST),
    "all deleted": (_drop(*range(1, LAST + 1)), 1),
    "wiped": (_wipe, 1),
    "wiped, head at zero": (_wipe_to_zero, 1),
    "wiped, then written on": (_wipe_and_go_on, 1),
    "swapped": (_swap, 4),
    "a copy inserted": (_insert_copy, 5),
    "a forged one inserted": (_insert_forged, 5),
    "inserted as the first": (_insert_first, 1),
    "inserted before the first": (_insert_zero, 0),
    "appended": (_append_forged, LAST + 1),
    "appended far off": (_append_far, LAST + 1),
    "head missing": (lambda s: s.execute(delete(AuditHead)), LAST + 1),
    "head's hash changed": (_head(hash=OTHER), LAST),
    "head raised": (_head(seq=LAST + 3), LAST + 1),
    "head lowered": (_head(seq=LAST - 2), LAST - 1),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_named(chain: Engine, name: str) -> None:
    tamper, place = TAMPERINGS[name]
    with writing(chain) as session:
        unprotect(session)
        tamper(session)
    with reading(chain) as session:
        verdict = verify(session, "p")
    assert verdict.broken_at == place, verdict
    assert verdict.problem
    assert verdict.entries == max(place - 1, 0)


def test_moved_to_another_project(chain: Engine) -> None:
    with writing(chain) as session:
        unprotect(session)
        session.add(Project(id="q", name="q"))
        session.flush()
        session.execute(update(AuditEntry).filter_by(seq=LAST).values(project_id="q"))
    with reading(chain) as session:
        assert verify(session, "p").broken_at == LAST
        assert verify(session, "q").broken_at is not None


def test_a_chain_made_anew_does_not_hold_a_head_that_was_kept(chain: Engine) -> None:
    with reading(chain) as session:
        kept = Head(*session.execute(select(AuditHead.seq, AuditHead.hash)).one())
        fifth = Head(5, session.scalar(select(AuditEntry.hash).filter_by(seq=5)) or "")
        assert verify(session, "p", kept).broken_at is None
        assert verify(session, "p", fifth).broken_at is None
        assert verify(session, "p", Head(LAST + 1, OTHER)).broken_at == LAST + 1
        assert verify(session, "none", kept).broken_at == 1
    with writing(chain) as session:
        unprotect(session)
        rows = [_copy(session, seq, seq) for seq in range(1, LAST + 1)]
        rows[3]["data"] = {"n": 99}
        session.execute(delete(AuditEntry))
        previous = ""
        for row in rows:
            made = _hashed(row, previous)
            session.execute(insert(AuditEntry).values(**made))
            previous = made["hash"]
        session.execute(update(AuditHead).values(hash=previous))
    with reading(chain) as session:
        assert verify(session, "p").broken_at is None  # nothing within the database can tell
        assert verify(session, "p", kept).broken_at == LAST
        assert verify(session, "p", fifth).broken_at == 5


@pytest.mark.parametrize("wrong", ["", "12", "12:abc", f"x:{OTHER}", f"-1:{OTHER}", f"12:{'A' * 64}"])
def test_a_head_is_a_number_and_a_hash(wrong: str) -> None:
    assert Head.parse(str(Head(12, OTHER))) == Head(12, OTHER)
    with pytest.raises(Refused, match="SEQ:HASH"):
        Head.parse(wrong)


def test_entries_say_from_where(engine: Engine) -> None:
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
        with requested("10.0.0.7") as outer:
            record(session, "p", WHO, "a.b", "x:1", {})
            with requested("sensor:publications", "s1"):
                record(session, "p", WHO, "a.b", "x:2", {})
            record(session, "p", WHO, "a.b", "x:3", {})
        record(session, "p", WHO, "a.b", "x:4", {})
        query = select(AuditEntry.origin, AuditEntry.request_id).order_by(AuditEntry.seq)
        rows = session.execute(query).tuples().all()
    assert len(outer.id) == 32
    assert rows == [
        ("", ""),
        ("10.0.0.7", outer.id),
        ("sensor:publications", "s1"),
        ("10.0.0.7", outer.id),
        ("", ""),
    ]


def test_what_is_too_long_is_cut_before_it_is_hashed(engine: Engine) -> None:
    with writing(engine) as session, requested("h" * 500, "r" * 500):
        create_project(session, "p", "", WHO)
    with reading(engine) as session:
        assert verify(session, "p").broken_at is None


def test_a_change_of_text_is_two_hashes_and_a_diff() -> None:
    before = "# Blobs\n\nA blob holds 4096 field elements.\n\nIt is pruned.\n"
    change = text_change(before, before.replace("4096", "4097"))
    assert (change["before"], change["after"]) == (
        content_hash(before),
        content_hash(before.replace("4096", "4097")),
    )
    assert "-A blob holds 4096 field elements." in change["diff"].splitlines()
    assert "+A blob holds 4097 field elements." in change["diff"].splitlines()
    assert "It is pruned." not in change["diff"]
    assert "diff_left_out" not in change
    assert text_change(before, before)["diff"] == ""


def test_a_long_diff_is_cut_and_says_so() -> None:
    after = "\n".join(f"line {n}" for n in range(5000))
    change = text_change("", after)
    assert len(change["diff"]) == DIFF_CHARACTERS
    assert change["diff_left_out"] > 0
    assert change["after"] == content_hash(after)


def test_projects_have_chains_of_their_own(chain: Engine) -> None:
    with writing(chain) as session:
        unprotect(session)
        create_project(session, "q", "", WHO)
        session.execute(update(AuditEntry).filter_by(project_id="p", seq=2).values(action="x"))
    with reading(chain) as session:
        assert verify(session, "q").broken_at is None
        assert verify(session, "p").broken_at == 2


def test_writers_at_once_make_one_chain(chain: Engine) -> None:
    def write() -> None:
        for n in range(10):
            with writing(chain) as session:
                record(session, "p", WHO, "x.y", f"x:{n}", {})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(chain) as session:
        verdict = verify(session, "p")
    assert (verdict.entries, verdict.broken_at) == (LAST + 40, None)


@pytest.fixture
def exported(chain: Engine) -> list[str]:
    with reading(chain) as session:
        return list(export(session, "p"))


def test_an_export_can_be_checked_without_us(exported: list[str]) -> None:
    previous = ""
    names = ("seq", "at", "actor", "action", "subject", "origin", "request_id", "data")
    for number, line in enumerate(exported, 1):
        entry = json.loads(line)
        assert entry["seq"] == number and entry["previous_hash"] == previous and line.endswith("}\n")
        fields = [previous, "p", *(entry[name] for name in names)]
        previous = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
        assert entry["hash"] == previous
    assert len(exported) == LAST


def test_a_whole_export_holds(chain: Engine, exported: list[str]) -> None:
    with reading(chain) as session:
        head = head_of(session, "p")
    assert head.seq == LAST
    verdict = verify_export(exported, head)
    assert (verdict.project_id, verdict.entries, verdict.broken_at) == ("p", LAST, None)
    # What was appended since the head was kept is no harm; what is cut off is seen by the kept head only.
    assert verify_export(exported, Head(5, json.loads(exported[4])["hash"])).broken_at is None
    assert verify_export(exported[:-1]).broken_at is None
    assert verify_export(exported[:-1], head).broken_at == LAST


EXPORT_TAMPERINGS: dict[str, tuple[Callable[[list[str]], list[str]], int]] = {
    "a value": (lambda lines: [line.replace("brief:2", "brief:3") for line in lines], 4),
    "the data": (lambda lines: [line.replace('"n": 2', '"n": 20') for line in lines], 4),
    "white space": (lambda lines: [*lines[:3], lines[3].replace(": ", ":", 1), *lines[4:]], 4),
    "a name twice": (lambda lines: [*lines[:3], '{"actor": "x", ' + lines[3][1:], *lines[4:]], 4),
    "a name more": (lambda lines: [*lines[:3], '{"a": 1, ' + lines[3][1:], *lines[4:]], 4),
    "a name less": (lambda lines: [*lines[:3], "{}\n", *lines[4:]], 4),
    "no JSON": (lambda lines: [*lines[:3], "what?\n", *lines[4:]], 4),
    "an empty line": (lambda lines: [*lines[:3], "\n", *lines[3:]], 4),
    "a deleted line": (lambda lines: [*lines[:3], *lines[4:]], 4),
    "a line twice": (lambda lines: [*lines[:4], *lines[3:]], 5),
    "swapped lines": (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], 4),
    "a deleted first line": (lambda lines: lines[1:], 1),
    "one of another project": (
        lambda lines: [*lines[:3], lines[3].replace('"project_id": "p"', '"project_id": "q"'), *lines[4:]],
        4,
    ),
    "another project's": (lambda lines: [line.replace('"p"', '"q"') for line in lines], 1),
}


@pytest.mark.parametrize("name", EXPORT_TAMPERINGS)
def test_tampering_with_an_export_is_named(exported: list[str], name: str) -> None:
    tamper, place = EXPORT_TAMPERINGS[name]
    verdict = verify_export(tamper(exported))
    assert verdict.broken_at == place, verdict
    assert verdict.problem


@pytest.mark.parametrize("lines", [[], ["\n"], ["[1]\n"], ["3\n"], ["no JSON\n"], ["{}\n"]])
def test_what_is_no_export_is_refused(lines: list[str]) -> None:
    with pytest.raises(Refused, match="line 1"):
        verify_export(lines)


def test_entries_are_listed_newest_first(chain: Engine) -> None:
    with writing(chain) as session:
        record(session, "p", Actor("stage", "writer"), "a.b", "x_y:1", {"n": 1})
        record(session, "p", Actor("stage", "writer"), "a.b", "xzy:1", {"n": 1})
    with reading(chain) as session:
        assert [one["seq"] for one in entries(session, "p", limit=2)] == [LAST + 2, LAST + 1]
        assert [one["subject"] for one in entries(session, "p", subject="x_")] == ["x_y:1"]
        assert len(entries(session, "p", actor="stage:")) == 2
        assert len(entries(session, "p", actor="person:anna", subject="brief:")) == LAST - 1
        (one,) = entries(session, "p", subjects={"brief:3", "brief:none"})
        assert (one["seq"], one["data"]["n"], one["origin"]) == (5, 3, "cli:desk")
        assert entries(session, "q") == []


def test_a_project_without_a_head_has_none_to_keep(engine: Engine) -> None:
    with reading(engine) as session, pytest.raises(Refused, match="head"):
        head_of(session, "p")
