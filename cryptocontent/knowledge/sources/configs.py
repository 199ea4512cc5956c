"""Configurations of sources on the web: their fields, defaults and bounds; and when to look again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptocontent.errors import Refused
from cryptocontent.integrations.web import parse
from cryptocontent.knowledge.sources.seam import Look, Unavailable
from cryptocontent.storage.types import utc_now

MOST_ID = 1000
"""Characters of an item's or a reference's external id."""
_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Field:
    """A field: `read` makes a value of what a person wrote (`ValueError`, `TypeError`, or `Refused` if it
    can't), `allowed` says what may be there."""

    read: Callable[[Any], Any]
    allowed: str
    default: Any = _MISSING


def checked(config: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    """The configuration with its defaults; `Refused` names the field and what is allowed."""
    if unknown := sorted(set(config) - set(fields)):
        raise Refused(f"{unknown[0]}: unknown; allowed are {', '.join(fields)}")
    values = {}
    for name, one in fields.items():
        value = config.get(name, one.default)
        if value is _MISSING:
            raise Refused(f"{name} is missing: {one.allowed}")
        try:
            values[name] = one.read(value)
        except Refused as error:
            raise Refused(f"{name}: {error}") from None
        except (ValueError, TypeError):
            raise Refused(f"{name} {value!r}: {one.allowed}") from None
    return values


def address(value: Any) -> str:
    """An address of the web, in its canonical form."""
    if not isinstance(value, str):
        raise Refused(f"an address is text, not {type(value).__name__}")
    text = str(parse(value))
    if len(text) > MOST_ID:
        raise Refused(f"an address of a source has at most {MOST_ID:,} characters")
    return text


def addresses(value: Any) -> list[str]:
    """One to 500 addresses, each once."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not 0 < len(given) <= 500:
        raise Refused("give a list of 1 to 500 addresses")
    return list(dict.fromkeys(map(address, given)))


def number(least: float, most: float) -> Callable[[Any], float]:
    """A number between the two."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not least <= float(value) <= most:
            raise ValueError
        return float(value)

    return read


def whole(least: int, most: int) -> Callable[[Any], int]:
    """A whole number between the two."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or int(value) != float(value) or not least <= int(value) <= most:
            raise ValueError
        return int(value)

    return read


def patterns(value: Any) -> list[str]:
    """Patterns of paths or addresses, in which `*` stands for anything."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(one, str) and one for one in given):
        raise ValueError
    return list(given)


def text(value: Any) -> str:
    """A short text, on one line."""
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError
    return " ".join(value.split())


def common(every_hours: float) -> dict[str, Field]:
    """The fields of every source on the web."""
    return {
        "licence": Field(text, "a licence note of at most 200 characters, for every page of the source", ""),
        "every_hours": Field(number(0.01, 8760), "hours between two looks, 0.01 to 8760", every_hours),
        "delay": Field(number(0, 60), "seconds between two requests to a host, 0 to 60", 1.0),
    }


def is_due(look: Look) -> bool:
    """Whether it is time to look. A look that failed is not repeated at once; until it is, it fails again
    with what stopped it, so that people go on seeing it."""
    cursor = look.cursor
    if look.full or utc_now() >= datetime.fromisoformat(cursor.get("next_at") or "2000-01-01T00:00:00+00:00"):
        return True
    if cursor.get("error"):
        at = datetime.fromisoformat(cursor["next_at"])
        raise Unavailable(f"{cursor['error']} (asked again at {at:%H:%M} UTC, or by `source sync --full`)")
    return False


def after(hours: float) -> dict[str, str]:
    """What a cursor says of the next look. The one of a look that went well holds no error."""
    return {"next_at": (utc_now() + timedelta(hours=hours)).isoformat()}


def failed(error: Unavailable | Refused) -> dict[str, str]:
    """What a cursor says after a look that failed."""
    seconds = error.seconds if isinstance(error, Unavailable) else 3600.0
    return after((seconds or 900.0) / 3600) | {"error": str(error)}
