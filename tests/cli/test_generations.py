"""`cryptocontent generation` and `generate` without a daemon: canary, approval, pause, a killed runner."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.homes import SAMPLE, Home, Result, process, query, run, shared_home

SEEDS = "seed-phrases-and-hardware-wallets.md"
BRIEFS = """template,topic,title,priority
explainer,The base fee,"The base fee, explained",normal
explainer,Blob data,"Blob data, explained",high
explainer,Stablecoins,"Stablecoins, explained",low
"""
SAME_TITLE = (
    'template,topic,title\nexplainer,Blobs,"Blobs, explained"\nexplainer,EIP-4844 blobs,"Blobs, explained"\n'
)
# A run of a local process that was killed in the middle of it, as Dagster keeps it: started, never ended.
KILLED = """
import sys
from dagster import DagsterInstance, DagsterRunStatus
from cryptocontent.cli.local_run import _LOCAL_TAG
from cryptocontent.definitions import defs
from cryptocontent.resources.instance import prepare_dagster_home
from cryptocontent.sensors.generations import plan, set_running
from cryptocontent.settings import Settings
from cryptocontent.storage import open_engine

settings = Settings()
prepare_dagster_home(settings)
engine = open_engine(settings.database_url)
with DagsterInstance.get() as instance:
    (request,) = plan(engine, instance, sys.argv[1])
    job = defs.resolve_job_def(request.job_name)
    tags = {**request.tags, _LOCAL_TAG: "1"}
    instance.create_run_for_job(job, tags=tags, status=DagsterRunStatus.STARTED)
    set_running(engine, sys.argv[1])
"""


def newest(home: Path) -> str:
    ((found,),) = query(
        home / "cryptocontent.db", "SELECT id FROM generations ORDER BY created_at DESC LIMIT 1"
    )
    return str(found)


def _newsroom(home: Path) -> Mapping[str, Result]:
    folder = home / "references"
    folder.mkdir()
    for name in ("eip-1559-base-fee.md", "eip-4844-blobs.md", "stablecoins.md", SEEDS):
        shutil.copy(SAMPLE / "references" / name, folder)
    (home / "briefs.csv").write_text(BRIEFS)
    (home / "same.csv").write_text(SAME_TITLE)
    (home / "late.csv").write_text("template,topic\nexplainer,Seed phrases\n")
    steps = {
        "create": run(home, "project", "create", "own"),
        "member": run(home, "member", "set", "wil", "writer"),
        "templates": run(home, "template", "add", *sorted((SAMPLE / "templates").glob("*.yaml"))),
        "ingest": run(home, "ingest", folder),
        "import": run(home, "brief", "import", "briefs.csv"),
        "dry run": run(home, "generate", "--all", "--dry-run"),
        "canary": run(home, "generate", "--all", "--canary", "1"),
    }
    name = newest(home)[:7]
    steps |= {
        "show the canary": run(home, "generation", "show", name, "--json"),
        "told of the canary": run(home, "generation", "show", name),
        "approve as writer": run(home, "generation", "approve", name, CRYPTOCONTENT_USER="wil"),
        "approve": run(home, "generation", "approve", name),
        "show the end": run(home, "generation", "show", name, "--json"),
        "told of the end": run(home, "generation", "show", name),
        "pause the end": run(home, "generation", "pause", name),
        "list": run(home, "generation", "list", "--json"),
        "import the same": run(home, "brief", "import", "same.csv"),
        "generate the same": run(home, "generate", "--all"),
        "generate the same on purpose": run(
            home, "generate", "--all", "--allow-duplicates", "--no-wait", "--priority", "high"
        ),
        "cancel": run(home, "generation", "cancel", newest(home), "--reason", "not needed"),
        "import late": run(home, "brief", "import", "late.csv"),
        "generate late": run(home, "generate", "--brief", "seed-phrases", "--no-wait"),
    }
    last = newest(home)
    return steps | {
        "the runner is killed": process([sys.executable, "-c", KILLED, last], home),
        "pause": run(home, "generation", "pause", last[:8]),
        "resume": run(home, "generation", "resume", last[:8]),
        "list at the end": run(home, "generation", "list"),
    }


@pytest.fixture(scope="module")
def newsroom(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return shared_home(tmp_path_factory, "generations-home", _newsroom)


def states(shown: dict[str, Any]) -> dict[str, str]:
    return {row["title"]: row["status"] for row in shown["briefs"]}


def test_a_dry_run_of_generate_only_says_what_it_would_take(newsroom: Home) -> None:
    told = newsroom.steps["dry run"]
    assert told.code == 0 and told.out.startswith("estimate: 3 briefs, 15 stages"), told.said
    assert "cost $0.00" in told.out
    audited = query(
        newsroom.database, "SELECT count(*) FROM audit_entries WHERE action = 'generation.requested'"
    )
    assert audited == [(3,)], "one with a canary, two without waiting"


def test_the_canary_is_the_most_urgent_brief_and_the_rest_waits(newsroom: Home) -> None:
    canary = newsroom.steps["canary"]
    assert canary.code == 0, canary.said
    assert canary.err.startswith("estimate: 3 briefs, 15 stages"), "it comes before the work"
    assert "ready for review: 1 article; failed: 0 briefs" in canary.out
    assert "the canary is through; 2 briefs wait for `cryptocontent generation approve" in canary.out
    shown = newsroom.steps["show the canary"].json()
    assert shown["status"] == "awaiting_approval"
    assert states(shown) == {
        "Blob data, explained": "done",
        "The base fee, explained": "held",
        "Stablecoins, explained": "held",
    }
    done = {row["title"]: row["stages"] for row in shown["briefs"]}
    assert all(done["Blob data, explained"]) and not any(done["The base fee, explained"])
    told = newsroom.steps["told of the canary"].out
    assert told.count("✓") == 5 and told.count("–") == 10 and "`cryptocontent generation approve" in told


def test_an_editor_approves_and_without_a_daemon_the_rest_is_made_here(newsroom: Home) -> None:
    newsroom.steps["approve as writer"].refused(1, "wil is writer", "review")
    approved = newsroom.steps["approve"]
    assert approved.code == 0 and approved.out.endswith("done: 3 done\n"), approved.said
    shown = newsroom.steps["show the end"].json()
    assert set(states(shown).values()) == {"done"} and shown["status"] == "done"
    batches = {row["title"]: row["batch"] for row in shown["briefs"]}
    assert batches == {"Blob data, explained": 0, "The base fee, explained": 1, "Stablecoins, explained": 2}
    assert all(600 <= row["words"] <= 1100 for row in shown["briefs"])
    assert shown["estimate"]["usd"] == {"p50": 0.0, "p90": 0.0} and shown["cost_usd"] == 0.0
    told = newsroom.steps["told of the end"].out
    assert told.count("✓") == 15 and "cost $0.00; estimated $0.00" in told
    newsroom.steps["pause the end"].refused(1, "is done", "requested or running")


def test_the_list_shows_every_generation(newsroom: Home) -> None:
    (row,) = newsroom.steps["list"].json()
    assert (row["status"], row["canary"], row["states"]) == ("done", 1, {"done": 3})


def test_briefs_with_one_title_are_refused_unless_they_are_meant(newsroom: Home) -> None:
    newsroom.steps["generate the same"].refused(1, "the same title", "Blobs, explained", "--allow-duplicates")
    meant = newsroom.steps["generate the same on purpose"]
    assert meant.code == 0 and len(meant.out.split()) == 1, "what is printed is the generation's id alone"
    assert "1 duplicates" in meant.err


def test_a_killed_runner_is_resumed_where_it_was(newsroom: Home) -> None:
    killed = newsroom.steps["the runner is killed"]
    assert killed.code == 0, killed.said
    assert newsroom.steps["pause"].code == 0
    resumed = newsroom.steps["resume"]
    assert resumed.out.endswith("done: 1 done\n"), resumed.said
    (runs,) = (newsroom.folder / "dagster").rglob("runs.db")
    assert query(runs, "SELECT count(*) FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE')") == [(0,)]


def test_what_was_not_begun_is_cancelled(newsroom: Home) -> None:
    cancelled = newsroom.steps["cancel"]
    assert cancelled.code == 0 and cancelled.out.endswith(" cancelled\n"), cancelled.said
    said = "SELECT data FROM audit_entries WHERE action = 'generation.cancelled'"
    ((data,),) = query(newsroom.database, said)
    assert "not needed" in data
    listed = newsroom.steps["list at the end"].out
    assert "2 cancelled" in listed and "1 done" in listed and "3 done" in listed


def test_what_is_not_there_is_named(newsroom: Home) -> None:
    newsroom.run("generation", "show", "nothing").refused(1, "no generation 'nothing'")
    newsroom.run("generation", "approve", "").refused(1, "no generation ''")
