"""Feeds as sources: RSS, Atom and JSON Feed. An entry is an item; what is imported is the page that it links
to, or its own content where the feed has the full text.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any

from cryptocontent.errors import Refused
from cryptocontent.integrations.web import Fetched, Seen, parse
from cryptocontent.knowledge.sources import configs
from cryptocontent.knowledge.sources.configs import MOST_ID, Field
from cryptocontent.knowledge.sources.entries import FEED_TYPES, Entry, read_feed
from cryptocontent.knowledge.sources.pages import PageKind, read_html
from cryptocontent.knowledge.sources.seam import (
    Content,
    Document,
    Found,
    Ignored,
    Item,
    Look,
    Page,
    Unavailable,
    Unchanged,
)
from cryptocontent.knowledge.sources.visits import Visitor
from cryptocontent.knowledge.sources.web import LOOK_PATIENCE, LOOK_SECONDS

_FEED_BYTES = 3_000_000  # the worst ones take 4 s a megabyte, and a sensor's tick waits
_LONGEST_TTL = 24.0  # hours
_FULL_TEXT = ("page", "feed")


def _full_text(value: Any) -> str:
    if value not in _FULL_TEXT:
        raise ValueError
    return str(value)


class Feed(PageKind):
    """A feed. Entries that it shows no more are not gone: a feed shows the newest only."""

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """`url`, `full_text`, `limit`, `licence`, `every_hours`, `delay`."""
        fields = {
            "url": Field(configs.address, "the address of an RSS, Atom or JSON feed"),
            "full_text": Field(
                _full_text, "page (fetch what entries link to) or feed (their content)", "page"
            ),
            "limit": Field(configs.whole(1, 500), "entries per look, the first ones, 1 to 500", 50),
        }
        return configs.checked(config, fields | configs.common(0.5))

    def discover(self, look: Look) -> Iterator[Page]:
        """One conditional request, one page."""
        if not configs.is_due(look):
            return
        try:
            page = _look(look)
        except (Unavailable, Refused) as error:
            known = {name: value for name, value in look.cursor.items() if name != "next_at"}
            yield Page(known | configs.failed(error))
            raise
        yield page

    def fetcher(self, look: Look) -> Callable[[Item], Content]:
        """Fetches the pages; or takes entries out of the feed, which is asked for once."""
        if look.config["full_text"] == "page":
            return PageKind.fetcher(self, look)
        shown_now: list[dict[str, Entry]] = []

        def fetch(item: Item) -> Content:
            if not shown_now:
                answer = _ask(look, None)
                entries = read_feed(answer).entries
                shown_now.append({_item_id(entry): entry for entry in entries})
            entry = shown_now[0].get(item.external_id)
            if entry is None:
                return Unchanged() if item.imported_revision else Ignored("the feed shows it no more")
            return _document(entry, look.config)

        return fetch


def _look(look: Look) -> Page:
    config, cursor = look.config, look.cursor
    seen = None
    if cursor.get("url") and not look.full:
        seen = Seen(cursor["url"], cursor["etag"], cursor["last_modified"])
    answer = _ask(look, seen)
    if answer.status == 304:
        return Page(_kept(cursor) | configs.after(max(config["every_hours"], cursor.get("ttl", 0.0))))
    digest = hashlib.sha256(answer.body).hexdigest()
    found: list[Found] = []
    ttl = cursor.get("ttl", 0.0)
    if look.full or digest != cursor.get("digest"):
        feed = read_feed(answer)
        ttl = min(feed.hours, _LONGEST_TTL)
        known = look.known()
        found = [_found(entry, config, known) for entry in feed.entries[: config["limit"]]]
    said = {"url": answer.url, "etag": answer.etag, "last_modified": answer.last_modified}
    after = configs.after(max(config["every_hours"], ttl))
    return Page(said | {"digest": digest, "ttl": ttl} | after, found)


def _kept(cursor: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cursor.items() if name not in ("error", "next_at")}


def _ask(look: Look, seen: Seen | None) -> Fetched:
    visitor = Visitor(look.settings, delay=look.config["delay"], patience=LOOK_PATIENCE, seconds=LOOK_SECONDS)
    answer = visitor.visit(look.config["url"], accept=FEED_TYPES, max_bytes=_FEED_BYTES, seen=seen)
    if not isinstance(answer, Fetched):
        raise Refused(answer.reason)
    return answer


def _item_id(entry: Entry) -> str:
    """An entry's id; of a very long one its digest."""
    return entry.id if len(entry.id) <= MOST_ID else hashlib.sha256(entry.id.encode()).hexdigest()


def _found(entry: Entry, config: Mapping[str, Any], known: Mapping[str, dict[str, Any]]) -> Found:
    external_id = _item_id(entry)
    name, details, ignored = entry.title or entry.link or entry.id, dict(known.get(external_id, {})), ""
    if config["full_text"] == "page":
        try:
            details["link"] = str(parse(entry.link)) if entry.link else ""
            ignored = "" if entry.link else "it has no link"
        except Refused as error:
            details["link"], ignored = "", str(error)
    return Found(external_id, name, entry.revision, details, ignored)


def _document(entry: Entry, config: Mapping[str, Any]) -> Content:
    """An entry's own content. Its id is the feed's, so that it never takes the place of the page itself."""
    link = entry.link or config["url"]
    if entry.html:
        head = f"<head><title>{escape(entry.title)}</title></head>"
        page = read_html(f"<html>{head}<body><article>{entry.html}</article></body></html>", link)
        data, suffix = (page.data if page else b""), ".html"
    else:
        data, suffix = entry.text.encode("utf-8-sig", "replace"), ".txt"
    if not (entry.html or entry.text).strip() or not data:
        return Ignored("the feed has no text of it: full_text=page fetches the page")
    metadata = {
        "title": entry.title,
        "url": link,
        "author": entry.author,
        "date": entry.published or entry.updated,
        "tags": list(entry.tags),
        "licence": config["licence"],
    }
    external_id = f"{config['url']}#{entry.id}"
    if len(external_id) > MOST_ID:
        external_id = f"{config['url'][:900]}#{hashlib.sha256(entry.id.encode()).hexdigest()}"
    name = re.sub(r"[^\w.-]+", "-", entry.title)[:100].strip("-.") or "entry"
    return Document(f"{name}{suffix}", data, metadata, external_id=external_id)
