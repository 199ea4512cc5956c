"""The audit chain: any changed, deleted, inserted or swapped entry is named."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, Change, record, record_all, verify
from cryptocontent.content.projects import create_project
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry

WHO = Actor("person", "anna")


@pytest.fixture
def chain(engine: Engine) -> Engine:
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
        record_all(
            session, "p", [Change(WHO, "brief.created", f"brief:{n}", {"n": n, "ü": [1.5]}) for n in range(8)]
        )
    return engine


def test_a_whole_chain_holds(chain: Engine) -> None:
    with reading(chain) as session:
        verdict = verify(session, "p")
    assert (verdict.entries, verdict.broken_at) == (9, None)


def _swap(session: Session) -> None:
    for old, new in ((4, 400), (5, 4), (400, 5)):
        session.execute(update(AuditEntry).filter_by(project_id="p", seq=old).values(seq=new))


def _insert(session: Session) -> None:
    session.execute(update(AuditEntry).filter_by(seq=9).values(seq=10))
    row = session.execute(select(AuditEntry.__table__).filter_by(seq=4)).mappings().one()  # type: ignore[arg-type]
    session.execute(insert(AuditEntry).values(**(dict(row) | {"seq": 9})))


TAMPERINGS: dict[str, tuple[Callable[[Session], object], int]] = {
    "data changed": (lambda s: s.execute(update(AuditEntry).filter_by(seq=3).values(data={"n": 99})), 3),
    "actor changed": (lambda s: s.execute(update(AuditEntry).filter_by(seq=1).values(actor="person:eve")), 1),
    "deleted in the middle": (lambda s: s.execute(delete(AuditEntry).filter_by(seq=5)), 5),
    "deleted at the end": (lambda s: s.execute(delete(AuditEntry).filter_by(seq=9)), 9),
    "all deleted": (lambda s: s.execute(delete(AuditEntry)), 1),
    "swapped": (_swap, 4),
    "inserted": (_insert, 9),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_named(chain: Engine, name: str) -> None:
    tamper, place = TAMPERINGS[name]
    with writing(chain) as session:
        tamper(session)
    with reading(chain) as session:
        verdict = verify(session, "p")
    assert verdict.broken_at == place
    assert verdict.problem


def test_projects_have_chains_of_their_own(chain: Engine) -> None:
    with writing(chain) as session:
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
    assert (verdict.entries, verdict.broken_at) == (49, None)
