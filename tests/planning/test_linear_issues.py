"""Issues become briefs: what of an issue goes where, what is refused, and which of its states holds."""

import itertools
from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select, update

from cryptocontent.audit import verify
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.generations import request_generation
from cryptocontent.content.templates import save_template
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import (
    AuditEntry,
    Generation,
    GenerationBrief,
    Instruction,
    LinearIssue,
    Source,
)
from tests.planning.world import ADMIN, PROJECT, SPEC, World, block


def notes(world: World) -> list[str]:
    with reading(world.engine) as session:
        return list(session.scalars(select(Instruction.body).order_by(Instruction.id)))


def generations(world: World) -> list[tuple[str, str]]:
    with reading(world.engine) as session:
        query = select(Generation.status, GenerationBrief.status).join(
            GenerationBrief, GenerationBrief.generation_id == Generation.id
        )
        return [(whole, one) for whole, one in session.execute(query.order_by(Generation.created_at))]


def test_an_issue_becomes_a_brief(any_world: World) -> None:
    world = any_world
    world.watch()
    text = f"Readers ask.\n\n{block(topic='the base fee', keywords='EIP-1559; gas', points='one; two')}"
    node = world.issue("What it is for", text, assignee=world.ada["id"], priority=1, dueDate="2027-01-31")
    applied = world.apply(world.seen(node))
    assert applied.counts == {"created": 1}
    brief = world.brief(node)
    assert brief.title == "What it is for"
    assert brief.variables == {"topic": "the base fee", "points": ["one", "two"]}
    assert brief.keywords == ["EIP-1559", "gas"]
    assert (brief.due_date, brief.priority, brief.assignee) == (date(2027, 1, 31), "high", "Ada Lovelace")
    assert brief.origin == "linear"
    assert notes(world) == ["Readers ask."]
    row = world.row(node)
    assert (row.status, row.identifier, row.state, row.problem) == ("brief", "ENG-1", "Todo", "")


@pytest.mark.parametrize(
    ("given", "ours"), [(0, "normal"), (1, "high"), (2, "high"), (3, "normal"), (4, "low")]
)
def test_priorities(world: World, given: int, ours: str) -> None:
    world.watch()
    node = world.issue(priority=given)
    world.apply(world.seen(node))
    assert world.brief(node).priority == ours


def test_a_brief_is_revised_in_place(world: World) -> None:
    world.watch()
    node = world.issue("Base fee", f"Keep it short.\n\n{block(topic='fees')}")
    world.apply(world.seen(node))
    first = world.brief(node)
    other = block(topic="gas", template="explainer", keywords="a")
    world.linear.change(
        node, title="Gas", description=f"Make it long.\n\n{other}", priority=4, dueDate="2027-02-01"
    )
    assert world.apply(world.seen(node)).counts == {"revised": 1}
    brief = world.brief(node)
    assert brief.id == first.id
    assert (brief.title, brief.variables["topic"], brief.keywords) == ("Gas", "gas", ["a"])
    assert (brief.priority, brief.due_date) == ("low", date(2027, 2, 1))
    assert brief.content_hash != first.content_hash
    assert notes(world) == ["Make it long."]
    world.linear.change(node, description=other)
    world.apply(world.seen(node))
    assert notes(world) == []
    with reading(world.engine) as session:
        query = (
            select(AuditEntry.action)
            .where(AuditEntry.subject == f"brief:{first.id}")
            .order_by(AuditEntry.seq)
        )
        assert list(session.scalars(query)) == [
            "brief.created",
            "brief.note_changed",
            "brief.updated",
            "brief.note_changed",
            "brief.note_changed",
        ]
        assert verify(session, PROJECT).broken_at is None


def test_a_title_that_is_free_again_makes_another_brief(world: World) -> None:
    world.watch()
    first = world.issue("Base fee")
    world.apply(world.seen(first))
    world.linear.change(first, title="Gas")
    world.apply(world.seen(first))
    second = world.issue("Base fee")
    world.apply(world.seen(second))
    assert world.brief(first).id != world.brief(second).id
    assert [brief.title for brief in world.briefs()].count("Base fee") == 1
    assert len(world.briefs()) == 2


def test_everything_that_is_wrong_is_said_and_a_mended_issue_becomes_a_brief(world: World) -> None:
    world.watch()
    node = world.issue("Base fee", block(topc="fees", due_date="2027-01-01"))
    assert world.apply(world.seen(node)).counts == {"refused": 1}
    row = world.row(node)
    assert (row.status, row.brief_id) == ("refused", None)
    assert "due_date: it is the issue's due date" in row.problem
    assert "did you mean 'topic'" in row.problem
    assert "topic: required" in row.problem
    world.linear.change(node, description=block(topic="fees"))
    assert world.apply(world.seen(node)).counts == {"created": 1}
    assert world.row(node).problem == ""


def test_an_issue_that_is_spoilt_leaves_its_brief_as_it_was(world: World) -> None:
    world.watch()
    node = world.issue()
    world.apply(world.seen(node))
    world.linear.change(node, title="Other", description="```brief\nonly words\n```")
    assert world.apply(world.seen(node)).counts == {"refused": 1}
    assert world.row(node).brief_id is not None
    assert world.brief(node).title == "Base fee"


def test_without_a_template_the_issue_is_told_how_to_name_one(world: World) -> None:
    world.watch(template="")
    node = world.issue(description=block(topic="fees"))
    world.apply(world.seen(node))
    assert "write `template: NAME`" in world.row(node).problem


def test_two_issues_that_say_the_same_are_not_one_brief(world: World) -> None:
    world.watch()
    first, second = world.issue(), world.issue()
    world.apply(world.seen(first), world.seen(second))
    assert world.row(second).status == "refused"
    assert "of ENG-1 says the same already" in world.row(second).problem
    world.linear.change(second, title="Base fee, again")
    world.apply(world.seen(second))
    assert len(world.briefs()) == 2


def test_a_brief_that_was_imported_is_its_issues_from_then_on(world: World) -> None:
    world.watch()
    with writing(world.engine) as session:
        rows = b"template,title,topic\nexplainer,Base fee,fees\n"
        (created,) = import_briefs(session, PROJECT, rows, ADMIN.actor).created
    node = world.issue(priority=1)
    world.apply(world.seen(node))
    assert world.row(node).brief_id == created
    assert [(brief.id, brief.priority) for brief in world.briefs()] == [(created, "high")]


def test_a_long_note_is_cut_and_says_where_the_rest_is(world: World) -> None:
    world.watch()
    node = world.issue(description=f"{'word ' * 2000}\n\n{block(topic='fees')}")
    world.apply(world.seen(node))
    (note,) = notes(world)
    assert len(note) <= 4000 and note.endswith(f"(the rest is in {node['url']})")


def test_the_newest_state_holds_in_whatever_order_they_come(any_world: World) -> None:
    world = any_world
    world.watch()
    node = world.issue("One")
    states = [world.seen(node)]
    for title in ("Two", "Three"):
        states.append(world.seen(world.linear.change(node, title=title)))
    world.linear.trash(node)
    states.append(world.seen(node))
    world.linear.change(node, trashed=None, archivedAt=None, title="Four")
    states.append(world.seen(node))
    for number, order in enumerate(itertools.permutations(states)):
        renamed = [
            one.model_copy(update={"id": f"{one.id}-{number}", "title": f"{one.title} {number}"})
            for one in order
        ]
        for state in renamed:
            world.apply(state)
        world.apply(*renamed)
    with reading(world.engine) as session:
        rows = session.scalars(select(LinearIssue)).all()
        briefs = session.scalar(
            select(func.count()).select_from(select(LinearIssue.brief_id).distinct().subquery())
        )
    assert len(rows) == briefs == 120
    assert {row.status for row in rows} == {"brief"}
    assert all(brief.title.startswith("Four ") for brief in world.briefs())


def test_removal_holds_against_another_state_of_the_same_instant(world: World) -> None:
    world.watch()
    node = world.issue()
    state = world.seen(node)
    gone = state.model_copy(update={"archived": True})
    for number, order in enumerate(((state, gone), (gone, state))):
        for one in order:
            world.apply(one.model_copy(update={"id": f"issue-{number}", "title": f"Number {number}"}))
        with reading(world.engine) as session:
            assert session.get_one(LinearIssue, (world.source_id, f"issue-{number}")).status == "removed"


LEAVES: list[tuple[dict[str, Any], str, str]] = [
    ({"labelIds": []}, "left", "no label"),
    ({"state": "Canceled"}, "left", "Canceled"),
    ({"archivedAt": "2027-01-01T00:00:00.000Z"}, "removed", "archived"),
]


@pytest.mark.parametrize(("change", "status", "why"), LEAVES)
def test_an_issue_that_leaves_keeps_its_brief_but_is_not_generated(
    world: World, change: dict[str, Any], status: str, why: str
) -> None:
    world.watch(generate=True)
    node, stays = world.issue("One"), world.issue("Two")
    world.apply(world.seen(node), world.seen(stays))
    assert generations(world) == [("requested", "queued")] * 2
    if "state" in change:
        change = {"state": world.linear.state(world.team, change["state"])["id"]}
    back = {name: node[name] for name in change}
    world.linear.change(node, **change)
    assert world.apply(world.seen(node)).counts == {status: 1}
    assert why in world.row(node).problem
    assert world.brief(node).title == "One"
    assert sorted(generations(world)) == [("requested", "cancelled"), ("requested", "queued")]
    world.linear.change(node, **back)
    world.apply(world.seen(node))
    assert (world.row(node).status, world.row(node).problem) == ("brief", "")
    assert len(generations(world)) == 2  # it is not asked for a second time


def test_what_a_run_has_begun_is_not_taken_from_it(world: World) -> None:
    world.watch(generate=True)
    node = world.issue()
    world.apply(world.seen(node))
    with writing(world.engine) as session:
        session.execute(update(GenerationBrief).values(batch=0))
    world.linear.trash(node)
    world.apply(world.seen(node))
    assert generations(world) == [("requested", "queued")]


def test_a_generation_is_asked_for_once_and_only_for_new_briefs(world: World) -> None:
    world.watch(generate=True)
    nodes = [world.issue(f"Number {number}") for number in range(3)]
    world.apply(*map(world.seen, nodes))
    for node in nodes:
        world.linear.change(node, priority=2)
    world.apply(*map(world.seen, nodes))
    world.apply(*map(world.seen, nodes), again=True)
    with reading(world.engine) as session:
        assert session.scalar(select(func.count()).select_from(Generation)) == 1
    assert len(generations(world)) == 3


@pytest.mark.parametrize("state", ["Done", "Canceled", "Triage"])
def test_what_is_done_called_off_or_in_triage_becomes_no_brief(world: World, state: str) -> None:
    world.watch()
    node = world.issue(state=state)
    assert world.apply(world.seen(node)).counts == {"elsewhere": 1}
    assert world.briefs() == []
    world.linear.move(node, "Todo")
    world.apply(world.seen(node))
    assert len(world.briefs()) == 1


def test_an_older_state_with_the_label_does_not_bring_an_issue_in(world: World) -> None:
    world.watch()
    node = world.issue()
    before = world.seen(node)
    world.linear.change(node, labelIds=[])
    world.apply(world.seen(node))
    world.apply(before)
    assert world.briefs() == []


def test_issues_of_other_teams_are_not_written_down(world: World) -> None:
    world.watch()
    other = world.linear.add_team("OPS", "Operations")
    node = world.linear.add_issue(other, "Theirs", labelIds=[world.label["id"]])
    assert world.apply(world.seen(node)).counts == {"elsewhere": 1}
    with reading(world.engine) as session:
        assert session.scalars(select(LinearIssue)).all() == []


@pytest.mark.parametrize("status", ["approved", "scheduled", "published"])
def test_an_approved_article_keeps_its_brief_until_it_is_reopened(world: World, status: str) -> None:
    world.watch()
    node = world.issue("Base fee")
    world.apply(world.seen(node))
    world.set_article(node, status)
    world.linear.move(node, "In Review")
    assert world.apply(world.seen(node)).counts == {"unchanged": 1}  # a move asks for nothing
    world.linear.change(node, title="Gas")
    assert world.apply(world.seen(node)).counts == {"held": 1}
    assert world.brief(node).title == "Base fee"
    assert f"the article is {status}" in world.row(node).problem
    world.set_article(node, "changes_requested")
    world.sync()
    assert world.brief(node).title == "Gas"
    assert world.row(node).problem == ""


def test_an_issue_has_one_brief_though_two_sources_want_it(world: World) -> None:
    first = world.watch("ed")
    node = world.issue()
    world.apply(world.seen(node))
    world.watch("again")
    assert world.apply(world.seen(node)).counts == {"elsewhere": 1}
    assert len(world.briefs()) == 1
    brief = world.briefs()[0].id
    with writing(world.engine) as session:
        session.get_one(Source, first.id).status = "removed"
    world.apply(world.seen(node))
    assert world.row(node).brief_id == brief  # the source that is left takes it over
    assert len(world.briefs()) == 1


def test_a_template_that_was_mended_is_noticed_by_a_whole_resync(world: World) -> None:
    world.watch(template="")
    node = world.issue(description=block(topic="fees", template="report"))
    world.sync()
    world.sync()  # our own comment changed the issue
    assert world.row(node).status == "refused"
    with writing(world.engine) as session:
        save_template(session, PROJECT, SPEC.model_copy(update={"name": "report"}), ADMIN.actor)
    world.sync()
    assert world.row(node).status == "refused"  # nobody looks at an issue that did not change
    world.sync(full=True)
    assert world.row(node).status == "brief"


def test_text_that_no_database_takes_is_cleaned(any_world: World) -> None:
    world = any_world
    world.watch()
    node = world.issue("Zero\0 and half \ud800", "note \0 \udfff\n\n" + block(topic="fees"))
    world.apply(world.seen(node))
    assert world.brief(node).title == "Zero and half ?"


def test_a_brief_in_a_requested_generation_of_somebody_is_withdrawn_too(world: World) -> None:
    world.watch()
    node = world.issue()
    world.apply(world.seen(node))
    with writing(world.engine) as session:
        request_generation(session, PROJECT, [world.brief(node).id], ADMIN.actor, batch_size=10)
    world.linear.trash(node)
    world.apply(world.seen(node))
    assert generations(world) == [("done", "cancelled")]
