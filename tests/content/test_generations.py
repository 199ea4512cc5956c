"""Generations: who goes first, who waits for approval, who may stop it; what is finished stays."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update

from cryptocontent.audit import verify
from cryptocontent.content import generations
from cryptocontent.content.generations import (
    approve_generation,
    cancel_generation,
    find_generation,
    held_back,
    list_generations,
    pause_generation,
    request_generation,
    resume_generation,
    set_outcomes,
    state_counts,
)
from cryptocontent.errors import NotAllowed, NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.sensors.generations import cut_by_priority
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry, Brief, Generation, GenerationBrief
from tests.agents.world import WHO, make_world

ED, WIL, VIC = Person("ed", "editor"), Person("wil", "writer"), Person("vic", "viewer")


@pytest.fixture
def ids(engine: Engine, tmp_path: Path) -> list[str]:
    return make_world(engine, Settings(CRYPTOCONTENT_HOME=tmp_path), 6)  # type: ignore[call-arg]


def ask(engine: Engine, ids: list[str], **options: object) -> str:
    with writing(engine) as session:
        return request_generation(session, "p", ids, WHO, batch_size=100, **options)  # type: ignore[arg-type]


def states(engine: Engine, generation: str) -> dict[str, str]:
    with reading(engine) as session:
        rows = select(GenerationBrief.brief_id, GenerationBrief.status).filter_by(generation_id=generation)
        return dict(session.execute(rows).tuples().all())


def status(engine: Engine, generation: str) -> str:
    with reading(engine) as session:
        return session.get_one(Generation, generation).status


def test_the_canary_goes_first_by_priority_and_the_rest_after_approval(
    engine: Engine, ids: list[str]
) -> None:
    with writing(engine) as session:
        session.execute(update(Brief).where(Brief.id == ids[4]).values(priority="high"))
    generation = ask(engine, ids, canary=2)
    queued = {brief for brief, state in states(engine, generation).items() if state == "queued"}
    assert queued == {ids[0], ids[4]}
    with writing(engine) as session:
        set_outcomes(session, generation, {ids[0]: None, ids[4]: None}, "run")
    assert status(engine, generation) == "awaiting_approval"
    with pytest.raises(NotAllowed), writing(engine) as session:
        approve_generation(session, generation, WIL)
    with writing(engine) as session:
        approve_generation(session, generation, ED)
    assert status(engine, generation) == "requested"
    with reading(engine) as session:
        assert state_counts(session, generation) == {"done": 2, "queued": 4}
    with writing(engine) as session:
        set_outcomes(session, generation, dict.fromkeys(set(ids) - {ids[0], ids[4]}), "run-2")
    assert status(engine, generation) == "done"


def test_a_bad_canary_is_cancelled_and_what_is_finished_stays(engine: Engine, ids: list[str]) -> None:
    generation = ask(engine, ids, canary=1)
    with writing(engine) as session:
        set_outcomes(session, generation, {ids[0]: "the text is poor"}, "run")
    assert status(engine, generation) == "awaiting_approval"
    with writing(engine) as session:
        cancel_generation(session, generation, ED, "the template is wrong")
    found = states(engine, generation)
    assert found[ids[0]] == "failed" and set(found.values()) == {"failed", "cancelled"}
    assert status(engine, generation) == "cancelled"


def test_what_a_run_reports_as_waiting_after_the_cancellation_is_cancelled(
    engine: Engine, ids: list[str]
) -> None:
    generation = ask(engine, ids, lane="batch")
    with writing(engine) as session:
        cancel_generation(session, generation, ED)
    with writing(engine) as session:
        set_outcomes(session, generation, {ids[0]: "waits", ids[1]: None}, "run", [ids[0]])
    found = states(engine, generation)
    assert (found[ids[0]], found[ids[1]]) == ("cancelled", "done")
    with reading(engine) as session:
        assert generations.failures(session, generation) == []


def test_pause_and_resume(engine: Engine, ids: list[str]) -> None:
    generation = ask(engine, ids)
    with writing(engine) as session:
        generations.give_batches(session, generation, [ids])
        generations.set_running(session, generation)
        pause_generation(session, generation, WIL)
    with reading(engine) as session:
        assert held_back(session, generation, ids, 0) == dict.fromkeys(ids, "paused")
    with writing(engine) as session:
        generations.give_back(session, generation, ids[2:], 0)
        set_outcomes(session, generation, {ids[0]: None}, "run")
        resume_generation(session, generation, WIL)
        assert status_of(session, generation) == "requested"
        assert {brief for brief, _ in generations.waiting(session, generation)} == set(ids[2:])
        assert held_back(session, generation, ids[:2], 0) == {}
        assert held_back(session, generation, ids[2:], 0) == dict.fromkeys(ids[2:], "paused")


def status_of(session, generation: str) -> str:  # type: ignore[no-untyped-def]
    return str(session.get_one(Generation, generation, populate_existing=True).status)


@pytest.mark.parametrize(
    ("act", "person", "before", "error"),
    [
        (pause_generation, VIC, "running", NotAllowed),
        (resume_generation, WIL, "running", Refused),
        (approve_generation, ED, "running", Refused),
        (cancel_generation, WIL, "running", NotAllowed),
        (cancel_generation, ED, "done", Refused),
        (pause_generation, WIL, "awaiting_approval", Refused),
        (pause_generation, WIL, "cancelled", Refused),
    ],
)
def test_what_may_not_be_done_is_refused(
    engine: Engine,
    ids: list[str],
    act: Callable[..., None],
    person: Person,
    before: str,
    error: type[Exception],
) -> None:
    generation = ask(engine, ids)
    with writing(engine) as session:
        session.execute(update(Generation).values(status=before))
    with pytest.raises(error), writing(engine) as session:
        act(session, generation, person)
    assert status(engine, generation) == before


def test_everything_is_audited(engine: Engine, ids: list[str]) -> None:
    generation = ask(engine, ids, canary=1, priority="high", estimate={"usd": {"p50": 1.0, "p90": 2.0}})
    with writing(engine) as session:
        pause_generation(session, generation, WIL)
        resume_generation(session, generation, WIL)
        cancel_generation(session, generation, ED)
    with reading(engine) as session:
        rows = session.execute(
            select(AuditEntry.actor, AuditEntry.action).filter_by(subject=f"generation:{generation}")
        ).all()
        assert [tuple(row) for row in rows] == [
            ("test:t", "generation.requested"),
            ("person:wil", "generation.paused"),
            ("person:wil", "generation.resumed"),
            ("person:ed", "generation.cancelled"),
        ]
        found = find_generation(session, generation[:10])
        assert generations.requested_estimate(session, found) == {"usd": {"p50": 1.0, "p90": 2.0}}
        (row,) = list_generations(session, "p")
        assert (row["priority"], row["states"]) == ("high", {"cancelled": 6})
        assert verify(session, "p").broken_at is None


@pytest.mark.parametrize(
    ("options", "said"),
    [({"priority": "urgent"}, "allowed are low, normal, high"), ({"canary": -1}, "canary -1")],
)
def test_bad_requests_are_refused(
    engine: Engine, ids: list[str], options: dict[str, object], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        ask(engine, ids, **options)
    with pytest.raises(NotFound, match="no brief"):
        ask(engine, ["nobody"])


@given(st.data(), st.integers(1, 40), st.integers(1, 7))
def test_every_waiting_brief_is_in_exactly_one_batch_the_urgent_ones_first(
    data: st.DataObject, count: int, size: int
) -> None:
    order = [f"b{number}" for number in range(count)]
    wanted = data.draw(st.lists(st.sampled_from(order), unique=True))
    waiting = [(brief, data.draw(st.sampled_from(["low", "normal", "high"]))) for brief in wanted]
    batches = cut_by_priority(waiting, order, size)
    assert sorted(brief for batch in batches for brief in batch.brief_ids) == sorted(wanted)
    assert all(1 <= len(batch.brief_ids) <= size for batch in batches)
    rank = {"high": 0, "normal": 1, "low": 2}
    priority = dict(waiting)
    ranks = [{rank[priority[brief]] for brief in batch.brief_ids} for batch in batches]
    assert all(len(one) == 1 for one in ranks)
    assert [min(one) for one in ranks] == sorted(min(one) for one in ranks)
    for batch in batches:
        if batch.contiguous:
            places = [order.index(brief) for brief in batch.brief_ids]
            assert places == list(range(places[0], places[0] + len(places)))
