"""Cuts the clean Markdown of a reference into passages that follow its headings and know their place."""

import re
import uuid
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Final, Literal

Kind = Literal["prose", "list", "table", "code"]

_LEAST, _MOST, _STRETCH, _HUGE = 80, 160, 200, 320  # words; _STRETCH rather than leave a fragment
_NAMESPACE: Final = uuid.UUID("6f1c7c52-0d3b-5d0c-9b57-1f6f2f6b7a11")
# What only looks like a footnote's mark, being escaped or pieced together; code stays verbatim.
_LOOKS_LIKE_MARK = re.compile(r"(`+[^`]*`+)|\[\^[^\]\s]+\]")
_MARK = re.compile(r"\[\^[^\]\s]+\]")
_DROPPED_MARK = "\0"  # no document holds it: the parser replaces it
FOOTNOTES: Final = "Footnotes"
"""The heading path of a reference's footnotes, which agents leave to the search."""
_LINE_END = re.compile(r"\r\n?|\n")


@dataclass(frozen=True)
class Chunk:
    """A passage: `markdown[start:end]` (characters) is its source, `text` how it reads without markup.

    Paragraphs in `text` are parted by a blank line, list items are lines that begin with "- ", table rows are
    lines with cells parted by " | ", code is verbatim. Inline code keeps its backticks and math its dollars.
    """

    heading_path: tuple[str, ...]
    start: int
    end: int
    text: str
    kind: Kind


@dataclass(frozen=True)
class _Unit:
    """The least piece that is never cut; `block` tells sentences of one paragraph from paragraphs."""

    start: int
    end: int
    text: str
    kind: Kind
    block: int
    head: str = ""  # of a table: repeated when the table goes on in another chunk

    @property
    def words(self) -> int:
        # languages without spaces and long hexadecimal strings have few words but much text
        return max(len(self.text.split()), len(self.text) // 12)


def chunk(markdown: str, title: str) -> list[Chunk]:
    """The passages of a document in their order; `title`, which heads them all, is left out of heading paths.

    A passage lies under one heading and is of one kind. It has about 80 to 160 words where there is so much
    text; only a sentence of more than 320 words is cut. A footnote's mark is no part of a passage: in an
    article the same signs are a citation. The notes themselves are passages under a heading of their own.
    """
    source = _Source(markdown)
    tokens = _parser().parse(markdown)
    chunks: list[Chunk] = []
    path: list[tuple[int, str]] = []
    units: list[_Unit] = []
    notes: list[_Unit] = []
    index = 0
    while index < len(tokens):
        end = _closing(tokens, index)
        if tokens[index].type == "footnote_reference_open":
            inner = _children(tokens[index : end + 1])
            notes += [unit for block in inner for unit in _units(source, block)]
            index = end + 1
            continue
        chunks += _pack(notes, (FOOTNOTES,))
        notes = []
        if tokens[index].type == "heading_open":
            chunks += _pack(units, _path(path, title))
            units = []
            level = int(tokens[index].tag[1])
            path = [entry for entry in path if entry[0] < level]
            path.append((level, _plain(tokens[index + 1].children or [])))
        else:
            units += _units(source, tokens[index : end + 1])
        index = end + 1
    chunks += _pack(units, _path(path, title)) + _pack(notes, (FOOTNOTES,))
    return sorted(chunks, key=lambda one: one.start)


def passage_id(reference_id: str, heading_path: Sequence[str], text: str, occurrence: int = 0) -> str:
    """A UUID made of what the passage says and where: unchanged passages keep it when their document changes.

    `occurrence` counts identical passages of one document, from 0.
    """
    parts = [reference_id, *heading_path, text, str(occurrence)]
    return str(uuid.uuid5(_NAMESPACE, "".join(f"{len(part)}:{part}" for part in parts)))


def passage_ids(reference_id: str, chunks: Iterable[Chunk]) -> list[str]:
    """`passage_id` of each chunk of one document, with repeated passages numbered."""
    seen: Counter[tuple[tuple[str, ...], str]] = Counter()
    ids: list[str] = []
    for one in chunks:
        key = (one.heading_path, one.text)
        ids.append(passage_id(reference_id, one.heading_path, one.text, seen[key]))
        seen[key] += 1
    return ids


def _path(path: list[tuple[int, str]], title: str) -> tuple[str, ...]:
    return tuple(text for level, text in path if text and not (level == 1 and text == title))


class _Source:
    """Lines of a document as character offsets, counted as markdown-it counts them."""

    def __init__(self, markdown: str) -> None:
        self.text = markdown
        self.starts = [0, *(match.end() for match in _LINE_END.finditer(markdown))]

    def span(self, lines: Sequence[int]) -> tuple[int, int]:
        """Offsets of a line range without the white space around it."""
        start = self.starts[lines[0]]
        end = self.starts[lines[1]] if lines[1] < len(self.starts) else len(self.text)
        piece = self.text[start:end]
        end -= len(piece) - len(piece.rstrip())
        return min(start + len(piece) - len(piece.lstrip()), end), end


@cache
def _parser() -> Any:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.footnote import footnote_plugin

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    parser.use(footnote_plugin, inline=False, move_to_end=False, always_match_refs=True)
    return parser.use(
        dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True
    )


def _closing(tokens: list[Any], index: int) -> int:
    """The index of the token that closes the one at `index`."""
    if tokens[index].nesting != 1:
        return index
    depth = 0
    for position in range(index, len(tokens)):
        depth += tokens[position].nesting
        if depth == 0:
            return position
    return len(tokens) - 1


def _children(tokens: list[Any]) -> Iterable[list[Any]]:
    """The blocks directly inside a container's tokens."""
    index = 1
    while index < len(tokens) - 1:
        end = _closing(tokens, index)
        yield tokens[index : end + 1]
        index = end + 1


def _units(source: _Source, tokens: list[Any]) -> list[_Unit]:
    """Cut one block (its opening token to its closing one) into units."""
    opening = tokens[0]
    if opening.type in ("fence", "code_block"):
        return _lines_of(source, opening)
    if opening.type == "table_open":
        return _rows(source, tokens)
    if opening.type in ("bullet_list_open", "ordered_list_open"):
        return [unit for item in _children(tokens) for unit in _item(source, item)]
    if opening.type in ("paragraph_open", "heading_open"):  # a heading here lies inside a list or a quotation
        return _paragraph(source, opening, tokens[1])
    if opening.type in ("blockquote_open", "footnote_reference_open"):
        return [unit for block in _children(tokens) for unit in _units(source, block)]
    if opening.type in ("html_block", "math_block", "math_block_label"):
        start, end = source.span(opening.map)
        text = source.text[start:end] if opening.type != "html_block" else opening.content.strip()
        return [_Unit(start, end, text, "prose", start)] if text else []
    return []


def _lines_of(source: _Source, token: Any) -> list[_Unit]:
    """A code block, cut between lines where it is long."""
    start, end = source.span(token.map)
    if not token.content.strip():
        return []
    whole = _Unit(start, end, token.content.strip("\n"), "code", start)
    if whole.words <= _STRETCH:
        return [whole]
    first = token.map[0] + (token.type == "fence")
    units: list[_Unit] = []
    for number, line in enumerate(token.content.split("\n")[:-1]):
        at, to = source.span((first + number, first + number + 1))
        units.append(_Unit(at, max(at, to), line, "code", start))
    # the fences belong to the first and the last piece
    units[0] = _Unit(start, units[0].end, units[0].text, "code", start)
    units[-1] = _Unit(units[-1].start, max(end, units[-1].start), units[-1].text, "code", start)
    return units


def _rows(source: _Source, tokens: list[Any]) -> list[_Unit]:
    units: list[_Unit] = []
    head = ""
    cells: list[str] = []
    for token in tokens:
        if token.type == "tr_open":
            cells = []
            start, end = source.span(token.map)
        elif token.type == "inline":
            cells.append(_plain(token.children or []))
        elif token.type == "tr_close" and any(cells):
            text = " | ".join(cells)
            units.append(_Unit(start, end, text, "table", tokens[0].map[0], head))
            head = head or text
    return units


def _item(source: _Source, tokens: list[Any]) -> list[_Unit]:
    """A list item as one unit, or, where it is long, as the units of its blocks."""
    start, end = source.span(tokens[0].map)
    text = _item_text(tokens)
    whole = _Unit(start, end, text, "list", start)
    if not text or whole.words <= _MOST:
        return [whole] if text else []
    units: list[_Unit] = []
    for block in _children(tokens):
        for unit in _units(source, block):
            if unit.kind == "prose":
                begins = not units or units[-1].block != unit.block
                unit = _Unit(unit.start, unit.end, ("- " if begins else "") + unit.text, "list", unit.block)
            units.append(unit)
    return units


def _item_text(tokens: list[Any]) -> str:
    """All of an item, items nested in it as lines of their own."""
    lines: list[str] = []
    fresh = True
    for token in tokens:
        if token.type == "list_item_open":
            fresh = True
        elif token.type == "inline" or token.type in ("html_block", "math_block"):
            text = _plain(token.children) if token.type == "inline" else " ".join(token.content.split())
            if not text:
                continue
            if fresh:
                lines.append(f"- {text}")
                fresh = False
            else:
                lines[-1] += f" {text}"
        elif token.type in ("fence", "code_block") and token.content.strip():
            # A list is quoted as text, and in an article these signs are a citation.
            code = _MARK.sub("", token.content).strip("\n")
            if code.strip():
                lines.append(code)
            fresh = True
    return "\n".join(lines)


def _paragraph(source: _Source, opening: Any, inline: Any) -> list[_Unit]:
    start, end = source.span(opening.map)
    text = _plain(inline.children or [])
    whole = _Unit(start, end, text, "prose", start)
    if not text or whole.words <= _MOST:
        return [whole] if text else []
    raw = source.text[start:end]
    pieces = [(start + at, start + to, _plain_of(raw[at:to])) for at, to in _sentences(raw)]
    if " ".join(piece[2] for piece in pieces if piece[2]) != text:
        # markup that spans sentences, or a quotation's marks: cut where the plain sentences end instead
        pieces = _aligned(start, end, raw, text)
    return [_Unit(at, to, plain, "prose", start) for at, to, plain in pieces if plain]


def _aligned(start: int, end: int, raw: str, text: str) -> list[tuple[int, int, str]]:
    """Sentences of the plain `text` with source offsets found by counting the words that both share."""
    words = [match.span() for match in re.finditer(r"\S+", raw)]
    total = max(len(text), 1)
    pieces: list[tuple[int, int, str]] = []
    at = start
    spans = _sentences(text)
    for number, (_, to) in enumerate(spans):
        tail = text[:to].split()[-1:]
        near = bisect_right(words, (int(to / total * len(raw)), 0))
        place = min(
            (i for i, span in enumerate(words) if tail and tail[0] in raw[span[0] : span[1]]),
            key=lambda i: abs(i - near),
            default=max(min(near, len(words)) - 1, 0),
        )
        stop = end if number == len(spans) - 1 else max(at, start + words[place][1])
        pieces.append((at, stop, text[spans[number][0] : to].strip()))
        at = stop
    return pieces


def _sentences(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences of `text`, those of more than 320 words cut between words."""
    import sentencex

    spans: list[tuple[int, int]] = []
    at = 0
    for sentence in sentencex.segment("en", text):
        found = text.find(sentence, at)
        if found < 0:  # the segmenter normalised something: what follows stays together
            break
        spans.append((found, found + len(sentence)))
        at = found + len(sentence)
    if text[at:].strip():
        spans.append((at, len(text)))
    return [piece for span in spans for piece in _short_spans(text, *span)]


def _short_spans(text: str, start: int, end: int) -> list[tuple[int, int]]:
    piece = text[start:end]
    start, end = start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
    if end <= start:
        return []
    if max(len(text[start:end].split()), (end - start) // 12) <= _HUGE:
        return [(start, end)]
    spans: list[tuple[int, int]] = []
    begin, count = start, 0
    last = start
    for match in re.finditer(r"\S+", text[start:end]):
        if count and (count + 1 > _MOST or start + match.end() - begin > _MOST * 12):
            spans.append((begin, last))
            begin, count = start + match.start(), 0
        count += 1
        last = start + match.end()
    return [*spans, (begin, last)]


def _plain_of(markdown: str) -> str:
    tokens = _parser().parseInline(markdown)
    return _plain(tokens[0].children or []) if tokens else ""


def _plain(children: Iterable[Any]) -> str:
    """Inline tokens as plain text on one line."""
    parts: list[str] = []
    for token in children:
        if token.type == "text":
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif token.type == "code_inline":
            pad = " " if token.content.startswith("`") or token.content.endswith("`") else ""
            parts.append(f"{token.markup}{pad}{token.content}{pad}{token.markup}")
        elif token.type.startswith("math_inline"):
            parts.append(f"{token.markup}{token.content}{token.markup}")
        elif token.type == "html_inline":
            parts.append(token.content)
        elif token.type == "footnote_ref":
            parts.append(_DROPPED_MARK)
    text = "".join(parts)
    if _DROPPED_MARK in text:
        # `word [^1].` is `word.`, and `[^1] word` is `word`
        text = re.sub(rf"\s*{_DROPPED_MARK}+(?=[\s.,;:!?)]|\Z)", "", text).replace(_DROPPED_MARK, "")
    if "[^" in text:
        text = _LOOKS_LIKE_MARK.sub(lambda match: match[1] or "", text)
    return " ".join(text.split())


def _pack(units: list[_Unit], path: tuple[str, ...]) -> list[Chunk]:
    """Gather the units under one heading into chunks."""
    groups: list[list[_Unit]] = []
    for unit in units:
        if groups and _fits(groups[-1], unit):
            groups[-1].append(unit)
        else:
            groups.append([unit])
    for index in range(len(groups) - 1, 0, -1):
        before, last = groups[index - 1], groups[index]
        size = sum(unit.words for unit in last)
        if (
            _joinable(before, last[0])
            and size < _LEAST // 2
            and size + sum(u.words for u in before) <= _STRETCH
        ):
            before += groups.pop(index)
    return [chunk for group in groups if (chunk := _chunk_of(group, path)).text.strip()]


def _joinable(group: list[_Unit], unit: _Unit) -> bool:
    # two tables or two code blocks in a row are two things; paragraphs and lists flow on
    return group[-1].kind == unit.kind and (unit.kind in ("prose", "list") or group[-1].block == unit.block)


def _fits(group: list[_Unit], unit: _Unit) -> bool:
    size = sum(one.words for one in group)
    return _joinable(group, unit) and (
        size + unit.words <= _MOST or (size < _LEAST and size + unit.words <= _STRETCH)
    )


def _chunk_of(group: list[_Unit], path: tuple[str, ...]) -> Chunk:
    text = group[0].text
    if group[0].head:
        text = f"{group[0].head}\n{text}"
    for before, unit in pairwise(group):
        if unit.kind == "prose":
            text += (" " if unit.block == before.block else "\n\n") + unit.text
        elif unit.kind == "list" and not unit.text.startswith("- "):
            text += " " + unit.text
        else:
            text += "\n" + unit.text
    return Chunk(path, group[0].start, group[-1].end, text, group[0].kind)
