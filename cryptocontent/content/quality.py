"""The quality numbers of articles: one row each, and the means of a batch."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cryptocontent.storage.models import Article, Version, VersionCheck

MEASURES = {
    "words": "Words",
    "citation_coverage": "Cited",
    "number_grounding": "Nums",
    "quote_fidelity": "Quotes",
    "uniqueness": "Unique",
    "source_concentration": "HHI",
    "flesch_reading_ease": "Ease",
    "flesch_kincaid_grade": "Grade",
}
"""What is measured, with a short heading: shares from 0 to 1, but for words, ease and grade."""


def quality_rows(
    session: Session, project_id: str, article_ids: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The numbers of each article's current version, from the newest run of the checks over it."""
    newest = select(func.max(VersionCheck.id)).group_by(VersionCheck.version_id)
    query = (
        select(Article, Version.number, VersionCheck.metrics)
        .join(Version, Version.id == Article.version_id)
        .join(VersionCheck, VersionCheck.version_id == Version.id)
        .where(Article.project_id == project_id, VersionCheck.id.in_(newest))
        .order_by(Article.slug)
    )
    if article_ids is not None:
        query = query.where(Article.id.in_(article_ids))
    return [
        {"slug": article.slug, "title": article.title, "status": article.status, "version": number}
        | {name: metrics.get(name) for name in MEASURES}
        for article, number, metrics in session.execute(query)
    ]


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """The mean of each measure over the rows that have it."""
    means: dict[str, float | None] = {}
    for name in MEASURES:
        values = [float(row[name]) for row in rows if row[name] is not None]
        means[name] = round(sum(values) / len(values), 3) if values else None
    return means
