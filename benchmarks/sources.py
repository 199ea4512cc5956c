"""What a look at a Drive folder costs: a whole listing at first, and later, when nothing has changed.

Beside them the bare requests by Google's client, so that what the platform adds can be seen. The fake answers
in a thread beside it; Google's own answers take some hundred milliseconds each.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptocontent.content.projects import create_project
from cryptocontent.identity import Person
from cryptocontent.integrations.google_drive import open_drive
from cryptocontent.knowledge.sources.store import add_source, look_at
from cryptocontent.settings import Settings
from cryptocontent.storage import migrate, open_engine, writing
from tests.fakes.google import Google, environment, google_server

WHO = Person("bench", "admin")


def looking(files: int = 10_000, folders: int = 100) -> list[dict[str, Any]]:
    """Seconds and requests of looks at a folder with so many files in so many folders below it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as home, google_server() as google:
        values = {name.lower(): value for name, value in environment(google.url, Path(home)).items()}
        settings = Settings(_env_file=None, CRYPTOCONTENT_HOME=Path(home), **values)  # type: ignore
        engine = open_engine(settings.database_url)
        migrate(engine)
        root = google.folder("Bench")
        below = [google.folder(f"Folder {number}", root) for number in range(folders)]
        for number in range(files):
            google.file(f"{number}.md", b"# A note", "text/markdown", below[number % folders])
        with writing(engine) as session:
            create_project(session, "bench", "Bench", WHO.actor)
            config = {"folder": root}
            source = add_source(session, settings, "bench", "google_drive", "drive", config, WHO).id

        def look(found: int) -> Callable[[], None]:
            def go() -> None:
                looked = look_at(engine, settings, source, seconds=600)
                if (looked.found, looked.error) != (found, ""):
                    raise RuntimeError(f"the look went wrong: {looked}")

            return go

        def one_request() -> None:
            with open_drive(settings) as drive:
                drive.changes(drive_token)

        def whole_listing() -> None:
            with open_drive(settings) as drive:
                for folder in (root, *below):
                    drive.children(folder)

        rows = [_timed("the first look (a whole listing)", files, google, look(files))]
        with open_drive(settings) as drive:
            drive_token = drive.start_token()
        rows.append(_timed("its bare requests", files, google, whole_listing))
        rows.append(_timed("a look when nothing has changed", files, google, look(0)))
        rows.append(_timed("its bare request", files, google, one_request))
        google.edit(next(node.id for node in google.files.values() if node.data), b"# Another note")
        rows.append(_timed("a look when one file has changed", files, google, look(1)))
        engine.dispose()
    return rows


def _timed(what: str, files: int, google: Google, go: Callable[[], None]) -> dict[str, Any]:
    google.reset()
    began = time.perf_counter()
    go()
    seconds = time.perf_counter() - began
    return {"what": what, "files": files, "requests": len(google.calls), "ms": seconds * 1000}
