"""What becomes of a delivery that people decide about: it flows back, and is asked for with patience."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from cryptocontent.publishing.following import follow, pause
from cryptocontent.publishing.outcomes import Outcome
from cryptocontent.storage import writing
from cryptocontent.storage.models import Publication
from cryptocontent.storage.types import utc_now
from tests.fakes.github import Fault, GitHub, environment, github_server
from tests.publishing.newsroom import SYSTEM, Newsroom, newsroom


@pytest.fixture
def github() -> Any:
    with github_server() as github:
        github.add("newsroom/content", {"README.md": "Content"})
        yield github


@pytest.fixture
def house(engine: Engine, tmp_path: Path, github: GitHub) -> Newsroom:
    """A newsroom with a delivered article, whose pull request is open."""
    made = newsroom(engine, tmp_path)
    made.environment = {name.lower(): value for name, value in environment(github.url).items()}
    made.target("github", "site", repository="newsroom/content")
    made.publish()
    made.deliver()
    assert made.rows("site")[0].details["state"] == "open"
    return made


def ask(house: Newsroom, *, due: bool = True) -> list[Outcome]:
    if due:
        with writing(house.engine) as session:
            waits = Publication.not_before.is_not(None)
            past = {"not_before": utc_now() - timedelta(seconds=1)}
            session.execute(update(Publication).where(waits).values(past))
    return follow(house.engine, house.settings, actor=SYSTEM)


def test_a_merge_flows_back_once(house: Newsroom, github: GitHub) -> None:
    repo = github.repos["newsroom/content"]
    assert ask(house, due=False) == [], "not at once"
    assert ask(house) == [], "nothing has happened"
    repo.merge(repo.open()[0].number)
    (outcome,) = ask(house)
    assert (outcome.status, outcome.error) == ("changed", "open → merged")
    (row,) = house.rows("site")
    assert row.details["state"] == "merged" and "/blob/main/" in row.url and row.not_before is None
    (entry,) = house.audited("publication.changed")
    assert entry.data["state"] == ["open", "merged"] and house.events()[-1].data["status"] == "changed"
    calls = len(github.calls)
    assert ask(house) == [] and len(github.calls) == calls, "nothing more can happen"


def test_only_the_newest_version_is_asked_about(house: Newsroom, github: GitHub) -> None:
    house.write("Newer fees")
    house.publish()
    house.deliver()
    first, second = house.rows("site")
    assert (first.not_before, second.details["state"]) == (None, "open") and second.not_before


def test_a_withdrawal_that_waits_for_a_merge_is_followed(house: Newsroom, github: GitHub) -> None:
    repo = github.repos["newsroom/content"]
    repo.merge(repo.open()[0].number)
    ask(house)
    house.archive()
    house.deliver()
    assert house.statuses("site") == ["withdrawn"] and house.rows("site")[0].details["state"] == "open"
    repo.merge(repo.open()[0].number)
    (outcome,) = ask(house)
    assert outcome.error == "open → merged" and house.rows("site")[0].not_before is None


def test_a_target_that_does_not_answer_is_left_alone(house: Newsroom, github: GitHub) -> None:
    github.next(Fault("secondary", seconds=3000))
    assert ask(house) == []
    (row,) = house.rows("site")
    assert row.not_before and row.not_before > utc_now() + timedelta(seconds=2900)
    assert row.status == "delivered"


def test_two_that_ask_at_once_ask_once(house: Newsroom, github: GitHub) -> None:
    ask(house)
    calls = len(github.calls)
    assert ask(house, due=False) == [] and len(github.calls) == calls


@given(st.timedeltas(timedelta(0), timedelta(days=100)))
def test_old_ones_are_asked_about_less_often_and_then_no_more(age: timedelta) -> None:
    found = pause(age)
    assert (found is None) == (age > timedelta(days=60))
    assert found is None or timedelta(minutes=2) <= found <= timedelta(hours=6)
