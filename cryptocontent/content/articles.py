"""Articles and their versions: reading, comparing, finding one by what a person types."""

import difflib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from cryptocontent.errors import NotFound
from cryptocontent.storage.models import (
    Article,
    Brief,
    Citation,
    Finding,
    Message,
    Passage,
    Reference,
    Version,
)


def list_articles(
    session: Session, project_id: str | None = None, brief_ids: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """One row per article with the numbers of its current version, newest first."""
    findings = select(func.count()).where(Finding.version_id == Version.id).scalar_subquery()
    query = (
        select(Article, Version.number, Version.details, Version.provenance, findings)
        .join(Version, Version.id == Article.version_id)
        .order_by(Article.updated_at.desc(), Article.id)
    )
    if project_id:
        query = query.where(Article.project_id == project_id)
    if brief_ids:
        query = query.where(Article.brief_id.in_(brief_ids))
    return [
        {
            "id": article.id,
            "project": article.project_id,
            "slug": article.slug,
            "title": article.title,
            "status": article.status,
            "version": number,
            "words": int(details.get("metrics", {}).get("words", 0)),
            "citations": int(details.get("metrics", {}).get("citations", 0)),
            "readability": round(details.get("metrics", {}).get("flesch_reading_ease", 0.0), 1),
            "findings": count or 0,
            "cost_usd": provenance.get("cost_usd", 0.0),
            "brief": article.brief_id,
            "updated_at": article.updated_at.isoformat(timespec="seconds"),
        }
        for article, number, details, provenance, count in session.execute(query)
    ]


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
    """The passages that a version cites, with their text and where it comes from."""
    rows = session.execute(
        select(Citation, Passage, Reference)
        .join(Passage, Passage.id == Citation.passage_id)
        .join(Reference, Reference.id == Citation.reference_id)
        .where(Citation.version_id == version_id)
        .order_by(Citation.number)
    )
    return [
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
            "withdrawn": reference.status == "withdrawn",
            "text": passage.text,
        }
        for citation, passage, reference in rows
    ]


def conversation(session: Session, article_id: str) -> list[Message]:
    """The article's messages, oldest first."""
    return list(session.scalars(select(Message).filter_by(article_id=article_id).order_by(Message.id)))


def findings_of(session: Session, version_id: str) -> list[Finding]:
    """What the checks said of a version."""
    return list(session.scalars(select(Finding).filter_by(version_id=version_id).order_by(Finding.id)))


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
