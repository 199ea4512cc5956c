"""The daily look at every source from the beginning."""

from datetime import UTC, datetime
from typing import Any

from dagster import RunRequest, SkipReason, build_schedule_context

from cryptocontent.schedules.resync import resync
from cryptocontent.storage import writing
from cryptocontent.storage.models import Source
from tests.knowledge.sources.places import WORLD
from tests.sensors.test_sources import House, house

__all__ = ["house"]


def tick(house: House) -> Any:
    context = build_schedule_context(
        house.instance,
        scheduled_execution_time=datetime(2026, 11, 24, 3, 17, tzinfo=UTC),
        resources={"platform": house.platform},
    )
    return resync(context)


def carry_out(house: House) -> Any:
    job = house.defs.resolve_job_def("resync_sources")
    return job.execute_in_process(instance=house.instance, raise_on_error=False)


def test_it_is_off_until_something_is_watched(house: House) -> None:
    assert isinstance(result := tick(house), SkipReason) and "source add" in (result.skip_message or "")
    house.add("all")
    assert isinstance(result := tick(house), RunRequest)
    assert result.run_key == "2026-11-24"


def test_what_cannot_be_read_is_named_and_stops_nothing_else(house: House) -> None:
    house.add("all")
    with writing(house.engine) as session:
        session.add(Source(project_id="news", kind="linear", name="team", config={}, author="ada"))
    done = carry_out(house)
    assert not done.success and house.active() == ["a", "b", "c"]
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data
    assert said.description == "1 sources could not be read"
    assert "news/team: LINEAR_API_KEY is not set" in str(said.metadata["problems"].value)


def test_everything_is_listed_anew_and_imported(house: House) -> None:
    house.add("all")
    assert carry_out(house).success
    assert house.active() == ["a", "b", "c"]
    del WORLD.documents["b"]  # and no notice of it
    assert carry_out(house).success
    assert house.active() == ["a", "c"]
