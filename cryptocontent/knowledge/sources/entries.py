"""Reading feeds: RSS 0.9x to 2.0, RDF and Atom by feedparser, JSON Feed (jsonfeed.org, 1 and 1.1) by hand."""

import calendar
import codecs
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import urljoin

from cryptocontent.errors import Refused
from cryptocontent.integrations.web import Fetched, shown

FEED_TYPES = (
    *("application/rss+xml", "application/atom+xml", "application/rdf+xml", "application/feed+json"),
    # What many servers say of their feeds; whether it is one, reading it shows.
    *("application/xml", "text/xml", "application/json", "text/plain", "text/html", "application/xhtml+xml"),
)
_DECLARED = re.compile(r"\A\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)[\"']")
_XML_HEAD = re.compile(r"\A\s*<\?xml[^>]*\?>")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its prefix
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MOST_TAGS = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry. `id` is what the feed calls it for good, or its link. Times are ISO 8601, or empty."""

    id: str
    link: str = ""
    title: str = ""
    updated: str = ""
    published: str = ""
    author: str = ""
    html: str = field(default="", repr=False)
    text: str = field(default="", repr=False)
    tags: tuple[str, ...] = ()

    @property
    def revision(self) -> str:
        """Changes when the entry does: many feeds leave `updated` as it was."""
        said = [self.updated or self.published, self.link, self.title, self.html, self.text]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Entries:
    """A feed's entries in its own order; `hours` is how long it asks to be left alone, 0 if it does not."""

    entries: list[Entry]
    hours: float = 0.0


def read_feed(answer: Fetched) -> Entries:
    """The entries of a feed. `Refused` if it is none (naming those that a page links to), or declares
    entities, which no feed needs and which expand without end."""
    text = _text(answer)
    if text.lstrip().startswith("{"):
        return _read_json(text, answer.url)
    if re.search(r"<!ENTITY", text, re.IGNORECASE):
        raise Refused(f"the feed {shown(answer.url)} declares entities, which are not read")
    import feedparser

    # Bytes in memory: feedparser would take a text for an address or a file to open.
    data = BytesIO(_XML_HEAD.sub("", text).encode("utf-8", "replace"))
    headers = {"content-type": "application/xml; charset=utf-8", "content-location": answer.url}
    parsed = feedparser.parse(data, response_headers=headers)
    if not parsed.get("version"):
        raise Refused(f"{shown(answer.url)} is no feed{_alternates(text, answer.url)}")
    entries = [entry for one in parsed.entries if (entry := _entry(one, answer.url)).id]
    return Entries(entries, _hours(parsed.feed.get("ttl")))


def _text(answer: Fetched) -> str:
    """The feed as text: what is looked for in it is then what the parser sees, whatever its encoding was."""
    for mark, encoding in _MARKS:
        if answer.body.startswith(mark):
            return answer.body[len(mark) :].decode(encoding, "replace")
    if answer.body[:4] in (b"<\0?\0", b"{\0"):
        return answer.body.decode("utf-16-le", "replace")
    if answer.body[:4] == b"\0<\0?":
        return answer.body.decode("utf-16-be", "replace")
    declared = _DECLARED.match(answer.body[:200].decode("ascii", "replace"))
    for encoding in (answer.charset, declared[1] if declared else "", "utf-8"):
        try:
            if encoding:
                return answer.body.decode(encoding)
        except (LookupError, UnicodeError):
            continue
    return answer.body.decode("utf-8", "replace")


def _entry(one: dict[str, Any], base: str) -> Entry:
    link = _absolute(str(one.get("link") or ""), base)
    contents = [part for part in one.get("content") or () if part.get("value")]
    html = next((part["value"] for part in contents if part.get("type") != "text/plain"), "")
    plain = next((part["value"] for part in contents if part.get("type") == "text/plain"), "")
    if not html and not plain:
        summary = one.get("summary_detail") or {}
        value = str(one.get("summary") or "")
        html, plain = ("", value) if summary.get("type") == "text/plain" else (value, "")
    tags = tuple(str(tag["term"]) for tag in one.get("tags") or () if tag.get("term"))[:_MOST_TAGS]
    return Entry(
        id=str(one.get("id") or link).strip(),
        link=link,
        title=" ".join(str(one.get("title") or "").split()),
        updated=_moment(dict.get(one, "updated_parsed")),  # its own `get` takes one for the other, and warns
        published=_moment(dict.get(one, "published_parsed")),
        author=str(one.get("author") or ""),
        html=html,
        text=plain,
        tags=tags,
    )


def _absolute(link: str, base: str) -> str:
    try:
        return urljoin(base, link.strip()) if link.strip() else ""
    except ValueError:
        return link


def _moment(parsed: Any) -> str:
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC).isoformat() if parsed else ""
    except (ValueError, OverflowError, OSError):
        return ""


def _hours(ttl: Any) -> float:
    """RSS's `ttl`: minutes."""
    try:
        return max(0.0, float(ttl) / 60)
    except (TypeError, ValueError):
        return 0.0


def _read_json(text: str, base: str) -> Entries:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the feed {shown(base)} can't be read: {error}") from None
    if not str(data.get("version")).startswith("https://jsonfeed.org/version/"):
        raise Refused(f"{shown(base)} is JSON, but no JSON Feed")
    items = data.get("items")
    entries = []
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        link = _absolute(_string(item, "url") or _string(item, "external_url"), base)
        entry = Entry(
            id=_string(item, "id") or link,
            link=link,
            title=" ".join(_string(item, "title").split()),
            updated=_string(item, "date_modified"),
            published=_string(item, "date_published"),
            author=_json_author(item),
            html=_string(item, "content_html"),
            text=_string(item, "content_text"),
            tags=tuple(str(tag) for tag in _list(item, "tags") if isinstance(tag, str))[:_MOST_TAGS],
        )
        if entry.id:
            entries.append(entry)
    return Entries(entries)


def _json_author(item: Mapping[str, Any]) -> str:
    authors = _list(item, "authors") or [item.get("author")]  # version 1 has one
    names = [str(one["name"]) for one in authors if isinstance(one, dict) and one.get("name")]
    return ", ".join(names)


def _string(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _list(item: Mapping[str, Any], name: str) -> list[Any]:
    value = item.get(name)
    return value if isinstance(value, list) else []


def _alternates(text: str, url: str) -> str:
    """What feeds a page names, for the person who gave the page's address."""
    import lxml.html
    from lxml.etree import ParserError

    try:
        tree = lxml.html.document_fromstring(text)
    except (ParserError, ValueError):
        return ""
    links = [
        _absolute(link.get("href") or "", url)
        for link in tree.xpath("//link[@rel='alternate']")
        if link.get("type") in FEED_TYPES[:4]
    ]
    return f"; the page names: {', '.join(links[:5])}" if links else ""
