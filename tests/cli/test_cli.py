"""The console script, command by command: exit codes, messages that name the problem, JSON."""

import re
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tests.cli.homes import SAMPLE, SCRIPT, Home, Result, process, query, run, shared_home

SECRET = "s3cr3t-Pa55"
OLD_NOTE = """---
title: Fees before the London upgrade
tags: [legacy]
date: 2020-05-01
---

# Fees before the London upgrade

Every transaction named one gas price, and miners kept all of it. The base fee did not exist yet.
"""
BAD_BRIEFS = "template,topic,due_date\nexplainer,Fees,tomorrow\nno-such,Blobs,\nexplainer,,\n"
GOOD_BRIEFS = "template,topic,keywords,due_date\nexplainer,The base fee,base fee;gas,2027-01-01\n"
BAD_TEMPLATE = "name: broken\ntitle: x\nwords: {min: 900, max: 100}\nvariables: {}\nsections: []\n"


def _own_project(home: Path) -> Mapping[str, Result]:
    """A person's first day: every command that a first article takes, and the mistakes on the way."""
    folder = home / "references"
    folder.mkdir()
    for name in ("eip-1559-base-fee.md", "eip-4844-blobs.md"):
        shutil.copy(SAMPLE / "references" / name, folder)
    shutil.copytree(SAMPLE / "references" / "images", folder / "images")
    (folder / "old-note.md").write_text(OLD_NOTE)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 garbage")
    (folder / "huge.txt").write_bytes(b"a" * 30_000)
    (folder / "sheet.xlsx").write_bytes(b"x")
    (folder / "empty.md").write_bytes(b"")
    for name, text in (("bad.csv", BAD_BRIEFS), ("good.csv", GOOD_BRIEFS), ("bad.yaml", BAD_TEMPLATE)):
        (home / name).write_text(text)
    templates = sorted((SAMPLE / "templates").glob("*.yaml"))
    limit = {"MAX_DOCUMENT_BYTES": "20000"}
    return {
        "before": run(home, "article", "list"),
        "create": run(home, "project", "create", "own", "--name", "Our [news]"),
        "bad template": run(home, "template", "add", templates[0], "bad.yaml"),
        "templates": run(home, "template", "add", *templates),
        "ingest": run(home, "ingest", folder, "--json", **limit),
        "ingest again": run(home, "ingest", folder, **limit),
        "bad briefs": run(home, "brief", "import", "bad.csv"),
        "dry run": run(home, "brief", "import", "good.csv", "--dry-run"),
        "briefs": run(home, "brief", "import", "good.csv", "--json"),
        "generate": run(home, "generate", "--all", "--json"),
        "generate again": run(home, "generate", "--all"),
    }


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return shared_home(tmp_path_factory, "own-home", _own_project)


def rows(home: Home, text: str) -> list[tuple[Any, ...]]:
    return query(home.database, text)


# Help


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    for name, one in getattr(group, "commands", {}).items():
        found += commands(one, (*path, name))
    return found


def test_every_command_has_help() -> None:
    from cryptocontent.cli.app import app

    paths = commands(typer.main.get_command(app))
    wanted = """project create|project list|ingest|search|template add|template list|template show
        |brief import|brief list|brief header|generate|article list|article show|article diff|article export
        |eval retrieval|audit verify|doctor|demo|dev"""
    assert {" ".join(path) for path in paths} >= {one.strip() for one in wanted.split("|")}
    for path in paths:
        result = CliRunner().invoke(app, [*path, "--help"])
        assert result.exit_code == 0, path
        usage, _, rest = result.output.strip().partition("\n")
        assert usage.startswith("Usage:") and all(name in usage for name in path), path
        assert len(rest.strip().splitlines()[0]) > 10, f"{path} says what it does"


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    result = process([sys.executable, "-X", "importtime", SCRIPT, "--help"], tmp_path)
    assert result.code == 0 and "audit" in result.out
    imported = {line.rsplit("|", 1)[1].strip() for line in result.err.splitlines() if "|" in line}
    assert "typer" in imported and "cryptocontent.cli.app" in imported
    heavy = {"sqlalchemy", "rich", "dagster", "alembic", "pydantic", "numpy", "qdrant_client", "wordllama"}
    assert {name.split(".")[0] for name in imported} & heavy == set()
    assert list(tmp_path.iterdir()) == [], "and it makes nothing"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such"], "no-such"),
        (["search"], "text"),
        (["generate", "--batch", "0"], "--batch"),
        (["search", "x", "--since", "01/02/2026"], "01/02/2026"),
    ],
)
def test_wrong_usage_is_exit_code_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    run(tmp_path, *arguments).refused(2, "Usage:", words)


# Settings


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", f"mysql://root:{SECRET}@db/x", ["DATABASE_URL", "mysql", "postgresql+psycopg"]),
        ("VECTOR_URL", f"ftp://root:{SECRET}@h", ["VECTOR_URL", "ftp", "https"]),
        ("BATCH_SIZE", "many", ["batch_size", "integer"]),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_printed(
    tmp_path: Path, name: str, value: str, words: list[str]
) -> None:
    result = run(tmp_path, "article", "list", **{name: value})
    result.refused(1, *words)
    assert SECRET not in result.said and len(result.err.splitlines()) == 1


def test_an_unreachable_database_is_a_line_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://anna:{SECRET}@127.0.0.1:1/x"
    result = run(tmp_path, "article", "list", DATABASE_URL=url)
    result.refused(1, "127.0.0.1", "refused")
    assert SECRET not in result.said


# Projects, templates, references, briefs


def test_without_a_project_the_next_step_is_named(own: Home) -> None:
    own.steps["before"].refused(1, "no project yet", "cryptocontent project create")


def test_a_project_is_made_once_and_bad_ids_are_refused(own: Home) -> None:
    assert own.steps["create"].code == 0 and "own" in own.steps["create"].out
    own.run("project", "create", "own").refused(1, "'own' exists already")
    own.run("project", "create", "../up").refused(1, "'../up'", "lower-case letters")
    own.run("article", "list", "--project", "other").refused(1, "'other'", "own")


def test_a_bad_template_is_named_with_file_and_field_and_nothing_is_added(own: Home) -> None:
    own.steps["bad template"].refused(1, "bad.yaml", "words", "min 900 is above max 100", "sections")
    assert "explainer" not in own.steps["bad template"].out
    assert own.steps["templates"].out.count("new version") == 3
    assert rows(own, "SELECT count(*) FROM template_versions") == [(3,)], "all files or none"


def test_a_broken_file_is_reported_and_the_rest_goes_on(own: Home) -> None:
    report = own.steps["ingest"].json()
    assert report["added"] == [
        f"references/{name}.md" for name in ("eip-1559-base-fee", "eip-4844-blobs", "old-note")
    ]
    problems = {Path(path).name: reason for path, reason in report["problems"]}
    assert set(problems) == {"broken.pdf", "huge.txt", "sheet.xlsx", "empty.md"}
    assert "broken" in problems["broken.pdf"] and "empty" in problems["empty.md"]
    assert "30,000" in problems["huge.txt"] and "20,000" in problems["huge.txt"]
    assert ".xlsx" in problems["sheet.xlsx"] and ".docx" in problems["sheet.xlsx"]
    assert all(Path(path).is_file() for path, _ in report["problems"]), "by its whole path"
    assert report["index"]["embedded"] == report["passages"] == report["index"]["total"] > 10


def test_a_second_import_embeds_nothing_and_repeats_the_problems(own: Home) -> None:
    again = own.steps["ingest again"]
    assert again.code == 0, again.said
    assert "0 added, 0 revised, 3 unchanged, 0 withdrawn" in again.out
    total = own.steps["ingest"].json()["index"]["total"]
    assert f"passages: 0 embedded, 0 removed, {total} searchable" in again.out
    assert all(name in again.err for name in ("broken.pdf", "huge.txt", "sheet.xlsx", "empty.md"))


def test_an_import_of_nothing_good_is_exit_code_1(tmp_path: Path) -> None:
    run(tmp_path, "ingest", "nowhere").refused(1, "nowhere")
    (tmp_path / "only.pdf").write_bytes(b"%PDF-1.4 garbage")
    result = run(tmp_path, "ingest", "only.pdf")
    result.refused(1, "only.pdf", "broken")
    assert "project default: 0 added" in result.out


def test_bad_briefs_are_named_by_line_and_column_and_none_is_imported(own: Home) -> None:
    bad = own.steps["bad briefs"]
    bad.refused(1, "line 2, due_date='tomorrow'", "line 3, template='no-such'", "line 4, topic=")
    assert bad.err.count("bad.csv: line ") == 3 and "nothing was imported: 3 problems" in bad.out


def test_a_dry_run_writes_nothing(own: Home) -> None:
    assert (own.steps["dry run"].code, own.steps["dry run"].out) == (
        0,
        "would be 1 new, 0 changed, 0 unchanged\n",
    )
    report = own.steps["briefs"].json()
    assert len(report["created"]) == 1 and report["updated"] == report["problems"] == [], (
        "it was new after it"
    )
    assert rows(own, "SELECT id FROM briefs") == [(report["created"][0],)]


def test_a_missing_file_is_named(own: Home) -> None:
    own.run("brief", "import", "nowhere.csv").refused(1, "nowhere.csv")


# Generating


def test_without_a_daemon_articles_are_made_through_dagster_in_a_child(own: Home) -> None:
    result = own.steps["generate"].json()
    assert result["failed"] == [] and len(result["articles"]) == 1
    (article,) = result["articles"]
    assert article["title"] == "The base fee, explained" and article["status"] == "in_review"
    assert rows(own, "SELECT runner, status FROM generations") == [("local", "done")]
    ((provenance,),) = rows(own, "SELECT provenance FROM versions WHERE number = 5")
    ((run_id,),) = rows(own, "SELECT DISTINCT run_id FROM generation_briefs")
    assert run_id and run_id in provenance, "the Dagster run is in the version's provenance"


def test_what_is_done_is_not_done_again(own: Home) -> None:
    again = own.steps["generate again"]
    assert again.code == 0 and again.out.startswith("nothing to do: all 1 briefs have their articles")
    assert rows(own, "SELECT count(*) FROM generations") == [(1,)]


def test_which_briefs_has_to_be_said(own: Home) -> None:
    own.run("generate").refused(1, "--brief", "--all")
    own.run("generate", "--brief", "nonsense").refused(1, "no brief 'nonsense'")


# What lists and shows


@pytest.mark.parametrize(
    ("noun", "keys"),
    [
        ("project", ["id", "name", "references", "briefs", "articles"]),
        ("template", ["name", "version", "sections", "words", "variables", "description"]),
    ],
)
def test_a_list_shows_what_its_json_holds(own: Home, noun: str, keys: list[str]) -> None:
    data = own.run(noun, "list", "--json").json()
    lines = own.run(noun, "list").out.splitlines()
    assert data
    for row in data:
        wanted = " ".join(str(row[key]) for key in keys).split()
        assert wanted in [line.split() for line in lines], (wanted, lines)


def test_the_list_of_briefs_shows_what_its_json_holds(own: Home) -> None:
    data = own.run("brief", "list", "--json").json()
    lines = own.run("brief", "list").out.splitlines()
    assert data
    for row in data:
        facts = lines[lines.index(row["id"]) + 1]
        assert f"{row['title']} · priority {row['priority']}" in facts
        assert row["due"] in facts and row["article"] in facts


def test_a_template_is_shown_as_it_was_added(own: Home) -> None:
    import yaml

    added = yaml.safe_load((SAMPLE / "templates" / "explainer.yaml").read_text())
    shown = own.run("template", "show", "explainer")
    data = yaml.safe_load(shown.out)
    assert data["title"] == added["title"] and data["words"] == added["words"]
    assert [one["heading"] for one in data["sections"]] == [one["heading"] for one in added["sections"]]
    own.run("template", "show", "nothing").refused(1, "'nothing'", "base-article, comparison, explainer")


# Searching


def test_search_shows_what_its_json_holds(own: Home) -> None:
    found = own.run("search", "how is the base fee set", "--limit", "3", "--json").json()
    assert len(found) == 3 and found[0]["external_id"] == "references/eip-1559-base-fee.md"
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    shown = own.run("search", "how is the base fee set", "--limit", "3").out
    for rank, one in enumerate(found, 1):
        assert f"{rank}. {one['title']} " in shown and one["external_id"] in shown
        assert " ".join(one["text"].split())[:300] in " ".join(shown.split())


@pytest.mark.parametrize(
    ("filters", "documents"),
    [
        (["--tag", "legacy"], {"old-note"}),
        (["--until", "2020-05-01"], {"old-note"}),
        (["--since", "2020-05-02", "--tag", "base fee"], {"eip-1559-base-fee"}),
        (["--source", "folder", "--mode", "bm25"], {"old-note", "eip-1559-base-fee", "eip-4844-blobs"}),
        (["--tag", "no-such"], set()),
    ],
)
def test_search_is_filtered(own: Home, filters: list[str], documents: set[str]) -> None:
    found = own.run("search", "base fee", "--limit", "50", *filters, "--json").json()
    assert {Path(one["external_id"]).stem for one in found} == documents


def test_an_unknown_mode_is_refused(own: Home) -> None:
    own.run("search", "x", "--mode", "psychic").refused(1, "'psychic'", "hybrid, dense, bm25")


def test_retrieval_is_measured_and_bad_queries_are_named(own: Home) -> None:
    queries = own.folder / "queries.tsv"
    queries.write_text(
        "blob data is pruned after some days\teip-4844-blobs\ngas price kept by miners\told-note.md\n"
    )
    data = own.run("eval", "retrieval", "--queries", queries, "--json").json()
    assert [one["ranking"] for one in data] == ["dense", "BM25", "product"]
    assert all(one["queries"] == 2 and 0 <= one["mrr10"] <= one["recall10"] <= 1 for one in data)
    assert data[2]["mrr10"] == 1.0
    bad = own.folder / "bad.tsv"
    bad.write_text("good\told-note\nno tab here\n")
    own.run("eval", "retrieval", "--queries", bad).refused(1, "bad.tsv", "line 2")
    bad.write_text("good\tno-such-document\n")
    own.run("eval", "retrieval", "--queries", bad).refused(1, "'no-such-document'")


# Audit and doctor


def test_the_audit_trail_holds(own: Home) -> None:
    (verdict,) = own.run("audit", "verify", "--json").json()
    ((entries,),) = rows(own, "SELECT count(*) FROM audit_entries")
    assert verdict == {"project_id": "own", "entries": entries, "broken_at": None, "problem": ""}
    assert entries >= 8


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE audit_entries SET actor = 'cli:mallory' WHERE seq = 4", "entry 4 was changed"),
        ("DELETE FROM audit_entries WHERE seq = 3", "entry 3 is missing"),
        (
            "DELETE FROM audit_entries WHERE seq = (SELECT max(seq) FROM audit_entries)",
            "is missing: the chain's head is",
        ),
    ],
)
def test_a_tampered_trail_is_named_at_its_entry(own: Home, tmp_path: Path, change: str, problem: str) -> None:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(own.database)) as there, closing(sqlite3.connect(copy)) as here:
        there.backup(here)
        for verb in ("update", "delete"):  # the database itself refuses it otherwise
            here.execute(f"DROP TRIGGER audit_entries_written_once_{verb}")
        here.execute(change)
        here.commit()
    result = run(tmp_path, "audit", "verify", DATABASE_URL=f"sqlite:///{copy}")
    result.refused(1, "project own", problem)


def test_the_doctor_finds_everything_well(own: Home) -> None:
    data = own.run("doctor", "--json").json()
    assert [one["what"] for one in data] == [
        "database", "object store", "search index", "embeddings", "Dagster", "agents", "models"
    ]  # fmt: skip
    assert {one["state"] for one in data} == {"ok"}, data
    details = {one["what"]: one["detail"] for one in data}
    assert details["database"] == "1 projects, 1 articles"
    assert re.match(r"[1-9]\d* runs; no daemon runs", details["Dagster"])


@pytest.mark.parametrize(
    ("name", "url", "broken"),
    [
        ("VECTOR_URL", f"http://anna:{SECRET}@127.0.0.1:1", "search index"),
        ("DATABASE_URL", f"postgresql+psycopg://anna:{SECRET}@127.0.0.1:1/x", "database"),
    ],
)
def test_the_doctor_names_what_cannot_be_reached_and_prints_no_secret(
    own: Home, name: str, url: str, broken: str
) -> None:
    result = own.run("doctor", "--json", **{name: url, "VECTOR_API_KEY": f"key-{SECRET}"})
    assert result.code == 1, result.said
    states = {line.split('"')[3]: line for line in _objects(result.out)}
    assert '"state": "broken"' in states[broken] and "refused" in states[broken]
    assert '"state": "ok"' in states["object store"] and '"state": "ok"' in states["embeddings"]
    assert "127.0.0.1:1" in states[broken] and SECRET not in result.said


def _objects(text: str) -> list[str]:
    return [" ".join(one.split()) for one in re.findall(r"\{[^{}]*\}", text)]
