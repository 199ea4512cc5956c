"""Sources on the web: a list of pages, and the pages of a sitemap."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from io import BytesIO
from typing import Any

from cryptocontent.errors import Refused
from cryptocontent.integrations.web import Address, Fetched, Seen, parse, shown
from cryptocontent.integrations.web.fetching import inflated
from cryptocontent.knowledge.sources import configs
from cryptocontent.knowledge.sources.configs import MOST_ID, Field
from cryptocontent.knowledge.sources.pages import PageKind, same_site
from cryptocontent.knowledge.sources.seam import Found, Look, Page, Unavailable
from cryptocontent.knowledge.sources.visits import Visitor
from cryptocontent.storage.types import utc_now

LOOK_SECONDS, LOOK_PATIENCE = 12.0, 2.0
"""Of a request, and between two, while a sensor's tick waits: a look makes few of them."""
_SITEMAP_TYPES = ("application/xml", "text/xml", "text/plain", "application/gzip", "application/x-gzip")
_SITEMAP_BYTES = 52_428_800  # sitemaps.org: 50 MiB, and 50,000 addresses
_MOST_CHILDREN = 500


class WebPages(PageKind):
    """Pages by address. Each is looked at again after `every_hours`; what did not change costs a conditional
    request."""

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """`urls` (or `url`), `licence`, `every_hours`, `delay`."""
        given = dict(config)
        if "url" in given and "urls" not in given:
            given["urls"] = given.pop("url")
        fields = {"urls": Field(configs.addresses, "a list of 1 to 500 addresses of pages")}
        return configs.checked(given, fields | configs.common(24.0))

    def discover(self, look: Look) -> Iterator[Page]:
        """Nothing is asked: that the time has come is the pages' new revision."""
        if not configs.is_due(look):
            return
        known, now = look.known(), utc_now().isoformat()
        found = [Found(url, url, now, known.get(url, {})) for url in look.config["urls"]]
        yield Page(configs.after(look.config["every_hours"]), found)


class Sitemap(PageKind):
    """The pages of a sitemap, or of the sitemaps of an index; in XML or as plain lines, gzipped or not. A
    page's `lastmod` is its revision; one without is looked at again after `every_hours`, as the sitemap."""

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """`url`, `include`, `exclude`, `limit`, `licence`, `every_hours`, `delay`."""
        fields = {
            "url": Field(configs.address, "the address of a sitemap or of an index of sitemaps"),
            "include": Field(configs.patterns, 'patterns such as "/blog/*": only such pages', []),
            "exclude": Field(configs.patterns, 'patterns such as "/tag/*": no such pages', []),
            "limit": Field(configs.whole(1, 10_000), "pages at most, 1 to 10,000", 1000),
        }
        return configs.checked(config, fields | configs.common(24.0))

    def discover(self, look: Look) -> Iterator[Page]:
        """One page for each sitemap. The last one is whole, unless the limit or a sitemap that is missing
        left something out: then nothing is taken to be gone."""
        if not configs.is_due(look):
            return
        cursor = {name: value for name, value in look.cursor.items() if name not in ("error", "next_at")}
        if look.full or not cursor.get("todo"):
            cursor |= {"round": utc_now().isoformat(), "todo": [look.config["url"]], "top": True, "late": []}
            cursor |= {"count": 0, "partial": False}
        try:
            yield from _round(look, cursor)
        except (Unavailable, Refused) as error:
            yield Page(cursor | configs.failed(error))
            raise


def _round(look: Look, cursor: dict[str, Any]) -> Iterator[Page]:
    """Goes through the sitemaps that are to do; `cursor` tells how far it is."""
    config, known = look.config, look.known()
    visitor = Visitor(look.settings, delay=config["delay"], patience=LOOK_PATIENCE, seconds=LOOK_SECONDS)
    while cursor["todo"]:
        top = cursor["top"]
        listed = _top(look, visitor, cursor) if top else _child(look, visitor, cursor)
        if listed is None:
            yield Page(_kept(cursor) | configs.after(config["every_hours"]))
            return
        found = [
            Found(page, page, date or cursor["round"], known.get(page, {})) for page, date in listed.pages
        ]
        cursor["todo"] = cursor["todo"][1:] + (listed.children if top else [])
        cursor["count"] += len(found)
        cursor["partial"] = cursor["partial"] or listed.partial
        cursor["top"] = False
        if cursor["todo"] and cursor["count"] < config["limit"]:
            yield Page(dict(cursor), found, listing=cursor["round"])
            continue
        complete = not cursor["partial"] and not cursor["todo"]
        end = _kept(cursor) | configs.after(config["every_hours"])
        yield Page(end, found, listing=cursor["round"], whole=complete)
        return


def _top(look: Look, visitor: Visitor, cursor: dict[str, Any]) -> "_Listed | None":
    """The sitemap that is configured; `None` if it is unchanged. What it answers stands in the cursor."""
    config, seen = look.config, None
    if cursor.get("dated") and not look.full:
        seen = Seen(cursor["url"], cursor["etag"], cursor["last_modified"])
    answer = visitor.visit(config["url"], accept=_SITEMAP_TYPES, max_bytes=_SITEMAP_BYTES, seen=seen)
    if not isinstance(answer, Fetched):
        raise Refused(answer.reason)
    if answer.status == 304:
        return None
    listed = _read_sitemap(answer, config, config["limit"])
    cursor |= {"url": answer.url, "etag": answer.etag, "last_modified": answer.last_modified}
    # Pages without a date, and those of further sitemaps, are looked at though this one did not change.
    cursor["dated"] = bool(listed.pages) and not listed.children and all(date for _, date in listed.pages)
    return listed


def _child(look: Look, visitor: Visitor, cursor: dict[str, Any]) -> "_Listed":
    """A sitemap of the index. One that is silent is put off once; one that can't be read is left out."""
    url = cursor["todo"][0]
    try:
        answer = visitor.visit(url, accept=_SITEMAP_TYPES, max_bytes=_SITEMAP_BYTES)
        if not isinstance(answer, Fetched):
            return _Listed(partial=True)
        return _read_sitemap(answer, look.config, look.config["limit"] - cursor["count"])
    except Refused:
        return _Listed(partial=True)
    except Unavailable:
        if url in cursor["late"]:
            return _Listed(partial=True)
        cursor["late"] = [*cursor["late"], url]
        cursor["todo"] = [*cursor["todo"][1:], url]
        raise


def _kept(cursor: Mapping[str, Any]) -> dict[str, Any]:
    return {name: cursor[name] for name in ("url", "etag", "last_modified", "dated") if name in cursor}


class _Listed:
    """What a sitemap lists: pages with their `lastmod`, further sitemaps; `partial` if more than that."""

    def __init__(self, *, partial: bool = False) -> None:
        self.pages: list[tuple[str, str]] = []
        self.children: list[str] = []
        self.partial = partial


def _read_sitemap(answer: Fetched, config: Mapping[str, Any], most: int) -> _Listed:
    """At most so many pages of a sitemap. Addresses of other sites, and those that can't be fetched, are
    passed over: a sitemap speaks for its own site. `Refused` if it is none."""
    data, listed, site = answer.body, _Listed(), parse(answer.url)
    try:
        if data.startswith(b"\x1f\x8b"):
            data = inflated(data, _SITEMAP_BYTES)
        for kind, location, date in _entries(data, answer.media_type):
            address = _of_site(location, site)
            if address is None:
                continue
            if kind == "sitemap":
                if len(listed.children) < _MOST_CHILDREN:
                    listed.children.append(str(address))
                else:
                    listed.partial = True
            elif _wanted(address, config):
                if len(listed.pages) >= most:
                    listed.partial = True
                    break
                listed.pages.append((str(address), date[:200]))
    except (ValueError, OverflowError, SyntaxError) as error:  # of zlib, defusedxml and expat
        raise Refused(f"the sitemap {shown(answer.url)} can't be read: {_said(error)}") from None
    return listed


def _said(error: Exception) -> str:
    if type(error).__module__.startswith("defusedxml"):
        return "it declares a document type, which no sitemap needs"
    return " ".join(str(error).split())[:200]


def _of_site(location: str, site: Address) -> Address | None:
    try:
        address = parse(location.strip())
    except Refused:
        return None
    return address if same_site(address, site) and len(str(address)) <= MOST_ID else None


def _wanted(address: Address, config: Mapping[str, Any]) -> bool:
    def matches(pattern: str) -> bool:
        return fnmatchcase(address.target if pattern.startswith("/") else str(address), pattern)

    included = not config["include"] or any(map(matches, config["include"]))
    return included and not any(map(matches, config["exclude"]))


def _entries(data: bytes, media_type: str) -> Iterator[tuple[str, str, str]]:
    """`url` or `sitemap`, its address, its date. `SyntaxError` if it is no XML, `ValueError` if it has a
    document type (with entities that expand for ever, or read files) or is no sitemap."""
    if media_type == "text/plain" and b"<" not in data[:200]:
        for line in data.decode("utf-8-sig", "replace").splitlines():
            if line.strip():
                yield "url", line, ""
        return
    from defusedxml.ElementTree import iterparse

    root = None
    for event, element in iterparse(BytesIO(data), events=("start", "end"), forbid_dtd=True):
        name = element.tag.rpartition("}")[2]
        if root is None:
            root = element
            if name not in ("urlset", "sitemapindex"):
                raise ValueError(f"it is <{name[:50]}>, not <urlset> or <sitemapindex>")
        if event == "end" and name in ("url", "sitemap"):
            # Image and video extensions have elements of the same names in namespaces of their own.
            own = element.tag.removesuffix(name)
            yield name, element.findtext(f"{own}loc") or "", (element.findtext(f"{own}lastmod") or "").strip()
            root.clear()
