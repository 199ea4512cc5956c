"""Deliveries at once, killed, overtaken: each version at each target once all the same."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from cryptocontent.publishing import deliveries
from tests.fakes.wordpress import Fault, WordPress
from tests.publishing.newsroom import Newsroom, logins, newsroom, titles


def test_two_that_deliver_at_once_make_one_post_each(house: Newsroom, site: WordPress) -> None:
    house.publish()
    ids = ["a", *house.more(5)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = [one for some in pool.map(lambda _: house.deliver(), range(4)) for one in some]
    assert len(site.posts) == len(ids) and all(post.changes == 0 for post in site.posts.values())
    assert sorted((one.article_id, one.target) for one in outcomes) == sorted(
        (one, target) for one in ids for target in ("blog", "files")
    )


KILLED = """
import sys
from pathlib import Path
from cryptocontent.storage import open_engine
from tests.publishing.newsroom import Newsroom
database, home, host, login = sys.argv[1:]
Newsroom(open_engine(database), Path(home), {"wordpress_logins": {host: login}}).deliver()
"""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("request_", ["GET /posts", "POST /posts"])
def test_killed_at_any_point_it_is_there_once(
    sqlite_engine: Engine, tmp_path: Path, site: WordPress, request_: str, after: bool
) -> None:
    house = newsroom(sqlite_engine, tmp_path, wordpress_logins=logins(site))
    house.target("wordpress", "blog", url=site.url)
    house.publish()
    method, _, path = request_.partition(" ")
    site.fail(Fault("slow", seconds=60, after=after, method=method, path=path))
    ((host, login),) = logins(site).items()
    url = sqlite_engine.url.render_as_string(hide_password=False)
    process = subprocess.Popen([sys.executable, "-c", KILLED, url, str(tmp_path), host, login])
    try:
        assert site.stuck.wait(60)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(site.posts) == (1 if after and method == "POST" else 0)
    assert house.statuses("blog") == ["pending"]
    assert "blog" not in {one.target for one in house.deliver()}, "its lease lasts"
    house.time_passes()
    assert [one.status for one in house.deliver()] == ["delivered"]
    assert titles(site) == ["Fees"] and len(site.posts) == 1
    assert len(house.audited("publication.delivered")) == 2, "the blog's and the files', once each"


@pytest.fixture
def on_its_way(house: Newsroom, site: WordPress) -> Iterator[threading.Thread]:
    """A delivery of the first version that hangs at the site, for about a second."""
    house.publish()
    site.fail(Fault("slow", seconds=1, after=True, method="POST", path="/posts"))
    thread = threading.Thread(target=lambda: house.deliver(limit=1))
    thread.start()
    assert site.stuck.wait(30)
    yield thread
    thread.join()


def test_a_newer_version_does_not_overtake(
    house: Newsroom, site: WordPress, on_its_way: threading.Thread
) -> None:
    house.write("Newer fees")
    house.publish()
    assert "blog" not in {one.target for one in house.deliver()}, "the older one is still at it"
    on_its_way.join()
    assert house.statuses("blog") == ["delivered", "pending"], "what was superseded got there all the same"
    house.deliver()
    assert titles(site) == ["Newer fees"] and len(site.posts) == 1


def test_what_is_archived_on_its_way_is_taken_back(
    house: Newsroom, site: WordPress, on_its_way: threading.Thread
) -> None:
    house.archive()
    on_its_way.join()
    assert house.statuses("blog") == ["withdrawing"] and titles(site) == ["Fees"]
    house.deliver()
    assert house.statuses("blog") == ["withdrawn"] and titles(site) == []


def test_a_lease_lasts_for_as_long_as_the_work(
    house: Newsroom, site: WordPress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "LEASE", timedelta(seconds=0.4))
    house.publish()
    site.fail(Fault("slow", seconds=1.5, after=True, method="POST", path="/posts"))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(house.deliver)
        assert site.stuck.wait(30)
        while not first.done():
            assert "blog" not in {one.target for one in house.deliver()}
        assert {one.target for one in first.result()} >= {"blog"}
    assert len(site.posts) == 1 and house.rows("blog")[0].attempts == 1
