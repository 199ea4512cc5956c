"""The library of images: bytes in the object store by the hash of what is left of them after cleaning, and a
row that says what they show, whose they are and how they may be used."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, func, insert, or_, select
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, lock, record
from cryptocontent.errors import NotFound, Refused
from cryptocontent.knowledge.images.cleaning import CleanImage, clean_image
from cryptocontent.knowledge.images.describing import check_alt, checked_description
from cryptocontent.knowledge.images.drawings import checked_drawing
from cryptocontent.storage.database import insert_ignoring_conflicts, writing
from cryptocontent.storage.models import (
    Article,
    Image,
    ImageRendition,
    Reference,
    ReferenceRevision,
    RevisionImage,
    Version,
)
from cryptocontent.storage.object_store import ObjectStore, image_key, rendition_key

RENDITION_NAMES = ("thumbnail", "1x1", "4x3", "16x9", "svg")
_DESCRIPTION = ("origin", "name", "alt", "licence", "credit", "details")
_MEASURES = ("media_type", "width", "height", "bytes")
_FEWEST_DIGITS = 6


def save_image(
    engine: Engine,
    objects: ObjectStore,
    project_id: str,
    data: bytes,
    *,
    origin: str,
    name: str,
    alt: str,
    licence: str | None,
    credit: str | None,
    details: Mapping[str, Any],
    actor: Actor,
    renditions: Mapping[str, tuple[bytes, str]] | None = None,
    file_name: str = "",
) -> str:
    """Put an image into the project's library and return its SHA-256, by which articles show it
    (`![alt](image:<sha256>)`). `origin` is `upload` or `chart`; `renditions` are further files of it by name
    (`svg`, or a size of one's own making instead of what `ensure_renditions` would cut), with their media
    types; `file_name` is the name of the file that was given, if one was. The same picture again describes
    it anew; if nothing is new, nothing is written. `Refused` names what is wrong with the file or the
    description."""
    try:
        cleaned = clean_image(data, file_name)
    except Refused as error:
        raise Refused(f"image {file_name or name!r}: {error}") from None
    check_alt(alt, file_name)
    description = checked_description(origin, name, alt, licence, credit, details)
    files = {one: _checked_rendition(one, *given) for one, given in (renditions or {}).items()}
    # Bytes first: a row never points at an image that is not there.
    key = image_key(project_id, cleaned.sha256)
    if not objects.exists(key):
        objects.put(key, cleaned.data, cleaned.media_type)
    for one, file in files.items():
        objects.put(rendition_key(project_id, cleaned.sha256, one), file.data, file.media_type)
    with writing(engine) as session:
        lock(session, project_id)
        before = session.get(Image, (project_id, cleaned.sha256))
        changed = {
            field: [getattr(before, field) if before else None, description[field]]
            for field in _DESCRIPTION
            if before is None or getattr(before, field) != description[field]
        }
        if before is None:
            row = {"project_id": project_id, "sha256": cleaned.sha256, **_measures(cleaned)}
            session.execute(insert(Image), [row | description])
        else:
            for field, value in description.items():
                setattr(before, field, value)
        _save_rows(session, project_id, cleaned.sha256, files)
        if changed:
            action = "image.added" if before is None else "image.described"
            record(session, project_id, actor, action, f"image:{cleaned.sha256}", changed)
    return cleaned.sha256


def _measures(image: CleanImage) -> dict[str, Any]:
    return {
        "media_type": image.media_type,
        "width": image.width,
        "height": image.height,
        "bytes": len(image.data),
    }


def _save_rows(session: Session, project_id: str, sha256: str, files: Mapping[str, CleanImage]) -> None:
    for name, file in files.items():
        row = session.get(ImageRendition, (project_id, sha256, name))
        if row is None:
            row = ImageRendition(project_id=project_id, sha256=sha256, name=name)
            session.add(row)
        for field, value in _measures(file).items():
            setattr(row, field, value)


def save_rendition_rows(
    session: Session, project_id: str, made: Mapping[tuple[str, str], CleanImage]
) -> None:
    """Rows of renditions whose bytes are stored already, by (image's hash, name); those there are stay."""
    rows = [
        {"project_id": project_id, "sha256": sha256, "name": name, **_measures(file)}
        for (sha256, name), file in made.items()
    ]
    if rows:
        session.execute(insert_ignoring_conflicts(session.get_bind().dialect, ImageRendition), rows)


def _checked_rendition(name: str, data: bytes, media_type: str) -> CleanImage:
    if name not in RENDITION_NAMES:
        raise Refused(f"rendition {name!r}: allowed are {', '.join(RENDITION_NAMES)}")
    if name == "svg":
        return checked_drawing(data)
    return clean_image(data, name, media_type)


def list_images(session: Session, project_id: str, origin: str | None = None) -> list[dict[str, Any]]:
    """The project's images, newest first, or those of one origin. One that only a reference describes has its
    alt text there."""
    there = _alt_texts(session, project_id)
    query = select(Image).filter_by(project_id=project_id)
    if origin is not None:
        query = query.filter_by(origin=origin)
    return [
        {
            "sha256": one.sha256,
            "name": one.name,
            "alt": one.alt or there.get(one.sha256, ("", ""))[0],
            "origin": one.origin,
            "licence": one.licence,
            "credit": one.credit,
            "media_type": one.media_type,
            "width": one.width,
            "height": one.height,
            "bytes": one.bytes,
            "reference": there.get(one.sha256, ("", None))[1],
            "created_at": one.created_at.isoformat(timespec="seconds"),
        }
        for one in session.scalars(query.order_by(Image.created_at.desc(), Image.sha256))
    ]


def _alt_texts(session: Session, project_id: str) -> dict[str, tuple[str, str]]:
    """What references call their images, and which reference it is: the newest revision speaks."""
    rows = session.execute(
        select(RevisionImage.sha256, RevisionImage.alt, Reference.external_id)
        .join(ReferenceRevision, ReferenceRevision.id == RevisionImage.revision_id)
        .join(Reference, Reference.id == ReferenceRevision.reference_id)
        .where(Reference.project_id == project_id)
        .order_by(ReferenceRevision.fetched_at, ReferenceRevision.id)
    )
    return {sha256: (alt, external_id) for sha256, alt, external_id in rows}


def find_image(session: Session, project_id: str, name: str) -> Image:
    """The image that a person means: by hash, the beginning of one (at least 6 digits, with or without
    `image:`), or name. `NotFound` if there is none or more than one."""
    digits = name.removeprefix("image:").lower()
    same = [Image.name == name]
    if len(digits) >= _FEWEST_DIGITS and set(digits) <= set("0123456789abcdef"):
        same.append(Image.sha256.startswith(digits))
    found = session.scalars(select(Image).filter_by(project_id=project_id).where(or_(*same))).all()
    if len(found) == 1:
        return found[0]
    if found:
        hashes = ", ".join(sorted(one.sha256[:12] for one in found))
        raise NotFound(f"image {name!r}: project {project_id!r} has several: {hashes}; name one by its hash")
    count = session.scalar(select(func.count()).select_from(Image).filter_by(project_id=project_id))
    raise NotFound(
        f"project {project_id!r} has no image {name!r} among its {count}: give its name or the first digits "
        "of its hash (`cryptocontent image list`)"
    )


def describe_image(session: Session, image: Image) -> dict[str, Any]:
    """All that is known of an image: its description, its renditions, the references that show it, and the
    articles whose current version does."""
    one = next(row for row in list_images(session, image.project_id) if row["sha256"] == image.sha256)
    renditions = session.scalars(
        select(ImageRendition)
        .filter_by(project_id=image.project_id, sha256=image.sha256)
        .order_by(ImageRendition.name)
    )
    references = session.execute(
        select(Reference.external_id, RevisionImage.alt)
        .join(ReferenceRevision, ReferenceRevision.reference_id == Reference.id)
        .join(RevisionImage, RevisionImage.revision_id == ReferenceRevision.id)
        .where(Reference.project_id == image.project_id, RevisionImage.sha256 == image.sha256)
        .distinct()
        .order_by(Reference.external_id)
    )
    articles = session.scalars(
        select(Article.slug)
        .join(Version, Version.id == Article.version_id)
        .where(Article.project_id == image.project_id, Version.markdown.contains(f"](image:{image.sha256}"))
        .order_by(Article.slug)
    )
    return {
        **one,
        "details": image.details,
        "renditions": [
            {"name": row.name, **{field: getattr(row, field) for field in _MEASURES}} for row in renditions
        ],
        "references": [{"external_id": name, "alt": alt} for name, alt in references],
        "articles": list(articles),
    }
