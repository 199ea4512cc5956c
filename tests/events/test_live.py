"""Events: joined, in order, and never in anybody's way."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, update

from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.events import Live, NewEvent, followed, prune, publish
from cryptocontent.storage import open_engine, writing
from cryptocontent.storage.models import Event
from cryptocontent.storage.types import utc_now


@pytest.fixture(autouse=True)
def projects(engine: Engine) -> None:
    with writing(engine) as session:
        for name in ("p", "q"):
            create_project(session, name, "", Actor("test", "t"))


def told(engine: Engine, after: int = 0, **more: str) -> list[tuple[str, object]]:
    return [(one.kind, one.data.get("text")) for one in followed(engine, "p", after, **more)]


def test_events_come_back_in_order_after_the_last_one_seen(engine: Engine) -> None:
    publish(engine, [NewEvent("p", "article:1", "started"), NewEvent("q", "article:2", "started")])
    publish(engine, [NewEvent("p", "article:1", "token", {"text": "a"}), NewEvent("p", "article:3", "done")])
    assert told(engine) == [("started", None), ("token", "a"), ("done", None)]
    first = followed(engine, "p")[0].id
    assert told(engine, first, subject="article:1") == [("token", "a")]


def test_tokens_of_one_stage_are_joined_but_not_across_a_reset(engine: Engine) -> None:
    live = Live(engine, interval=60)
    one, two = live.watcher("p", "article:1", "writer"), live.watcher("p", "article:2", "writer")
    one("token", {"text": "The "})
    two("token", {"text": "Other"})
    one("token", {"text": "fee"})
    one("reset", {"reason": "connection"})
    one("token", {"text": "Again"})
    live.flush()
    assert told(engine, subject="article:1") == [("token", "The fee"), ("reset", None), ("token", "Again")]
    assert told(engine, subject="article:2") == [("token", "Other")]


def test_requests_of_one_stage_are_told_apart(engine: Engine) -> None:
    live = Live(engine, interval=60)
    watch = live.watcher("p", "article:1", "writer")
    for number, piece in enumerate(("The ", "A ", "fee", "block")):
        watch("token", {"text": piece, "request": "ab"[number % 2]})
    live.flush()
    assert told(engine) == [("token", "The fee"), ("token", "A block")]


def test_what_gathers_is_written_without_being_asked(engine: Engine) -> None:
    live = Live(engine, interval=0.01)
    live.tell(NewEvent("p", "article:1", "started"))
    thread = live._thread
    assert thread is not None
    thread.join(5)
    assert told(engine) == [("started", None)]


def test_a_database_that_is_away_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    live = Live(open_engine("sqlite://"), interval=60)  # no tables there
    live.tell(NewEvent("p", "article:1", "started"))
    live.flush()
    live.tell(NewEvent("p", "article:1", "started"))
    live.flush()
    assert caplog.text.count("events were not written") == 1


def test_old_events_are_forgotten(engine: Engine) -> None:
    publish(engine, [NewEvent("p", "article:1", "old"), NewEvent("p", "article:1", "new")])
    with writing(engine) as session:
        past = utc_now() - timedelta(days=8)
        session.execute(update(Event).where(Event.kind == "old").values(created_at=past))
    assert prune(engine) == 1
    assert told(engine) == [("new", None)]
