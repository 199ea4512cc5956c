"""`template` as people type it: adding, versions, differences, previews."""

from pathlib import Path

import pytest
import yaml

from tests.cli.homes import SAMPLE, Home

TEMPLATES = SAMPLE / "templates"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home", {})
    assert made.run("project", "create", "own").code == 0
    return made


def test_the_life_of_a_template(home: Home, tmp_path: Path) -> None:
    home.run("template", "add", TEMPLATES / "explainer.yaml").refused(
        1, "explainer.yaml:2: extends: no template 'base-article'"
    )
    files = sorted(TEMPLATES.glob("*.yaml"), reverse=True)  # the base last
    saved = home.run("template", "add", *files, "--json").json()
    assert {one["name"]: one["number"] for one in saved} == {
        "base-article": 1,
        "explainer": 1,
        "comparison": 1,
    }
    again = home.run("template", "add", *files)
    assert again.out.count("unchanged") == 3 and "new version" not in again.out

    base = tmp_path / "base-article.yaml"
    base.write_text((TEMPLATES / "base-article.yaml").read_text().replace("tone: neutral", "tone: warm"))
    added = home.run("template", "add", base)
    assert "template explainer: new version, for base-article has one" in added.out, added.said
    assert {row["version"] for row in home.run("template", "list", "--json").json()} == {2}

    diff = home.run("template", "diff", "explainer")
    assert "+tone: warm" in diff.out and "--- explainer version 1" in diff.out
    assert home.run("template", "diff", "explainer", "1", "2", "--json").json()["diff"] == diff.out.rstrip(
        "\n"
    )
    assert home.run("template", "diff", "explainer", "2", "2").out == "no difference\n"
    versions = home.run("template", "versions", "explainer", "--json").json()
    assert [(row["version"], row["base"]) for row in versions] == [
        (2, "base-article version 2"),
        (1, "base-article version 1"),
    ]
    assert "base-article version 2" in home.run("template", "versions", "explainer").out

    shown = home.run("template", "show", "explainer", "--version", "1", "--json").json()
    assert shown["tone"] == "neutral" and list(shown["variables"]) == ["topic", "angle"]
    source = yaml.safe_load(home.run("template", "show", "explainer", "--source").out)
    assert source == yaml.safe_load((TEMPLATES / "explainer.yaml").read_text())
    home.run("template", "show", "explainer", "--version", "9").refused(1, "no version 9; it has 1 to 2")
    home.run("template", "versions", "explaner").refused(1, "did you mean 'explainer'?")


def test_every_problem_of_every_file_is_named_and_no_project_is_made_for_them(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", {})
    for name, text in (("a.yaml", "name: a\ntitle: [x\n"), ("b.yaml", "- b\n")):
        (tmp_path / name).write_text(text)
    home.run("template", "add", tmp_path / "a.yaml", tmp_path / "b.yaml").refused(
        1, "a.yaml:3: ", "b.yaml:1: "
    )
    assert home.run("project", "list", "--json").json() == []


def test_a_preview_of_what_is_stored_and_of_a_file(home: Home, tmp_path: Path) -> None:
    home.run("template", "add", *TEMPLATES.glob("*.yaml"))
    shown = home.run("template", "preview", "explainer", "--var", "topic=Blobs = data", "--json").json()
    assert shown["title"] == "Blobs = data, explained"
    assert shown["variables"]["topic"] == {"value": "Blobs = data", "sample": False}
    assert [one["id"] for one in shown["jurisdictions"]] == ["generic"]
    text = home.run("template", "preview", "comparison", "--var", "criterion=cost").out
    for words in (
        "How Sample and Sample compare on cost",
        "600 to 1200 words",
        "neutral",
        "(a sample)",
        "3. The main",
    ):
        assert words in text, text
    home.run("template", "preview", "comparison", "--var", "criterion=cots").refused(
        1, "'criterion': 'cots'", "security, cost, speed", "did you mean 'cost'?"
    )
    home.run("template", "preview", "comparison", "--var", "criterion").refused(1, "name=value")

    briefs = SAMPLE / "briefs.csv"
    row = home.run("template", "preview", "explainer", "--brief-file", briefs, "--row", "3", "--json").json()
    assert row["title"] == "The Merge: how Ethereum moved to proof of stake"
    assert row["variables"]["topic"]["value"] == "The Merge"
    preview = ("template", "preview", "comparison", "--brief-file", briefs)
    home.run(*preview, "--row", "1").refused(1, "template 'explainer', not of 'comparison'")
    home.run(*preview, "--row", "99").refused(1, "--row 99", "8 briefs")

    # A file can be looked at where there is no project at all.
    elsewhere = Home(tmp_path / "elsewhere", {})
    file = elsewhere.run("template", "preview", TEMPLATES / "explainer.yaml", "--json").json()
    assert file["title"] == "Sample, explained" and file["tone"] == "neutral"
    assert elsewhere.run("project", "list", "--json").json() == []
    elsewhere.run("template", "preview", "explainer").refused(1, "no project yet")


def test_only_editors_change_templates(home: Home) -> None:
    assert home.run("member", "set", "wil", "writer").code == 0
    base = TEMPLATES / "base-article.yaml"
    home.run("template", "add", base, CRYPTOCONTENT_USER="wil").refused(1, "wil is writer", "editor")
    assert home.run("template", "list", "--json").json() == []
