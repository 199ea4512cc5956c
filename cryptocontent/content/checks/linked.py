"""The links of a text, as the program finds them that makes HTML of it, and with their places."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptocontent.content.checks.patterns import plain

_FOOTNOTE = re.compile(r"^\[\^(\d+)\]:", re.M)
_BARE = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]{1,20}://|\bwww\.)[^\s<>\"“”`|]+"
    r"|(?<![\w@./:-])(?:[\w-]+\.)+[^\W\d_]{2,24}(?::\d{1,5})?(?:/[^\s<>\"“”`|]*)?(?![\w-]|\.\w)"
    r"|(?<=@)(?:[\w-]+\.)+[^\W\d_]{2,24}\b",
    re.I,
)
_TRAILING = ".,;:!?'’”\"*_"
# A text in which none of these stands has no links.
_HINT = re.compile(r"\]\(|\]:|\][\[]|://|<[a-z][a-z0-9+.-]*:|www\.|\w\.[^\W\d_]{2,24}\b", re.I)
_TEXTS = {"text", "text_special", "softbreak", "hardbreak", "code_inline", "image"}


@dataclass(frozen=True, slots=True)
class Link:
    """A link: its target, the text that a reader sees instead (empty for one that shows itself), and its
    place. `kind` is `link` or `image` for what becomes one in HTML, `bare` for a URL or domain that only
    stands in the text, `code` for one in code."""

    target: str
    text: str
    start: int
    end: int
    kind: str = "link"


@lru_cache(maxsize=1)
def _parser() -> Any:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    # Nothing is refused or rewritten here: what a renderer would refuse must be found.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    return parser


def links_of(markdown: str) -> Iterator[Link]:
    """Every link, autolink, image, link definition, and bare URL or domain, in the order of blocks."""
    if not _HINT.search(markdown):
        return
    # A footnote's definition would be read as a link's; the places stay the same.
    text = _FOOTNOTE.sub(lambda match: f"(^{match[1]}):", markdown)
    environment: dict[str, Any] = {}
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    used: set[str] = set()
    for token in _parser().parse(text, environment):
        if not token.map:
            continue
        first = starts[token.map[0]]
        last = starts[token.map[1]] if token.map[1] < len(starts) else len(text)
        if token.type == "inline":
            for link in _inline(token.children or [], _Places(text, first, last)):
                used.add(link.target)
                yield link
        elif token.type in ("fence", "code_block"):
            yield from _bare(token.content, _Places(text, first, last), "code")
    for definition in environment.get("references", {}).values():
        if definition["href"] not in used:
            lines = definition.get("map") or [0, len(starts)]
            place = _Places(text, starts[lines[0]], len(text))
            yield Link(definition["href"], "", *place.of(definition["href"]))


class _Places:
    """Finds strings between two offsets, one after the other."""

    def __init__(self, text: str, first: int, last: int) -> None:
        self.text, self.first, self.last = text, first, last
        self.cursor = first

    def of(self, wanted: str) -> tuple[int, int]:
        """Where it stands next; the whole stretch if it is written in another way (with escapes)."""
        at = self.text.find(wanted, self.cursor, self.last) if wanted else -1
        if at < 0:
            return self.first, len(self.text[self.first : self.last].rstrip()) + self.first
        self.cursor = at + len(wanted)
        return at, self.cursor


def _inline(tokens: list[Any], places: _Places) -> Iterator[Link]:
    run, inside, shown = "", None, ""
    for token in tokens:
        if token.type == "link_open":
            yield from _bare(run, places)
            run, inside, shown = "", token, ""
        elif token.type == "link_close" and inside is not None:
            target = str(inside.attrGet("href") or "")
            text = "" if inside.info == "auto" else shown
            if text:
                places.of(text)
            yield Link(target, text, *places.of(target))
            inside = None
        elif token.type == "image":
            target = str(token.attrGet("src") or "")
            shown += token.content
            if inside is None:
                yield from _bare(run, places)
                run = ""
                yield Link(target, "", *places.of(target), kind="image")
        elif inside is not None:
            shown += _shown(token)
        elif token.type == "code_inline":
            yield from _bare(run, places)
            run = ""
            yield from _bare(token.content, places, "code")
        else:
            run += _shown(token)
    yield from _bare(run, places)


def _shown(token: Any) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return str(token.content) if token.type in _TEXTS else ""


def _bare(text: str, places: _Places, kind: str = "bare") -> Iterator[Link]:
    for match in _BARE.finditer(text):
        target = match[0].rstrip(_TRAILING)
        while target.endswith(")") and target.count(")") > target.count("("):
            target = target[:-1].rstrip(_TRAILING)
        yield Link(target, "", *places.of(target), kind=kind)


def domains_in(text: str) -> list[str]:
    """The URLs and domains that stand in a link's text."""
    return [match[0].rstrip(_TRAILING) for match in _BARE.finditer(plain(text).strip())]
