"""A matrix makes each combination once, is checked as an import is, and says where a bad value stands."""

from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from cryptocontent.audit import Actor, verify
from cryptocontent.content.briefs import ImportReport
from cryptocontent.content.matrix import import_matrix, named_values, read_values
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import TemplateSpec, save_template
from cryptocontent.errors import NotFound, Refused
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Brief
from tests.content.test_templates import GOOD

WHO = Actor("test", "t")
WORDS = st.lists(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=6, unique=True)


def make(engine: Engine) -> Engine:
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
        save_template(session, "p", TemplateSpec.model_validate(GOOD), WHO)
    return engine


@pytest.fixture
def project(engine: Engine) -> Engine:
    return make(engine)


@pytest.fixture
def light(sqlite_engine: Engine) -> Engine:
    return make(sqlite_engine)


def run(engine: Engine, values: dict[str, Any], **options: Any) -> ImportReport:
    with writing(engine) as session:
        return import_matrix(session, "p", options.pop("template", "explainer"), values, WHO, **options)


def count(engine: Engine) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(Brief)) or 0


def test_every_combination_is_a_brief_and_none_is_made_twice(project: Engine) -> None:
    values = {"topic": ["Blobs", "Gas"], "level": ["new", "expert"]}
    assert len(run(project, values, dry_run=True).created) == 4 and count(project) == 0
    report = run(project, values, common={"priority": "high", "keywords": "a;b", "due_date": "2027-01-02"})
    assert len(report.created) == count(project) == 4
    with reading(project) as session:
        briefs = session.scalars(select(Brief)).all()
        assert verify(session, "p").broken_at is None
    assert {(one.variables["topic"], one.variables["level"]) for one in briefs} == set(
        product(*values.values())
    )
    assert {(one.origin, one.priority, *one.keywords) for one in briefs} == {("matrix", "high", "a", "b")}
    more = run(project, values | {"topic": ["Gas", "Fees", "Blobs"]})
    assert (len(more.created), len(more.updated), count(project)) == (2, 4, 6), "priority is normal again"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(topics=WORDS, years=st.lists(st.integers(2009, 2030), min_size=1, max_size=6, unique=True))
def test_there_are_as_many_briefs_as_combinations(light: Engine, topics: list[str], years: list[int]) -> None:
    report = run(light, {"topic": topics, "year": years}, dry_run=True)
    assert not report.problems
    assert len({*report.created}) == len(topics) * len(years)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(good=WORDS, bad=st.lists(st.integers(2031, 9999), min_size=1, max_size=4, unique=True))
def test_with_partial_bad_values_cost_their_own_combinations_only(
    light: Engine, good: list[str], bad: list[int]
) -> None:
    report = run(light, {"topic": good, "year": [2020, *bad, 2021]}, dry_run=True, partial=True)
    assert [one.value for one in report.problems] == [str(one) for one in bad]
    assert len(report.created) == prod((len(good), 2))


def test_a_bad_value_is_named_once_with_its_place_and_nothing_is_written(
    project: Engine, tmp_path: Path
) -> None:
    (tmp_path / "topics.txt").write_text("Blobs\n\n  Gas, and fees \nBlobs\n")
    values = named_values([f"topic=@{tmp_path}/topics.txt", "level=new, guru", "day=2027-01-01,tomorrow"])
    report = run(project, dict(values))
    assert [(one.line, one.column, one.value) for one in report.problems] == [
        (4, "topic", "Blobs"),
        (2, "level", "guru"),
        (2, "day", "tomorrow"),
    ]
    assert "line 1" in report.problems[0].reason and "new, expert" in report.problems[1].reason
    assert count(project) == 0


def test_values_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeffone, two\n\nthree\n", encoding="utf-8")
    assert [(one.value, one.line) for one in read_values(f"@{tmp_path}/a.txt")] == [
        ("one, two", 1),
        ("three", 3),
    ]
    assert [one.value for one in read_values("a, b,,c ")] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        (["topic"], "NAME=VALUE"),
        (["=x"], "NAME=VALUE"),
        (["topic=a", "topic=b"], "given twice"),
        (["topic=,"], "no value"),
        (["topic=@/nowhere/at-all.txt"], "No such file"),
    ],
)
def test_values_that_can_t_be_read_are_refused(pairs: list[str], complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        named_values(pairs)


def test_what_is_missing_or_unknown_is_named(light: Engine) -> None:
    (missing,) = run(light, {"level": ["new"]}).problems
    assert (missing.line, missing.column) == (0, "topic") and "required" in missing.reason
    assert str(missing).startswith("topic=")
    unknown = run(light, {"topik": ["x"], "topic": ["y"]}).problems
    assert [one.column for one in unknown] == ["topik"] and "did you mean 'topic'" in unknown[0].reason
    (long,) = run(light, {"topic": ["x" * 300], "level": ["new", "expert"]}).problems
    assert long.column == "title" and "at most 300" in long.reason


@pytest.mark.parametrize(
    ("values", "options", "error", "complaint"),
    [
        ({"topic": [str(n) for n in range(101)], "year": range(100)}, {}, Refused, "101 topic × 100 year"),
        ({"topic": []}, {}, Refused, "'topic' has no value"),
        ({"topic": ["x"]}, {"template": "explaner"}, NotFound, "did you mean 'explainer'"),
        ({"topic": ["x"]}, {"common": {"colour": "red"}}, Refused, "'colour'"),
    ],
)
def test_what_can_t_be_a_matrix_is_refused(
    light: Engine, values: dict[str, Any], options: dict[str, Any], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        run(light, values, **options)
    assert count(light) == 0


def test_ten_thousand_combinations_are_the_most(light: Engine) -> None:
    report = run(light, {"topic": [f"t{n}" for n in range(500)], "year": [*range(2010, 2030)]}, dry_run=True)
    assert len({*report.created}) == 10_000


def test_title_and_keywords_are_filled_in_for_each_combination(light: Engine) -> None:
    common = {"title": "{{ topic }} in {{ year }}", "keywords": "{{ topic | lower }};{{ year }}"}
    report = run(light, {"topic": ["Blobs"], "year": ["2024", "2025"]}, common=common)
    with reading(light) as session:
        briefs = [session.get_one(Brief, brief_id) for brief_id in report.created]
    assert [(one.title, one.keywords) for one in briefs] == [
        ("Blobs in 2024", ["blobs", "2024"]),
        ("Blobs in 2025", ["blobs", "2025"]),
    ]


def test_a_bad_title_is_named_once(light: Engine) -> None:
    values = {"topic": ["Blobs", "Gas"], "year": ["2024"]}
    (unknown,) = run(light, values, common={"title": "{{ topik }}"}).problems
    assert (unknown.line, unknown.column) == (0, "title") and "did you mean 'topic'" in unknown.reason
    (broken,) = run(light, values, common={"title": "{{ topic + year }}"}, partial=True).problems
    assert broken.column == "title"
