"""`cryptocontent dev`: everything that a developer needs, under one supervisor.

A further process is one more `Child` in `_children`. Dagster is not imported here: its processes are
asked over HTTP how they are.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from compileall import compile_dir
from pathlib import Path
from typing import Any

import httpx
import yaml
from filelock import FileLock, Timeout
from rich.console import Console

from cryptocontent.cli.supervisor import Child, ChildFailed, Supervisor, accepts_connections, next_free_port
from cryptocontent.resources.instance import prepare_dagster_home
from cryptocontent.settings import Settings

LOCATION = "cryptocontent"
_INTERNAL_HOST = "127.0.0.1"
_STATUS = """{
  instance { daemonHealth { allDaemonStatuses { required healthy lastHeartbeatTime } } }
  workspaceOrError {
    ... on Workspace {
      locationEntries { locationOrLoadError { __typename ... on PythonError { message causes { message } } } }
    }
  }
}"""


def run_dev(
    settings: Settings,
    *,
    host: str = _INTERNAL_HOST,
    port: int = 3000,
    quiet: bool = False,
    module: str = "cryptocontent.definitions",
    console: Console | None = None,
) -> int:
    """Run code server, webserver and daemon until Ctrl-C (0) or until one of them fails (1).

    The webserver takes `port` or the next free one. Logs go to `<home>/logs/<name>.log` and, unless
    `quiet`, to the terminal. One `dev` runs per home: two daemons would do everything twice.
    """
    console = console or Console()
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(settings.home / "dev.lock", blocking=False):
            return asyncio.run(_run(settings, host, port, module, console, quiet))
    except Timeout:
        console.print(f"cryptocontent dev already runs for {settings.home}", style="bold red", markup=False)
    except ChildFailed as failure:
        console.print(str(failure), style="bold red", markup=False)
    return 1


async def _run(settings: Settings, host: str, port: int, module: str, console: Console, quiet: bool) -> int:
    os.environ["CRYPTOCONTENT_HOME"] = str(settings.home)  # the children read their own settings
    # A file of the folder that one happens to stand in must not take the place of a module.
    os.environ["PYTHONSAFEPATH"] = "1"
    dagster_home = prepare_dagster_home(settings)
    # Every run is a process that imports the package: where Python keeps no bytecode by itself
    # (PYTHONDONTWRITEBYTECODE, a read-only user), each of them would compile it again.
    compile_dir(str(Path(__file__).parents[1]), quiet=2)
    code_port = next_free_port(_INTERNAL_HOST, 0)
    web_port = next_free_port(host, port)
    workspace = _write_workspace(dagster_home, code_port)
    # Where the webserver listens on every address it is asked on the loopback one.
    asked = {"0.0.0.0": _INTERNAL_HOST, "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    url = f"http://{asked}:{web_port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client:
        children = _children(client, workspace, module, code_port, host, web_port, url)
        return await Supervisor(children, settings.home / "logs", console, quiet=quiet).run()


def _children(
    client: httpx.AsyncClient,
    workspace: Path,
    module: str,
    code_port: int,
    host: str,
    web_port: int,
    url: str,
) -> list[Child]:
    python = sys.executable
    return [
        Child(
            "code",
            [python, "-m", "dagster", "code-server", "start", "-m", module, "--location-name", LOCATION,
             "-h", _INTERNAL_HOST, "-p", str(code_port), "--use-python-environment-entry-point"],
            lambda: accepts_connections(_INTERNAL_HOST, code_port),
        ),
        # One after the other: each makes Dagster's tables if they are missing.
        Child(
            "webserver",
            [python, "-m", "dagster_webserver", "-h", host, "-p", str(web_port), "-w", str(workspace)],
            lambda: _webserver_is_healthy(client),
            needs=("code",),
            url=url,
        ),
        Child(
            "daemon",
            [python, "-m", "cryptocontent.cli.daemon", "run", "-w", str(workspace)],
            _daemon_health(client),
            needs=("webserver",),
        ),
    ]  # fmt: skip


def _write_workspace(dagster_home: Path, code_port: int) -> Path:
    path = dagster_home / "workspace.yaml"
    server = {"host": _INTERNAL_HOST, "port": code_port, "location_name": LOCATION}
    path.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    return path


async def _status(client: httpx.AsyncClient) -> dict[str, Any] | None:
    """What the webserver says of the daemons and the code location; None while it says nothing."""
    try:
        if (await client.get("/server_info")).status_code != httpx.codes.OK:
            return None
        answer = await client.post("/graphql", json={"query": _STATUS})
        answer.raise_for_status()
    except httpx.HTTPError:
        return None
    data: dict[str, Any] | None = answer.json().get("data")
    return data


async def _webserver_is_healthy(client: httpx.AsyncClient) -> bool:
    status = await _status(client)
    if status is None:
        return False
    locations = [entry["locationOrLoadError"] for entry in status["workspaceOrError"]["locationEntries"]]
    for location in locations:
        if location and location["__typename"] == "PythonError":
            messages = [error["message"].strip() for error in (location, *location["causes"])]
            raise ChildFailed("could not load the code location: " + "; ".join(messages))
    return all(locations)


def _daemon_health(client: httpx.AsyncClient) -> Callable[[], Awaitable[bool]]:
    # The heartbeats of an earlier daemon count as healthy for half an hour: only new ones are believed.
    since = time.time()

    async def is_healthy() -> bool:
        status = await _status(client)
        if status is None:
            return False
        daemons = status["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(
            daemon["healthy"] and (daemon["lastHeartbeatTime"] or 0) >= since
            for daemon in daemons
            if daemon["required"]
        )

    return is_healthy
