"""Names of the files that images are published in, and what is known of those images."""

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from cryptocontent.publishing.pictures import Picture, Shape
from cryptocontent.storage.database import batched
from cryptocontent.storage.models import (
    Image,
    ImageRendition,
    Reference,
    ReferenceRevision,
    RevisionImage,
)

_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}


def image_files(session: Session, project_id: str, sha256s: Collection[str]) -> dict[str, str]:
    """The file names of the project's images among those, by hash."""
    return {
        one.sha256: f"{one.sha256[:16]}.{_suffix(one.media_type)}"
        for some in batched(sorted(sha256s), 500)
        for one in session.scalars(
            select(Image).filter_by(project_id=project_id).where(Image.sha256.in_(some))
        )
    }


def pictures_of(session: Session, project_id: str, files: Mapping[str, str]) -> dict[str, Picture]:
    """What is known of images, given their file names by hash."""
    found: dict[str, Picture] = {}
    for some in batched(sorted(files), 500):
        shapes: dict[str, dict[str, Shape]] = {}
        rows = select(ImageRendition).filter_by(project_id=project_id)
        for row in session.scalars(rows.where(ImageRendition.sha256.in_(some))):
            stem = files[row.sha256].rpartition(".")[0]
            file = f"{stem}-{row.name}.{_suffix(row.media_type)}"
            shapes.setdefault(row.sha256, {})[row.name] = Shape(file, row.width, row.height, row.media_type)
        owed = _owed_to_references(session, project_id, some)
        images = select(Image).filter_by(project_id=project_id).where(Image.sha256.in_(some))
        for image in session.scalars(images):
            own = (image.credit, image.licence)
            credit = owed.get(image.sha256, ()) if image.origin == "reference" else own
            found[image.sha256] = Picture(
                image.width,
                image.height,
                image.media_type,
                tuple(part for part in credit if part),
                shapes.get(image.sha256, {}),
            )
    return found


def _owed_to_references(
    session: Session, project_id: str, sha256s: Collection[str]
) -> dict[str, tuple[str | None, ...]]:
    """Title, author and licence of the reference that showed an image first, by the image's hash."""
    rows = session.execute(
        select(RevisionImage.sha256, Reference.title, Reference.author, Reference.licence)
        .join(ReferenceRevision, ReferenceRevision.id == RevisionImage.revision_id)
        .join(Reference, Reference.id == ReferenceRevision.reference_id)
        .where(Reference.project_id == project_id, RevisionImage.sha256.in_(sha256s))
        .order_by(ReferenceRevision.fetched_at.desc(), Reference.id.desc())
    )
    return {sha256: (title, author, licence) for sha256, title, author, licence in rows}


def _suffix(media_type: str) -> str:
    return _SUFFIXES.get(media_type, "img")
