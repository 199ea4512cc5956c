"""Homes in which the console script has run: made once per test session, read by tests in any worker."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

SCRIPT = Path(sys.executable).with_name("cryptocontent")
SAMPLE = Path(__file__).parents[2] / "cryptocontent" / "sample"
# A width at which no table folds its cells.
_WIDE = {"COLUMNS": "1000", "TERM": "dumb", "NO_COLOR": "1"}
_KEPT = ("PATH", "HOME", "LANG", "USER")


@dataclass(frozen=True)
class Result:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    def json(self) -> Any:
        """What a command printed with `--json`, where that is all that it printed."""
        assert self.code == 0, self.said
        return json.loads(self.out)

    def refused(self, code: int, *words: str) -> None:
        """The command ended with `code`, said `words` on standard error, and showed no traceback."""
        assert self.code == code, self.said
        for word in words:
            assert word in self.err, self.said
        assert "Traceback" not in self.said, self.said


@dataclass(frozen=True)
class Home:
    """A `CRYPTOCONTENT_HOME` and what the commands that made it have said, by name."""

    folder: Path
    steps: Mapping[str, Result]

    @property
    def database(self) -> Path:
        return self.folder / "cryptocontent.db"

    def run(self, *arguments: str | Path, **environment: str) -> Result:
        return run(self.folder, *arguments, **environment)


def run(home: Path, *arguments: str | Path, **environment: str) -> Result:
    """The console script in a process of its own, with no settings but the ones given."""
    return process([SCRIPT, *arguments], home, **environment)


def process(command: Sequence[str | Path], home: Path, **environment: str) -> Result:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command,
        env=kept | _WIDE | {"CRYPTOCONTENT_HOME": str(home)} | environment,
        cwd=home,  # where no `.env` lies
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def shared_folder(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first worker that asks for it makes; the others wait until it is there."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, made = base / name, base / f"{name}.made"
    with FileLock(base / f"{name}.lock"):
        if not made.exists():
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def shared_home(
    factory: pytest.TempPathFactory, name: str, steps: Callable[[Path], Mapping[str, Result]]
) -> Home:
    """A home made by `steps`, which are given its folder."""

    def make(folder: Path) -> None:
        results = {label: asdict(result) for label, result in steps(folder).items()}
        (folder / "steps.json").write_text(json.dumps(results))

    folder = shared_folder(factory, name, make)
    stored = json.loads((folder / "steps.json").read_text())
    return Home(folder, {label: Result(**values) for label, values in stored.items()})


def query(database: Path, text: str, *values: Any) -> list[tuple[Any, ...]]:
    """What is in an SQLite file."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(text, values).fetchall()
