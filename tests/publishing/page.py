"""Reading an exported page the way a browser does: its elements, links and anchors."""

import json
import re
from html.parser import HTMLParser
from typing import Any

_HARMLESS = {"http", "https", "mailto"}
_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f]+")
# What an exported page is made of; anything else came out of a source.
_ELEMENTS = {
    "html", "head", "meta", "title", "style", "script", "body", "article", "section", "h1", "h2", "h3", "h4",
    "p", "a", "sup", "ol", "ul", "li", "em", "strong", "code", "pre", "blockquote", "hr", "br", "img",
    "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "aside",
}  # fmt: skip


class Page(HTMLParser):
    """The elements of a page with their attributes, its visible text, and what its scripts hold."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.headings: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self._within: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        self._within.append(tag)
        if tag == "script":
            self.scripts.append((found, ""))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        while self._within and self._within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag = self._within[-1] if self._within else ""
        if tag == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif any(re.fullmatch(r"h[1-6]", one) for one in self._within):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)
        if "article" in self._within:
            self.texts.append(data)

    @property
    def text(self) -> str:
        """The article as it is read."""
        return "".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of each element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def json_ld(self) -> Any:
        """The metadata of the page: it has one script, and that is data."""
        ((attributes, text),) = self.scripts
        assert attributes == {"type": "application/ld+json"}
        return json.loads(text)


def dangers(html: str) -> list[str]:
    """All that a browser would run, load from elsewhere or be sent to by the page."""
    page = Page(html)
    found = []
    for tag, attributes in page.elements:
        if tag not in _ELEMENTS:
            found.append(f"<{tag}>")
        for name, value in attributes.items():
            scheme = _CONTROL.sub("", value).partition(":")[0].lower() if ":" in value else ""
            if name.startswith("on") or name in ("style", "srcdoc", "formaction"):
                found.append(f"{tag} {name}={value!r}")
            if name in ("href", "src") and scheme and "/" not in scheme and "#" not in scheme:
                found += [f"{tag} {name}={value!r}"] if scheme not in _HARMLESS else []
    found += [f"script {attributes}" for attributes, _ in page.scripts if attributes.get("src")]
    if [attributes for attributes, _ in page.scripts] != [{"type": "application/ld+json"}]:
        found.append(f"{len(page.scripts)} scripts")
    for tag in ("style", "title", "body", "article"):
        if len(page.all(tag)) != 1:
            found.append(f"{len(page.all(tag))} <{tag}>")
    return found
