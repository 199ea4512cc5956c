"""Sitemaps as sources: what they list is imported, what they list no more is withdrawn."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from cryptocontent.errors import Refused
from cryptocontent.integrations.web import Fetched
from cryptocontent.knowledge.sources import web
from cryptocontent.storage.types import utc_now
from tests.fakes.web import Fault, web_server
from tests.fakes.web.raw import listening
from tests.fakes.web.sample import sample, sitemap, sitemap_index
from tests.fakes.web.state import paragraphs
from tests.knowledge.sources.web_house import WebHouse

XML = "application/xml"


@pytest.fixture
def house(sqlite_engine: Engine, tmp_path: Path) -> Iterator[WebHouse]:
    with web_server() as site:
        yield WebHouse(sqlite_engine, tmp_path, site)


def listed(house: WebHouse, pages: dict[str, str], path: str = "/sitemap.xml", **options: object) -> None:
    """A sitemap of pages with their dates; the pages are made."""
    base = house.site.url
    for page in pages:
        house.site.page(page, paragraphs(page))
    body = sitemap({base + page: date for page, date in pages.items()})
    house.site.put(path, body, **({"media_type": XML} | options))  # type: ignore[arg-type]


def test_the_sample_site_is_imported_by_its_sitemap(house: WebHouse) -> None:
    sample(house.site)
    source = house.add("sitemap", url=house.site.url + "/sitemap.xml", licence="CC-BY-4.0")
    assert len(house.sync(source).added) == 3
    assert house.references() == dict.fromkeys(["/blog/rollups", "/blog/staking", "/blog/bridges"], "active")
    reference, _ = house.reference("/blog/rollups")
    assert (reference.author, reference.licence) == ("Ada Example", "CC-BY-4.0")


def test_a_page_is_fetched_again_when_its_date_changes_and_withdrawn_when_it_is_left_out(
    house: WebHouse,
) -> None:
    listed(house, {"/a": "2026-11-01", "/b": "2026-11-01", "/c": "2026-11-01"})
    source = house.add("sitemap", url=house.site.url + "/sitemap.xml")
    house.sync(source)
    listed(house, {"/a": "2026-11-01", "/b": "2026-11-02"})
    house.site.asked.clear()
    looked = house.look(source)
    assert (looked.found, looked.gone) == (1, 1)
    house.take(source)
    assert house.site.paths() == ["/sitemap.xml", "/b"]
    assert house.references() == {"/a": "active", "/b": "active", "/c": "withdrawn"}


def test_an_unchanged_sitemap_costs_one_conditional_request(house: WebHouse) -> None:
    listed(house, {"/a": "2026-11-01"})
    source = house.add("sitemap", url=house.site.url + "/sitemap.xml", every_hours=2)
    house.sync(source)
    assert house.look(source, full=False).pages == 0, "it is not due"
    house.due(source)
    house.site.asked.clear()
    looked = house.look(source, full=False)
    assert (looked.found, looked.gone) == (0, 0)
    assert [one.status for one in house.site.asked if one.path != "/robots.txt"] == [304]
    assert house.references() == {"/a": "active"}


def test_pages_without_a_date_are_looked_at_each_time(house: WebHouse) -> None:
    listed(house, {"/a": "", "/b": "2026-11-01"})
    source = house.add("sitemap", url=house.site.url + "/sitemap.xml")
    house.sync(source)
    house.due(source)
    house.site.asked.clear()
    assert house.look(source, full=False).found == 1
    assert house.take(source).unchanged == 1
    assert [(one.path, one.status) for one in house.site.asked][-1] == ("/a", 304)


def test_patterns_and_the_limit_choose_and_what_the_limit_cuts_off_is_not_gone(house: WebHouse) -> None:
    listed(house, dict.fromkeys(["/blog/a", "/blog/b", "/blog/draft/c", "/blog/d", "/about"], "2026-11-01"))
    url = house.site.url + "/sitemap.xml"
    options = {"include": ["/blog/*"], "exclude": ["/blog/draft/*", "*/b"], "limit": 5}
    house.sync(house.add("sitemap", "chosen", url=url, **options))
    assert set(house.items()) == {"/blog/a", "/blog/d"}
    few = house.add("sitemap", "few", url=url, limit=2)
    house.look(few)
    listed(house, dict.fromkeys(["/new", "/blog/a", "/blog/b"], "2026-11-01"))
    looked = house.look(few)
    assert (looked.found, looked.gone) == (1, 0)


def test_an_index_is_gone_through_one_sitemap_at_a_time_and_goes_on_where_it_stopped(house: WebHouse) -> None:
    base = house.site.url
    children = [f"{base}/{number}.xml" for number in range(3)]
    house.site.put("/index.xml", sitemap_index([*children, f"{base}/index.xml"]), XML)
    listed(house, {"/a": "2026-11-01"}, "/0.xml")
    listed(house, {"/b": "2026-11-01"}, "/1.xml")
    zipped = gzip.compress(sitemap({f"{base}/c": "2026-11-01"}).encode())
    house.site.page("/c", paragraphs("c"))
    house.site.put("/2.xml", zipped, "application/gzip")
    source = house.add("sitemap", url=f"{base}/index.xml")
    for page in range(1, 6):
        looked = house.look(source, full=False, seconds=0)
        assert looked.error == "" and looked.more == bool(looked.pages)
        if page <= 4:
            assert looked.pages == 1
    assert [path for path in house.site.paths() if path.endswith(".xml")] == [
        *("/index.xml", "/0.xml", "/1.xml", "/2.xml", "/index.xml"),
    ]
    house.take(source)
    assert house.references() == {"/a": "active", "/b": "active", "/c": "active"}
    listed(house, {}, "/1.xml")
    assert house.look(source).gone == 1


def test_a_sitemap_of_the_index_that_fails_is_asked_once_more_and_nothing_is_gone_for_it(
    house: WebHouse,
) -> None:
    base = house.site.url
    house.site.put("/index.xml", sitemap_index([f"{base}/{name}.xml" for name in ("x", "y", "z")]), XML)
    listed(house, {"/a": "2026-11-01"}, "/x.xml")
    listed(house, {"/b": "2026-11-01"}, "/y.xml")
    house.site.put("/z.xml", "<urlset", XML)
    source = house.add("sitemap", url=f"{base}/index.xml")
    house.site.faults["/x.xml"].extend([Fault(), Fault()])
    looked = house.look(source)
    assert "503" in looked.error and not house.items()
    assert "503" in house.look(source, full=False).error, "until it is time, what stopped it is told"
    house.due(source)
    looked = house.look(source, full=False)
    assert (looked.found, looked.error) == (1, "")
    assert set(house.items()) == {"/b"}
    looked = house.look(source)
    assert (looked.found, looked.gone) == (1, 0)
    house.site.put("/x.xml", "", XML, status=404)
    assert house.look(source).gone == 0
    assert {state for state, _ in house.items().values()} == {"pending"}


def test_plain_lines_and_gzip_are_read(house: WebHouse) -> None:
    base = house.site.url
    house.site.page("/a", paragraphs("a"))
    house.site.put("/sitemap.txt", f"\ufeff{base}/a\n\nnonsense\n{base}/b\n", "text/plain")
    assert house.look(house.add("sitemap", "lines", url=f"{base}/sitemap.txt")).found == 2
    listed(house, {"/c": ""}, "/sitemap.xml.gz", encoding="gzip")
    assert house.look(house.add("sitemap", "zipped", url=f"{base}/sitemap.xml.gz")).found == 1


def test_a_sitemap_speaks_for_its_own_site(house: WebHouse) -> None:
    with listening() as listener:
        base = house.site.url
        elsewhere = f"http://localhost:{listener.port}/"
        addresses = [
            f"{base}/a",
            elsewhere,
            "https://elsewhere.example/",
            "file:///etc/passwd",
            "",
            "//",
            "/relative",
        ]
        house.site.put("/sitemap.xml", sitemap(dict.fromkeys(addresses, "")), XML)
        house.site.put("/index.xml", sitemap_index([elsewhere, f"{base}/sitemap.xml"]), XML)
        house.site.page("/a", paragraphs("a"))
        house.sync(house.add("sitemap", url=f"{base}/index.xml"))
        assert house.references() == {"/a": "active"} and set(house.items()) == {"/a"}
        assert listener.connections == 0


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE urlset [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<urlset><url><loc>&b;</loc></url></urlset>"
)
READS = '<!DOCTYPE urlset [<!ENTITY x SYSTEM "{url}">]><urlset><url><loc>&x;</loc></url></urlset>'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (LAUGHS, "document type"),
        (READS.format(url="file:///etc/passwd"), "document type"),
        ('<!DOCTYPE urlset SYSTEM "{listener}"><urlset/>', "document type"),
        (READS.format(url="{listener}"), "document type"),
        ("<urlset><url><loc>http://a", "can't be read"),
        ("<html><body>Not found</body></html>", "not <urlset> or <sitemapindex>"),
        ("", "can't be read"),
        (gzip.compress(b"<urlset/>")[:-4], "too early"),
        (gzip.compress(b" " * 60_000_000), "more than 52,428,800"),
    ],
)  # fmt: skip
def test_what_is_no_sitemap_says_so_and_costs_nothing(house: WebHouse, body: str | bytes, words: str) -> None:
    with listening() as listener:
        if isinstance(body, str):
            body = body.replace("{listener}", f"http://127.0.0.1:{listener.port}/x.dtd")
        house.site.put("/sitemap.xml", body, XML)
        source = house.add("sitemap", url=house.site.url + "/sitemap.xml")
        looked = house.look(source)
        assert words in looked.error, looked
        assert house.source(source).error == looked.error
        assert listener.connections == 0
        due = house.source(source).cursor["next_at"]
        assert due > utc_now().isoformat(), "it is not asked for at every tick"


@given(st.text(alphabet="<>/ulsetocmapindx&;![]\"' ?", max_size=200) | st.binary(max_size=200))
def test_property_nothing_but_refused_comes_of_a_broken_sitemap(data: str | bytes) -> None:
    body = b"<urlset>" + (data.encode() if isinstance(data, str) else data)
    answer = Fetched(200, "https://a.example/sitemap.xml", XML, body=body)
    try:
        web._read_sitemap(answer, {"include": [], "exclude": []}, 10)
    except Refused as error:
        assert "a.example" in str(error)
