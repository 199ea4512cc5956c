"""A failed run is told of once, without secrets; evaluated by Dagster on an instance of the test's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    DagsterInstance,
    Definitions,
    Failure,
    MetadataValue,
    SkipReason,
    build_sensor_context,
    job,
    op,
)
from dagster._core.storage.tags import WILL_RETRY_TAG
from sqlalchemy import Engine, select

from cryptocontent.assets.articles import GENERATION_TAG
from cryptocontent.assets.sources import IMPORT_TAG
from cryptocontent.content.generations import request_generation
from cryptocontent.resources import platform as resource_module
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.alerts import alerts
from cryptocontent.sensors.run_failures import run_failures
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Alert
from tests.content.articles import WHO, make_article
from tests.fakes.serving import serving
from tests.test_alerts import Receiver

PLANTED = "planted-key-5f3e"


@op
def breaks() -> None:
    try:
        raise ConnectionError("nobody there")
    except ConnectionError as error:
        raise ValueError(
            f"the vendor refused the key {PLANTED} at https://u:pw-12345@api.example/v1"
        ) from error


@op
def gives_a_verdict() -> None:
    failed = MetadataValue.md(f"- `p--a`: the key {PLANTED} was refused")
    raise Failure("2 of 5 briefs failed; the others are done", {"failed": failed}, allow_retries=False)


@job
def breaking() -> None:
    breaks()


@job
def judging() -> None:
    gives_a_verdict()


class House:
    """The sensor's code location with two jobs that fail."""

    def __init__(self, engine: Engine, instance: DagsterInstance) -> None:
        self.engine, self.instance = engine, instance
        self.platform = PlatformResource()
        self.defs = Definitions(
            jobs=[breaking, judging], sensors=[run_failures], resources={"platform": self.platform}
        )
        self.cursor: str | None = None
        self.tick()  # the first one only sets the cursor: failures of the past are none of ours

    def tick(self) -> Any:
        context = build_sensor_context(
            self.instance,
            cursor=self.cursor,
            repository_def=self.defs.get_repository_def(),
            resources={"platform": self.platform},
        )
        result = run_failures.evaluate_tick(context)
        self.cursor = result.cursor or self.cursor
        return result

    def fail(self, name: str, **tags: str) -> str:
        done = self.defs.resolve_job_def(name).execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=False
        )
        assert not done.success
        return done.run_id

    def alerts(self) -> list[Alert]:
        with reading(self.engine) as session:
            return list(session.scalars(select(Alert).order_by(Alert.created_at)))


@pytest.fixture
def house(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("CRYPTOCONTENT_HOME", str(tmp_path))
    monkeypatch.setenv("ANTHROPIC_API_KEY", PLANTED)
    monkeypatch.setenv("PUBLIC_URL", "https://studio.example/")
    resource_module._settings.cache_clear()
    with DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield House(sqlite_engine, instance)
    resource_module._settings.cache_clear()


def test_a_failed_run_is_told_of_once_with_its_step_and_error(house: House) -> None:
    before, run_id = house.cursor, house.fail("breaking")
    house.tick()
    (alert,) = house.alerts()
    assert alert.key == f"run:{run_id}" and alert.title == "run of breaking failed"
    assert "Step breaks: ValueError: the vendor refused the key" in alert.body
    assert alert.data == {
        "run": run_id,
        "job": "breaking",
        "steps": ["breaks"],
        "link": f"https://studio.example/dagster/runs/{run_id}",
    }
    house.cursor = before
    house.tick()
    assert len(house.alerts()) == 1, "evaluated again"


def test_no_secret_gets_into_an_alert(house: House) -> None:
    house.fail("breaking")
    house.tick()
    (alert,) = house.alerts()
    assert PLANTED not in alert.body and "pw-12345" not in alert.body and "•••" in alert.body


def test_a_verdict_is_told_in_its_own_words_with_project_and_generation(house: House) -> None:
    make_article(house.engine)
    with writing(house.engine) as session:
        generation = request_generation(session, "p", ["p--a"], WHO, batch_size=1)
    house.fail("judging", **{GENERATION_TAG: generation})
    house.fail("judging", **{"dagster/partition": "p"})
    house.fail("judging", **{"dagster/asset_partition_range_start": "p--a"})
    house.fail("judging", **{IMPORT_TAG: "p:feeds"})
    house.tick()
    told = house.alerts()
    assert [alert.data.get("project") for alert in told] == ["p"] * 4
    assert told[0].title == "p: run of judging failed"
    assert "Step gives_a_verdict: 2 of 5 briefs failed" in told[0].body
    assert "- `p--a`: the key ••• was refused" in told[0].body
    assert f"cryptocontent generation show {generation[:8]}" in told[0].body


def test_of_a_generation_that_fails_in_masses_the_first_few_are_sent(house: House) -> None:
    make_article(house.engine)
    with writing(house.engine) as session:
        generation = request_generation(session, "p", ["p--a"], WHO, batch_size=1)
    for _ in range(7):
        house.fail("judging", **{GENERATION_TAG: generation})
    house.fail("judging")
    for _ in range(3):  # Dagster takes five runs per tick
        house.tick()
    told = house.alerts()
    assert [alert.status for alert in told] == ["pending"] * 5 + ["kept"] * 2 + ["pending"]
    assert "are not sent: cryptocontent alert list" in told[4].body


def test_a_run_that_is_started_again_is_no_news_until_its_last_attempt(house: House) -> None:
    house.fail("breaking", **{WILL_RETRY_TAG: "true"})
    last = house.fail("breaking", **{WILL_RETRY_TAG: "false"})
    house.tick()
    assert [alert.key for alert in house.alerts()] == [f"run:{last}"]


def tick_alerts(house: House) -> str:
    context = build_sensor_context(house.instance, resources={"platform": house.platform})
    result: Any = alerts(context)
    assert isinstance(result, SkipReason)
    return result.skip_message or ""


def test_the_sensor_alerts_sends_and_says_what_it_did(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "set ALERT_WEBHOOK_URL" in tick_alerts(house)
    house.fail("breaking")
    house.tick()
    assert tick_alerts(house).startswith("1 kept, not sent; alerts are kept")
    receiver = Receiver()
    with serving(receiver.app) as url:
        monkeypatch.setenv("ALERT_WEBHOOK_URL", f"{url}/hook-secret-T0K3N-8f2a")
        resource_module._settings.cache_clear()
        assert tick_alerts(house) == "no alert is due"
        run_id = house.fail("judging")
        house.tick()
        assert tick_alerts(house) == "1 sent"
    assert receiver.keys() == [f"run:{run_id}"]
