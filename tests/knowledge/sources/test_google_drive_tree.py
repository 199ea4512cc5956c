"""Whatever happens in Drive, and wherever a look is cut off: in the end what is known is what is there."""

import secrets
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptocontent.knowledge.sources.google_drive import GoogleDrive
from cryptocontent.knowledge.sources.seam import Look, Page
from cryptocontent.settings import Settings
from tests.fakes.google import FOLDER, Google, environment, google_server

ACTIONS = (
    *("edit", "rename", "comment", "move", "move", "move", "trash", "trash", "restore", "delete"),
    *("new file", "new file", "new folder", "new tree", "expire", "look", "cut"),
)


@dataclass
class Books:
    """A source's items and cursor, kept as `store` keeps them."""

    config: dict[str, Any]
    settings: Settings
    cursor: dict[str, Any] = field(default_factory=dict)
    items: dict[str, tuple[str, dict[str, Any], str]] = field(default_factory=dict)

    def look(self, pages: int | None = None, *, full: bool = False) -> int:
        """One look, cut off after so many pages; returns how many it took."""
        look = Look(
            self.settings,
            "s",
            "p",
            self.config,
            MappingProxyType(self.cursor),
            lambda: {key: item[1] for key, item in self.items.items()},
            full,
        )
        taken, before = 0, deepcopy(self.cursor)
        for page in GoogleDrive().discover(look):
            assert self.cursor == before  # by which a look of another process is found out
            self._save(page)
            taken, before = taken + 1, deepcopy(self.cursor)
            if taken == pages:
                break
        return taken

    def _save(self, page: Page) -> None:
        for one in page.found:
            listing = page.listing or self.items.get(one.external_id, ("", {}, ""))[2]
            self.items[one.external_id] = (one.revision, one.details, listing)
        for external_id in page.gone:
            self.items.pop(external_id, None)
        if page.whole:
            self.items = {key: item for key, item in self.items.items() if item[2] == page.listing}
        self.cursor = page.cursor


@pytest.fixture(scope="module")
def server() -> Iterator[Google]:
    with google_server() as google:
        yield google


@pytest.fixture(scope="module")
def environ(server: Google, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    values = environment(server.url, tmp_path_factory.mktemp("google"))
    return Settings(_env_file=None, **{name.lower(): value for name, value in values.items()})  # type: ignore[arg-type]


def _there(google: Google, root: str, *, recursive: bool = True) -> dict[str, str]:
    """What is in the folder, by a walk over the fake: names by id."""
    found: dict[str, str] = {}
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        for node in google.files.values():
            if node.parent != folder or google.in_trash(node.id):
                continue
            if node.mime != FOLDER:
                found[node.id] = f"{node.name} {node.modified if node.native else node.data!r}"
            elif recursive:
                waiting.append(node.id)
    return found


def _act(google: Google, action: str, root: str, outside: str, draw: st.DrawFn, books: Books) -> None:
    there = [node for node in google.files.values() if node.id not in (root, outside)]
    mine = [node for node in there if root in _above(google, node.id) or outside in _above(google, node.id)]
    folders = [root, outside, *(node.id for node in mine if node.mime == FOLDER)]
    if action in ("new file", "new folder", "new tree"):
        parent = draw(st.sampled_from(folders))
        if action == "new file":
            google.file("new.md", secrets.token_bytes(4), "text/markdown", parent)
        else:
            inner = google.folder("new", parent)
            if action == "new tree":
                google.file("deep.md", b"1", "text/markdown", google.folder("deeper", inner))
        return
    if action == "expire":
        google.expire_page_tokens(draw(st.sampled_from([400, 410])))
    elif action == "look":
        books.look()
    elif action == "cut":
        books.look(1, full=draw(st.booleans()))
    elif mine:
        node = draw(st.sampled_from(mine))
        match action:
            case "edit" if node.mime != FOLDER:
                google.edit(node.id, secrets.token_bytes(4))
            case "rename":
                google.rename(node.id, f"name {secrets.token_hex(2)}.md")
            case "comment":
                google.comment(node.id)
            case "move":
                parent = draw(st.sampled_from(folders))
                if parent != node.id and node.id not in _above(google, parent):
                    google.move(node.id, parent)
            case "trash":
                google.trash(node.id)
            case "restore":
                google.restore(node.id)
            case "delete":
                google.delete(node.id)


def _above(google: Google, file: str) -> list[str]:
    found, node = [], google.files.get(file)
    while node is not None and node.parent:
        found.append(node.parent)
        node = google.files.get(node.parent)
    return found


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_whatever_happens_what_is_known_is_what_is_there(
    server: Google, environ: Settings, data: st.DataObject
) -> None:
    google = server.begin_anew()
    google.page_size = data.draw(st.sampled_from([1, 2, 3, 1000]))
    recursive = data.draw(st.sampled_from([True, True, True, False]))
    in_drive = data.draw(st.booleans())
    root = google.shared_drive("Team") if in_drive else google.folder("Watched")
    outside = google.folder("Elsewhere") if not in_drive else google.shared_drive("Other")
    for number in range(3):
        google.file(f"{number}.md", b"x", "text/markdown", root)
    below = google.folder("below", root)
    google.document("doc", b"d", google.folder("far below", below))
    google.file("b.md", b"x", "text/markdown", below)
    books = Books({"folder": root, "recursive": recursive, "licence": ""}, environ)
    for action in data.draw(st.lists(st.sampled_from(ACTIONS), max_size=25)):
        _act(google, action, root, outside, data.draw, books)
    books.look()
    there = _there(google, root, recursive=recursive)
    assert set(books.items) == set(there)
    # What is known of each is its newest state: a second, whole listing finds no other revision.
    again = Books(books.config, environ)
    again.look()
    assert {key: item[0] for key, item in books.items.items()} == {
        key: item[0] for key, item in again.items.items()
    }
    google.reset()
    assert books.look() == 0
    assert [call.path for call in google.calls] == ["/drive/v3/changes"]
