"""Briefs that a planning tool adds one by one and revises in place."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import Engine, select

from cryptocontent.audit import Actor, verify
from cryptocontent.content.brief_files import Row
from cryptocontent.content.briefs import (
    NewBrief,
    RowChecker,
    add_brief,
    import_briefs,
    revise_brief,
    same_brief,
)
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import save_template
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry, Brief
from tests.planning.world import SPEC

WHO = Actor("sensor", "linear")


@pytest.fixture
def newsroom(engine: Engine) -> Engine:
    with writing(engine) as session:
        create_project(session, "news", "News", WHO)
        save_template(session, "news", SPEC, WHO)
    return engine


def new(engine: Engine, title: str, **cells: str) -> NewBrief:
    with reading(engine) as session:
        row = Row(0, {"template": "explainer", "title": title, "topic": "fees"} | cells)
        brief, problems = RowChecker(session, "news").check(row)
    assert brief is not None, problems
    return brief


def add(engine: Engine, brief: NewBrief) -> str:
    with writing(engine) as session:
        return add_brief(session, "news", brief, WHO, origin="linear")


def test_a_brief_keeps_its_id_and_says_something_else(newsroom: Engine) -> None:
    brief_id = add(newsroom, replace(new(newsroom, "Base fee"), assignee="Ada"))
    revised = replace(
        new(newsroom, "Gas", topic="gas", keywords="a;b", due_date="2027-01-31"), assignee="Ben"
    )
    with writing(newsroom) as session:
        changed = revise_brief(session, brief_id, revised, WHO)
    assert changed == ["title", "variables", "keywords", "due_date", "assignee"]
    with reading(newsroom) as session:
        brief = session.get_one(Brief, brief_id)
        assert (brief.title, brief.variables["topic"], brief.keywords) == ("Gas", "gas", ["a", "b"])
        assert (brief.due_date, brief.assignee) == (date(2027, 1, 31), "Ben")
        assert brief.content_hash == revised.content_hash
        entry = session.scalars(select(AuditEntry).filter_by(action="brief.updated")).one()
        assert entry.data["changed"]["title"] == ["Base fee", "Gas"]
        assert entry.data["changed"]["due_date"] == [None, "2027-01-31"]
        assert verify(session, "news").broken_at is None


def test_the_same_again_changes_nothing_and_is_not_audited(newsroom: Engine) -> None:
    brief = new(newsroom, "Base fee")
    brief_id = add(newsroom, brief)
    with writing(newsroom) as session:
        assert revise_brief(session, brief_id, brief, WHO) == []
    with reading(newsroom) as session:
        assert session.scalars(select(AuditEntry).filter_by(action="brief.updated")).all() == []


def test_a_newer_template_is_taken_with_a_revision(newsroom: Engine) -> None:
    brief_id = add(newsroom, new(newsroom, "Base fee"))
    with writing(newsroom) as session:
        save_template(session, "news", SPEC.model_copy(update={"description": "newer"}), WHO)
    with writing(newsroom) as session:
        assert revise_brief(session, brief_id, new(newsroom, "Base fee"), WHO) == ["template_version_id"]


def test_what_a_brief_says_by_now_is_what_is_the_same(newsroom: Engine) -> None:
    first, second = new(newsroom, "Base fee"), new(newsroom, "Gas")
    brief_id = add(newsroom, first)
    with writing(newsroom) as session:
        assert same_brief(session, "news", first) == brief_id
        revise_brief(session, brief_id, second, WHO)
        assert same_brief(session, "news", first) is None
        assert same_brief(session, "news", second) == brief_id
        assert same_brief(session, "elsewhere", second) is None
    other = add(newsroom, first)  # its id is taken by a brief that says something else by now
    assert other != brief_id and other.startswith(brief_id)


def test_an_import_neither_finds_nor_disturbs_a_revised_brief(newsroom: Engine) -> None:
    brief_id = add(newsroom, new(newsroom, "Base fee"))
    with writing(newsroom) as session:
        revise_brief(session, brief_id, replace(new(newsroom, "Gas"), assignee="Ada"), WHO)
        report = import_briefs(session, "news", b"template,title,topic\nexplainer,Base fee,fees\n", WHO)
    assert len(report.created) == 1
    with reading(newsroom) as session:
        assert session.get_one(Brief, brief_id).title == "Gas"
        assert len(session.scalars(select(Brief)).all()) == 2
