"""Generations of the batch lane at the command line: the daemon's alone, and never waited for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from cryptocontent.cli import generate as generate_module
from cryptocontent.cli import local_run
from cryptocontent.cli.generate import generate_briefs
from cryptocontent.content.generations import pause_generation, request_generation, state_counts
from cryptocontent.llm.bookings import Reserve, book
from cryptocontent.llm.calls import CallScope
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import BatchedRequest, BatchWaiter, Generation, ModelCall
from tests.agents.world import WHO, make_world
from tests.cli.inside import ADA, Inside, inside


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    with inside(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*more: object) -> None:
        raise AssertionError("it is not carried out here")

    monkeypatch.setattr(generate_module, "_start", start)


def requested(home: Inside, runner: str, **more: object) -> str:
    ids = make_world(home.engine, Settings(CRYPTOCONTENT_HOME=home.home), 2)  # type: ignore[call-arg]
    with writing(home.engine) as session:
        return request_generation(
            session, "p", ids, WHO, batch_size=10, lane="batch", runner=runner, **more  # type: ignore[arg-type]
        )  # fmt: skip


def runner_of(home: Inside, generation: str) -> str:
    with reading(home.engine) as session:
        return session.get_one(Generation, generation).runner


@pytest.mark.parametrize("wait", ["--wait", "--no-wait"])
def test_resumed_it_is_left_to_the_daemon(home: Inside, nothing_starts: None, wait: str) -> None:
    generation = requested(home, "local")
    with writing(home.engine) as session:
        pause_generation(session, generation, ADA)
    resumed = home.run("generation", "resume", generation[:8], wait)
    assert resumed.code == 0 and "is of the batch lane: the daemon carries it out" in resumed.err, (
        resumed.said
    )
    assert runner_of(home, generation) == "dagster"


def test_approved_it_is_left_to_the_daemon(home: Inside, nothing_starts: None) -> None:
    generation = requested(home, "local", canary=1)
    with writing(home.engine) as session:
        session.get_one(Generation, generation).status = "awaiting_approval"
    approved = home.run("generation", "approve", generation[:8])
    assert approved.code == 0 and "is of the batch lane" in approved.err, approved.said
    assert runner_of(home, generation) == "dagster"


def test_whoever_would_wait_for_it_does_not(home: Inside, nothing_starts: None) -> None:
    ids = make_world(home.engine, Settings(CRYPTOCONTENT_HOME=home.home), 1)  # type: ignore[call-arg]
    generation = generate_briefs("p", ids, wait=True, lane="batch")
    assert runner_of(home, generation) == "dagster"
    generate_module.see_through("p", generation, ids)


def test_the_local_runner_leaves_it_to_the_daemon(home: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    generation = requested(home, "local")
    monkeypatch.setenv("DAGSTER_HOME", str(home.home / "dagster"))
    assert local_run.run(generation, leave_to_daemon=False) == "left to the daemon"
    assert runner_of(home, generation) == "dagster"


def test_cancelled_its_requests_are_withdrawn_at_once(home: Inside) -> None:
    generation = requested(home, "dagster")
    scope = CallScope("p", "writer", generation_id=generation, brief_id="b", lane="batch")
    (call,) = book(home.engine, [Reserve(scope, "k", "openai", "gpt-5", 1, 0.5, "batch", 0, 0)], set())
    row = {
        "request_key": "k",
        "call_id": str(call),
        "project_id": "p",
        "provider": "openai",
        "model": "gpt-5",
    }
    with writing(home.engine) as session:
        session.add(BatchedRequest(**row, request="{}", status="queued"))
        session.add(BatchWaiter(request_key="k", generation_id=generation, brief_id="b"))
    cancelled = home.run("generation", "cancel", generation[:8])
    assert cancelled.code == 0, cancelled.said
    with reading(home.engine) as session:
        assert session.scalars(select(BatchedRequest)).all() == []
        settled = session.scalars(select(ModelCall)).one()
        assert (settled.outcome, settled.cost_usd) == ("cancelled", 0)
        assert state_counts(session, generation) == {"cancelled": 2}
