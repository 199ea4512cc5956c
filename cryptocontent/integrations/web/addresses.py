"""Addresses of the web, read strictly and once: the parts that were checked here are the parts that are used
for the connection, so that no second parser may understand an address in another way.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote, urljoin, urlsplit

from cryptocontent.errors import Refused

MOST_CHARACTERS = 2000
_PORTS = {"http": 80, "https": 443}
# Parsers disagree on all of these: some drop them, some end the host there.
_MISREAD = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# WHATWG URL, "ends in a number": such a host is an IPv4 address in one of its many forms, or nothing.
_NUMBER = re.compile(r"(?:\d+|0x[0-9a-f]*)")
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_QUERY_SAFE = _PATH_SAFE + "?[]"


@dataclass(frozen=True, slots=True)
class Address:
    """An `http` or `https` address in its one canonical form (`str` of it). `host` is an IP address or a name
    in lower-case ASCII, without brackets or a dot at its end; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """Scheme, host and, if it is not the scheme's own, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")

    @property
    def authority(self) -> str:
        """The `Host` header."""
        return self.origin.partition("://")[2]

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        return self.origin + self.target


def parse(text: str, base: Address | None = None) -> Address:
    """Read an address, relative to `base` if there is one; its fragment is dropped. `Refused` where it is no
    plain address of the web: another scheme, credentials, an IP address in an unusual form, characters that
    programs read in different ways."""
    stripped = text.strip(" ")
    if not stripped or len(stripped) > MOST_CHARACTERS:
        raise _refused(text, f"an address has 1 to {MOST_CHARACTERS:,} characters")
    if _MISREAD.search(stripped):
        raise _refused(text, "backslashes, tabs, line breaks and control characters are not allowed")
    try:
        parts = urlsplit(urljoin(str(base), stripped) if base else stripped)
        port, userinfo, name = parts.port, "@" in parts.netloc, parts.hostname or ""
        if parts.scheme not in _PORTS:
            raise _refused(text, "only http and https are allowed")
        if userinfo:
            raise _refused(text, "a user name or password in an address is not allowed")
        host = _host(name, bracketed=parts.netloc.startswith("["))
        target = _without_dots(quote(parts.path, safe=_PATH_SAFE) or "/")
        if parts.query:
            target += "?" + quote(parts.query, safe=_QUERY_SAFE)
    except Refused:
        raise
    except _Malformed as error:
        raise _refused(text, str(error)) from None
    except (ValueError, UnicodeError):  # of urllib and idna, whose messages may repeat a password
        raise _refused(text, "it is not a valid address") from None
    if port == 0:
        raise _refused(text, "port 0 is not allowed")
    address = Address(parts.scheme, host, port or _PORTS[parts.scheme], target)
    if len(str(address)) > MOST_CHARACTERS:
        raise _refused(text, f"an address has 1 to {MOST_CHARACTERS:,} characters")
    return address


def ip_of(host: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a host of an `Address` is, if it is one."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def shown(text: str) -> str:
    """An address for messages: without its query, which may hold a secret."""
    path, question, _ = text.partition("#")[0].partition("?")
    shortened = path if len(path) <= 200 else path[:200] + "…"
    return repr(shortened + ("?…" if question else ""))


class _Malformed(ValueError):
    pass


def _refused(text: str, reason: str) -> Refused:
    # What ends in @ may be a password, slashes in it included.
    return Refused(f"address {shown(re.sub(r'^.*@', '…@', text, flags=re.DOTALL))}: {reason}")


def _host(name: str, *, bracketed: bool) -> str:
    if bracketed:
        if "%" in name:
            raise _Malformed("an IPv6 address with a zone is not allowed")
        return IPv6Address(name).compressed
    if not name.isascii():
        import idna

        # Full-width digits, circled letters and ideographic full stops become what browsers make of them.
        mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
        name = idna.encode(mapped).decode("ascii") if not mapped.isascii() else mapped
    labels = name.lower().removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # Hexadecimal, octal, short and single-number forms mean different hosts to different programs.
        try:
            return str(IPv4Address(".".join(labels)))
        except ValueError:
            raise _Malformed("an IPv4 address is written as four decimal numbers") from None
    host = ".".join(labels)
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise _Malformed("its host is not a valid name")
    return host


def _without_dots(path: str) -> str:
    """The path without `.` and `..`: what robots.txt says is said of such paths."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments, 1):
        plain = re.sub(r"%2e", ".", segment, flags=re.IGNORECASE)
        if plain not in (".", ".."):
            kept.append(segment)
            continue
        if plain == ".." and kept:
            kept.pop()
        if number == len(segments):
            kept.append("")
    return "/" + "/".join(kept)
