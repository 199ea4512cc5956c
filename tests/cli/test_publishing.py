"""`target` and `publication`, and what `article publish` and `archive` say, as people type them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.inside import Inside, inside
from tests.content.articles import ED, make_article
from tests.fakes.wordpress import PASSWORD, WordPress, environment, wordpress_server


@pytest.fixture
def site() -> Iterator[WordPress]:
    with wordpress_server() as site:
        yield site


@pytest.fixture
def house(tmp_path: Path, site: WordPress, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    for name, value in environment(site.url).items():
        monkeypatch.setenv(name, value)
    with inside(tmp_path, monkeypatch) as made:
        make_article(made.engine)
        yield made


def approve(house: Inside) -> None:
    assert house.run("article", "submit", "fees").code == 0
    assert house.run("article", "approve", "fees").code == 0


def test_from_a_target_to_a_post_and_back(house: Inside, site: WordPress) -> None:
    added = house.run("target", "add", "wordpress", "blog", f"url={site.url}", "tags=true")
    assert "project p publishes to blog (wordpress)" in added.out and "live already" not in added.out
    assert "accepts the login of Newsroom" in house.run("target", "check", "blog").out
    approve(house)
    published = house.run("article", "publish", "fees")
    assert published.code == 0
    assert (
        f"fees → blog: delivered {site.url}/fees/" in published.out
        and "fees → files: delivered" in published.out
    )
    rows = house.run("publication", "list", "--json").json()
    assert {(row["target"], row["status"], row["state"]) for row in rows} == {
        ("blog", "delivered", "publish"),
        ("files", "delivered", ""),
    }
    (blog,) = [one for one in house.run("target", "list", "--json").json() if one["name"] == "blog"]
    assert (blog["delivered"], blog["off"], blog["config"]["tags"]) == (1, "", True)
    assert "fees → blog: withdrawn" in house.run("article", "archive", "fees", "--reason", "it is wrong").out
    assert not site.live()
    assert "blog is removed; 0 publications given up" in house.run("target", "remove", "blog").out


def test_what_does_not_go_through_is_said_and_tried_again(house: Inside, site: WordPress) -> None:
    house.run("target", "add", "wordpress", "blog", f"url={site.url}")
    site.users["newsroom"] = (PASSWORD, "contributor")
    house.run("target", "check", "blog").refused(1, "lacks upload_files, publish_posts")
    approve(house)
    published = house.run("article", "publish", "fees")
    assert published.code == 0, "it is published all the same"
    assert "fees → blog: failed" in published.out and "may not do this" in published.out
    site.users["newsroom"] = (PASSWORD, "editor")
    house.run("publication", "retry", CRYPTOCONTENT_USER="eve").refused(1, "'eve' is not a member")
    retried = house.run("publication", "retry", "--article", "fees", "--target", "blog")
    assert "1 publication to try" in retried.out and "fees → blog: delivered" in retried.out
    assert "0 publications to try" in house.run("publication", "retry").out
    assert "nothing is due" in house.run("publication", "deliver").out


def test_a_target_that_is_off_says_so_everywhere(house: Inside, site: WordPress) -> None:
    off = {"WORDPRESS_LOGINS": "{}"}
    added = house.run("target", "add", "wordpress", "blog", f"url={site.url}", **off)
    assert "waits until this is mended: WORDPRESS_LOGINS is not set" in added.err
    house.run("target", "check", "blog", **off).refused(1, "WORDPRESS_LOGINS is not set")
    approve(house)
    assert (
        "fees → blog: waits: WORDPRESS_LOGINS is not set"
        in house.run("article", "publish", "fees", **off).out
    )
    assert "fees → blog: delivered" in house.run("publication", "retry").out


def test_settings_come_from_a_file_and_are_changed(house: Inside, tmp_path: Path) -> None:
    (tmp_path / "feeds.yaml").write_text("site_url: https://news.example/{slug}\ntitle: News\nlimit: 20\n")
    house.run("target", "add", "feeds", "feeds", "limit=0", "--config", "feeds.yaml").refused(1, "limit: 0")
    assert house.run("target", "add", "feeds", "feeds", "--config", "feeds.yaml").code == 0
    approve(house)
    house.run("article", "publish", "fees")
    changed = house.run("target", "set", "feeds", "limit=5", "title=All news")
    assert "publication send feeds --all" in changed.out
    assert "fees → feeds: delivered" in house.run("publication", "send", "feeds", "--all").out
    assert "<title>All news" in (tmp_path / "exports" / "p" / "published" / "rss.xml").read_text()
    house.run("publication", "send", "feeds").refused(1, "name articles, or --all")
    house.run("publication", "send", "nowhere", "fees").refused(1, "no target 'nowhere'", "there are: feeds")
    assert house.run("target", "disable", "feeds").code == house.run("target", "enable", "feeds").code == 0


def test_a_target_added_late_names_the_way_for_what_is_live(house: Inside, tmp_path: Path) -> None:
    approve(house)
    house.run("article", "publish", "fees")
    added = house.run("target", "add", "files", "site", "folder=site", "formats=html")
    assert "1 article live already: cryptocontent publication send site --all -p p" in added.out
    assert "fees → site: delivered" in house.run("publication", "send", "site", "fees").out
    assert [one.name for one in (tmp_path / "exports" / "p" / "site").glob("fees.*")] == ["fees.html"]


def test_only_admins_change_targets(house: Inside) -> None:
    house.run("member", "set", ED.name, "editor")
    editor = {"CRYPTOCONTENT_USER": ED.name}
    house.run("target", "add", "files", "site", **editor).refused(1, "ed is editor", "administer")
    assert json.loads(house.run("target", "list", "--json", **editor).out)[0]["name"] == "files"
