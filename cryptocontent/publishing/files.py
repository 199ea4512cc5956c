"""The files target: a project's articles as Markdown, HTML and JSON in a folder, with their images."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from cryptocontent.content.articles import citations_of, list_articles
from cryptocontent.content.checks.compliance import reviewed_text
from cryptocontent.content.rules import load_rules
from cryptocontent.content.text import slugify
from cryptocontent.errors import Refused
from cryptocontent.publishing.render import FORMATS, Rendered, image_hashes
from cryptocontent.storage.atomic import write_if_changed
from cryptocontent.storage.database import reading
from cryptocontent.storage.models import Article, Image, Version
from cryptocontent.storage.object_store import ObjectStore, image_key

_APPROVED = ("approved", "scheduled", "published")
_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}


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
        images = {
            image.sha256: f"{image.sha256[:16]}.{_SUFFIXES.get(image.media_type, 'img')}"
            for image in session.scalars(select(Image).filter_by(project_id=project_id))
        }
        rules = load_rules(session, project_id)
        return [
            Rendered(
                article=rows[article_id],
                markdown=reviewed_text(version.markdown, rules)
                if rows[article_id]["status"] in _APPROVED
                else version.markdown,
                seo=version.details.get("seo"),
                citations=citations_of(session, version.id),
                images={
                    digest: images[digest] for digest in image_hashes(version.markdown) if digest in images
                },
            )
            for article_id, version in session.execute(query)
        ]


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
    items = render_articles(engine, project_id, article_ids)
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
        for digest, file_name in item.images.items():
            target = folder / "images" / file_name
            if not target.exists() or hashlib.sha256(target.read_bytes()).hexdigest() != digest:
                target.parent.mkdir(exist_ok=True)
                write_if_changed(target, objects.get(image_key(project_id, digest)))
    return ExportReport(folder, len(items), written, unchanged)
