"""The sensor `linear`: off until a team is watched, and then everything in one tick."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, SkipReason, build_sensor_context
from sqlalchemy import Engine, select

from cryptocontent.planning.webhooks import keep_delivery
from cryptocontent.resources import platform as resource_module
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.linear import linear as linear_sensor
from cryptocontent.storage import reading
from cryptocontent.storage.models import AuditEntry, Generation, WebhookDelivery
from tests.fakes.linear import environment, signed
from tests.planning.world import World, world_of


class House(World):
    """A newsroom whose settings come from the environment, as a sensor's do."""

    def __init__(self, world: World, instance: DagsterInstance) -> None:
        self.__dict__.update(world.__dict__)
        self.instance = instance

    def tick(self) -> str:
        context = build_sensor_context(
            self.instance, resources={"platform": PlatformResource()}, sensor_name="linear"
        )
        result: Any = linear_sensor(context)
        assert isinstance(result, SkipReason)
        return str(result.skip_message)


@pytest.fixture
def house(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("CRYPTOCONTENT_HOME", str(tmp_path))
    with world_of(sqlite_engine) as world, DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        for name, value in environment(world.linear.url).items():
            monkeypatch.setenv(name, value)
        resource_module._settings.cache_clear()
        yield House(world, instance)
    resource_module._settings.cache_clear()


def test_nothing_watched_is_said_and_linear_is_not_asked(house: House) -> None:
    assert "no Linear team is watched: `cryptocontent linear add" in house.tick()
    assert house.linear.calls == []


def test_without_credentials_it_says_which(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.watch()
    monkeypatch.setenv("LINEAR_API_KEY", "")
    resource_module._settings.cache_clear()
    assert "LINEAR_API_KEY is not set" in house.tick()


def test_a_tick_applies_deliveries_polls_and_tells(house: House) -> None:
    house.watch(generate=True)
    told, polled = house.issue("Told"), house.issue("Polled", state="Backlog")
    body, _ = signed(house.linear.webhook_secret, house.linear.events[0])
    keep_delivery(house.engine, "linear", "one", body.decode())
    said = house.tick()
    assert "news/ed: 1 created" in said and "1 deliveries applied" in said
    assert {brief.title for brief in house.briefs()} == {"Told", "Polled"}
    assert house.linear.state_of(told) == house.linear.state_of(polled) == "In Progress"  # they are generated
    with reading(house.engine) as session:
        assert session.get_one(WebhookDelivery, ("linear", "one")).status == "applied"
        assert len(session.scalars(select(Generation)).all()) == 2
        query = select(AuditEntry.origin).where(AuditEntry.action == "brief.created").distinct()
        assert session.scalars(query).all() == ["sensor:linear"]


def test_a_team_that_can_not_be_read_keeps_no_other_waiting(house: House) -> None:
    house.watch("one")
    house.linear.add_team("OPS", "Operations")
    house.watch("two", team="OPS")
    house.issue()
    for _ in range(3):
        house.linear.fault("status", operation="States")
    said = house.tick()
    assert "Linear answers 500" in said and "news/two: no issue changed" in said
    assert "news/one: 1 created" in house.tick()
