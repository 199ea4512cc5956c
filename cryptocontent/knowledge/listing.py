"""References for people: which there are, what is known of one, which one a name means."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from cryptocontent.errors import NotFound, Refused
from cryptocontent.storage.models import (
    Article,
    Citation,
    Reference,
    ReferenceRevision,
    RevisionPassage,
    Version,
)


def find_references(
    session: Session, project_id: str, names: Iterable[str], known: Mapping[str, str]
) -> list[Reference]:
    """The references that people mean by these names: an id, an external id (of every source that has it)
    or one of `known`, names with their external ids (`search.reference_names`). `NotFound` naming all that
    are none."""
    wanted = list(dict.fromkeys(names))
    if not wanted:
        raise Refused("references: name at least one")
    found: dict[str, Reference] = {}
    missing = []
    for name in wanted:
        query = select(Reference).filter_by(project_id=project_id)
        rows = (
            session.scalars(query.where(or_(Reference.id == name, Reference.external_id == name))).all()
            or session.scalars(query.filter_by(external_id=known.get(name, ""))).all()
        )
        found |= {row.id: row for row in rows}
        if not rows:
            missing.append(name)
    if missing:
        raise NotFound(
            f"project {project_id!r} has no reference {', '.join(map(repr, missing))}, or several of that "
            "name: give the whole external id (`cryptocontent reference list`)"
        )
    return sorted(found.values(), key=lambda one: (one.external_id, one.id))


def list_references(session: Session, project_id: str, status: str | None = None) -> list[dict[str, Any]]:
    """The project's references, or those of one status, by external id: with the passages of the current
    revision and how many articles cite them in any version."""
    passages = (
        select(func.count())
        .where(RevisionPassage.revision_id == Reference.revision_id)
        .correlate(Reference)
        .scalar_subquery()
    )
    cited = dict(
        session.execute(
            select(Citation.reference_id, func.count(Version.article_id.distinct()))
            .join(Version, Version.id == Citation.version_id)
            .join(Article, Article.id == Version.article_id)
            .where(Article.project_id == project_id, Citation.reference_id.is_not(None))
            .group_by(Citation.reference_id)
        )
        .tuples()
        .all()
    )
    query = select(Reference, passages).filter_by(project_id=project_id)
    if status is not None:
        query = query.filter_by(status=status)
    return [
        {
            "id": one.id,
            "source": one.source,
            "external_id": one.external_id,
            "title": one.title,
            "status": one.status,
            "recall_reason": one.recall_reason,
            "passages": count or 0,
            "articles": cited.get(one.id, 0),
            "updated_at": one.updated_at.isoformat(timespec="seconds"),
        }
        for one, count in session.execute(query.order_by(Reference.external_id, Reference.id))
    ]


def describe_reference(session: Session, reference: Reference) -> dict[str, Any]:
    """What is known of a reference: its provenance, its revisions with their hashes, people's notes on the
    current one, and the articles whose versions cite it, by the numbers of those versions."""
    revisions = session.execute(
        select(
            ReferenceRevision.id,
            ReferenceRevision.number,
            ReferenceRevision.content_hash,
            ReferenceRevision.media_type,
            ReferenceRevision.fetched_at,
        )
        .filter_by(reference_id=reference.id)
        .order_by(ReferenceRevision.number)
    )
    citing = session.execute(
        select(Article.id, Article.slug, Article.status, Version.number)
        .join(Version, Version.article_id == Article.id)
        .join(Citation, Citation.version_id == Version.id)
        .where(Citation.reference_id == reference.id)
        .distinct()
        .order_by(Article.slug, Version.number)
    )
    articles: dict[str, dict[str, Any]] = {}
    for article_id, slug, status, number in citing:
        row = articles.setdefault(
            article_id, {"id": article_id, "slug": slug, "status": status, "versions": []}
        )
        row["versions"].append(number)
    names = ("id", "source", "external_id", "title", "status", "recall_reason", "url", "licence", "author")
    return {
        **{name: getattr(reference, name) for name in names},
        "tags": list(reference.tags),
        "published_at": reference.published_at.isoformat() if reference.published_at else None,
        "updated_at": reference.updated_at.isoformat(timespec="seconds"),
        "revisions": [
            {
                "id": revision_id,
                "number": number,
                "content_hash": digest,
                "media_type": media_type,
                "fetched_at": fetched.isoformat(timespec="seconds"),
                "current": revision_id == reference.revision_id,
            }
            for revision_id, number, digest, media_type, fetched in revisions
        ],
        "notes": _notes(session, reference),
        "articles": list(articles.values()),
    }


def _notes(session: Session, reference: Reference) -> list[dict[str, Any]]:
    """What people remarked on the current revision's text (comments of a document): never part of it."""
    details = session.scalar(select(ReferenceRevision.details).filter_by(id=reference.revision_id)) or {}
    notes = details.get("notes")
    # A Markdown file may say anything under this name.
    return [one for one in notes if isinstance(one, dict)] if isinstance(notes, list) else []
