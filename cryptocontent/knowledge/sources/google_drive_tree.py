"""How far a Drive folder was read, and what changes in Drive mean for it.

A change of a folder says nothing of what is in it: the cursor keeps the tree of folders, so that what left
with one is known, and a folder that came is listed.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from cryptocontent.integrations.google_drive import Changed, File

_DELETED = "it was deleted, or is no longer shared with us"
_TRASHED = "it was moved to the trash"
_MOVED = "it was moved out of the watched folder"
_WITH_FOLDER = "its folder was trashed, moved away, or is no longer shared with us"


@dataclass(slots=True)
class Tree:
    """The cursor: the watched folder and its shared drive, the token of the changes feed, the folders below
    (each with its parent), those that are still to be listed with the token of the first one's next page, and
    the name of the whole listing under way, if it is one."""

    root: str
    drive: str
    token: str
    folders: dict[str, str] = field(default_factory=dict)
    queue: list[str] = field(default_factory=list)
    page: str = ""
    listing: str = ""

    @classmethod
    def begin(cls, root: File, token: str) -> "Tree":
        """A whole listing. The token was taken before it, so that no change in between is missed."""
        return cls(root.id, root.drive, token, queue=[root.id], listing=secrets.token_hex(8))

    @classmethod
    def read(cls, cursor: Mapping[str, Any]) -> "Tree | None":
        """From a source's cursor; none if there is none yet, or one of another version of this program."""
        names = {one.name for one in fields(cls)}
        return cls(**deepcopy(dict(cursor))) if set(cursor) == names else None

    def cursor(self) -> dict[str, Any]:
        """For the source."""
        return asdict(self)

    def holds(self, parent: str) -> bool:
        """Whether what is in that folder is watched."""
        return parent == self.root or parent in self.folders

    def add(self, folder: File) -> None:
        """A folder that was found: it will be listed, unless it is known."""
        if folder.id != self.root and folder.id not in self.folders:
            self.queue.append(folder.id)
            self.folders[folder.id] = folder.parent

    def listed(self) -> None:
        """The first of the queue is done."""
        self.queue.pop(0)
        self.page = ""


def apply(
    tree: Tree,
    changes: Iterable[Changed],
    known: Callable[[], Mapping[str, Mapping[str, Any]]],
    *,
    recursive: bool,
) -> tuple[list[File], dict[str, str]]:
    """Change the tree by a page of changes. Returns the files that are (still, or now) in it, and which are
    gone, with the reason. `known` gives the details of the files that were in it, asked if a folder left."""
    files = {one.id: one.file for one in changes if one.id != tree.root}
    left = _move_folders(tree, files) if recursive else set()
    gone: dict[str, str] = {}
    if left:
        gone = {
            file_id: _WITH_FOLDER for file_id, details in known().items() if details.get("parent") in left
        }
    found: list[File] = []
    for file_id, file in files.items():
        if file is None:
            gone[file_id] = _DELETED
        elif file.is_folder:
            continue
        elif file.trashed:
            gone[file_id] = _TRASHED
        elif tree.holds(file.parent):
            found.append(file)
            gone.pop(file_id, None)
        else:
            gone[file_id] = _MOVED
    return found, gone


def _move_folders(tree: Tree, files: Mapping[str, File | None]) -> set[str]:
    """Bring the tree of folders up to date; returns those that left it."""
    before = set(tree.folders)
    came: dict[str, File] = {}
    for file_id, file in files.items():
        if file is None or file.trashed:
            tree.folders.pop(file_id, None)
        elif file.is_folder and file_id in tree.folders:
            tree.folders[file_id] = file.parent
        elif file.is_folder:
            came[file_id] = file
    # A folder may come inside one that comes with it, or that is told later on the page.
    while inside := [file for file in came.values() if tree.holds(file.parent)]:
        for file in inside:
            tree.add(came.pop(file.id))
    kept = _reachable(tree)
    tree.folders = {folder: parent for folder, parent in tree.folders.items() if folder in kept}
    return before - kept


def _reachable(tree: Tree) -> set[str]:
    inside: dict[str, list[str]] = {}
    for folder, parent in tree.folders.items():
        inside.setdefault(parent, []).append(folder)
    reached: set[str] = set()
    waiting = [tree.root]
    while waiting:
        for folder in inside.get(waiting.pop(), ()):
            if folder not in reached:
                reached.add(folder)
                waiting.append(folder)
    return reached
