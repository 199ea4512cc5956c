"""Feeds and sitemap: what a feed reader and a search engine get, and that nothing else changes."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import feedparser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from cryptocontent.errors import Refused
from cryptocontent.publishing.render import to_html
from cryptocontent.publishing.targets.feeds import Feeds, atom, rss, sitemaps
from cryptocontent.publishing.targets.seam import Delivered, Listed, Parcel
from cryptocontent.settings import Settings
from tests.publishing.targets.parcels import IMAGE, parcel

TARGET = Feeds()
GIVEN = {
    "site_url": "https://news.example/articles/{slug}",
    "title": "News & facts",
    "description": "All of it",
}
CONFIG = TARGET.check(GIVEN)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
NS = {
    "a": "http://www.w3.org/2005/Atom",
    "s": "http://www.sitemaps.org/schemas/sitemap/0.9",
    "content": "http://purl.org/rss/1.0/modules/content/",
}


def listed(number: int = 0, **changes: Any) -> Listed:
    """An article published `number` hours after the start, and changed half an hour later."""
    at = START + timedelta(hours=number)
    one = Listed(
        article_id=f"a{number}",
        slug=f"fees-{number}",
        title=f"Fees {number}",
        description="What the base fee is.",
        keywords=("fees", "R&D"),
        html=lambda: to_html(parcel().rendered),
        published_at=at,
        updated_at=at + timedelta(minutes=30),
    )
    return replace(one, **changes)


def newest_first(count: int) -> list[Listed]:
    return [listed(number) for number in reversed(range(count))]


def parcel_with(articles: Iterable[Listed], article_id: str = "a0") -> Parcel:
    return replace(parcel(slug="fees-0"), article_id=article_id, listed=lambda: list(articles))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"CRYPTOCONTENT_HOME": tmp_path})


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.exports_dir / "p" / "published"


def deliver(settings: Settings, articles: Iterable[Listed], **config: Any) -> Delivered:
    return TARGET.deliver(settings, TARGET.check({**GIVEN, **config}), parcel_with(articles))


# What readers get


@pytest.mark.parametrize("file", ["rss.xml", "atom.xml"])
def test_a_feed_reader_gets_the_articles(settings: Settings, folder: Path, file: str) -> None:
    deliver(settings, newest_first(3))
    feed = feedparser.parse((folder / file).read_bytes())
    assert not feed.bozo, feed.get("bozo_exception")
    assert feed.version == {"rss.xml": "rss20", "atom.xml": "atom10"}[file]
    assert (feed.feed.title, feed.feed.link) == ("News & facts", "https://news.example/")
    assert feed.feed.subtitle == "All of it" and feed.feed.language == "en"
    assert [one.title for one in feed.entries] == ["Fees 2", "Fees 1", "Fees 0"]
    first = feed.entries[0]
    assert first.link == "https://news.example/articles/fees-2"
    assert first.id == "urn:cryptocontent:article:a2" and first.summary == "What the base fee is."
    assert first.published_parsed[:5] == (2026, 3, 1, 14, 0)
    assert [one.term for one in first.tags or ()][:2] in (["fees", "R&D"], [])
    text = first.content[0].value
    assert "burned in every block" in text and "<h1" not in text
    assert f'src="https://news.example/articles/images/{IMAGE}"' in text
    assert 'href="https://news.example/articles/fees-2#fn1"' in text


def test_rss_keeps_to_its_rules(settings: Settings, folder: Path) -> None:
    """https://www.rssboard.org/rss-specification"""
    deliver(settings, newest_first(2))
    (channel,) = etree.parse(folder / "rss.xml").getroot()
    for required in ("title", "link", "description"):
        assert channel.findtext(required)
    (own,) = [one.get("href") for one in channel.findall("a:link", NS)]
    assert own == "https://news.example/rss.xml"
    for item in channel.findall("item"):
        guid = item.find("guid")
        assert guid is not None and guid.get("isPermaLink") == "false"
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", item.findtext("pubDate"))
        assert item.findtext("content:encoded", namespaces=NS)
        assert len(item.findall("category")) == 2


def test_atom_keeps_to_its_rules(settings: Settings, folder: Path) -> None:
    """RFC 4287, 4.1.1 and 4.1.2"""
    deliver(settings, newest_first(2))
    root = etree.parse(folder / "atom.xml").getroot()
    ids = [one.text for one in root.iter(f"{{{NS['a']}}}id")]
    assert len(ids) == len(set(ids)) == 3 and all(urlsplit(one or "").scheme == "urn" for one in ids)
    assert root.find("a:author/a:name", NS) is not None, "of the feed, as no entry has one"
    assert root.xpath("a:link[@rel='self']/@href", namespaces=NS) == ["https://news.example/atom.xml"]
    for element in (root, *root.findall("a:entry", NS)):
        for required in ("id", "title", "updated"):
            assert len(element.findall(f"a:{required}", NS)) == 1
        datetime.fromisoformat(element.findtext("a:updated", namespaces=NS))
    updated = [one.text for one in root.findall("a:entry/a:updated", NS)]
    assert updated == ["2026-03-01T13:30:00+00:00", "2026-03-01T12:30:00+00:00"]
    assert root.findtext("a:updated", namespaces=NS) == updated[0]


def test_the_sitemap_names_every_article(settings: Settings, folder: Path) -> None:
    deliver(settings, newest_first(4), limit=2)
    root = etree.parse(folder / "sitemap.xml").getroot()
    assert root.xpath("s:url/s:loc/text()", namespaces=NS) == [
        f"https://news.example/articles/fees-{number}" for number in range(4)
    ]
    assert root.xpath("s:url/s:lastmod/text()", namespaces=NS)[0] == "2026-03-01T12:30:00+00:00"
    assert len(feedparser.parse((folder / "rss.xml").read_bytes()).entries) == 2


def test_a_sitemap_of_too_many_is_an_index(settings: Settings, folder: Path) -> None:
    files = sitemaps(CONFIG, newest_first(5), most=2)
    assert sorted(files) == ["sitemap-1.xml", "sitemap-2.xml", "sitemap-3.xml", "sitemap.xml"]
    root = etree.fromstring(files["sitemap.xml"])
    assert etree.QName(root).localname == "sitemapindex"
    assert root.xpath("s:sitemap/s:loc/text()", namespaces=NS) == [
        f"https://news.example/sitemap-{number}.xml" for number in (1, 2, 3)
    ]
    assert root.xpath("s:sitemap/s:lastmod/text()", namespaces=NS)[2] == "2026-03-01T16:30:00+00:00"
    folder.mkdir(parents=True)
    (folder / "sitemap-1.xml").write_text("of an earlier time")
    deliver(settings, newest_first(1))
    assert not (folder / "sitemap-1.xml").exists()


def test_fifty_thousand_articles_take_two_sitemaps() -> None:
    one = listed()
    many = [replace(one, article_id=str(number), slug=f"s{number}") for number in range(50_001)]
    files = sitemaps(CONFIG, many)
    assert len(files) == 3 and max(map(len, files.values())) < 50 * 1024 * 1024


# What stays as it is


def test_the_same_articles_leave_the_files_in_peace(settings: Settings, folder: Path) -> None:
    deliver(settings, newest_first(3))
    before = {path.name: path.stat().st_ino for path in folder.glob("*.xml")}
    assert sorted(before) == ["atom.xml", "rss.xml", "sitemap.xml"]
    deliver(settings, newest_first(3))
    assert {path.name: path.stat().st_ino for path in folder.glob("*.xml")} == before


def test_a_withdrawn_article_vanishes(settings: Settings, folder: Path) -> None:
    shown = deliver(settings, newest_first(2))
    assert shown.url == "https://news.example/articles/fees-0"
    gone = TARGET.withdraw(settings, CONFIG, parcel_with([listed(1)]))
    assert gone.url == ""
    assert not any(b"fees-0" in path.read_bytes() for path in folder.glob("*.xml"))
    TARGET.withdraw(settings, CONFIG, parcel_with([]))
    for name in ("rss.xml", "atom.xml"):
        first = (folder / name).read_bytes()
        assert not feedparser.parse(first).entries and not feedparser.parse(first).bozo
        TARGET.withdraw(settings, CONFIG, parcel_with([]))
        assert (folder / name).read_bytes() == first, "also without any date to show"


def test_summaries_and_images_elsewhere(settings: Settings, folder: Path) -> None:
    deliver(settings, [listed()], content="summary")
    assert b"burned in every block" not in (folder / "rss.xml").read_bytes()
    deliver(settings, [listed()], images_url="https://cdn.example/i", folder="feeds")
    text = (folder.parent / "feeds" / "atom.xml").read_text()
    assert f"https://cdn.example/i/{IMAGE}" in text


# Hostile content


@given(st.text(max_size=60), st.text(max_size=60), st.lists(st.text(max_size=10), max_size=3))
def test_any_text_gives_valid_xml(title: str, description: str, keywords: list[str]) -> None:
    one = listed(title=title, description=description, keywords=tuple(keywords))
    for make in (rss, atom):
        data = make(CONFIG, "p", [one], [])
        etree.fromstring(data)
        assert not feedparser.parse(data).bozo
    etree.fromstring(sitemaps(CONFIG, [one])["sitemap.xml"])


def test_signs_of_xml_are_text(settings: Settings, folder: Path) -> None:
    deliver(settings, [listed(title="A <b> & ]]>\x00\x0b\ufffe B", description="<script>alert(1)</script>")])
    for name in ("rss.xml", "atom.xml"):
        (entry,) = etree.parse(folder / name).getroot().iter("item", f"{{{NS['a']}}}entry")
        titles = [one.text for one in entry.iter("title", f"{{{NS['a']}}}title")]
        assert titles == ["A <b> & ]]> B"]
        summary = next(one.text for one in entry.iter("description", f"{{{NS['a']}}}summary"))
        assert summary == "&lt;script&gt;alert(1)&lt;/script&gt;", "HTML by both formats: it shows as text"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"site_url": "https://news.example/"}, "site_url: 'https://news.example/' has no {slug}"),
        ({"site_url": "news.example/{slug}"}, "site_url: 'news.example/{slug}' is no address"),
        ({"title": " "}, "title: ''"),
        ({"feed_url": "ftp://x/"}, "feed_url: 'ftp://x/'"),
        ({"folder": "../other"}, "folder: '../other'"),
        ({"folder": "/srv"}, "folder: '/srv'"),
        ({"limit": 0}, "limit: 0"),
        ({"content": "half"}, "content: 'half'"),
        ({"language": "English!"}, "language: 'English!'"),
        ({"colour": 1}, "colour: not known"),
    ],
)
def test_a_bad_configuration_names_the_field(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=re.escape(said)):
        TARGET.check({**GIVEN, **given})


def test_its_defaults_are_checked_as_they_are() -> None:
    assert TARGET.check(CONFIG) == CONFIG and CONFIG["feed_url"] == "https://news.example/"
