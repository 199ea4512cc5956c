"""The comments of a Word document, as notes: who remarked what on which words, and whether it is settled.

Sources: ECMA-376 part 1, 17.13.4 (comments and the ranges they stand at), and [MS-DOCX] 2.5.4.2 (`commentEx`:
answers and what is resolved). Parts are found by their relationships, since nobody promised their names.
"""

import io
import posixpath
import zipfile
from collections.abc import Iterator
from typing import Any, Final

_MOST_NOTES: Final = 500
_MOST_CHARACTERS: Final = 2_000
_ROOT: Final = "word/document.xml"


def comments_of(data: bytes) -> list[dict[str, Any]]:
    """The comments in the order of the document: `author`, `at` (as written, ISO 8601), `quote` (the words
    that are commented, "" if none), `text`, and, where the file says so, `resolved` and `answers` (the
    number in this list, from 0, of the note that it answers). At most 500, each text at most 2,000
    characters."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        main = _target(archive, "_rels/.rels", "", "officeDocument") or _ROOT
        folder, name = posixpath.split(main)
        relations = f"{folder}/_rels/{name}.rels"
        part = _target(archive, relations, folder, "comments")
        if part is None:
            return []
        extended = _target(archive, relations, folder, "commentsExtended")
        comments = [one for one in _parsed(archive, part) if _name(one) == "comment"][:_MOST_NOTES]
        quotes = _quotes(_parsed(archive, main), {_attribute(one, "id") for one in comments})
        states = _states(_parsed(archive, extended)) if extended else {}
    order = {number: place for place, number in enumerate(quotes)}
    comments.sort(key=lambda one: order.get(_attribute(one, "id"), len(order)))
    paragraphs = {_last_paragraph(one): place for place, one in enumerate(comments)}
    notes = []
    for one in comments:
        note: dict[str, Any] = {
            "author": _line(_attribute(one, "author"), 200),
            "at": _line(_attribute(one, "date"), 40),
            "quote": _line(quotes.get(_attribute(one, "id"), "")),
            "text": _line(" ".join(_texts(one))),
        }
        if (state := states.get(_last_paragraph(one))) is not None:
            parent, done = state
            note["resolved"] = done or states.get(parent, ("", False))[1]
            if parent in paragraphs:
                note["answers"] = paragraphs[parent]
        notes.append(note)
    return notes


def _target(archive: zipfile.ZipFile, relations: str, folder: str, kind: str) -> str | None:
    """The name of the part that a relationship of this kind leads to, whatever year its namespace is of."""
    names = set(archive.namelist())
    if relations in names:
        for one in _parsed(archive, relations):
            if str(one.get("Type", "")).rpartition("/")[2] == kind:
                name = posixpath.normpath(posixpath.join(f"/{folder}", str(one.get("Target", ""))))
                if name.lstrip("/") in names:
                    return name.lstrip("/")
    return None


def _parsed(archive: zipfile.ZipFile, name: str) -> Any:
    from defusedxml import ElementTree

    return ElementTree.fromstring(archive.read(name))


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _attribute(element: Any, name: str) -> str:
    return next((str(value) for key, value in element.items() if key.rpartition("}")[2] == name), "")


def _quotes(document: Any, wanted: set[str]) -> dict[str, str]:
    """The words that each comment stands at, in the order in which their ranges begin."""
    open_ones: dict[str, None] = {}
    found: dict[str, list[str]] = {}
    for element in document.iter():
        name = _name(element)
        if name == "commentRangeStart" and (number := _attribute(element, "id")) in wanted:
            open_ones[number] = None
            found.setdefault(number, [])
        elif name == "commentRangeEnd":
            open_ones.pop(_attribute(element, "id"), None)
        elif name == "commentReference" and (number := _attribute(element, "id")) in wanted:
            found.setdefault(number, [])  # of a place, not of words
        elif open_ones and (text := _text_of(element)):
            for number in open_ones:
                found[number].append(text)
    return {number: "".join(parts) for number, parts in found.items()}


def _text_of(element: Any) -> str:
    """What an element itself adds to the text; deleted text is of another name."""
    name = _name(element)
    if name == "t":
        return element.text or ""
    return " " if name in ("p", "br", "tab", "cr") else ""


def _texts(comment: Any) -> Iterator[str]:
    for paragraph in comment.iter():
        if _name(paragraph) == "p":
            yield "".join(_text_of(one) for one in paragraph.iter())


def _last_paragraph(comment: Any) -> str:
    """By which the part on answers and states names a comment."""
    found = [_attribute(one, "paraId") for one in comment.iter() if _name(one) == "p"]
    return found[-1] if found else ""


def _states(extended: Any) -> dict[str, tuple[str, bool]]:
    """A paragraph's id -> that of the comment that it answers, and whether it is resolved."""
    return {
        _attribute(one, "paraId"): (
            _attribute(one, "paraIdParent"),
            _attribute(one, "done") in ("1", "true"),
        )
        for one in extended
        if _name(one) == "commentEx" and _attribute(one, "paraId")
    }


def _line(text: str, limit: int = _MOST_CHARACTERS) -> str:
    from cryptocontent.knowledge.cleaning import plain_line

    line = plain_line(text)
    return line if len(line) <= limit else line[: limit - 1] + "…"
