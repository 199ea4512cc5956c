"""The sensor `publications`: scheduled articles go out when due and reach their targets once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRunStatus, SkipReason, build_sensor_context
from sqlalchemy import Engine, update

from cryptocontent.content import review
from cryptocontent.definitions import build_defs
from cryptocontent.resources import platform as resource_module
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.publications import publications, run_requests
from cryptocontent.storage import writing
from cryptocontent.storage.models import Article
from cryptocontent.storage.types import utc_now
from tests.content.articles import ED, WIL
from tests.fakes.wordpress import Fault, WordPress, environment, wordpress_server
from tests.publishing.newsroom import Newsroom, logins, newsroom


@pytest.fixture
def site() -> Iterator[WordPress]:
    with wordpress_server() as site:
        yield site


@pytest.fixture
def house(
    sqlite_engine: Engine, tmp_path: Path, site: WordPress, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Newsroom]:
    monkeypatch.setenv("CRYPTOCONTENT_HOME", str(tmp_path))
    for name, value in environment(site.url).items():
        monkeypatch.setenv(name, value)
    resource_module._settings.cache_clear()
    made = newsroom(sqlite_engine, tmp_path, wordpress_logins=logins(site))
    made.target("wordpress", "blog", url=site.url)
    yield made
    resource_module._settings.cache_clear()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield instance


def tick(instance: DagsterInstance) -> Any:
    resources = {"platform": PlatformResource()}
    return publications(build_sensor_context(instance, resources=resources, definitions=build_defs()))


def run(instance: DagsterInstance, request: Any) -> Any:
    job = build_defs().resolve_job_def(request.job_name)
    return job.execute_in_process(instance=instance, run_config=request.run_config or None)


def schedule(house: Newsroom) -> None:
    with writing(house.engine) as session:
        article = session.get_one(Article, "a")
        review.submit(session, article, "v1", WIL)
        review.approve(session, article, "v1", ED)
        review.schedule(session, article, "v1", utc_now() + timedelta(hours=1), ED)


def test_a_scheduled_article_is_published_and_delivered_once(
    house: Newsroom, site: WordPress, instance: DagsterInstance
) -> None:
    schedule(house)
    skipped = tick(instance)
    assert isinstance(skipped, SkipReason) and "docs/publishing.md" in (skipped.skip_message or "")
    with writing(house.engine) as session:
        session.execute(update(Article).values(scheduled_at=utc_now() - timedelta(seconds=1)))
    (request,) = tick(instance).run_requests
    assert request.job_name == "publish_scheduled"
    done = run(instance, request)
    assert done.success and run(instance, request).success
    assert [post.title for post in site.live()] == ["Fees"] and len(site.posts) == 1
    assert (house.folder / "fees.html").is_file()
    entry = next(one for one in house.audited("publication.delivered") if one.data["target"] == "blog")
    assert (entry.actor, entry.origin) == (f"run:{done.run_id}", f"dagster:{done.run_id}")
    assert isinstance(tick(instance), SkipReason)


def test_what_waits_is_delivered_by_a_run_of_its_own(
    house: Newsroom, site: WordPress, instance: DagsterInstance
) -> None:
    house.publish()
    site.fail(Fault("status", 503))
    house.deliver()
    assert isinstance(tick(instance), SkipReason), "its pause lasts"
    house.time_passes()
    (request,) = tick(instance).run_requests
    assert request.job_name == "deliver_publications"
    assert run(instance, request).success
    assert len(site.live()) == 1 and isinstance(tick(instance), SkipReason)


def test_runs_do_not_pile_up(house: Newsroom, instance: DagsterInstance) -> None:
    house.publish()
    job = build_defs().resolve_job_def("deliver_publications")
    under_way = instance.create_run_for_job(job, status=DagsterRunStatus.STARTED)
    assert isinstance(tick(instance), SkipReason)
    instance.report_run_canceled(under_way)
    assert len(tick(instance).run_requests) == 1


def test_a_refusal_is_told_by_an_alert_and_not_by_a_failed_run(
    house: Newsroom, site: WordPress, instance: DagsterInstance
) -> None:
    site.users["newsroom"] = (site.users["newsroom"][0], "contributor")
    house.publish()
    (request,) = tick(instance).run_requests
    assert run(instance, request).success
    assert house.statuses("blog") == ["failed"] and isinstance(tick(instance), SkipReason)


def test_both_runs_may_be_asked_for_at_once_and_the_next_minute_again() -> None:
    now = utc_now().replace(second=0)
    first = run_requests(["a"], True, now)
    assert [one.job_name for one in first] == ["publish_scheduled", "deliver_publications"]
    same, later = run_requests(["a"], True, now.replace(second=30)), now + timedelta(minutes=1)
    assert [one.run_key for one in same] == [one.run_key for one in first]
    assert not {one.run_key for one in run_requests(["a"], True, later)} & {one.run_key for one in first}
    assert run_requests([], False, now) == []
