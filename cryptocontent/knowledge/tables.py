"""The knowledge base as tables, for those who check or analyse it: one row per reference or passage."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cryptocontent.storage.models import Passage, Reference, ReferenceRevision, RevisionPassage


def reference_table(session: Session, project_id: str) -> list[dict[str, Any]]:
    """The project's active references with their current revision's numbers."""
    passages = (
        select(func.count())
        .where(RevisionPassage.revision_id == ReferenceRevision.id)
        .correlate(ReferenceRevision)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            Reference.id,
            Reference.source,
            Reference.external_id,
            Reference.title,
            Reference.url,
            Reference.licence,
            ReferenceRevision.number.label("revision"),
            ReferenceRevision.content_hash,
            ReferenceRevision.media_type,
            func.length(ReferenceRevision.markdown).label("characters"),
            ReferenceRevision.fetched_at,
            passages.label("passages"),
        )
        .join(ReferenceRevision, ReferenceRevision.id == Reference.revision_id)
        .where(Reference.project_id == project_id, Reference.status == "active")
        .order_by(Reference.id)
    )
    return [dict(row) for row in rows.mappings()]


def passage_table(session: Session, project_id: str) -> list[dict[str, Any]]:
    """The passages of the project's active references, each with its place in the current revision."""
    rows = session.execute(
        select(
            Passage.id,
            Passage.reference_id,
            Passage.kind,
            func.length(Passage.text).label("characters"),
            Passage.indexed_in,
            RevisionPassage.ordinal,
            RevisionPassage.start,
            RevisionPassage.end,
            func.length(ReferenceRevision.markdown).label("document_characters"),
        )
        .join(RevisionPassage, RevisionPassage.passage_id == Passage.id)
        .join(Reference, Reference.revision_id == RevisionPassage.revision_id)
        .join(ReferenceRevision, ReferenceRevision.id == Reference.revision_id)
        .where(Reference.project_id == project_id, Reference.status == "active")
        .order_by(Reference.id, RevisionPassage.ordinal)
    )
    return [dict(row) for row in rows.mappings()]
