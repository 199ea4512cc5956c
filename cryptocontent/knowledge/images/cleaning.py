"""From foreign bytes to a picture that can be kept and shown: proven to be what it says, small enough to
decode, upright, and without anything that tells where, when and by whom it was taken.

The picture itself is kept as it came, bit for bit, wherever browsers can show it: only what has to be turned
upright, is printed in CMYK, or comes as BMP or TIFF is encoded anew.
"""

import io
import re
import warnings
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from cryptocontent.errors import Refused
from cryptocontent.knowledge.images.containers import PNG_SIGNATURE, Broken, Stripped, strip

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MOST_BYTES: Final = 25_000_000
MOST_PIXELS: Final = 50_000_000  # a decoded picture takes four bytes a pixel: 200 MB
MOST_FRAMES: Final = 1_000
MOST_ANIMATED_PIXELS: Final = 200_000_000  # of all frames together: some seconds of decoding

MEDIA_TYPES: Final = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
_ALLOWED: Final = "allowed are PNG, JPEG, GIF, WebP, BMP and TIFF"
_SUFFIXES: Final = {
    **{f".{kind.lower()}": kind for kind in MEDIA_TYPES},
    **dict.fromkeys((".jpg", ".jpe", ".jfif"), "JPEG"),
    ".tif": "TIFF",
    ".apng": "PNG",
    ".dib": "BMP",
}
_KINDS: Final = {
    **{media_type: kind for kind, media_type in MEDIA_TYPES.items()},
    "image/jpg": "JPEG",
    "image/pjpeg": "JPEG",
    "image/apng": "PNG",
    "image/x-ms-bmp": "BMP",
}
_SIGNATURES: Final = (
    (PNG_SIGNATURE, "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_OTHERS: Final = (
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"PK(?:\x03\x04|\x05\x06)"), "a ZIP or Office file"),
    (re.compile(rb"\xd0\xcf\x11\xe0"), "an old Office file"),
    (re.compile(rb"\x7fELF|MZ\x90"), "a program"),
    (re.compile(rb"8BPS"), "a Photoshop file: export it as PNG or JPEG"),
    (re.compile(rb"\0\0[\1\2]\0"), "an icon or cursor file: export it as PNG"),
    (re.compile(rb".{4}ftyp(?:hei|hev|mif1|msf1|avi)", re.S), "an HEIC or AVIF picture: export it as JPEG"),
    (re.compile(rb".{4}ftyp", re.DOTALL), "a film"),
    (re.compile(rb"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*|<!DOCTYPE\s+svg[^>]*>\s*)*<svg\b", re.I | re.S),
     "an SVG drawing, which can hold scripts: export it as PNG"),
    (re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!DOCTYPE|html|head|body|script|\?php)", re.I | re.S),
     "a web page"),
    (re.compile(rb"\s*<\?xml", re.I), "an XML file"),
)  # fmt: skip
# In what is no part of the picture: a second file that some program would open, or run.
_HIDDEN: Final = (
    (re.compile(rb"%PDF-\d"), "a PDF document"),
    (re.compile(rb"PK\x03\x04.*PK\x05\x06", re.DOTALL), "a ZIP archive"),
    (re.compile(rb"<(?:!doctype\s+html|html|script|svg|iframe)[\s>/]", re.IGNORECASE), "a web page"),
    (re.compile(rb"<\?php", re.IGNORECASE), "a program"),
    (re.compile(rb"\A\s*(?:#!/|\x7fELF|MZ\x90\0)"), "a program"),
)
_ORIENTATION: Final = 0x0112


@dataclass(frozen=True, slots=True)
class CleanImage:
    """A picture that may be kept: its bytes, what they are, its size in pixels, its SHA-256 in hex."""

    data: bytes = field(repr=False)
    media_type: str
    width: int
    height: int
    sha256: str


def clean_image(data: bytes, name: str = "", media_type: str = "") -> CleanImage:
    """Check a picture and take its metadata off. What is clean already comes back byte for byte; the same
    bytes always give the same. `name` (a file name) and `media_type` are what it is said to be, if
    anything: where the bytes are something else, it is refused. Raises `Refused`, a sentence that begins
    with "it"."""
    if len(data) > MOST_BYTES:
        raise Refused(f"it is too large: {len(data):,} bytes; allowed are {MOST_BYTES:,}")
    if not data:
        raise Refused("it is empty")
    kind = _kind(data)
    for said in (_SUFFIXES.get(PurePosixPath(name).suffix.lower()), _KINDS.get(media_type.lower())):
        if said and said != kind:
            raise Refused(f"it is said to be a {said} file, but its bytes are {kind}: name it rightly")
    try:
        stripped = strip(kind, data) if kind in ("PNG", "JPEG", "GIF", "WEBP") else Stripped(data)
        _check_hidden(stripped.dropped)
        _check_size(*stripped.size, stripped.frames)
        cleaned, size = _proven(kind, stripped)
    except Broken as error:
        raise Refused(f"it is a broken image: {error}") from None
    kind = _kind(cleaned)
    return CleanImage(cleaned, MEDIA_TYPES[kind], *size, sha256(cleaned).hexdigest())


def _kind(data: bytes) -> str:
    """The format that the first bytes tell; Refused naming what they are instead."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    head = data[:4096].removeprefix(b"\xef\xbb\xbf")
    for pattern, what in _OTHERS:
        if pattern.match(head):
            raise Refused(f"it is {what}; {_ALLOWED}")
    raise Refused(f"it is not an image of a supported format; {_ALLOWED}")


def _check_hidden(dropped: list[bytes]) -> None:
    for part in dropped:
        for pattern, what in _HIDDEN:
            if pattern.search(part):
                raise Refused(f"it is a picture and {what} in one file: save the picture alone")


def _check_size(width: int, height: int, frames: int = 1) -> None:
    if width * height > MOST_PIXELS:
        raise Refused(
            f"it would decode to an enormous picture: {width} x {height} pixels; allowed are {MOST_PIXELS:,}"
        )
    if frames > MOST_FRAMES or width * height * frames > MOST_ANIMATED_PIXELS:
        raise Refused(
            f"it has {frames} frames of {width} x {height} pixels; allowed are {MOST_FRAMES:,} frames and "
            f"{MOST_ANIMATED_PIXELS:,} pixels in all of them"
        )


def _proven(kind: str, stripped: Stripped) -> tuple[bytes, tuple[int, int]]:
    """The bytes and size of a picture that decodes completely, encoded anew where it has to be."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Of tags and profiles that are odd but harmless, and of sizes that are checked here.
            warnings.simplefilter("ignore")
            with opened(stripped.data, kind) as image:
                _check_size(*image.size, stripped.frames)
                if kind == "PNG":
                    image.verify()  # the check sums, which decoding does not look at
            with opened(stripped.data, kind) as image:
                for frame in range(stripped.frames):
                    image.seek(frame)
                    image.load()
                if stripped.frames > 1:
                    return stripped.data, image.size
                return _upright(kind, stripped, image)
    except Refused:
        raise
    except UnidentifiedImageError:
        raise Broken("it does not decode") from None
    except Image.DecompressionBombError:
        raise Refused("it would decode to an enormous picture") from None
    except Exception as error:  # decoders raise SyntaxError, struct.error, OSError and more
        raise Broken(" ".join(str(error).split())[:200] or type(error).__name__) from error


def opened(data: bytes, kind: str) -> "Picture":
    """The picture, its header read, by the decoder of its format alone."""
    from PIL import Image

    return Image.open(io.BytesIO(data), formats=(kind,))


def _upright(kind: str, stripped: Stripped, image: "Picture") -> tuple[bytes, tuple[int, int]]:
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(_orientation(stripped, image))
    odd = image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16")
    if turn is None and not odd and kind in ("PNG", "JPEG", "GIF", "WEBP"):
        return stripped.data, image.size
    settings = _settings(kind, stripped.data, image, turn in (5, 6, 7, 8))
    profile = image.info.get("icc_profile")
    if odd:
        image, profile = _shown(image), None
    if turn is not None:
        image = image.transpose(turn)
    made = io.BytesIO()
    target = kind if kind in ("JPEG", "WEBP", "GIF") else "PNG"
    image.info.clear() if "transparency" not in image.info else image.info.pop("comment", None)
    if profile and target != "GIF":
        settings["icc_profile"] = profile
    image.save(made, target, **settings)
    return strip(target, made.getvalue()).data, image.size


def _orientation(stripped: Stripped, image: "Picture") -> int:
    from PIL.Image import Exif

    if image.format == "TIFF":
        return int(image.tag_v2.get(_ORIENTATION, 1))  # type: ignore[attr-defined]
    exif = Exif()
    try:
        exif.load(stripped.exif)
        return int(exif.get(_ORIENTATION, 1))
    except Exception:  # a broken block tells nothing, and is gone anyway
        return 1


def _settings(kind: str, data: bytes, image: "Picture", sideways: bool) -> dict[str, Any]:
    """How to encode anew without losing more than was lost before."""
    if kind == "WEBP":
        return {"lossless": True, "exact": True} if b"VP8L" in data[:64] else {"quality": 92, "method": 4}
    if kind != "JPEG":
        return {"optimize": True} if kind != "GIF" else {}
    if image.mode == "CMYK":
        return {"quality": 92, "subsampling": 0}
    from PIL.JpegImagePlugin import get_sampling

    sampling = get_sampling(image)
    # Columns that were halved become rows, which no setting halves alone.
    return {
        "qtables": image.quantization,  # type: ignore[attr-defined]
        "subsampling": 0 if sideways and sampling == 1 else max(sampling, 0),
        "progressive": "progressive" in image.info,
        "optimize": True,
    }


def _shown(image: "Picture") -> "Picture":
    """A picture in colours that browsers show, from print colours or others."""
    if image.mode in ("I", "F"):
        raise Refused("it holds numbers of 32 bits, not colours: export it as PNG of 8 or 16 bits")
    return in_srgb(image) if image.mode == "CMYK" else image.convert("RGBA" if "A" in image.mode else "RGB")


def in_srgb(image: "Picture") -> "Picture":
    """The picture in 8 bits of sRGB, with its transparency if it has any (mode RGB or RGBA)."""
    from PIL import ImageCms

    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    profile = image.info.get("icc_profile")
    clear = image.has_transparency_data
    plain = image if image.mode == "CMYK" else image.convert("RGBA" if clear else "RGB")
    if profile and image.mode in ("RGB", "RGBA", "CMYK", "P"):
        alpha = plain.getchannel("A") if clear else None
        flat = plain.convert("RGB") if clear else plain
        try:
            flat = ImageCms.profileToProfile(  # type: ignore[assignment]
                flat, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            flat = flat.convert("RGB")  # a broken profile, or one for other colours
        if alpha is not None:
            flat.putalpha(alpha)
        return flat
    return plain.convert("RGBA" if clear else "RGB")
