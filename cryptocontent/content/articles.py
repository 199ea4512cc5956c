"""Articles and their versions: reading, comparing, finding one by what a person types."""

import difflib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from cryptocontent.content.quality import MEASURES
from cryptocontent.content.sources import fact_statement
from cryptocontent.errors import NotFound
from cryptocontent.storage.models import (
    Article,
    Brief,
    Citation,
    Finding,
    MarketFact,
    Message,
    Passage,
    Reference,
    Version,
    VersionCheck,
    Waiver,
)


def list_articles(
    session: Session, project_id: str | None = None, brief_ids: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """One row per article with the numbers of its current version, newest first."""
    each = aliased(VersionCheck)
    newest = select(func.max(each.id)).where(each.version_id == Version.id).correlate(Version)
    in_force = (Finding.version_id == Version.id) & (
        Finding.check_id.is_(None) | (Finding.check_id == VersionCheck.id)
    )
    findings = select(func.count()).where(in_force).correlate(Version, VersionCheck).scalar_subquery()
    waived = (
        exists()
        .where(Waiver.article_id == Version.article_id, Waiver.fingerprint == Finding.fingerprint)
        .correlate(Version, Finding)
    )
    blocking = (
        select(func.count())
        .where(in_force, Finding.severity == "block", ~waived)
        .correlate(Version, VersionCheck)
        .scalar_subquery()
    )
    query = (
        select(Article, Version.number, Version.details, Version.provenance, VersionCheck, findings, blocking)
        .join(Version, Version.id == Article.version_id)
        .outerjoin(VersionCheck, VersionCheck.id == newest.scalar_subquery())
        .order_by(Article.updated_at.desc(), Article.id)
    )
    if project_id:
        query = query.where(Article.project_id == project_id)
    if brief_ids:
        query = query.where(Article.brief_id.in_(brief_ids))
    rows = []
    for article, number, details, provenance, check, found, blocked in session.execute(query):
        metrics = details.get("metrics", {}) | (check.metrics if check else {})
        rows.append(
            {
                "id": article.id,
                "project": article.project_id,
                "slug": article.slug,
                "title": article.title,
                "status": article.status,
                "version": number,
                "words": int(metrics.get("words", 0)),
                "citations": int(metrics.get("citations", 0)),
                "readability": round(metrics.get("flesch_reading_ease", 0.0), 1),
                "findings": found or 0,
                "blocking": blocked or 0,
                "quality": {name: metrics[name] for name in MEASURES if name in metrics},
                "cost_usd": round(provenance.get("cost_usd", 0.0), 6),
                "brief": article.brief_id,
                "updated_at": article.updated_at.isoformat(timespec="seconds"),
                "published_at": article.published_at.isoformat(timespec="seconds")
                if article.published_at
                else None,
                "scheduled_at": article.scheduled_at.isoformat(timespec="minutes")
                if article.scheduled_at
                else None,
            }
        )
    return rows


def find_article(session: Session, name: str) -> Article:
    """The article with that id, brief id, `project/slug` or slug, if it is only one."""
    project, _, slug = name.rpartition("/")
    query = select(Article).where(or_(Article.id == name, Article.brief_id == name, Article.slug == slug))
    if project:
        query = query.where(Article.project_id == project)
    found = session.scalars(query.limit(5)).all()
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{article.project_id}/{article.slug}" for article in found)
        raise NotFound(f"{name!r} is the slug of several articles; name one: {names}")
    raise NotFound(
        f"no article {name!r}: give its slug, project/slug, id or brief id (`cryptocontent article list`)"
    )


def versions_of(session: Session, article_id: str) -> list[Version]:
    """Every version, oldest first."""
    return list(session.scalars(select(Version).filter_by(article_id=article_id).order_by(Version.number)))


def find_version(session: Session, article: Article, name: str | None = None) -> Version:
    """The version with that number, id or stage (its newest); the current one if nothing is named."""
    versions = versions_of(session, article.id)
    for version in reversed(versions):
        if name in (str(version.number), version.id, version.author) or (
            name is None and version.id == article.version_id
        ):
            return version
    there = ", ".join(f"{version.number} ({version.author})" for version in versions)
    raise NotFound(f"article {article.slug!r} has no version {name!r}; there are: {there or 'none'}")


def first_of_its_generation(session: Session, version: Version) -> Version:
    """The writer's version that this one was made from, by way of its parents; the oldest parent if no
    writer is among them."""
    versions = {one.id: one for one in versions_of(session, version.article_id)}
    while version.author != "writer" and version.parent_id in versions:
        version = versions[version.parent_id]
    return version


def diff(before: Version, after: Version) -> str:
    """A unified diff, sentence by sentence."""
    return "\n".join(
        difflib.unified_diff(
            _lines(before.markdown),
            _lines(after.markdown),
            f"version {before.number} ({before.author})",
            f"version {after.number} ({after.author})",
            lineterm="",
            n=1,
        )
    )


def _lines(markdown: str) -> list[str]:
    from cryptocontent.content.documents import Paragraph, parse, split_article

    title, body = split_article(markdown)
    lines = [f"# {title}", ""]
    for block in parse(body):
        if isinstance(block, Paragraph):
            lines += [sentence.render() for sentence in block.sentences]
        else:
            lines += block.render().splitlines()
        lines.append("")
    return lines


def citations_of(session: Session, version_id: str) -> list[dict[str, Any]]:
    """The passages and market facts that a version cites, with their text and where they come from."""
    rows = session.execute(
        select(Citation, Passage, Reference)
        .join(Passage, Passage.id == Citation.passage_id)
        .join(Reference, Reference.id == Citation.reference_id)
        .where(Citation.version_id == version_id)
    )
    found = [
        {
            "number": citation.number,
            "passage": passage.id,
            "reference": reference.id,
            "revision": citation.revision_id,
            "title": reference.title,
            "heading_path": passage.heading_path,
            "url": reference.url,
            "licence": reference.licence,
            "external_id": reference.external_id,
            "withdrawn": reference.status != "active",
            "text": passage.text,
        }
        for citation, passage, reference in rows
    ]
    facts = session.execute(
        select(Citation.number, MarketFact)
        .join(MarketFact, MarketFact.id == Citation.market_fact_id)
        .where(Citation.version_id == version_id)
    )
    found += [
        {
            "number": number,
            "market_fact": fact.id,
            "title": f"{fact.source}: {fact.asset_id}",
            "external_id": fact.asset_id,
            "withdrawn": False,
            "text": fact_statement(fact, fact.asset_id),
        }
        for number, fact in facts
    ]
    return sorted(found, key=lambda one: one["number"])


def conversation(session: Session, article_id: str) -> list[Message]:
    """The article's messages, oldest first."""
    return list(session.scalars(select(Message).filter_by(article_id=article_id).order_by(Message.id)))


def find_brief(session: Session, name: str, project_id: str | None = None) -> Brief:
    """The brief with that id, or the only one whose id contains `name`."""
    exact = session.get(Brief, name)
    if exact is not None:
        return exact
    query = select(Brief).where(Brief.id.contains(name, autoescape=True))
    if project_id:
        query = query.where(Brief.project_id == project_id)
    found = session.scalars(query.order_by(Brief.id).limit(5)).all()
    if len(found) == 1:
        return found[0]
    names = ", ".join(brief.id for brief in found)
    raise NotFound(f"no brief {name!r}" if not found else f"{name!r} names several briefs: {names}")
