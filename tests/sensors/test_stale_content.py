"""The sensor `stale_content`: a round an hour, one alert a day."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, SkipReason, build_sensor_context
from sqlalchemy import Engine, select

from cryptocontent.resources import platform as resource_module
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.stale_content import stale_content
from cryptocontent.storage import reading
from cryptocontent.storage.models import Alert
from cryptocontent.storage.types import utc_now
from tests.content.test_refresh import Newsroom


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    monkeypatch.setenv("CRYPTOCONTENT_HOME", str(tmp_path))
    resource_module._settings.cache_clear()
    with DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield instance
    resource_module._settings.cache_clear()


def tick(instance: DagsterInstance, cursor: str | None) -> tuple[str, str]:
    context = build_sensor_context(instance, cursor=cursor, resources={"platform": PlatformResource()})
    result: Any = stale_content(context)
    assert isinstance(result, SkipReason)
    return result.skip_message or "", context.cursor or ""


def test_a_round_an_hour_and_an_alert_a_day(sqlite_engine: Engine, instance: DagsterInstance) -> None:
    room = Newsroom(sqlite_engine)
    said, cursor = tick(instance, None)
    assert said == "0 refreshes are proposed; 1 articles looked at: 0 newly proposed, 0 outdated"
    room.revise("passage-1", "passage-3")
    said, cursor = tick(instance, cursor)
    assert said.startswith("0 refreshes are proposed; all articles were looked at, again 20")

    over = json.dumps(json.loads(cursor) | {"rests_until": "2026-01-01T00:00:00+00:00"})
    said, cursor = tick(instance, over)
    assert said.startswith("1 refreshes are proposed (`cryptocontent refresh list`); 1 articles looked at: 1")
    room.revise("passage-2", number=3)
    room.dismiss()
    tick(instance, over)
    with reading(sqlite_engine) as session:
        (alert,) = session.scalars(select(Alert)).all()
    assert alert.title == "p: 1 articles are behind their sources" and "fees" in alert.body
    assert alert.data["project"] == "p"


def test_what_a_killed_tick_had_proposed_is_told_by_the_next(
    sqlite_engine: Engine, instance: DagsterInstance
) -> None:
    room = Newsroom(sqlite_engine)
    room.revise("passage-1", "passage-3")
    room.look(utc_now())  # a tick that proposes and is killed before it tells
    tick(instance, None)
    with reading(sqlite_engine) as session:
        assert [alert.data["project"] for alert in session.scalars(select(Alert))] == ["p"]
