"""The sensor `feeds`, against a real website: off, at work, and when a site does not answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, SensorResult, SkipReason, build_sensor_context
from sqlalchemy import Engine, select

from cryptocontent.content.projects import create_project
from cryptocontent.definitions import build_defs
from cryptocontent.identity import Person
from cryptocontent.knowledge.sources import store
from cryptocontent.resources import platform as resource_module
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.feeds import feeds
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Reference
from tests.fakes.web import Site, environment, sample, web_server

ADMIN = Person("ada", "admin")


class House:
    def __init__(self, engine: Engine, instance: DagsterInstance, site: Site) -> None:
        self.engine, self.instance, self.site = engine, instance, site
        self.platform, self.defs = PlatformResource(), build_defs()
        with writing(engine) as session:
            create_project(session, "news", "News", ADMIN.actor)

    def add(self, kind: str, name: str, path: str) -> None:
        config = {"url": self.site.url + path, "delay": 0}
        with writing(self.engine) as session:
            store.add_source(session, self.platform.settings, "news", kind, name, config, ADMIN)

    def tick(self) -> Any:
        return feeds(
            build_sensor_context(self.instance, resources={"platform": self.platform}, sensor_name="feeds")
        )

    def active(self) -> list[str]:
        with reading(self.engine) as session:
            found = session.scalars(select(Reference.external_id).filter_by(status="active"))
            return sorted(one.removeprefix(self.site.url) for one in found)


@pytest.fixture
def house(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("CRYPTOCONTENT_HOME", str(tmp_path))
    with web_server() as site, DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        for name, value in environment(site.url).items():
            monkeypatch.setenv(name, value)
        resource_module._settings.cache_clear()
        sample(site)
        yield House(sqlite_engine, instance, site)
    resource_module._settings.cache_clear()


def test_it_says_what_to_do_while_nothing_is_watched(house: House) -> None:
    result = house.tick()
    assert isinstance(result, SkipReason) and "cryptocontent source add feed" in (result.skip_message or "")
    assert house.site.asked == []


def test_what_a_feed_a_sitemap_and_a_list_of_pages_show_is_imported_once(house: House) -> None:
    house.add("feed", "feed", "/atom.xml")
    house.add("sitemap", "sitemap", "/sitemap.xml")
    house.add("web", "pages", "/blog/rollups")
    result = house.tick()
    assert isinstance(result, SensorResult)
    (request,) = result.run_requests or ()
    done = house.defs.resolve_job_def(request.job_name or "").execute_in_process(
        run_config=request.run_config, instance=house.instance, tags=request.tags
    )
    assert done.success
    assert house.active() == ["/blog/bridges", "/blog/rollups", "/blog/staking"]
    house.site.asked.clear()
    assert isinstance(house.tick(), SkipReason)
    assert house.site.asked == [], "nothing is due: nobody is asked"


def test_a_site_that_is_broken_keeps_no_other_waiting(house: House) -> None:
    house.add("feed", "broken", "/nothing.xml")
    house.add("feed", "well", "/feed.xml")
    assert isinstance(house.tick(), SensorResult)
    with reading(house.engine) as session:
        errors = {row["name"]: row["error"] for row in store.list_sources(session, "news")}
    assert errors["well"] == "" and "answers 404" in errors["broken"]
