"""An image in the sizes that pages and social networks ask for, made once, on demand.

| name | at most | for |
|---|---|---|
| `thumbnail` | 320 pixels wide | lists |
| `1x1`, `4x3`, `16x9` | 1200 × 1200, 1200 × 900, 1200 × 675 | previews of links, search results |

A picture is never enlarged: of a small one the rendition has the asked shape and the size that is there. One
whose edge is all of one colour (a chart, a diagram, a logo) is set whole into the shape, with that colour
around it, since cropping would take its axes or words; any other is cropped around its middle. Of an
animation the first frame counts. Thumbnails keep transparency; the others get white in its place, as networks
would show black.

Format: JPEG of quality 85, without metadata, in sRGB; PNG for what came as PNG or GIF or is transparent, as
lines and letters stay sharp in it, unless that takes more than 300 kB.
"""

import io
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine, select

from cryptocontent.knowledge.images.cleaning import MEDIA_TYPES, CleanImage, in_srgb
from cryptocontent.knowledge.images.store import save_rendition_rows
from cryptocontent.storage.database import batched, reading, writing
from cryptocontent.storage.models import Image, ImageRendition
from cryptocontent.storage.object_store import ObjectStore, image_key, rendition_key

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SHAPES: Final = {"1x1": (1200, 1200), "4x3": (1200, 900), "16x9": (1200, 675)}
THUMBNAIL_WIDTH: Final = 320
_NAMES: Final = ("thumbnail", *SHAPES)
_MOST_PNG: Final = 300_000
_QUALITY: Final = 85
_ALIKE: Final = 12  # of 255: JPEG and scaling make an even edge uneven by about this much
_AT_ONCE: Final = 20  # images between two transactions


def ensure_renditions(
    engine: Engine, objects: ObjectStore, project_id: str, sha256s: Iterable[str]
) -> dict[str, dict[str, ImageRendition]]:
    """Make the renditions that are missing of the project's images, and return all of each, by hash and name
    (also `svg` where there is one). Hashes that the project does not have, and images that do not decode,
    are left out. No transaction is open while pictures are made or stored; made twice at once they are the
    same."""
    wanted = list(dict.fromkeys(sha256s))
    found: dict[str, dict[str, ImageRendition]] = {}
    for some in batched(wanted, _AT_ONCE):
        known = _known(engine, project_id, some)
        made: dict[tuple[str, str], CleanImage] = {}
        for digest, there in known.items():
            missing = [name for name in _NAMES if name not in there]
            if not missing:
                continue
            for name, file in renditions_of(objects.get(image_key(project_id, digest)), missing).items():
                objects.put(rendition_key(project_id, digest, name), file.data, file.media_type)
                made[digest, name] = file
        if made:
            with writing(engine) as session:
                save_rendition_rows(session, project_id, made)
            known = _known(engine, project_id, some)
        found |= {digest: there for digest, there in known.items() if there}
    return found


def _known(engine: Engine, project_id: str, sha256s: list[str]) -> dict[str, dict[str, ImageRendition]]:
    with reading(engine) as session:
        images = select(Image.sha256).filter_by(project_id=project_id).where(Image.sha256.in_(sha256s))
        known: dict[str, dict[str, ImageRendition]] = {digest: {} for digest in session.scalars(images)}
        rows = select(ImageRendition).filter_by(project_id=project_id)
        for row in session.scalars(rows.where(ImageRendition.sha256.in_(sha256s))):
            if row.sha256 in known:
                known[row.sha256][row.name] = row
        session.expunge_all()
    return known


def renditions_of(data: bytes, names: Iterable[str] = _NAMES) -> dict[str, CleanImage]:
    """The renditions of a picture by name; none of one that does not decode. The same bytes always give the
    same."""
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(data), formats=tuple(MEDIA_TYPES)) as image:
            sharp = image.format in ("PNG", "GIF", "BMP", "TIFF")
            picture = in_srgb(image)
    except (OSError, ValueError, SyntaxError):
        return {}
    opaque = _on_white(picture)
    made = {}
    for name in names:
        if name == "thumbnail":
            made[name] = _encoded(_smaller(picture, THUMBNAIL_WIDTH), sharp)
        else:
            made[name] = _encoded(shaped(opaque, *SHAPES[name]), sharp)
    return made


def _smaller(picture: "Picture", width: int) -> "Picture":
    from PIL.Image import Resampling

    if picture.width <= width:
        return picture
    height = max(1, round(picture.height * width / picture.width))
    return picture.resize((width, height), Resampling.LANCZOS)


def shaped(picture: "Picture", width: int, height: int) -> "Picture":
    """The opaque picture in the shape of `width` × `height`, no larger than that, and never enlarged."""
    from PIL import Image as Pillow
    from PIL import ImageOps
    from PIL.Image import Resampling

    edge = _edge_colour(picture)
    if edge is not None:
        # The least canvas of that shape around the whole picture.
        scale = max(picture.width / width, picture.height / height)
        if scale > 1:
            size = (max(1, round(picture.width / scale)), max(1, round(picture.height / scale)))
            picture, scale = picture.resize(size, Resampling.LANCZOS), 1
        canvas = Pillow.new("RGB", (max(1, round(width * scale)), max(1, round(height * scale))), edge)
        canvas.paste(picture, ((canvas.width - picture.width) // 2, (canvas.height - picture.height) // 2))
        return canvas
    scale = min(1.0, picture.width / width, picture.height / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return ImageOps.fit(picture, size, Resampling.LANCZOS)


def _edge_colour(picture: "Picture") -> tuple[int, ...] | None:
    """The colour of the picture's edge, if it is one all around."""
    wide, high = picture.size
    sides = [
        picture.crop(box)
        for box in ((0, 0, wide, 1), (0, high - 1, wide, high), (0, 0, 1, high), (wide - 1, 0, wide, high))
    ]
    extremes = [side.getextrema() for side in sides]
    low, top = (
        [pick(one[band][end] for one in extremes) for band in range(3)]  # type: ignore[index]
        for end, pick in ((0, min), (1, max))
    )
    if any(most - least > _ALIKE for least, most in zip(low, top, strict=True)):
        return None
    return tuple((least + most) // 2 for least, most in zip(low, top, strict=True))


def _on_white(picture: "Picture") -> "Picture":
    from PIL import Image as Pillow

    if picture.mode != "RGBA":
        return picture
    white = Pillow.new("RGBA", picture.size, "white")
    return Pillow.alpha_composite(white, picture).convert("RGB")


def _encoded(picture: "Picture", sharp: bool) -> CleanImage:
    made = io.BytesIO()
    kind = "PNG"
    if picture.mode == "RGBA" or sharp:
        picture.save(made, "PNG", optimize=True)
    if not made.tell() or (made.tell() > _MOST_PNG and picture.mode != "RGBA"):
        made, kind = io.BytesIO(), "JPEG"
        picture.save(made, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
    data = made.getvalue()
    return CleanImage(data, MEDIA_TYPES[kind], *picture.size, sha256(data).hexdigest())
