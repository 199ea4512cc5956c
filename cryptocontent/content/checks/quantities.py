"""Numbers as they stand in a text, by value: `1,200,000`, `1.2 million`, `$1.2bn`, `twelve`, `5 per cent`."""

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

Hedge = Literal["", "about", "more", "less"]

_ONES = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_TEENS = {
    "zero": 0, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
# `second` is a unit of time far more often than a number.
_ORDINAL_ONES = {
    "first": 1,
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
}
_ORDINALS = (
    _ORDINAL_ONES
    | {"twelfth": 12}
    | {f"{word}th": number for word, number in _TEENS.items() if number > 9}
    | {f"{word[:-1]}ieth": number for word, number in _TENS.items()}
)
_WORDS = _ONES | _TEENS | _TENS | _ORDINALS
_POWERS = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
# Letters that mean a scale wherever they follow a number, and those that may mean one.
_SCALES = {"k": 3, "K": 3, "M": 6, "mn": 6, "mln": 6, "bn": 9, "Bn": 9, "BN": 9, "tn": 12, "trn": 12}
_UNSURE = {"m": 6, "b": 9, "B": 9, "T": 12, "t": 12}

_UNITS = {
    unit: name
    for name, units in {
        "%": "% percent pct",
        "second": "s sec secs second seconds",
        "millisecond": "ms millisecond milliseconds",
        "minute": "min mins minute minutes",
        "hour": "h hr hrs hour hours",
        "day": "day days",
        "week": "week weeks",
        "month": "month months",
        "year": "year years",
        "bit": "bit bits",
        "byte": "byte bytes",
        "KB": "kb kib kilobyte kilobytes kibibyte kibibytes",
        "MB": "mb mib megabyte megabytes mebibyte mebibytes",
        "GB": "gb gib gigabyte gigabytes gibibyte gibibytes",
        "TB": "tb tib terabyte terabytes tebibyte tebibytes",
        "USD": "usd dollar dollars",
        "EUR": "eur euro euros",
        "GBP": "gbp",
        "BTC": "btc bitcoin bitcoins",
        "ETH": "eth ether",
        "gwei": "gwei",
        "wei": "wei",
        "satoshi": "sat sats satoshi satoshis",
    }.items()
    for unit in units.split()
}
_SIGNS = {"$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "USD": "USD", "EUR": "EUR", "GBP": "GBP"}

_SEPARATORS = ",_\u00a0\u2009\u202f"
_DIGITS = rf"(?>(?:\d{{1,3}}(?:[{_SEPARATORS}]\d{{3}})+(?!\d)|\d+)(?:\.\d+)?(?:e[+-]?\d{{1,2}}(?!\w))?)"
_SMALL = (
    rf"(?:(?:{'|'.join(_TENS)})(?:[\s-](?:{'|'.join(_ONES | _ORDINAL_ONES)})\b)?|"
    rf"{'|'.join(sorted([*_ORDINALS, *_TEENS, *_ONES], key=len, reverse=True))})"
)
_BIG = r"(?:hundred|thousand|million|billion|trillion)"
_REST = rf"(?:(?:\sand)?[\s-]{_SMALL}\b)?"
_NUMBER = re.compile(
    rf"(?P<sign>US\$|[$€£]|\b(?:USD|EUR|GBP)\s)?\s?(?<![\w.])(?P<digits>{_DIGITS})"
    rf"(?![A-Za-z]+\d|(?!thousand|million|billion|trillion)[A-Za-z]{{4,}})"
    rf"|\b(?:(?:(?P<half>half a )|a )(?={_BIG}))?"
    rf"(?P<words>(?:{_SMALL}|{_BIG}{_REST})\b(?:[\s-]{_BIG}\b{_REST})*)",
    re.IGNORECASE,
)
# Of numbers behind a word and a hyphen these are no part of a name: mid-2024, but not Layer-2.
_GLUED = re.compile(r"(\w*[A-Za-z]\w*)-\Z")
_PREFIXES = frozenset(["mid", "pre", "post", "early", "late", "sub", "top", "near", "about", "over", "under"])
_TAIL = re.compile(
    r"(?P<plus>\+)?(?:[\s-]?(?P<power>thousand|million|billion|trillion)\b|\s?(?P<scale>mn|mln|bn|tn|trn)\b|"
    r"(?P<letters>[kKmMbBtT]|Bn|BN)(?![A-Za-z]))?"
    r"(?:\s{0,2}(?P<percent>%|per\s?cent\b|percentage points?\b|pct\b)|[\s-]?(?P<unit>[A-Za-z]+)\b)?"
)
_RANGE = re.compile(r"\s?(?:-|–|to|or|(?P<and>and))\s?\Z")
_BETWEEN = re.compile(r"\bbetween\s\Z", re.IGNORECASE)
_ABOUT = (
    "about|around|roughly|approximately|approx|circa|ca|some|close to|in the region of|in the order of|"
    "an estimated|estimated"
)
_MORE = (
    "more than|over|above|at least|upwards of|north of|exceeds|exceeding|exceeded|surpassed|just above|"
    "(?:no|not) (?:less|fewer) than|topped|minimum of"
)
_LESS = (
    "less than|fewer than|under|below|at most|up to|nearly|almost|just short of|(?:no|not) more than|"
    "maximum of|not quite"
)
_HEDGE = re.compile(
    rf"(?:\b(?:(?P<about>{_ABOUT})|(?P<more>{_MORE})|(?P<less>{_LESS}))\.?\s(?:the\s|an?\s)?|(?P<sign>[~≈]\s?))\Z",
    re.IGNORECASE,
)
_AFTERWARDS = re.compile(r"\s(?:or so|or thereabouts)\b|\s(?P<more>or more|and counting)\b", re.IGNORECASE)
_BEFORE = 32  # characters: the longest hedge and a little more


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that a text states.

    `value` is its magnitude: `−5%` and "fell 5%" are the same. `unit` is empty if none that we know
    follows. `step` is the value of its last written digit: 0.1 of `1.2`, 10^8 of `1.2 billion`, 1 of
    `1,200`. `power` is that of ten which a scale word or letter stands for (9: `billion`, `bn`), `hedge`
    what was said before it: about, more than, less than.
    """

    value: Decimal
    unit: str = ""
    step: Decimal = Decimal(1)
    hedge: Hedge = ""
    power: int = 0

    @property
    def scaled(self) -> bool:
        """Whether a scale word or letter follows."""
        return self.power > 0


@dataclass(frozen=True, slots=True)
class Stated:
    """A quantity's place in a text (`start`, `end`) and what it may mean, the likeliest first: in
    "5 to 10 million" the 5 is 5, or 5 million. `spelled` is it if it stands in words; `ordinal`: fourth."""

    text: str
    start: int
    end: int
    readings: tuple[Quantity, ...]
    spelled: bool = False
    ordinal: bool = False


def quantities(text: str) -> tuple[Stated, ...]:
    """The numbers of a text, in order, those in words included."""
    found: list[Stated] = []
    for match in _NUMBER.finditer(text):
        if found and match.start("words") >= 0 and match.start() < found[-1].end:
            continue  # the million of `1.2 million`
        one = _in_words(text, match) if match["words"] else _in_digits(text, match)
        if one is None:
            continue
        if found and (inherited := _inherited(text, found[-1], one)):
            found[-1] = inherited
        found.append(one)
    return tuple(found)


def _in_digits(text: str, match: re.Match[str]) -> Stated | None:
    at = match.start("digits")
    if (glued := _GLUED.search(text[max(0, at - 12) : at])) and glued[1].casefold() not in _PREFIXES:
        return None
    value = Decimal(match["digits"].translate({ord(one): None for one in _SEPARATORS}))
    step = Decimal(1).scaleb(int(value.as_tuple().exponent))
    currency = _SIGNS.get((match["sign"] or "").strip().upper(), "")
    start = match.start("sign") if match["sign"] else at
    return _finished(text, start, match.end(), Quantity(value, currency, step))


def _in_words(text: str, match: re.Match[str]) -> Stated:
    words = [word for word in re.split(r"[\s-]+", match["words"].casefold()) if word != "and"]
    plain = _spelled(words)
    if match["half"]:
        plain = replace(plain, value=plain.value / 2)
    made = _finished(text, match.start(), match.end(), plain)
    return replace(made, spelled=True, ordinal=words[-1] in _ORDINALS)


def _spelled(words: list[str]) -> Quantity:
    """The number that words say: two hundred thousand is 200,000, exact to the thousand."""
    total, group, step, power = 0, 0, 1, 0
    for word in words:
        if word in _POWERS:
            power = _POWERS[word]
            total, group, step = total + (group or 1) * 10**power, 0, 10**power
        elif word == "hundred":
            group, step = (group or 1) * 100, 100
        else:
            group, step = group + _WORDS[word], 1
    return Quantity(Decimal(total + group), "", Decimal(step), power=power)


def _finished(text: str, start: int, end: int, plain: Quantity) -> Stated:
    """The quantity with the scale and unit that follow it and the hedge before it."""
    tail = _TAIL.match(text, end)
    readings = [plain]
    if tail:
        power = _POWERS.get((tail["power"] or "").casefold()) or _SCALES.get(
            tail["scale"] or tail["letters"] or ""
        )
        unsure = _UNSURE.get(tail["letters"] or "")
        if power:
            readings = [_scaled(plain, power)]
        elif unsure:
            readings = [_scaled(plain, unsure), plain] if plain.unit else [plain, _scaled(plain, unsure)]
        unit = "%" if tail["percent"] else _UNITS.get((tail["unit"] or "").casefold(), "")
        readings = [replace(one, unit=one.unit or unit) for one in readings]
        end = max(end, *(tail.end(name) for name in ("power", "scale", "letters", "percent")))
    hedge = "more" if tail and tail["plus"] else _hedge(text, start, end)
    return Stated(text[start:end], start, end, tuple(replace(one, hedge=hedge) for one in readings))


def _scaled(plain: Quantity, power: int) -> Quantity:
    return replace(plain, value=plain.value.scaleb(power), step=plain.step.scaleb(power), power=power)


def _hedge(text: str, start: int, end: int) -> Hedge:
    if found := _HEDGE.search(text[max(0, start - _BEFORE) : start]):
        return "more" if found["more"] else "less" if found["less"] else "about"
    if after := _AFTERWARDS.match(text, end):
        return "more" if after["more"] else "about"
    return ""


def _inherited(text: str, before: Stated, one: Stated) -> Stated | None:
    """The first number of a range, which may have its scale and unit from the second."""
    first, second = before.readings[0], one.readings[0]
    between = _RANGE.match(text[before.end : one.start])
    if not between or (between["and"] and not _BETWEEN.search(text[: before.start])):
        return None
    more = first if first.scaled or not second.scaled else _scaled(first, second.power)
    more = replace(more, unit=first.unit or second.unit)
    return replace(before, readings=tuple(dict.fromkeys((*before.readings, more))))


def unit_named(text: str) -> str:
    """Our name of a unit (`%`, `USD`, `second`); empty if we know none of that name."""
    return _UNITS.get(text.strip().casefold(), "")


def same(claim: Quantity, source: Quantity) -> bool:
    """Whether the claim is what the source says, or a correct rounding of it that shows that it is one:
    by a hedge ("about 1,200") or a scale word ("1.2 billion"). Units that both name must be the same."""
    if claim.unit != source.unit and ((claim.unit and source.unit) or "%" in (claim.unit, source.unit)):
        return False
    return claim.value == source.value or rounds(claim, source.value, source.step)


def rounds(claim: Quantity, value: Decimal, step: Decimal) -> bool:
    """Whether the claim is a correct, declared rounding of `value`, whose last digit counts `step`, to
    fewer significant digits. "More than" is rounded down, "nearly" up, all others to the nearest."""
    if not (claim.hedge or claim.scaled) or not value or not claim.value:
        return False
    place = claim.step
    if claim.hedge and claim.step >= 1:  # the final zeros of `about 1,200,000` need not be exact
        place = max(place, Decimal(1).scaleb(int(claim.value.normalize().as_tuple().exponent)))
    place = min(place, Decimal(1).scaleb(value.adjusted()))
    if place <= step:
        return False
    if claim.hedge == "more":
        return 0 <= value - claim.value < place
    if claim.hedge == "less":
        return 0 <= claim.value - value < place
    return abs(value - claim.value) <= place / 2
