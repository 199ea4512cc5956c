"""Typed variables: what each takes, from text and typed, and what is said of what it does not take."""

import json
import re
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from cryptocontent.content.rules.files import Asset
from cryptocontent.content.templates import (
    Known,
    TemplateError,
    TemplateSpec,
    Variable,
    check_variables,
    sample_value,
)
from cryptocontent.content.templates.variables import VARIABLE_TYPES, read_variables

VARIABLE: TypeAdapter[Any] = TypeAdapter(Variable)
KNOWN = Known(
    {
        one.id: one
        for one in (
            Asset(id="bitcoin", ticker="BTC", name="Bitcoin"),
            Asset(id="bitcoin-cash", ticker="BCH", name="Bitcoin Cash"),
            Asset(id="ethereum", ticker="ETH", name="Ethereum"),
            Asset(id="wormhole", ticker="W", name="Wormhole"),
            Asset(id="wrapped-thing", ticker="w", name="Wrapped Thing"),
        )
    },
    frozenset({"fees", "layer-2", "wallets"}),
)


def read(declared: dict[str, Any], value: Any) -> Any:
    return VARIABLE.validate_python(declared).read(value, KNOWN)


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        ({"type": "text"}, "  a b ", "a b"),
        ({"type": "text"}, 2024.0, "2024"),
        ({"type": "text"}, datetime(2026, 1, 31), "2026-01-31"),
        ({"type": "text", "min_length": 2, "max_length": 3}, "abc", "abc"),
        ({"type": "text", "pattern": r"EIP-\d+"}, "EIP-1559", "EIP-1559"),
        ({"type": "enum", "values": ["1", "2"]}, 2, "2"),
        ({"type": "number"}, "2.50", 2.5),
        ({"type": "number"}, "1e3", 1000),
        ({"type": "number"}, 2024.0, 2024),
        ({"type": "number", "min": -1.5, "max": 3, "integer": True}, "-1", -1),
        ({"type": "date"}, "2026-01-31", "2026-01-31"),
        ({"type": "date"}, date(2026, 1, 31), "2026-01-31"),
        (
            {"type": "date", "min": "2026-01-01", "max": date(2026, 12, 31)},
            datetime(2026, 12, 31),
            "2026-12-31",
        ),
        ({"type": "asset_id"}, "bitcoin", "bitcoin"),
        ({"type": "list"}, "a; b ;;c", ["a", "b", "c"]),
        ({"type": "list"}, ["a", 2], ["a", "2"]),
        ({"type": "list", "items": "text", "max_items": 1}, 7, ["7"]),
        ({"type": "reference_tag"}, "fees", "fees"),
    ],
)
def test_values_come_typed_and_as_text(declared: dict[str, Any], value: Any, expected: Any) -> None:
    result = read(declared, value)
    assert (result, type(result)) == (expected, type(expected))
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize(
    ("declared", "value", "reason"),
    [
        (
            {"type": "text", "min_length": 2, "max_length": 3},
            "abcd",
            "'abcd' has 4 characters; allowed: 2 to 3",
        ),
        ({"type": "text", "pattern": r"EIP-\d+"}, "my EIP-1559 x", r"does not match the pattern EIP-\d+"),
        ({"type": "text", "pattern": "a|b"}, "ab", "does not match"),
        ({"type": "text"}, True, "put it in quotes"),
        ({"type": "text"}, "a\x00b", "control character"),
        ({"type": "text"}, "\udcff", "control character"),
        ({"type": "text"}, "x" * 5001, "has 5,001 characters; at most 5,000"),
        ({"type": "text"}, {"a": 1}, "not a single text"),
        (
            {"type": "enum", "values": ["new", "expert"]},
            "exprt",
            "is not one of new, expert; did you mean 'expert'",
        ),
        ({"type": "number"}, "soon", "'soon' is not a number"),
        ({"type": "number"}, "1,000", "thousands separators"),
        ({"type": "number"}, "1_000", "not a number"),
        ({"type": "number"}, "nan", "not a number"),
        ({"type": "number"}, "inf", "not a number"),
        ({"type": "number"}, "9" * 5000, "not a number"),
        ({"type": "number"}, False, "not a number"),
        ({"type": "number", "integer": True}, "2.5", "'2.5' is not a whole number"),
        ({"type": "number", "min": 2009, "max": 2030}, "1999", "'1999' is not between 2009 and 2030"),
        ({"type": "number", "min": 0.5}, 0, "is not 0.5 or more"),
        ({"type": "number", "max": 3}, "3.01", "is not 3 or less"),
        ({"type": "date"}, "31.1.2026", "not a date such as 2026-01-31"),
        ({"type": "date"}, "20260131", "not a date"),
        ({"type": "date"}, "2026-02-30", "not a date"),
        ({"type": "date"}, datetime(2026, 1, 31, 9, 30), "time of day"),
        ({"type": "date", "min": "2026-01-01"}, "2025-12-31", "is not 2026-01-01 or more"),
        ({"type": "asset_id"}, "btc", "'btc' is a ticker, not an asset id; its id is 'bitcoin' (Bitcoin)"),
        ({"type": "asset_id"}, "W", "'wormhole' (Wormhole) or 'wrapped-thing' (Wrapped Thing)"),
        ({"type": "asset_id"}, "etherum", "'etherum' is not the id of an asset; near it: ethereum"),
        ({"type": "asset_id"}, "Bitcoin Cash", "near it: bitcoin-cash"),
        ({"type": "asset_id"}, "zzzz", "there are 5 in the rules"),
        ({"type": "asset_id"}, "??", "there are 5 in the rules"),
        ({"type": "list", "min_items": 2, "max_items": 3}, "a;", "'a;' has 1 items; allowed: 2 to 3"),
        ({"type": "list"}, ";".join("x" * 101), "has 101 items"),
        (
            {"type": "reference_tag"},
            "fee",
            "not a tag of any active reference; near it or there: fees",
        ),
        ({"type": "reference_tag"}, "zzz", "fees, layer-2, wallets"),
    ],
)
def test_what_is_not_taken_is_named_with_what_is(declared: dict[str, Any], value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        read(declared, value)


@pytest.mark.parametrize(
    "declared",
    [
        {"type": "enum"},
        {"type": "enum", "values": []},
        {"type": "enum", "values": ["a", "a"]},
        {"type": "enum", "values": ["a", True]},
        {"type": "text", "values": ["a"]},
        {"type": "text", "pattern": "(a"},
        {"type": "text", "pattern": "a{1000}{1000}{1000}"},
        {"type": "number", "min": 2, "max": 1},
        {"type": "number", "min": 1.2, "max": 1.8, "integer": True},
        {"type": "number", "max": float("inf")},
        {"type": "date", "min": "2026-02-30"},
        {"type": "list", "items": "number"},
        {"type": "list", "min_items": 3, "max_items": 2},
        {"type": "asset_id", "min": 3},
        {"type": "money"},
        {},
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VARIABLE.validate_python(declared)


@pytest.mark.parametrize(
    "declared",
    [
        *({"type": kind} for kind in VARIABLE_TYPES if kind != "enum"),
        {"type": "enum", "values": ["b", "a"]},
        {"type": "text", "min_length": 40},
        {"type": "text", "max_length": 2},
        {"type": "text", "pattern": "x+", "example": "xx"},
        {"type": "number", "min": 1.2, "integer": True},
        {"type": "number", "max": -3},
        {"type": "date", "min": "2030-01-01"},
        {"type": "date", "max": "2009-01-03"},
        {"type": "list", "min_items": 5},
        {"type": "list", "max_items": 1},
        {"type": "number", "default": 0},
    ],
)
def test_every_sample_is_a_value_that_the_variable_takes(declared: dict[str, Any]) -> None:
    variable = VARIABLE.validate_python(declared)
    sample = sample_value(variable, KNOWN)
    assert variable.read(sample, KNOWN) == sample
    assert variable.allowed()


def test_a_pattern_can_not_be_made_to_run_for_ever() -> None:
    with pytest.raises(ValueError, match="does not match"):
        read({"type": "text", "pattern": "(a+)+b"}, "a" * 5000)


def test_everything_wrong_with_a_briefs_values_is_named_at_once() -> None:
    variables = {
        "topic": VARIABLE.validate_python({"type": "text"}),
        "year": VARIABLE.validate_python({"type": "number", "default": 2024}),
        "asset": VARIABLE.validate_python({"type": "asset_id", "required": False}),
    }
    values, problems = read_variables(variables, {"topik": "x", "year": "soon", "asset": "BTC"}, KNOWN)
    assert values == {}
    assert [(name, value) for name, value, _ in problems] == [
        ("topik", "x"),
        ("topic", ""),
        ("year", "soon"),
        ("asset", "BTC"),
    ]
    assert problems[0][2] == "not a variable; allowed: topic, year, asset; did you mean 'topic'?"
    assert read_variables(variables, {"topic": "x", "asset": " "}, KNOWN)[0] == {
        "topic": "x",
        "year": 2024,
        "asset": "",
    }


@given(st.integers(-(10**15), 10**15) | st.floats(-1e15, 1e15, allow_nan=False))
def test_a_number_is_the_same_from_its_text(number: float) -> None:
    assert read({"type": "number"}, number) == read({"type": "number"}, str(number)) == number


@given(st.dates())
def test_a_date_is_the_same_from_its_text(day: date) -> None:
    assert read({"type": "date"}, day) == read({"type": "date"}, day.isoformat()) == day.isoformat()


@given(
    st.lists(
        st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters=";"), min_size=1), max_size=20
    )
)
def test_a_list_is_the_same_from_its_cell(items: list[str]) -> None:
    assert read({"type": "list"}, items) == read({"type": "list"}, ";".join(items)) == items


@pytest.mark.parametrize(
    ("field", "value"), [("default", "guru"), ("example", "guru"), ("default", 7), ("example", [])]
)
def test_defaults_and_examples_must_be_values(field: str, value: Any) -> None:
    spec = {
        "name": "note",
        "title": "{{ level }}",
        "words": {"min": 5, "max": 500},
        "variables": {"level": {"type": "enum", "values": ["new", "expert"], field: value}},
        "sections": [{"heading": "What", "query": "x", "words": {"min": 5, "max": 500}}],
    }
    with pytest.raises(ValidationError, match=f"variables.level.{field}"):
        TemplateSpec.model_validate(spec)


def test_shipped_assets_decide_where_no_project_is_at_hand() -> None:
    spec = TemplateSpec.model_validate(
        {
            "name": "note",
            "title": "{{ asset }}",
            "words": {"min": 5, "max": 500},
            "variables": {"asset": {"type": "asset_id"}, "tag": {"type": "reference_tag", "required": False}},
            "sections": [{"heading": "What", "query": "x", "words": {"min": 5, "max": 500}}],
        }
    )
    assert check_variables(spec, {"asset": "ethereum", "tag": "anything"}) == {
        "asset": "ethereum",
        "tag": "anything",
    }
    with pytest.raises(TemplateError, match=r"'asset': 'eth' is a ticker.*'ethereum'"):
        check_variables(spec, {"asset": "eth"})
