"""The sensor `google_drive`: off until a folder is watched; then what is in it can be found by search."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, SensorResult, SkipReason, build_sensor_context
from sqlalchemy import Engine

from cryptocontent.content.projects import create_project
from cryptocontent.definitions import build_defs
from cryptocontent.identity import Person
from cryptocontent.knowledge.search import passage_counts
from cryptocontent.knowledge.sources import store
from cryptocontent.resources import platform as resource_module
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.google_drive import google_drive
from cryptocontent.settings import Settings
from cryptocontent.storage import writing
from tests.fakes.google import Google, environment, google_server, sample

ADMIN = Person("ada", "admin")


@pytest.fixture
def google() -> Iterator[Google]:
    with google_server() as running:
        yield running


@pytest.fixture
def instance(
    sqlite_engine: Engine, google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DagsterInstance]:
    with writing(sqlite_engine) as session:
        create_project(session, "news", "News", ADMIN.actor)
    for name, value in environment(google.url, tmp_path).items():
        monkeypatch.setitem(os.environ, name, value)
    monkeypatch.setenv("CRYPTOCONTENT_HOME", str(tmp_path))
    resource_module._settings.cache_clear()
    with DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield instance
    resource_module._settings.cache_clear()


def tick(instance: DagsterInstance) -> Any:
    context = build_sensor_context(
        instance, resources={"platform": PlatformResource()}, sensor_name="google_drive"
    )
    return google_drive(context)


def test_a_folder_is_imported_by_itself(
    instance: DagsterInstance, sqlite_engine: Engine, google: Google
) -> None:
    skipped = tick(instance)
    assert isinstance(skipped, SkipReason) and "source add google_drive" in str(skipped.skip_message)
    assert google.calls == [] and google.logins == 0
    folder = sample(google)
    with writing(sqlite_engine) as session:
        store.add_source(session, Settings(), "news", "google_drive", "drive", {"folder": folder}, ADMIN)
    result = tick(instance)
    assert isinstance(result, SensorResult)
    (request,) = result.run_requests or ()
    job = build_defs().resolve_job_def(str(request.job_name))
    assert job.execute_in_process(run_config=request.run_config, instance=instance, tags=request.tags).success
    assert passage_counts(sqlite_engine, Settings(), ["news"]) == {"news": (3, 3)}
    google.reset()
    assert isinstance(tick(instance), SkipReason) and len(google.calls) == 1
