"""Importing files as references: revisions, passages, images, and what has vanished.

A document's content hash covers its bytes: an unchanged one costs a hash and nothing else. A changed
one gets a new revision; passages that it shares with the one before keep their id, so only its new
passages are embedded. A vanished one is withdrawn from search and stays citable.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, Change, lock, record_all
from cryptocontent.content.projects import get_project
from cryptocontent.errors import Refused
from cryptocontent.knowledge.chunking import chunk, passage_ids
from cryptocontent.knowledge.described import described, image_size
from cryptocontent.knowledge.loaders import LOADERS, LoadedDocument, UnreadableDocument, load
from cryptocontent.storage.database import batched, insert_ignoring_conflicts, reading, writing
from cryptocontent.storage.models import (
    Image,
    Passage,
    Project,
    Reference,
    ReferenceRevision,
    RevisionImage,
    RevisionPassage,
)
from cryptocontent.storage.object_store import ObjectStore, image_key
from cryptocontent.storage.types import new_id, utc_now

# Part of every content hash: raise it when loaders or the chunker change what they make of a file.
IMPORT_VERSION = "1"
_DOCUMENTS_PER_TRANSACTION = 25
# Files that a document may show or that describe the folder; a person does not expect them imported.
_NOT_DOCUMENTS = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp", ".ico", ".tif", ".tiff", ".avif"}

Progress = Callable[[int, int, str], None]


@dataclass(slots=True)
class ImportReport:
    """What an import did, by external id; `recalled` was left alone: the reference was recalled, or one
    with the very same bytes; `problems` are (path, reason), `warnings` what was left out of a document
    that was imported."""

    added: list[str] = field(default_factory=list)
    revised: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    recalled: list[str] = field(default_factory=list)
    unchanged: int = 0
    passages: int = 0
    images: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """How many references are not what they were."""
        return len(self.added) + len(self.revised) + len(self.restored) + len(self.withdrawn)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    root: Path
    source: str
    external_id: str


@dataclass(frozen=True, slots=True)
class _Loaded:
    file: _File
    digest: str
    document: LoadedDocument


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
    known = _known(engine, project_id)
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
            loaded.append(_Loaded(file, digest, document))
        if loaded:
            _store(engine, objects, project_id, loaded, known, actor, report)
    _withdraw_vanished(
        engine, project_id, folders, {file.external_id for file in files}, known, actor, report
    )
    return report


def _known(engine: Engine, project_id: str) -> dict[tuple[str, str], tuple[Reference, str]]:
    with reading(engine) as session:
        rows = session.execute(
            select(Reference, ReferenceRevision.content_hash)
            .join(ReferenceRevision, ReferenceRevision.id == Reference.revision_id)
            .where(Reference.project_id == project_id)
        )
        return {(reference.source, reference.external_id): (reference, digest) for reference, digest in rows}


def _changed(
    files: Sequence[_File],
    known: dict[tuple[str, str], tuple[Reference, str]],
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


def _store(
    engine: Engine,
    objects: ObjectStore,
    project_id: str,
    loaded: Sequence[_Loaded],
    known: dict[tuple[str, str], tuple[Reference, str]],
    actor: Actor,
    report: ImportReport,
) -> None:
    # Bytes first: a row never points at an image that is not there.
    sizes = {image.sha256: image_size(image.data) for item in loaded for image in item.document.images}
    for item in loaded:
        for image in item.document.images:
            key = image_key(project_id, image.sha256)
            if not objects.exists(key):
                objects.put(key, image.data, image.media_type)
    outcome: list[tuple[list[str], str]] = []
    with writing(engine) as session:
        lock(session, project_id)  # a recall that went on meanwhile must not be undone
        recalled = set(
            session.scalars(select(Reference.id).filter_by(project_id=project_id, status="recalled"))
        )
        changes: list[Change] = []
        for item in loaded:
            reference, before = known.get((item.file.source, item.file.external_id), (None, None))
            if reference is not None and reference.id in recalled:
                outcome.append((report.recalled, item.file.external_id))
                continue
            action, target = _save_reference(session, project_id, item, reference, before, sizes, report)
            outcome.append((target, item.file.external_id))
            change = {"title": item.document.title, "before": before, "after": item.digest}
            changes.append(Change(actor, action, f"reference:{item.file.external_id}", change))
        record_all(session, project_id, changes)
    for target, external_id in outcome:
        target.append(external_id)


def _save_reference(
    session: Session,
    project_id: str,
    item: _Loaded,
    reference: Reference | None,
    before: str | None,
    sizes: dict[str, tuple[int, int]],
    report: ImportReport,
) -> tuple[str, list[str]]:
    document, now = item.document, utc_now()
    description = described(document)
    if reference is None:
        reference_id, number = new_id(), 1
        row: dict[str, Any] = {
            "id": reference_id,
            "project_id": project_id,
            "source": item.file.source,
            "status": "active",
        }
        row |= {"external_id": item.file.external_id, "created_at": now, "updated_at": now}
        session.execute(insert(Reference), [row | description])
    else:
        reference_id = reference.id
        newest = select(ReferenceRevision.number).filter_by(id=reference.revision_id)
        number = session.scalars(newest).one() + 1
        if any(getattr(reference, name) != description[name] for name in ("title", "tags", "published_at")):
            # Search shows and filters by these, so all of its passages are indexed anew.
            session.execute(update(Passage).filter_by(reference_id=reference_id).values(indexed_in=None))
    if before == item.digest:  # it vanished and came back as it was
        session.execute(update(Reference).filter_by(id=reference_id).values(status="active", updated_at=now))
        return "reference.restored", report.restored
    revision_id = new_id()
    revision: dict[str, Any] = {
        "id": revision_id,
        "reference_id": reference_id,
        "number": number,
        "content_hash": item.digest,
    }
    revision |= {"media_type": document.media_type, "markdown": document.markdown, "fetched_at": now}
    session.execute(insert(ReferenceRevision), [revision | {"details": document.metadata}])
    report.passages += _save_passages(session, project_id, reference_id, revision_id, document)
    report.images += _save_images(session, project_id, revision_id, document, sizes)
    session.execute(
        update(Reference)
        .filter_by(id=reference_id)
        .values(revision_id=revision_id, status="active", updated_at=now, **description)
    )
    return (
        ("reference.imported", report.added) if reference is None else ("reference.revised", report.revised)
    )


def _save_passages(
    session: Session, project_id: str, reference_id: str, revision_id: str, document: LoadedDocument
) -> int:
    chunks = chunk(document.markdown, document.title)
    ids = passage_ids(reference_id, chunks)
    if not chunks:
        return 0
    rows = [
        {
            "id": passage,
            "project_id": project_id,
            "reference_id": reference_id,
            "heading_path": list(one.heading_path),
            "kind": one.kind,
            "text": one.text,
        }
        for passage, one in zip(ids, chunks, strict=True)
    ]
    session.execute(insert_ignoring_conflicts(session.get_bind().dialect, Passage), rows)
    places = [
        {
            "revision_id": revision_id,
            "ordinal": ordinal,
            "passage_id": passage,
            "start": one.start,
            "end": one.end,
        }
        for ordinal, (passage, one) in enumerate(zip(ids, chunks, strict=True))
    ]
    session.execute(insert(RevisionPassage), places)
    return len(rows)


def _save_images(
    session: Session,
    project_id: str,
    revision_id: str,
    document: LoadedDocument,
    sizes: dict[str, tuple[int, int]],
) -> int:
    images = {image.sha256: image for image in document.images}
    if not images:
        return 0
    rows = [
        {
            "project_id": project_id,
            "sha256": digest,
            "media_type": image.media_type,
            "width": sizes[digest][0],
            "height": sizes[digest][1],
            "bytes": len(image.data),
        }
        for digest, image in images.items()
    ]
    session.execute(insert_ignoring_conflicts(session.get_bind().dialect, Image), rows)
    places = [
        {"revision_id": revision_id, "sha256": digest, "alt": image.alt} for digest, image in images.items()
    ]
    session.execute(insert(RevisionImage), places)
    return len(images)


def _withdraw_vanished(
    engine: Engine,
    project_id: str,
    folders: Sequence[Path],
    seen: set[str],
    known: dict[tuple[str, str], tuple[Reference, str]],
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


def withdraw(
    engine: Engine, project_id: str, references: Sequence[Reference], actor: Actor, *, reason: str
) -> None:
    """Take references out of search; versions that cite them keep their citations."""
    with writing(engine) as session:
        lock(session, project_id)  # a recall that went on meanwhile must not be undone
        ids = [reference.id for reference in references]
        recalled = set(
            session.scalars(select(Reference.id).where(Reference.id.in_(ids), Reference.status == "recalled"))
        )
        references = [reference for reference in references if reference.id not in recalled]
        session.execute(
            update(Reference)
            .where(Reference.id.in_(ids), Reference.id.not_in(recalled))
            .values(status="withdrawn", updated_at=utc_now())
        )
        changes = [
            Change(actor, "reference.withdrawn", f"reference:{reference.external_id}", {"reason": reason})
            for reference in references
        ]
        record_all(session, project_id, changes)


def registered_folders(engine: Engine, project_id: str) -> list[Path]:
    """The project's folders that are there now."""
    with reading(engine) as session:
        project = session.get(Project, project_id)
        return [Path(folder) for folder in (project.folders if project else []) if Path(folder).is_dir()]


def has_changes(engine: Engine, project_id: str, *, max_bytes: int) -> bool:
    """Whether an import of the project's folders would change anything."""
    folders = registered_folders(engine, project_id)
    files = [file for folder in folders for file in folder_files(folder)]
    known = _known(engine, project_id)
    report = ImportReport()
    changed = any(digest for _, digest in _changed(files, known, report, max_bytes))
    active = sum(
        ref.status == "active" and ref.source == "folder" and ref.external_id not in report.recalled
        for ref, _ in known.values()
    )
    return changed or active != report.unchanged
