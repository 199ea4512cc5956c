"""Looking at a team: what changed, page by page, through kills, limits and races; and the roadmap."""

import random
from datetime import date

import pytest
from sqlalchemy import select

from cryptocontent.planning.roadmap import list_campaigns
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Brief, Campaign, LinearIssue
from tests.planning.world import PROJECT, World, block


def operations(world: World) -> list[str]:
    return [call.operation for call in world.linear.calls]


def test_all_issues_become_briefs_the_first_time(any_world: World) -> None:
    world = any_world
    world.watch()
    nodes = [world.issue(f"Number {number}") for number in range(120)]
    for number in range(30):
        world.linear.add_issue(world.team, f"Other {number}")
    synced = world.sync()
    assert (synced.error, synced.counts["created"]) == ("", 120)
    assert len(world.briefs()) == 120
    assert world.brief(nodes[7]).title == "Number 7"
    with reading(world.engine) as session:
        assert len(session.scalars(select(LinearIssue)).all()) == 120  # the others were not asked for


def test_a_quiet_team_costs_one_query(world: World) -> None:
    world.watch()
    for number in range(60):
        world.issue(f"Number {number}")
    world.sync()
    world.sync()
    world.linear.calls.clear()
    assert world.sync().told == 0
    assert operations(world) == ["Issues", "Issues"]  # sixty changes within the overlap are two pages
    assert sum(call.complexity for call in world.linear.calls) < 1000


def test_what_changed_since_is_found(world: World) -> None:
    world.watch()
    node, leaves, gone = world.issue("One"), world.issue("Two"), world.issue("Three")
    world.sync()
    world.linear.change(node, title="Another")
    world.linear.change(leaves, labelIds=[])
    world.linear.trash(gone)
    new = world.issue("Four")
    counts = world.sync().counts
    assert (counts["revised"], counts["left"], counts["removed"], counts["created"]) == (1, 1, 1, 1)
    assert world.brief(node).title == "Another"
    assert world.brief(new).title == "Four"


def test_a_whole_resync_finds_what_is_gone_for_good(world: World) -> None:
    world.watch()
    nodes = [world.issue(f"Number {number}") for number in range(130)]
    world.sync()
    random.Random(1).shuffle(nodes)
    for node in nodes[:9]:
        world.linear.destroy(node)
    world.sync()
    assert {world.row(node).status for node in nodes} == {"brief"}  # nobody said a word
    assert world.sync(full=True).counts["removed"] == 9
    assert {world.row(node).status for node in nodes[:9]} == {"removed"}
    assert {world.row(node).status for node in nodes[9:]} == {"brief"}


def test_a_look_that_breaks_off_goes_on_where_it_was(any_world: World) -> None:
    world = any_world
    world.watch()
    for number in range(230):
        world.issue(f"Number {number}")

    rounds = 0
    while rounds < 30:
        rounds += 1
        asked = 0

        def kill(call: object) -> None:
            nonlocal asked
            asked += 1
            if asked == 6:
                for _ in range(3):
                    world.linear.fault("dropped", operation="Issues")

        world.linear.on_call = kill
        if not world.sync().error:
            break
        world.linear.faults.clear()
    assert rounds > 1
    assert len(world.briefs()) == 230


def test_time_that_is_up_is_told_and_the_next_look_goes_on(world: World) -> None:
    world.watch()
    for number in range(130):
        world.issue(f"Number {number}")
    looks = 0
    while len(world.briefs()) < 130:
        assert world.sync(seconds=0).pages <= 1
        looks += 1
        assert looks <= 3
    assert world.sync(seconds=0).more  # there is more to tell
    assert not world.sync().more


def test_an_issue_that_changes_while_pages_are_read_is_not_missed(world: World) -> None:
    world.watch()
    world.sync()
    nodes = [world.issue(f"Number {number}") for number in range(120)]
    changed = iter(nodes[:3])

    def change(call: object) -> None:
        # An old issue moves in front while the pages behind it are read.
        if getattr(call, "operation", "") == "Issues" and (node := next(changed, None)) is not None:
            world.linear.change(node, title=f"Changed {node['identifier']}")

    world.linear.on_call = change
    world.sync()
    world.linear.on_call = lambda call: None
    world.sync()
    assert len(world.briefs()) == 120
    assert [world.brief(node).title for node in nodes[:3]] == [f"Changed ENG-{n}" for n in (1, 2, 3)]


def test_the_issue_of_a_cursor_may_vanish(world: World) -> None:
    world.watch()
    for number in range(120):
        world.issue(f"Number {number}")
    gone = []

    def vanish(call: object) -> None:
        if getattr(call, "operation", "") == "Issues" and not gone:
            place = sorted(world.linear.issues.values(), key=lambda one: one["updatedAt"], reverse=True)[49]
            gone.append(place["id"])
            world.linear.destroy(place)

    world.linear.on_call = vanish
    assert world.sync().error == ""
    assert len(world.briefs()) == 120  # the one that vanished was there when its page was read
    world.sync(full=True)
    with reading(world.engine) as session:
        assert session.get_one(LinearIssue, (world.source_id, gone[0])).status == "removed"


def test_linear_is_left_alone_for_as_long_as_it_asks(world: World) -> None:
    world.watch()
    world.issue()
    world.linear.use_up(seconds=900)
    assert "rate limit" in world.sync().error
    assert "rate limit" in world.source().error
    world.linear.refill()
    world.linear.calls.clear()
    assert "asked for patience" in world.sync().error
    assert world.linear.calls == []
    with writing(world.engine) as session:
        source = session.merge(world.source())
        source.cursor = source.cursor | {"wait_until": "2026-01-01T00:00:00+00:00"}
    assert world.sync().error == ""
    assert world.source().error == ""


def test_a_source_that_is_paused_is_not_written_to(world: World) -> None:
    world.watch()
    world.issue()
    with writing(world.engine) as session:
        session.merge(world.source()).status = "paused"
    assert world.sync().more
    assert world.briefs() == []


def test_what_we_told_comes_back_and_changes_nothing(world: World) -> None:
    world.watch()
    node = world.issue(state="Backlog")
    world.sync()
    before = world.brief(node)
    assert world.linear.state_of(node) == "Todo"
    assert world.sync().told == 0
    assert (world.row(node).state, world.brief(node).content_hash) == ("Todo", before.content_hash)


def test_the_roadmap_becomes_campaigns_and_due_dates(any_world: World) -> None:
    world = any_world
    project = world.linear.add_project("Fees", world.team, target="2027-03-31", start="2027-01-04")
    milestone = world.linear.add_milestone("First", project, "2027-02-12")
    cycle = world.linear.add_cycle(world.team, 7, "2027-01-31T23:00:00.000Z", "2027-02-14T23:00:00.000Z")
    world.watch()
    all_of_it = {"project": project["id"], "projectMilestone": milestone["id"], "cycle": cycle["id"]}
    own = world.issue("Own", dueDate="2027-01-10", **all_of_it)
    of_milestone = world.issue("Milestone", **all_of_it)
    of_cycle = world.issue("Cycle", cycle=cycle["id"], project=project["id"])
    of_project = world.issue("Project", project=project["id"])
    alone = world.issue("Alone")
    world.sync()
    nodes = (own, of_milestone, of_cycle, of_project, alone)
    assert [world.brief(node).due_date for node in nodes] == [
        date(2027, 1, 10),
        date(2027, 2, 12),
        date(2027, 2, 14),  # the cycle ends at Berlin's midnight
        date(2027, 3, 31),
        None,
    ]
    with reading(world.engine) as session:
        names = {one.id: one.name for one in session.scalars(select(Campaign))}
        rows = {row["name"]: row for row in list_campaigns(session, PROJECT)}
    assert [names.get(world.brief(node).campaign_id or "") for node in nodes] == [
        "First",
        "First",
        "Fees",
        "Fees",
        None,
    ]
    assert (rows["First"]["of"], rows["First"]["briefs"], rows["Fees"]["briefs"]) == ("Fees", 2, 2)
    assert (rows["Cycle 7"]["starts_on"], rows["Cycle 7"]["ends_on"]) == ("2027-02-01", "2027-02-14")


def test_a_date_that_moves_moves_its_briefs(world: World) -> None:
    project = world.linear.add_project("Fees", world.team, target="2027-03-31")
    world.watch()
    node = world.issue(project=project["id"])
    world.sync()
    project["targetDate"] = "2027-04-30"
    world.sync()
    assert world.brief(node).due_date == date(2027, 3, 31)  # the roadmap is read every quarter of an hour
    with writing(world.engine) as session:
        source = session.merge(world.source())
        source.cursor = source.cursor | {"roadmap_at": "2026-01-01T00:00:00+00:00"}
    world.sync()
    assert world.brief(node).due_date == date(2027, 4, 30)


def test_a_new_campaign_is_read_when_an_issue_names_it(world: World) -> None:
    world.watch()
    world.sync()
    project = world.linear.add_project("Fees", world.team, target="2027-03-31")
    node = world.issue(project=project["id"])
    world.sync()
    assert world.brief(node).due_date == date(2027, 3, 31)
    assert world.brief(node).campaign_id is not None


def test_without_a_roadmap_there_are_no_campaigns(world: World) -> None:
    project = world.linear.add_project("Fees", world.team, target="2027-03-31")
    world.watch(roadmap=False)
    node = world.issue(project=project["id"])
    world.sync()
    assert (world.brief(node).due_date, world.brief(node).campaign_id) == (None, None)
    assert "Projects" not in operations(world)


def test_issues_of_a_project_are_taken_without_a_label(world: World) -> None:
    project = world.linear.add_project("Fees", world.team)
    world.watch(label="", project="fees")
    node, other = world.issue("In", labelIds=[], project=project["id"]), world.issue("Out")
    world.sync()
    assert [brief.title for brief in world.briefs()] == ["In"]
    world.linear.change(node, project=None)
    world.linear.change(other, project=project["id"])
    world.sync()
    assert world.row(node).status == "left"
    assert world.row(other).status == "brief"


@pytest.mark.parametrize("seed", range(3))
def test_polling_always_ends_with_the_last_state(world: World, seed: int) -> None:
    chance = random.Random(seed)
    world.watch()
    nodes = [world.issue(f"Number {number}") for number in range(25)]
    world.sync()
    for step in range(12):
        for node in chance.sample(nodes, 5):
            match chance.randrange(4):
                case 0:
                    world.linear.change(node, labelIds=[] if node["labelIds"] else [world.label["id"]])
                case 1:
                    world.linear.change(node, archivedAt=None if node["archivedAt"] else world.linear.now())
                case _:
                    world.linear.change(
                        node, title=f"{node['identifier']} {step}", description=block(topic=f"topic {step}")
                    )
        world.sync(full=chance.random() < 0.2)
    with reading(world.engine) as session:
        rows = {row.issue_id: row for row in session.scalars(select(LinearIssue))}
        briefs = {brief.id: brief for brief in session.scalars(select(Brief))}
    assert len({row.brief_id for row in rows.values() if row.brief_id}) == len(briefs) == 25
    for node in nodes:
        row = rows[node["id"]]
        wanted = "removed" if node["archivedAt"] else "brief" if node["labelIds"] else "left"
        assert row.status == wanted
        if wanted == "brief":
            assert briefs[row.brief_id or ""].title == node["title"]
