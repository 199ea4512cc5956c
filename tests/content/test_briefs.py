"""Bulk briefs: every bad row is reported before anything is written; nothing is made twice."""

import pytest
from sqlalchemy import Engine, func, select

from cryptocontent.audit import Actor, verify
from cryptocontent.content.briefs import ImportReport, csv_header, import_briefs
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import TemplateError, TemplateSpec, save_template
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Brief
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
