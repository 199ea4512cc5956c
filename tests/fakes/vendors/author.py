"""A script that answers anything: a valid answer for whatever form is asked for.

Agents' tests add their own authors: `@author(TitlesAnswer)` above a function from `Asked` to the answer.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from tests.fakes.vendors.asked import SHAPES, Asked, Reply, root

Author = Callable[[Asked], Mapping[str, Any]]
AUTHORS: dict[str, Author] = {}
"""Who writes an answer, by the title of its form: the name of the pydantic class."""


def know(*models: type[BaseModel]) -> None:
    """Make `Asked.title` find these forms of answer: an output tool's schema does not bear its name."""
    for model in models:
        SHAPES[frozenset(root(model.model_json_schema())["properties"])] = model.__name__


def author(model: type[BaseModel]) -> Callable[[Author], Author]:
    """Have a function write all answers of that form."""
    know(model)

    def registered(function: Author) -> Author:
        AUTHORS[model.__name__] = function
        return function

    return registered


def obedient(asked: Asked) -> Reply:
    """The answer of the form's author, or one made from its schema; text where no form is asked for."""
    if asked.schema is None:
        return Reply(text="Here is the text that was asked for.")
    if written := AUTHORS.get(asked.title):
        return Reply(json=dict(written(asked)))
    return Reply(json=example(asked.schema))


def example(schema: Mapping[str, Any], name: str = "answer") -> Any:
    """A valid instance of a JSON schema, the same each time: optional properties that may be null are, arrays
    are as short as allowed, strings come from the names of their properties."""
    return _example(schema, name, schema.get("$defs", {}), 0)


def _example(schema: Mapping[str, Any], name: str, defs: Mapping[str, Any], depth: int) -> Any:
    while "$ref" in schema:
        schema = {
            **defs[schema["$ref"].rsplit("/", 1)[-1]],
            **{k: v for k, v in schema.items() if k != "$ref"},
        }
        depth += 1
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "default" in schema and depth > 8:
        return schema["default"]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            options = schema[several]
            # What may be absent is, and no recursive form goes on for ever.
            empty = [one for one in options if one.get("type") == "null"]
            return None if empty else _example(options[0], name, defs, depth + 1)
    if "allOf" in schema:
        merged: dict[str, Any] = {}
        for one in schema["allOf"]:
            merged |= one
        return _example(merged, name, defs, depth + 1)
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = "null" if "null" in kind else kind[0]
    match kind.lower():
        case "object":
            return _object(schema, defs, depth)
        case "array":
            items = schema.get("prefixItems") or [schema.get("items", {})] * schema.get("minItems", 0)
            return [_example(one, f"{name} {at}", defs, depth + 1) for at, one in enumerate(items, start=1)]
        case "integer" | "number":
            return _number(schema, kind.lower() == "integer")
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return _text(schema, name)


def _object(schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int) -> dict[str, Any]:
    required = schema.get("required", ())
    return {
        name: _example(one, name, defs, depth + 1)
        for name, one in schema.get("properties", {}).items()
        if name in required
    }


def _number(schema: Mapping[str, Any], whole: bool) -> int | float:
    step = 1 if whole else 0.5
    value: float = 1
    if "maximum" in schema:
        value = min(value, schema["maximum"])
    if "exclusiveMaximum" in schema:
        value = min(value, schema["exclusiveMaximum"] - step)
    if "minimum" in schema:
        value = max(value, schema["minimum"])
    if "exclusiveMinimum" in schema:
        value = max(value, schema["exclusiveMinimum"] + step)
    if multiple := schema.get("multipleOf"):
        value = -(-value // multiple) * multiple
    return int(value) if whole else value


_FORMATS = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "uuid": "12345678-1234-4234-8234-123456789abc",
    "uri": "https://example.org/",
    "email": "someone@example.org",
}


def _text(schema: Mapping[str, Any], name: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    text = name.replace("_", " ")
    if pattern := schema.get("pattern"):
        text = _matching(pattern, text)
    while len(text) < schema.get("minLength", 0):
        text += f" and {text}" if not schema.get("pattern") else text[-1:] or "a"
    text = text[: schema.get("maxLength", len(text))]
    # A text cut off after a word would end in a blank, which forms that strip it count as shorter.
    return text if text == text.rstrip() else text.rstrip() + "x"


def _matching(pattern: str, text: str) -> str:
    """Something that matches, for the patterns that our forms use."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "a"
    for candidate in (
        text,
        slug,
        slug.replace("-", "_"),
        slug.replace("-", ""),
        "a",
        "A",
        "1",
        "1.1",
        "0" * 64,
    ):
        if re.search(pattern, candidate):
            return candidate
    raise ValueError(f"no example is known for the pattern {pattern!r}; register an author for the form")
