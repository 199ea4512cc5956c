"""Text that speaks to a language model, and text that readers can't see.

Both come out of sources and would instruct the newsroom's agents and the readers' own assistants. An
article about such attacks may quote them: see the exceptions in `injection.yaml`.
"""

import re
import unicodedata
from collections.abc import Iterator

from cryptocontent.content.checks.patterns import Line, first_match, holds_any, lines_of, plain, searchable
from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.findings import NewFinding

INSTRUCTION = Rule("injection.instruction", "block", "Text that instructs a language model.")
HIDDEN = Rule("injection.hidden", "block", "Text that a reader can't see or read.")
RULES = (INSTRUCTION, HIDDEN)

# Zero-width and invisible characters, controls of writing direction, tags, and more variation selectors
# than any glyph has: https://www.unicode.org/reports/tr36/ and tr39.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff"
    "\uffa0\ufff9-\ufffb\U000e0000-\U000e007f\U000e0100-\U000e01ef]+|[\ufe00-\ufe0f]{2,}"
)
_JOINERS = frozenset("\u200c\u200d")
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f")
_FLAG = "\U0001f3f4"
_END_OF_TAGS = "\U000e007f"
# In Arabic, Persian and the scripts of India a joiner changes how letters are written.
_JOINING_SCRIPTS = ("ARABIC", "SYRIAC", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA",
                    "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "KHMER")  # fmt: skip

_CODE = re.compile(
    r"^(?P<fence>```|~~~).*?(?:^(?P=fence)|\Z)|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)", re.M | re.S
)
_UNSEEN = (
    (re.compile(r"<!--\s*[^\s>-].*?(?:-->|\Z)", re.S), "a comment in HTML, which no reader sees"),
    (
        re.compile(r"^ {0,3}\[[^\]^\n]+\]:[ \t]*(?:#|<>)[ \t]*[\"'(].+$", re.M),
        "a link definition that serves as a comment",
    ),
    (
        re.compile(
            r"<\w[^>]*style\s*=[^>]*(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0)"
            r"[^>]*>",
            re.I,
        ),
        "an element that is styled to be invisible",
    ),
    (re.compile(r"\bdata:[a-z]+/[a-z0-9.+-]+[;,]\S+", re.I), "a data: URI, whose content no reader sees"),
)
_BLOB = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/]{120,}={0,2}")
_DATA_BEFORE = re.compile(r"data:\S*\Z")
_HINTS = ("<!--", "data:", "style", "]:")


def check(subject: Subject) -> Iterator[NewFinding]:
    """The whole of the text, its title and the titles of its sources included."""
    yield from _instructions(subject)
    yield from _invisible(subject)
    yield from _unseen(subject)


def _instructions(subject: Subject) -> Iterator[NewFinding]:
    rules = subject.rules.injection
    if not holds_any(searchable(subject), rules.words):
        return
    for line in (*lines_of(subject), *_sources(subject)):
        if found := first_match(line, rules.words, rules.patterns, rules.exceptions):
            yield INSTRUCTION.span(
                subject,
                line.start,
                line.end,
                f"“{found}” speaks to a language model, not to a reader",
                words=found,
            )


def _sources(subject: Subject) -> Iterator[Line]:
    """The lines of the list of sources: titles are the sources' own words."""
    at = subject.body_span[1]
    for row in subject.markdown[at:].splitlines(keepends=True):
        if text := row.strip():
            bare = plain(text)
            yield Line(text, bare, bare.lower(), at, at + len(text))
        at += len(row)


def _invisible(subject: Subject) -> Iterator[NewFinding]:
    text = subject.markdown
    if text.isascii() and not _INVISIBLE.search(text):
        return
    for match in _INVISIBLE.finditer(text):
        at_the_top = match.start() == 0 and match[0] == "\ufeff"
        if at_the_top or _has_use(text, match):
            continue
        # What stands around it, so that a reader of the finding sees where it is.
        start = max(text.rfind("\n", 0, match.start()) + 1, match.start() - 20)
        newline = text.find("\n", match.end())
        end = min(newline if newline >= 0 else len(text), match.end() + 20)
        names = sorted({f"U+{ord(char):04X}" for char in match[0]})
        evidence: dict[str, object] = {"characters": names[:10], "count": len(match[0])}
        if spelled := _spelled(match[0]):
            evidence["hidden_text"] = spelled
        yield HIDDEN.span(
            subject, start, end, f"{len(match[0])} invisible characters ({', '.join(names[:3])})", **evidence
        )


def _spelled(characters: str) -> str:
    """The text that Unicode tags spell."""
    return "".join(chr(ord(char) - 0xE0000) for char in characters if 0xE0020 <= ord(char) < 0xE007F)


def _has_use(text: str, match: re.Match[str]) -> bool:
    """Whether the characters are part of honest writing: joiners in an emoji or a script that has them,
    a mark beside letters written from right to left, tags that make a flag."""
    before, after = text[: match.start()][-1:], text[match.end() : match.end() + 1]
    found = match[0]
    if before == _FLAG and found.endswith(_END_OF_TAGS) and len(found) <= 7:
        return True
    if len(found) > 1:
        return False
    around = before + after
    if found in _JOINERS:
        return len(around) == 2 and all(_joins(char) for char in around)
    return found in _DIRECTION_MARKS and any(
        unicodedata.bidirectional(char) in ("R", "AL") for char in around
    )


def _joins(char: str) -> bool:
    return (
        unicodedata.category(char) in ("So", "Sk")
        or char == "\ufe0f"
        or unicodedata.name(char, "").startswith(_JOINING_SCRIPTS)
    )


def _unseen(subject: Subject) -> Iterator[NewFinding]:
    text = subject.markdown
    lowered = text.lower()
    if any(hint in lowered for hint in _HINTS):
        # In code, such things are an example; blanks keep the places.
        shown = _CODE.sub(lambda match: re.sub(r"\S", " ", match[0]), text)
        for pattern, what in _UNSEEN:
            for match in pattern.finditer(shown):
                yield HIDDEN.span(subject, match.start(), match.end(), f"the text holds {what}")
    for match in _BLOB.finditer(text):
        if _is_encoded(match[0]) and not _DATA_BEFORE.search(text, max(0, match.start() - 60), match.start()):
            yield HIDDEN.span(
                subject, match.start(), match.end(), f"{len(match[0])} characters that look like encoded data"
            )


def _is_encoded(text: str) -> bool:
    """Whether it is base64: capitals, small letters and digits all through, not a path or an identifier."""
    kinds = sum(char.isdigit() for char in text), sum(char.isupper() for char in text)
    return (
        min(*kinds, sum(char.islower() for char in text)) >= len(text) / 20
        and text.count("/") < len(text) / 10
    )
