"""Searching sentences for the patterns of a rule file, and excusing those that only speak of them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.documents import Figure, Heading

# Stands in a sentence for the words that were found; no text holds it (a code point of private use).
_FOUND = "\ue0c1"
_TYPOGRAPHY = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ", "‑": "-"})
# In words between those that a pattern names, it turns them around: "will not reach $1 million".
_DENIAL = re.compile(r"\b(?:not|never|hardly)\b", re.I)
_MARKUP = re.compile(r"(?<!\w)[*_]{1,3}(?=\S)|(?<=[\w.!?,;:%)])[*_]{1,3}(?!\w)|\[\^\d+\]")


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, a heading, a row of a table or a line of a quotation, with its place in the Markdown;
    `plain` is its text without markup and typography, `lowered` that in lower case."""

    text: str
    plain: str
    lowered: str
    start: int
    end: int


@lru_cache(maxsize=256)
def compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """The patterns of a rule file, which are searched for in any case."""
    return tuple(re.compile(pattern, re.I) for pattern in patterns)


@lru_cache(maxsize=16)
def _excuses(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern.replace("{claim}", _FOUND), re.I) for pattern in patterns)


def searchable(subject: Subject) -> str:
    """The whole Markdown in lower case with single spaces: what is asked for `words` first."""
    if "searchable" not in subject.memo:
        subject.memo["searchable"] = plain(" ".join(subject.markdown.split())).lower()
    return str(subject.memo["searchable"])


def holds_any(lowered: str, words: Sequence[str]) -> bool:
    """Whether one of the words stands in a text of lower case; true if there are no words to look for."""
    return not words or any(word in lowered for word in words)


def first_match(
    line: Line, words: Sequence[str], patterns: tuple[str, ...], exceptions: tuple[str, ...] = ()
) -> str | None:
    """The first words of the line that a pattern finds and nothing excuses; None if there are none."""
    if not holds_any(line.lowered, words):
        return None
    for pattern in compiled(patterns):
        for match in pattern.finditer(line.plain):
            denied = _DENIAL.search(match[0]) and not _DENIAL.search(pattern.pattern)
            if match[0] and not denied and not _excused(line.plain, match, exceptions):
                return match[0]
    return None


def _excused(text: str, match: re.Match[str], exceptions: tuple[str, ...]) -> bool:
    around = text[: match.start()] + _FOUND + text[match.end() :]
    return any(pattern.search(around) for pattern in _excuses(exceptions))


def plain(text: str) -> str:
    """Text with straight quotes and without emphasis and citations."""
    return _MARKUP.sub("", text.translate(_TYPOGRAPHY))


def lines_of(subject: Subject) -> Iterator[Line]:
    """All that a reader reads of the article, in pieces: title, headings, sentences, captions, rows of
    tables and lines of quotations. Code and locked notices are left out."""
    end_of_title = subject.body_span[0]
    if subject.title:
        at = subject.markdown.find(subject.title, 0, end_of_title)
        yield _line(subject.title, at, at + len(subject.title))
    for placed in subject.blocks:
        block = placed.block
        if isinstance(block, Heading):
            yield _line(block.text, placed.start, placed.end)
        elif isinstance(block, Figure):
            for text in filter(None, (block.alt, block.caption)):
                at = subject.markdown.find(text, placed.start, placed.end)
                yield _line(text, at, at + len(text))
    for sentence in subject.sentences:
        yield _line(sentence.text, sentence.start, sentence.end)


def _line(text: str, start: int, end: int) -> Line:
    bare = plain(text)
    return Line(text, bare, bare.lower(), start, end)
