"""Saving loaded documents as references: revisions, passages, images; and withdrawing what has vanished.

A changed document gets a new revision; passages that it shares with the one before keep their id, so only
its new passages are embedded. A vanished one is withdrawn from search and stays citable.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Engine, insert, select, tuple_, update
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, Change, lock, record_all
from cryptocontent.knowledge.chunking import chunk, passage_ids
from cryptocontent.knowledge.described import described, image_size
from cryptocontent.knowledge.loaders import LoadedDocument
from cryptocontent.storage.database import batched, insert_ignoring_conflicts, reading, writing
from cryptocontent.storage.models import (
    Image,
    Passage,
    Reference,
    ReferenceRevision,
    RevisionImage,
    RevisionPassage,
)
from cryptocontent.storage.object_store import ObjectStore, image_key
from cryptocontent.storage.types import new_id, utc_now

Key = tuple[str, str]
"""A reference's name within its project: source (`folder`, `google_drive`) and external id."""


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

    def joined(self, other: "ImportReport") -> "ImportReport":
        """Both imports as one."""
        return ImportReport(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @property
    def changed(self) -> int:
        """How many references are not what they were."""
        return len(self.added) + len(self.revised) + len(self.restored) + len(self.withdrawn)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A loaded document on its way to be a reference. `digest` is of the bytes that it was made from."""

    source: str
    external_id: str
    digest: str
    document: LoadedDocument

    @property
    def key(self) -> Key:
        """Its reference's name."""
        return self.source, self.external_id


def known_references(engine: Engine, project_id: str) -> dict[Key, tuple[Reference, str]]:
    """The project's references with the digest of their current revision."""
    with reading(engine) as session:
        return _known(session, project_id, None)


def _known(session: Session, project_id: str, keys: Sequence[Key] | None) -> dict[Key, tuple[Reference, str]]:
    query = (
        select(Reference, ReferenceRevision.content_hash)
        .join(ReferenceRevision, ReferenceRevision.id == Reference.revision_id)
        .where(Reference.project_id == project_id)
    )
    if keys is not None:
        query = query.where(tuple_(Reference.source, Reference.external_id).in_(keys))
    rows = session.execute(query).tuples()
    return {(reference.source, reference.external_id): (reference, digest) for reference, digest in rows}


def save_documents(
    engine: Engine,
    objects: ObjectStore,
    project_id: str,
    incoming: Sequence[Incoming],
    actor: Actor,
    report: ImportReport,
    *,
    wanted: Callable[[Session], Collection[Key]] | None = None,
    also: Callable[[Session, Mapping[Key, str]], None] = lambda session, ids: None,
) -> None:
    """Save documents (at most a few dozen) in one transaction, and tell the report. One that was saved
    already, by whomever, counts as unchanged; one whose reference was recalled is left alone. `wanted` is
    asked under the project's lock which of them are still to be saved; `also` is
    called in the same transaction with the ids of their references, for what has to be true together."""
    # Bytes first: a row never points at an image that is not there.
    sizes = {image.sha256: image_size(image.data) for item in incoming for image in item.document.images}
    for item in incoming:
        for image in item.document.images:
            key = image_key(project_id, image.sha256)
            if not objects.exists(key):
                objects.put(key, image.data, image.media_type)
    outcome: list[tuple[list[str], str]] = []
    unchanged = passages = images = 0
    ids: dict[Key, str] = {}
    with writing(engine) as session:
        lock(session, project_id)  # a recall, or another import, that went on meanwhile must not be undone
        known = _known(session, project_id, [item.key for item in incoming])
        changes: list[Change] = []
        kept = wanted(session) if wanted else [item.key for item in incoming]
        for item in incoming:
            if item.key not in kept:
                continue
            reference, before = known.get(item.key, (None, None))
            if reference is not None:
                ids[item.key] = reference.id
                if reference.status == "recalled":
                    outcome.append((report.recalled, item.external_id))
                    continue
                if before == item.digest and reference.status == "active":
                    unchanged += 1
                    continue
            saved = _save_reference(session, project_id, item, reference, before, sizes)
            ids[item.key] = saved.reference_id
            passages, images = passages + saved.passages, images + saved.images
            outcome.append((getattr(report, saved.outcome), item.external_id))
            change = {"title": item.document.title, "before": before, "after": item.digest}
            changes.append(Change(actor, _ACTIONS[saved.outcome], f"reference:{item.external_id}", change))
        also(session, ids)
        record_all(session, project_id, changes)
    for target, external_id in outcome:
        target.append(external_id)
    report.unchanged += unchanged
    report.passages += passages
    report.images += images


_ACTIONS = {
    "added": "reference.imported",
    "revised": "reference.revised",
    "restored": "reference.restored",
}


@dataclass(frozen=True, slots=True)
class _Saved:
    reference_id: str
    outcome: str
    passages: int = 0
    images: int = 0


def _save_reference(
    session: Session,
    project_id: str,
    item: Incoming,
    reference: Reference | None,
    before: str | None,
    sizes: dict[str, tuple[int, int]],
) -> _Saved:
    document, now = item.document, utc_now()
    description = described(document)
    if reference is None:
        reference_id, number = new_id(), 1
        row: dict[str, Any] = {
            "id": reference_id,
            "project_id": project_id,
            "source": item.source,
            "status": "active",
        }
        row |= {"external_id": item.external_id, "created_at": now, "updated_at": now}
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
        return _Saved(reference_id, "restored")
    revision_id = new_id()
    revision: dict[str, Any] = {
        "id": revision_id,
        "reference_id": reference_id,
        "number": number,
        "content_hash": item.digest,
    }
    revision |= {"media_type": document.media_type, "markdown": document.markdown, "fetched_at": now}
    session.execute(insert(ReferenceRevision), [revision | {"details": document.metadata}])
    passages = _save_passages(session, project_id, reference_id, revision_id, document)
    images = _save_images(session, project_id, revision_id, document, sizes)
    session.execute(
        update(Reference)
        .filter_by(id=reference_id)
        .values(revision_id=revision_id, status="active", updated_at=now, **description)
    )
    return _Saved(reference_id, "added" if reference is None else "revised", passages, images)


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


def withdraw(
    engine: Engine, project_id: str, references: Sequence[Reference], actor: Actor, *, reason: str
) -> None:
    """Take references out of search; versions that cite them keep their citations."""
    with writing(engine) as session:
        withdraw_all(session, project_id, {reference.id: reason for reference in references}, actor)


def withdraw_all(session: Session, project_id: str, reasons: Mapping[str, str], actor: Actor) -> list[str]:
    """`withdraw` in the caller's transaction, by reference id and each for its reason; what is not active is
    left as it is. Returns the external ids of those that were withdrawn."""
    lock(session, project_id)  # a recall that went on meanwhile must not be undone
    references = [
        reference
        for some in batched(sorted(reasons), 500)
        for reference in session.scalars(
            select(Reference).where(Reference.id.in_(some), Reference.status == "active")
        )
    ]
    now = utc_now()
    for reference in references:
        reference.status, reference.updated_at = "withdrawn", now
    session.flush()
    changes = [
        Change(actor, "reference.withdrawn", f"reference:{one.external_id}", {"reason": reasons[one.id]})
        for one in references
    ]
    record_all(session, project_id, changes)
    return [one.external_id for one in references]
