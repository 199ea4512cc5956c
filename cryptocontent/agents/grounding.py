"""What in a sentence can be checked against a source: numbers, dates, tickers, addresses, quotations."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from cryptocontent.agents.lexicon import word_set
from cryptocontent.content.text import normalized

Kind = Literal["address", "date", "percentage", "number", "ticker", "quote"]

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b|\b(?:bc1[a-z0-9]{20,}|[13][a-km-zA-HJ-NP-Z1-9]{25,34})\b")
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_DATE = re.compile(
    rf"\b(?:\d{{1,2}} {_MONTH}(?: \d{{4}})?|{_MONTH} \d{{1,2}}(?:, \d{{4}})?|{_MONTH} \d{{4}}|"
    r"\d{4}-\d{2}-\d{2})\b"
)
_PERCENTAGE = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?\s?(?:%|per cent\b|percent\b)")
_NUMBER = re.compile(r"(?<![\w.])[-−]?\d[\d,]*(?:\.\d+)*[A-Za-z]{0,3}(?!\w|\.\d|,\d)|\b[A-Z]{2,}-\d+\b")
_MARKS = re.compile(r"[`*]")
_QUOTE = re.compile(r"[\"“]([^\"“”]{4,})[\"”]")
_TICKER = re.compile(r"(?<![\w-])\$?[A-Z]{2,6}(?![\w-])")
_SEPARATOR = re.compile(r"(?<=\d),(?=\d{3})")


@dataclass(frozen=True, slots=True)
class Checkable:
    """A part of a sentence that a source must contain."""

    kind: Kind
    text: str

    @property
    def rule(self) -> str:
        """The rule that it breaks if the source has it not."""
        return "quote.not_verbatim" if self.kind == "quote" else f"{self.kind}.not_in_source"


@lru_cache(maxsize=20_000)
def checkables(sentence: str) -> tuple[Checkable, ...]:
    """Everything of a sentence that can be checked, each part once."""
    found: list[Checkable] = []
    rest = sentence = _MARKS.sub("", sentence)
    patterns: tuple[tuple[Kind, re.Pattern[str]], ...] = (
        ("address", _ADDRESS),
        ("date", _DATE),
        ("percentage", _PERCENTAGE),
    )
    for kind, pattern in patterns:
        found += [Checkable(kind, match[0]) for match in pattern.finditer(rest)]
        rest = pattern.sub(" ", rest)
    found += [Checkable("number", match[0].rstrip(",")) for match in _NUMBER.finditer(rest)]
    tickers = word_set("tickers", "tickers")
    found += [
        Checkable("ticker", one)
        for match in _TICKER.finditer(rest)
        if (one := match[0].lstrip("$")) in tickers
    ]
    found += [Checkable("quote", match[1]) for match in _QUOTE.finditer(sentence)]
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=20_000)
def _comparable(text: str) -> str:
    return _SEPARATOR.sub("", normalized(text))


def grounded(part: Checkable, evidence: str) -> bool:
    """Whether the evidence contains the part: numbers as whole numbers, the rest word for word."""
    wanted, where = _comparable(part.text).strip(".,;: "), _comparable(evidence)
    if part.kind == "quote":
        return wanted in where
    start = where.find(wanted)
    while start >= 0:
        before, after = where[start - 1 : start], where[start + len(wanted) : start + len(wanted) + 2]
        if (
            not before.isalnum()
            and before != "."
            and not after[:1].isalnum()
            and not re.match(r"\.\d", after)
        ):
            return True
        start = where.find(wanted, start + 1)
    return False
