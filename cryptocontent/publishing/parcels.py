"""Parcels: versions made ready for targets, and the list of all that a project has published."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, func, select

from cryptocontent.errors import Refused
from cryptocontent.publishing.files import image_bytes, render_versions, with_shapes
from cryptocontent.publishing.render import Rendered, to_html
from cryptocontent.publishing.targets.seam import Delivered, Listed, Parcel
from cryptocontent.storage.database import reading
from cryptocontent.storage.models import Article, Publication, Version
from cryptocontent.storage.object_store import ObjectStore

_AT_ONCE = 50


class _Row(NamedTuple):
    article_id: str
    slug: str
    version_id: str
    title: str
    seo: dict[str, object] | None
    first: datetime | None
    latest: datetime


def parcel_of(
    engine: Engine,
    objects: ObjectStore,
    project_id: str,
    article_id: str,
    version_id: str,
    previous: Delivered | None,
) -> Parcel:
    """A version on its way; nothing of it is in a transaction any more."""
    found = render_versions(engine, project_id, [version_id])
    (rendered,) = with_shapes(engine, objects, project_id, [found[version_id]])
    with reading(engine) as session:
        # Not MIN() in SQL: SQLite gives that of instants as text.
        first = session.scalar(
            select(Publication.created_at)
            .filter_by(article_id=article_id)
            .order_by(Publication.created_at)
            .limit(1)
        )
        published_at = first or session.get_one(Version, version_id).created_at

    def image(name: str) -> bytes:
        try:
            return image_bytes(objects, project_id, rendered, name)
        except KeyError:
            raise Refused(f"image {name}: the object store has no such file any more") from None

    return Parcel(
        project_id=project_id,
        article_id=article_id,
        version_id=version_id,
        rendered=rendered,
        published_at=published_at,
        image=image,
        listed=lambda: listed(engine, project_id),
        previous=previous,
    )


def listed(engine: Engine, project_id: str) -> list[Listed]:
    """All that the project has published and not withdrawn, the first published last. Pages are rendered when
    they are asked for, some at a time."""
    first = select(Publication.article_id, func.min(Publication.created_at).label("at"))
    first_of = first.group_by(Publication.article_id).subquery()
    query = (
        select(
            Article.id,
            Article.slug,
            Version.id,
            Version.title,
            Version.details["seo"],
            first_of.c.at,
            Article.published_at,
        )
        .join(Version, Version.id == Article.published_version_id)
        .outerjoin(first_of, first_of.c.article_id == Article.id)
        .where(Article.project_id == project_id)
    )
    with reading(engine) as session:
        rows = [_Row(*row) for row in session.execute(query).tuples()]
    rows.sort(key=lambda row: (row.first or row.latest, row.article_id), reverse=True)
    texts = _Texts(engine, project_id, [row.version_id for row in rows])
    return [
        Listed(
            article_id=row.article_id,
            slug=row.slug,
            title=row.title,
            description=str((row.seo or {}).get("description") or ""),
            keywords=tuple(str(one) for one in (row.seo or {}).get("keywords") or ()),  # type: ignore[attr-defined]
            html=lambda number=number: texts.html(number),  # type: ignore[misc]
            published_at=row.first or row.latest,
            updated_at=row.latest,
        )
        for number, row in enumerate(rows)
    ]


class _Texts:
    """Pages of versions, rendered a stretch of them at a time."""

    def __init__(self, engine: Engine, project_id: str, version_ids: Sequence[str]) -> None:
        self._engine, self._project_id = engine, project_id
        self._version_ids = version_ids
        self._start, self._stretch = -1, dict[str, Rendered]()

    def html(self, number: int) -> str:
        start = number - number % _AT_ONCE
        if start != self._start:
            wanted = self._version_ids[start : start + _AT_ONCE]
            self._start, self._stretch = start, render_versions(self._engine, self._project_id, wanted)
        return to_html(self._stretch[self._version_ids[number]])
