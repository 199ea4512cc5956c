"""`cryptocontent brief check`: what an editor sees before money is spent."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.homes import SAMPLE, Home, Result, run, shared_home


def _checked(home: Path) -> Mapping[str, Result]:
    rows = ("Blobs,What is a blob?", "Blob data,What is a blob?", "Fees,The base fee burn")
    lines = ["template,topic,title", *(f"explainer,{row}" for row in rows)]
    (home / "briefs.csv").write_text("\n".join(lines) + "\n")
    return {
        "project": run(home, "project", "create", "own"),
        "templates": run(home, "template", "add", *sorted((SAMPLE / "templates").glob("*.yaml"))),
        "empty": run(home, "brief", "check", "--all"),
        "import": run(home, "brief", "import", "briefs.csv"),
        "json": run(home, "brief", "check", "--all", "--json"),
        "told": run(home, "brief", "check", "--all"),
        "unnamed": run(home, "brief", "check"),
    }


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return shared_home(tmp_path_factory, "preflight-home", _checked)


def test_the_command_says_it_all_as_json(checked: Home) -> None:
    said = checked.steps["json"].json()
    assert set(said) == {"estimate", "stale", "if_research_changes", "overlaps", "gaps"}
    assert said["estimate"]["briefs"] == 3 and said["estimate"]["stages"] == 15
    assert said["estimate"]["usd"] == {"p50": 0.0, "p90": 0.0}
    assert (said["estimate"]["seconds"], said["estimate"]["unpriced"], said["estimate"]["why"]) == (
        None,
        0,
        [],
    )
    (overlap,) = said["overlaps"]
    assert (overlap["strength"], overlap["exact"], overlap["within"]) == ("duplicate", True, True)
    assert overlap["reasons"][0] == "the same title"
    # There are no references at all.
    assert [gap["refused"] for gap in said["gaps"]] == [True, True, True]
    assert {gap["hits"] for gap in said["gaps"]} == {0}


def test_the_command_tells_it_to_a_person(checked: Home) -> None:
    told = checked.steps["told"]
    assert told.code == 0, told.said
    assert "estimate: 3 briefs, 15 stages" in told.out and "cost $0.00" in told.out
    assert "duplicate" in told.out and "What is a blob?" in told.out
    assert told.out.count("the references never mention") == 3
    checked.steps["unnamed"].refused(1, "--brief", "--all")
    checked.steps["empty"].refused(1, "has no briefs")
