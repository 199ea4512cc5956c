"""Adding a team: everything that is wrong is named, and what is right is checked against Linear."""

from typing import Any

import pytest

from cryptocontent.errors import NotAllowed, Refused
from cryptocontent.identity import Person
from cryptocontent.integrations.linear import open_linear
from cryptocontent.planning.linear_sources import add_linear, find_linear
from cryptocontent.storage import reading
from tests.planning.world import PROJECT, World


def test_names_become_ids_and_defaults_are_filled_in(world: World) -> None:
    project = world.linear.add_project("Fee market", world.team)
    source = world.watch(
        team="editorial", label="ARTICLE", project=project["url"], states={"published": "done"}
    )
    config = source.config
    assert (config["team"], config["team_id"], config["timezone"]) == (
        "ENG",
        world.team["id"],
        "Europe/Berlin",
    )
    assert config["label_id"] == world.label["id"]
    assert config["project_id"] == project["id"]
    assert config["states"] == {"published": "Done"}
    assert (config["generate"], config["roadmap"]) == (False, True)
    assert config["priorities"]["1"] == "high"


def test_everything_that_is_wrong_is_named(world: World) -> None:
    with pytest.raises(Refused) as caught:
        world.watch(
            "Bad Name",
            label="artcle",
            project="none",
            template="explaner",
            states={"published": "Doen", "draf": "Todo"},
            priorities={"1": "urgent", "9": "high"},
            generate="maybe",
            tema="x",
        )
    said = str(caught.value)
    for word in (
        *("name 'Bad Name'", "label 'artcle'", "project 'none'", "template 'explaner'"),
        *("did you mean 'explainer'", "states.published 'Doen'", "did you mean 'Done'", "states.draf"),
        *("priorities.1 'urgent'", "priorities.9", "generate 'maybe'", "tema: unknown"),
    ):
        assert word in said, said


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"team": "NOPE"}, "team 'NOPE': these can be seen: "),
        ({"label": ""}, "name at least one of them"),
        ({"label": "Group"}, "it is a group"),
        ({"label": "Theirs"}, "neither team ENG nor the workspace has it"),
        ({"states": "Done"}, "give a mapping"),
    ],
)
def test_what_is_refused(world: World, config: dict[str, Any], word: str) -> None:
    world.linear.add_label("Group", group=True)
    world.linear.add_label("Theirs", world.linear.add_team("OPS", "Operations"))
    with pytest.raises(Refused) as caught:
        world.watch(**config)
    assert word in str(caught.value)


def test_a_label_of_the_team_goes_before_one_of_the_workspace(world: World) -> None:
    own = world.linear.add_label("article", world.team)
    assert world.watch().config["label_id"] == own["id"]


def test_a_name_is_taken_once(world: World) -> None:
    world.watch("ed")
    with pytest.raises(Refused, match="watches a linear of that name already"):
        world.watch("ed")
    with reading(world.engine) as session:
        assert find_linear(session, PROJECT, None).name == "ed"


def test_only_admins_add_teams(world: World) -> None:
    with open_linear(world.settings) as linear, pytest.raises(NotAllowed):
        add_linear(world.engine, linear, PROJECT, "ed", {"team": "ENG"}, Person("eve", "editor"))
