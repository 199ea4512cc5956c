"""`cryptocontent demo`, twice, and the articles that it leaves, as a person looks at them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import frontmatter
import pytest

from tests.cli.homes import SAMPLE, Home, Result, query, run, shared_home

BRIEFS = len((SAMPLE / "briefs.csv").read_text().splitlines()) - 1


def _demo(folder: Path) -> Mapping[str, Result]:
    return {"first": run(folder, "demo"), "second": run(folder, "demo")}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return shared_home(tmp_path_factory, "demo-home", _demo)


@pytest.fixture(scope="module")
def listed(demo: Home) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = demo.run("article", "list", "--json").json()
    return rows


def exported(home: Home, slug: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((home.folder / "exports" / "sample" / f"{slug}.json").read_text())
    return data


def test_the_demo_writes_an_article_for_each_brief(demo: Home) -> None:
    first = demo.steps["first"]
    assert first.code == 0, first.said
    files = {path.name for path in (demo.folder / "exports" / "sample").glob("*.md")}
    assert len(files) == BRIEFS == 8
    for name in files:
        assert name in first.out, "the table names the file of each article"
    assert f"{BRIEFS} articles in " in first.out
    for heading in ("Words", "Cites", "Ease", "Findings", "Cost"):
        assert heading in first.out
    assert "make dev" in first.out and "article show" in first.out, "it says how to look further"


def test_a_second_demo_finds_nothing_to_do(demo: Home) -> None:
    second = demo.steps["second"]
    assert second.code == 0, second.said
    assert f"nothing to do: all {BRIEFS} briefs have their articles" in second.out
    assert "articles:" not in second.out and "references:" not in second.out
    (runs,) = (demo.folder / "dagster").rglob("runs.db")
    jobs = query(runs, "SELECT pipeline_name FROM runs ORDER BY id")
    assert jobs[0] == ("import_references",) and jobs[-1] == ("export_articles",)
    # A run for each priority of the sample's briefs.
    assert len(jobs) == 5, "the first went through Dagster, the second asked nothing of it"


def test_the_articles_are_within_their_templates(demo: Home, listed: list[dict[str, Any]]) -> None:
    assert len(listed) == BRIEFS
    for row in listed:
        most = 1200 if "compare" in row["title"] or row["title"].startswith("Optimistic") else 1100
        assert 600 <= row["words"] <= most, row
        assert row["status"] == "in_review" and row["citations"] >= 3 and row["cost_usd"] == 0
        post = frontmatter.load(str(demo.folder / "exports" / "sample" / f"{row['slug']}.md"))
        assert (post["title"], post["words"]) == (row["title"], row["words"])


def test_the_list_shows_what_its_json_holds(demo: Home, listed: list[dict[str, Any]]) -> None:
    lines = demo.run("article", "list").out.splitlines()
    for row in listed:
        (number,) = [at for at, line in enumerate(lines) if line.strip().startswith(row["title"] + " ")]
        cells = lines[number].split()
        shown = [
            str(row[key]) for key in ("words", "citations", "readability", "findings", "cost_usd", "status")
        ]
        assert cells[-6:] == shown
        assert lines[number + 1].strip() == row["slug"]


def test_show_prints_the_markdown_of_the_version(demo: Home, listed: list[dict[str, Any]]) -> None:
    for name in (f"sample/{listed[1]['slug']}", listed[3]["brief"]):
        row = next(
            row for row in listed if name in (row["id"], row["brief"], row["slug"], f"sample/{row['slug']}")
        )
        shown = demo.run("article", "show", name)
        assert shown.code == 0, shown.said
        assert exported(demo, row["slug"])["markdown"].strip() in shown.out, "word for word, lines not folded"
        assert f"sample/{row['slug']} · in_review · version 5 by seo" in shown.out
        assert "Versions 1 writer, 2 editor, 3 proofreader, 4 analyst, 5 seo" in shown.out


def test_show_as_json_holds_versions_citations_and_conversation(
    demo: Home, listed: list[dict[str, Any]]
) -> None:
    slug = listed[0]["slug"]
    data = demo.run("article", "show", slug, "--version", "writer", "--json").json()
    assert (data["version"]["number"], data["version"]["author"]) == (1, "writer")
    assert [one["author"] for one in data["versions"]] == [
        "writer",
        "editor",
        "proofreader",
        "analyst",
        "seo",
    ]
    cited = {int(number) for number in re.findall(r"\[\^(\d+)\](?!:)", data["version"]["markdown"])}
    assert cited and {one["number"] for one in data["citations"]} == cited
    assert all(one["text"] for one in data["citations"])
    assert {one["author"] for one in data["conversation"]} == {one["author"] for one in data["versions"]}


def test_the_conversation_says_what_each_agent_did(demo: Home, listed: list[dict[str, Any]]) -> None:
    shown = demo.run("article", "show", listed[0]["slug"], "--conversation")
    assert shown.code == 0, shown.said
    places = [
        shown.out.index(f"\n{name} summary\n")
        for name in ("writer", "editor", "proofreader", "analyst", "seo")
    ]
    assert places == sorted(places)
    assert "## Sources" not in shown.out, "the conversation instead of the text"


def test_the_sources_are_the_passages_whole(demo: Home, listed: list[dict[str, Any]]) -> None:
    slug = listed[0]["slug"]
    shown = demo.run("article", "show", slug, "--sources")
    for one in exported(demo, slug)["citations"]:
        assert f"^{one['number']} {one['title']} {one['external_id']}\n" in shown.out
        assert one["text"] in shown.out


def test_a_diff_shows_sentence_by_sentence_what_a_stage_changed(
    demo: Home, listed: list[dict[str, Any]]
) -> None:
    same = demo.run("article", "diff", listed[0]["slug"], "seo", "5")
    assert (same.code, same.out) == (0, "versions 5 (seo) and 5 (seo) are the same\n")
    changed = next(row for row in listed if _markdown_of(demo, row, 1) != _markdown_of(demo, row, 5))
    shown = demo.run("article", "diff", changed["slug"], "writer", "seo")
    lines = shown.out.splitlines()
    assert lines[:2] == ["--- version 1 (writer)", "+++ version 5 (seo)"]
    removed = [line[1:] for line in lines[2:] if line.startswith("-")]
    added = [line[1:] for line in lines[2:] if line.startswith("+")]
    assert removed or added
    assert all(line in _markdown_of(demo, changed, 1) for line in removed)
    assert all(line in _markdown_of(demo, changed, 5) for line in added)


def _markdown_of(home: Home, row: dict[str, Any], number: int) -> str:
    text = "SELECT markdown FROM versions WHERE article_id = ? AND number = ?"
    ((markdown,),) = query(home.database, text, row["id"], number)
    return str(markdown)


def test_export_writes_where_it_is_told(demo: Home, listed: list[dict[str, Any]], tmp_path: Path) -> None:
    slug = listed[0]["slug"]
    done = demo.run("article", "export", slug, "--to", tmp_path / "out", "--format", "md", "--format", "html")
    assert (done.code, done.out) == (0, f"1 articles in {tmp_path / 'out'}: 2 files written, 0 unchanged\n")
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert set(written) == {f"{slug}.md", f"{slug}.html"}
    for name, content in written.items():
        assert content == (demo.folder / "exports" / "sample" / name).read_bytes(), "as the demo exported it"


def test_what_is_not_there_is_named(demo: Home, listed: list[dict[str, Any]], tmp_path: Path) -> None:
    slug = listed[0]["slug"]
    demo.run("article", "show", "no-such").refused(1, "no article 'no-such'")
    demo.run("article", "diff", slug, "9").refused(1, "no version '9'", "5 (seo)")
    demo.run("article", "export", slug, "--format", "pdf", "--to", tmp_path).refused(
        1, "'pdf'", "md, html, json"
    )
    assert list(tmp_path.iterdir()) == []
