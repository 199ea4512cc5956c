"""From an address to a document: which address a page has for good, what its licence is, which of its links
lead where. Text, title, author and date are found by the loaders.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cryptocontent.content.checks.hosts import host_of, is_address
from cryptocontent.errors import Refused
from cryptocontent.integrations.web import Address, Fetched, Seen, parse, private_hosts
from cryptocontent.knowledge.loaders import IMPORT_VERSION, UnreadableDocument
from cryptocontent.knowledge.loaders.document import SourceFile, decode
from cryptocontent.knowledge.sources.configs import MOST_ID
from cryptocontent.knowledge.sources.seam import (
    Content,
    Document,
    Gone,
    Ignored,
    Item,
    Look,
    Unavailable,
    Unchanged,
)
from cryptocontent.knowledge.sources.visits import Visitor
from cryptocontent.settings import Settings

SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".xhtml",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
}
"""Media types that a reference is made of -> the suffix of their loader."""
_MOST_HTML = 5_000_000  # extraction takes a second or more for each of them
_MOST_LINKED_DATA = 200_000
_FETCH_SECONDS, _FETCH_PATIENCE = 30.0, 60.0
_RIGHTS = ("dcterms.license", "dc.license", "dcterms.rights", "dc.rights", "dc.rights.license")
_KEPT = ("url", "etag", "last_modified", "digest", "made_by")


class PageKind:
    """What the kinds that lead to pages have in common. One page is one reference, whichever finds it."""

    references = "web"
    workers = 1  # one host at a time, and that slowly: sources on the web are mostly one site each

    def off(self, settings: Settings) -> str:
        """Nothing has to be set; what is set has to be right."""
        try:
            private_hosts(settings.web_private_hosts)
        except Refused as error:
            return str(error)
        return ""

    def fetcher(self, look: Look) -> Callable[[Item], Content]:
        """Fetches the page of an item: its `link`, or the address that is its id."""
        visitor = Visitor(
            look.settings, delay=look.config["delay"], patience=_FETCH_PATIENCE, seconds=_FETCH_SECONDS
        )
        read = partial(read_page, visitor, look.config["licence"], look.settings.max_document_bytes)

        def fetch(item: Item) -> Content:
            content = read(item.details.get("link") or item.external_id, item.details)
            if isinstance(content, Ignored):
                # Its reference is withdrawn: the next answer has to bring it whole, not as unchanged.
                rest = {name: value for name, value in item.details.items() if name not in _KEPT}
                return replace(content, details=rest)
            return content

        return fetch


def read_page(
    visitor: Visitor, licence: str, max_bytes: int, url: str, details: Mapping[str, Any]
) -> Content:
    """The page at an address as a document whose external id and `url` are the address that it was read from.

    A page that names another canonical address on its own site is read from there, so that a reference never
    claims an address that says something else. `details` are the item's: with them the request is
    conditional, and an unchanged answer is noticed."""
    current = details.get("made_by") == IMPORT_VERSION
    seen = Seen(details["url"], details["etag"], details["last_modified"]) if current else None
    visit = partial(visitor.visit, accept=tuple(SUFFIXES), max_bytes=max_bytes, seen=seen)
    answer = visit(url)
    if not isinstance(answer, Fetched):
        return answer
    if answer.status == 304:
        return Unchanged()
    page = _Read(answer)
    if page.canonical:
        other = _visit_canonical(visit, page.canonical)
        if other is not None and other.status == 304:
            return Unchanged()
        if other is not None and not (named := _Read(other)).canonical:
            page = named
    answer = page.answer
    if len(answer.url) > MOST_ID:
        return Ignored(f"its address is longer than {MOST_ID:,} characters")
    digest = hashlib.sha256(answer.body).hexdigest()
    said = dict(
        zip(_KEPT, (answer.url, answer.etag, answer.last_modified, digest, IMPORT_VERSION), strict=True)
    )
    new_details = dict(details) | said
    if current and (details["url"], details["digest"]) == (answer.url, digest):
        return Unchanged(new_details)
    metadata = {"url": answer.url, "licence": licence or page.licence}
    return Document(page.name, page.data, metadata, new_details, external_id=answer.url)


def _visit_canonical(visit: Callable[[str], Fetched | Gone | Ignored], address: Address) -> Fetched | None:
    """The canonical page, if it is there: a site may name one that never was."""
    try:
        answer = visit(str(address))
    except Refused:
        return None
    except Unavailable as error:
        if error.seconds is not None:
            raise  # it is there, and asks for patience
        return None
    return answer if isinstance(answer, Fetched) else None


class _Read:
    """An answer, and what it says of itself if it is HTML. `canonical` is another address than its own."""

    def __init__(self, answer: Fetched) -> None:
        self.answer = answer
        self.name = file_name(answer)
        self.canonical: Address | None = None
        self.licence, self.data = "", answer.body
        if self.name.endswith((".html", ".xhtml")):
            self._read_html()

    def _read_html(self) -> None:
        answer, path = self.answer, Path(self.name)
        if len(answer.body) > _MOST_HTML:
            raise UnreadableDocument(path, f"it is larger than {_MOST_HTML:,} bytes, the limit for HTML")
        text = _declared(answer)
        if text is None:
            text = decode(SourceFile(path, path.parent, answer.body, _MOST_HTML), declared=True)
        html = read_html(text, answer.url)
        if html is None:
            raise UnreadableDocument(path, "it has no text")
        self.licence, self.data = html.licence, html.data
        self.canonical = _canonical(parse(answer.url), html.canonical)


def _declared(answer: Fetched) -> str | None:
    """The text, if the answer's header names its encoding and it is that: HTML's own declaration yields."""
    if not answer.charset:
        return None
    try:
        return answer.body.decode(answer.charset)
    except (LookupError, UnicodeError):
        return None


def _canonical(page: Address, named: str) -> Address | None:
    """The canonical address, where it is another one and may be believed. A site whose pages all name its
    front page has a mistake in its template."""
    try:
        address = parse(named, base=page) if named else page
    except Refused:
        return None
    if address == page or not same_site(address, page) or (address.target == "/" and page.target != "/"):
        return None
    return address


def same_site(one: Address, other: Address) -> bool:
    """Whether two addresses are under one registered domain; under one host, where none is registered."""
    if one.host == other.host:
        return True
    if is_address(one.host) or is_address(other.host):
        return False
    return host_of(one.host).domain == host_of(other.host).domain


def file_name(answer: Fetched) -> str:
    """A file name with the suffix of its format: the end of the path, or the host."""
    address = parse(answer.url)
    last = unquote(address.path.rstrip("/").rpartition("/")[2]) or address.host
    suffix = SUFFIXES[answer.media_type]
    stem, dot, end = last.rpartition(".")
    if suffix == ".txt" and dot and end.lower() in ("md", "markdown"):
        suffix = ".md"  # as repositories serve it
    if dot and len(end) <= 5 and address.path != "/":
        last = stem
    return re.sub(r"[^\w.-]+", "-", last)[:100].strip("-.") + suffix


@dataclass(frozen=True, slots=True)
class Html:
    """A page whose links and images are whole addresses, in UTF-8 with a mark that says so; and the canonical
    address and the licence that it names."""

    data: bytes
    canonical: str
    licence: str


def read_html(text: str, url: str) -> Html | None:
    """Read HTML that was at `url`; `None` if there is nothing in it."""
    import lxml.html
    from lxml.etree import ParserError

    # lxml refuses a text that declares its encoding.
    page = re.sub(r"\A\ufeff?\s*<\?xml[^>]*\?>", "", text)
    parser = lxml.html.HTMLParser(no_network=True, huge_tree=False)
    try:
        tree = lxml.html.document_fromstring(page, parser=parser)
    except (ParserError, ValueError):
        return None
    canonical = next(iter(tree.xpath(f"//link[{_rel('canonical')}]/@href")), "").strip()
    licence = _licence(tree)
    tree.make_links_absolute(url, handle_failures="ignore")
    data: bytes = lxml.html.tostring(tree, encoding="unicode").encode("utf-8-sig", "replace")
    return Html(data, canonical, " ".join(licence.split())[:200])


def _rel(value: str) -> str:
    return f"contains(concat(' ', normalize-space(@rel), ' '), ' {value} ')"


def _licence(tree: Any) -> str:
    for found in (
        tree.xpath(f"//link[{_rel('license')}]/@href"),
        tree.xpath(f"//a[{_rel('license')}]/@href"),
        _linked_licences(tree),
        tree.xpath("//*[@itemprop='license']/@href | //meta[@itemprop='license']/@content"),
        (
            meta.get("content", "")
            for name in _RIGHTS
            for meta in tree.xpath("//meta[@name]")
            if meta.get("name").lower() == name
        ),
    ):
        if licence := next((str(one).strip() for one in found if str(one).strip()), ""):
            return licence
    return ""


def _linked_licences(tree: Any) -> Iterator[str]:
    """schema.org's `license` of what the page's JSON-LD describes."""
    for script in tree.xpath("//script[@type='application/ld+json']/text()"):
        try:
            data = json.loads(script) if len(script) <= _MOST_LINKED_DATA else None
        except (ValueError, RecursionError):
            continue
        things = data if isinstance(data, list) else [data]
        for thing in [one for one in things if isinstance(one, dict)]:
            graph = thing.get("@graph")
            for one in [thing, *(graph if isinstance(graph, list) else [])]:
                licence = one.get("license") if isinstance(one, dict) else None
                if isinstance(licence, dict):
                    licence = licence.get("url") or licence.get("@id") or licence.get("name")
                if isinstance(licence, str):
                    yield licence
