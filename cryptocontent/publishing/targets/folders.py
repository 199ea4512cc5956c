"""Folders of a project's exports that targets write to."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cryptocontent.publishing.targets.seam import TryLater
from cryptocontent.settings import Settings

DEFAULT = "published"
_FOLDER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\Z")
_PATIENCE_SECONDS = 30.0


def folder_problem(value: Any) -> str:
    """What is wrong with a `folder` of a configuration, or "". It lies within the project's own exports: an
    operator who wants it elsewhere makes a symbolic link."""
    if isinstance(value, str) and len(value) <= 200 and _FOLDER.match(value):
        return ""
    return f"folder: {value!r} is no name of a folder within the project's exports (letters, digits, ._-/)"


def folder_of(settings: Settings, project_id: str, folder: str) -> Path:
    """Where that is; made if it is missing."""
    path = settings.exports_dir / project_id / folder
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One writer of a folder at a time, of all processes of this machine."""
    try:
        with FileLock(folder / ".writing.lock", timeout=_PATIENCE_SECONDS):
            yield
    except Timeout:
        raise TryLater(f"folder {folder.name!r} is being written by another process", 30) from None
