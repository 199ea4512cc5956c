"""Bar: 500 Drive files, imported by processes that are killed at random moments: each once, none lost."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from cryptocontent.audit import verify
from cryptocontent.storage import reading
from cryptocontent.storage.models import ReferenceRevision, RevisionPassage
from tests.fakes.google import Google, docx, google_server
from tests.knowledge.sources import drive_worker
from tests.knowledge.sources.drive_house import House

# Files and kills. What PostgreSQL does differently shows in fewer of them.
SIZES = {"sqlite": (500, 10), "postgresql": (150, 5)}


@pytest.fixture
def google() -> Iterator[Google]:
    with google_server() as running:
        yield running


class Killer:
    """Ends the worker with SIGKILL while the fake answers its n-th request, or a moment after: while what
    came is being read, or saved."""

    def __init__(self, google: Google, chance: random.Random) -> None:
        self.google, self.chance = google, chance
        google.on_call = self._called
        self._process: subprocess.Popen[bytes] | None = None
        self._at = 0

    def run(self, environ: dict[str, str], source: str, after: int | None) -> int:
        """The exit code of a worker that is killed after so many requests, or not at all."""
        self._at = 0 if after is None else len(self.google.calls) + after
        command = [sys.executable, "-m", drive_worker.__name__, source]
        with subprocess.Popen(command, env=os.environ | environ, stderr=subprocess.PIPE) as process:
            self._process = process
            _, said = process.communicate(timeout=120)
        assert process.returncode in (0, -signal.SIGKILL), said.decode()
        return process.returncode

    def _called(self, number: int) -> None:
        if number == self._at and self._process is not None:
            if self.chance.random() < 0.3:
                self._process.kill()
            else:
                threading.Timer(self.chance.uniform(0, 0.25), self._process.kill).start()


def test_every_file_comes_in_once_whoever_is_killed(engine: Engine, google: Google, tmp_path: Path) -> None:
    number_of_files, number_of_kills = SIZES[engine.name]
    chance = random.Random(7)
    root = google.folder("Newsroom")
    folders = [root, *(google.folder(f"Folder {number}", root) for number in range(9))]
    word = docx("A blob holds 4096 field elements.", heading="Blobs")
    files = {
        google.document(f"Doc {number}", word, folders[number % 10])
        if number % 10 == 0
        else google.file(
            f"note {number}.md",
            f"# Note {number}\n\nWhat note {number} says of fees and blobs.".encode(),
            "text/markdown",
            folders[number % 10],
        )
        for number in range(number_of_files)
    }
    google.page_size = 40
    house = House(engine, google, tmp_path)
    source = house.add(root)
    killer, kills = Killer(google, chance), 0
    while kills < number_of_kills:
        # The first few hit the listing, the others what is fetched and saved.
        code = killer.run(house.environment, source, chance.randint(1, 8 if kills < 3 else 60))
        kills += code == -signal.SIGKILL
        if code == 0:  # nothing was left to do: more has come
            files.add(google.file("more.md", b"# More\n\nMore of it.", "text/markdown", root))
    changed = set(chance.sample(sorted(files), 5))
    for file in sorted(changed):
        old = google.files[file]
        google.edit(file, docx("Newer.") if old.native else b"# New\n\nWhat it says now.")
    assert killer.run(house.environment, source, None) == 0

    revisions = house.revisions()
    assert set(revisions) == files and len(house.titles()) == len(files)
    assert {file for file, number in revisions.items() if number > 1} <= changed
    assert all(number <= 2 for number in revisions.values())
    with reading(engine) as session:
        whole = select(func.count(func.distinct(RevisionPassage.revision_id)))
        written = session.scalar(select(func.count()).select_from(ReferenceRevision))
        assert session.scalar(whole) == written == sum(revisions.values())
        assert verify(session, "news").broken_at is None
    google.reset()
    house.look(source)
    assert house.take(source).unchanged == 0 and len(google.calls) == 1
