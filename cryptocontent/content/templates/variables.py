"""Variables: what a brief fills in, by type. Each type reads a value that comes from text (CSV, command
line) or typed (YAML, XLSX, JSON), and says in words what it takes.

Values come out as JSON holds them: text, whole or decimal numbers, dates as `2026-01-31`, lists of text.
"""

import math
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from cryptocontent.content.templates.values import (
    MAX_ITEMS,
    MAX_TEXT,
    Known,
    Strict,
    hint,
    near,
    plain_text,
    read_date,
    read_number,
    shipped_known,
)

VariableName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]


class _Variable(Strict):
    required: bool = True
    default: Any = None
    example: Any = None
    description: str = Field("", max_length=500)

    def read(self, value: Any, known: Known) -> Any:
        """The typed value; `ValueError` naming the value and what is allowed."""
        raise NotImplementedError

    def allowed(self) -> str:
        """In words, what it takes."""
        raise NotImplementedError

    def invented(self, known: Known) -> Any:
        """A value that it takes, where neither example nor default is given."""
        raise NotImplementedError


class TextVariable(_Variable):
    """Any text, with bounds of length in characters and a pattern that the whole of it must match. The
    pattern is in Rust's regex syntax (no look-around): it can't be made to run for ever."""

    type: Literal["text"]
    min_length: int = Field(0, ge=0, le=MAX_TEXT)
    max_length: int = Field(MAX_TEXT, ge=1, le=MAX_TEXT)
    pattern: str | None = Field(None, min_length=1, max_length=500)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _ordered(self.min_length, self.max_length, "min_length", "max_length")
        if self.pattern is not None:
            _matcher(self.pattern)
        return self

    def read(self, value: Any, known: Known) -> str:
        text = plain_text(value)
        if not self.min_length <= len(text) <= self.max_length:
            raise ValueError(f"{text[:80]!r} has {len(text)} characters; allowed: {self._length()}")
        if self.pattern is not None and not _matcher(self.pattern).isinstance_python(text):
            raise ValueError(f"{text!r} does not match the pattern {self.pattern}")
        return text

    def _length(self) -> str:
        return f"{self.min_length} to {self.max_length}"

    def allowed(self) -> str:
        length = (self.min_length, self.max_length) != (0, MAX_TEXT)
        return (
            "text"
            + (f" of {self._length()} characters" if length else "")
            + (f" that matches {self.pattern}" if self.pattern else "")
        )

    def invented(self, known: Known) -> str:
        text = "Sample"
        while len(text) < self.min_length:
            text += " sample"
        return text[: self.max_length].strip().ljust(self.min_length, "x")


class EnumVariable(_Variable):
    """One of a list of values."""

    type: Literal["enum"]
    values: tuple[Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)], ...]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.values or len(self.values) > 500:
            raise ValueError("an enum needs 1 to 500 `values`")
        if twice := sorted({value for value in self.values if self.values.count(value) > 1}):
            raise ValueError(f"the value {twice[0]!r} stands twice in `values`")
        return self

    def read(self, value: Any, known: Known) -> str:
        text = plain_text(value)
        if text not in self.values:
            meant = hint(text, self.values) if len(self.values) > 1 else ""
            raise ValueError(f"{text!r} is not one of {', '.join(self.values)}{meant}")
        return text

    def allowed(self) -> str:
        return f"one of {', '.join(self.values)}"

    def invented(self, known: Known) -> str:
        return self.values[0]


class NumberVariable(_Variable):
    """A number between `min` and `max`, both included; with `integer` a whole one."""

    type: Literal["number"]
    min: float | None = Field(None, allow_inf_nan=False)
    max: float | None = Field(None, allow_inf_nan=False)
    integer: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _ordered(self.min, self.max, "min", "max")
        if self.integer and self.min is not None and self.max is not None:
            _ordered(math.ceil(self.min), math.floor(self.max), "the least whole number", "the greatest one")
        return self

    def read(self, value: Any, known: Known) -> int | float:
        number = read_number(value)
        if self.integer and not isinstance(number, int):
            raise ValueError(f"{value!r} is not a whole number")
        low = -math.inf if self.min is None else self.min
        high = math.inf if self.max is None else self.max
        if not low <= number <= high:
            raise ValueError(f"{value!r} is not {_bounds(self.min, self.max)}")
        return number

    def allowed(self) -> str:
        kind = "a whole number" if self.integer else "a number"
        return f"{kind} {_bounds(self.min, self.max)}".strip()

    def invented(self, known: Known) -> int | float:
        if self.min is None:
            number = 1.0 if self.max is None else min(1.0, self.max)
            number = math.floor(number) if self.integer else number
        else:
            number = math.ceil(self.min) if self.integer else self.min
        return int(number) if float(number).is_integer() else number


class DateVariable(_Variable):
    """A day, between `min` and `max`, both included."""

    type: Literal["date"]
    min: date | None = None
    max: date | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _ordered(self.min, self.max, "min", "max")
        return self

    def read(self, value: Any, known: Known) -> str:
        day = read_date(value)
        if (self.min and day < self.min) or (self.max and day > self.max):
            raise ValueError(f"{day.isoformat()!r} is not {_bounds(self.min, self.max)}")
        return day.isoformat()

    def allowed(self) -> str:
        return f"a date such as 2026-01-31 {_bounds(self.min, self.max)}".strip()

    def invented(self, known: Known) -> str:
        day = date(2026, 1, 1)
        if self.min and day < self.min:
            day = self.min
        if self.max and day > self.max:
            day = self.max
        return day.isoformat()


class AssetVariable(_Variable):
    """The id of an asset of the project's rules (`bitcoin`), never its ticker: several may bear one."""

    type: Literal["asset_id"]

    def read(self, value: Any, known: Known) -> str:
        text = plain_text(value)
        if text in known.assets:
            return text
        folded = text.casefold()
        if bearers := [one for one in known.assets.values() if one.ticker.casefold() == folded]:
            ids = " or ".join(f"{one.id!r} ({one.name})" for one in bearers)
            raise ValueError(f"{text!r} is a ticker, not an asset id; its id is {ids}")
        spellings = {one.id: one.id for one in known.assets.values()}
        spellings |= {one.name: one.id for one in known.assets.values()}
        close = list(dict.fromkeys(spellings[found] for found in near(text, spellings, 6)))[:3]
        meant = f"; near it: {', '.join(close)}" if close else f"; there are {len(known.assets)} in the rules"
        raise ValueError(f"{text!r} is not the id of an asset{meant}")

    def allowed(self) -> str:
        return "the id of an asset, such as bitcoin"

    def invented(self, known: Known) -> str:
        return "bitcoin" if "bitcoin" in known.assets else next(iter(known.assets), "bitcoin")


class ListVariable(_Variable):
    """Texts; in a cell separated by `;`. Empty items are left out."""

    type: Literal["list"]
    items: Literal["text"] = "text"
    min_items: int = Field(0, ge=0, le=MAX_ITEMS)
    max_items: int = Field(MAX_ITEMS, ge=1, le=MAX_ITEMS)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _ordered(self.min_items, self.max_items, "min_items", "max_items")
        return self

    def read(self, value: Any, known: Known) -> list[str]:
        parts = value if isinstance(value, list | tuple) else plain_text(value).split(";")
        items = [text for part in parts if (text := plain_text(part))]
        if not self.min_items <= len(items) <= self.max_items:
            raise ValueError(
                f"{value!r} has {len(items)} items; allowed: {self.min_items} to {self.max_items}"
            )
        return items

    def allowed(self) -> str:
        bounds = (self.min_items, self.max_items) != (0, MAX_ITEMS)
        return "texts separated by ;" + (f", {self.min_items} to {self.max_items} of them" if bounds else "")

    def invented(self, known: Known) -> list[str]:
        count = min(max(2, self.min_items), self.max_items)
        return ["one", "two", *(f"item {number}" for number in range(3, count + 1))][:count]


class TagVariable(_Variable):
    """A tag that at least one active reference of the project bears."""

    type: Literal["reference_tag"]

    def read(self, value: Any, known: Known) -> str:
        text = plain_text(value)
        if known.tags is None or text in known.tags:
            return text
        close = near(text, sorted(known.tags)) or sorted(known.tags)[:10]
        meant = f"near it or there: {', '.join(close)}" if close else "no active reference has tags"
        raise ValueError(f"{text!r} is not a tag of any active reference; {meant}")

    def allowed(self) -> str:
        return "a tag of an active reference"

    def invented(self, known: Known) -> str:
        return min(known.tags, default="tag") if known.tags is not None else "tag"


Variable = Annotated[
    TextVariable | EnumVariable | NumberVariable | DateVariable | AssetVariable | ListVariable | TagVariable,
    Field(discriminator="type"),
]
"""What a brief must or may fill in."""

VARIABLE_TYPES: dict[str, type[_Variable]] = {
    "text": TextVariable,
    "enum": EnumVariable,
    "number": NumberVariable,
    "date": DateVariable,
    "asset_id": AssetVariable,
    "list": ListVariable,
    "reference_tag": TagVariable,
}


def sample_value(variable: Variable, known: Known | None = None) -> Any:
    """A value that the variable takes, for previews and checks: its example, else its default."""
    known = known or shipped_known()
    given = variable.example if variable.example is not None else variable.default
    return variable.invented(known) if given is None else variable.read(given, known)


def read_variables(
    variables: Mapping[str, Variable], given: Mapping[str, Any], known: Known
) -> tuple[dict[str, Any], list[tuple[str, Any, str]]]:
    """The values of a brief, typed and with defaults, and everything that is wrong with them: variable,
    value and reason. An empty value counts as not given; one that needn't be given is then `""`."""
    values: dict[str, Any] = {}
    problems: list[tuple[str, Any, str]] = []
    for name, value in given.items():
        if name not in variables:
            allowed = ", ".join(variables) or "none"
            problems.append((name, value, f"not a variable; allowed: {allowed}{hint(name, variables)}"))
    for name, variable in variables.items():
        value = given.get(name)
        if _empty(value):
            if variable.default is None and variable.required:
                problems.append((name, "", f"required ({variable.allowed()})"))
                continue
            value = variable.default
        try:
            values[name] = "" if _empty(value) else variable.read(value, known)
        except ValueError as error:
            problems.append((name, value, str(error)))
    return values, problems


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value == [] or value == ()


def _ordered(low: Any, high: Any, low_name: str, high_name: str) -> None:
    if low is not None and high is not None and low > high:
        raise ValueError(f"{low_name} {low} is above {high_name} {high}")


def _bounds(low: Any, high: Any) -> str:
    shown = [f"{bound:g}" if isinstance(bound, float) else str(bound) for bound in (low, high)]
    match low, high:
        case None, None:
            return ""
        case _, None:
            return f"{shown[0]} or more"
        case None, _:
            return f"{shown[1]} or less"
        case _:
            return f"between {shown[0]} and {shown[1]}"


@lru_cache(maxsize=500)
def _matcher(pattern: str) -> Any:
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        # The Rust engine takes time linear in the text, whatever the pattern.
        schema = core_schema.str_schema(pattern=f"^(?:{pattern})$", regex_engine="rust-regex")
        return SchemaValidator(schema)
    except SchemaError as error:
        reason = " ".join(str(error).split("error:")[-1].split())
        raise ValueError(f"pattern {pattern!r} is no regular expression: {reason}") from None
