"""What is taken off a picture, what stays as it is, and what is refused."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageSequence, PngImagePlugin

from cryptocontent.errors import Refused
from cryptocontent.knowledge.images.cleaning import CleanImage, clean_image
from cryptocontent.knowledge.images.drawings import checked_drawing

SECRET = b"52.5200N-SECRET"


def picture(mode: str = "RGB", size: tuple[int, int] = (64, 40)) -> Image.Image:
    """Four quarters of different colours, so that one sees which way it is up."""
    made = Image.new("RGB", size)
    half = (size[0] // 2, size[1] // 2)
    for place, colour in (((0, 0), "red"), ((half[0], 0), "lime"), ((0, half[1]), "blue"), (half, "white")):
        made.paste(colour, (*place, place[0] + half[0], place[1] + half[1]))
    return made.convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, kind, **options)
    return made.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x010E] = SECRET.decode()
    made.get_ifd(0x8825)[29] = SECRET.decode()
    return made


def segment(code: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(payload) + 2) + payload


def chunk(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def jpeg_with_everything() -> bytes:
    data = encoded(picture(), "JPEG", exif=exif(), comment=SECRET, xmp=b"<x:xmpmeta>" + SECRET)
    thumbnail = b"JFXX\0\x10" + encoded(picture(size=(8, 8)), "JPEG", comment=SECRET)
    iptc = b"Photoshop 3.0\08BIM\x04\x04\0\0\0\0" + SECRET
    more = segment(0xE0, thumbnail) + segment(0xED, iptc) + segment(0xE7, SECRET)
    return data[:2] + more + data[2:] + SECRET


def png_with_everything() -> bytes:
    noted = PngImagePlugin.PngInfo()
    noted.add_text("Author", SECRET.decode())
    noted.add_itxt("XML:com.adobe.xmp", SECRET.decode(), zip=False)
    data = encoded(picture(), "PNG", pnginfo=noted, exif=exif())
    end = data.rindex(b"IEND") - 4
    dated = chunk(b"tIME", b"\x07\xea\1\1\1\1\1") + chunk(b"prVt", SECRET)
    return data[:end] + dated + data[end:] + SECRET


def webp_with_everything() -> bytes:
    return encoded(picture(), "WEBP", lossless=True, exif=exif(), xmp=SECRET) + SECRET


def gif_with_everything() -> bytes:
    data = encoded(picture("P"), "GIF", comment=SECRET)
    xmp = b"!\xff\x0bXMP DataXMP" + bytes([len(SECRET)]) + SECRET + b"\0"
    end = data.index(b",", 13 + 3 * 2 ** ((data[10] & 7) + 1))
    return data[:end] + xmp + data[end:] + SECRET


@pytest.mark.parametrize(
    "made", [jpeg_with_everything, png_with_everything, webp_with_everything, gif_with_everything]
)
def test_what_a_file_tells_besides_its_picture_is_gone_and_the_picture_is_the_same(
    made: Callable[[], bytes],
) -> None:
    data = made()
    assert data.count(SECRET) >= 3
    cleaned = clean_image(data)
    assert SECRET not in cleaned.data and b"xmp" not in cleaned.data.lower()
    left = opened(cleaned.data)
    assert not left.getexif() and not {"comment", "xmp", "photoshop", "Author"} & set(left.info)
    assert left.tobytes() == opened(data).tobytes()
    assert clean_image(cleaned.data) == cleaned and clean_image(data) == cleaned
    assert (cleaned.width, cleaned.height) == left.size


@pytest.mark.parametrize(
    "data",
    [
        encoded(picture(), "PNG"),
        encoded(picture("P"), "PNG", transparency=0),
        encoded(picture("LA"), "PNG", dpi=(144, 144)),
        encoded(Image.new("I;16", (5, 5), 40_000), "PNG"),
        encoded(picture(), "JPEG", quality=80, progressive=True),
        encoded(picture("L"), "JPEG", dpi=(300, 300)),
        encoded(picture("P"), "GIF"),
        encoded(picture("RGBA"), "WEBP"),
        encoded(picture(), "WEBP", lossless=True),
    ],
)
def test_what_is_clean_stays_as_it_is(data: bytes) -> None:
    assert clean_image(data).data == data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_picture_is_turned_upright_before_it_loses_the_word_on_it(kind: str, orientation: int) -> None:
    turned = picture()
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    cleaned = clean_image(encoded(turned.transpose(back), kind, exif=exif(orientation), **options))
    upright = opened(cleaned.data)
    assert upright.size == (cleaned.width, cleaned.height) == turned.size
    for corner in ((2, 2), (61, 2), (2, 37), (61, 37)):
        found, wanted = upright.convert("RGB").getpixel(corner), turned.getpixel(corner)
        assert isinstance(found, tuple) and isinstance(wanted, tuple)
        assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 12
    assert SECRET not in cleaned.data and clean_image(cleaned.data) == cleaned


def test_colours_stay_what_they_are() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("PNG", "JPEG", "WEBP"):
        data = encoded(picture(), kind, icc_profile=profile, exif=exif(6))
        assert opened(clean_image(data).data).info["icc_profile"] == profile
    printed = clean_image(encoded(picture("CMYK"), "JPEG"))
    assert opened(printed.data).mode == "RGB" and printed.media_type == "image/jpeg"


@pytest.mark.parametrize(
    ("image", "kind", "mode"),
    [
        (picture(), "TIFF", "RGB"),
        (picture("CMYK"), "TIFF", "RGB"),
        (picture("1"), "TIFF", "1"),
        (Image.new("I;16", (5, 5), 40_000), "TIFF", "I;16"),
        (picture(), "BMP", "RGB"),
    ],
)
def test_what_browsers_do_not_show_becomes_png(image: Image.Image, kind: str, mode: str) -> None:
    cleaned = clean_image(encoded(image, kind))
    assert cleaned.media_type == "image/png" and opened(cleaned.data).mode == mode
    assert clean_image(encoded(image, kind)) == cleaned


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_keeps_moving(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=80, loop=0)
    cleaned = clean_image(data)
    moving = opened(cleaned.data)
    assert sum(1 for _ in ImageSequence.Iterator(moving)) == 3 and moving.info.get("loop") == 0
    assert clean_image(cleaned.data).data == cleaned.data


def bomb(kind: str) -> bytes:
    """A small file that would decode to 60,000 x 60,000 pixels."""
    if kind == "PNG":
        head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
        rows = zlib.compress(b"\0" * 100_000)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    if kind == "GIF":
        data = bytearray(encoded(picture("P"), "GIF"))
        data[6:10] = struct.pack("<HH", 60_000, 60_000)
        return bytes(data)
    if kind == "JPEG":
        data = bytearray(encoded(picture(), "JPEG"))
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
        return bytes(data)
    extended = struct.pack("<4sI4s", b"VP8X", 10, b"\0\0\0\0") + (59_999).to_bytes(3, "little") * 2
    body = b"WEBP" + extended + encoded(picture(), "WEBP", lossless=True)[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flicker(frames: int, size: tuple[int, int]) -> bytes:
    """A GIF of many frames in few bytes."""
    data = encoded(Image.new("P", (1, 1)), "GIF")
    head = data[:6] + struct.pack("<HH", *size) + data[10:]
    start = head.index(b",", 13)
    return head[:start] + head[start:-1] * frames + b";"


def archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("run.js", "alert(1)")
    return made.getvalue()


PNG, JPEG = encoded(picture(), "PNG"), encoded(picture(), "JPEG")
REFUSED = [
    (b"", "a.png", "", "it is empty"),
    (b"<html><body>hi</body></html>", "a.png", "", "a web page"),
    (b"  <!-- x --><!doctype html><p>", "a.jpg", "", "a web page"),
    (b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "a.svg", "image/svg+xml", "SVG"),
    (b"<?xml version='1.0'?>\n<!-- c -->\n<!DOCTYPE svg PUBLIC 'x'>\n<svg/>", "a.png", "", "SVG"),
    (b"%PDF-1.7 ...", "a.png", "image/png", "a PDF document"),
    (archive(), "a.png", "", "a ZIP or Office file"),
    (b"MZ\x90\0", "a.gif", "", "a program"),
    (b"\0\0\0\x20ftypheic", "a.heic", "", "HEIC"),
    (b"\x89PNG not really", "a.png", "", "not an image"),
    (JPEG, "a.png", "", "said to be a PNG file, but its bytes are JPEG"),
    (JPEG, "a.jpg", "image/png", "said to be a PNG file, but its bytes are JPEG"),
    (PNG, "A.GIF", "", "said to be a GIF file, but its bytes are PNG"),
    (PNG + archive(), "a.png", "", "a picture and a ZIP archive"),
    (JPEG + b"<html><script>x</script>", "a.jpg", "", "a picture and a web page"),
    (JPEG[:2] + segment(0xFE, b"%PDF-1.4 1 0 obj") + JPEG[2:], "a.jpg", "", "a picture and a PDF document"),
    (PNG[:33] + chunk(b"tEXt", b"c\0<script>x()</script>") + PNG[33:], "a.png", "", "and a web page"),
    (encoded(picture("P"), "GIF", comment=b"<?php system($_GET[0]); ?>"), "", "", "and a program"),
    (PNG[:-20], "", "", "cut off"),
    (JPEG[: len(JPEG) // 2], "", "", "broken image"),
    (encoded(picture("P"), "GIF")[:-30], "", "", "broken image"),
    (encoded(picture(), "WEBP")[:-10], "", "", "cut off"),
    (PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:], "", "", "broken image"),
    (encoded(Image.new("F", (4, 4)), "TIFF"), "", "", "numbers of 32 bits"),
    *((bomb(kind), "", "", "enormous picture: 60000 x 60000") for kind in ("PNG", "GIF", "JPEG", "WEBP")),
    (flicker(1_500, (8, 8)), "", "", "1500 frames"),
    (flicker(300, (2_000, 2_000)), "", "", "300 frames of 2000 x 2000"),
    (PNG + b"\0" * 25_000_001, "", "", "too large"),
]


@pytest.mark.parametrize(("data", "name", "media_type", "reason"), REFUSED)
def test_what_is_no_honest_picture_is_refused(data: bytes, name: str, media_type: str, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        clean_image(data, name, media_type)
    assert reason in str(caught.value) and str(caught.value).startswith("it ")


def test_a_file_may_be_named_in_any_usual_way() -> None:
    for name, media_type in (
        ("A.JPEG", "image/jpeg"),
        ("a.jpe", "image/pjpeg"),
        ("photo", ""),
        ("x.tmp", ""),
    ):
        assert clean_image(JPEG, name, media_type).data == JPEG


_SAMPLES = [
    jpeg_with_everything(),
    png_with_everything(),
    webp_with_everything(),
    gif_with_everything(),
    flicker(3, (8, 8)),
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_SAMPLES), st.data())
def test_damaged_files_are_refused_or_cleaned_for_good(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + draw.draw(st.integers(0, 3))] = draw.draw(st.binary(max_size=4))
    try:
        cleaned = clean_image(bytes(damaged))
    except Refused:
        return
    assert isinstance(cleaned, CleanImage) and clean_image(cleaned.data) == cleaned


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {a}>{b}</svg>'


def test_a_drawing_of_shapes_and_text_is_taken_as_it_is() -> None:
    data = SVG.format(a='width="72pt" height="36pt"', b='<path id="p"/><use xlink:href="#p"/>').encode()
    drawing = checked_drawing(data)
    assert (drawing.data, drawing.width, drawing.height) == (data, 96, 48)
    assert checked_drawing(SVG.format(a='viewBox="0 0 30 20"', b="").encode()).width == 30


@pytest.mark.parametrize(
    ("attributes", "inner"),
    [
        ("", "<script>x()</script>"),
        ("onload='x()'", ""),
        ("", "<foreignObject/>"),
        ("", "<image href='https://x.example/a.png'/>"),
        ("", "<use xlink:href='https://x.example/a.svg#b'/>"),
        ("style='background:url(https://x.example/a.png)'", ""),
        ("", "<style>@import 'https://x.example/a.css';</style>"),
        ("", "<a href='javascript:x()'/>"),
        ("", "<p"),
    ],
)
def test_a_drawing_that_does_more_is_refused(attributes: str, inner: str) -> None:
    with pytest.raises(Refused, match="svg: "):
        checked_drawing(SVG.format(a=attributes, b=inner).encode())


def test_a_drawing_of_entities_is_refused() -> None:
    with pytest.raises(Refused, match="svg: "):
        checked_drawing(b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>')
