"""A Google Drive folder as a source of references: Docs, Sheets, and files that the loaders read.

It is listed once, page by page; from then on Drive's changes feed says what is new, in one request if nothing
is. A file's revision is the checksum of its bytes. A document of Google's own has none; its `modifiedTime`
stands for it, since `version` also rises when somebody looks at it, comments or shares it. Name and
description are part of the revision: they become the reference's, and are not part of the bytes.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any, Final

from cryptocontent.errors import Refused
from cryptocontent.integrations import google, unavailable
from cryptocontent.integrations.google import FETCHING, Denied, Missing, PageTokenExpired, TooLarge
from cryptocontent.integrations.google_drive import (
    ARTICLE,
    DOCUMENT,
    SHORTCUT,
    SPREADSHEET,
    Drive,
    File,
    open_drive,
)
from cryptocontent.knowledge.loaders import LOADERS
from cryptocontent.knowledge.sources.google_drive_tree import Tree, apply
from cryptocontent.knowledge.sources.seam import (
    Content,
    Document,
    Found,
    Gone,
    Ignored,
    Item,
    Look,
    Page,
    Unavailable,
)
from cryptocontent.settings import Settings

_DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SUFFIXES: Final = {
    _DOCX: ".docx",
    _XLSX: ".xlsx",
    "application/pdf": ".pdf",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/plain": ".txt",
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/csv": ".csv",
}
_TABLES: Final = (".xlsx", ".csv")
_GOOGLES: Final = "application/vnd.google-apps."
_ID = re.compile(r"[A-Za-z0-9_-]{10,100}|root")
_IN_URL = re.compile(r"(?:/folders/|[?&]id=)([A-Za-z0-9_-]{10,100})")
_FIELDS: Final = ("folder", "recursive", "licence")
_LOCKED: Final = ("cannotDownloadFile", "cannotExportFile", "cannotDownloadAbusiveFile")


class GoogleDrive:
    """The kind `google_drive`."""

    references = "google_drive"
    workers = 4

    def __init__(self) -> None:
        self._idle: list[Drive] = []  # a fetcher lives for a handful of items; connections for longer

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """`folder` (an id, or the address in the browser), `recursive` (true), `licence`."""
        for name in config:
            if name not in _FIELDS:
                raise Refused(f"{name}: unknown setting; allowed are {', '.join(_FIELDS)}")
        folder, recursive = config.get("folder"), config.get("recursive", True)
        licence = config.get("licence", "")
        if not isinstance(recursive, bool):
            raise Refused(f"recursive {recursive!r}: true or false")
        if not isinstance(licence, str) or len(licence) > 200:
            raise Refused(f"licence {licence!r}: a text of at most 200 characters, such as CC-BY-4.0")
        return {"folder": _folder_id(folder), "recursive": recursive, "licence": licence.strip()}

    def off(self, settings: Settings) -> str:
        """Without credentials nothing is asked of Google."""
        return google.off(settings)

    def discover(self, look: Look) -> Iterator[Page]:
        """Whatever of the listing is left, and then what changed."""
        with _in_the_seams_words(), open_drive(look.settings) as drive:
            tree = Tree.read(look.cursor)
            if tree is None or look.full:
                tree = _begin(drive, look)
            while True:
                while tree.queue:
                    yield _listed(drive, tree, look)
                before, token = tree.cursor(), tree.token
                try:
                    told = drive.changes(token, tree.drive)
                except PageTokenExpired:
                    tree = _begin(drive, look)
                    continue
                except Missing:
                    yield Page(
                        {}
                    )  # if it comes back it is listed anew: nobody told us what changed meanwhile
                    raise Refused(_lost(look)) from None
                root = next((one for one in told.changes if one.id == tree.root), None)
                lost = told.drive_lost or (root is not None and (root.file is None or root.file.trashed))
                if lost or (root is not None and root.file is not None and root.file.drive != tree.drive):
                    yield Page({})
                    tree = _begin(drive, look)  # or says what is the matter with the folder
                    continue
                found, gone = apply(tree, told.changes, look.known, recursive=bool(look.config["recursive"]))
                tree.token = told.token
                if tree.cursor() != before or found or gone:
                    yield Page(tree.cursor(), [_found(file, look.settings) for file in found], gone)
                if told.last and not tree.queue:
                    return

    def fetcher(self, look: Look) -> Callable[[Item], Content]:
        """Downloads and exports."""

        def fetch(item: Item) -> Content:
            with _in_the_seams_words():
                drive = self._idle.pop() if self._idle else Drive(look.settings, patience=FETCHING)
                try:
                    return _fetched(drive, item, look)
                finally:
                    self._idle.append(drive)

        return fetch


def _folder_id(folder: object) -> str:
    text = folder.strip() if isinstance(folder, str) else ""
    if _ID.fullmatch(text):
        return text
    if text.startswith("https://") and (found := _IN_URL.search(text)):
        return found[1]
    raise Refused(f"folder {folder!r}: the address of a Drive folder, or its id (root is the account's own)")


@contextmanager
def _in_the_seams_words() -> Iterator[None]:
    try:
        yield
        return
    except unavailable.Unavailable as error:
        problem = Unavailable(str(error), error.seconds)
    raise problem


def _lost(look: Look) -> str:
    return (
        f"folder {look.config['folder']} is not there, or not shared with {google.who(look.settings)}: share "
        "it with them as viewer (of a shared drive: make them a member), or remove the source"
    )


def _begin(drive: Drive, look: Look) -> Tree:
    """A whole listing from the watched folder on. `Refused` if it can't be watched."""
    folder = look.config["folder"]
    try:
        root = drive.get(folder)
        if not root.is_folder:
            raise Refused(f"folder {folder}: {root.name!r} is no folder ({root.mime})")
        if root.trashed:
            raise Refused(f"folder {folder}: {root.name!r} is in the trash: restore it, or remove the source")
        return Tree.begin(root, drive.start_token(root.drive))
    except Missing:
        raise Refused(_lost(look)) from None


def _listed(drive: Drive, tree: Tree, look: Look) -> Page:
    """The next page of the folder that is being listed."""
    folder = tree.queue[0]
    files: list[File] = []
    try:
        try:
            files, tree.page = drive.children(folder, tree.drive, tree.page)
        except PageTokenExpired:  # they last for some hours: from the folder's beginning again
            files, tree.page = drive.children(folder, tree.drive)
    except Missing:
        if folder == tree.root:
            raise Refused(_lost(look)) from None
        tree.folders.pop(folder, None)  # it left meanwhile
        tree.listed()
    else:
        if look.config["recursive"]:
            for file in files:
                if file.is_folder:
                    tree.add(file)
        if not tree.page:
            tree.listed()
    listing, whole = tree.listing, bool(tree.listing) and not tree.queue
    if whole:
        tree.listing = ""
    found = [_found(file, look.settings) for file in files if not file.is_folder]
    return Page(tree.cursor(), found, listing=listing, whole=whole)


def _found(file: File, settings: Settings) -> Found:
    ignored = _why_not(file, settings.max_document_bytes)
    about = hashlib.sha256("\0".join((file.name, file.description, ignored)).encode()).hexdigest()[:16]
    content = file.md5 or file.head or file.modified
    details = {
        "mime": file.mime,
        "parent": file.parent,
        "md5": file.md5,
        "url": file.url,
        "author": file.author,
        "modified": file.modified,
        "description": file.description,
    }
    return Found(file.id, file.name, f"{content} {about}", details, ignored)


def _why_not(file: File, limit: int) -> str:
    """Why a file can't become a reference, as far as can be told without it, else ""."""
    if file.properties.get(ARTICLE):
        return "an article that was published from here"
    if file.mime == SHORTCUT:
        return "a shortcut: move or copy the file itself into the folder"
    if file.mime in (DOCUMENT, SPREADSHEET):
        return ""
    if file.mime.startswith(_GOOGLES):
        kind = file.mime.removeprefix(_GOOGLES)
        return f"a Google {kind}: supported are Docs, Sheets and {', '.join((*LOADERS, *_TABLES))}"
    if not _suffix(file.name, file.mime):
        what = file.mime or "unknown"
        return f"of the type {what}: supported are Docs, Sheets and {', '.join((*LOADERS, *_TABLES))}"
    if file.size is not None and file.size > limit:
        return f"it is too large: {file.size:,} bytes, the limit is {limit:,}"
    return ""


def _suffix(name: str, mime: str) -> str:
    """The suffix of a file's format: of its name, if that is one of ours, else by its type."""
    suffix = PurePath(name).suffix.lower()
    return suffix if suffix in LOADERS or suffix in _TABLES else _SUFFIXES.get(mime, "")


def _fetched(drive: Drive, item: Item, look: Look) -> Content:
    details, limit = item.details, look.settings.max_document_bytes
    mime = details["mime"]
    metadata = {
        "url": details["url"],
        "author": details["author"],
        "date": details["modified"],
        "description": details["description"],
        "licence": look.config["licence"],
    }
    try:
        if mime == DOCUMENT:
            data = drive.export(item.external_id, _DOCX, limit)
            return Document(f"{item.name}.docx", data, metadata | {"title": item.name})
        if mime == SPREADSHEET:
            data = drive.export(item.external_id, _XLSX, limit)
        else:
            data = drive.download(item.external_id, limit)
    except Missing:
        return Gone("it was deleted, or is no longer shared with us")
    except TooLarge as error:
        return Ignored(str(error))
    except Denied as error:
        if error.reason in _LOCKED:
            return Ignored(f"its owner lets nobody download it ({error.reason})")
        if error.reason == "exportSizeLimitExceeded":
            return Ignored(str(error))
        raise
    md5 = details["md5"]
    if md5 and hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
        raise Unavailable("it changed while it was fetched")
    suffix = ".xlsx" if mime == SPREADSHEET else _suffix(item.name, mime)
    if suffix not in _TABLES:
        # Such a file may say its own title; else the loader makes one of the name.
        return Document(
            item.name if PurePath(item.name).suffix.lower() == suffix else item.name + suffix, data, metadata
        )
    from cryptocontent.knowledge.sources.workbooks import read_csv, read_workbook

    titled = metadata | {"title": item.name if mime == SPREADSHEET else PurePath(item.name).stem}
    if suffix == ".csv":
        return read_csv(item.name, data, titled)
    return read_workbook(item.name, data, limit, titled)
