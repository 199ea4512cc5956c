"""What a loader receives and gives back, and the decoding of text that several formats share."""

import datetime
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final


class UnreadableDocument(Exception):
    """A file that can't become a reference; `str()` of it says which and why, for the person who imports."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.reason)  # survives a process pool


@dataclass(frozen=True)
class LoadedImage:
    """An image of a document, proven decodable; the Markdown shows it as `![alt](image:<sha256>)`."""

    name: str
    alt: str
    data: bytes = field(repr=False)
    media_type: str

    @property
    def sha256(self) -> str:
        """Lower-case hex digest of `data`: the image's name in the Markdown and in the object store."""
        return sha256(self.data).hexdigest()


@dataclass(frozen=True)
class LoadedDocument:
    """A source file as a reference needs it: clean Markdown without front matter, title, metadata, images.

    `metadata` is JSON serialisable. `warnings` are what was left out and why (a broken image, say).
    """

    title: str
    markdown: str
    metadata: dict[str, Any]
    images: list[LoadedImage]
    media_type: str
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SourceFile:
    """A file under load: its bytes are read once, and nothing outside `root` may be read on its behalf."""

    path: Path
    root: Path
    data: bytes = field(repr=False)
    max_bytes: int

    def unreadable(self, reason: str) -> UnreadableDocument:
        """The error to raise for this file."""
        return UnreadableDocument(self.path, reason)


@dataclass(frozen=True)
class Parsed:
    """What one format's loader makes of a file, before the cleaning that all formats share.

    `embedded` maps image references of `markdown` to the bytes found inside the file itself. `local_images`:
    whether other relative references name files next to the document.
    """

    markdown: str
    media_type: str
    title: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    embedded: dict[str, bytes] = field(default_factory=dict, repr=False)
    local_images: bool = False
    warnings: list[str] = field(default_factory=list)


Loader = Callable[[SourceFile], Parsed]

_MAX_METADATA_NODES: Final = 5_000  # YAML aliases can expand a small front matter into gigabytes


def jsonable(value: Any) -> Any:
    """`value` with dates as ISO 8601, keys as text and everything else as JSON has it.

    Raises ValueError if it expands to more than 5,000 values.
    """
    budget = iter(range(_MAX_METADATA_NODES))

    def convert(item: Any) -> Any:
        if next(budget, None) is None:
            raise ValueError(f"more than {_MAX_METADATA_NODES} values")
        if item is None or isinstance(item, bool | int | str):
            return item
        if isinstance(item, float):
            return item if math.isfinite(item) else str(item)
        if isinstance(item, datetime.date | datetime.time):  # datetime is a date
            return item.isoformat()
        if isinstance(item, dict):
            return {str(key): convert(inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [convert(inner) for inner in item]
        if isinstance(item, set | frozenset):
            return [convert(inner) for inner in sorted(item, key=str)]
        return str(item)

    return convert(value)


_BOMS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),  # before UTF-16, whose mark is its prefix
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SIGNATURES: Final = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP or Office file"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"\x1f\x8b", "a gzip file"),
    (b"SQLite format 3", "an SQLite database"),
)
# charset-normalizer takes short Western text for cp1250, where the same bytes are Central European letters
_WESTERN: Final = frozenset(
    "àâäáãåçéèêëíîïñóôöõúûüÿœæßÀÂÄÁÅÇÉÈÊËÍÎÏÑÓÔÖÚÛÜŒÆ€£¥$©®™°±·×«»…–—•“”‘’§¡½¼²³\u00a0"
)
_ENCODINGS: Final = [
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r"),
    *("shift_jis", "cp932", "euc_jp", "gb18030", "big5", "euc_kr"),
    *("utf_16_le", "utf_16_be"),
]
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_CHARSET = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.IGNORECASE)


def decode(source: SourceFile, *, declared: bool = False) -> str:
    """The text of a file in whatever encoding; `declared`: believe a charset that its head names (HTML).

    Raises UnreadableDocument for empty files and for binary ones that only carry a text suffix.
    """
    data = source.data
    for signature, what in _SIGNATURES:
        if data.startswith(signature):
            raise source.unreadable(f"it is {what}, not text")
    text = _decoded(data, declared)
    if text is None:
        raise source.unreadable("it is binary or in an unknown encoding")
    if not text.strip("\ufeff \t\r\n\x0c"):
        raise source.unreadable("it is empty")
    if len(_CONTROL.findall(text)) > max(2, len(text) // 200):
        raise source.unreadable("it is binary, not text")
    return text


def _decoded(data: bytes, declared: bool) -> str | None:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _try(data, encoding)
    if b"\x00" not in data:
        named = _CHARSET.search(data[:2048]) if declared else None
        for encoding in ([named[1].decode("ascii")] if named else []) + ["utf-8"]:
            if (text := _try(data, encoding)) is not None:
                return text
        western = _try(data, "cp1252")
        if western is not None:
            foreign = [c for c in western if not c.isascii()]
            letters = sum(map(str.isalpha, western))
            # a text in another script is nearly all "foreign" letters, a Western one has a few
            if sum(map(str.isalpha, foreign)) < letters * 0.15 and _WESTERN.issuperset(foreign):
                return western
    import logging

    from charset_normalizer import from_bytes

    logging.getLogger("charset_normalizer").setLevel(logging.WARNING)
    best = from_bytes(data, cp_isolation=_ENCODINGS).best()
    return str(best) if best is not None else None


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError, ValueError):
        return None
