"""One GET, under limits: size (as sent and as decoded), time in all, redirects, media types.

httpcore is used, not httpx above it: it knows no cookies, no proxies of the environment, no credentials and
no redirects, and hands over the bytes as they were sent.
"""

import re
import ssl
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

import httpcore

from cryptocontent.errors import Explained, Refused
from cryptocontent.integrations.web.addresses import Address, parse, shown
from cryptocontent.integrations.web.network import GuardedNetwork, Resolver, private_hosts, resolve
from cryptocontent.settings import Settings

_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_SILENCE_SECONDS = 8.0
_LONGEST_PATIENCE = 7 * 86400.0
_MOST_VALIDATOR = 500
_TYPE = re.compile(r"\s*([\w!#$&^.+-]+/[\w!#$&^.+-]+)")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
Headers = Mapping[str, str]


class Unavailable(Explained, ConnectionError):
    """There was no answer, or only half of one. A later try may help."""


class Unfit(Refused):
    """What answers is nothing to be read: too large, of another media type, redirected without end."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was answered last, for a conditional request: it is sent to that address only."""

    url: str
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `url` is the address that gave it, after redirects; `body` is decoded, and empty unless the
    status is 200; `retry_after` are seconds."""

    status: int
    url: str
    media_type: str = ""
    charset: str = ""
    etag: str = ""
    last_modified: str = ""
    retry_after: float | None = None
    body: bytes = field(default=b"", repr=False)


class Web:
    """The guarded client. `resolver`, `network` and `tls` are for tests: the names, connections and trusted
    certificates of the system otherwise. `Refused` if `WEB_PRIVATE_HOSTS` is not in order."""

    def __init__(
        self,
        settings: Settings,
        *,
        resolver: Resolver = resolve,
        network: httpcore.NetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._private = private_hosts(settings.web_private_hosts)
        self._user_agent = settings.web_user_agent
        self._resolver, self._network, self._tls = resolver, network, tls

    def fetch(
        self,
        url: str,
        *,
        max_bytes: int,
        seconds: float,
        accept: Collection[str] | None = None,
        seen: Seen | None = None,
        before: Callable[[Address], None] = lambda address: None,
    ) -> Fetched:
        """GET an address, and what it redirects to. `accept` are the media types that may be read (`None`:
        any); `before` is called with every address ahead of its request, and may raise; the time that it
        takes does not count. `Refused` (`Forbidden`, `Unfit`), `Unavailable`."""
        address, deadline = parse(url), time.monotonic() + seconds
        for _ in range(_MOST_REDIRECTS + 1):
            begun = time.monotonic()
            before(address)
            deadline += time.monotonic() - begun
            with (
                _explained(address),
                self._answer(address, deadline, accept, seen) as (status, headers, sent),
            ):
                if status in _REDIRECTS and "location" in headers:
                    address = parse(headers["location"], base=address)
                    continue
                body = b""
                if status == 200:
                    _check_kind(address, headers, accept, max_bytes)
                    body = _decoded(address, headers.get("content-encoding", ""), sent, max_bytes)
                return _fetched(status, address, headers, body)
        raise Unfit(f"{shown(url)} redirects more than {_MOST_REDIRECTS} times")

    @contextmanager
    def _answer(
        self, address: Address, deadline: float, accept: Collection[str] | None, seen: Seen | None
    ) -> "Iterator[tuple[int, Headers, Iterator[bytes]]]":
        sent = {
            "Host": address.authority,
            "User-Agent": self._user_agent,
            "Accept": ", ".join(accept or ("*/*",)),
            "Accept-Encoding": "gzip, deflate",
            "Connection": "close",
        }
        if seen and seen.url == str(address):
            sent |= {"If-None-Match": seen.etag} if seen.etag else {}
            sent |= {"If-Modified-Since": seen.last_modified} if seen.last_modified else {}
        guarded = GuardedNetwork(self._private, deadline, self._resolver, self._network)
        tls = self._tls or _tls()
        # A pool of its own: a connection that is kept could outlive the answer that permitted it.
        with httpcore.ConnectionPool(
            ssl_context=tls, max_keepalive_connections=0, network_backend=guarded
        ) as pool:
            url = httpcore.URL(
                scheme=address.scheme, host=address.host, port=address.port, target=address.target
            )
            silence = dict.fromkeys(("connect", "read", "write", "pool"), _SILENCE_SECONDS)
            with pool.stream(
                "GET", url, headers=list(sent.items()), extensions={"timeout": silence}
            ) as response:
                yield response.status, _text(response.headers), response.iter_stream()


def _text(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """The first of each header. Addresses are UTF-8 where they are not ASCII."""
    found: dict[str, str] = {}
    for name, value in headers:
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        found.setdefault(name.decode("ascii", "replace").lower(), text)
    return found


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpcore.default_ssl_context()


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    """What goes wrong on the way, as errors for people."""
    name = shown(str(address))
    try:
        yield
    except httpcore.TimeoutException as error:
        raise Unavailable(f"{name} does not answer in time ({error or 'it went silent'})") from error
    except httpcore.NetworkError as error:
        raise Unavailable(f"{name} can't be reached: {error}") from error
    except httpcore.ProtocolError as error:
        raise Unavailable(f"{name} broke off, or does not speak HTTP: {error}") from error


def _check_kind(address: Address, headers: Headers, accept: Collection[str] | None, max_bytes: int) -> None:
    kind = _media_type(headers)
    if accept is not None and kind not in accept:
        raise Unfit(f"{shown(str(address))} is {kind or 'of no media type'}; read are {', '.join(accept)}")
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > max_bytes:
        raise _too_large(address, max_bytes)


def _too_large(address: Address, max_bytes: int) -> Unfit:
    return Unfit(f"{shown(str(address))} is larger than {max_bytes:,} bytes")


def _decoded(address: Address, encoding: str, sent: Iterator[bytes], max_bytes: int) -> bytes:
    """The whole body. Neither what is sent nor what it decodes to is ever much larger than `max_bytes`."""
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise Unfit(f"{shown(str(address))} is encoded as {encoding[:50]!r}, which was not asked for")
    data = bytearray()
    for some in sent:
        data += some
        if len(data) > max_bytes:
            raise _too_large(address, max_bytes)
    if encoding in ("", "identity"):
        return bytes(data)
    try:
        return inflated(bytes(data), max_bytes)
    except OverflowError:
        raise _too_large(address, max_bytes) from None
    except ValueError as error:
        raise Unavailable(f"{shown(str(address))}: its compressed answer is broken ({error})") from None


def inflated(data: bytes, max_bytes: int) -> bytes:
    """Decode gzip (of several members, too), zlib or bare deflate. `ValueError` if it is broken,
    `OverflowError` if it decodes to more than `max_bytes`."""
    found, rest = bytearray(), data
    wide = 47 if data[:2] == b"\x1f\x8b" or _is_zlib(data) else -15
    while rest:
        decoder = zlib.decompressobj(wide)
        try:
            found += decoder.decompress(rest, max_bytes + 1 - len(found))
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if len(found) > max_bytes:
            raise OverflowError(f"it decodes to more than {max_bytes:,} bytes")
        if not decoder.eof:
            raise ValueError("it ends too early")
        rest = decoder.unused_data
        if not rest.startswith(b"\x1f\x8b"):
            break  # padding, which gzip passes over as well
    return bytes(found)


def _is_zlib(data: bytes) -> bool:
    return len(data) > 1 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0


def _fetched(status: int, address: Address, headers: Headers, body: bytes) -> Fetched:
    charset = _CHARSET.search(headers.get("content-type", ""))
    return Fetched(
        status,
        str(address),
        _media_type(headers),
        charset[1].lower() if charset else "",
        _validator(headers, "etag"),
        _validator(headers, "last-modified"),
        _seconds(headers.get("retry-after", "")),
        body,
    )


def _media_type(headers: Headers) -> str:
    kind = _TYPE.match(headers.get("content-type", ""))
    return kind[1].lower() if kind else ""


def _validator(headers: Headers, name: str) -> str:
    value = headers.get(name, "")
    return value if len(value) <= _MOST_VALIDATOR and value.isascii() and value.isprintable() else ""


def _seconds(text: str) -> float | None:
    """`Retry-After`: seconds, or a date."""
    if text.strip().isdigit():
        seconds = float(text) if len(text) < 10 else _LONGEST_PATIENCE
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(1.0, seconds), _LONGEST_PATIENCE)
