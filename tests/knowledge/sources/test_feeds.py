"""Feeds as sources: RSS, Atom, JSON Feed; their entries' pages, or their own text."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from cryptocontent.audit import verify
from cryptocontent.errors import Refused
from cryptocontent.integrations.web import Fetched
from cryptocontent.knowledge.sources.entries import read_feed
from cryptocontent.storage import reading
from cryptocontent.storage.types import utc_now
from tests.fakes.web import Fault, web_server
from tests.fakes.web.raw import listening
from tests.fakes.web.sample import atom, json_feed, rss, sample
from tests.fakes.web.state import paragraphs
from tests.knowledge.sources.web_house import WebHouse

RSS, ATOM = "application/rss+xml", "application/atom+xml"
TEXT = "<p>" + "Fees on the network fell by half in May, says the foundation. " * 8 + "</p>"


@pytest.fixture
def house(sqlite_engine: Engine, tmp_path: Path) -> Iterator[WebHouse]:
    with web_server() as site:
        yield WebHouse(sqlite_engine, tmp_path, site)
    with reading(sqlite_engine) as session:
        assert verify(session, "news").broken_at is None


def feed(house: WebHouse, paths: list[str], date: str = "2026-11-02T09:00:00Z", **options: Any) -> None:
    """An RSS feed of pages, which are made."""
    base = house.site.url
    for path in paths:
        house.site.page(path, paragraphs(path), path)
    entries = [(base + path, f"About {path}", date) for path in paths]
    house.site.put("/feed.xml", rss(base, entries), **({"media_type": RSS} | options))


def add(house: WebHouse, **config: Any) -> str:
    return house.add("feed", **({"url": house.site.url + "/feed.xml"} | config))


@pytest.mark.parametrize("path", ["/feed.xml", "/atom.xml", "/feed.json"])
def test_what_entries_link_to_is_imported(engine: Engine, tmp_path: Path, path: str) -> None:
    with web_server() as site:
        house = WebHouse(engine, tmp_path, site)
        sample(site)
        source = house.add("feed", url=site.url + path)
        assert len(house.sync(source).added) == 3
        assert house.references() == dict.fromkeys(
            ["/blog/rollups", "/blog/staking", "/blog/bridges"], "active"
        )
        reference, markdown = house.reference("/blog/staking")
        assert (reference.title, reference.author) == ("Staking", "Ada Example")
        assert "staking settles" in markdown
        assert house.sync(source).changed == 0


def test_a_feed_is_asked_when_it_is_time_and_for_what_is_new(house: WebHouse) -> None:
    feed(house, ["/a"])
    source = add(house, every_hours=1)
    house.look(source, full=False)
    house.look(source, full=False)
    assert house.site.paths() == ["/feed.xml"]
    house.due(source)
    house.look(source, full=False)
    assert [one.status for one in house.site.asked if one.path == "/feed.xml"] == [200, 304]
    feed(house, ["/b", "/a"])
    house.due(source)
    assert house.look(source, full=False).found == 1


def test_a_feed_without_validators_is_recognised(house: WebHouse) -> None:
    feed(house, ["/a"], validators=False)
    source = add(house)
    house.look(source, full=False)
    house.due(source)
    looked = house.look(source, full=False)
    assert (looked.found, looked.pages) == (0, 1)


def test_entries_that_a_feed_shows_no_more_are_not_gone_and_changed_ones_are_fetched_again(
    house: WebHouse,
) -> None:
    feed(house, ["/a", "/b"])
    source = add(house)
    house.sync(source)
    feed(house, ["/b", "/c"], "2026-11-03T09:00:00Z")
    house.site.page("/b", paragraphs("news"), "/b")
    looked = house.look(source)
    assert (looked.found, looked.gone) == (2, 0)
    report = house.take(source)
    assert report.added == [house.site.url + "/c"] and report.revised == [house.site.url + "/b"]
    assert house.references() == {"/a": "active", "/b": "active", "/c": "active"}


def test_a_page_found_by_two_sources_is_one_reference(house: WebHouse) -> None:
    feed(house, ["/a"])
    by_feed, by_hand = add(house), house.add("web", "hand", url=house.site.url + "/a")
    house.sync(by_feed)
    assert house.sync(by_hand).unchanged == 1
    assert house.references() == {"/a": "active"} and house.revisions() == 1


def test_a_look_takes_the_first_entries_only(house: WebHouse) -> None:
    feed(house, [f"/{number}" for number in range(5)])
    assert house.look(add(house, limit=2)).found == 2
    assert set(house.items()) == {"/0", "/1"}


def test_the_feed_may_ask_to_be_left_alone_for_longer(house: WebHouse) -> None:
    house.site.put("/feed.xml", rss(house.site.url, [], "<ttl>600</ttl>"), RSS)
    source = add(house, every_hours=0.5)
    house.look(source)
    assert house.source(source).cursor["ttl"] == 10
    assert (house.source(source).cursor["next_at"] > utc_now().isoformat()) is True


def test_entries_that_lead_nowhere_are_ignored_with_the_reason(house: WebHouse) -> None:
    with listening() as listener:
        links = [
            "",
            "ftp://a.example/",
            "http://127.1/",
            f"http://127.0.0.1:{listener.port}/",
            "javascript:x()",
        ]
        items = "".join(
            f'<item><guid isPermaLink="false">urn:{n}</guid><link>{link}</link></item>'
            for n, link in enumerate(links)
        )
        house.site.put("/feed.xml", f"<rss version='2.0'><channel>{items}</channel></rss>", RSS)
        source = add(house)
        house.sync(source)
        states = house.items()
        assert [states[f"urn:{n}"][0] for n in range(5)] == [
            "ignored",
            "ignored",
            "ignored",
            "failed",
            "ignored",
        ]
        assert states["urn:0"][1] == "it has no link" and "only http and https" in states["urn:1"][1]
        assert listener.connections == 0 and house.references() == {}


class TestFullText:
    def test_the_text_of_the_feed_is_the_reference(self, house: WebHouse) -> None:
        base = house.site.url
        content = TEXT.replace("<", "&lt;") + "&lt;a href='/more'>More&lt;/a>&lt;script>alert(1)&lt;/script>"
        house.site.put(
            "/feed.xml", atom(base, [(base + "/a", "Fees fall", "2026-11-02T09:00:00Z")], content), ATOM
        )
        source = add(house, full_text="feed", licence="CC0")
        house.sync(source)
        assert house.references() == {"/feed.xml#tag:example,2026:a": "active"}
        reference, markdown = house.reference("/feed.xml#tag:example,2026:a")
        assert (reference.title, reference.author, reference.licence) == ("Fees fall", "Ada", "CC0")
        assert reference.url == base + "/a" and f"{reference.published_at:%Y-%m-%d}" == "2026-11-02"
        assert "Fees on the network fell" in markdown and "alert" not in markdown
        assert house.site.paths() == ["/feed.xml", "/feed.xml"], "no page is fetched"
        assert house.sync(source).unchanged == 0

    def test_what_has_no_text_is_ignored_and_what_is_shown_no_more_stays(self, house: WebHouse) -> None:
        base = house.site.url
        items = [
            {"id": "1", "title": "One", "content_text": "Fees fell by half in May."},
            {"id": "2", "title": "Two", "url": base + "/2"},
        ]
        document = {"version": "https://jsonfeed.org/version/1", "items": items}
        house.site.put("/feed.xml", json.dumps(document), "application/json")
        source = add(house, full_text="feed")
        house.sync(source)
        assert house.items()["2"] == (
            "ignored",
            "the feed has no text of it: full_text=page fetches the page",
        )
        assert house.references() == {"/feed.xml#1": "active"}
        items[0]["content_text"] = "Fees fell by a third in May."
        house.site.put("/feed.xml", json.dumps(document), "application/json")
        house.look(source)
        document["items"] = []  # it falls out between the look and the import
        house.site.put("/feed.xml", json.dumps(document), "application/json")
        assert house.take(source).unchanged == 1
        assert house.references() == {"/feed.xml#1": "active"}


class TestTrouble:
    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            (Fault(status=404), "answers 404"),
            (Fault(status=410), "answers 410"),
            (Fault(status=500), "answers 500"),
            (Fault(status=429, headers={"retry-after": "7200"}), "answers 429"),
            (Fault("truncated"), "broke off"),
        ],
    )
    def test_a_feed_that_fails_says_so_and_is_not_asked_at_every_tick(
        self, house: WebHouse, fault: Fault, words: str
    ) -> None:
        feed(house, ["/a"], validators=False)
        source = add(house)
        house.sync(source)
        house.site.faults["/feed.xml"].append(fault)
        house.due(source)
        assert words in house.look(source, full=False).error
        assert words in house.look(source, full=False).error, "people go on seeing it"
        assert house.site.paths().count("/feed.xml") == 2
        assert house.references() == {"/a": "active"}
        house.due(source)
        assert house.look(source, full=False).error == ""

    def test_a_page_in_place_of_a_feed_names_its_feeds(self, house: WebHouse) -> None:
        head = '<link rel="alternate" type="application/rss+xml" href="/feed.rss">'
        house.site.page("/feed.xml", "<p>News</p>", "News", head)
        assert f"is no feed; the page names: {house.site.url}/feed.rss" in house.look(add(house)).error

    @pytest.mark.parametrize(
        "body",
        [
            '<!DOCTYPE rss [<!ENTITY a "haha"><!ENTITY b "&a;&a;">]><rss version="2.0"><channel>'
            "<title>&b;</title></channel></rss>",
            '<!DOCTYPE rss [<!ENTITY x SYSTEM "{listener}">]><rss version="2.0"><channel><title>&x;</title>'
            "</channel></rss>",
        ],
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-8-sig", "utf-32"])
    def test_entities_are_refused_in_any_encoding(self, house: WebHouse, body: str, encoding: str) -> None:
        with listening() as listener:
            text = body.replace("{listener}", f"http://127.0.0.1:{listener.port}/")
            declared = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
            house.site.put("/feed.xml", (declared + text).encode(encoding), RSS)
            assert "declares entities" in house.look(add(house)).error
            assert listener.connections == 0


def read(body: str | bytes, media_type: str = RSS, charset: str = "") -> Any:
    data = body.encode() if isinstance(body, str) else body
    return read_feed(Fetched(200, "https://a.example/feed", media_type, charset, body=data))


def test_formats_of_all_ages() -> None:
    old = (
        '<?xml version="1.0"?><!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" '
        '"http://my.netscape.com/publish/formats/rss-0.91.dtd"><rss version="0.91"><channel><title>T</title>'
        "<item><title>One</title><link>/1</link></item></channel></rss>"
    )
    assert [(one.id, one.link) for one in read(old).entries] == [
        ("https://a.example/1", "https://a.example/1")
    ]
    rdf = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">'
        '<item rdf:about="https://a.example/2"><title>Two</title><link>https://a.example/2</link></item></rdf:RDF>'
    )
    assert [one.id for one in read(rdf).entries] == ["https://a.example/2"]
    latin = '<?xml version="1.0" encoding="iso-8859-1"?><rss version="2.0"><channel><item><guid>1</guid>' \
        "<title>Gebühren &amp; Kosten</title></item></channel></rss>"  # fmt: skip
    assert read(latin.encode("latin-1")).entries[0].title == "Gebühren & Kosten"
    broken = '<rss version="2.0"><channel><item><guid>1</guid><title>A & B</title></item><item><guid>2'
    assert [one.title for one in read(broken).entries][:1] == ["A & B"]
    (entry,) = read(
        json_feed("https://a.example", [("https://a.example/1", "One", "2026-11-02T09:00:00Z")])
    ).entries
    assert (entry.id, entry.updated, entry.html) == (entry.link, "2026-11-02T09:00:00Z", "<p>One</p>")


def test_a_revision_changes_with_what_an_entry_says() -> None:
    def revision(title: str, text: str, date: str) -> str:
        item = (
            f"<guid>1</guid><title>{title}</title><description>{text}</description><pubDate>{date}</pubDate>"
        )
        return str(
            read(f"<rss version='2.0'><channel><item>{item}</item></channel></rss>").entries[0].revision
        )

    first = revision("a", "b", "Mon, 02 Nov 2026 09:00:00 GMT")
    assert first == revision("a", "b", "Mon, 02 Nov 2026 10:00:00 +0100")
    others = [("x", "b", "Mon, 02 Nov 2026 09:00:00 GMT"), ("a", "x", "Mon, 02 Nov 2026 09:00:00 GMT")]
    assert first not in [revision(*one) for one in others]
    assert len(first) <= 200


PIECES = [
    *("<rss version='2.0'>", "<channel>", "<item>", "</item>", "<link>", "</link>", "<guid>", "<feed", "x="),
    *(" xmlns='http://www.w3.org/2005/Atom'>", "<entry>", "<id>", "<updated>", "http://[", "&#0;", "&amp"),
    *("<![CDATA[", "]]>", "<!DOCTYPE x>", "<!--", '{"version":', '"https://jsonfeed.org/version/1"', "}"),
    *("<content type='xhtml'>", "<div>", "<pubDate>", "2026-13-45", "9" * 14, "[", "<ttl>", "nan", "\x00"),
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.binary(max_size=100))
def test_property_a_feed_is_read_or_refused(data: str | bytes) -> None:
    try:
        entries = read(data).entries
    except Refused:
        return
    assert all(entry.id and len(entry.revision) == 40 for entry in entries)
