"""No address that a stranger names leads into a private network: whatever its form, whatever its name
resolves to, wherever it redirects. In every case nothing connects. A few show that the web gets through."""

import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptocontent.errors import Refused
from cryptocontent.integrations.web import Forbidden, Unfit, Web
from cryptocontent.integrations.web.network import GuardedNetwork
from tests.fakes.web import Site, web_server
from tests.fakes.web.raw import Listener, listening
from tests.integrations import web_nets
from tests.integrations.web_nets import Names, Trap

PUBLIC = "93.184.215.14"
PUBLIC_6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


@pytest.fixture
def trap() -> Iterator[Trap]:
    with listening() as listener:
        yield Trap(listener)


PLAIN = [
    *(
        "127.0.0.1",
        "127.0.0.1:8080",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.254",
    ),
    *("192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192"),
    *(
        "168.63.129.16",
        "198.18.0.1",
        "192.0.2.1",
        "203.0.113.9",
        "192.88.99.1",
        "224.0.0.1",
        "239.255.255.250",
    ),
    *("240.0.0.1", "255.255.255.255"),
]
OTHER_FORMS_OF_4 = [
    *(
        "2130706433",
        "0x7f000001",
        "0X7F000001",
        "017700000001",
        "127.1",
        "127.0.1",
        "0",
        "0x0",
        "127.000.000.001",
    ),
    *(
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f.1",
        "0177.0x0.1",
        "010.0.0.1",
        "3232235777",
        "2852039166",
        "0xa9fea9fe",
    ),
    *("169.16689662", "127.0.0.1.", "127.1.", "2130706433.", "4294967295", "4294967296", "256.256.256.256"),
    *("１２７.０.０.１", "127。0。0。1", "①②⑦.⓪.⓪.①", "١٢٧.0.0.1", "127.0.0.1%2e", "%31%32%37.0.0.1"),
]
FORMS_OF_6 = [
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::FFFF:7F00:1]", "[::ffff:10.0.0.1]"),
    *("[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::a00:1]", "[64:ff9b:1::1]"),
    *("[2002:7f00:1::]", "[2002:a00:1::1]", "[2001:0:7f00:1::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]"),
    *("[fe80::1]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]"),
    *("[fd12:3456::1]", "[ff02::1]", "[ff0e::1]", "[2001:db8::1]", "[3fff::1]", "[2001:10::1]", "[100::1]"),
    *("[5f00::1]", "[::1", "::1", "[127.0.0.1]", "[0x7f.1]", "[v1.x]", "a[::1]"),
]
INSIDE_NAMES = [
    *(
        "localhost",
        "LOCALHOST",
        "localhost.",
        "ⓛocalhost",
        "a.localhost",
        "localhost.localdomain",
        "printer.local",
    ),
    *(
        "metadata.google.internal",
        "metadata",
        "redis",
        "wiki.corp",
        "nas.lan",
        "router.home.arpa",
        "db.intranet",
    ),
]
WHOLE = [
    *("http://good.example@127.0.0.1/", "http://good.example:80@127.0.0.1/", "http://127.0.0.1@good.example/"),
    *("http://user:s3cret@good.example/", "http://a:s3c/s3cret@good.example/", "http://good.example%40127.0.0.1/"),
    *("http://good.example\\@127.0.0.1/", "http://127.0.0.1\\.good.example/", "http:\\\\127.0.0.1\\"),
    *("http://127.0.0.1\t/", "http://127.0.0\n.1/", "ht\ntp://127.0.0.1/", "http://good.example/\r\nHost: a"),
    *("http://127.0.0.1#@good.example/", "http://127.0.0.1?@good.example/", "http://127.0.0.1/#good.example"),
    *("http://good.example\x00.127.0.0.1/", "http://127.0.0.1:80:80/", "http://good.example:99999/"),
    *("http://good.example:0/", "http://127.0.0.1 .good.example/", "http://good.example 127.0.0.1/"),
    *("file:///etc/passwd", "FILE:///etc/passwd", "ftp://good.example/", "gopher://127.0.0.1:6379/_INFO"),
    *("data:text/html,hello", "jar:http://good.example!/a", "dict://127.0.0.1:11211/", "ldap://127.0.0.1/"),
    *("javascript:alert(1)", "view-source:http://127.0.0.1/", "unix:///var/run/docker.sock", "ws://good.example/"),
    *("http+unix://%2Fvar%2Frun%2Fdocker.sock/", "http:/127.0.0.1/", "http:127.0.0.1", "http:///127.0.0.1/"),
    *("//127.0.0.1/", "127.0.0.1", "http://", "", "   ", "http://.", "http://..../", "http://a..example/"),
    *("hTTp://127.0.0.1/", "HTTPS://LOCALHOST/", "  http://127.0.0.1/", "http://[::1]:80@good.example/"),
    *("http://good.example℀127.0.0.1/", "http://good.example／127.0.0.1/", f"http://{'a' * 3000}.example/"),
    *("http://good.example:22/", "http://good.example:25/", "http://good.example:6000/"),
]  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        *(f"http://{host}/" for host in (*PLAIN, *OTHER_FORMS_OF_4, *FORMS_OF_6, *INSIDE_NAMES)),
        *(
            f"https://{host}/latest/meta-data/"
            for host in ("169.254.169.254", "[fd00:ec2::254]", "localhost")
        ),
        *WHOLE,
    ],
)
def test_no_form_of_a_private_address_is_connected_to(trap: Trap, url: str) -> None:
    trap.names.answers |= {"good.example": [[PUBLIC]]}
    with pytest.raises(Refused) as refused:
        trap.fetch(url)
    assert trap.untouched
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "answers",
    [
        *([address.strip("[]")] for address in PLAIN if ":" not in address),
        *(["::1"], ["::"], ["::ffff:127.0.0.1"], ["::ffff:169.254.169.254"], ["::10.0.0.1"], ["fe80::1%lo"]),
        *(["fd00:ec2::254"], ["fec0::1"], ["ff02::1"], ["2002:7f00:1::"], ["2001:0:7f00:1::"]),
        *(["64:ff9b::7f00:1"], ["64:ff9b:1::1"], ["2001:db8::1"]),
        *([PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC_6, "::1"]),
        *([PUBLIC, PUBLIC_6, "10.0.0.1"],),
    ],
)  # fmt: skip
def test_a_name_is_refused_if_any_of_its_addresses_is_private(trap: Trap, answers: list[str]) -> None:
    trap.names.answers["news.example"] = [answers]
    with pytest.raises(Forbidden, match=r"news.example leads to .* not a public address"):
        trap.fetch("https://news.example/article")
    assert trap.untouched


@pytest.mark.parametrize(
    ("host", "form"),
    [
        *(("127.0.0.1", form) for form in ("127.0.0.1", "localhost", "127.1", "0", "0.0.0.0", "0x7f.1")),
        *(("127.0.0.1", form) for form in ("[::ffff:127.0.0.1]", "2130706433", "127.0.0.2", "017700000001")),
        ("::1", "[::1]"),
        ("::1", "localhost"),
    ],
)
def test_a_real_listener_of_this_machine_is_not_reached(host: str, form: str) -> None:
    with listening(host=host) as listener:
        with pytest.raises(Refused):
            Web(web_nets.settings()).fetch(f"http://{form}:{listener.port}/", max_bytes=1000, seconds=5)
        assert listener.connections == 0


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(trap: Trap) -> None:
    """DNS rebinding: the name is asked for once, and what it says later does not matter."""
    trap.names.answers["news.example"] = [[PUBLIC], ["127.0.0.1"]]
    trap.fetch("http://news.example/")
    assert trap.dialer.asked == [(PUBLIC, 80)]
    assert trap.names.asked == ["news.example"]
    with pytest.raises(Forbidden):  # a second visit asks anew, and meets the other answer
        trap.fetch("http://news.example/")
    assert trap.listener.connections == 1


def test_rebinding_between_a_redirect_and_its_target_is_refused() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    with listening(redirect) as listener:
        trap = Trap(listener, Names({"news.example": [[PUBLIC], ["169.254.169.254"]]}))
        with pytest.raises(Forbidden):
            trap.fetch("http://news.example/")
        assert trap.dialer.asked == [(PUBLIC, 80)] and listener.connections == 1


def _targets(port: int) -> list[str]:
    return [
        *(f"http://127.0.0.1:{port}/", f"//127.0.0.1:{port}/", f"http://localhost:{port}/", f"http://127.1:{port}/"),
        *(f"http://2130706433:{port}/", f"http://[::ffff:127.0.0.1]:{port}/", f"HTTP://0x7f.1:{port}/"),
        *(f"http://a@127.0.0.1:{port}/", f"http://127.0.0.1:{port}\\@a/", f"https://127.0.0.1:{port}/"),
        *(f"http:\\\\127.0.0.1:{port}/", f"http://１２７.0.0.1:{port}/", f"http://127.0.0.1:{port}\t/"),
        *("file:///etc/passwd", "gopher://127.0.0.1/", "data:text/html,a", "http://169.254.169.254/latest/"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def allowed() -> Iterator[tuple[Site, Listener]]:
    """A site that may be visited, and a listener beside it that may not."""
    with web_server() as site, listening() as listener:
        yield site, listener


@pytest.mark.parametrize("number", range(len(_targets(0))))
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_allowed_site_does_not_redirect_into_the_private_network(
    allowed: tuple[Site, Listener], number: int, status: int
) -> None:
    site, listener = allowed
    site.redirect("/", "/next", 302)
    site.redirect("/next", _targets(listener.port)[number], status)
    site.asked.clear()
    web = Web(web_nets.settings(site.url.removeprefix("http://")))
    with pytest.raises(Refused):
        web.fetch(site.url + "/", max_bytes=1000, seconds=5)
    assert listener.connections == 0
    assert site.paths() == ["/", "/next"]


def test_redirects_end() -> None:
    with web_server() as site:
        site.redirect("/", "/")
        web = Web(web_nets.settings(site.url.removeprefix("http://")))
        with pytest.raises(Unfit, match="redirects more than 5 times"):
            web.fetch(site.url + "/", max_bytes=1000, seconds=5)
        assert len(site.asked) == 6


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "127.1", "::1", "0"])
def test_the_seam_itself_refuses_what_the_reading_of_addresses_would_let_through(
    trap: Trap, host: str
) -> None:
    guarded = GuardedNetwork(frozenset(), time.monotonic() + 10, trap.names, trap.dialer)
    with pytest.raises(Forbidden):
        guarded.connect_tcp(host, 80)
    with pytest.raises(Forbidden):
        guarded.connect_unix_socket("/var/run/docker.sock")
    assert trap.untouched


def test_an_exception_is_for_one_host_at_one_port() -> None:
    names = Names({"wiki.corp": [["10.1.2.3"]], "wiki.example": [["10.1.2.3"]]})
    with listening() as listener:
        trap = Trap(listener, names, ["wiki.corp:8080", "127.0.0.1:9000", "[::1]:9000"])
        for url in ("http://WIKI.corp.:8080/a", "http://127.0.0.1:9000/", "http://[0::1]:9000/"):
            trap.fetch(url)
        assert trap.dialer.asked == [("10.1.2.3", 8080), ("127.0.0.1", 9000), ("::1", 9000)]
        for url in (
            *(
                "http://wiki.corp/",
                "https://wiki.corp:8443/",
                "http://wiki.example:8080/",
                "http://10.1.2.3:8080/",
            ),
            *(
                "http://127.0.0.1:9001/",
                "http://127.0.0.2:9000/",
                "http://localhost:9000/",
                "http://a.wiki.corp:8080/",
            ),
        ):
            with pytest.raises(Forbidden):
                trap.fetch(url)
        assert listener.connections == 3


@pytest.mark.parametrize(
    "entry", ["127.0.0.1", "wiki.corp", "http://wiki.corp:80", "*:80", "a:80/x", "a@b:80", ""]
)
def test_an_exception_that_is_no_host_with_port_is_refused(entry: str) -> None:
    with pytest.raises(Refused, match="WEB_PRIVATE_HOSTS"):
        Web(web_nets.settings(entry))


@pytest.mark.parametrize(
    ("url", "addresses", "expected"),
    [
        ("http://news.example/", [PUBLIC], (PUBLIC, 80)),
        ("HTTP://NEWS.Example./", [PUBLIC], (PUBLIC, 80)),
        ("http://news.example:8080/a?b=c#d", [PUBLIC, PUBLIC_6], (PUBLIC, 8080)),
        ("http://news.example/", [PUBLIC_6], (PUBLIC_6, 80)),
        ("http://news.example/", ["64:ff9b::5db8:d70e"], ("64:ff9b::5db8:d70e", 80)),  # NAT64 of a public one
        ("http://xn--bcher-kva.example/", [PUBLIC], (PUBLIC, 80)),
        (f"http://{PUBLIC}/", [], (PUBLIC, 80)),
        (f"http://[{PUBLIC_6.upper()}]/", [], (PUBLIC_6, 80)),
        ("http://172.15.255.255/", [], ("172.15.255.255", 80)),  # beside the private ranges
        ("http://172.32.0.1/", [], ("172.32.0.1", 80)),
        ("http://100.128.0.1/", [], ("100.128.0.1", 80)),
        ("http://11.0.0.1/", [], ("11.0.0.1", 80)),
        ("http://localhost.example/", [PUBLIC], (PUBLIC, 80)),
        ("http://10.0.0.1.example/", [PUBLIC], (PUBLIC, 80)),
    ],
)
def test_the_public_web_is_reached(
    trap: Trap, url: str, addresses: list[str], expected: tuple[str, int]
) -> None:
    hosts = ("news.example", "xn--bcher-kva.example", "localhost.example", "10.0.0.1.example")
    trap.names.answers |= {host: [addresses] for host in hosts}
    trap.fetch(url)
    assert trap.dialer.asked == [expected] and trap.listener.connections == 1


def test_a_name_in_its_own_letters_is_looked_up_in_ascii(trap: Trap) -> None:
    trap.names.answers["xn--bcher-kva.example"] = [[PUBLIC]]
    trap.fetch("http://BÜCHER。example/ein weg")
    assert trap.names.asked == ["xn--bcher-kva.example"]
    assert trap.listener.heard[0].startswith(b"GET /ein%20weg HTTP/1.1\r\nHost: xn--bcher-kva.example\r\n")


PRIVATE_4 = st.one_of(
    *(
        st.ip_addresses(v=4, network=network)
        for network in (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"),
        )
    )
)


@st.composite
def forms_of_4(draw: st.DrawFn) -> str:
    """A private IPv4 address in a form that some program understands."""
    value = int(draw(PRIVATE_4))
    parts = draw(st.integers(1, 4))
    numbers = [value >> (24 - 8 * place) & 0xFF for place in range(parts - 1)]
    numbers.append(value & (1 << (8 * (5 - parts))) - 1)
    bases = st.sampled_from([str, hex, lambda number: f"0{number:o}", lambda number: f"0X{number:08X}"])
    text = ".".join(draw(bases)(number) for number in numbers)
    if draw(st.booleans()):
        text = text.translate({ord("0") + digit: ord("０") + digit for digit in range(10)})
    if draw(st.booleans()):
        text = text.replace(".", draw(st.sampled_from("。．｡")))
    return text + draw(st.sampled_from(["", ".", "。"]))


@st.composite
def forms_of_6(draw: st.DrawFn) -> str:
    """A private IPv6 address, or one that has a private IPv4 address inside."""
    inner = int(draw(PRIVATE_4))
    address = draw(
        st.one_of(
            *(
                st.ip_addresses(v=6, network=network)
                for network in ("::/64", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2001:db8::/32")
            ),
            st.sampled_from([0xFFFF << 32, 0, 0xFFFF << 48, 0x64FF9B << 96]).map(
                lambda at: IPv6Address(at | inner)
            ),
            st.just(IPv6Address(0x2002 << 112 | inner << 80)),
            st.just(IPv6Address(0x20010000 << 96 | inner << 64)),
        )
    )
    text = draw(st.sampled_from([address.compressed, address.exploded, address.compressed.upper()]))
    if address.ipv4_mapped:
        text = draw(st.sampled_from([text, f"::ffff:{address.ipv4_mapped}"]))
    return f"[{text}]"


@given(
    host=st.one_of(forms_of_4(), forms_of_6()),
    scheme=st.sampled_from(["http", "https", "HTTP", "hTtPs"]),
    port=st.sampled_from(["", ":80", ":443", ":8080", ":"]),
    before=st.sampled_from(["", "", "", "good.example@", "good.example:80@", "good.example\\@", "//", "\t"]),
    after=st.sampled_from(["/", "", "/a", "?a=@good.example", "#@good.example", "/@good.example"]),
)
@settings(max_examples=1000, deadline=None)
def test_property_no_generated_form_of_a_private_address_passes(
    host: str, scheme: str, port: str, before: str, after: str
) -> None:
    trap = Trap(Listener(1))  # nobody listens at port 1: an attempt would be noted, and fail in another way
    with pytest.raises(Refused):
        trap.fetch(f"{scheme}://{before}{host}{port}{after}")
    assert trap.dialer.asked == []


@given(st.ip_addresses(v=4) | PRIVATE_4 | st.ip_addresses(v=6) | st.ip_addresses(v=6, network="2000::/3"))
@settings(max_examples=1000, deadline=None)
def test_property_what_python_takes_for_private_is_never_connected_to(
    address: IPv4Address | IPv6Address,
) -> None:
    trap = Trap(Listener(1), Names({"news.example": [[str(address)]]}))
    with pytest.raises(Exception) as caught:
        trap.fetch("http://news.example/")
    embedded = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if not address.is_global or address.is_multicast or address.is_reserved or embedded:
        # The one exception is stated: NAT64's own prefix, for a public address inside.
        nat64 = address.version == 6 and ip_address(int(address) & 0xFFFFFFFF).is_global
        if not (nat64 and str(address).startswith("64:ff9b::")):
            assert isinstance(caught.value, Forbidden) and trap.dialer.asked == []
