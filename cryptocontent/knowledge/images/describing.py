"""What people have to say of an image before it is kept: what it shows, whose it is, how it may be used."""

import re
from collections.abc import Mapping
from typing import Any

from cryptocontent.errors import Refused

_LIMITS = {"name": 200, "alt": 1_000, "licence": 200, "credit": 300}
_ORIGINS = ("upload", "chart")
_FILE = re.compile(r"\.(?:png|jpe?g|gif|webp|bmp|tiff?|svg|heic|avif)\Z", re.IGNORECASE)
_NO_WORDS = frozenset(
    {
        *("a", "an", "the", "of", "alt", "text", "copy", "untitled", "dsc", "image", "img", "picture", "pic"),
        *("photo", "photograph", "graphic", "figure", "screenshot", "chart", "diagram", "logo", "icon"),
    }
)


def checked_description(
    origin: str,
    name: str,
    alt: str,
    licence: str | None,
    credit: str | None,
    details: Mapping[str, Any],
) -> dict[str, Any]:
    """An image row's description, white space tidied; `Refused` names the field, the value and what is
    allowed."""
    if origin not in _ORIGINS:
        raise Refused(f"origin {origin!r}: allowed are {', '.join(_ORIGINS)}")
    given = {"name": name, "alt": alt, "licence": licence or "", "credit": credit or ""}
    texts = {field: " ".join(value.split()) for field, value in given.items()}
    for field, limit in _LIMITS.items():
        if len(texts[field]) > limit:
            raise Refused(f"{field}: {len(texts[field])} characters; allowed are {limit}")
    check_alt(texts["alt"], texts["name"])
    return {
        "origin": origin,
        "name": texts["name"],
        "alt": texts["alt"],
        "licence": texts["licence"] or None,
        "credit": texts["credit"] or None,
        "details": dict(details),
    }


def check_alt(alt: str, name: str) -> None:
    """`Refused` unless `alt` can tell people who don't see the picture what it shows: not empty, no file's
    name, not just the word "picture". `name` is the picture's name or file name."""
    plain = _plain(alt)
    if not plain:
        raise Refused(f"alt {alt!r}: say in words what the picture shows, for people who don't see it")
    file_name = name.replace("\\", "/").rpartition("/")[2]
    if _FILE.search(alt) or (_FILE.search(file_name) and plain == _plain(_FILE.sub("", file_name))):
        raise Refused(f"alt {alt!r} is a file's name: say in words what the picture shows")
    if all(word in _NO_WORDS or word.isdigit() for word in plain.split()):
        raise Refused(f"alt {alt!r} does not say what the picture shows: describe it in a few words")


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))
