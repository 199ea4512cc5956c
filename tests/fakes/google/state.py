"""What a fake Google Drive holds: files with their parents, who may see them, the log of changes, faults.

As at Google: a folder that is moved, trashed or no longer shared makes one change, and none of what is in it;
a file that changed often is told once, in its newest state; looking at a document or commenting on it changes
its `version` and not its `modifiedTime`.
"""

import base64
import hashlib
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
DOCUMENT = "application/vnd.google-apps.document"
SPREADSHEET = "application/vnd.google-apps.spreadsheet"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SERVICE_ACCOUNT = "newsroom@fake-project.iam.gserviceaccount.com"
PERSON = "ada@example.org"
OWNER = "Olga Owner"
EXPORT_LIMIT = 10 * 1024 * 1024
_BORN = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Node:
    """A file or folder. `exports` are the formats that a document of Google's own can be had in."""

    id: str
    name: str
    mime: str
    parent: str = ""
    drive: str = ""
    data: bytes | None = None
    exports: dict[str, bytes] = field(default_factory=dict)
    description: str = ""
    owner: str = OWNER
    properties: dict[str, str] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    trashed: bool = False  # itself, not by a folder above it
    locked: bool = False  # its owner lets nobody download it
    target: str = ""
    version: int = 1
    revision: int = 1
    modified: datetime = _BORN

    @property
    def native(self) -> bool:
        return self.mime.startswith("application/vnd.google-apps.")


@dataclass(frozen=True)
class Entry:
    """A change: of which file, and who could see it before or can after."""

    file: str
    drive: str
    seen_by: frozenset[str]
    at: datetime


@dataclass(frozen=True)
class Fault:
    """What happens to the next request whose path matches: `status` (5xx …), `rate` (403) or `quota` (429),
    with `retry_after` if Google says how long; `slow`, `truncated`, `dropped` (no answer; with `after` once
    the request has taken effect)."""

    kind: str = "status"
    status: int = 503
    reason: str = ""
    retry_after: int | None = None
    seconds: float = 0.0
    after: bool = False
    path: str = ""


@dataclass(frozen=True)
class Call:
    verb: str
    path: str
    query: dict[str, str]
    status: int
    account: str = ""


@dataclass
class Access:
    """What an access token is good for."""

    account: str
    scopes: frozenset[str]


class Google:
    """All of it. `calls` is what was asked of Drive, `logins` how many access tokens were given out."""

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.lock = threading.RLock()
        self.files: dict[str, Node] = {}
        self.drives: dict[str, set[str]] = {}
        self.log: list[Entry] = []
        self.tokens: dict[str, Access] = {}
        self.refresh_tokens: dict[str, Access] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.uploads: dict[str, Any] = {}
        self.read_only: set[str] = set()  # folders (with all in them) and files that we may not change
        self.delegated = {PERSON}  # for whom the service account may act
        self.calls: list[Call] = []
        self.logins = 0
        self.export_limit = EXPORT_LIMIT
        self.page_size = 1000
        self.token_problem: tuple[int, int] | None = None  # page tokens below n are answered with a status
        self.on_call: Any = lambda number: None
        self._faults: list[Fault] = []
        self._made = 0

    def begin_anew(self) -> "Google":
        """As new, at the same address: tests of a module share a server."""
        self.__init__(self.url)  # type: ignore[misc]
        return self

    # What people do in Drive.

    def folder(self, name: str, parent: str = "", shared_with: Iterable[str] | None = None) -> str:
        """A folder: inside another, or one of somebody else's that is shared with us."""
        return self._add(name, FOLDER, parent, shared_with).id

    def shared_drive(self, name: str, members: Iterable[str] = (SERVICE_ACCOUNT, PERSON)) -> str:
        with self.lock:
            node = self._add(name, FOLDER, "", ())
            node.drive, self.drives[node.id] = node.id, set(members)
            return node.id

    def file(self, name: str, data: bytes, mime: str, parent: str = "", **more: Any) -> str:
        """A file with bytes of its own."""
        return self._add(name, mime, parent, None, data=data, **more).id

    def document(self, name: str, docx: bytes, parent: str = "", **more: Any) -> str:
        """A Google Doc that is exported as this DOCX file."""
        return self._add(name, DOCUMENT, parent, None, exports={DOCX: docx}, **more).id

    def spreadsheet(self, name: str, xlsx: bytes, parent: str = "", **more: Any) -> str:
        return self._add(name, SPREADSHEET, parent, None, exports={XLSX: xlsx}, **more).id

    def other(self, name: str, kind: str, parent: str = "", **more: Any) -> str:
        """A thing of Google's own of another kind: `presentation`, `form`, `shortcut` …"""
        return self._add(name, f"application/vnd.google-apps.{kind}", parent, None, **more).id

    def edit(self, file: str, data: bytes) -> None:
        with self.lock:
            node = self.files[file]
            if node.native:
                node.exports = {next(iter(node.exports)): data}
            else:
                node.data = data
            node.revision += 1
            self._modified(node)

    def rename(self, file: str, name: str) -> None:
        with self.lock:
            self.files[file].name = name
            self._changed(self.files[file])

    def describe(self, file: str, description: str) -> None:
        with self.lock:
            self.files[file].description = description
            self._changed(self.files[file])

    def comment(self, file: str) -> None:
        """Somebody comments on it: it is a change, and no edit."""
        self._changed(self.files[file])

    def move(self, file: str, parent: str) -> None:
        with self.lock:
            node, before = self.files[file], self._seen_by(file)
            node.parent = parent
            drive = self.files[parent].drive if parent else ""
            if node.drive != drive:  # the drive that it leaves tells of it, too
                self.log.append(Entry(file, node.drive, before, self._now()))
            for one in self._subtree(file):
                self.files[one].drive = drive
            self._changed(node, before)

    def trash(self, file: str) -> None:
        with self.lock:
            self.files[file].trashed = True
            self._changed(self.files[file])

    def restore(self, file: str) -> None:
        with self.lock:
            self.files[file].trashed = False
            self._changed(self.files[file])

    def delete(self, file: str) -> None:
        with self.lock:
            node, before = self.files[file], self._seen_by(file)
            for one in self._subtree(file):
                del self.files[one]
            self.log.append(Entry(file, node.drive, before, self._now()))

    def unshare(self, file: str) -> None:
        with self.lock:
            before = self._seen_by(file)
            self.files[file].shared.clear()
            self._changed(self.files[file], before)

    def share(self, file: str, *accounts: str) -> None:
        with self.lock:
            self.files[file].shared |= set(accounts or (SERVICE_ACCOUNT, PERSON))
            self._changed(self.files[file])

    def leave_drive(self, drive: str) -> None:
        """All members are removed from a shared drive."""
        with self.lock:
            before = frozenset(self.drives[drive])
            self.drives[drive].clear()
            self.log.append(Entry(drive, drive, before, self._now()))

    # What goes wrong.

    def fail(self, *faults: Fault, times: int = 1) -> None:
        """Faults for the next requests that match them."""
        self._faults += [fault for fault in faults for _ in range(times)]

    def calm(self) -> None:
        self._faults.clear()

    def fault(self, path: str) -> Fault | None:
        with self.lock:
            for number, fault in enumerate(self._faults):
                if re.search(fault.path, path):
                    return self._faults.pop(number)
        return None

    def expire_logins(self) -> None:
        """No access token that was given out is good any more."""
        self.tokens.clear()

    def revoke(self) -> None:
        """Nor may anybody get another."""
        self.tokens.clear()
        self.refresh_tokens.clear()
        self.delegated.clear()

    def expire_page_tokens(self, status: int = 410) -> None:
        """Tokens of the changes feed that were given out until now are answered with a status."""
        self.token_problem = (len(self.log) + 1, status)
        self.log.append(Entry("", "", frozenset(), self._now()))

    def reset(self) -> None:
        """Forget what was asked."""
        self.calls.clear()
        self.logins = 0

    # What the server asks.

    def sees(self, account: str, file: str) -> bool:
        return account in self._seen_by(file)

    def in_trash(self, file: str) -> bool:
        return any(node.trashed for node in self._upwards(file))

    def may_change(self, file: str) -> bool:
        return not any(node.id in self.read_only for node in self._upwards(file))

    def add(self, name: str, mime: str, parent: str, **more: Any) -> Node:
        """For the server: what a request makes."""
        return self._add(name, mime, parent, None, **more)

    def written(self, node: Node, *, content: bool, seen_before: frozenset[str] | None = None) -> None:
        """For the server: a request has changed this."""
        if content:
            node.revision += 1
            self._modified(node)
        else:
            self._changed(node, seen_before)

    def _add(self, name: str, mime: str, parent: str, shared_with: Iterable[str] | None, **more: Any) -> Node:
        with self.lock:
            above = self.files.get(parent)
            if shared_with is None:
                shared_with = () if above else (SERVICE_ACCOUNT, PERSON)
            self._made += 1
            digest = hashlib.sha256(f"file {self._made}".encode()).digest()
            node = Node(f"1{base64.urlsafe_b64encode(digest).decode()[:32]}", name, mime, parent, **more)
            node.shared, node.drive = set(shared_with), above.drive if above else ""
            self.files[node.id] = node
            self._modified(node)
            return node

    def _modified(self, node: Node) -> None:
        node.modified = self._now()
        self._changed(node)

    def _changed(self, node: Node, seen_before: frozenset[str] | None = None) -> None:
        with self.lock:
            node.version += 1
            seen = self._seen_by(node.id) | (seen_before or frozenset())
            self.log.append(Entry(node.id, node.drive, seen, self._now()))

    def _now(self) -> datetime:
        """Each change at an instant of its own."""
        return _BORN + timedelta(seconds=len(self.log))

    def _seen_by(self, file: str) -> frozenset[str]:
        seen: set[str] = set()
        for node in self._upwards(file):
            seen |= node.shared | self.drives.get(node.drive, set())
        return frozenset(seen)

    def _upwards(self, file: str) -> Iterator[Node]:
        """The file and the folders above it."""
        node = self.files.get(file)
        while node is not None:
            yield node
            node = self.files.get(node.parent)

    def _subtree(self, file: str) -> list[str]:
        found = [file]
        for one in found:
            found += [node.id for node in self.files.values() if node.parent == one]
        return found
