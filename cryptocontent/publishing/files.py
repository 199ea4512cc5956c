"""The files target: a project's articles as Markdown, HTML and JSON in a folder, with their images."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from cryptocontent.content.articles import citations_of, list_articles
from cryptocontent.content.checks.compliance import reviewed_text
from cryptocontent.content.rules import load_rules
from cryptocontent.content.text import slugify
from cryptocontent.errors import Refused
from cryptocontent.knowledge.images import ensure_renditions
from cryptocontent.publishing.image_files import image_files, pictures_of
from cryptocontent.publishing.render import FORMATS, Rendered, image_hashes
from cryptocontent.storage.atomic import write_if_changed
from cryptocontent.storage.database import reading
from cryptocontent.storage.models import Article, Version
from cryptocontent.storage.object_store import ObjectStore, image_key, rendition_key

_APPROVED = ("approved", "scheduled", "published")


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did: files written anew, files that were right already, the folder."""

    folder: Path
    articles: int
    written: int
    unchanged: int


def render_articles(
    engine: Engine, project_id: str, article_ids: Sequence[str] | None = None
) -> list[Rendered]:
    """The current versions of the project's articles, ready to be written in any format."""
    with reading(engine) as session:
        rows = {row["id"]: row for row in list_articles(session, project_id)}
        query = select(Article.id, Version).join(Version, Version.id == Article.version_id)
        query = query.where(Article.project_id == project_id).order_by(Article.slug)
        if article_ids is not None:
            query = query.where(Article.id.in_(article_ids))
        return _rendered(
            session, project_id, [(rows[one], version) for one, version in session.execute(query)]
        )


def render_versions(engine: Engine, project_id: str, version_ids: Sequence[str]) -> dict[str, Rendered]:
    """These versions of the project's articles, by id, as readers get them, whatever was written since."""
    with reading(engine) as session:
        query = select(Article, Version).join(Version, Version.article_id == Article.id)
        query = query.where(Article.project_id == project_id, Version.id.in_(version_ids))
        found = session.execute(query).tuples().all()
        listed = list_articles(session, project_id, [article.brief_id for article, _ in found])
        rows = {row["id"]: row for row in listed}
        shown = [(rows[article.id] | _as_published(article, version), version) for article, version in found]
        rendered = _rendered(session, project_id, shown)
        return {version.id: one for (_, version), one in zip(shown, rendered, strict=True)}


def _as_published(article: Article, version: Version) -> dict[str, Any]:
    metrics = version.details.get("metrics", {})
    return {
        "title": version.title,
        "status": "published",
        "version": version.number,
        "words": int(metrics.get("words", 0)),
        "citations": int(metrics.get("citations", 0)),
        "updated_at": (article.published_at or version.created_at).isoformat(timespec="seconds"),
    }


def _rendered(
    session: Session, project_id: str, shown: Sequence[tuple[dict[str, Any], Version]]
) -> list[Rendered]:
    hashes = {version.id: image_hashes(version.markdown) for _, version in shown}
    images = image_files(session, project_id, {one for some in hashes.values() for one in some})
    pictures = pictures_of(session, project_id, images)
    rules = load_rules(session, project_id)
    return [
        Rendered(
            article=row,
            markdown=reviewed_text(version.markdown, rules)
            if row["status"] in _APPROVED
            else version.markdown,
            seo=version.details.get("seo"),
            citations=citations_of(session, version.id),
            images={digest: images[digest] for digest in hashes[version.id] if digest in images},
            pictures={digest: pictures[digest] for digest in hashes[version.id] if digest in images},
        )
        for row, version in shown
    ]


def with_shapes(
    engine: Engine, objects: ObjectStore, project_id: str, items: Sequence[Rendered]
) -> list[Rendered]:
    """The same versions, the shapes of their first images made where they are missing. Call it outside of
    transactions: it works on pictures, and writes."""
    leads = {item.lead: item.images[item.lead] for item in items if item.lead is not None}
    ensure_renditions(engine, objects, project_id, leads)
    with reading(engine) as session:
        pictures = pictures_of(session, project_id, leads)
    return [
        replace(item, pictures={**item.pictures, item.lead: pictures[item.lead]})
        if item.lead in pictures
        else item
        for item in items
    ]


def image_bytes(objects: ObjectStore, project_id: str, item: Rendered, file: str) -> bytes:
    """The bytes of one of `item.files`; `KeyError` if it is none of them."""
    for digest, name in item.images.items():
        if name == file:
            return objects.get(image_key(project_id, digest))
    for digest, picture in item.pictures.items():
        for name, shape in picture.shapes.items():
            if shape.file == file:
                return objects.get(rendition_key(project_id, digest, name))
    raise KeyError(file)


def export_project(
    engine: Engine,
    objects: ObjectStore,
    project_id: str,
    folder: Path,
    *,
    article_ids: Sequence[str] | None = None,
    formats: Sequence[str] = tuple(FORMATS),
) -> ExportReport:
    """Write `<folder>/<slug>.<format>` for each article and `<folder>/images/…`; a file whose content
    is the same is not touched."""
    items = with_shapes(engine, objects, project_id, render_articles(engine, project_id, article_ids))
    written = unchanged = 0
    folder.mkdir(parents=True, exist_ok=True)
    for item in items:
        slug = item.article["slug"]
        if slug != slugify(slug, len(slug)):
            raise Refused(f"article {item.article['id']}: the slug {slug!r} is no file name")
        for name in formats:
            data = FORMATS[name](item).encode()
            if write_if_changed(folder / f"{slug}.{name}", data):
                written += 1
            else:
                unchanged += 1
        for file_name in item.files:
            _write_image(objects, project_id, item, folder / "images" / file_name)
    return ExportReport(folder, len(items), written, unchanged)


def _write_image(objects: ObjectStore, project_id: str, item: Rendered, target: Path) -> None:
    """Write an image's file. One of an image's own bytes bears their hash, so that a right one need not be
    fetched."""
    digest = next((digest for digest, name in item.images.items() if name == target.name), "")
    if digest and target.exists() and hashlib.sha256(target.read_bytes()).hexdigest() == digest:
        return
    target.parent.mkdir(exist_ok=True)
    write_if_changed(target, image_bytes(objects, project_id, item, target.name))
