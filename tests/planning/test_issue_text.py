"""What an issue's description says to the newsroom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocontent.planning.issue_text import MOST_CHARACTERS, read_description

WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="`~\\"),
    max_size=40,
)


def test_a_block_holds_the_brief_and_the_rest_is_a_note() -> None:
    block = "```brief\ntemplate: explainer\nkeywords: fees; gas\ntopic: the base fee\n```"
    found = read_description(f"Readers ask.\n\n{block}\n\nKeep it short.")
    assert found.problems == []
    assert found.cells == {"template": "explainer", "keywords": "fees; gas", "topic": "the base fee"}
    assert found.note == "Readers ask.\n\nKeep it short."


def test_a_description_without_a_block_is_a_note() -> None:
    found = read_description("Just write.\n\n```python\nx = 1\n```")
    assert found.cells == {} and found.problems == []
    assert found.note == "Just write.\n\n```python\nx = 1\n```"


@pytest.mark.parametrize(
    ("block", "cells"),
    [
        ("variables:\n  topic: fees\n  points: [a, b]", {"topic": "fees", "points": ["a", "b"]}),
        ("keywords:\n  - gas\n  - base fee", {"keywords": "gas;base fee"}),
        ("topic: EIP-1559: the base fee", {"topic": "EIP-1559: the base fee"}),  # no YAML
        ("variables:\n  topic: EIP-1559: fees", {"topic": "EIP-1559: fees"}),
        ("topic: yes\nyear: 2026\nday: 2026-12-01", {"topic": "yes", "year": "2026", "day": "2026-12-01"}),
        ("# a remark\n\ntopic: 'quoted: text'", {"topic": "quoted: text"}),
        ("topic: a: 'b'\nangle: \"x\"", {"topic": "a: 'b'", "angle": "x"}),
        ("", {}),
    ],
)
def test_fields_are_yaml_or_lines_and_values_are_text(block: str, cells: dict[str, object]) -> None:
    found = read_description(f"```brief\n{block}\n```")
    assert found.problems == []
    assert found.cells == cells


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("```brief\ntitle: Mine\n```", "the issue's title"),
        ("```brief\ndue_date: 2026-12-01\n```", "the issue's due date"),
        ("```brief\ntopic:\n  deep: er\n```", "a text, or a list of texts"),
        ("```brief\nonly words\n```", "no `name: value`"),
        ("```brief\na: 1\n```\n```brief\nb: 2\n```", "2 blocks"),
        ("```brief\ntopic: a\nvariables:\n  topic: b\n```", "once is enough"),
        ("```brief\na: &x [1]\nb: *x\n```", "aliases"),
        (f"```brief\ntopic: {'x' * MOST_CHARACTERS}\n```", "at most 20,000"),
    ],
)
def test_what_is_wrong_with_a_block_is_said(text: str, word: str) -> None:
    problems = read_description(text).problems
    assert any(word in str(problem) for problem in problems), problems


@given(
    note=st.lists(WORDS, max_size=5),
    values=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), WORDS, max_size=5),
)
def test_no_value_is_changed_and_no_note_lost(note: list[str], values: dict[str, str]) -> None:
    import json

    values = {
        name: value
        for name, value in values.items()
        if name not in ("title", "priority", "assignee", "variables")
    }
    lines = "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    text = f"```brief\n{lines}\n```\n\n" + "\n\n".join(note)
    found = read_description(text)
    assert found.problems == []
    assert found.cells == values
    assert found.note == "\n\n".join(note).strip()


@given(st.text(max_size=200))
def test_any_block_is_read_or_refused(text: str) -> None:
    found = read_description(f"```brief\n{text}\n```")
    assert all(isinstance(value, str | list) for value in found.cells.values())
