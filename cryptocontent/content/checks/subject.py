"""What checks look at: one version's text with its places, and all that it is held against."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from cryptocontent.content.documents import (
    SOURCES_HEADING,
    Block,
    Heading,
    Paragraph,
    Verbatim,
    parse,
)
from cryptocontent.content.rules import Rules
from cryptocontent.content.templates import Outline

_SOURCES = re.compile(rf"^## {SOURCES_HEADING}[ \t]*$", re.M)
_DEFINITION = re.compile(r"^\[\^\d+\]:", re.M)
_TITLE = re.compile(r"\A\s*# +(.*?)[ \t]*$", re.M)
_BETWEEN_WORDS = r"(?:\s?\[\^\d+\])*\s+"


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
        """Where the body stands: after the title, before the list of sources."""
        found = _TITLE.match(self.markdown)
        start = found.end() if found else 0
        tail = _SOURCES.search(self.markdown, start) or _DEFINITION.search(self.markdown, start)
        return start, tail.start() if tail else len(self.markdown)

    @cached_property
    def body(self) -> str:
        """The Markdown between title and sources."""
        start, end = self.body_span
        return self.markdown[start:end]

    @cached_property
    def blocks(self) -> tuple[PlacedBlock, ...]:
        """The body's blocks with their places."""
        placed: list[PlacedBlock] = []
        cursor, end = self.body_span
        section = ""
        for block in parse(self.body):
            if isinstance(block, Heading) and block.level <= 2:
                section = block.text
            first, last = _locate(self.markdown, _needle(block), cursor, end)
            cursor = last
            placed.append(PlacedBlock(block, first, last, section))
        return tuple(placed)

    @cached_property
    def sentences(self) -> tuple[CheckedSentence, ...]:
        """The sentences of paragraphs and list items, in order, with their places."""
        found: list[CheckedSentence] = []
        for number, placed in enumerate(self.blocks):
            if not isinstance(placed.block, Paragraph):
                continue
            cursor = placed.start
            for sentence in placed.block.sentences:
                start, cursor = _locate(self.markdown, sentence.text, cursor, placed.end)
                found.append(
                    CheckedSentence(
                        sentence.text, sentence.citations, start, cursor, number, section=placed.section
                    )
                )
        return tuple(found)

    @cached_property
    def notices(self) -> tuple[PlacedBlock, ...]:
        """The locked notices, `::: notice ID` … `:::`."""
        return tuple(
            placed
            for placed in self.blocks
            if isinstance(placed.block, Verbatim) and placed.block.text.startswith(":::")
        )

    def evidence(self, numbers: Sequence[int]) -> str:
        """The text of everything that these footnotes point at."""
        return "\n".join(self.sources[number].text for number in numbers if number in self.sources)


def _needle(block: Block) -> str:
    """The text to look for in the source: blocks are found by it, in order."""
    if isinstance(block, Heading):
        return block.text
    return block.render()


def _locate(markdown: str, text: str, start: int, end: int) -> tuple[int, int]:
    """Where `text` stands between `start` and `end`: word for word, else with any white space and citation
    markers between its words; an empty place at `start` if it is nowhere."""
    at = markdown.find(text, start, end)
    if at >= 0:
        return at, at + len(text)
    words = [re.escape(word) for word in re.sub(r"\[\^\d+\]", " ", text).split()]
    found = re.compile(_BETWEEN_WORDS.join(words)).search(markdown, start, end) if words else None
    return (found.start(), found.end()) if found else (start, start)
