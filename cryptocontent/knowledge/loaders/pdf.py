"""PDF: text in reading order, its lines joined to paragraphs, headings told by their font size."""

import io
import itertools
import logging
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from cryptocontent.knowledge.loaders.document import Parsed, SourceFile

_HEADING_RATIO: Final = 1.15  # times the size that most characters have
_GAP_RATIO: Final = 1.35  # times the usual distance of two lines
_MAX_PAGES: Final = 2_000
_BULLET = re.compile(r"^\s*[•‣▪●◦–]\s+")
_PAGE_NUMBER = re.compile(r"(?:page\s+)?\d{1,4}(?:\s*(?:/|of)\s*\d{1,4})?", re.IGNORECASE)
_NEW_ITEM = re.compile(r"^(?:- |\d{1,3}[.)]\s)")


@dataclass(frozen=True)
class _Line:
    text: str
    size: float
    y: float


def parse(source: SourceFile) -> Parsed:
    """Read a PDF file. Raises UnreadableDocument if it needs a password, is broken, or holds only scans."""
    from pypdf import PdfReader
    from pypdf.errors import PdfReadError

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it tells of every oddity that it repairs
    try:
        reader = PdfReader(io.BytesIO(source.data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise source.unreadable("it is encrypted and needs a password")
        if len(reader.pages) > _MAX_PAGES:
            raise source.unreadable(f"it has more than {_MAX_PAGES:,} pages")
        warnings: list[str] = []
        pages = [_lines(page) for page in reader.pages]
        embedded, shown = _images(reader, warnings)
        title, metadata = _information(reader)
    except PdfReadError as error:
        raise source.unreadable(f"it is broken ({error})") from error
    _drop_running_lines(pages)
    if not any(pages):
        raise source.unreadable("it has no text: scanned pages need text recognition first")
    markdown = _markdown(pages, shown)
    return Parsed(markdown, "application/pdf", title, metadata, embedded, warnings=warnings)


def _lines(page: Any) -> list[_Line]:
    pieces: list[tuple[str, float, float]] = []

    def visit(text: str, matrix: list[float], position: list[float], font: Any, size: float) -> None:
        if text:
            scale = (position[0] ** 2 + position[1] ** 2) ** 0.5 * (matrix[0] ** 2 + matrix[1] ** 2) ** 0.5
            height = position[4] * matrix[1] + position[5] * matrix[3] + matrix[5]
            pieces.append((text, size * (scale or 1), height))

    page.extract_text(visitor_text=visit)
    lines: list[_Line] = []
    current: list[tuple[str, float, float]] = []
    for text, size, y in [*pieces, ("\n", 0.0, 0.0)]:
        for index, part in enumerate(text.split("\n")):
            if index and current:
                whole = " ".join("".join(piece[0] for piece in current).split())
                longest = max(current, key=lambda piece: len(piece[0].strip()))
                if whole:
                    lines.append(_Line(whole, round(longest[1], 1), longest[2]))
                current = []
            if part.strip() or current:
                current.append((part, size, y))
    return lines


def _drop_running_lines(pages: list[list[_Line]]) -> None:
    """Take page numbers, and heads and feet that return on most pages, out of `pages`."""

    def shape(line: _Line) -> str:
        return re.sub(r"\d+", "0", line.text)

    counts = Counter(found for page in pages for found in {shape(line) for line in (*page[:1], *page[-1:])})
    for page in pages:
        for index in (-1, 0):
            if not page:
                continue
            text = page[index].text
            # the end of a sentence may return by chance ("... read."); a running head is no sentence
            repeated = counts[shape(page[index])] > len(pages) / 2 and not text.endswith(".")
            if (repeated and len(pages) >= 3) or _PAGE_NUMBER.fullmatch(text):
                page.pop(index)


def _markdown(pages: list[list[_Line]], shown: list[list[str]]) -> str:
    weights: Counter[float] = Counter()
    for page in pages:
        for line in page:
            weights[line.size] += len(line.text)
    body = weights.most_common(1)[0][0]
    sizes = sorted({s for s in weights if s >= body * _HEADING_RATIO}, reverse=True)
    gaps = Counter(
        round(a.y - b.y, 1)
        for page in pages
        for a, b in itertools.pairwise(page)
        if a.size == b.size == body and a.y > b.y
    )
    usual = min((gap for gap, _ in gaps.most_common(2)), default=0.0)
    width = max((len(line.text) for page in pages for line in page if line.size == body), default=0)

    blocks: list[str] = []
    previous: _Line | None = None
    for page, images in zip(pages, shown, strict=True):
        for line in page:
            heading = line.size in sizes and len(line.text) <= 150 and re.search(r"[^\W\d_]", line.text)
            text = _BULLET.sub("- ", line.text)
            if heading:
                same = (
                    previous is not None
                    and previous.size == line.size
                    and blocks
                    and blocks[-1].startswith("#")
                )
                if same and previous is not None and 0 < previous.y - line.y < line.size * 1.6:
                    blocks[-1] += " " + text  # a heading over two lines
                else:
                    blocks.append("#" * min(sizes.index(line.size) + 1, 6) + " " + text)
            elif (
                previous is not None and blocks and _continues(previous, line, text, blocks[-1], usual, width)
            ):
                blocks[-1] = _join(blocks[-1], text)
            else:
                blocks.append(re.sub(r"^(#+ |>|\+ |\* )", r"\\\1", text))
            previous = line
        blocks += [f"![]({name})" for name in images]
        if images:
            previous = None
    return re.sub(r"(?m)^(- .*)\n\n(?=- )", r"\1\n", "\n\n".join(blocks))


def _continues(previous: _Line, line: _Line, text: str, block: str, usual: float, width: int) -> bool:
    """Whether `line` goes on with the paragraph of `previous`."""
    if block.startswith(("#", "![")) or previous.size != line.size or _NEW_ITEM.match(text):
        return False
    ended = previous.text.rstrip("\"')”").endswith((".", "!", "?", ":"))
    gap = previous.y - line.y
    if gap <= 0:  # a new column or page
        return not ended
    if usual and gap > usual * _GAP_RATIO:
        return False
    return not (ended and len(previous.text) < width * 0.7)


def _join(block: str, text: str) -> str:
    if re.search(r"[^\W\d_]-$", block) and text[:1].islower():
        return block[:-1] + text
    return f"{block} {text}"


def _images(reader: Any, warnings: list[str]) -> tuple[dict[str, bytes], list[list[str]]]:
    embedded: dict[str, bytes] = {}
    shown: list[list[str]] = []
    for number, page in enumerate(reader.pages, start=1):
        names: list[str] = []
        try:
            for image in page.images:
                name = f"page-{number}-{image.name}"
                embedded[name] = image.data
                names.append(name)
        except Exception as error:  # image filters are where PDF files are odd; the text is what counts
            warnings.append(f"images of page {number} left out: {type(error).__name__}: {error}")
        shown.append(names)
    return embedded, shown


def _information(reader: Any) -> tuple[str, dict[str, Any]]:
    information = reader.metadata
    if information is None:
        return "", {}
    metadata: dict[str, Any] = {}
    if information.author:
        metadata["author"] = str(information.author)
    try:
        if information.creation_date:
            metadata["created"] = information.creation_date.isoformat()
    except ValueError:
        pass  # many producers write malformed dates
    return str(information.title or ""), metadata
