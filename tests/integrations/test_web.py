"""The guarded client's limits: what is sent, what is read, how much of it, for how long, and from whom."""

import contextlib
import gzip
import socket
import ssl
import threading
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocontent.errors import Refused
from cryptocontent.integrations.web import Fetched, Forbidden, Seen, Unavailable, Unfit, Web, parse
from cryptocontent.integrations.web.fetching import inflated
from tests.fakes.web import Fault, Site, environment, web_server
from tests.fakes.web.raw import Script, answer, listening
from tests.integrations.certificates import Authority
from tests.integrations.web_nets import Dialer, Names, settings

PUBLIC = "93.184.215.14"


def fetch(site: Site, path: str = "/", **options: object) -> Fetched:
    web = Web(settings(site.url.removeprefix("http://")))
    return web.fetch(site.url + path, **({"max_bytes": 100_000, "seconds": 10} | options))  # type: ignore[arg-type]


def ask(reply: bytes | Script, **options: object) -> Fetched:
    """Fetch from a server that answers with these bytes."""
    with listening(reply) as listener:
        web = Web(settings(f"127.0.0.1:{listener.port}"))
        url = f"http://127.0.0.1:{listener.port}/"
        return web.fetch(url, **({"max_bytes": 100_000, "seconds": 10} | options))  # type: ignore[arg-type]


def test_a_page_comes_with_what_is_known_of_it() -> None:
    with web_server() as site:
        page = site.page("/a", "<p>Text</p>", encoding="gzip")
        found = fetch(site, "/a", accept=("text/html",))
        assert found == Fetched(
            200, site.url + "/a", "text/html", "utf-8", page.etag, page.last_modified, None, page.body
        )


def test_the_fake_is_reached_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptocontent.settings import Settings

    with web_server() as site:
        site.page("/a", "<p>Text</p>")
        for name, value in environment(site.url).items():
            monkeypatch.setenv(name, value)
        web = Web(Settings(_env_file=None))  # type: ignore[call-arg]
        assert web.fetch(site.url + "/a", max_bytes=9999, seconds=10).status == 200


def test_nothing_is_sent_but_what_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cookies, no credentials (of `.netrc` neither), no proxy of the environment, a fixed User-Agent."""
    with web_server() as site, listening() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        site.redirect("/a", "/b")
        site.page("/b", "<p>Text</p>")
        fetch(site, "/a")
        fetch(site, "/b")
        assert proxy.connections == 0
        for asked in site.asked:
            assert set(asked.headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}
            assert asked.headers["user-agent"] == "cryptocontent/0.1 (reference importer)"


def test_a_conditional_request_goes_to_the_address_that_it_is_about() -> None:
    with web_server() as site:
        page = site.page("/new", "<p>Text</p>")
        site.redirect("/old", "/new", 301)
        seen = Seen(site.url + "/new", page.etag, page.last_modified)
        assert fetch(site, "/old", seen=seen).status == 304
        assert "if-none-match" not in site.asked[0].headers
        assert site.asked[1].headers["if-none-match"] == page.etag
        by_date = Seen(site.url + "/new", "", page.last_modified)
        assert fetch(site, "/new", seen=by_date).status == 304
        site.page("/new", "<p>Another text</p>")
        assert fetch(site, "/new", seen=seen).status == 200


@pytest.mark.parametrize("status", [204, 206, 400, 401, 403, 404, 410, 429, 500, 503, 304])
def test_the_body_of_another_status_is_not_read(status: int) -> None:
    head = b"HTTP/1.1 %d Said" % status
    found = ask(answer(b"x" * 200_000, head, b"Retry-After: 7"), max_bytes=10)
    assert (found.status, found.body, found.retry_after) == (status, b"", 7.0)


def test_retry_after_may_be_a_date() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True).encode()
    found = ask(answer(b"", b"HTTP/1.1 429 Slow down", b"Retry-After: " + moment))
    assert found.retry_after is not None and 3500 < found.retry_after <= 3600
    for nonsense in (b"soon", b"-5", b"", b"1e9"):
        assert ask(answer(b"", b"HTTP/1.1 503 No", b"Retry-After: " + nonsense)).retry_after is None
    assert ask(answer(b"", b"HTTP/1.1 503 No", b"Retry-After: " + b"9" * 50)).retry_after == 7 * 86400


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "", "text/html\x0bx", "video/mp4"])
def test_other_media_types_are_refused_before_they_are_read(kind: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind.encode() + b"\r\nContent-Length: 99999999\r\n\r\n"
    with pytest.raises((Unfit, Unavailable)):
        ask(head, accept=("text/html", "text/plain"))


def test_too_large_is_refused_by_what_it_says_and_by_what_it_is() -> None:
    with pytest.raises(Unfit, match="larger than 1,000 bytes"):  # without reading it: it is not even sent
        ask(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", max_bytes=1000)

    def endless(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not over.is_set():
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")

    with pytest.raises(Unfit, match="larger than"):
        ask(endless)
    assert ask(answer(b"x" * 1000), max_bytes=1000).body == b"x" * 1000


def _bomb(encoding: str) -> bytes:
    data = b"\0" * 50_000_000
    if encoding == "gzip":
        return gzip.compress(data, 9)
    if encoding == "members":
        return b"".join(gzip.compress(b"\0" * 90_000, 9) for _ in range(500))
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 15 if encoding == "zlib" else -15)
    return squeezer.compress(data) + squeezer.flush()


@pytest.mark.parametrize("encoding", ["gzip", "members", "zlib", "deflate"])
def test_decompression_bombs_are_refused(encoding: str) -> None:
    bomb = _bomb(encoding)
    assert len(bomb) < 100_000, "it is within the limit as it is sent"
    said = b"gzip" if encoding in ("gzip", "members") else b"deflate"
    with pytest.raises(Unfit, match="larger than 100,000 bytes"):
        ask(answer(bomb, b"HTTP/1.1 200 OK", b"Content-Encoding: " + said))


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "x"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(Unfit, match="was not asked for"):
        ask(answer(b"data", b"HTTP/1.1 200 OK", b"Content-Encoding: " + encoding.encode()))


@given(st.binary(max_size=3000), st.sampled_from(["gzip", "members", "zlib", "deflate"]))
def test_property_what_was_compressed_comes_back(data: bytes, encoding: str) -> None:
    if encoding == "members":
        compressed = gzip.compress(data[:100]) + gzip.compress(data[100:])
    elif encoding == "gzip":
        compressed = gzip.compress(data) + b"\0\0padding"
    else:
        squeezer = zlib.compressobj(6, zlib.DEFLATED, 15 if encoding == "zlib" else -15)
        compressed = squeezer.compress(data) + squeezer.flush()
    assert inflated(compressed, 3000) == data
    if data:
        with pytest.raises(OverflowError):
            inflated(compressed, len(data) - 1)
        with pytest.raises(ValueError):
            inflated(compressed[:1], 3000)


@given(st.binary(max_size=200))
def test_property_broken_data_is_told(data: bytes) -> None:
    with contextlib.suppress(ValueError, OverflowError):
        inflated(data, 1000)


def _slow_head(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    _drip(connection, over)


def _slow_body(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n")
    _drip(connection, over)


def _silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait(60)


def _informative(connection: socket.socket, over: threading.Event) -> None:
    while not over.wait(0.02):
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")


def _drip(connection: socket.socket, over: threading.Event) -> None:
    while not over.wait(0.02):
        connection.sendall(b"x")


@pytest.mark.parametrize("script", [_slow_head, _slow_body, _silent, _informative])
def test_a_server_that_never_ends_is_left(script: Script) -> None:
    """Slow-loris: each read is in time, all of them together are not."""
    with pytest.raises(Unavailable, match="in time"):
        ask(script, seconds=0.5)


def test_a_resolver_that_hangs_does_not_hang_us() -> None:
    release = threading.Event()

    def hangs(host: str, port: int) -> list[str]:
        release.wait(60)
        return []

    web = Web(settings(), resolver=hangs)
    with pytest.raises(Unavailable, match="in time"):
        web.fetch("http://news.example/", max_bytes=10, seconds=0.3)
    release.set()


def test_a_name_that_is_not_there_may_be_there_later() -> None:
    with pytest.raises(Unavailable, match="can't be found"):
        Web(settings(), resolver=Names()).fetch("http://news.example/", max_bytes=10, seconds=5)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000,
        b"\x16\x03\x01\x00\x05hello",
        answer(gzip.compress(b"text")[:-6], b"HTTP/1.1 200 OK", b"Content-Encoding: gzip"),
        answer(b"not gzip", b"HTTP/1.1 200 OK", b"Content-Encoding: gzip"),
    ],
)
def test_broken_answers_are_no_answers(reply: bytes) -> None:
    with pytest.raises(Unavailable):
        ask(reply)


def test_a_site_that_breaks_off_is_unavailable() -> None:
    with web_server() as site:
        site.page("/a", "<p>Text</p>")
        site.faults["/a"].append(Fault("truncated"))
        with pytest.raises(Unavailable):
            fetch(site, "/a")
        assert fetch(site, "/a").status == 200


def test_what_is_called_before_each_request_may_stop_it() -> None:
    with web_server() as site:
        site.redirect("/a", "/b")
        met = []

        def before(address: object) -> None:
            met.append(str(address))
            if str(address).endswith("/b"):
                raise Unfit("not there")

        with pytest.raises(Unfit, match="not there"):
            fetch(site, "/a", before=before)
        assert met == [site.url + "/a", site.url + "/b"] and site.paths() == ["/a"]


class TestTls:
    """The connection goes to the address that was checked; the certificate is held against the name."""

    def fetch(self, authority: Authority, names: str, url: str, trusted: bool = True) -> tuple[Fetched, list]:  # type: ignore[type-arg]
        with listening(answer(), tls=authority.server(names)) as listener:
            dialer = Dialer(listener)
            tls = authority.trusted() if trusted else ssl.create_default_context()
            web = Web(settings(), resolver=Names({"news.example": [[PUBLIC]]}), network=dialer, tls=tls)
            found = web.fetch(url, max_bytes=1000, seconds=10)
            return found, [*dialer.asked, *listener.names]

    def test_the_name_is_asked_for_and_verified(self) -> None:
        found, asked = self.fetch(Authority(), "news.example", "https://news.example/")
        assert found.status == 200
        assert asked == [(PUBLIC, 443), "news.example"]

    @pytest.mark.parametrize(("names", "trusted"), [("other.example", True), ("news.example", False)])
    def test_another_certificate_is_not_believed(self, names: str, trusted: bool) -> None:
        with pytest.raises(Unavailable, match="certificate"):
            self.fetch(Authority(), names, "https://news.example/", trusted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HTTP://News.Example", "http://news.example/"),
        ("https://news.example:443/a", "https://news.example/a"),
        ("http://news.example:8080/a/../b/./c?x=1&y=ä#part", "http://news.example:8080/b/c?x=1&y=%C3%A4"),
        ("http://news.example/a/%2E%2e/b/..", "http://news.example/"),
        (" http://news.example/ä b ", "http://news.example/%C3%A4%20b"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://[2606:2800:21f:0:0:0:0:1]/", "http://[2606:2800:21f::1]/"),
        ("http://a_b.news.example/", "http://a_b.news.example/"),
    ],
)
def test_addresses_have_one_form(text: str, expected: str) -> None:
    assert str(parse(text)) == expected
    assert str(parse(expected)) == expected


@given(
    st.text(max_size=60),
    st.sampled_from(["", "http://", "https://a.example/", "http://[", "//", "http://a@"]),
)
def test_property_an_address_is_refused_or_stays_as_it_is_read(text: str, before: str) -> None:
    try:
        address = parse(before + text)
    except Refused:
        return
    assert parse(str(address)) == address
    assert str(address).isascii() and not set(str(address)) & set(' \t\r\n\\#"<>')
    assert "@" not in address.authority


def test_refusals_repeat_no_secret() -> None:
    for url in (
        "http://ada:hunter2@a.example/",
        "ftp://ada:hunter2@a.example/",
        "http://ada:hunter2/x@a.example/",
    ):
        with pytest.raises(Refused) as refused:
            parse(url)
        assert "hunter2" not in str(refused.value)
    with pytest.raises(Forbidden) as forbidden:
        Web(settings()).fetch("http://127.0.0.1/?token=hunter2", max_bytes=10, seconds=5)
    assert "hunter2" not in str(forbidden.value)
