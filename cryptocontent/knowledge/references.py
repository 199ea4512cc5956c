"""Importing files and folders as references.

A document's content hash covers its bytes: an unchanged one costs a hash and nothing else.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor
from cryptocontent.content.projects import get_project
from cryptocontent.errors import Refused
from cryptocontent.knowledge.loaders import IMPORT_VERSION, LOADERS, UnreadableDocument, load
from cryptocontent.knowledge.saving import (
    ImportReport,
    Incoming,
    Key,
    known_references,
    save_documents,
    withdraw,
)
from cryptocontent.storage.database import batched, reading, writing
from cryptocontent.storage.models import Project, Reference
from cryptocontent.storage.object_store import ObjectStore

_DOCUMENTS_PER_TRANSACTION = 25
# Files that a document may show or that describe the folder; a person does not expect them imported.
_NOT_DOCUMENTS = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp", ".ico", ".tif", ".tiff", ".avif"}

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    root: Path
    source: str
    external_id: str


def folder_files(folder: Path) -> list[_File]:
    """The files of a folder, with ids that stay the same wherever the folder lies: `name/relative/path`.
    Hidden files are left out, and images are left to the documents that show them."""
    files = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if any(part.startswith((".", "~$")) for part in relative.parts) or not path.is_file():
            continue
        if path.suffix.lower() not in _NOT_DOCUMENTS:
            files.append(_File(path, folder, "folder", f"{folder.name}/{relative.as_posix()}"))
    return files


def _single_file(engine: Engine, project_id: str, path: Path) -> _File:
    """A file named by itself: the folder's own reference if it lies in one of the project's folders."""
    for folder in registered_folders(engine, project_id):
        if path.is_relative_to(folder):
            return _File(path, folder, "folder", f"{folder.name}/{path.relative_to(folder).as_posix()}")
    return _File(path, path.parent, "file", path.name)


def register_folder(session: Session, project_id: str, folder: Path, *, moved: bool = False) -> None:
    """Remember a folder as one of the project's sources; the `references` asset imports it again. A
    folder of the same name elsewhere is replaced if it is gone, or if the caller says that it `moved`."""
    project = get_project(session, project_id)
    path = str(folder)
    if path in project.folders:
        return
    clash = next((known for known in project.folders if Path(known).name == folder.name), None)
    if clash and not moved and Path(clash).is_dir():
        raise Refused(f"folder {path!r}: project {project_id!r} has a folder of that name already: {clash!r}")
    project.folders = [*(known for known in project.folders if known != clash), path]


def import_paths(
    engine: Engine,
    objects: ObjectStore,
    project_id: str,
    paths: Sequence[Path],
    actor: Actor,
    *,
    max_bytes: int,
    on_progress: Progress = lambda done, total, name: None,
) -> ImportReport:
    """Import files and folders. A folder is remembered, and documents that vanished from it are
    withdrawn. A bad file is reported and the rest goes on; a path that does not exist is refused."""
    files: list[_File] = []
    folders: list[Path] = []
    for path in (path.resolve() for path in paths):
        if path.is_dir():
            folders.append(path)
            files += folder_files(path)
        elif path.is_file():
            files.append(_single_file(engine, project_id, path))
        else:
            raise Refused(f"path {str(path)!r}: there is no such file or folder")
    with writing(engine) as session:
        get_project(session, project_id)
        for folder in folders:
            register_folder(session, project_id, folder)
    report = ImportReport()
    known = known_references(engine, project_id)
    changed = list(_changed(files, known, report, max_bytes))
    done = len(files) - len(changed)
    on_progress(done, len(files), "")
    for some in batched(changed, _DOCUMENTS_PER_TRANSACTION):
        loaded = []
        for file, digest in some:
            done += 1
            on_progress(done, len(files), file.external_id)
            try:
                document = load(file.path, max_bytes, file.root)
            except UnreadableDocument as error:
                report.problems.append((str(error.path), error.reason))
                continue
            report.warnings += [(str(file.path), warning) for warning in document.warnings]
            loaded.append(Incoming(file.source, file.external_id, digest, document))
        if loaded:
            save_documents(engine, objects, project_id, loaded, actor, report)
    _withdraw_vanished(
        engine, project_id, folders, {file.external_id for file in files}, known, actor, report
    )
    return report


def _changed(
    files: Sequence[_File],
    known: dict[Key, tuple[Reference, str]],
    report: ImportReport,
    max_bytes: int,
) -> Iterable[tuple[_File, str]]:
    bad = {digest for reference, digest in known.values() if reference.status == "recalled"}
    for file in files:
        reference, stored = known.get((file.source, file.external_id), (None, ""))
        if reference is not None and reference.status == "recalled":
            report.recalled.append(file.external_id)
            continue
        try:
            if file.path.suffix.lower() not in LOADERS or file.path.stat().st_size > max_bytes:
                yield file, ""  # `load` says what is wrong with it
                continue
            digest = _digest(file.path)
        except OSError as error:
            report.problems.append((str(file.path), f"it can't be read ({error.strerror or error})"))
            continue
        if reference is not None and stored == digest and reference.status == "active":
            report.unchanged += 1
        elif digest in bad:
            report.recalled.append(file.external_id)
        else:
            yield file, digest


def _digest(path: Path) -> str:
    hasher = hashlib.sha256(f"{IMPORT_VERSION}\n".encode())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def _withdraw_vanished(
    engine: Engine,
    project_id: str,
    folders: Sequence[Path],
    seen: set[str],
    known: dict[Key, tuple[Reference, str]],
    actor: Actor,
    report: ImportReport,
) -> None:
    prefixes = tuple(f"{folder.name}/" for folder in folders)
    gone = [
        reference
        for (source, external_id), (reference, _) in known.items()
        if source == "folder"
        and prefixes
        and external_id.startswith(prefixes)
        and external_id not in seen
        and reference.status == "active"
    ]
    if gone:
        withdraw(engine, project_id, gone, actor, reason="it vanished from its folder")
        report.withdrawn += [reference.external_id for reference in gone]


def registered_folders(engine: Engine, project_id: str) -> list[Path]:
    """The project's folders that are there now."""
    with reading(engine) as session:
        project = session.get(Project, project_id)
        return [Path(folder) for folder in (project.folders if project else []) if Path(folder).is_dir()]


def has_changes(engine: Engine, project_id: str, *, max_bytes: int) -> bool:
    """Whether an import of the project's folders would change anything."""
    folders = registered_folders(engine, project_id)
    files = [file for folder in folders for file in folder_files(folder)]
    known = known_references(engine, project_id)
    report = ImportReport()
    changed = any(digest for _, digest in _changed(files, known, report, max_bytes))
    active = sum(
        ref.status == "active" and ref.source == "folder" and ref.external_id not in report.recalled
        for ref, _ in known.values()
    )
    return changed or active != report.unchanged
