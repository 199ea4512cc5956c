"""What the bytes of PNG, JPEG, GIF and WebP files are made of, so that all that is not the picture can be
left out without touching the picture: EXIF, GPS, XMP, IPTC, comments, thumbnails, maker's notes, dates, and
whatever stands after its end. Colour profiles, resolution and animation stay. Nothing is decoded here.

Formats: JPEG is ITU-T T.81 with JFIF 1.02; PNG is W3C PNG (third edition); GIF is GIF89a; WebP is RFC 9649.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP mDCV cLLI sBIT pHYs bKGD acTL fcTL fdAT".split()
)
_WEBP_KEPT: Final = frozenset([b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"])
_WEBP_FRAME: Final = frozenset([b"VP8 ", b"VP8L", b"ALPH"])
_WEBP_EXIF_AND_XMP: Final = 0x0C
_JPEG_TABLES: Final = frozenset([0xC4, 0xCC, 0xDB, 0xDC, 0xDD])
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN_END: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


class Broken(ValueError):
    """The file is not built as its format wants; `str()` of it says how."""


@dataclass(slots=True)
class Stripped:
    """A file without all that is not the picture. `size` is in pixels, `frames` of an animation; `dropped` is
    what was left out, `exif` the EXIF block (a TIFF header and its fields) among it."""

    data: bytes = b""
    size: tuple[int, int] = (0, 0)
    frames: int = 1
    dropped: list[bytes] = field(default_factory=list)
    exif: bytes = b""


def strip(kind: str, data: bytes) -> Stripped:
    """The file of a `kind` (`PNG`, `JPEG`, `GIF`, `WEBP`) without its metadata. A file that has none comes
    back byte for byte. Raises Broken."""
    try:
        return _STRIPPERS[kind](data)
    except (struct.error, IndexError):
        raise Broken("it is cut off") from None


def _png(data: bytes) -> Stripped:
    found = Stripped(frames=0)
    kept = [PNG_SIGNATURE]
    at, name = len(PNG_SIGNATURE), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise Broken("it is cut off")
        if at == len(PNG_SIGNATURE):
            if name != b"IHDR":
                raise Broken("it does not begin with its header")
            found.size = struct.unpack_from(">II", data, at + 8)
        found.frames += name == b"fcTL"
        if name == b"eXIf":
            found.exif = data[at + 8 : end - 4]
        (kept if name in _PNG_KEPT else found.dropped).append(data[at:end])
        at = end
    return _finished(found, kept, data[at:])


def _gif(data: bytes) -> Stripped:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    found = Stripped(frames=0)
    at = 13 + _colours(flags)
    kept = [data[:at]]
    while at < len(data) and data[at] != 0x3B:
        start = at
        if data[at] == 0x2C:
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, at + 1)
            width, height = max(width, left + wide), max(height, top + high)
            found.frames += 1
            at = _blocks_end(data, at + 10 + _colours(flags) + 1)
            kept.append(data[start:at])
        elif data[at] == 0x21:
            label = data[at + 1]
            at = _blocks_end(data, at + 2)
            loops = label == 0xFF and data[start + 3 : start + 14] in (b"NETSCAPE2.0", b"ANIMEXTS1.0")
            known = label == 0xF9 or (loops and at - start == 19)
            (kept if known else found.dropped).append(data[start:at])
        elif data[at] == 0:
            at += 1  # some programs pad blocks with it
        else:
            raise Broken("it holds what is no block of a GIF")
    if at > len(data):
        raise Broken("it is cut off")
    found.size = (width, height)
    return _finished(found, [*kept, b";"], data[at + 1 :])


def _colours(flags: int) -> int:
    """The bytes of the colour table that the flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks_end(data: bytes, at: int) -> int:
    while data[at]:
        at += data[at] + 1
    return at + 1


def _webp(data: bytes) -> Stripped:
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise Broken("it is cut off")
    found = Stripped(frames=0)
    kept: list[bytes] = []
    for name, chunk in _riff(data[12 : size + 8]):
        if name == b"EXIF":
            found.exif = chunk[8:].removeprefix(b"Exif\0\0")
        if name not in _WEBP_KEPT:
            found.dropped.append(chunk)
            continue
        if name == b"VP8X":
            found.size = (_uint24(chunk, 12) + 1, _uint24(chunk, 15) + 1)
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_EXIF_AND_XMP]) + chunk[9:]
        elif name == b"ANMF":
            found.frames += 1
            parts = [part for inner, part in _riff(chunk[24:]) if inner in _WEBP_FRAME]
            body = chunk[8:24] + b"".join(parts)
            chunk = struct.pack("<4sI", b"ANMF", len(body)) + body
        elif not any(found.size):
            found.size = _webp_size(name, chunk[8:])
        kept.append(chunk)
    body = b"WEBP" + b"".join(kept)
    return _finished(found, [struct.pack("<4sI", b"RIFF", len(body)), body], data[size + 8 :])


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Chunks with their headers and the byte that pads them to an even length."""
    at = 0
    while at < len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length
        if end > len(data):
            raise Broken("it is cut off")
        yield name, data[at:end] + b"\0" * (length % 2)
        at = end + length % 2


def _webp_size(name: bytes, data: bytes) -> tuple[int, int]:
    if name == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 6)
        return width & 0x3FFF, height & 0x3FFF
    if name == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return 0, 0


def _uint24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


def _jpeg(data: bytes) -> Stripped:
    found = Stripped()
    kept = [b"\xff\xd8"]
    at = 2
    while at < len(data):
        mark = data.find(b"\xff", at)
        if mark < 0:
            break
        if mark > at:
            found.dropped.append(data[at:mark])  # decoders skip it
        at = mark
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        code = data[at + 1]
        if code == 0xD9:
            return _finished(found, [*kept, b"\xff\xd9"], data[at + 2 :])
        if code in (0, 1) or 0xD0 <= code <= 0xD8:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if end > len(data) or length < 2:
            raise Broken("it is cut off")
        payload = data[at + 4 : end]
        if code == 0xDA:
            scan = _JPEG_SCAN_END.search(data, end)
            end = scan.start() if scan else len(data)
            kept.append(data[at:end])
        elif code in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", payload, 1)
            found.size = max(found.size, (width, height), key=lambda size: size[0] * size[1])
            kept.append(data[at:end])
        elif code in _JPEG_TABLES:
            kept.append(data[at:end])
        elif (known := _application(code, payload)) is not None:
            kept.append(struct.pack(">BBH", 0xFF, code, len(known) + 2) + known)
            found.dropped.append(payload[len(known) :])
        else:
            if code == 0xE1 and payload.startswith(b"Exif\0\0"):
                found.exif = found.exif or payload[6:]
            found.dropped.append(payload)
        at = end
    # Without its end mark a file may still be whole: the decoder tells.
    return _finished(found, kept, b"")


def _application(code: int, payload: bytes) -> bytes | None:
    """What is kept of an application's segment: density, colour profile, Adobe's colour transform."""
    if code == 0xE0 and payload.startswith(b"JFIF\0"):
        return payload[:12] + b"\0\0"  # no thumbnail
    if code == 0xE2 and payload.startswith(b"ICC_PROFILE\0"):
        return payload
    if code == 0xEE and payload.startswith(b"Adobe"):
        return payload[:12]
    return None


def _finished(found: Stripped, kept: list[bytes], trailing: bytes) -> Stripped:
    found.data = b"".join(kept)
    found.dropped = [part for part in (*found.dropped, trailing) if part]
    found.frames = max(found.frames, 1)
    return found


_STRIPPERS: Final[dict[str, Callable[[bytes], Stripped]]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "GIF": _gif,
    "WEBP": _webp,
}
