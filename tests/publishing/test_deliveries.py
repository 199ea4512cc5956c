"""Deliveries: each version at each target once, whatever is down, refuses, or is decided meanwhile."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import feedparser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from cryptocontent.errors import NotAllowed, Refused
from cryptocontent.publishing.deliveries import some_due
from cryptocontent.publishing.listing import list_publications, live_articles, retry, send
from cryptocontent.publishing.outcomes import MOST_ATTEMPTS, TELL_AFTER, later
from cryptocontent.publishing.registry import (
    add_target,
    change_target,
    find_target,
    list_targets,
    remove_target,
    set_enabled,
)
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Alert, Article, AuditEntry, Event, Publication
from cryptocontent.storage.types import utc_now
from tests.content.articles import ADA, ED, VIC, WIL
from tests.fakes.wordpress import PASSWORD, Fault, WordPress
from tests.publishing.newsroom import Newsroom, logins, titles

# The way of a version


def test_a_publication_waits_for_each_target_and_is_delivered_once(house: Newsroom, site: WordPress) -> None:
    house.target("files", "site", folder="site")
    with writing(house.engine) as session:
        set_enabled(session, find_target(session, "p", "site"), False, ADA)
    house.publish()
    assert house.statuses("files") == house.statuses("blog") == ["pending"] and house.rows("site") == []
    outcomes = house.deliver()
    assert {(one.target, one.status) for one in outcomes} == {("files", "delivered"), ("blog", "delivered")}
    assert house.deliver() == [] and not some_due(house.engine, house.settings)
    (row,) = house.rows("blog")
    assert (row.status, row.url, row.attempts) == ("delivered", f"{site.url}/fees/", 1)
    assert row.delivered_at and row.leased_until is None and row.error == ""
    assert titles(site) == ["Fees"] and (house.folder / "fees.html").is_file()
    entry = next(one for one in house.audited("publication.delivered") if one.data["target"] == "blog")
    assert entry.actor == "system:test" and entry.data["url"] == row.url
    assert [one.data["status"] for one in house.events()] == ["delivered", "delivered"]


def test_a_newer_version_supersedes_what_waits_and_updates_what_is_there(
    house: Newsroom, site: WordPress
) -> None:
    house.publish()
    house.write("Newer fees")
    house.publish()
    assert house.statuses("blog") == ["superseded", "pending"]
    house.deliver()
    house.write("Newest fees")
    house.publish()
    house.deliver()
    assert house.statuses("blog") == ["superseded", "delivered", "delivered"]
    assert titles(site) == ["Newest fees"] and len(site.posts) == 1
    assert "Newest fees" in (house.folder / "fees.html").read_text()


def test_what_is_being_written_goes_nowhere(house: Newsroom, site: WordPress) -> None:
    house.publish()
    house.write("A draft")
    house.deliver()
    assert titles(site) == ["Fees"] and "A draft" not in (house.folder / "fees.md").read_text()
    assert "status: published" in (house.folder / "fees.md").read_text()


def test_an_archived_article_is_taken_back_and_comes_back(house: Newsroom, site: WordPress) -> None:
    house.publish()
    house.deliver()
    house.archive()
    assert house.statuses("blog") == ["withdrawing"]
    assert {one.status for one in house.deliver()} == {"withdrawn"}
    assert titles(site) == [] and not list(house.folder.glob("fees.*"))
    assert len(house.audited("publication.withdrawn")) == 2
    house.reopen()
    house.publish()
    house.deliver()
    assert titles(site) == ["Fees"] and len(site.posts) == 1 and (house.folder / "fees.md").is_file()


def test_what_never_left_is_not_taken_back(house: Newsroom, site: WordPress) -> None:
    house.publish()
    house.archive()
    assert house.statuses("blog") == ["superseded"]
    assert house.deliver() == [] and site.calls == []


def test_what_may_have_left_is_taken_back(house: Newsroom, site: WordPress) -> None:
    house.publish()
    site.fail(Fault("status", 500, after=True, method="POST", path="/posts"))
    house.deliver()
    assert house.statuses("blog") == ["pending"] and titles(site) == ["Fees"]
    house.archive()
    house.deliver()
    assert house.statuses("blog") == ["withdrawn"] and titles(site) == []


def test_a_version_published_before_outboxes_is_taken_back(house: Newsroom) -> None:
    house.publish()
    house.deliver()
    with writing(house.engine) as session:  # as migration 0003 leaves rows
        session.execute(update(Publication).values(attempts=0, external_id="", details={}))
    house.archive()
    assert house.statuses("files") == ["withdrawing"]


# Targets that are down, or refuse


def test_a_site_that_is_down_stops_nobody_and_gets_it_later(house: Newsroom, site: WordPress) -> None:
    house.publish()
    house.more(2)
    site.fail(*[Fault("status", 503)] * 2)
    outcomes = house.deliver()
    assert [one.status for one in outcomes if one.target == "blog"] == ["waiting"], "asked once a pass"
    assert sum(one.status == "delivered" for one in outcomes) == 3, "files do not wait for it"
    with reading(house.engine) as session:
        assert {one.status for one in session.scalars(select(Article))} == {"published"}
    (row,) = house.rows("blog")
    assert row.not_before and row.not_before > utc_now() and "503" in row.error
    house.deliver()
    assert len(house.deliver()) == 1, "those whose time has come; the others wait"
    house.time_passes()
    house.deliver()
    assert len(titles(site)) == 3 and house.rows("blog")[0].error == ""


def test_a_rate_limit_is_one_of_the_whole_account(house: Newsroom, site: WordPress) -> None:
    house.target("wordpress", "second", url=site.url)
    house.publish()
    ids = ["a", *house.more(2)]
    site.fail(Fault("limit", seconds=600))
    house.deliver()
    waits = [house.rows(target, one)[0] for one in ids for target in ("blog", "second")]
    soonest = utc_now() + timedelta(seconds=590)
    assert all(row.status == "pending" and row.not_before and row.not_before > soonest for row in waits)
    assert len(site.calls) == 1 and not some_due(house.engine, house.settings)
    house.time_passes()
    house.deliver()
    assert len(titles(site)) == 3, "one post of each, whichever target asked"


def test_after_many_tries_people_are_told_and_after_days_it_is_given_up(
    house: Newsroom, site: WordPress
) -> None:
    house.publish()
    site.fail(*[Fault("status", 503)] * MOST_ATTEMPTS)

    def tried(times: int) -> None:
        with writing(house.engine) as session:
            values = {"attempts": times - 1, "not_before": None}
            session.execute(update(Publication).filter_by(target="blog").values(values))
        house.deliver()

    tried(TELL_AFTER)
    tried(TELL_AFTER + 1)
    with reading(house.engine) as session:
        (alert,) = session.scalars(select(Alert))
        assert alert.key == "publication:a:v1:blog:late" and "503" in alert.body
    tried(MOST_ATTEMPTS)
    (row,) = house.rows("blog")
    assert row.status == "failed" and house.deliver() == []
    with reading(house.engine) as session:
        alert = session.get_one(Alert, "publication:a:v1:blog")
        assert "publication retry --article fees --target blog -p p" in alert.body
        assert alert.data["project"] == "p"
    assert house.audited("publication.failed")[0].data["attempts"] == MOST_ATTEMPTS


def test_a_refusal_fails_at_once_and_is_tried_again_at_a_person_s_wish(
    house: Newsroom, site: WordPress
) -> None:
    site.users["newsroom"] = (PASSWORD, "contributor")
    house.publish()
    house.deliver()
    (row,) = house.rows("blog")
    assert row.status == "failed" and "may not do this" in row.error
    site.users["newsroom"] = (PASSWORD, "editor")
    with pytest.raises(NotAllowed), writing(house.engine) as session:
        retry(session, "p", WIL)
    with writing(house.engine) as session:
        assert retry(session, "p", ED) == 1
    house.deliver()
    assert titles(site) == ["Fees"] and house.audited("publication.retried")[0].actor == "person:ed"


def test_a_withdrawal_that_failed_is_tried_again_as_one(house: Newsroom, site: WordPress) -> None:
    house.publish()
    house.deliver()
    house.archive()
    site.fail(Fault("status", 302))
    site.users["newsroom"] = (PASSWORD, "contributor")
    next(iter(site.posts.values())).author = "admin"
    house.deliver()
    assert house.statuses("blog") == ["failed"]
    site.users["newsroom"] = (PASSWORD, "editor")
    with writing(house.engine) as session:
        retry(session, "p", ED, target="blog")
    house.deliver()
    assert house.statuses("blog") == ["withdrawn"] and titles(site) == []


def test_what_a_newer_version_replaced_is_not_tried_again(house: Newsroom, site: WordPress) -> None:
    site.users["newsroom"] = (PASSWORD, "contributor")
    house.publish()
    house.deliver()
    house.write("Newer fees")
    house.publish()
    with writing(house.engine) as session:
        assert retry(session, "p", ED) == 0
    assert house.statuses("blog") == ["superseded", "pending"]


def test_a_target_that_is_off_says_why_and_asks_nobody(house: Newsroom, site: WordPress) -> None:
    house.environment = {}
    house.publish()
    assert some_due(house.engine, house.settings), "the files"
    house.deliver()
    (row,) = house.rows("blog")
    assert (row.status, row.attempts) == ("pending", 0) and "WORDPRESS_LOGINS is not set" in row.error
    assert not some_due(house.engine, house.settings), "no run is started every few seconds for it"
    with reading(house.engine) as session:
        (listed,) = [one for one in list_targets(session, house.settings, "p") if one["name"] == "blog"]
    assert "WORDPRESS_LOGINS" in listed["off"] and listed["pending"] == 1
    house.environment = {"wordpress_logins": logins(site)}
    house.time_passes()
    house.deliver()
    assert titles(site) == ["Fees"]


def test_secrets_are_written_nowhere(
    house: Newsroom, site: WordPress, caplog: pytest.LogCaptureFixture
) -> None:
    house.environment = {"wordpress_logins": {site.url[7:]: "newsroom:hunter2-planted-secret"}}
    site.users["newsroom"] = ("another", "editor")
    house.publish()
    outcomes = house.deliver()
    with writing(house.engine) as session:
        session.execute(update(Publication).values(attempts=MOST_ATTEMPTS, not_before=None))
    outcomes += house.deliver()
    with reading(house.engine) as session:
        rows = [
            str(vars(one))
            for table in (Publication, AuditEntry, Event, Alert)
            for one in session.scalars(select(table))
        ]
    assert len(rows) > 5 and house.statuses("blog") == ["failed"]
    assert "hunter2" not in "".join([*rows, caplog.text, *map(str, outcomes)])


def test_a_bug_in_a_target_waits_and_stops_nothing_else(
    house: Newsroom, site: WordPress, tmp_path: Path
) -> None:
    house.settings.exports_dir.mkdir(parents=True)
    (house.settings.exports_dir / "p").write_text("a file where a folder should be")
    house.publish()
    assert {one.target: one.status for one in house.deliver()} == {"files": "waiting", "blog": "delivered"}
    (row,) = house.rows("files")
    assert row.leased_until is None and row.error.startswith("unexpected ")


# What people do


def test_feeds_follow_what_is_published(house: Newsroom) -> None:
    house.target("feeds", "feeds", site_url="https://news.example/{slug}", title="News")
    house.publish()
    long_ago = utc_now() - timedelta(days=3)
    with writing(house.engine) as session:
        session.execute(update(Publication).values(created_at=long_ago))
        session.get_one(Article, "a").published_at = long_ago
    house.more(1)
    house.deliver()

    def entries() -> list[Any]:
        return list(feedparser.parse((house.folder / "atom.xml").read_bytes()).entries)

    assert [one.link for one in entries()] == ["https://news.example/fees-1", "https://news.example/fees"]
    assert entries()[1].published == entries()[1].updated == long_ago.isoformat(timespec="seconds")
    house.write("Newer fees")
    house.publish()
    house.deliver()
    newer = entries()[1]
    assert newer.title == "Newer fees" and newer.published == long_ago.isoformat(timespec="seconds")
    assert newer.updated > newer.published, "its first date stays, and so does its place"
    house.archive("a1")
    house.deliver()
    assert len(entries()) == 1 and b"fees-1" not in (house.folder / "sitemap.xml").read_bytes()


def test_a_target_added_later_gets_what_is_live(house: Newsroom, site: WordPress) -> None:
    house.publish()
    house.deliver()
    house.target("files", "site", folder="site")
    with writing(house.engine) as session:
        with pytest.raises(NotAllowed):
            send(session, "p", "site", live_articles(session, "p"), WIL)
        assert send(session, "p", "site", live_articles(session, "p"), ED) == 1
    (outcome,) = house.deliver()
    assert (outcome.target, outcome.status) == ("site", "delivered")
    assert (house.settings.exports_dir / "p" / "site" / "fees.md").is_file()
    (house.folder / "fees.md").unlink()
    with writing(house.engine) as session:
        send(session, "p", "files", live_articles(session, "p"), ED)
    house.deliver()
    assert (house.folder / "fees.md").is_file(), "again, where it was delivered before"
    house.archive()
    with pytest.raises(Refused, match="no version of it is live"), writing(house.engine) as session:
        send(session, "p", "site", [session.get_one(Article, "a")], ED)


def test_what_waits_for_a_disabled_target_waits_until_it_is_enabled(house: Newsroom, site: WordPress) -> None:
    house.publish()
    with writing(house.engine) as session:
        set_enabled(session, find_target(session, "p", "blog"), False, ADA)
    assert {one.target for one in house.deliver()} == {"files"} and not some_due(house.engine, house.settings)
    with reading(house.engine) as session:
        listed = {one["target"]: one["error"] for one in list_publications(session, "p")}
    assert listed == {"files": "", "blog": "the target is disabled"}
    with writing(house.engine) as session:
        set_enabled(session, find_target(session, "p", "blog"), True, ADA)
    house.deliver()
    assert titles(site) == ["Fees"]


def test_a_removed_target_gives_up_what_waits_and_says_what_it_can_not_take_back(
    house: Newsroom, site: WordPress
) -> None:
    house.publish()
    house.deliver()
    house.write("Newer fees")
    house.publish()
    with writing(house.engine) as session:
        assert remove_target(session, find_target(session, "p", "blog"), ADA) == 1
    assert house.statuses("blog") == ["delivered", "failed"]
    house.archive()
    house.deliver()
    row = house.rows("blog")[0]
    assert row.status == "failed" and "was removed: the article can't be taken down there" in row.error
    assert titles(site) == ["Fees"]
    with reading(house.engine) as session:
        assert session.get(Alert, f"publication:a:{row.version_id}:blog:withdraw") is not None


def test_another_target_of_the_same_name_is_told_nothing_of_the_old(house: Newsroom, site: WordPress) -> None:
    house.publish()
    house.deliver()
    with writing(house.engine) as session:
        remove_target(session, find_target(session, "p", "blog"), ADA)
    house.target("files", "blog", folder="blog")
    with writing(house.engine) as session:
        send(session, "p", "blog", live_articles(session, "p"), ED)
    (outcome,) = house.deliver()
    assert outcome.status == "delivered" and outcome.url.endswith("/p/blog/fees.html")


def test_targets_are_of_admins_named_and_checked(house: Newsroom) -> None:
    config = {"url": "https://other.example"}
    with writing(house.engine) as session:
        for person in (ED, WIL, VIC):
            with pytest.raises(NotAllowed):
                add_target(session, "p", "wordpress", "other", config, person)
        for kind, name, given, said in (
            ("fax", "other", config, "kind 'fax'"),
            ("wordpress", "Other!", config, "name 'Other!'"),
            ("wordpress", "files", config, "the target that every project has"),
            ("wordpress", "blog", config, "has a target of that name"),
            ("wordpress", "other", {"url": "ftp://x"}, "url: 'ftp://x'"),
        ):
            with pytest.raises(Refused, match=said):
                add_target(session, "p", kind, name, given, ADA)
        target = find_target(session, "p", "blog")
        change_target(session, target, {"status": "draft"}, ADA)
        with pytest.raises(Refused, match="status: 'loud'"):
            change_target(session, target, {"status": "loud"}, ADA)
        assert target.config["status"] == "draft"
    (entry,) = house.audited("target.changed")
    assert [one["status"] for one in entry.data["config"]] == ["publish", "draft"]


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e7))
def test_pauses_are_bounded_and_never_shorter_than_asked(attempts: int, seconds: float | None) -> None:
    pause = later(attempts, seconds)
    assert timedelta(seconds=1) <= pause <= timedelta(days=1.2)
    if seconds is not None and seconds < 86_400:
        assert pause >= timedelta(seconds=seconds)
    assert seconds is not None or timedelta(seconds=30) <= pause <= timedelta(hours=1.2)
