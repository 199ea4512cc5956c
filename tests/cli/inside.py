"""The command line in the test's own process: for what needs no process of its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from cryptocontent.cli.session import current
from cryptocontent.identity import Person
from tests.cli.homes import Result

ADA = Person("ada", "admin")


@dataclass(frozen=True)
class Inside:
    """A home with a migrated database, and commands run in it."""

    home: Path
    patch: pytest.MonkeyPatch

    @property
    def engine(self) -> Engine:
        return current.engine

    def run(self, *arguments: str | Path, **environment: str) -> Result:
        from cryptocontent.cli.app import app

        current.__dict__.pop("settings", None)  # each command reads the environment anew
        with self.patch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            done = CliRunner().invoke(app, [str(one) for one in arguments])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Result(done.exit_code, done.stdout, done.stderr)

    def json_lines(self, *arguments: str | Path) -> list[dict[str, object]]:
        said = self.run(*arguments)
        assert said.code == 0, said.said
        return [json.loads(line) for line in said.out.splitlines()]


@contextmanager
def inside(home: Path, patch: pytest.MonkeyPatch) -> Iterator[Inside]:
    """Commands of this home; settings are only those that the test gives by the environment."""
    patch.chdir(home)
    patch.setenv("CRYPTOCONTENT_HOME", str(home))
    patch.setenv("COLUMNS", "1000")
    patch.setenv("NO_COLOR", "1")
    for name in ("CRYPTOCONTENT_USER", "CRYPTOCONTENT_PROJECT"):
        patch.delenv(name, raising=False)
    kept = dict(current.__dict__)
    current.__dict__.clear()
    try:
        yield Inside(home, patch)
    finally:
        if "engine" in current.__dict__:
            current.engine.dispose()
        current.__dict__.clear()
        current.__dict__.update(kept)
