"""What in a sentence can be checked against a source: numbers, dates, tickers, addresses, quotations.

Numbers and dates are compared by value, all else by its characters.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from cryptocontent.content.checks.dates import Day, dates
from cryptocontent.content.checks.listing import tickers_in
from cryptocontent.content.checks.quantities import Quantity, Stated, quantities, same
from cryptocontent.content.text import normalized, words

Kind = Literal["address", "date", "percentage", "number", "ticker", "quote"]

QUOTE_WORDS, QUOTE_CHARACTERS = 3, 12
"""Less than both in quotation marks is no quotation: a term, or a word that the author keeps off."""

_LINK = re.compile(r"(?<=\])\([^()\s]*(?:\s\"[^\"]*\")?\)|<?https?://[^\s<>)\]]+>?")
_INTERNAL = re.compile(r"\[[^\]]*\]\(article:[^)\s]*\)")
_MARKS = str.maketrans("`*", "  ")
_HEX = re.compile(r"\b0x[0-9a-fA-F]+\b")
_LONG = re.compile(r"(?<![0-9A-Za-z_])[0-9A-Za-z]{25,120}(?![0-9A-Za-z_])")
_ONLY_HEX = re.compile(r"[0-9a-fA-F]+\Z")
_PROPOSAL = "EIP|ERC|BIP|RIP|CAIP|SLIP|RFC|ISO|SHA|SIMD|ZIP|NIP|FIP|TIP|LIP|MIP|AIP"
_IDENTIFIER = re.compile(
    rf"\b(?P<letters>[A-Z]{{2,}})-(?P<digits>\d+)s?\b|\b(?P<proposal>{_PROPOSAL})s?\s?(?P<number>\d+)\b"
)
# Names with a number in them, which is easily mistyped: keccak256, BLS12-381. `L2` and `Web3` have synonyms.
_CODED = re.compile(r"(?<![\w.$-])[A-Za-z]{2,}\d{2,}(?:-\d+)?(?!\w)")
_VERSION = re.compile(r"(?<![\w.])\d+(?:\.\d+){2,}(?![\w])")
_TIME = re.compile(r"(?<![\w:.])\d{1,2}:\d\d(?::\d\d)?(?![\w:])")
_QUOTE = re.compile(r"“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|\"([^\"]+)\"|(?<!\w)‘([^‘]+?)’(?!\w)")
_CODE = re.compile(r"`[^`]*`")
# Numbers that are part of a name, or that count what the article itself lists.
_NAME_BEFORE = re.compile(
    r"\b(?:layers?|web|steps?|figures?|fig\.|tables?|tiers?|options?|examples?|questions?|points?|tips?|parts?)[\s-]\Z",
    re.IGNORECASE,
)
_PLACE_BEFORE = re.compile(
    r"\b(?:sections?|chapters?|types?|levels?|stages?|phases?|versions?|rules?)[\s-]\Z", re.IGNORECASE
)
_GENERATION = re.compile(r"\b[A-Z]\w+\s[1-9]\.0\b")
_IDIOM = re.compile(r"\b(?:24/7|50[/-]50|9/11)\b")
_ENUMERATED = re.compile(r"(?<!\w)\(\d{1,2}\)(?=\s\S)|(?:\A|(?<=[;:]\s))\d{1,2}\)(?=\s)")
_COUNTED = 10


@dataclass(frozen=True, slots=True)
class Checkable:
    """A part of a sentence that a source must contain; `start` is its offset in the sentence, `readings`
    and `days` what a number or date may mean. One that is not `firm` is held against the source, but
    does not turn its sentence into a claim that needs one."""

    kind: Kind
    text: str
    start: int = 0
    readings: tuple[Quantity, ...] = ()
    days: tuple[Day, ...] = ()
    firm: bool = True

    @property
    def rule(self) -> str:
        """The rule that it breaks if the source has it not."""
        return "quote.not_verbatim" if self.kind == "quote" else f"{self.kind}.not_in_source"


@lru_cache(maxsize=20_000)
def checkables(sentence: str, tickers: frozenset[str] = frozenset()) -> tuple[Checkable, ...]:
    """Everything of a sentence that can be checked, in order, each part once. `tickers` are those listed."""
    text = _plain(sentence)
    linkless = _LINK.sub(lambda link: " " * len(link[0]), sentence)
    found = [
        Checkable("ticker", sentence[start:end].lstrip("$"), start)
        for _, start, end in tickers_in(linkless, tickers)
    ]
    found += [Checkable("quote", quote, start) for quote, start, _ in quotations(sentence)]
    found += _values(_blanked(text, _GENERATION, _IDIOM, _ENUMERATED))
    unique: dict[tuple[Kind, str], Checkable] = {}
    for part in sorted(found, key=lambda part: part.start):
        unique.setdefault((part.kind, part.text), part)
    return tuple(unique.values())


def claims(sentence: str, tickers: frozenset[str] = frozenset()) -> tuple[Checkable, ...]:
    """What of a sentence makes it a claim that needs a source. The title of an article that it links to
    is none; a question that only names something asks, and claims nothing."""
    if "](article:" in sentence:
        sentence = _INTERNAL.sub(" ", sentence)
    found = tuple(part for part in checkables(sentence, tickers) if part.firm)
    if sentence.rstrip('"”’)').endswith("?") and all(
        part.kind == "ticker" or (part.kind == "number" and not part.readings) for part in found
    ):
        return ()
    return found


def quotations(text: str) -> list[tuple[str, int, int]]:
    """What stands in quotation marks, without them, and where it begins and ends: three words or twelve
    characters at least. Marks in code, and straight ones without a partner, quote nothing."""
    if not any(mark in text for mark in '“„«"‘'):
        return []
    masked = _CODE.sub(lambda code: " " * len(code[0]), text) if "`" in text else text
    if masked.count('"') % 2:
        masked = masked.replace('"', " ")
    found = []
    for match in _QUOTE.finditer(masked):
        start, end = next(match.span(group) for group in range(1, 6) if match[group] is not None)
        quote = text[start:end]
        if len(words(quote)) >= QUOTE_WORDS or len(quote.strip()) >= QUOTE_CHARACTERS:
            found.append((quote.strip(), start, end))
    return found


def _plain(text: str) -> str:
    """The text without the targets of its links and without markup, each character in its place."""
    if "http" in text or "](" in text:
        text = _LINK.sub(lambda link: " " * len(link[0]), text)
    return text.translate(_MARKS)


def _blanked(text: str, *patterns: re.Pattern[str]) -> str:
    for pattern in patterns:
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    return text


def _values(text: str) -> Iterator[Checkable]:
    """The addresses, dates and numbers of a claim."""
    for named, written, start, _ in _named(text):
        yield Checkable(named, written, start)
    text = _blanked(text, _HEX, _LONG, _VERSION, _TIME, _IDENTIFIER)
    for match in _CODED.finditer(text):
        yield Checkable("number", match[0], match.start(), firm=False)
    for one in dates(text):
        yield Checkable("date", one.text, one.start, days=one.readings)
        text = text[: one.start] + " " * (one.end - one.start) + text[one.end :]
    for stated in quantities(text):
        if _counts(stated) and not _NAME_BEFORE.search(text[max(0, stated.start - 12) : stated.start]):
            kind: Kind = "percentage" if stated.readings[0].unit == "%" else "number"
            firm = not _PLACE_BEFORE.search(text[max(0, stated.start - 12) : stated.start])
            yield Checkable(kind, stated.text, stated.start, stated.readings, firm=firm)


def _counts(stated: Stated) -> bool:
    """Whether it is checked: digits are; of numbers in words those from ten on, and smaller ones before
    a unit or with a scale ("seven days", "two million"); "a fourth" and a bare "million" are not."""
    if not stated.spelled:
        return True
    if stated.ordinal or (" " not in stated.text and stated.readings[0].scaled):
        return False
    one = stated.readings[0]
    return one.value >= _COUNTED or (one.value > 1 and bool(one.unit)) or one.unit == "%"


def _named(text: str) -> Iterator[tuple[Kind, str, int, str]]:
    """What is compared by its characters: addresses, hashes, identifiers, versions, times; kind, text,
    offset, and the form in which two of them are compared."""
    for match in _HEX.finditer(text):
        kind: Kind = "address" if len(match[0]) >= 8 else "number"
        yield kind, match[0], match.start(), match[0].casefold()
    for match in _LONG.finditer(text):
        digits = sum(char.isdigit() for char in match[0])
        if not match[0].startswith("0x") and 2 <= digits < len(match[0]):
            exact = match[0].casefold() if _ONLY_HEX.match(match[0]) else match[0]
            yield "address", match[0], match.start(), exact
    for match in _IDENTIFIER.finditer(text):
        letters, number = match["letters"] or match["proposal"], match["digits"] or match["number"]
        yield "number", match[0], match.start(), f"{letters}-{int(number)}"
    for pattern in (_VERSION, _TIME):
        for match in pattern.finditer(text):
            yield "number", match[0], match.start(), match[0]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a source states, for comparison."""

    plain: str
    names: frozenset[str]
    numbers: Mapping[Decimal, tuple[Quantity, ...]]
    days: frozenset[Day]

    def states(self, claim: Quantity) -> bool:
        """Whether a number of it is the claim's, or one that the claim rounds correctly."""
        if any(same(claim, one) for one in self.numbers.get(claim.value, ())):
            return True
        if not (claim.hedge or claim.scaled):
            return False
        return any(same(claim, one) for listed in self.numbers.values() for one in listed)

    def dates(self, claim: Day) -> bool:
        """Whether a date of it says the claim's; the year may stand apart from the day."""
        if any(claim.agrees(one) for one in self.days):
            return True
        if claim.year is None or claim.month is None or Decimal(claim.year) not in self.numbers:
            return False
        return any(one.year is None and (one.month, one.day) == (claim.month, claim.day) for one in self.days)


@lru_cache(maxsize=8192)
def contents(source: str) -> Contents:
    """What a source states. In it every number counts, ordinals and small ones in words included."""
    text = _plain(source)
    names = frozenset(form for _, _, _, form in _named(text))
    rest = _blanked(text, _HEX, _LONG, _VERSION, _TIME)
    numbers: dict[Decimal, dict[Quantity, None]] = {}
    days: set[Day] = set()
    for one in dates(rest):
        days |= {*one.readings}
        for day in one.readings:
            if day.year:
                numbers.setdefault(Decimal(day.year), {})[Quantity(Decimal(day.year))] = None
        rest = rest[: one.start] + " " * (one.end - one.start) + rest[one.end :]
    for stated in quantities(rest):
        for reading in stated.readings:
            numbers.setdefault(reading.value, {})[reading] = None
    return Contents(
        normalized(source),
        names,
        {value: tuple(listed) for value, listed in numbers.items()},
        frozenset(days),
    )


def grounded(part: Checkable, source: str) -> bool:
    """Whether the source says the part: numbers and dates by value, the rest word for word."""
    if part.kind == "quote":
        return quoted(part.text, source)
    has = contents(source)
    if part.kind == "ticker":
        return whole(part.text.casefold(), has.plain)
    if part.days:
        return any(has.dates(day) for day in part.days)
    if part.readings:
        return any(has.states(reading) for reading in part.readings)
    if _CODED.fullmatch(part.text) and not _IDENTIFIER.fullmatch(part.text):
        return _closed(part.text) in _closed(has.plain)
    forms = {form for _, _, _, form in _named(part.text)}
    if forms & has.names:
        return True
    # `EIPs 1559 and 4844` names EIP-4844 too.
    identifier = _IDENTIFIER.fullmatch(part.text)
    if not identifier:
        return False
    letters, number = (
        identifier["letters"] or identifier["proposal"],
        identifier["digits"] or identifier["number"],
    )
    return letters.casefold() in has.plain and Decimal(number) in has.numbers


def _closed(text: str) -> str:
    """Names as they are compared: keccak256 is Keccak-256."""
    return text.casefold().replace("-", "").replace(" ", "")


def verbatim(claim: str, source: str) -> bool:
    """Whether the source contains the claim word for word. One that ends or begins with a number is not
    looked for: `It is 12` is not what `It is 12 million` says."""
    wanted = normalized(claim).strip(".,;:!? ")
    if not wanted or not wanted[0].isalpha() or not wanted[-1].isalpha():
        return False
    return whole(wanted, normalized(source))


def whole(wanted: str, text: str) -> bool:
    """Whether the text contains `wanted`, not as a part of a longer word or number."""
    start = text.find(wanted)
    while start >= 0:
        after = text[start + len(wanted) : start + len(wanted) + 2]
        if not text[start - 1 : start].isalnum() and not after[:1].isalnum():
            return True
        start = text.find(wanted, start + 1)
    return False


_CUT = re.compile(r"\s*(?:\[[^\]]*\]|\(?(?:…|\.\.\.)\)?)\s*")


def quoted(quote: str, source: str) -> bool:
    """Whether the words of a quotation stand in the source, those between its ellipses and insertions
    (`[…]`, `[the fee]`) each and in their order."""
    where, at = normalized(source), 0
    for part in _CUT.split(quote):
        wanted = normalized(part).strip(".,;:!? ")
        if not wanted:
            continue
        at = where.find(wanted, at)
        while at >= 0 and (where[at - 1 : at].isalnum() or where[at + len(wanted) :][:1].isalnum()):
            at = where.find(wanted, at + 1)
        if at < 0:
            return False
        at += len(wanted)
    return True
