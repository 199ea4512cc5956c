"""Feeds of all that a project has published: RSS 2.0, Atom 1.0 and a sitemap, as files in a folder.

Every delivery and withdrawal writes them anew from what is published at that moment. The same articles give
the same bytes, so that a file whose content is right is left alone.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from cryptocontent.errors import Refused
from cryptocontent.publishing.fragments import Fragment
from cryptocontent.publishing.targets.folders import DEFAULT, alone_in, folder_of, folder_problem
from cryptocontent.publishing.targets.seam import Delivered, Listed, Parcel
from cryptocontent.settings import Settings
from cryptocontent.storage.atomic import write_if_changed

URLS_PER_SITEMAP = 50_000
"""https://www.sitemaps.org/protocol.html"""

_DEFAULTS: dict[str, Any] = {
    "site_url": "",
    "title": "",
    "description": "",
    "folder": DEFAULT,
    "feed_url": "",
    "images_url": "",
    "content": "full",
    "language": "en",
    "limit": 50,
}
_ADDRESSES = ("site_url", "feed_url", "images_url")
_MOST = 1000
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
# What XML 1.0 can't hold, in any notation.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
_DAWN = datetime(1970, 1, 1, tzinfo=UTC)


class Feeds:
    """Publishing as feeds and a sitemap."""

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        problems = [
            f"{name}: not known (allowed: {', '.join(_DEFAULTS)})" for name in config.keys() - _DEFAULTS
        ]
        full = _DEFAULTS | {name: value for name, value in config.items() if value not in (None, "")}
        for name in ("title", "description", "site_url", "feed_url", "images_url", "language"):
            full[name] = str(full[name]).strip()
        if not full["title"]:
            problems.append("title: '' is no name of the feeds")
        for name in _ADDRESSES:
            if (full[name] or name == "site_url") and not _is_address(full[name].replace("{slug}", "x")):
                problems.append(f"{name}: {full[name]!r} is no address such as https://example.com/articles/")
        if "{slug}" not in full["site_url"]:
            problems.append(
                f"site_url: {full['site_url']!r} has no {{slug}}: articles need different addresses"
            )
        if full["content"] not in ("full", "summary"):
            problems.append(f"content: {full['content']!r} is not full or summary")
        if not _LANGUAGE.fullmatch(full["language"]):
            problems.append(f"language: {full['language']!r} is no language tag such as en or de-AT")
        if not str(full["limit"]).isdigit() or not 1 <= int(full["limit"]) <= _MOST:
            problems.append(f"limit: {full['limit']!r} is no number of articles from 1 to {_MOST}")
        if problem := folder_problem(full["folder"]):
            problems.append(problem)
        if problems:
            raise Refused("; ".join(problems))
        root = "{0.scheme}://{0.netloc}/".format(urlsplit(full["site_url"]))
        full["feed_url"] = (full["feed_url"] or root).rstrip("/") + "/"
        return full | {"limit": int(full["limit"])}

    def off(self, settings: Settings) -> str:
        return ""

    def deliver(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        return _write(settings, config, parcel)

    def withdraw(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        return _write(settings, config, parcel)

    def follow(self, settings: Settings, config: Mapping[str, Any], delivered: Delivered) -> Delivered | None:
        return None


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"[\s<>\"\\{}]", text)


def _write(settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
    folder = folder_of(settings, parcel.project_id, config["folder"])
    with alone_in(folder):
        # Listed while nobody else writes: who comes later knows at least as much.
        articles = parcel.listed()
        newest = articles[: config["limit"]]
        texts = [_text(config, one) for one in newest] if config["content"] == "full" else []
        project = parcel.project_id
        files = {
            "rss.xml": rss(config, project, newest, texts),
            "atom.xml": atom(config, project, newest, texts),
            **sitemaps(config, articles),
        }
        for name, data in files.items():
            write_if_changed(folder / name, data)
        _remove_others(folder, files)
    shown = any(one.article_id == parcel.article_id for one in articles)
    url = _address(config, str(parcel.rendered.article["slug"])) if shown else ""
    details = {"articles": len(articles), "files": sorted(files)}
    return Delivered(_guid(parcel.article_id), url, details)


def _remove_others(folder: Path, files: Mapping[str, bytes]) -> None:
    for path in folder.glob("sitemap-*.xml"):
        if path.name not in files and re.fullmatch(r"sitemap-\d+\.xml", path.name):
            path.unlink()


def _address(config: Mapping[str, Any], slug: str) -> str:
    return str(config["site_url"]).replace("{slug}", slug)


def _guid(article_id: str) -> str:
    """An article's identity, whatever its address: a URN, since Atom asks for an IRI."""
    return f"urn:cryptocontent:article:{article_id}"


def _plain(text: str) -> str:
    return " ".join(_NOT_XML.sub("", text).split())


def _text(config: Mapping[str, Any], article: Listed) -> str:
    """The whole text, all its addresses made absolute."""
    address = _address(config, article.slug)
    images = config["images_url"].rstrip("/") + "/" if config["images_url"] else urljoin(address, "images/")
    links: Callable[[str], str] = lambda link: urljoin(address, link)  # noqa: E731
    return _NOT_XML.sub("", Fragment(article.html()).html(lambda name: images + name, links))


def rss(config: Mapping[str, Any], project: str, articles: list[Listed], texts: list[str]) -> bytes:
    """RSS 2.0 with the whole texts as `content:encoded`."""
    from feedgenerator import Rss201rev2Feed

    class Rss(Rss201rev2Feed):  # type: ignore[misc]
        """As the package writes it, with whole texts and, where there is nothing yet, a fixed date."""

        def rss_attributes(self) -> dict[str, str]:
            content = {"xmlns:content": "http://purl.org/rss/1.0/modules/content/"}
            return {**super().rss_attributes(), **content}

        def add_item_elements(self, handler: Any, item: Mapping[str, Any]) -> None:
            super().add_item_elements(handler, item)
            if item["content"]:
                handler.addQuickElement("content:encoded", item["content"])

        def latest_post_date(self) -> datetime:
            found: datetime = super().latest_post_date() if self.items else _DAWN
            return found

    return _feed(Rss, "rss.xml", config, project, articles, texts)


def atom(config: Mapping[str, Any], project: str, articles: list[Listed], texts: list[str]) -> bytes:
    """Atom 1.0 (RFC 4287) with the whole texts as `content`."""
    from feedgenerator import Atom1Feed

    class Atom(Atom1Feed):  # type: ignore[misc]
        """As the package writes it; where there is nothing yet, with a fixed date."""

        def latest_post_date(self) -> datetime:
            found: datetime = super().latest_post_date() if self.items else _DAWN
            return found

    return _feed(Atom, "atom.xml", config, project, articles, texts)


def _feed(
    kind: Any,
    file: str,
    config: Mapping[str, Any],
    project: str,
    articles: list[Listed],
    texts: list[str],
) -> bytes:
    title = _plain(config["title"])
    feed = kind(
        title=title,
        link="{0.scheme}://{0.netloc}/".format(urlsplit(config["site_url"])),
        description=_plain(config["description"]) or title,
        subtitle=_plain(config["description"]),
        language=config["language"],
        author_name=title,
        feed_url=urljoin(config["feed_url"], file),
        feed_guid=f"urn:cryptocontent:project:{project}",
    )
    for number, article in enumerate(articles):
        feed.add_item(
            title=_plain(article.title),
            link=_address(config, article.slug),
            description=escape(_plain(article.description), quote=False),  # HTML, by both formats
            unique_id=_guid(article.article_id),
            unique_id_is_permalink=False,
            pubdate=article.published_at.astimezone(UTC).replace(microsecond=0),
            updateddate=article.updated_at.astimezone(UTC).replace(microsecond=0),
            categories=[_plain(one) for one in article.keywords if _plain(one)],
            content=texts[number] if texts else None,
        )
    return str(feed.writeString("utf-8")).encode()


def sitemaps(
    config: Mapping[str, Any], articles: list[Listed], most: int = URLS_PER_SITEMAP
) -> dict[str, bytes]:
    """`sitemap.xml`; with more addresses than one may hold an index of `sitemap-1.xml` and so on, the oldest
    articles first, so that full ones change no more."""
    entries = [
        (_address(config, one.slug), one.updated_at)
        for one in sorted(articles, key=lambda one: (one.published_at, one.article_id))
    ]
    if len(entries) <= most:
        return {"sitemap.xml": _sitemap("urlset", "url", entries)}
    files: dict[str, bytes] = {}
    index = []
    for number, start in enumerate(range(0, len(entries), most), 1):
        part = entries[start : start + most]
        name = f"sitemap-{number}.xml"
        files[name] = _sitemap("urlset", "url", part)
        index.append((urljoin(config["feed_url"], name), max(at for _, at in part)))
    return files | {"sitemap.xml": _sitemap("sitemapindex", "sitemap", index)}


def _sitemap(root: str, element: str, entries: list[tuple[str, datetime]]) -> bytes:
    from lxml import etree

    top = etree.Element(f"{{{_SITEMAP}}}{root}", nsmap={None: _SITEMAP})
    for address, at in entries:
        one = etree.SubElement(top, f"{{{_SITEMAP}}}{element}")
        etree.SubElement(one, f"{{{_SITEMAP}}}loc").text = address
        etree.SubElement(one, f"{{{_SITEMAP}}}lastmod").text = at.astimezone(UTC).isoformat(
            timespec="seconds"
        )
    return bytes(etree.tostring(top, xml_declaration=True, encoding="utf-8", pretty_print=True))
