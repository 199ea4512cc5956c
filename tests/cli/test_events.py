"""`cryptocontent events`: what is printed of what happens, now and as it comes."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

from cryptocontent.cli.events import Printer
from cryptocontent.events import NewEvent, publish
from cryptocontent.storage.models import Event
from cryptocontent.storage.types import utc_now
from tests.cli.homes import SCRIPT
from tests.cli.inside import Inside, inside


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    (tmp_path / "home").mkdir()
    with inside(tmp_path / "home", monkeypatch) as commands:
        assert commands.run("project", "create", "own").code == 0
        yield commands


def tell(cli: Inside, *events: tuple[str, str, dict[str, object]], project: str = "own") -> None:
    publish(cli.engine, [NewEvent(project, f"article:{of}", kind, data) for of, kind, data in events])


def token(text: str, stage: str = "writer") -> dict[str, object]:
    return {"stage": stage, "text": text}


def test_events_are_printed_and_tokens_joined(cli: Inside) -> None:
    assert cli.run("events").said == ""
    tell(
        cli,
        ("a", "token", token("The base ")),
        ("a", "token", token("fee is\nburned.")),
        (
            "a",
            "answered",
            {"stage": "writer", "model": "openai:gpt-5.6-luna", "cost_usd": 0.0034426000000000005, "n": [1]},
        ),
        ("b", "token", token("Blobs")),
        ("a", "token", token("edited", "editor")),
        ("a", "long", {"stage": "editor", "text": "x" * 1000}),
        ("a", "bare", {}),
    )
    lines = [line.split(maxsplit=1)[1] for line in cli.run("events").out.splitlines()]
    assert lines[:4] == [
        "article:a  writer  token  The base fee is burned.",
        "article:a  writer  answered  model=openai:gpt-5.6-luna  cost_usd=0.0034426  n=[1]",
        "article:b  writer  token  Blobs",
        "article:a  editor  token  edited",
    ]
    assert lines[4].startswith("article:a  editor  long  text=xxx") and lines[4].endswith("x…")
    assert len(lines[4]) < 250 and lines[5:] == ["article:a  -  bare"]
    only = cli.run("events", "--subject", "article:b", "--json").json()
    assert [(one["subject"], one["kind"], one["data"]["text"]) for one in only] == [
        ("article:b", "token", "Blobs")
    ]


def test_the_last_ones_are_shown_of_ones_own_project(cli: Inside) -> None:
    assert cli.run("project", "create", "other").code == 0
    tell(cli, *(("a", "step", {"n": n}) for n in range(1203)))
    tell(cli, ("z", "step", {}), project="other")

    def numbers(*options: str) -> list[int]:
        found = cli.run("events", "--project", "own", "--json", *options).json()
        return [one["data"]["n"] for one in found]

    assert numbers() == list(range(1103, 1203))
    assert numbers("--last", "2", "--subject", "article:a") == [1201, 1202]
    assert numbers("--last", "0") == list(range(1203))
    assert cli.run("events", "--project", "other").out.count("step") == 1


def test_signs_that_a_terminal_obeys_are_not_passed_on(cli: Inside) -> None:
    tell(cli, ("a", "token", token("\x1b[2Jgone\r\x07")), ("a", "found", {"text": "\x1b]0;title\x07"}))
    printed = cli.run("events").out
    assert "gone" in printed and "title" in printed
    assert all(sign.isprintable() or sign == "\n" for sign in printed)


def event(kind: str, **data: object) -> Event:
    return Event(id=1, subject="article:a", kind=kind, data=data, created_at=utc_now())


def test_questions_that_are_asked_at_once_are_told_apart() -> None:
    printed = Printer().text([event("token", stage="s", text="x", request=one) for one in ("q1", "q1", "q2")])
    assert [line.split()[-1] for line in printed.splitlines()] == ["xx", "x"]


def test_a_line_of_tokens_goes_on_with_the_next_look() -> None:
    printer = Printer()
    assert printer.text([event("token", stage="s", text="one ")]).endswith("token  one ")
    assert printer.text([event("token", stage="s", text="two")]) == "two"
    assert printer.text([event("reset", stage="s")]).startswith("\n")
    assert printer.end() == ""
    printer.text([event("token", stage="s", text="three")])
    assert (printer.end(), printer.end()) == ("\n", "")


@pytest.mark.parametrize("form", ["text", "json"])
def test_followed_as_they_happen(cli: Inside, form: str) -> None:
    tell(cli, ("a", "step", {"n": 1}))
    options = ["--json"] if form == "json" else []
    command = [SCRIPT, "events", "--follow", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        lines: Queue[str] = Queue()
        Thread(target=lambda: [lines.put(line) for line in follower.stdout], daemon=True).start()
        try:
            for n in (1, 2):
                line = lines.get(timeout=10)
                assert (json.loads(line)["data"] == {"n": n}) if form == "json" else (f"n={n}" in line)
                tell(cli, ("a", "step", {"n": n + 1}))
        finally:
            follower.send_signal(signal.SIGINT)
        assert follower.wait(10) == 0
