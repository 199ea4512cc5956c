"""Bulk briefs: every bad row is reported before anything is written; nothing is made twice."""

import csv
import io
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from cryptocontent.audit import Actor, verify
from cryptocontent.content import briefs
from cryptocontent.content.brief_sheets import csv_header
from cryptocontent.content.briefs import ImportReport, import_briefs
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import TemplateError, TemplateSpec, save_template
from cryptocontent.errors import NotFound
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry, Brief, Reference
from tests.content.test_templates import GOOD

WHO = Actor("test", "t")
HEADER = "template,title,keywords,due_date,priority,topic,level,year\n"
ROWS = "explainer,,blobs; fees,2027-01-02,high,Blobs,expert,2024\nexplainer,Own title,,,,Gas,,\n"


@pytest.fixture
def project(engine: Engine) -> Engine:
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
        save_template(session, "p", TemplateSpec.model_validate(GOOD), WHO)
    return engine


def load(engine: Engine, text: str, dry_run: bool = False) -> ImportReport:
    with writing(engine) as session:
        return import_briefs(session, "p", text.encode(), WHO, dry_run=dry_run)


def count(engine: Engine) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(Brief)) or 0


def test_rows_become_briefs_with_readable_ids(project: Engine) -> None:
    report = load(project, HEADER + ROWS)
    assert len(report.created) == 2
    assert report.created[0].startswith("p--blobs-explained-")
    with reading(project) as session:
        brief = session.get_one(Brief, report.created[0])
        assert (brief.title, brief.keywords, brief.priority) == (
            "Blobs, explained",
            ["blobs", "fees"],
            "high",
        )
        assert brief.variables["year"] == 2024
        assert verify(session, "p").broken_at is None


def test_the_same_file_twice_makes_nothing_twice(project: Engine) -> None:
    load(project, HEADER + ROWS)
    again = load(project, HEADER + ROWS)
    assert (again.created, again.updated, len(again.unchanged), count(project)) == ((), (), 2, 2)


def test_a_changed_row_updates_the_brief_it_names(project: Engine) -> None:
    first = load(project, HEADER + ROWS)
    report = load(project, HEADER + ROWS.replace("high", "low").replace("; fees", ""))
    assert report.updated == (first.created[0],)
    with reading(project) as session:
        assert session.get_one(Brief, first.created[0]).keywords == ["blobs"]


def test_a_new_template_version_reaches_the_briefs_on_import(project: Engine) -> None:
    load(project, HEADER + ROWS)
    with writing(project) as session:
        save_template(session, "p", TemplateSpec.model_validate(GOOD | {"tone": "dry"}), WHO)
    assert len(load(project, HEADER + ROWS).updated) == 2


def test_a_dry_run_writes_nothing(project: Engine) -> None:
    assert len(load(project, HEADER + ROWS, dry_run=True).created) == 2
    assert count(project) == 0


def test_every_bad_row_is_named_and_nothing_is_written(project: Engine) -> None:
    bad = (
        "explainer,,,31.1.2027,high,A,,\n"
        "nosuch,,,,,B,,\n"
        "explainer,,,,urgent,C,,\n"
        "explainer,,,,,D,guru,\n"
        "explainer,,,,,,,\n"
        "explainer,,,,,E,,,extra\n"
    )
    report = load(project, HEADER + ROWS + bad + ROWS.splitlines()[0] + "\n")
    assert [(problem.line, problem.column) for problem in report.problems] == [
        (4, "due_date"),
        (5, "template"),
        (6, "priority"),
        (7, "level"),
        (8, "topic"),
        (9, "(beyond the header)"),
        (10, "title"),
    ]
    assert "guru" in str(report.problems[3]) and "new, expert" in str(report.problems[3])
    assert count(project) == 0


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", "template"),
        (HEADER, "(file)"),
        ("template,colour\nexplainer,red\n", "colour"),
        ("topic\nx\n", "template"),
    ],
)
def test_a_file_without_the_right_columns_is_refused(project: Engine, text: str, column: str) -> None:
    assert column in {problem.column for problem in load(project, text).problems}


def test_a_file_in_another_encoding_is_refused(project: Engine) -> None:
    with pytest.raises(TemplateError, match="not UTF-8"), writing(project) as session:
        import_briefs(session, "p", HEADER.encode() + b"explainer,caf\xe9,,,,x,,\n", WHO)


def test_the_header_can_be_downloaded_and_is_accepted(project: Engine) -> None:
    with reading(project) as session:
        header = csv_header(session, "p")
    assert header == "template,title,keywords,due_date,priority,topic,level,year,day,assets"
    assert len(load(project, header + "\nexplainer,,,,,Blobs,,,,\n").created) == 1


def test_the_same_rows_in_another_order_make_nothing_twice(project: Engine) -> None:
    load(project, HEADER + ROWS)
    other = HEADER + "".join(f"{line}\n" for line in reversed(ROWS.splitlines()))
    again = load(project, other)
    assert (again.created, again.updated, len(again.unchanged), count(project)) == ((), (), 2, 2)


def test_with_partial_the_good_rows_go_in_and_the_bad_ones_are_named(project: Engine) -> None:
    bad = "explainer,,,31.1.2027,urgent,A,guru,3000\n"
    with writing(project) as session:
        report = import_briefs(session, "p", (HEADER + bad + ROWS).encode(), WHO, partial=True)
    assert [(one.line, one.column) for one in report.problems] == [
        (2, "priority"),
        (2, "due_date"),
        (2, "level"),
        (2, "year"),
    ], "all that is wrong with a row is said at once"
    assert len(report.created) == count(project) == 2
    with writing(project) as session:
        again = import_briefs(session, "p", (HEADER + bad + ROWS).encode(), WHO, partial=True)
    assert (again.created, len(again.unchanged)) == ((), 2)


def test_a_wrong_header_stops_a_partial_import_and_its_rows_are_checked_all_the_same(
    project: Engine,
) -> None:
    text = "template,topik,topic,topic,level\nexplainer,,Fees,,new\nexplainer,,Gas,,guru\n"
    with writing(project) as session:
        report = import_briefs(session, "p", text.encode(), WHO, partial=True)
    assert [(one.line, one.column) for one in report.problems] == [(1, "topic"), (1, "topik"), (3, "level")]
    assert "did you mean 'topic'" in report.problems[1].reason
    assert count(project) == 0 and report.created == ()


@pytest.mark.parametrize(
    ("row", "column", "complaint"),
    [
        ("explaner,,,,,A,,\n", "template", "did you mean 'explainer'"),
        (f"explainer,{'x' * 301},,,,A,,\n", "title", "301 characters; at most 300"),
        (f"explainer,,,,,{'x' * 301},,\n", "title", "characters; at most 300"),
        (f"explainer,,{'x' * 101},,,A,,\n", "keywords", "101 characters"),
        (f"explainer,,{';'.join(map(str, range(51)))},,,A,,\n", "keywords", "51 keywords"),
        ("explainer,,,,hihg,A,,\n", "priority", "did you mean 'high'"),
        ("explainer,,,,,A\x07,,\n", "topic", "control character"),
    ],
)
def test_a_cell_is_refused_with_what_is_allowed(
    project: Engine, row: str, column: str, complaint: str
) -> None:
    report = load(project, HEADER + ROWS + row, dry_run=True)
    assert [(one.line, one.column) for one in report.problems] == [(4, column)]
    assert complaint in report.problems[0].reason


def test_a_variable_of_another_template_is_refused_by_name(project: Engine) -> None:
    other = GOOD | {"name": "other", "variables": {"topic": {"type": "text"}}}
    with writing(project) as session:
        save_template(session, "p", TemplateSpec.model_validate(other), WHO)
    (problem,) = load(project, HEADER + "other,,,,,Fees,new,\n").problems
    assert (problem.line, problem.column) == (2, "level")
    assert "'other'" in problem.reason and "allowed: topic" in problem.reason


def test_tags_and_assets_are_those_of_the_project(project: Engine) -> None:
    spec = GOOD | {
        "name": "tagged",
        "variables": {"topic": {"type": "reference_tag"}, "asset": {"type": "asset_id"}},
    }
    with writing(project) as session:
        save_template(session, "p", TemplateSpec.model_validate(spec), WHO)
        for tag, status in (("fees", "active"), ("old", "withdrawn")):
            session.add(
                Reference(
                    project_id="p", source="file", external_id=tag, title=tag, tags=[tag], status=status
                )
            )
    head = "template,topic,asset\n"
    assert len(load(project, f"{head}tagged,fees,bitcoin\n").created) == 1
    report = load(project, f"{head}tagged,old,BTC\ntagged,fee,bitcoyn\n")
    assert [(one.line, one.column) for one in report.problems] == [
        (2, "topic"),
        (2, "asset"),
        (3, "topic"),
        (3, "asset"),
    ]
    assert "'bitcoin'" in report.problems[1].reason and "ticker" in report.problems[1].reason
    assert "fees" in report.problems[2].reason and "bitcoin" in report.problems[3].reason


def test_two_briefs_whose_ids_would_meet_are_two_briefs(
    project: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With the first digits of each identity the same, as they are by chance once in some billions.
    whole = briefs.content_hash

    def meeting(value: list[Any]) -> str:
        digest = whole(value)
        return "0" * 8 + digest[8:] if isinstance(value[2], dict) else digest

    monkeypatch.setattr(briefs, "content_hash", meeting)
    rows = "explainer,Same,,,,Blobs,,\nexplainer,Same,,,,Gas,,\n"
    first = load(project, HEADER + rows)
    assert len(set(first.created)) == 2
    assert {len(one.rsplit("-", 1)[1]) for one in first.created} == {8, 16}
    other = load(project, HEADER + "".join(f"{line}\n" for line in reversed(rows.splitlines())))
    assert (other.created, set(other.unchanged)) == ((), set(first.created))


def test_an_update_is_in_the_audit_trail_with_before_and_after(project: Engine) -> None:
    load(project, HEADER + ROWS)
    load(project, HEADER + ROWS.replace("high", "low"))
    with reading(project) as session:
        entry = session.scalars(select(AuditEntry).filter_by(action="brief.updated")).one()
    assert entry.data["changed"] == {"priority": ["high", "low"]}


LINE = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=30).map(
    lambda text: " ".join(text.split())
)
FILLED = st.fixed_dictionaries(
    {
        "topic": LINE.filter(bool),
        "title": LINE,
        "keywords": st.lists(LINE.filter(lambda word: word and ";" not in word), max_size=3, unique=True),
        "due_date": st.none() | st.dates(),
        "priority": st.sampled_from(briefs.PRIORITIES),
        "level": st.sampled_from(("new", "expert")),
        "year": st.none() | st.integers(2009, 2030),
        "day": st.none() | st.dates(),
        "assets": st.lists(LINE.filter(lambda word: word and ";" not in word), max_size=3),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(FILLED, min_size=1, max_size=5, unique_by=lambda row: row["topic"]))
def test_what_is_in_the_file_is_in_the_briefs(light: Engine, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["template", *rows[0]])
    writer.writeheader()
    for row in rows:
        lists = {name: "; ".join(row[name]) for name in ("keywords", "assets")}
        writer.writerow({"template": "explainer", **row, **lists})
    first = load(light, text.getvalue())
    assert first.problems == ()
    by_topic: dict[str, Brief] = {}
    with reading(light) as session:
        for brief_id in (*first.created, *first.updated, *first.unchanged):
            brief = session.get_one(Brief, brief_id)
            by_topic[brief.variables["topic"]] = brief
    for row in rows:
        brief = by_topic[row["topic"]]
        assert brief.title == (row["title"] or f"{row['topic']}, explained")
        assert (brief.keywords, brief.due_date, brief.priority) == (
            row["keywords"],
            row["due_date"],
            row["priority"],
        )
        assert brief.variables == {
            "topic": row["topic"],
            "level": row["level"],
            "year": "" if row["year"] is None else row["year"],
            "day": "" if row["day"] is None else row["day"].isoformat(),
            "assets": row["assets"] or "",
        }
    assert len(load(light, text.getvalue()).unchanged) == len(rows)


@pytest.fixture
def light(sqlite_engine: Engine) -> Engine:
    with writing(sqlite_engine) as session:
        create_project(session, "p", "", WHO)
        save_template(session, "p", TemplateSpec.model_validate(GOOD), WHO)
    return sqlite_engine


def test_a_thousand_rows_are_checked_and_imported_in_seconds(light: Engine) -> None:
    rows = "".join(f"explainer,,a;b,2027-01-02,high,Topic {n},expert,2024\n" for n in range(1000))
    began = time.process_time()
    assert len(load(light, HEADER + rows, dry_run=True).created) == 1000
    assert len(load(light, HEADER + rows).created) == 1000
    assert time.process_time() - began < 3.0


def test_a_header_for_one_template_has_its_variables_only(project: Engine) -> None:
    other = GOOD | {"name": "other", "variables": {"topic": {"type": "text"}, "mood": {"type": "text"}}}
    with writing(project) as session:
        save_template(session, "p", TemplateSpec.model_validate(other), WHO)
    with reading(project) as session:
        assert csv_header(session, "p", "other") == "template,title,keywords,due_date,priority,topic,mood"
        with pytest.raises(NotFound, match="did you mean 'other'"):
            csv_header(session, "p", "othr")
