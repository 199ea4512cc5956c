"""Template files: everything that is wrong is said at once, with file, line, field and what is allowed."""

import time
from pathlib import Path

import pytest

from cryptocontent.content.templates import TemplateError, read_sources, read_template

GOOD = """\
name: note
title: "{{ topic }}"
words: {min: 5, max: 500}
variables:
  topic: {type: text}
sections:
  - heading: What
    query: "{{ topic }}"
    words: {min: 5, max: 500}
"""
# Nine to the power of eleven values in a few lines.
LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


def problems(folder: Path, text: str) -> list[str]:
    """What is wrong with a file, without the folder's name."""
    path = folder / "t.yaml"
    path.write_text(text)
    with pytest.raises(TemplateError) as error:
        read_template(path)
    found = [str(problem).removeprefix(f"{folder}/") for problem in error.value.problems]
    assert found == [line.removeprefix(f"{folder}/") for line in str(error.value).splitlines()]
    return found


def test_every_problem_is_named_at_once_with_its_line(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """\
name: note
tonne: dry
title: "{{ topik }}"
jurisdictions: [generic]
words:
  min: 900
  max: 100
variables:
  topic: {type: text}
  level:
    type: enumm
    values: [a]
  year:
    type: number
    minimum: 3
  title: {type: text}
sections:
  - heading: What
    query: "{{ topic"
    words: {min: 5, max: 500}
  - heading: "{% set a = 1 %}"
    words: {min: x, max: 500}
""",
    )
    expected = [
        ("t.yaml:2: tonne: no such field; allowed: name, extends, description", "did you mean 'tone'?"),
        ("t.yaml:3: title: 'topik' is not a variable; there are: topic, level", "did you mean 'topic'?"),
        ("t.yaml:5: words: min 900 is above max 100", ""),
        ("t.yaml:10: variables.level: 'enumm' is no type; allowed: text, enum", "did you mean 'enum'?"),
        ("t.yaml:15: variables.year.minimum: no such field; allowed: required", "did you mean 'min'?"),
        ("t.yaml:16: variables.title: every brief has a column of this name", ""),
        ("t.yaml:19: sections[1].query: unexpected end of template", ""),
        ("t.yaml:21: sections[2].heading: assignments ({% set %}) can't be used here", ""),
        ("t.yaml:21: sections[2].query: required, but missing", ""),
        ("t.yaml:22: sections[2].words.min: input should be a valid integer", "not 'x'"),
    ]
    assert len(found) == len(expected), found
    for (beginning, somewhere), line in zip(expected, sorted(found, key=_line), strict=True):
        assert line.startswith(beginning) and somewhere in line, line


def _line(problem: str) -> tuple[int, str]:
    return int(problem.split(":")[1]), problem


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: note\n", "name: note\nname: other\n", "t.yaml:2: name: it stands twice; first in line 1"),
        ("name: note", "name: yes", "t.yaml:1: name: a name has lower-case letters"),
        ("name: note\n", "", "t.yaml:1: name: required, but missing"),
        ("name: note\n", "name: note\nno: 1\n", "t.yaml:2: 'no' is not the name of a field"),
        ("name: note\n", "name: note\ntone: 5\n", "t.yaml:2: tone: 5 is not text; put it in quotes"),
        ("name: note\n", "name: note\nextends: A B\n", "t.yaml:2: extends: a name has lower-case"),
        (
            "name: note\n",
            "name: note\njurisdictions: [generic, ukk]\n",
            "t.yaml:2: jurisdictions[2]: 'ukk'",
        ),
        (
            "{type: text}",
            "{type: text, min_length: 9, max_length: 3}",
            "t.yaml:5: variables.topic: min_l",
        ),
        (
            "{type: text}",
            "{type: text, pattern: '(a'}",
            "t.yaml:5: variables.topic: pattern '(a'",
        ),
        (
            "{type: text}",
            "{type: text, pattern: '(?=a)b'}",
            "t.yaml:5: variables.topic: pattern",
        ),
        ("{type: text}", "{values: [a]}", "t.yaml:5: variables.topic: `type` is missing; allowed: text"),
        (
            "{type: text}",
            "{type: text, default: true}",
            "t.yaml:5: variables.topic.default: True",
        ),
        ("topic: {type: text}", "to-pic: {type: text}", "t.yaml:5: variables.to-pic: a variable's name has"),
        ("query: ", "inherit: all\n    query: ", "t.yaml:8: sections[1].inherit: there is no base"),
        (
            "name: note\n",
            "name: note\nrequired_phrases: ['{{ x }}']\n",
            "t.yaml:2: required_phrases[1]: 'x'",
        ),
        ("name: note\n", "name: note\ninternal_links: {min: 3, max: 1}\n", "t.yaml:2: internal_links: min 3"),
        ("  max: 500}\nvar", "  max: 2026-13-45}\nvar", "t.yaml:3: words.max: month must be"),
    ],
)
def test_what_yaml_or_the_model_lets_pass_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    text = GOOD.replace("words: {min: 5, max: 500}\nvar", "words: {min: 5,  max: 500}\nvar")
    assert old in text
    found = problems(tmp_path, text.replace(old, new, 1))
    assert any(one.startswith(expected) for one in found), found


def test_unknown_jurisdictions_are_refused_naming_those_of_the_rules(tmp_path: Path) -> None:
    from cryptocontent.content.rules import shipped_rules

    (found,) = problems(tmp_path, GOOD + "jurisdictions: [generik]\n")
    assert "did you mean 'generic'?" in found
    for one in shipped_rules().jurisdictions.jurisdictions:
        assert one.id in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a template is a mapping"),
        ("- a\n", "t.yaml:1: a template is a mapping"),
        ("name: a\n---\nname: b\n", "t.yaml:2: but found another document"),
        ("name: !!python/object/apply:os.system [echo]\n", "t.yaml:1: name: "),
        ("name: a\ntitle: [x\n", "t.yaml:3: "),
        ("name: a\n\ttitle: x\n", "t.yaml:2: "),
        ("name: \x01\n", "special characters are not allowed"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n<<: {name: x}\n", "t.yaml:3: '<<' is not the name of a field"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("a: " + "[" * 15 + "]" * 15, "too large or too deep"),
        ("a: &a\n  - *a\n", "too large or too deep"),
        (LAUGHS, "too large or too deep"),
        ("name: " + "x" * 300_000, "larger than 200,000 bytes"),
    ],
)
def test_hostile_and_broken_yaml_is_refused_in_no_time(tmp_path: Path, text: str, expected: str) -> None:
    began = time.monotonic()
    found = problems(tmp_path, text)
    assert expected in found[0]
    assert time.monotonic() - began < 2


def test_a_file_in_another_encoding_or_that_is_not_there_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "t.yaml"
    bad.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(TemplateError, match=r"t\.yaml: .*utf-8"):
        read_template(bad)
    with pytest.raises(TemplateError, match=r"gone\.yaml: .*No such file"):
        read_template(tmp_path / "gone.yaml")


def test_all_files_are_read_before_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a b\n")
    (tmp_path / "b.yaml").write_text("- x\n")
    with pytest.raises(TemplateError) as error:
        read_sources([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert [Path(one.file).name for one in error.value.problems] == ["a.yaml", "b.yaml"]


def test_a_base_is_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "note.yaml").write_text(GOOD)
    child = tmp_path / "child.yaml"
    child.write_text("name: child\nextends: note\ntone: dry\nwords: {max: 400}\n")
    spec = read_template(child)
    assert (spec.name, spec.tone, spec.words.min, spec.words.max) == ("child", "dry", 5, 400)
    # What is wrong in what a child inherits is named where it was written.
    (tmp_path / "note.yaml").write_text(GOOD.replace("{{ topic }}", "{{ topik }}", 1))
    with pytest.raises(TemplateError, match=r"note\.yaml:2: title: 'topik'"):
        read_template(child)
    (tmp_path / "note.yaml").unlink()
    with pytest.raises(TemplateError, match=r"child\.yaml:2: extends: no template 'note'"):
        read_template(child)
