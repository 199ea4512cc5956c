"""The supervisor of `cryptocontent dev`, with real processes and real signals."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cryptocontent.cli.supervisor import ChildFailed, next_free_port
from tests.services.process import free_port

PATIENCE_SECONDS = 60

SUPERVISE = """
import asyncio, json, sys
from pathlib import Path
from rich.console import Console
from cryptocontent.cli.supervisor import Child, Supervisor, accepts_connections

async def main():
    children = [
        Child(is_healthy=lambda port=child.pop("port"): accepts_connections("127.0.0.1", port), **child)
        for child in json.loads(sys.argv[2])
    ]
    supervisor = Supervisor(children, Path(sys.argv[1]), Console(), **json.loads(sys.argv[3]))
    return await supervisor.run()

sys.exit(asyncio.run(main()))
"""

# Listens on a port until SIGTERM, then says goodbye; may ignore the signal, or have a child of its own.
SERVER = """
import signal, socket, subprocess, sys
name, port, *more = sys.argv[1:]
def goodbye(*_):
    print("goodbye from", name, flush=True)
    if "stubborn" not in more:
        sys.exit(0)
signal.signal(signal.SIGTERM, goodbye)
if "grandchild" in more:
    subprocess.Popen([sys.executable, "-m", "http.server", more[-1], "--bind", "127.0.0.1"])
server = socket.create_server(("127.0.0.1", int(port)))
print("hello from", name, flush=True)
while True:
    connection, _ = server.accept()
    if connection.recv(10) == b"die":
        print("somebody told me to die", flush=True)
        sys.exit(7)
"""


class Process:
    """A process in front of which a person sits: reads what it prints, presses Ctrl-C."""

    def __init__(self, command: list[str], folder: Path, **environment: str) -> None:
        self.output = ""
        self.process = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def read_until(self, text: str) -> None:
        """Read lines until one contains `text`; the test fails where the output ends without it."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        raise AssertionError(f"{text!r} was never printed:\n{self.output}")

    def press_ctrl_c(self) -> None:
        """What a terminal sends."""
        self.process.send_signal(signal.SIGINT)

    def exit_code(self) -> int:
        """The exit code, once it has ended by itself; all of its output is in `output` then."""
        rest, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        self.output += rest
        return self.process.returncode


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a supervisor over children given as dictionaries; whatever is left at the end is stopped."""
    started: list[Process] = []

    def start(*children: dict[str, Any], **options: Any) -> Process:
        arguments = [str(tmp_path / "logs"), json.dumps(children), json.dumps(options)]
        started.append(Process([sys.executable, "-c", SUPERVISE, *arguments], tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.press_ctrl_c()
        process.exit_code()


def server(name: str, *more: str, **child: Any) -> dict[str, Any]:
    """A child that listens."""
    port = free_port()
    return {
        "name": name,
        "command": [sys.executable, "-c", SERVER, name, str(port), *more],
        "port": port,
        **child,
    }


def speaker(name: str, code: str, **child: Any) -> dict[str, Any]:
    """A child that runs `code` and never listens."""
    return {"name": name, "command": [sys.executable, "-uc", code], "port": free_port(), **child}


def listens(port: int) -> bool:
    """Whether anything accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_one_ctrl_c_stops_all_in_the_reverse_order_of_their_start(start: Start) -> None:
    first, second = server("first"), server("second", needs=["first"], url="http://second.example/")
    dev = start(first, second)
    dev.read_until("Everything runs")
    dev.read_until("http://second.example/")
    dev.press_ctrl_c()
    assert dev.exit_code() == 0
    assert dev.output.endswith("Everything is stopped.\n")
    assert re.findall(r"(\w+) \| (hello|goodbye)", dev.output) == [
        ("first", "hello"), ("second", "hello"), ("second", "goodbye"), ("first", "goodbye"),
    ]  # fmt: skip
    assert not listens(first["port"])


def test_sigterm_is_as_good(start: Start) -> None:
    only = server("only")
    dev = start(only)
    dev.read_until("Everything runs")
    dev.process.terminate()
    assert dev.exit_code() == 0
    assert not listens(only["port"])


def test_grandchildren_are_stopped_too(start: Start) -> None:
    port = free_port()
    dev = start(server("parent", "grandchild", str(port)), server("other"))
    dev.read_until("Everything runs")
    if not listens(port):
        dev.read_until("Serving HTTP")
    dev.press_ctrl_c()
    assert dev.exit_code() == 0
    assert not listens(port)


def test_the_grandchildren_of_a_child_that_died_are_stopped(start: Start) -> None:
    port = free_port()
    parent = server("parent", "grandchild", str(port))
    dev = start(parent)
    dev.read_until("Everything runs")
    with socket.create_connection(("127.0.0.1", parent["port"])) as connection:
        connection.send(b"die")
    assert dev.exit_code() == 1
    assert not listens(port)


def test_a_stubborn_child_is_killed(start: Start) -> None:
    stubborn, kind = server("stubborn", "stubborn"), server("kind")
    dev = start(stubborn, kind, stop_seconds=0.5)
    dev.read_until("Everything runs")
    dev.press_ctrl_c()
    assert dev.exit_code() == 0
    assert not listens(stubborn["port"])


def test_a_second_ctrl_c_does_not_wait(start: Start) -> None:
    dev = start(server("stubborn", "stubborn"), stop_seconds=10 * PATIENCE_SECONDS)
    dev.read_until("Everything runs")
    dev.press_ctrl_c()
    dev.read_until("goodbye from stubborn")
    dev.press_ctrl_c()
    assert dev.exit_code() == 0


def test_a_child_that_dies_is_named_with_its_last_words(start: Start, tmp_path: Path) -> None:
    victim, other = server("victim"), server("other")
    dev = start(victim, other)
    dev.read_until("Everything runs")
    with socket.create_connection(("127.0.0.1", victim["port"])) as connection:
        connection.send(b"die")
    assert dev.exit_code() == 1
    assert f"victim ended with exit code 7; the last lines of {tmp_path}/logs/victim.log:" in dev.output
    assert "  somebody told me to die" in dev.output
    assert not listens(other["port"])


def test_a_child_that_is_killed_is_named_with_the_signal(start: Start) -> None:
    dev = start(speaker("victim", "import os; os.kill(os.getpid(), 9)"))
    assert dev.exit_code() == 1
    assert "victim was killed by SIGKILL" in dev.output


def test_a_child_that_fails_at_its_start_shows_its_last_20_lines(start: Start) -> None:
    code = "import sys; [print('line', n) for n in range(100)]; sys.exit(3)"
    dev = start(server("good"), speaker("bad", code), quiet=True)
    assert dev.exit_code() == 1
    assert "bad ended with exit code 3" in dev.output
    assert re.findall(r"line (\d+)", dev.output) == [str(number) for number in range(80, 100)]


def test_a_child_that_never_gets_healthy_times_out_with_its_log(start: Start) -> None:
    deaf = speaker("deaf", "print('I hear nothing'); import signal; signal.pause()", start_seconds=1)
    waiting = server("waiting", needs=["deaf"])
    dev = start(deaf, waiting)
    assert dev.exit_code() == 1
    assert "deaf was not healthy within 1 s" in dev.output
    assert "\n  I hear nothing" in dev.output
    assert "hello from waiting" not in dev.output


def test_ctrl_c_before_everything_runs(start: Start) -> None:
    dev = start(
        speaker("slow", "print('not yet'); import signal; signal.pause()"), server("next", needs=["slow"])
    )
    dev.read_until("not yet")
    dev.press_ctrl_c()
    assert dev.exit_code() == 0
    assert "hello from next" not in dev.output


def test_a_command_that_does_not_exist_is_named(start: Start) -> None:
    dev = start({"name": "ghost", "command": ["/nowhere/ghost"], "port": 1})
    assert dev.exit_code() == 1
    assert "ghost could not be started" in dev.output


def test_quiet_writes_to_the_logs_only(start: Start, tmp_path: Path) -> None:
    dev = start(server("only", url="http://only.example/"), quiet=True)
    dev.read_until("http://only.example/")
    dev.press_ctrl_c()
    assert dev.exit_code() == 0
    assert "hello from only" not in dev.output
    assert (tmp_path / "logs" / "only.log").read_text() == "hello from only\ngoodbye from only\n"


def test_a_line_without_end_is_not_hoarded(start: Start, tmp_path: Path) -> None:
    dev = start(speaker("loud", "print('x' * 5_000_000, end=''); raise SystemExit(2)"), quiet=True)
    assert dev.exit_code() == 1
    assert (tmp_path / "logs" / "loud.log").stat().st_size == 5_000_000


def test_a_taken_port_leads_to_the_next_free_one() -> None:
    port = free_port(1)
    with socket.create_server(("127.0.0.1", port)):
        assert next_free_port("127.0.0.1", port) == port + 1
    assert next_free_port("127.0.0.1", port) == port
    with pytest.raises(ChildFailed, match=r"no free port on 192\.0\.2\.1"):
        next_free_port("192.0.2.1", port)


RUN_DEV = """
import sys
from cryptocontent.cli.dev import run_dev
from cryptocontent.settings import Settings
assert not [name for name in sys.modules if name.split(".")[0] == "dagster"]
sys.exit(run_dev(Settings(), port=int(sys.argv[1]), quiet=True, module="code_of_a_test"))
"""


@pytest.fixture
def start_dev(tmp_path: Path) -> Iterator[Callable[[str, int], Process]]:
    """Starts the real thing over a code location of the test's own."""
    started: list[Process] = []

    def start_dev(code: str, port: int) -> Process:
        (tmp_path / "code_of_a_test.py").write_text(textwrap.dedent(code))
        home = str(tmp_path / "home")
        command = [sys.executable, "-c", RUN_DEV, str(port)]
        database = f"sqlite:///{tmp_path / 'test.db'}"
        started.append(Process(command, tmp_path, CRYPTOCONTENT_HOME=home, DATABASE_URL=database))
        return started[-1]

    yield start_dev
    for process in started:
        process.press_ctrl_c()
        process.exit_code()


def test_dagster_starts_serves_and_stops(start_dev: Callable[[str, int], Process]) -> None:
    code = """
        from dagster import Definitions, asset

        @asset
        def something(): ...

        defs = Definitions(assets=[something])
    """
    port = free_port(1)
    with socket.create_server(("127.0.0.1", port)):
        dev = start_dev(code, port)
        url = f"http://127.0.0.1:{port + 1}"
        dev.read_until(url)
    query = "{ assetNodes { assetKey { path } } instance { daemonHealth { allDaemonStatuses { healthy } } } }"
    data = httpx.post(f"{url}/graphql", json={"query": query}, trust_env=False).json()["data"]
    assert data["assetNodes"] == [{"assetKey": {"path": ["something"]}}]
    assert all(status["healthy"] for status in data["instance"]["daemonHealth"]["allDaemonStatuses"])

    second = start_dev(code, port)
    assert second.exit_code() == 1
    assert "already runs" in second.output

    dev.press_ctrl_c()
    assert dev.exit_code() == 0
    assert not listens(port + 1)


def test_code_that_does_not_load_is_named(start_dev: Callable[[str, int], Process]) -> None:
    dev = start_dev("raise RuntimeError('this code is broken')", free_port())
    assert dev.exit_code() == 1
    assert "webserver could not load the code location" in dev.output
    assert "this code is broken" in dev.output
