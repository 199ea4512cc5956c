"""`market_facts` in Dagster: days, backfills, the check, the job and the schedules."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, RunRequest, SkipReason, build_schedule_context
from sqlalchemy import Engine, func, select

from cryptocontent.content.projects import create_project
from cryptocontent.definitions import build_defs
from cryptocontent.identity import Person
from cryptocontent.knowledge.market_data import set_config
from cryptocontent.resources import platform as resource_module
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.schedules.market_facts import market_facts_daily, market_facts_hourly
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Alert, MarketFact
from cryptocontent.storage.types import utc_now
from tests.fakes.market import Coin, Fault, Market, environment, market_server

ADMIN, FACTS = Person("ada", "admin"), AssetKey("market_facts")


class House:
    """The code location, an instance, and services with ten days of one coin."""

    def __init__(self, engine: Engine, instance: DagsterInstance, market: Market) -> None:
        self.engine, self.instance, self.market = engine, instance, market
        self.defs, self.platform = build_defs(), PlatformResource()
        now = utc_now().replace(minute=0, second=0, microsecond=0)
        hours = [now - timedelta(hours=hour) for hour in range(240, -1, -1)]
        market.coins["bitcoin"] = Coin([(at, 60000.0 + number) for number, at in enumerate(hours)])
        market.llama["bitcoin"] = list(market.coins["bitcoin"].prices)
        with writing(engine) as session:
            create_project(session, "p", "P", ADMIN.actor)

    def configure(self) -> None:
        with writing(self.engine) as session:
            text = "providers: [coingecko, defillama]\nassets: [bitcoin]\nmetrics: [price]\n"
            set_config(session, "p", text, ADMIN)

    def run(self, job: str, **options: Any) -> Any:
        found = self.defs.resolve_job_def(job)
        return found.execute_in_process(instance=self.instance, raise_on_error=False, **options)

    def facts(self) -> int:
        with reading(self.engine) as session:
            return session.scalar(select(func.count()).select_from(MarketFact)) or 0


@pytest.fixture
def house(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with market_server() as market, DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        monkeypatch.setenv("CRYPTOCONTENT_HOME", str(tmp_path))
        for name, value in environment(market.url).items():
            monkeypatch.setenv(name, value)
        resource_module._settings.cache_clear()
        yield House(sqlite_engine, instance, market)
    resource_module._settings.cache_clear()


def day(ago: int) -> str:
    return (utc_now() - timedelta(days=ago)).strftime("%Y-%m-%d")


def test_a_range_of_days_is_one_run_and_every_day_is_materialized(house: House) -> None:
    house.configure()
    tags = {
        "dagster/asset_partition_range_start": day(5),
        "dagster/asset_partition_range_end": day(2),
    }
    result = house.run("collect_market_facts", tags=tags)
    assert result.success
    assert house.instance.get_materialized_partitions(FACTS) == {day(ago) for ago in range(2, 6)}
    assert house.facts() == 8 and len(house.market.asked) == 2
    assert house.run("collect_market_facts", partition_key=day(3)).success
    assert house.facts() == 8


def test_a_run_fails_when_no_service_answers_and_not_when_one_does(house: House) -> None:
    house.configure()
    house.market.next("coingecko", *[Fault("status", 500)] * 3)
    assert house.run("fetch_market_facts").success and house.facts() == 1
    for service in ("coingecko", "defillama"):
        house.market.next(service, *[Fault("status", 500)] * 3)
    assert not house.run("fetch_market_facts").success


def test_a_day_that_is_not_whole_is_not_materialized_and_what_came_is_kept(house: House) -> None:
    house.configure()
    house.market.next("coingecko", *[Fault("status", 500)] * 3)
    assert not house.run("collect_market_facts", partition_key=day(2)).success
    assert house.instance.get_materialized_partitions(FACTS) == set() and house.facts() == 1
    assert house.run("collect_market_facts", partition_key=day(2)).success
    assert house.instance.get_materialized_partitions(FACTS) == {day(2)} and house.facts() == 2


def test_services_that_differ_fail_the_check_and_raise_one_alert(house: House) -> None:
    house.configure()
    at, value = house.market.llama["bitcoin"][-1]
    house.market.llama["bitcoin"][-1] = (at, value * 1.1)
    for _ in range(2):
        assert house.run("fetch_market_facts").success
    with reading(house.engine) as session:
        assert session.scalar(select(func.count()).select_from(Alert)) == 1
    result = house.run("collect_market_facts", partition_key=day(1))
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed and "DefiLlama" in str(evaluation.metadata["table"].value)


def test_schedules_are_off_until_a_project_asks_and_then_ask_for_the_day_that_ended(
    house: House, tmp_path: Path
) -> None:
    at = datetime(2026, 11, 25, 0, 20, tzinfo=UTC)

    # Schedules open the instance by its reference, which one in memory has not.
    (tmp_path / "kept").mkdir()
    kept = DagsterInstance.local_temp(str(tmp_path / "kept"))

    def ticks() -> list[Any]:
        return [
            one(build_schedule_context(kept, at, resources={"platform": house.platform}))
            for one in (market_facts_daily, market_facts_hourly)
        ]

    for skipped in ticks():
        assert isinstance(skipped, SkipReason) and "market set" in str(skipped.skip_message)
    assert house.run("fetch_market_facts").success and house.market.asked == []
    house.configure()
    daily, hourly = ticks()
    assert [one.partition_key for one in daily] == [f"2026-11-{day}" for day in range(24, 17, -1)]
    assert isinstance(hourly, RunRequest) and hourly.run_key == "2026-11-25T00"
