"""From a file of any supported format to a `LoadedDocument`. One format is one file here and one line below.

A loader only parses its format. Decoding limits, cleaning, images and the title are the same for all of them
and live in `load`.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from cryptocontent.knowledge.loaders import docx, html, markdown, pdf, text
from cryptocontent.knowledge.loaders.document import (
    LoadedDocument,
    LoadedImage,
    Loader,
    Parsed,
    SourceFile,
    UnreadableDocument,
    jsonable,
)
from cryptocontent.knowledge.loaders.images import ImageCollector

__all__ = [
    "IMPORT_VERSION",
    "LOADERS",
    "LoadedDocument",
    "LoadedImage",
    "UnreadableDocument",
    "load",
    "load_data",
]

# Part of every content hash: raise it when loaders or the chunker change what they make of a file.
IMPORT_VERSION = "2"

LOADERS: Final[dict[str, Loader]] = {
    **dict.fromkeys((".md", ".markdown", ".mdown"), markdown.parse),
    **dict.fromkeys((".html", ".htm", ".xhtml"), html.parse),
    **dict.fromkeys((".docx",), docx.parse),
    **dict.fromkeys((".pdf",), pdf.parse),
    **dict.fromkeys((".txt", ".text"), text.parse),
}
"""File suffix (lower case, with its dot) -> the loader of that format."""


def load(path: Path, max_bytes: int, root: Path | None = None) -> LoadedDocument:
    """Read the document at `path`; `root` is the imported folder (by default the file's own).

    Images that the document names are read only from inside `root`. Raises UnreadableDocument, and nothing
    else, for a file that is missing, unsupported, larger than `max_bytes`, broken, empty or binary in
    disguise.
    """
    loader = _loader(path)
    source = SourceFile(path, root or path.parent, _read(path, max_bytes), max_bytes)
    return _finish(source, _parse(loader, source))


def load_data(name: str, data: bytes, max_bytes: int, metadata: Mapping[str, Any]) -> LoadedDocument:
    """Read a document that came over the network; `name` is its file name, whose suffix tells the format.
    It reads no file. `metadata` (title, url, licence, author, date, tags …), what is known of it from where
    it came, goes before what the document says of itself. Raises UnreadableDocument."""
    path = Path(name)
    loader = _loader(path)
    if len(data) > max_bytes:
        raise UnreadableDocument(path, f"it is too large: {len(data):,} bytes, the limit is {max_bytes:,}")
    if not data:
        raise UnreadableDocument(path, "it is empty")
    source = SourceFile(path, _NOWHERE, data, max_bytes)
    parsed = _parse(loader, source)
    known = {key: value for key, value in metadata.items() if value not in (None, "", [])}
    title = str(known.pop("title", "")) or parsed.title
    # It came alone: there are no files beside it.
    parsed = replace(parsed, title=title, metadata=parsed.metadata | known, local_images=False)
    return _finish(source, parsed)


_NOWHERE = Path("/nonexistent")
_MARK = re.compile(r"\\?\[\^[^\]\s]+\]")


def _loader(path: Path) -> Loader:
    loader = LOADERS.get(path.suffix.lower())
    if loader is None:
        raise UnreadableDocument(
            path, f"format '{path.suffix or path.name}' is not supported (supported: {', '.join(LOADERS)})"
        )
    return loader


def _parse(loader: Loader, source: SourceFile) -> Parsed:
    try:
        return loader(source)
    except UnreadableDocument:
        raise
    except Exception as error:  # parsers of foreign formats raise whatever they like; the import goes on
        raise source.unreadable(f"it is broken ({type(error).__name__}: {str(error)[:200]})") from error


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        if not path.is_file():
            raise UnreadableDocument(path, "there is no such file")
        with path.open("rb") as file:
            # one byte over tells "too large" even for a file that grows while it is read
            data = file.read(max_bytes + 1)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise UnreadableDocument(path, f"it can't be read ({error.strerror or error})") from error
    if len(data) > max_bytes:
        raise UnreadableDocument(path, f"it is too large: {size:,} bytes, the limit is {max_bytes:,}")
    if not data:
        raise UnreadableDocument(path, "it is empty")
    return data


def _finish(source: SourceFile, parsed: Parsed) -> LoadedDocument:
    from cryptocontent.knowledge.cleaning import clean_markdown, clean_with_images

    images = ImageCollector(source, parsed)
    cleaned = clean_with_images(parsed.markdown, images.resolve)
    if not re.search(r"\w", cleaned):
        raise source.unreadable("it has no text")
    warnings = [*parsed.warnings, *images.warnings]
    title = parsed.title or str(parsed.metadata.get("title") or "") or _first_heading(cleaned)
    # A title is quoted in articles, where a footnote's mark would be a citation.
    title = " ".join(_MARK.sub("", clean_markdown(title)).split()) or _readable_name(source.path)
    metadata = _metadata(parsed.metadata, warnings)
    return LoadedDocument(title, cleaned, metadata, images.images, parsed.media_type, warnings)


def _metadata(raw: dict[str, Any], warnings: list[str]) -> dict[str, Any]:
    try:
        metadata: dict[str, Any] = jsonable(raw)
    except (ValueError, RecursionError) as error:
        warnings.append(f"front matter ignored: {error}")
        return {}
    if isinstance(tags := metadata.get("tags"), str):
        metadata["tags"] = [tag.strip() for tag in tags.split(",") if tag.strip()]
    elif isinstance(tags, list):
        metadata["tags"] = [str(tag) for tag in tags if tag not in (None, "")]
    if "license" in metadata:  # one spelling for those who read it
        metadata.setdefault("licence", metadata["license"])
    return metadata


def _first_heading(markdown: str) -> str:
    from markdown_it import MarkdownIt

    tokens = (
        MarkdownIt("commonmark").parse(markdown) if re.search(r"^#\s|^=+$", markdown, re.MULTILINE) else []
    )
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            return "".join(c.content for c in inline.children or [] if c.type in ("text", "code_inline"))
    return ""


def _readable_name(path: Path) -> str:
    words = re.sub(r"[-_.\s]+", " ", path.stem).strip()
    return words[:1].upper() + words[1:] if words else path.name
