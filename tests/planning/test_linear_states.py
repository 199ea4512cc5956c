"""How far briefs are, told to their issues: when, in which words, once."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.orm import Session

from cryptocontent.content.generations import request_generation
from cryptocontent.integrations.linear import open_linear
from cryptocontent.planning.linear_states import STATES, comment_id, due_pushes, target_state, tell
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Brief, Generation, GenerationBrief, Publication, Version
from cryptocontent.storage.types import utc_now
from tests.fakes.linear import Node
from tests.planning.world import ADMIN, PROJECT, World

STUDIO = "https://studio.example"


def ready(world: World, **config: Any) -> Node:
    """An issue with its brief, of which Linear was told."""
    world.settings = world.settings.model_copy(update={"public_url": STUDIO})
    world.watch(**config)
    node = world.issue()
    assert world.sync().error == ""
    return node


def add_version(session: Session, article: str) -> None:
    values = {
        "number": 1,
        "author_kind": "stage",
        "author": "seo",
        "title": "t",
        "markdown": "",
        "content_hash": "",
    }
    session.add(Version(id="v1", article_id=article, **values))
    session.flush()


def comments(world: World, node: Node) -> list[str]:
    return world.linear.comments_on(node)


def test_a_brief_on_its_way_moves_its_issue(any_world: World) -> None:
    world = any_world
    node = ready(world, states={"in_review": "In Review"})
    assert world.linear.state_of(node) == "Todo"
    with writing(world.engine) as session:
        request_generation(session, PROJECT, [world.brief(node).id], ADMIN.actor, batch_size=10)
    world.sync()
    assert world.linear.state_of(node) == "In Progress"
    assert comments(world, node) == []
    with writing(world.engine) as session:
        session.execute(update(GenerationBrief).values(status="done"))
        session.execute(update(Generation).values(status="done"))
    article = world.set_article(node, "in_review")
    world.sync()
    assert world.linear.state_of(node) == "In Review"
    assert comments(world, node) == [f"**Ready for review**: [An article]({STUDIO}/articles/{article})"]
    (attachment,) = world.linear.attachments_of(node)
    assert (attachment["url"], attachment["subtitle"]) == (f"{STUDIO}/articles/{article}", "In review")
    for status in ("changes_requested", "in_review", "approved"):
        world.set_article(node, status)
        world.sync()
    world.set_article(node, "published", published_at=utc_now())
    world.sync()
    assert world.linear.state_of(node) == "Done"
    assert [text.split(":")[0] for text in comments(world, node)] == [
        "**Ready for review**",
        "**Changes are requested**",
        "**Ready for review**",
        "**Approved**",
        "**Published**",
    ]
    (attachment,) = world.linear.attachments_of(node)
    assert attachment["subtitle"] == "Published"


def test_nothing_is_told_twice(world: World) -> None:
    node = ready(world)
    world.set_article(node, "in_review")
    assert world.sync().told == 1
    changes = len(world.linear.events)
    for _ in range(3):
        assert world.sync().told == 0
    assert len(world.linear.events) == changes


def test_a_persons_move_stays_until_the_brief_moves_on(world: World) -> None:
    node = ready(world)
    world.set_article(node, "in_review")
    world.sync()
    assert world.linear.state_of(node) == "In Progress"
    world.linear.move(node, "Backlog")
    world.sync()
    world.sync()
    assert world.linear.state_of(node) == "Backlog"
    world.set_article(node, "approved")
    world.sync()
    assert world.linear.state_of(node) == "In Progress"


def test_a_finer_state_of_the_team_is_left_alone(world: World) -> None:
    node = ready(world)
    world.linear.move(node, "In Review")
    world.set_article(node, "approved")
    world.sync()
    assert world.linear.state_of(node) == "In Review"  # it is of the type `started` already


def test_an_issue_that_somebody_works_on_is_not_moved_back(world: World) -> None:
    world.watch()
    started, backlog = world.issue("A", state="In Progress"), world.issue("B", state="Backlog")
    world.sync()
    assert world.linear.state_of(started) == "In Progress"
    assert world.linear.state_of(backlog) == "Todo"


def test_a_failure_is_told_with_its_reason(world: World) -> None:
    node = ready(world)
    with writing(world.engine) as session:
        session.execute(update(Brief).values(last_error="research found no\npassages"))
    world.sync()
    assert comments(world, node) == ["**It could not be written**\n\n> research found no passages"]


def test_without_an_address_of_ours_the_slug_is_told(world: World) -> None:
    world.watch()
    node = world.issue()
    world.sync()
    world.set_article(node, "draft", slug="base-fee")
    world.sync()
    assert comments(world, node) == ["**Draft ready**: An article (`base-fee`)"]
    assert world.linear.attachments_of(node) == []


def test_the_news_of_a_publication_waits_for_its_addresses(world: World) -> None:
    node = ready(world)
    article = world.set_article(node, "published", published_at=utc_now(), published_version_id="v1")
    with writing(world.engine) as session:
        values = {
            "number": 1,
            "author_kind": "stage",
            "author": "seo",
            "title": "t",
            "markdown": "",
            "content_hash": "",
        }
        session.add(Version(id="v1", article_id=article, **values))
        session.flush()
        for target in ("files", "blog"):
            session.add(Publication(article_id=article, version_id="v1", target=target, author="x"))
    assert world.sync().told == 0
    with writing(world.engine) as session:
        delivered = session.get_one(Publication, (article, "v1", "blog"))
        delivered.status, delivered.url = "delivered", "https://blog.example/a"
    world.sync()
    (comment,) = comments(world, node)
    assert comment.startswith("**Published**") and comment.endswith("- blog: https://blog.example/a")
    (attachment,) = world.linear.attachments_of(node)
    assert attachment["subtitle"] == "Published · https://blog.example/a"
    assert world.linear.state_of(node) == "Done"


def test_a_publication_that_does_not_come_through_is_told_after_a_while(world: World) -> None:
    node = ready(world)
    long_ago = utc_now() - timedelta(minutes=11)
    article = world.set_article(node, "published", published_at=long_ago, published_version_id="v1")
    with writing(world.engine) as session:
        values = {
            "number": 1,
            "author_kind": "stage",
            "author": "seo",
            "title": "t",
            "markdown": "",
            "content_hash": "",
        }
        session.add(Version(id="v1", article_id=article, **values))
        session.flush()
        session.add(Publication(article_id=article, version_id="v1", target="blog", author="x"))
    world.sync()
    assert world.linear.state_of(node) == "Done"


def test_why_an_issue_was_refused_is_told_once_per_set_of_problems(world: World) -> None:
    world.watch()
    node = world.issue(description="no block")
    world.sync()
    (first,) = comments(world, node)
    assert "No brief was made of it" in first and "topic: required" in first
    world.linear.change(node, priority=2)  # another change, the same problem
    world.sync()
    world.sync()
    assert len(comments(world, node)) == 1
    world.linear.change(node, description="```brief\ntopc: fees\n```")
    world.sync()
    assert len(comments(world, node)) == 2
    world.linear.change(node, description="no block")  # the first problem again: it was told
    world.sync()
    assert len(comments(world, node)) == 2


def test_a_change_that_is_not_applied_is_told(world: World) -> None:
    node = ready(world)
    world.set_article(node, "approved")
    world.sync()
    world.linear.change(node, title="Too late")
    world.sync()
    world.sync()
    assert [one for one in comments(world, node) if "not applied" in one] == [
        "**This change is kept, and not applied**: the article is approved: reopen it, and this is applied."
    ]


def test_a_death_before_it_is_written_down_makes_no_second_comment(world: World) -> None:
    node = ready(world)
    world.set_article(node, "in_review")
    with reading(world.engine) as session:
        (push,) = due_pushes(session, world.settings, world.source())
    with open_linear(world.settings) as linear:
        assert tell(linear, push) == ""
    # Here the process dies: nothing of it was written down.
    world.sync()
    assert len(comments(world, node)) == 1
    assert len(world.linear.attachments_of(node)) == 1
    assert world.row(node).told["state"] == "in_review"


@pytest.mark.parametrize("operation", ["Move", "Attach", "Comment"])
@pytest.mark.parametrize("after", [False, True])
def test_a_telling_that_broke_off_anywhere_is_made_good(world: World, operation: str, after: bool) -> None:
    node = ready(world)
    world.set_article(node, "published", published_at=utc_now())
    for _ in range(3):
        world.linear.fault("dropped", operation=operation, after=after)
    assert "does not answer" in world.sync().error
    world.linear.faults.clear()
    assert world.sync().error == ""
    assert world.linear.state_of(node) == "Done"
    assert len(comments(world, node)) == 1
    assert len(world.linear.attachments_of(node)) == 1


def test_what_linear_does_not_take_stops_nothing_else(world: World) -> None:
    node = ready(world)
    other = world.issue("Other")
    world.sync()
    world.set_article(node, "in_review")
    world.set_article(other, "in_review")
    world.linear.destroy(node)
    assert world.sync().error == ""
    assert "does not find" in world.row(node).told["error"]
    assert len(comments(world, other)) == 1
    assert world.sync().told == 0


def test_a_state_that_is_gone_from_the_workflow_is_left_out(world: World) -> None:
    node = ready(world, states={"in_review": "In Review"})
    state = world.linear.state(world.team, "In Review")
    state["name"] = "Second pair of eyes"
    with writing(world.engine) as session:
        source = session.merge(world.source())
        source.cursor = source.cursor | {"roadmap_at": ""}
    world.set_article(node, "in_review")
    world.sync()
    assert world.linear.state_of(node) == "Todo"
    assert len(comments(world, node)) == 1


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_ids_of_comments_are_of_version_4_and_follow_from_their_parts(parts: list[str]) -> None:
    made = uuid.UUID(comment_id(*parts))
    assert (made.version, made.variant) == (4, uuid.RFC_4122)
    assert comment_id(*parts) == str(made)


def test_states_are_named_or_follow_the_types() -> None:
    workflow = [
        {"id": "1", "name": "Todo", "type": "unstarted"},
        {"id": "2", "name": "Doing", "type": "started"},
        {"id": "3", "name": "Review", "type": "started"},
        {"id": "4", "name": "Done", "type": "completed"},
    ]

    def moved(state: str, config: dict[str, str], name: str, kind: str) -> str:
        found = target_state({"states": config}, workflow, state, {"name": name, "type": kind})
        return found["name"] if found else ""

    backlog = [moved(state, {}, "Someday", "backlog") for state in STATES]
    assert backlog == ["Todo", *["Doing"] * 6, "Done", "Doing", ""]
    assert moved("in_review", {"in_review": "Review"}, "Doing", "started") == "Review"
    assert moved("in_review", {"in_review": "Review"}, "Review", "started") == ""
    assert moved("in_review", {"in_review": ""}, "Someday", "backlog") == ""
    assert moved("changes_requested", {}, "Done", "completed") == "Doing"
