"""`member`, `rules` and `market` as people type them: who may, what is refused, what is kept."""

from pathlib import Path

import pytest

from tests.cli.homes import Home, query, run

FACTS = (
    "asset_id,metric,value,unit,source,as_of\n"
    "bitcoin,price,67123.45,USD,CoinGecko,2026-11-24T00:00:00Z\n"
    "ethereum,tvl,5e10,USD,DefiLlama,2026-11-23T00:00:00Z\n"
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home", {})
    assert made.run("project", "create", "own").code == 0
    return made


def test_members_and_what_they_may(home: Home) -> None:
    assert home.run("member", "list", "--json").json() == []
    assert home.run("member", "set", "ada", "admin").code == 0
    assert home.run("member", "set", "wil", "writer").code == 0
    wil = {"CRYPTOCONTENT_USER": "wil"}
    home.run("member", "set", "wil", "admin", **wil).refused(1, "wil is writer", "administer", "admin")
    home.run("member", "remove", "ada", **wil).refused(1, "wil is writer")
    home.run("member", "set", "x", "viewer", CRYPTOCONTENT_USER="eve").refused(1, "'eve' is not a member")
    home.run("member", "set", "x", "owner").refused(1, "role 'owner'", "viewer, writer")
    home.run("member", "remove", "nobody").refused(1, "no member 'nobody'", "ada, wil")
    assert home.run("member", "set", "wil", "editor", CRYPTOCONTENT_USER="ada").code == 0
    assert home.run("member", "list", "--json").json() == [
        {"name": "ada", "role": "admin"},
        {"name": "wil", "role": "editor"},
    ]
    assert home.run("member", "remove", "wil").code == 0
    rows = query(
        home.database, "SELECT action, subject, actor FROM audit_entries WHERE subject LIKE 'member:%'"
    )
    assert [row[:2] for row in rows] == [
        ("member.set", "member:ada"),
        ("member.set", "member:wil"),
        ("member.set", "member:wil"),
        ("member.removed", "member:wil"),
    ]
    assert rows[2][2] == "person:ada" and all(row[2].startswith("person:") for row in rows)
    origins = query(home.database, "SELECT origin, request_id FROM audit_entries")
    assert {row[0].split(":")[0] for row in origins} == {"cli"}
    assert len({row[1] for row in origins}) == len(origins), "each command is a request of its own"


def test_rules_of_a_projects_own(home: Home, tmp_path: Path) -> None:
    listed = home.run("rules", "list", "--json").json()
    assert {row["name"] for row in listed} >= {"assets", "links", "limits"}
    assert {row["version"] for row in listed} == {0}
    shown = home.run("rules", "show", "limits")
    assert "title_max:" in shown.out
    file = tmp_path / "limits.yaml"
    file.write_text(shown.out)
    assert "unchanged, as shipped" in home.run("rules", "set", "limits", file).out
    file.write_text(shown.out.replace("title_max: ", "title_max: 1"))
    assert "version 1 is in force" in home.run("rules", "set", "limits", file).out
    assert home.run("rules", "show", "limits", "--json").json()["title_max"] > 1000
    assert "title_max: 1" not in home.run("rules", "show", "limits", "--shipped").out.replace(
        "title_max: 110", ""
    )
    assert "version 1 of own" in home.run("rules", "list").out
    file.write_text(shown.out + "unheard_of: 1\n")
    home.run("rules", "set", "limits", file).refused(1, "limits.yaml", "unheard_of")
    file.write_bytes(b"\xff\xfe")
    home.run("rules", "set", "limits", file).refused(1, "limits.yaml", "not UTF-8")
    home.run("rules", "show", "nothing").refused(1, "no rule file 'nothing'", "assets")
    home.run("rules", "set", "limits", tmp_path / "none.yaml").refused(1, "none.yaml")
    home.run("member", "set", "ed", "editor")
    file.write_text(shown.out)
    home.run("rules", "set", "limits", file, CRYPTOCONTENT_USER="ed").refused(1, "ed is editor", "administer")


def test_market_facts(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "facts.csv"
    file.write_text(FACTS)
    assert "2 new, 0 known" in home.run("market", "import", file).out
    again = home.run("market", "import", file, "--json").json()
    assert (again["created"], again["unchanged"], again["problems"]) == ([], 2, [])
    (row,) = home.run("market", "list", "--asset", "bitcoin", "--json").json()
    assert (row["value"], row["unit"], row["as_of"]) == (67123.45, "USD", "2026-11-24T00:00:00+00:00")
    shown = home.run("market", "list").out
    assert "The price of Bitcoin was 67,123.45 USD on 24 November 2026" in shown and row["id"] in shown
    assert home.run("market", "list", "--asset", "no-such-coin").code == 1


def test_bad_market_facts_are_named_and_none_is_imported(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "facts.csv"
    file.write_text(FACTS.replace("ethereum,tvl", "no-such-asset,tvl") + "bitcoin,price,x,USD,X,2026-11-24\n")
    result = home.run("market", "import", file)
    result.refused(1, "line 3, asset_id='no-such-asset'", "line 4, value='x'", "line 4, as_of")
    assert "nothing was imported: 3 problems" in result.out
    assert "no market facts" in home.run("market", "list").out
    file.write_text("a,b\n1,2\n")
    home.run("market", "import", file).refused(1, "facts.csv", "'asset_id' is missing")
    home.run("member", "set", "vic", "viewer")
    home.run("market", "import", file, CRYPTOCONTENT_USER="vic").refused(1, "vic is viewer", "write")


def test_without_a_project_it_is_said_what_to_do(tmp_path: Path) -> None:
    run(tmp_path, "member", "list").refused(1, "there is no project yet")
