"""Single values of a brief, and what exists for them to name."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from cryptocontent.content.rules import Rules, shipped_rules
from cryptocontent.content.rules.files import Asset

MAX_TEXT = 5_000
"""Characters that a text variable's value may have at most."""
MAX_ITEMS = 100
"""Items that a list variable's value may have at most."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Strict(BaseModel):
    """A model that refuses unknown fields and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Known:
    """What exists for variables to name: assets by id, and the tags that the project's active references
    bear. `tags` is None where no project is at hand: then tags are not checked."""

    assets: Mapping[str, Asset]
    tags: frozenset[str] | None = None


def known_by(rules: Rules, tags: Iterable[str] | None = None) -> Known:
    """What `rules` and `tags` make known."""
    assets = {asset.id: asset for asset in rules.assets.assets}
    return Known(assets, None if tags is None else frozenset(tags))


@cache
def shipped_known() -> Known:
    """The assets of the rules as they ship, and no word on tags."""
    return known_by(shipped_rules())


def near(word: str, words: Iterable[str], limit: int = 3) -> list[str]:
    """The words of `words` that `word` may have meant, best first."""
    from rapidfuzz import process, utils
    from rapidfuzz.distance import JaroWinkler

    if not utils.default_process(word):
        return []
    # 0.8 of Jaro-Winkler: a slip or two, or the same beginning; not merely some letters in common.
    found = process.extract(
        word,
        list(words),
        scorer=JaroWinkler.normalized_similarity,
        processor=utils.default_process,
        score_cutoff=0.8,
        limit=limit,
    )
    return [choice for choice, _, _ in found]


def hint(word: str, words: Iterable[str]) -> str:
    """`; did you mean 'tone'?`, or nothing if nothing is near."""
    close = near(word, words, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def plain_text(value: Any) -> str:
    """A single value as text, stripped; `ValueError` for what is no single value or can't be stored."""
    match value:
        case bool():
            raise ValueError(f"{value!r} is true or false, not text: put it in quotes")
        case str():
            text = value.strip()
        case int():
            text = str(value)
        case float():
            text = str(int(value)) if value.is_integer() else str(value)
        case datetime() if value.time() == datetime.min.time():
            text = value.date().isoformat()
        case date():
            text = value.isoformat()
        case _:
            raise ValueError(f"{value!r} is not a single text")
    if found := _CONTROL.search(text):
        raise ValueError(f"{text!r} holds the control character {found[0]!r}")
    if len(text) > MAX_TEXT:
        raise ValueError(f"{text[:40]!r}… has {len(text):,} characters; at most {MAX_TEXT:,}")
    return text


def read_date(value: Any) -> date:
    """A date from text such as `2026-01-31`, or typed; `ValueError` saying what is wrong."""
    if isinstance(value, datetime):
        if value.time() != datetime.min.time():
            raise ValueError(f"{value.isoformat(' ')!r} has a time of day; a date is wanted")
        return value.date()
    if isinstance(value, date):
        return value
    text = str(value).strip()
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError(f"{value!r} is not a date such as 2026-01-31")


def read_number(value: Any) -> int | float:
    """A finite number from text or typed, whole if it is; `ValueError` saying what is wrong."""
    text = str(value).strip()
    if isinstance(value, bool) or "_" in text or len(text) > 40:
        raise ValueError(f"{value!r} is not a number")
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        commas = "; write it without thousands separators and with a decimal point" if "," in text else ""
        raise ValueError(f"{value!r} is not a number{commas}") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return int(number) if number.is_integer() else number
