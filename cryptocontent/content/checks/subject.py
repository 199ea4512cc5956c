"""What checks look at: one version's text with its places, and all that it is held against."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from cryptocontent.content.documents import (
    NOTICE,
    SOURCES_HEADING,
    Block,
    Heading,
    Paragraph,
    Verbatim,
    parse,
    parse_paragraph,
)
from cryptocontent.content.rules import Rules
from cryptocontent.content.templates import Outline

_SOURCES = re.compile(rf"## {SOURCES_HEADING}[ \t]*\Z")
_DEFINITION = re.compile(r"\[\^\d+\]:")
_TITLE = re.compile(r"\A\s*# +(.*?)[ \t]*$", re.M)
_MARKER = re.compile(r"\[\^(\d+)\]")
_AFTER = re.compile(r"(?:\s?\[\^\d+\])+")
_DROPPED = re.compile(r"\[\^\d+\]|\s+")
_QUOTED = re.compile(r"(?m:^)(?:[ \t]*>[ \t]?)+|\[\^\d+\]|\s+")
_LINE = re.compile(r"[^\n]+")
_RULER = re.compile(r"[\s|:-]*\Z")
_PREFIX = re.compile(r"(?:[ \t]*>[ \t]?)+")
_OPEN_NOTICE = re.compile(r":::[^\n]*\n?")


@dataclass(frozen=True, slots=True)
class Fact:
    """A market fact that a footnote points at, and the newest one known of the same asset, metric and
    unit (itself, if there is none newer)."""

    id: str
    asset_id: str
    metric: str
    value: float
    unit: str
    source: str
    as_of: datetime
    newest_value: float
    newest_as_of: datetime


@dataclass(frozen=True, slots=True)
class CitedSource:
    """What a footnote's number points at. `text` is the passage, or what the fact says in words; `status`
    is the reference's."""

    number: int
    id: str
    title: str
    text: str
    reference_id: str | None = None
    url: str | None = None
    licence: str | None = None
    status: Literal["active", "withdrawn", "recalled"] = "active"
    fact: Fact | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another article of the project and how much its text resembles this one's (estimated Jaccard)."""

    article_id: str
    slug: str
    similarity: float


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence without its markers, what it cites, and where it stands in the Markdown: `start` to
    `end` are the offsets of its text (markers within it included, those after it not)."""

    text: str
    citations: tuple[int, ...]
    start: int
    end: int
    paragraph: int
    section: str = ""


@dataclass(frozen=True, slots=True)
class PlacedBlock:
    """A block of the body with its offsets in the Markdown and the heading that it stands under."""

    block: Block
    start: int
    end: int
    section: str = ""


@dataclass(frozen=True)
class Subject:
    """One version under check.

    `sources` holds everything that the version may cite, by number; `asset_ids` the assets that the brief
    names; `neighbours` the articles that resemble it most; `by_agent` whether any of its text was written
    by an agent, `reviewed` whether an editor approved it; `now` the instant that staleness is counted from.
    """

    markdown: str
    outline: Outline
    rules: Rules
    now: datetime
    sources: Mapping[int, CitedSource] = field(default_factory=dict)
    keywords: Sequence[str] = ()
    asset_ids: frozenset[str] = frozenset()
    neighbours: Sequence[Neighbour] = ()
    by_agent: bool = True
    reviewed: bool = False

    @cached_property
    def title(self) -> str:
        """The article's title; empty if it has none."""
        found = _TITLE.match(self.markdown)
        return found[1] if found else ""

    @cached_property
    def body_span(self) -> tuple[int, int]:
        """Where the body stands: after the title, before the list of sources at the end."""
        found = _TITLE.match(self.markdown)
        start = found.end() if found else 0
        return start, _tail(self.markdown, start)

    @cached_property
    def body(self) -> str:
        """The Markdown between title and sources."""
        start, end = self.body_span
        return self.markdown[start:end]

    @cached_property
    def blocks(self) -> tuple[PlacedBlock, ...]:
        """The body's blocks with their places."""
        placed: list[PlacedBlock] = []
        text = self._squeezed
        cursor, section = 0, ""
        for block in parse(self.body):
            if isinstance(block, Heading) and block.level <= 2:
                section = block.text
            first, last, cursor = text.find(_needle(block), cursor)
            if after := _AFTER.match(self.markdown, last, self.body_span[1]):
                last = after.end()
            placed.append(PlacedBlock(block, first, last, section))
        return tuple(placed)

    @cached_property
    def _squeezed(self) -> "_Squeezed":
        return _Squeezed.of(self.markdown, *self.body_span)

    @cached_property
    def sentences(self) -> tuple[CheckedSentence, ...]:
        """The sentences of paragraphs, list items and quotations, and the rows of tables, in order, with
        their places: all that a reader reads but headings, captions, code and the locked notices."""
        found: list[CheckedSentence] = []
        for number, placed in enumerate(self.blocks):
            if isinstance(placed.block, Paragraph):
                found += _sentences(self.markdown, placed, placed.block, number)
            elif isinstance(placed.block, Verbatim):
                found += _quoted(self.markdown, placed, number)
        return tuple(found)

    @cached_property
    def notices(self) -> tuple[PlacedBlock, ...]:
        """The locked notices, `::: notice ID` … `:::`."""
        return tuple(
            placed
            for placed in self.blocks
            if isinstance(placed.block, Verbatim) and placed.block.text.startswith(":::")
        )

    @cached_property
    def memo(self) -> dict[str, Any]:
        """What a check worked out about this subject and another one needs too, by a name of its own."""
        return {}

    def evidence(self, numbers: Sequence[int]) -> str:
        """The text of everything that these footnotes point at."""
        return "\n".join(self.sources[number].text for number in numbers if number in self.sources)


def _tail(markdown: str, start: int) -> int:
    """Where the list of sources at the end begins. A definition that text follows ends nothing."""
    lines = [(match.start(), match[0]) for match in _LINE.finditer(markdown, start)]
    end, at = len(markdown), len(lines)
    while at and (not lines[at - 1][1].strip() or _DEFINITION.match(lines[at - 1][1])):
        at -= 1
        if lines[at][1].strip():
            end = lines[at][0]
    if at and _SOURCES.match(lines[at - 1][1].rstrip()):
        end = lines[at - 1][0]
    return end


@dataclass(frozen=True, slots=True)
class _Squeezed:
    """A stretch of Markdown without white space and markers, and where each of its characters stands:
    sentences are found in it however their lines are broken and whatever markers stand within them."""

    text: str
    places: list[int]
    start: int

    @classmethod
    def of(cls, markdown: str, start: int, end: int, dropped: re.Pattern[str] = _DROPPED) -> "_Squeezed":
        """The stretch from `start` to `end`."""
        kept: list[str] = []
        places: list[int] = []
        last = start
        for match in dropped.finditer(markdown, start, end):
            kept.append(markdown[last : match.start()])
            places.extend(range(last, match.start()))
            last = match.end()
        kept.append(markdown[last:end])
        places.extend(range(last, end))
        return cls("".join(kept), places, start)

    def find(self, text: str, cursor: int) -> tuple[int, int, int]:
        """Where `text` stands at or after `cursor`, as offsets of the Markdown, and the next cursor. An
        empty place if it is nowhere."""
        wanted = _DROPPED.sub("", text)
        at = self.text.find(wanted, cursor)
        if at < 0 or not wanted:
            here = self.places[min(cursor, len(self.places) - 1)] if self.places else self.start
            return here, here, cursor
        after = at + len(wanted)
        return self.places[at], self.places[after - 1] + 1, after


def _needle(block: Block) -> str:
    """The text to look for in the source: blocks are found by it, in order."""
    if isinstance(block, Heading):
        return block.text
    return block.render()


def _sentences(
    markdown: str, placed: PlacedBlock, paragraph: Paragraph, number: int, dropped: re.Pattern[str] = _DROPPED
) -> list[CheckedSentence]:
    text = _Squeezed.of(markdown, placed.start, placed.end, dropped)
    cursor = len(paragraph.bullet)
    found: list[CheckedSentence] = []
    for sentence in paragraph.sentences:
        start, end, cursor = text.find(sentence.text, cursor)
        found.append(
            CheckedSentence(sentence.text, sentence.citations, start, end, number, section=placed.section)
        )
    return found


def _quoted(markdown: str, placed: PlacedBlock, number: int) -> list[CheckedSentence]:
    """The sentences of a quotation, the rows of a table, and what only looks like markup: all of it is
    read. Code and locked notices aren't the article's words."""
    text = markdown[placed.start : placed.end]
    if text.startswith(("```", "~~~")):
        return []
    if text.startswith("|"):
        return _rows(markdown, placed, number)
    if text.startswith(">"):
        plain = "\n".join(_PREFIX.sub("", line, count=1) for line in text.splitlines())
        return _sentences(markdown, placed, parse_paragraph(plain), number, _QUOTED)
    if text.startswith(":::"):
        if NOTICE.match(text.split("\n", 1)[0]) and text.rstrip().endswith("\n:::"):
            return []
        opening = _OPEN_NOTICE.match(text)
        placed = replace(placed, start=placed.start + (opening.end() if opening else 0))
    return _sentences(markdown, placed, parse_paragraph(markdown[placed.start : placed.end]), number)


def _rows(markdown: str, placed: PlacedBlock, number: int) -> list[CheckedSentence]:
    found: list[CheckedSentence] = []
    for line in _LINE.finditer(markdown, placed.start, placed.end):
        bare = line[0].strip("| \t\r")
        text = " ".join(_AFTER.sub("", bare).split()).rstrip("| ")
        if not text or _RULER.match(bare):
            continue
        citations = tuple(dict.fromkeys(int(marker) for marker in _MARKER.findall(line[0])))
        start, end, _ = _Squeezed.of(markdown, line.start(), line.end()).find(text, 0)
        found.append(CheckedSentence(text, citations, start, end, number, section=placed.section))
    if found and not found[0].citations:  # the heads of the columns rest on what the rows cite
        below = tuple(dict.fromkeys(marker for row in found for marker in row.citations))
        found[0] = replace(found[0], citations=below)
    return found
