"""All fakes at once, for people: `make dev FAKES=1` tries every integration without an account.

python -m tests.fakes .venv/bin/cryptocontent dev
    starts the fakes, filled with samples, and the command with the settings that lead to them. The settings
    are in `<home>/fakes.env` for other terminals: `set -a; source .cryptocontent/fakes.env; set +a`
"""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptocontent.settings import Settings
from tests.fakes import github, google, linear, market, web, wordpress
from tests.fakes.serving import serving

_FIRST_PORT = 18801


@dataclass(frozen=True)
class Fake:
    """A fake's package (`app(state)`, `environment(url)`), its state, and what a person may try, given what
    its sample gave back and its URL."""

    package: ModuleType
    state: Callable[[], Any]
    hint: Callable[[Any, str], list[str]]


FAKES = {
    "Google": Fake(
        google,
        google.Google,
        lambda folder, url: [
            f"cryptocontent source add google_drive drive folder={folder} -p sample",
            f"cryptocontent target add google_docs docs folder={folder} -p sample",
        ],
    ),
    "Linear": Fake(
        linear,
        linear.Linear,
        lambda team, url: [
            "cryptocontent linear add planning team=ENG label=Article template=explainer -p sample"
        ],
    ),
    "GitHub": Fake(
        github,
        github.GitHub,
        lambda _, url: [
            "cryptocontent target add github repo repository=newsroom/content -p sample",
            f"its pages: {url}/newsroom/content",
        ],
    ),
    "WordPress": Fake(
        wordpress,
        wordpress.sample,
        lambda _, url: [f"cryptocontent target add wordpress blog url={url} -p sample", f"its pages: {url}/"],
    ),
    "market data": Fake(
        market, market.Market, lambda _, url: ["cryptocontent market set market.yaml -p sample"]
    ),
    "a website": Fake(web, web.Site, lambda hints, url: list(hints)),
}


def start(stack: ExitStack) -> tuple[dict[str, str], list[str]]:
    """Serve every fake until `stack` closes: the settings that lead to them, and what to say of each."""
    settings: dict[str, str] = {}
    told = []
    for number, (name, fake) in enumerate(FAKES.items()):
        state = fake.state()
        # The same port each time, if it is free: sources and targets that name it go on working.
        url = stack.enter_context(serving(fake.package.app(state), port=_port(_FIRST_PORT + number)))
        state.url = url
        given = None if fake.state is wordpress.sample else fake.package.sample(state)
        settings |= fake.package.environment(url)
        told.append(f"{name}: {url}" + "".join(f"\n    {line}" for line in fake.hint(given, url)))
    return settings, told


def _port(wanted: int) -> int:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
        return wanted


def main(command: list[str]) -> int:
    """Run `command` beside the fakes; its exit code."""
    if not command:
        sys.stderr.write("usage: python -m tests.fakes COMMAND…\n")
        return 2
    with ExitStack() as stack:
        settings, told = start(stack)
        home = Settings().home
        home.mkdir(parents=True, exist_ok=True)
        file = home / "fakes.env"
        file.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()))
        print("fakes:", *told, sep="\n  ")
        print(f"settings: set -a; source {_short(file)}; set +a\n", flush=True)
        # Ctrl-C reaches the whole group: the command ends by it, and the fakes after the command.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        process = subprocess.Popen(
            command,
            env=os.environ | settings,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
