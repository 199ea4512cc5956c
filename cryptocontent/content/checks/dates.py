"""Dates as they stand in a text, by value: `24 November 2026`, `Nov 24, 2026` and `2026-11-24` are one."""

import re
from dataclasses import dataclass

_NAMES = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
]  # fmt: skip
_MONTHS = {name[:length]: number for number, name in enumerate(_NAMES, 1) for length in (3, len(name))}
_MONTHS["sept"] = 9
_QUARTERS = {"first": 1, "second": 2, "third": 3, "fourth": 4}
# Months have a capital: `may 12` is none.
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|"
    r"Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_YEAR = r"(?:1[6-9]|20|21)\d\d\b"
_DATE = re.compile(
    rf"\b(?:(?P<d1>{_DAY})(?: of)? (?P<m1>{_MONTH})(?:,? (?P<y1>{_YEAR}))?"
    rf"|(?P<m2>{_MONTH}) (?P<d2>{_DAY})\b(?!\.?\d|,\d)(?:,? (?P<y2>{_YEAR}))?"
    rf"|(?P<m3>{_MONTH})(?: of|,)? (?P<y3>{_YEAR})"
    r"|(?P<y4>\d{4})[-/](?P<m4>0[1-9]|1[0-2])[-/](?P<d4>[0-3]\d)(?!\d)"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?"
    r"|(?P<a5>[0-3]?\d)[/.](?P<b5>[0-3]?\d)[/.](?P<y5>(?:19|20)\d\d)\b"
    rf"|(?:Q(?P<q6>[1-4])|(?P<w6>[Ff]irst|[Ss]econd|[Tt]hird|[Ff]ourth) quarter)(?: of)? (?P<y6>{_YEAR}))"
)


@dataclass(frozen=True, slots=True)
class Day:
    """A date, or as much of one as a text states."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    quarter: int | None = None

    def agrees(self, source: "Day") -> bool:
        """Whether a source that states `source` says this: all that this one names is the same there."""
        quarter = source.quarter or (source.month and (source.month + 2) // 3)
        return (
            self.year in (None, source.year)
            and self.month in (None, source.month)
            and self.day in (None, source.day)
            and self.quarter in (None, quarter)
        )


@dataclass(frozen=True, slots=True)
class Dated:
    """A date's place in a text, and what it may mean: 03/04/2024 is a day of April, or of March."""

    text: str
    start: int
    end: int
    readings: tuple[Day, ...]


def dates(text: str) -> tuple[Dated, ...]:
    """The dates of a text, in order. A year alone is a number."""
    found = []
    for match in _DATE.finditer(text):
        if readings := _readings(match):
            found.append(Dated(match[0], match.start(), match.end(), readings))
    return tuple(found)


def _readings(match: re.Match[str]) -> tuple[Day, ...]:
    for form in "123":
        if name := match[f"m{form}"]:
            year = match[f"y{form}"]
            day = re.sub(r"\D", "", match[f"d{form}"]) if form != "3" else ""
            month = _MONTHS[name.rstrip(".").casefold()]
            return (Day(int(year) if year else None, month, int(day) if day else None),)
    if match["y4"]:
        return (Day(int(match["y4"]), int(match["m4"]), int(match["d4"])),)
    if match["y6"]:
        quarter = int(match["q6"]) if match["q6"] else _QUARTERS[match["w6"].casefold()]
        return (Day(int(match["y6"]), quarter=quarter),)
    first, second, year = int(match["a5"]), int(match["b5"]), int(match["y5"])
    both = [Day(year, month, day) for day, month in ((first, second), (second, first)) if 1 <= month <= 12]
    return tuple(dict.fromkeys(both))
