"""What a template's text may do, and that what it may not do ends at once."""

import time
from typing import Any

import pytest

from cryptocontent.content.templates.rendering import MAX_OUTPUT, TextError, render, text_problem

VALUES: dict[str, Any] = {"topic": "Base fee", "items": ["one", "two"], "year": 2024, "angle": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ topic }}, explained", "Base fee, explained"),
        ("{{ topic | upper }}  in\n{{ year }}", "BASE FEE in 2024"),
        ("a{% if angle %}, {{ angle }}{% else %}.{% endif %}", "a."),
        ("{% for item in items %}{{ item }}{% if not loop.last %}, {% endif %}{% endfor %}", "one, two"),
        ("{{ items | join(' and ') }}, {{ items | length }}", "one and two, 2"),
        ("{{ items[0] }} {{ year - 1 }} {{ 'x' ~ year }}", "one 2023 x2024"),
        ("{{ 'new' if year > 2020 and topic is defined else 'old' }}", "new"),
        ("{{ topic | replace('fee', 'cost') | default('x') }}", "Base cost"),
    ],
)
def test_what_templates_need_is_there(text: str, expected: str) -> None:
    assert text_problem(text, list(VALUES), ["items"]) == ""
    assert render(text, VALUES) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ ''.__class__.__mro__ }}", "__mro__"),
        ("{{ topic.__class__ }}", "__class__"),
        ("{{ topic['__class__'] }}", "only the number"),
        ("{{ topic | attr('__class__') }}", "no filter 'attr'"),
        ("{{ topic.upper() }}", "calls"),
        ("{{ lipsum(n=1000000000) }}", "calls"),
        ("{% for i in range(1000000000) %}x{% endfor %}", "goes over a variable"),
        (
            "{% for a in items %}" * 3 + "{% endfor %}" * 3,
            "two",
        ),
        ("{% for a in items recursive %}{{ a }}{% endfor %}", "goes over a variable"),
        ("{% for a in topic %}{{ a }}{% endfor %}", "lists only"),
        ("{{ 'a' * 10 ** 9 }}", "operator *"),
        ("{{ 9 ** 9 ** 9 }}", "operator **"),
        ("{{ '%1000000000d' % 1 }}", "operator %"),
        ("{{ topic | center(1000000000) }}", "no filter 'center'"),
        ("{{ 1.5 | round(1000000000, 'ceil') }}", "no filter 'round'"),
        ("{% set a = 'x' %}{{ a }}", "assignments"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "macros"),
        ("{% include '/etc/passwd' %}", "includes"),
        ("{% import '/etc/passwd' as a %}", "imports"),
        ("{% from 'os' import system %}", "imports"),
        ("{% extends 'base' %}", "extends"),
        ("{{ config }}", "'config' is not a variable"),
        ("{{ self }}", "self"),
        ("{{ topic", "unexpected end of template"),
        ("{% if %}", "Expected an expression"),
        ("{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}", "nested too deeply"),
    ],
)
def test_what_they_must_not_do_is_refused_before_it_runs(text: str, reason: str) -> None:
    began = time.monotonic()
    assert reason in text_problem(text, list(VALUES), ["items"])
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "text",
    [
        "{{ topic }}" * 2000,
        "{% for a in items %}{% for b in items %}{{ topic }}{% endfor %}{% endfor %}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ topic" + " | replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 20 + " }}",
        "{{ topic + year }}",
        "{{ missing }}",
    ],
)
def test_rendering_ends_soon_and_with_a_reason(text: str) -> None:
    values = VALUES | {"items": ["x"] * 100, "topic": "a" * 100}
    began = time.monotonic()
    with pytest.raises(TextError):
        render(text, values)
    assert time.monotonic() - began < 1


def test_output_is_bounded_at_its_very_length() -> None:
    assert len(render("{{ topic }}", {"topic": "a" * MAX_OUTPUT})) == MAX_OUTPUT
    with pytest.raises(TextError, match="10,000"):
        render("{{ topic }}", {"topic": "a" * (MAX_OUTPUT + 1)})


def test_a_value_is_data_never_a_template() -> None:
    assert render("{{ topic }}", {"topic": "{{ 7 * 7 }}{% set a = 1 %}"}) == "{{ 7 * 7 }}{% set a = 1 %}"
