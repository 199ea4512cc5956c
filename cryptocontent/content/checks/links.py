"""Links: none to a known scam, none to what only looks like a known name, none that hides where it leads.

The title, the body and the list of sources are looked at: all of it is published.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from cryptocontent.content.checks.hosts import (
    Host,
    host_of,
    is_address,
    known,
    lookalike,
    mixes_scripts,
    scripts,
    under,
)
from cryptocontent.content.checks.linked import Link, domains_in, links_of
from cryptocontent.content.checks.patterns import compiled
from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.findings import NewFinding

BLOCKED = Rule("link.blocked", "block", "A link to a domain on the block list.", waivable=False)
LOOKALIKE = Rule("link.lookalike", "block", "A link to a domain that only looks like a known one.")
PUNYCODE = Rule("link.punycode", "block", "A host that mixes scripts, so that it looks like another.")
IDN = Rule("link.idn", "warn", "A host in letters beyond ASCII: see that it is the one meant.")
TEXT_MISMATCH = Rule("link.text_mismatch", "block", "A link whose text is the address of another site.")
UNSAFE = Rule("link.unsafe", "block", "A link that no reader can follow safely: its scheme, host or form.")
SHORTENER = Rule("link.shortener", "warn", "A link through a shortener, which hides where it leads.")
RULES = (BLOCKED, LOOKALIKE, PUNYCODE, IDN, TEXT_MISMATCH, UNSAFE, SHORTENER)

_SCHEMES = frozenset({"http", "https", "mailto", "article", "image"})
_WEB = frozenset({"http", "https", "ftp", ""})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.I)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
# What is far more often a file's name or a word than a site: `web3.py`, `README.md`.
_FILES = frozenset({"md", "py", "rs", "sh", "so", "pl", "zip", "mov", "cc", "ps", "java", "lol", "cab", "ml"})
_VALID_LABEL = re.compile(r"[\w](?:[\w-]{0,61}[\w])?")


@dataclass(frozen=True, slots=True)
class _Target:
    """A link's target in its parts. `scheme` is empty for a relative one and for a domain without one."""

    url: str
    scheme: str
    host: str
    userinfo: bool
    path: str


def check(subject: Subject) -> Iterator[NewFinding]:
    """The findings of each link, in order."""
    for link in links_of(subject.markdown):
        target = _target(link)
        if isinstance(target, str):
            yield _found(UNSAFE, subject, link, target)
        elif not target.host:
            if problem := _unsafe(link, target):
                yield _found(UNSAFE, subject, link, problem)
        else:
            yield from _of_host(subject, link, target)


def _target(link: Link) -> _Target | str:
    """The target in its parts, or what is wrong with its form."""
    url = link.target.strip()
    bare_domain = link.kind in ("bare", "code") and "://" not in url
    try:
        parts = urlsplit(f"//{url}" if bare_domain else url.replace("\\", "/"))
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as error:
        return f"{link.target!r} is no valid URL: {error}"
    if parts.scheme.lower() == "mailto":
        host = parts.path.rpartition("@")[2]
    scheme = _SCHEME.match(_CONTROL.sub("", url))
    return _Target(
        url,
        scheme[1].lower() if scheme and not bare_domain else "",
        unquote(host),
        "@" in parts.netloc,
        parts.path + "?" + parts.query,
    )


def _unsafe(link: Link, target: _Target) -> str | None:
    """Why nobody should follow the link; None if its form is harmless."""
    shown = link.kind in ("link", "image")
    if (shown and target.scheme and target.scheme not in _SCHEMES) or target.scheme in (
        "javascript",
        "vbscript",
    ):
        return f"scheme {target.scheme!r} is none of {', '.join(sorted(_SCHEMES))}"
    if not shown and target.scheme not in _WEB:
        return None  # nothing makes a link of it
    if _CONTROL.search(target.url):
        return "a control character or invisible character stands in it"
    if "\\" in target.url:
        return "a backslash stands in it, which browsers take for a slash"
    if link.kind == "code":
        return None
    if target.scheme in ("http", "https", "ftp") and target.userinfo:
        return "what stands before @ is a user's name, not a site"
    if target.host and target.scheme != "mailto":
        if is_address(target.host):
            return f"{target.host!r} is an IP address and no site's name"
        if "%" in urlsplit(target.url.replace("\\", "/")).netloc:
            return "the host is written in percent codes"
        if not all(_VALID_LABEL.fullmatch(label) for label in target.host.strip(".").split(".")):
            return f"{target.host!r} is no valid host"
    if shown and target.url.startswith(("//", "/\\")):
        return "it leads to another site without saying how (//…)"
    return None


def _of_host(subject: Subject, link: Link, target: _Target) -> Iterator[NewFinding]:
    rules = subject.rules.links
    host = host_of(target.host)
    if link.kind in ("bare", "code") and "://" not in link.target and not _is_site(link, host):
        return
    if reason := _blocked(subject, host):
        yield _found(BLOCKED, subject, link, reason, domain=host.ascii)
        return
    if problem := _unsafe(link, target):
        yield _found(UNSAFE, subject, link, problem, domain=host.ascii)
        if is_address(target.host):
            return
    if meant := lookalike(host, known(rules)):
        yield _found(
            LOOKALIKE, subject, link, f"{host.name} looks like {meant}", domain=host.ascii, meant=meant
        )
    yield from _foreign_letters(subject, link, host)
    if domain := under(host.ascii, frozenset(rules.shorteners)):
        yield _found(SHORTENER, subject, link, f"{domain} hides where the link leads", domain=host.ascii)
    if shown := _mismatch(subject, link, target, host):
        yield _found(
            TEXT_MISMATCH,
            subject,
            link,
            f"the text says {shown}, the link leads to {host.domain}",
            domain=host.ascii,
        )


def _is_site(link: Link, host: Host) -> bool:
    """Whether a domain that only stands in the text is one, and not a file, a name in a program or two
    sentences without a space between them."""
    if link.target.lower().startswith("www."):
        return bool(host.suffix)
    end = link.target.split("/")[0].split(":")[0].rpartition(".")[2]
    return (
        link.kind == "bare"
        and bool(host.suffix)
        and (end == end.lower() or link.target == link.target.upper())
        and (host.suffix not in _FILES or "/" in link.target)
    )


def _blocked(subject: Subject, host: Host) -> str | None:
    rules = subject.rules.links
    if domain := under(host.ascii, frozenset(rules.block)):
        return f"{domain} is on the block list"
    if under(host.ascii, frozenset(rules.allow)):
        return None
    for pattern in compiled(rules.block_patterns):
        if pattern.search(host.ascii):
            return f"{host.ascii} has the form of a known scam ({pattern.pattern})"
    return None


def _foreign_letters(subject: Subject, link: Link, host: Host) -> Iterator[NewFinding]:
    if host.name.isascii():
        if "xn--" in host.name:
            yield _found(PUNYCODE, subject, link, f"{host.name} can't be decoded", domain=host.ascii)
        return
    mixed = [label for label in host.name.split(".") if not label.isascii() and mixes_scripts(label)]
    if mixed:
        names = ", ".join(sorted(scripts(mixed[0])))
        message = f"{host.name} ({host.ascii}) mixes scripts: {names}"
        yield _found(PUNYCODE, subject, link, message, domain=host.ascii)
    else:
        yield _found(IDN, subject, link, f"{host.name} is looked up as {host.ascii}", domain=host.ascii)


def _mismatch(subject: Subject, link: Link, target: _Target, host: Host) -> str | None:
    """The site that the link's text names, if it leads to another one."""
    if not link.text or target.scheme not in ("http", "https", "mailto"):
        return None
    allow = frozenset(subject.rules.links.allow)
    whole = re.sub(r"^\S+@", "", link.text.strip().strip("`*_<>"))
    for shown in domains_in(link.text):
        try:
            name = urlsplit(shown if "://" in shown else f"//{shown}").hostname or ""
        except ValueError:
            continue
        other = host_of(name)
        is_url = "://" in shown or shown.lower().startswith("www.")
        real = under(other.ascii, allow) is not None
        if not other.suffix or other.domain == host.domain or not (is_url or real or shown == whole):
            continue
        if other.suffix in _FILES and not is_url and not real:
            continue
        # An archive, an explorer or a repository has the name of what it shows in its path.
        if under(host.ascii, allow) and not is_url and name in target.path.lower():
            continue
        if under(host.ascii, allow) and is_url and other.domain in target.path.lower():
            continue
        return other.domain
    return None


def _found(rule: Rule, subject: Subject, link: Link, why: str, **evidence: str) -> NewFinding:
    return rule.span(subject, link.start, link.end, f"{link.target}: {why}", key=link.target, **evidence)
