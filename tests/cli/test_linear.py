"""`cryptocontent linear` and `campaign`, as a user drives them against the fake; and killed processes."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cryptocontent.content.templates import save_template
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Article, Brief, LinearIssue
from tests.cli.homes import SCRIPT
from tests.cli.inside import ADA, Inside, inside
from tests.fakes.linear import Linear, environment, linear_server, sample
from tests.planning.world import SPEC


class Desk:
    """A home, the fake, and commands with the settings that lead to it."""

    def __init__(self, home: Inside, linear: Linear) -> None:
        self.home, self.linear = home, linear
        self.settings = environment(linear.url)
        self.team = sample(linear)
        assert home.run("project", "create", "news").code == 0
        with writing(home.engine) as session:
            for name in ("explainer", "report"):
                save_template(session, "news", SPEC.model_copy(update={"name": name}), ADA.actor)

    def run(self, *arguments: str) -> Any:
        return self.home.run(*arguments, **self.settings)

    def issue(self, identifier: str) -> Any:
        return next(one for one in self.linear.issues.values() if one["identifier"] == identifier)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with inside(tmp_path, monkeypatch) as home, linear_server() as linear:
        yield Desk(home, linear)


def test_without_credentials_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with inside(tmp_path, monkeypatch) as home:
        home.run("project", "create", "news")
        for command in (["check"], ["add", "ed", "team=ENG", "label=article"]):
            home.run("linear", *command).refused(1, "LINEAR_API_KEY is not set")
        assert "no Linear team is watched" in home.run("linear", "sync").out
        home.run("linear", "show").refused(1, "none yet: `cryptocontent linear add`")


def test_issues_become_briefs_and_the_roadmap_campaigns(desk: Desk) -> None:
    assert "as Ada Lovelace in workspace 'Newsroom'" in desk.run("linear", "check").out
    added = desk.run(
        "linear", "add", "ed", "team=ENG", "label=article", "template=report", "states.failed=Backlog"
    )
    assert added.code == 0, added.said
    said = desk.run("linear", "sync")
    assert "ed: 2 created, 1 refused" in said.out, said.said
    assert "3 campaigns new or changed" in said.out
    rows = {row["issue"]: row for row in desk.run("linear", "issues", "--json").json()}
    assert {name: row["status"] for name, row in rows.items()} == {
        "ENG-1": "brief",
        "ENG-2": "brief",
        "ENG-3": "refused",
    }
    assert "topic: required" in rows["ENG-3"]["problem"]
    assert "To mend" in desk.linear.comments_on(desk.issue("ENG-3"))[0]
    briefs = desk.run("brief", "list", "--json").json()
    assert {brief["title"]: brief["due"] for brief in briefs} == {
        "What the base fee is for": "2027-02-12",
        "How blobs made rollups cheap": "2027-02-14",
    }
    campaigns = desk.run("campaign", "list", "--json").json()
    assert [(one["kind"], one["briefs"]) for one in campaigns] == [
        ("milestone", 1),
        ("cycle", 1),
        ("project", 0),
    ]
    shown = desk.run("linear", "show", "--json").json()
    assert shown["states"]["failed"] == "Backlog" and shown["states"]["published"] == "Done"
    assert shown["issues"] == {"brief": 2, "refused": 1}
    assert desk.run("linear", "sync").out.startswith("ed: ")
    assert desk.run("linear", "sync", "--full", "--json").json()["ed"]["error"] == ""
    for command in (["issues"], ["show"]):
        assert "ENG" in desk.run("linear", *command).out
    assert "Cycle 7" in desk.run("campaign", "list").out


def test_what_is_wrong_with_a_team_is_said_at_once(desk: Desk) -> None:
    desk.run("linear", "add", "ed", "team=ENG", "label=artcle", "template=reprt").refused(
        1, "label 'artcle'", "template 'reprt'", "did you mean 'report'"
    )
    desk.run("linear", "add", "ed", "team").refused(1, "give KEY=VALUE")


def test_a_configuration_may_be_a_file(desk: Desk) -> None:
    file = desk.home.home / "ed.yaml"
    file.write_text("team: ENG\nlabel: article\ngenerate: true\nstates:\n  in_review: In Review\n")
    assert desk.run("linear", "add", "ed", "--config", str(file)).code == 0
    assert desk.run("linear", "show", "--json").json()["config"]["generate"] is True


def test_a_team_is_paused_and_removed_like_any_source(desk: Desk) -> None:
    desk.run("linear", "add", "ed", "team=ENG", "label=article")
    desk.run("source", "pause", "ed")
    assert "no Linear team is watched" in desk.run("linear", "sync").out
    desk.run("source", "resume", "ed")
    assert "ed:" in desk.run("linear", "sync").out
    assert desk.run("source", "remove", "ed").code == 0
    desk.run("linear", "issues").refused(1, "none yet")


def test_trouble_is_an_exit_code_and_no_secret_is_shown(desk: Desk) -> None:
    desk.run("linear", "add", "ed", "team=ENG", "label=article", "template=report")
    desk.settings["LINEAR_API_KEY"] = planted = "lin_api_planted"
    said = desk.run("linear", "sync")
    said.refused(1, "Linear does not accept LINEAR_API_KEY")
    assert planted not in said.said
    assert planted not in desk.run("linear", "show").said


def test_only_who_may_write_syncs(desk: Desk) -> None:
    desk.run("linear", "add", "ed", "team=ENG", "label=article")
    desk.run("member", "set", "vera", "viewer")
    desk.settings["CRYPTOCONTENT_USER"] = "vera"
    desk.run("linear", "sync").refused(1, "vera")


def environ(desk: Desk) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"CRYPTOCONTENT_HOME": str(desk.home.home)} | desk.settings


def killed(desk: Desk, operation: str, times: int = 1) -> None:
    """Run `linear sync` in a process of its own, and kill it when this request was carried out, before it
    hears of it."""
    process: list[subprocess.Popen[bytes]] = []
    seen = 0

    def kill(call: Any) -> None:
        nonlocal seen
        if process and call.operation == operation:
            seen += 1
            if seen == times:
                os.kill(process[0].pid, signal.SIGKILL)
                process[0].wait(30)

    desk.linear.on_call = kill
    told = environ(desk)
    with desk.linear.lock:  # it does not get an answer before it is in the list
        process.append(
            subprocess.Popen(
                [SCRIPT, "linear", "sync"], env=told, cwd=desk.home.home, stdout=subprocess.DEVNULL
            )
        )
    assert process[0].wait(60) == -signal.SIGKILL
    desk.linear.on_call = lambda call: None


def test_a_process_that_is_killed_between_telling_and_writing_down_tells_once(desk: Desk) -> None:
    desk.run("linear", "add", "ed", "team=ENG", "label=article", "template=report")
    desk.run("linear", "sync")
    with writing(desk.home.engine) as session:
        for number, brief in enumerate(session.query(Brief).order_by(Brief.id)):
            values = {"project_id": "news", "brief_id": brief.id, "slug": f"s{number}", "title": brief.title}
            session.add(Article(id=f"a{number}", status="in_review", **values))
    killed(desk, "Comment")
    killed(desk, "Comment", times=2)
    assert desk.run("linear", "sync").code == 0
    for name in ("ENG-1", "ENG-2"):
        issue = desk.issue(name)
        assert len(desk.linear.comments_on(issue)) == 1
        assert desk.linear.state_of(issue) == "In Progress"


def test_a_process_that_is_killed_while_it_reads_loses_and_doubles_nothing(desk: Desk) -> None:
    label = next(iter(desk.linear.labels))
    for number in range(170):
        desk.linear.add_issue(desk.team, f"Number {number}", "```brief\ntopic: x\n```", labelIds=[label])
    desk.run("linear", "add", "ed", "team=ENG", "label=article", "template=report")
    for _ in range(3):
        killed(desk, "Issues", times=2)
    assert desk.run("linear", "sync").code == 0
    with reading(desk.home.engine) as session:
        rows = session.query(LinearIssue).filter(LinearIssue.brief_id.is_not(None)).all()
        assert len(rows) == len({row.brief_id for row in rows}) == session.query(Brief).count() == 172


def test_the_gateway_runs_until_it_is_interrupted(desk: Desk) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([SCRIPT, "api", "--port", str(port)], env=environ(desk), cwd=desk.home.home)
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=0)) as client:
            deadline = time.monotonic() + 60
            while True:
                try:
                    answer = client.get(f"http://127.0.0.1:{port}/healthz")
                    break
                except httpx.ConnectError:
                    assert process.poll() is None and time.monotonic() < deadline
                    time.sleep(0.1)
        assert answer.json() == {"status": "ok"}
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
