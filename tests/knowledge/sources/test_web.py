"""Pages as sources: what becomes of them as references, first and later."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from cryptocontent.audit import verify
from cryptocontent.errors import Refused
from cryptocontent.knowledge.sources import open_kind
from cryptocontent.knowledge.sources.pages import read_html
from cryptocontent.knowledge.sources.seam import Unavailable
from cryptocontent.knowledge.sources.visits import Visitor
from cryptocontent.settings import Settings
from cryptocontent.storage import reading
from cryptocontent.storage.types import utc_now
from tests.fakes.web import Fault, Site, web_server
from tests.fakes.web.raw import listening
from tests.fakes.web.state import paragraphs
from tests.knowledge.sources.web_house import WebHouse

HTML = ("text/html",)


@pytest.fixture(scope="module")
def _site() -> Iterator[Site]:
    with web_server() as site:
        yield site


@pytest.fixture
def site(_site: Site) -> Site:
    _site.resources.clear()
    _site.faults.clear()
    _site.asked.clear()
    return _site


@pytest.fixture
def house(sqlite_engine: Engine, tmp_path: Path, site: Site) -> Iterator[WebHouse]:
    yield WebHouse(sqlite_engine, tmp_path, site)
    with reading(sqlite_engine) as session:
        assert verify(session, "news").broken_at is None


def test_a_page_becomes_a_reference_with_what_is_known_of_it(
    engine: Engine, tmp_path: Path, site: Site
) -> None:
    house = WebHouse(engine, tmp_path, site)
    site.page(
        "/blog/rollups",
        paragraphs("rollups")
        + "<p>See <a href='fees#now'>the fees</a>.</p><p><img src='/i.png' alt='Chart'></p>",
        "Rollups in numbers",
        '<link rel="license" href="https://creativecommons.org/licenses/by/4.0/">'
        '<meta name="author" content="Ada Example"><meta property="og:site_name" content="Chain News">'
        '<meta property="article:published_time" content="2026-11-02T09:00:00Z">',
    )
    source = house.add("web", urls=[f"{site.url}/blog/rollups#top"])
    assert house.sync(source).added == [site.url + "/blog/rollups"]
    reference, markdown = house.reference("/blog/rollups")
    assert (reference.source, reference.title, reference.author) == (
        "web",
        "Rollups in numbers",
        "Ada Example",
    )
    assert reference.url == site.url + "/blog/rollups"
    assert reference.licence == "https://creativecommons.org/licenses/by/4.0/"
    assert reference.published_at is not None and f"{reference.published_at:%Y-%m-%d}" == "2026-11-02"
    assert "rollups settles transactions" in markdown and "Imprint" not in markdown
    assert f"[the fees]({site.url}/blog/fees#now)" in markdown


def test_a_page_is_looked_at_again_when_it_is_time_and_costs_a_conditional_request(house: WebHouse) -> None:
    page = house.site.page("/a", paragraphs("fees"))
    source = house.add("web", url=house.site.url + "/a", every_hours=1)
    house.look(source, full=False)
    house.take(source)
    assert house.look(source, full=False).found == 0
    assert house.take(source).unchanged == 0 and len(house.site.paths()) == 1
    house.due(source)
    assert house.look(source, full=False).found == 1
    assert house.take(source).unchanged == 1
    assert [(one.status, one.headers.get("if-none-match")) for one in house.site.asked[-1:]] == [
        (304, page.etag)
    ]
    house.site.page("/a", paragraphs("costs"))
    assert house.sync(source).revised == [house.site.url + "/a"]
    assert house.revisions() == 2


def test_an_unchanged_page_with_new_validators_makes_no_revision(house: WebHouse) -> None:
    house.site.page("/a", paragraphs("fees"), validators=False, headers={"etag": '"1"'})
    source = house.add("web", url=house.site.url + "/a")
    house.sync(source)
    house.site.page("/a", paragraphs("fees"), validators=False, headers={"etag": '"2"'})
    assert house.sync(source).unchanged == 1
    assert house.revisions() == 1
    assert house.item(house.site.url + "/a").details["etag"] == '"2"'


@pytest.mark.parametrize(
    ("status", "state"), [(404, "gone"), (410, "gone"), (401, "ignored"), (403, "ignored")]
)
def test_what_is_not_there_for_us_is_withdrawn_and_comes_back_as_it_was(
    house: WebHouse, status: int, state: str
) -> None:
    page = house.site.page("/a", paragraphs("fees"))
    source = house.add("web", url=house.site.url + "/a")
    house.sync(source)
    page.status = status
    assert house.sync(source).withdrawn == [house.site.url + "/a"]
    assert house.items() == {"/a": (state, f"'{house.site.url}/a' answers {status}")}
    assert house.references() == {"/a": "withdrawn"}
    page.status = 200  # with the same ETag: "not modified" would leave it withdrawn
    assert house.sync(source).restored == [house.site.url + "/a"]
    assert house.references() == {"/a": "active"}


@pytest.mark.parametrize(
    "fault", [Fault(status=500), Fault(status=503), Fault("truncated"), Fault(status=408)]
)
def test_a_page_that_fails_for_now_keeps_its_reference(house: WebHouse, fault: Fault) -> None:
    house.site.page("/a", paragraphs("fees"), validators=False)
    source = house.add("web", url=house.site.url + "/a")
    house.sync(source)
    house.site.faults["/a"].append(fault)
    assert [name for name, _ in house.sync(source).problems] == [house.site.url + "/a"]
    assert house.references() == {"/a": "active"}
    assert house.item(house.site.url + "/a").not_before is not None


def test_a_site_that_asks_for_patience_is_left_alone(house: WebHouse) -> None:
    for path in ("/a", "/b", "/c"):
        house.site.page(path, paragraphs("fees"))
    house.site.faults["/b"].append(Fault(status=429, headers={"retry-after": "600"}))
    source = house.add("web", urls=[house.site.url + path for path in ("/a", "/b", "/c")])
    house.look(source)
    house.take(source)
    assert house.site.paths() == ["/a", "/b"]
    not_before = house.item(house.site.url + "/b").not_before
    assert not_before is not None and 500 < (not_before - utc_now()).total_seconds() <= 600
    assert house.items()["/c"] == ("pending", "")


class TestCanonical:
    """A page that names another address on its site is read from there."""

    def test_two_addresses_of_one_page_are_one_reference(self, house: WebHouse) -> None:
        head = f'<link rel="canonical" href="{house.site.url}/a">'
        house.site.page("/a", paragraphs("fees"), "Fees", head)
        house.site.page("/a?from=mail", paragraphs("fees"), "Fees, by mail", head)
        house.site.redirect("/old", "/a", 301)
        urls = [house.site.url + path for path in ("/a", "/a?from=mail", "/old")]
        source = house.add("web", urls=urls)
        report = house.sync(source)
        assert (report.added, report.problems) == ([house.site.url + "/a"], [])
        assert house.references() == {"/a": "active"} and house.revisions() == 1
        assert house.reference("/a")[0].title == "Fees"
        assert house.sync(source).unchanged == 3 and house.revisions() == 1
        # The page goes with the last address that leads to it.
        del house.site.resources["/a?from=mail"], house.site.resources["/old"]
        house.sync(source)
        assert house.references() == {"/a": "active"}
        del house.site.resources["/a"]
        house.sync(source)
        assert house.references() == {"/a": "withdrawn"}

    @pytest.mark.parametrize(
        "canonical",
        [
            *("https://elsewhere.example/a", "/", "/missing", "/loop", "ftp://a/", "http://[", "/a", "", "a"),
            *("http://127.0.0.1:1/a", "http://127.0.0.1:22/a", "/image", "/error"),
        ],
    )
    def test_one_that_can_not_be_believed_is_not(self, house: WebHouse, canonical: str) -> None:
        house.site.page("/a", paragraphs("fees"), "Fees", f'<link rel="canonical" href="{canonical}">')
        house.site.page("/", paragraphs("everything"), "Home")
        house.site.page("/loop", paragraphs("loops"), "Loop", '<link rel="canonical" href="/a">')
        house.site.put("/image", b"\x89PNG", "image/png")
        house.site.put("/error", "", status=500)
        source = house.add("web", url=house.site.url + "/a")
        assert house.sync(source).added == [house.site.url + "/a"]
        assert house.reference("/a")[0].title == "Fees"

    def test_a_page_that_moved_leaves_its_old_reference(self, house: WebHouse) -> None:
        house.site.page("/a", paragraphs("fees"))
        source = house.add("web", url=house.site.url + "/a")
        house.sync(source)
        house.site.page("/b", paragraphs("fees"))
        house.site.redirect("/a", "/b", 301)
        house.sync(source)
        assert house.references() == {"/a": "withdrawn", "/b": "active"}


class TestRobots:
    def test_what_it_disallows_is_not_visited(self, house: WebHouse) -> None:
        house.site.robots(
            "User-agent: *\nDisallow: /\n\nUser-agent: cryptocontent\nDisallow: /private/\nAllow: /\n"
        )
        house.site.page("/a", paragraphs("fees"))
        house.site.page("/private/b", paragraphs("secrets"))
        house.site.redirect("/c", "/private/b")
        paths = ("/a", "/private/b", "/open/../private/b", "/%70rivate/b", "/c")
        source = house.add("web", urls=[house.site.url + path for path in paths])
        house.sync(source)
        assert house.references() == {"/a": "active"}
        assert house.site.paths() == ["/a", "/c"] or set(house.site.paths()) == {"/a", "/c"}
        assert "robots.txt" in house.items()["/private/b"][1] and house.items()["/c"][0] == "ignored"
        asked = [one for one in house.site.asked if one.path == "/robots.txt"]
        assert len(asked) == 1, "it is asked for once in a while"

    @pytest.mark.parametrize("status", [404, 403, 401, 410])
    def test_none_allows_everything(self, house: WebHouse, status: int) -> None:
        house.site.robots("User-agent: *\nDisallow: /\n", status)
        house.site.page("/a", paragraphs("fees"))
        house.sync(house.add("web", url=house.site.url + "/a"))
        assert house.references() == {"/a": "active"}

    @pytest.mark.parametrize("status", [500, 503, 429])
    def test_one_that_can_not_be_had_allows_nothing_for_now(self, house: WebHouse, status: int) -> None:
        house.site.robots("", status)
        house.site.page("/a", paragraphs("fees"))
        house.sync(house.add("web", url=house.site.url + "/a"))
        assert house.site.paths() == []
        assert house.items()["/a"][0] == "failed" and "robots.txt" in house.items()["/a"][1]
        assert house.item(house.site.url + "/a").not_before is not None

    def test_delays_are_kept_and_long_ones_put_the_visit_off(self, house: WebHouse) -> None:
        now, slept = [0.0], []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            now[0] += seconds

        def visitor(patience: float) -> Visitor:
            return Visitor(
                house.settings, delay=1, patience=patience, seconds=10, sleep=sleep, clock=lambda: now[0]
            )

        house.site.page("/a", paragraphs("fees"))
        url, options = house.site.url + "/a", {"accept": HTML, "max_bytes": 100_000}
        polite = visitor(20)
        polite.visit(url, **options)
        now[0] += 0.25
        polite.visit(url, **options)
        now[0] += 5
        polite.visit(url, **options)
        assert slept == [0.75]
        house.site.robots("User-agent: *\nCrawl-delay: 15\n")
        slow = visitor(20)
        slow.visit(url, **options)
        slow.visit(url, **options)
        assert slept == [0.75, 15]
        hasty = visitor(10)
        hasty.visit(url, **options)
        with pytest.raises(Unavailable, match="asks for 15 s") as waits:
            hasty.visit(url, **options)
        assert waits.value.seconds == 15


def test_an_address_of_the_private_network_is_refused_and_nothing_connects(house: WebHouse) -> None:
    with listening() as listener:
        house.site.redirect("/a", f"http://127.0.0.1:{listener.port}/")
        urls = [house.site.url + "/a", f"http://localhost:{listener.port}/", "http://169.254.169.254/latest/"]
        source = house.add("web", urls=urls)
        report = house.sync(source)
        assert len(report.problems) == 3 and all(
            "public" in why or "private" in why for _, why in report.problems
        )
        assert {state for state, _ in house.items().values()} == {"failed"}
        assert all(house.item(url).not_before is None for url in urls), "it is not tried again"
        assert listener.connections == 0 and house.references() == {}


@pytest.mark.parametrize(
    ("path", "media_type", "body", "title", "words"),
    [
        ("/notes.txt", "text/plain", "Fees fell by half.\n\nNobody knows why.", "Notes", "fell by half"),
        ("/raw/README.md", "text/plain; charset=utf-8", "# The fees\n\nThey *fell*.", "The fees", "*fell*"),
        ("/doc", "text/markdown", "# The fees\n\nThey fell.", "The fees", "They fell"),
        ("/x", "application/xhtml+xml", "<?xml version='1.0' encoding='UTF-8'?><html><head><title>X</title>"
         f"</head><body><article>{paragraphs('fees')}</article></body></html>", "X", "fees settles"),
        ("/ru", "text/html; charset=windows-1251",
         "<h1>Комиссии</h1><p>Комиссии упали вдвое.</p>".encode("cp1251"), "Комиссии", "упали вдвое"),
        ("/jp", "text/html", "<meta charset='shift_jis'><h1>手数料</h1><p>半分です。</p>".encode("shift_jis"),
         "手数料", "半分"),
    ],
)  # fmt: skip
def test_formats_and_encodings(
    house: WebHouse, path: str, media_type: str, body: str | bytes, title: str, words: str
) -> None:
    house.site.put(path, body, media_type)
    assert house.sync(house.add("web", url=house.site.url + path, licence="CC0")).problems == []
    reference, markdown = house.reference(path)
    assert (reference.title, reference.licence) == (title, "CC0")
    assert words in markdown


@pytest.mark.parametrize(
    ("body", "media_type", "reason"),
    [
        (b"\x89PNG", "image/png", "is image/png; read are text/html"),
        (b"%PDF-1.7", "text/html", "it is a PDF, not text"),
        (b"", "text/html", "empty"),
        (b"<html></html>", "text/html", "no text"),
        (b"x", "", "is of no media type"),
        (b"<p>" + b"x" * 5_000_001, "text/html", "larger than 5,000,000 bytes"),
        (b"<feed/>", "application/atom+xml", "is application/atom+xml"),
    ],
)
def test_what_is_no_page_says_why(house: WebHouse, body: bytes, media_type: str, reason: str) -> None:
    house.site.put("/a", body, media_type)
    source = house.add("web", url=house.site.url + "/a")
    house.sync(source)
    assert reason in house.items()["/a"][1] and house.references() == {}


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        ("<link rel='License nofollow' href='/l'><link rel='license' href='/b'>", "/b"),
        ("<meta name='DC.rights' content=' All  rights&#10;reserved '>", "All rights reserved"),
        ("<meta name='dcterms.license' content='CC-BY'><meta name='dc.rights' content='mine'>", "CC-BY"),
        ('<script type="application/ld+json">{"@type": "Article", "license": "https://l.example/"}</script>',
         "https://l.example/"),
        ('<script type="application/ld+json">[{"@graph": [{"license": {"@id": "https://l.example/1"}}]}]</script>',
         "https://l.example/1"),
        ('<script type="application/ld+json">{"license": </script>', ""),
        ('<script type="application/ld+json">3</script>', ""),
        ('<script type="application/ld+json">' + "[" * 5000 + "</script>", ""),
        ("<meta name='rights' content='x'>", ""),
    ],
)  # fmt: skip
def test_licences(head: str, licence: str) -> None:
    found = read_html(f"<html><head>{head}</head><body><p>Text</p></body></html>", "http://a.example/p")
    assert found is not None and found.licence == licence


@pytest.mark.parametrize(
    ("kind", "config", "words"),
    [
        ("web", {}, "urls is missing"),
        ("web", {"urls": []}, "1 to 500 addresses"),
        ("web", {"urls": ["http://a.example/"] * 501}, "1 to 500"),
        ("web", {"urls": ["http://a.example/", 3]}, "an address is text"),
        ("web", {"url": "file:///etc/passwd"}, "urls: address 'file:///etc/passwd': only http and https"),
        ("web", {"url": "http://ada:s3cret@a.example/"}, "user name or password"),
        ("web", {"url": "http://0x7f.1/"}, "four decimal numbers"),
        ("web", {"url": "http://a.example/" + "x" * 1000}, "at most 1,000 characters"),
        ("web", {"url": "http://a.example/", "colour": "red"}, "colour: unknown; allowed are urls, licence"),
        ("web", {"url": "http://a.example/", "every_hours": 0}, "every_hours 0: hours between two looks"),
        ("web", {"url": "http://a.example/", "every_hours": "often"}, "every_hours 'often'"),
        ("web", {"url": "http://a.example/", "delay": True}, "delay True"),
        ("web", {"url": "http://a.example/", "licence": "x" * 201}, "at most 200 characters"),
        ("sitemap", {"url": "http://a.example/", "limit": 0}, "limit 0: pages at most"),
        ("sitemap", {"url": "http://a.example/", "include": [3]}, "include [3]: patterns"),
        ("feed", {"url": "http://a.example/", "full_text": "no"}, "full_text 'no': page"),
        ("feed", {"url": "http://a.example/", "limit": 1.5}, "limit 1.5"),
    ],
)  # fmt: skip
def test_configurations_are_checked(kind: str, config: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as refused:
        open_kind(kind).check(config)
    assert words in str(refused.value) and "s3cret" not in str(refused.value)


def test_a_checked_configuration_stays_as_it_is() -> None:
    for kind in ("web", "sitemap", "feed"):
        checked = open_kind(kind).check({"url": "HTTP://Bücher.example/a b#c"})
        assert open_kind(kind).check(checked) == checked
        assert "http://xn--bcher-kva.example/a%20b" in str(checked)


def test_kinds_are_off_while_the_exceptions_are_not_in_order() -> None:
    for kind in ("web", "sitemap", "feed"):
        assert open_kind(kind).off(Settings(_env_file=None)) == ""  # type: ignore[call-arg]
        wrong = Settings(_env_file=None, web_private_hosts=["intranet"])  # type: ignore[call-arg]
        assert "WEB_PRIVATE_HOSTS: 'intranet'" in open_kind(kind).off(wrong)
