"""The knowledge base as the rest of the house uses it: keep the index in step, search it.

The database says which passages search should find; the index is brought to that state. Rows are
marked only after the index took them, so a killed sync is finished by the next one.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Engine, func, select, update

from cryptocontent.knowledge.embedding import Embedder, open_embedder
from cryptocontent.knowledge.index import (
    Hit,
    IndexPoint,
    Mode,
    PassageIndex,
    Query,
    collection_name,
    open_index,
)
from cryptocontent.knowledge.retrieval import collapse_near_duplicates, rank_references
from cryptocontent.settings import Settings
from cryptocontent.storage.database import batched, pairs, reading, writing
from cryptocontent.storage.models import Passage, Project, Reference, RevisionPassage

_BATCH = 1000
# Passages fetched for each that is wanted, so that enough are left once near-identical ones collapse.
_SPARE = 2


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did to the index, and how many passages of the project it holds."""

    embedded: int
    removed: int
    total: int


def _opened(settings: Settings, embedder: Embedder) -> AbstractContextManager[PassageIndex]:
    return open_index(settings.vector_url, embedder, settings.vector_api_key.get_secret_value())


def sync_index(
    engine: Engine,
    settings: Settings,
    project_id: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> SyncReport:
    """Embed what is new, remove what is no longer current, mend an index that lost points."""
    embedder = open_embedder(settings.embedding_model)
    collection = collection_name(embedder)
    with reading(engine) as session:
        current = (
            select(RevisionPassage.passage_id)
            .join(Reference, Reference.revision_id == RevisionPassage.revision_id)
            .where(Reference.project_id == project_id, Reference.status == "active")
        )
        wanted = set(session.scalars(current))
        marked = set(
            session.scalars(select(Passage.id).filter_by(project_id=project_id, indexed_in=collection))
        )
    with _opened(settings, embedder) as index:
        if index.count(project_id) != len(marked):
            marked &= index.ids(project_id)
            lost = True
        else:
            lost = False
        missing, surplus = sorted(wanted - marked), sorted(marked - wanted)
        done = 0
        for ids in batched(missing, _BATCH):
            index.upsert(_points(engine, ids))
            done += len(ids)
            on_progress(done, len(missing))
        if surplus:
            index.delete(surplus)
        if lost:
            index.delete(sorted(index.ids(project_id) - wanted))
        total = index.count(project_id)
    if missing or surplus:
        with writing(engine) as session:
            for ids in batched(missing, 500):
                session.execute(update(Passage).where(Passage.id.in_(ids)).values(indexed_in=collection))
            for ids in batched(surplus, 500):
                session.execute(update(Passage).where(Passage.id.in_(ids)).values(indexed_in=None))
            session.execute(
                update(Project)
                .filter_by(id=project_id)
                .values(knowledge_version=Project.knowledge_version + 1)
            )
    return SyncReport(len(missing), len(surplus), total)


def _points(engine: Engine, ids: Sequence[str]) -> list[IndexPoint]:
    points = []
    with reading(engine) as session:
        for some in batched(ids, 500):
            rows = session.execute(
                select(Passage, Reference)
                .join(Reference, Reference.id == Passage.reference_id)
                .where(Passage.id.in_(some))
                .order_by(Passage.id)
            )
            points += [
                IndexPoint(
                    id=passage.id,
                    project=passage.project_id,
                    reference_id=reference.id,
                    title=reference.title,
                    heading_path=tuple(passage.heading_path),
                    text=passage.text,
                    tags=tuple(reference.tags),
                    source=reference.source,
                    published_at=reference.published_at,
                )
                for passage, reference in rows
            ]
    return points


def search_index(settings: Settings, queries: Sequence[Query], mode: Mode = "hybrid") -> list[list[Hit]]:
    """Answer a batch of queries with the index opened once."""
    embedder = open_embedder(settings.embedding_model)
    with _opened(settings, embedder) as index:
        return index.search(queries, mode)


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that a search found, with where it stands."""

    passage_id: str
    reference_id: str
    external_id: str
    title: str
    heading_path: tuple[str, ...]
    text: str
    url: str | None
    published_at: datetime | None
    score: float


def search(engine: Engine, settings: Settings, query: Query, mode: Mode = "hybrid") -> list[Found]:
    """The project's passages for one question, near-identical ones collapsed, best first."""
    wider = replace(query, limit=query.limit * _SPARE)
    hits = search_index(settings, [wider], mode)[0]
    rows: dict[str, Any] = {}
    with reading(engine) as session:
        for ids in batched([hit.passage_id for hit in hits], 500):
            found = session.execute(
                select(Passage, Reference)
                .join(Reference, Reference.id == Passage.reference_id)
                .where(Passage.id.in_(ids))
            )
            rows |= {passage.id: (passage, reference) for passage, reference in found}
    kept = collapse_near_duplicates(
        [hit for hit in hits if hit.passage_id in rows],
        {key: passage.text for key, (passage, _) in rows.items()},
    )
    return [_found(hit, *rows[hit.passage_id]) for hit in kept[: query.limit]]


def _found(hit: Hit, passage: Passage, reference: Reference) -> Found:
    return Found(
        passage.id,
        reference.id,
        reference.external_id,
        reference.title,
        tuple(passage.heading_path),
        passage.text,
        reference.url,
        reference.published_at,
        hit.score,
    )


def rank_documents(
    engine: Engine, settings: Settings, project_id: str, texts: Sequence[str], mode: Mode, limit: int = 10
) -> list[list[str]]:
    """For each query text, the external ids of the best references, as the product ranks them."""
    queries = [Query(text=text, project=project_id, limit=limit * 6) for text in texts]
    hits = search_index(settings, queries, mode)
    with reading(engine) as session:
        query = select(Reference.id, Reference.external_id).filter_by(project_id=project_id)
        names = pairs(session.execute(query))
    return [
        [names[reference] for reference in rank_references(found) if reference in names][:limit]
        for found in hits
    ]


def reference_names(engine: Engine, project_id: str) -> dict[str, str]:
    """The names by which people call a reference, each with its external id: the id itself, without its
    suffix, and the file's name with and without suffix. Names that several references share are left out."""
    with reading(engine) as session:
        ids = list(session.scalars(select(Reference.external_id).filter_by(project_id=project_id)))
    names: dict[str, str | None] = {}
    for external_id in ids:
        path = PurePosixPath(external_id)
        for name in {external_id, str(path.with_suffix("")), path.name, path.stem}:
            names[name] = None if name in names else external_id
    return {name: external_id for name, external_id in names.items() if external_id is not None}


def passage_counts(engine: Engine, settings: Settings, projects: Sequence[str]) -> dict[str, tuple[int, int]]:
    """For each project: passages in the index, passages that should be."""
    embedder = open_embedder(settings.embedding_model)
    with reading(engine) as session:
        wanted = pairs(
            session.execute(
                select(Reference.project_id, func.count(RevisionPassage.passage_id.distinct()))
                .join(RevisionPassage, RevisionPassage.revision_id == Reference.revision_id)
                .where(Reference.status == "active")
                .group_by(Reference.project_id)
            )
        )
    with _opened(settings, embedder) as index:
        return {project: (index.count(project), wanted.get(project, 0)) for project in projects}
