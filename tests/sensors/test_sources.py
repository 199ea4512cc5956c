"""What the sensors of watched sources have in common: looks, runs of `import_sources`, one at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, SensorResult, SkipReason, build_sensor_context, sensor
from sqlalchemy import Engine, select

from cryptocontent.assets.sources import IMPORT_TAG, import_sources
from cryptocontent.content.projects import create_project
from cryptocontent.definitions import build_defs
from cryptocontent.identity import Person
from cryptocontent.knowledge.search import passage_counts
from cryptocontent.knowledge.sources import KINDS, store
from cryptocontent.knowledge.sources.seam import Unavailable
from cryptocontent.resources import platform as resource_module
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.sources import watch
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Reference
from tests.knowledge.sources.places import WORLD, World

ADMIN = Person("ada", "admin")


@sensor(job=import_sources)
def places(context: Any, platform: PlatformResource) -> Any:
    return watch(context, platform, ["place"], off="no place is watched: add one", seconds=20)


class House:
    """The code location, an instance, and a project without sources."""

    def __init__(self, engine: Engine, instance: DagsterInstance) -> None:
        self.engine, self.instance = engine, instance
        self.platform, self.defs = PlatformResource(), build_defs()
        with writing(engine) as session:
            create_project(session, "news", "News", ADMIN.actor)

    def add(self, name: str, **config: Any) -> str:
        with writing(self.engine) as session:
            return store.add_source(session, Settings(), "news", "place", name, config, ADMIN).id

    def tick(self) -> SensorResult | SkipReason:
        context = build_sensor_context(
            self.instance, resources={"platform": self.platform}, sensor_name="places"
        )
        result: Any = places(context)
        return result

    def carry_out(self, result: Any) -> Any:
        (request,) = result.run_requests
        job = self.defs.resolve_job_def(request.job_name)
        return job.execute_in_process(
            run_config=request.run_config, instance=self.instance, tags=request.tags, raise_on_error=False
        )

    def active(self) -> list[str]:
        with reading(self.engine) as session:
            query = select(Reference.external_id).filter_by(status="active")
            return sorted(session.scalars(query))


@pytest.fixture
def house(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("CRYPTOCONTENT_HOME", str(tmp_path))
    monkeypatch.setitem(KINDS, "place", "tests.knowledge.sources.places:Place")
    for name, value in vars(World()).items():
        setattr(WORLD, name, value)
    WORLD.documents |= {name: ("1", f"# {name}\n\nWhat {name} says of fees.") for name in ("a", "b", "c")}
    resource_module._settings.cache_clear()
    with DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield House(sqlite_engine, instance)
    resource_module._settings.cache_clear()


def test_nothing_watched_is_said(house: House) -> None:
    assert isinstance(result := house.tick(), SkipReason)
    assert result.skip_message == "no place is watched: add one"


def test_what_is_found_is_imported_and_can_be_searched(house: House) -> None:
    house.add("all")
    result = house.tick()
    assert isinstance(result, SensorResult)
    assert house.carry_out(result).success
    assert house.active() == ["a", "b", "c"]
    assert passage_counts(house.engine, Settings(), ["news"]) == {"news": (3, 3)}
    assert isinstance(house.tick(), SkipReason)


def test_while_an_import_is_under_way_no_other_is_asked_for_and_after_a_killed_one_another_is(
    house: House,
) -> None:
    house.add("all")
    first: Any = house.tick()
    (request,) = first.run_requests
    run = house.instance.create_run_for_job(
        house.defs.resolve_job_def("import_sources"), run_config=request.run_config, tags=request.tags
    )
    assert run.tags[IMPORT_TAG] == "news:places"
    assert isinstance(house.tick(), SkipReason)
    house.instance.report_run_canceled(run)
    assert isinstance(house.tick(), SensorResult)


def test_a_source_that_does_not_answer_keeps_no_other_waiting(house: House) -> None:
    house.add("broken", prefix="a")
    house.add("well", prefix="b")

    def breaks(number: int) -> None:
        WORLD.before_page = lambda number: None
        raise Unavailable("the place does not answer")

    WORLD.before_page = breaks
    result = house.tick()
    assert isinstance(result, SensorResult)
    assert house.carry_out(result).success
    assert len(house.active()) == 1
    with reading(house.engine) as session:
        errors = sorted(row["error"] for row in store.list_sources(session, "news"))
    assert errors == ["", "the place does not answer"]
