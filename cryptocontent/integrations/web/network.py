"""Where connections may lead: the network below the HTTP client, which resolves a name once, checks every
address that it has, and connects to one of those and to no other. TLS above it still verifies the name.

The package httpx-secure was looked at: it is for asynchronous clients only, and rewrites requests above the
client; here nothing lies between the check and the connection.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from queue import Empty, SimpleQueue

import httpcore

from cryptocontent.errors import Refused
from cryptocontent.integrations.web.addresses import ip_of, parse

Resolver = Callable[[str, int], Sequence[str]]
"""Host and port -> its IP addresses as text; `OSError` if it has none."""
_MOST_TRIED = 4
_CONNECT_SECONDS = 5.0

# IANA's special-purpose registry: whatever is not reachable from everywhere. Two more: Azure answers its
# virtual machines at a public address (168.63.129.16), and the relays of 6to4 (192.88.99.0/24) are history.
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32"),
            *("169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
# The rest of IPv6 (loopback, mapped and compatible IPv4, unique local, link-local, site-local, multicast) is
# outside of what is assigned to the public.
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_NAT64 = IPv6Network("64:ff9b::/96")
# Names that mean something inside a network only.
_INSIDE = frozenset({"localhost", "localdomain", "local", "internal", "intranet", "lan", "corp", "home"})
_INSIDE_2 = frozenset({"home.arpa"})
# The Fetch Standard's bad ports above 1023: services that a request of the web must not talk to.
_BAD_PORTS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080}
)


class Forbidden(Refused):
    """The address leads, or may lead, to a network that is not public. Nothing was sent."""


def private_hosts(entries: Iterable[str]) -> frozenset[tuple[str, int]]:
    """The exceptions of `WEB_PRIVATE_HOSTS`: hosts with their ports. `Refused` names an entry that is not
    `host:port`."""
    found = set()
    for entry in entries:
        try:
            address = parse(f"http://{entry}/")
        except Refused:
            address = None
        if address is None or address.target != "/" or not entry.endswith(f":{address.port}"):
            raise Refused(f"WEB_PRIVATE_HOSTS: {entry!r} is not host:port, such as intranet.example:8080")
        found.add((address.host, address.port))
    return frozenset(found)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether everybody can reach the address: one that only this machine, its network or its cloud knows
    is not public, nor is one that carries such an address inside."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address in _NAT64:  # how an IPv6-only network reaches the rest
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def resolve(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(answer[4][0]) for answer in answers]


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects to public addresses, and to the listed private hosts, until `deadline` (of `time.monotonic`).
    `network` makes the connections; it is given IP addresses only."""

    def __init__(
        self,
        private: frozenset[tuple[str, int]],
        deadline: float,
        resolver: Resolver = resolve,
        network: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._private, self._deadline, self._resolver = private, deadline, resolver
        self._network = network or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """`Forbidden`, before anything is sent, unless every address of the host is public."""
        failure: Exception | None = None
        for address in self._permitted(host, port)[:_MOST_TRIED]:
            seconds = min(_left(self._deadline), _CONNECT_SECONDS)
            try:
                stream = self._network.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Timed(stream, self._deadline)
        raise failure or httpcore.ConnectError(f"{host} has no address")

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Never."""
        raise Forbidden("sockets of this machine are not fetched from")

    def _permitted(self, host: str, port: int) -> list[str]:
        listed = (host, port) in self._private
        if not listed:
            _check_name(host, port)
        literal = ip_of(host)
        answers = [str(literal)] if literal else self._resolved(host, port)
        # As `ip_address` reads it, not as it was written: what is checked is what is connected to.
        addresses = [ip_address(answer) for answer in dict.fromkeys(answers)]
        private = [str(address) for address in addresses if not is_public(address)]
        if private and not listed:
            what = host if literal else f"{host} leads to {private[0]}, which"
            raise Forbidden(f"{what} is not a public address; WEB_PRIVATE_HOSTS lists the exceptions")
        return [str(address) for address in addresses]

    def _resolved(self, host: str, port: int) -> Sequence[str]:
        """In a thread of its own: the system's resolver knows no time limit."""
        answers: SimpleQueue[Sequence[str] | Exception] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolver(host, port))
            except Exception as error:  # handed to the thread that waits
                answers.put(error)

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        try:
            answer = answers.get(timeout=_left(self._deadline))
        except Empty:
            raise httpcore.ConnectTimeout(f"{host}: its address was not found in time") from None
        if isinstance(answer, OSError | UnicodeError):
            raise httpcore.ConnectError(f"{host}: its address can't be found") from answer
        if isinstance(answer, Exception):
            raise answer
        return answer


def _check_name(host: str, port: int) -> None:
    if not (port in (80, 443) or (port > 1023 and port not in _BAD_PORTS)):
        # Below 1024 other services listen: a request to a mail server is not a visit to a page.
        raise Forbidden(f"{host}: port {port} is not one of the web (80, 443, and most above 1023)")
    if ip_of(host):
        return
    labels = host.split(".")
    if len(labels) == 1 or labels[-1] in _INSIDE or ".".join(labels[-2:]) in _INSIDE_2:
        raise Forbidden(f"{host} is a name of a private network; WEB_PRIVATE_HOSTS lists the exceptions")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("it took too long in all")
    return left


class _Timed(httpcore.NetworkStream):
    """A connection that ends in time: a server that sends a byte now and then stays below every limit of
    one read, not below this one."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def _seconds(self, timeout: float | None) -> float:
        left = _left(self._deadline)
        return left if timeout is None else min(left, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._seconds(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._seconds(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: object, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._seconds(timeout))  # type: ignore[arg-type]
        return _Timed(stream, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
