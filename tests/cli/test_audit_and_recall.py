"""`audit` and `reference` as people type them: what they print, refuse and prove."""

import json
from pathlib import Path

import pytest

from tests.cli.homes import Home, query, run

NOTES = "# Fees\n\nThe base fee of Ethereum is burned in every block.\n"
OTHER = "0" * 64


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home", {})
    assert made.run("project", "create", "own").code == 0
    (made.folder / "notes").mkdir()
    (made.folder / "notes" / "fees.md").write_text(NOTES)
    assert made.run("ingest", "notes").code == 0
    return made


def test_the_trail_is_listed_with_its_origins(home: Home) -> None:
    rows = home.run("audit", "list", "--json").json()
    assert [row["action"] for row in rows] == ["reference.imported", "project.created"]
    assert all(row["origin"].startswith("cli:") and len(row["request_id"]) == 32 for row in rows)
    assert rows[0]["request_id"] != rows[1]["request_id"]
    (row,) = home.run("audit", "list", "--subject", "reference:", "--json").json()
    assert row["subject"] == "reference:notes/fees.md"
    assert home.run("audit", "list", "--actor", "person:", "--json").json() == []
    assert len(home.run("audit", "list", "--limit", "1", "--json").json()) == 1
    assert "reference.imported" in home.run("audit", "list").out
    assert home.run("member", "set", "wil", "writer").code == 0
    for words in (("list",), ("export",)):
        home.run("audit", *words, CRYPTOCONTENT_USER="wil").refused(1, "wil is writer", "administer")
    home.run("audit", "list", CRYPTOCONTENT_USER="eve").refused(1, "'eve' is not a member")


def test_an_export_is_proved_anywhere(home: Home, tmp_path: Path) -> None:
    head = home.run("audit", "head").out.strip()
    assert head == ":".join(map(str, query(home.database, "SELECT seq, hash FROM audit_heads")[0]))
    said = home.run("audit", "export", "--to", tmp_path / "trail.jsonl")
    assert said.code == 0 and head in said.out
    text = (tmp_path / "trail.jsonl").read_text()
    assert text == home.run("audit", "export").out
    assert [json.loads(line)["seq"] for line in text.splitlines()] == [1, 2]

    elsewhere = tmp_path / "elsewhere"
    proved = run(elsewhere, "audit", "verify", "--file", tmp_path / "trail.jsonl", "--head", head)
    assert (proved.code, proved.out) == (0, "project own: 2 entries, the chain holds\n")
    assert not (elsewhere / "cryptocontent.db").exists(), "a file needs no database"
    (tmp_path / "trail.jsonl").write_text(text.replace("notes/fees.md", "notes/bees.md"))
    run(elsewhere, "audit", "verify", "--file", tmp_path / "trail.jsonl").refused(1, "entry 2 was changed")
    (tmp_path / "trail.jsonl").write_text(text.splitlines(keepends=True)[0])
    assert run(elsewhere, "audit", "verify", "--file", tmp_path / "trail.jsonl").code == 0
    cut = run(elsewhere, "audit", "verify", "--file", tmp_path / "trail.jsonl", "--head", head)
    cut.refused(1, "entry 2, whose hash was kept, is missing")
    (tmp_path / "trail.jsonl").write_bytes(b"\xff\xfe")
    run(elsewhere, "audit", "verify", "--file", tmp_path / "trail.jsonl").refused(1, "trail.jsonl", "UTF-8")
    (tmp_path / "trail.jsonl").write_text("a,b\n")
    run(elsewhere, "audit", "verify", "--file", tmp_path / "trail.jsonl").refused(1, "line 1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "home", "trail.jsonl"]


def test_a_head_that_was_kept_is_proved(home: Home) -> None:
    head = home.run("audit", "head", "--json").json()
    kept = f"{head['seq']}:{head['hash']}"
    assert home.run("member", "set", "ada", "admin").code == 0
    assert home.run("audit", "verify", "--head", kept).code == 0
    home.run("audit", "verify", "--head", f"2:{OTHER}").refused(1, "project own", "entry 2", "made anew")
    home.run("audit", "verify", "--head", "2:abc").refused(1, "SEQ:HASH")


def test_a_reference_is_recalled_and_readmitted(home: Home) -> None:
    (row,) = home.run("reference", "list", "--json").json()
    assert (row["external_id"], row["status"], row["passages"]) == ("notes/fees.md", "active", 1)
    assert "revision 1" in home.run("reference", "show", "fees.md").out
    home.run("reference", "recall", "fees.md").refused(2, "--reason")
    home.run("reference", "recall", "bees.md", "--reason", "made up").refused(1, "'bees.md'")
    home.run("reference", "list", "--status", "bad").refused(1, "'bad'", "active, withdrawn, recalled")
    for name, role in (("wil", "writer"), ("ed", "editor")):
        assert home.run("member", "set", name, role).code == 0
    asked = ("reference", "recall", "fees.md", "--reason", "it was made up")
    home.run(*asked, CRYPTOCONTENT_USER="wil").refused(1, "wil is writer", "review")

    done = home.run(*asked, CRYPTOCONTENT_USER="ed")
    assert done.code == 0, done.said
    assert "recalled: notes/fees.md" in done.out and "1 passage taken out of search" in done.out
    assert "it was made up" in home.run("reference", "show", "notes/fees.md").out
    again = home.run(*asked, "--json").json()
    assert (again["recalled"], again["already"]) == ([], ["notes/fees.md"])
    assert "nothing was found" in home.run("search", "base fee").out
    ingested = home.run("ingest", "notes")
    assert ingested.code == 0 and "notes/fees.md: recalled" in ingested.err
    assert "nothing was found" in home.run("search", "base fee").out

    home.run("reference", "readmit", "fees.md", CRYPTOCONTENT_USER="ed").refused(1, "ed is editor")
    assert home.run("reference", "readmit", "fees.md").out == "readmitted: notes/fees.md\n"
    assert "none of them" in home.run("reference", "readmit", "fees.md").out
    assert "base fee" in home.run("search", "base fee").out
    actors = query(home.database, "SELECT actor FROM audit_entries WHERE action = 'reference.recalled'")
    assert actors == [("person:ed",)]
    assert home.run("audit", "verify").code == 0
