"""What a Word document shows by looks alone, or holds in words that are not Word's own: code that is only
set in another font, quotations that are only indented, rules that are drawn, formulas. Import it inside
functions."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, Final

from lxml import etree
from mammoth import documents

CODE, QUOTE = "cc-code", "cc-quote"
"""Names of styles that paragraphs and runs are given here, for `docx` to map."""
RULE: Final = "\ue012"
"""Stands alone in a paragraph where a rule was drawn; no text that reaches readers holds it."""

_MONOSPACED: Final = (
    "courier",
    "consolas",
    "menlo",
    "monaco",
    "inconsolata",
    "andale mono",
    "lucida console",
    "fira code",
    "cascadia",
    "source code pro",
    " mono",
    "jetbrains",
)
_CODE_STYLES: Final = frozenset({"html code", "verbatim char", "source text", "code"})
_QUOTE_INDENT: Final = 567  # twentieths of a point: 1 cm
_MATH: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_OFFICE: Final = "{urn:schemas-microsoft-com:office:office}"


def dressed(document: Any) -> Any:
    """mammoth's document with a style on what has only the looks of one, and without marks of notes that are
    not there."""
    return document.copy(children=_blocks(document.children, document.notes._notes))


def _blocks(elements: Sequence[Any], notes: Any) -> list[Any]:
    done: list[Any] = []
    after_item = False
    for element in elements:
        if isinstance(element, documents.Paragraph):
            element = _paragraph(element, notes, after_item)
            after_item = element.numbering is not None or (after_item and bool(_indent(element)))
        elif hasattr(element, "children"):
            element = element.copy(children=_blocks(element.children, notes))
            after_item = False
        done.append(element)
    return done


def _paragraph(paragraph: Any, notes: Any, after_item: bool) -> Any:
    runs = [run for run in _within(paragraph.children, documents.Run) if _text(run).strip()]
    named = paragraph.style_name or ""
    plain = paragraph.numbering is None and not named.lower().startswith(("heading", "title", "subtitle"))
    only_text = not any(
        isinstance(one, documents.Image | documents.Hyperlink | documents.NoteReference)
        for one in _within(paragraph.children, documents.Element)
    )
    if plain and only_text and runs and all(_monospaced(run) for run in runs):
        children = _inlines(paragraph.children, notes, code=False)
        return paragraph.copy(children=children, style_name=CODE, style_id=None)
    children = _inlines(paragraph.children, notes, code=True)
    # What is indented after a list's item goes on with the item.
    if plain and runs and _indent(paragraph) >= _QUOTE_INDENT and not after_item:
        return paragraph.copy(children=children, style_name=QUOTE, style_id=None)
    return paragraph.copy(children=children)


def _inlines(elements: Sequence[Any], notes: Any, code: bool) -> list[Any]:
    done = []
    for element in elements:
        if isinstance(element, documents.NoteReference):
            if (element.note_type, element.note_id) not in notes:
                continue
        elif hasattr(element, "children"):
            element = element.copy(children=_inlines(element.children, notes, code))
            if isinstance(element, documents.Run) and _monospaced(element):
                name = CODE if code and _text(element).strip() else None
                element = element.copy(style_name=name, style_id=None)
        done.append(element)
    return done


def _within(elements: Sequence[Any], kind: type) -> Iterator[Any]:
    for element in elements:
        if isinstance(element, kind):
            yield element
        if hasattr(element, "children"):
            yield from _within(element.children, kind)


def _text(element: Any) -> str:
    return "".join(one.value for one in _within([element], documents.Text))


def _monospaced(run: Any) -> bool:
    font = (run.font or "").lower()
    return (run.style_name or "").lower() in _CODE_STYLES or any(name in font for name in _MONOSPACED)


def _indent(paragraph: Any) -> int:
    """How far all lines of the paragraph are indented, in twentieths of a point."""
    indent = paragraph.indent
    if indent is None or (indent.hanging or "0") != "0" or not str(indent.start or "").isdigit():
        return 0
    return int(indent.start)


def spelt_out(data: bytes) -> bytes:
    """The file with its formulas as text (`f=g·p`, `(a+b)/c`, `x^2`) and its drawn rules as `RULE`, where it
    has any: the reader that follows knows neither."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {
            name: content
            for name in archive.namelist()
            if name.startswith("word/") and name.endswith(".xml") and name.count("/") == 1
            if b"oMath>" in (content := archive.read(name)) or b':hr="' in content
        }
        if not parts:
            return data
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as copy:
            for entry in archive.infolist():
                foreign = parts.get(entry.filename)
                copy.writestr(entry, archive.read(entry) if foreign is None else _spelt_out(foreign))
    return made.getvalue()


def _spelt_out(xml: bytes) -> bytes:
    root = etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True))
    word = f"{{{root.nsmap.get('w') or root.tag[1:].partition('}')[0]}}}"
    for formula in list(root.iter(f"{_MATH}oMath")):
        _put(formula, _formula(formula), word)
    for drawing in [one.getparent() for one in root.iter() if one.get(f"{_OFFICE}hr")]:
        run = next((one for one in drawing.iterancestors(f"{word}r")), None)
        if run is not None:
            _put(run, RULE, word)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True))


def _put(element: Any, text: str, word: str) -> None:
    """A run of text in an element's place; one in a formula's own paragraph goes up to the paragraph."""
    parent = element.getparent()
    while parent is not None and parent.tag.startswith(_MATH):
        element, parent = parent, parent.getparent()
    if parent is None:
        return
    run = etree.Element(f"{word}r")
    etree.SubElement(run, f"{word}t").text = text
    parent.replace(element, run)


def _formula(element: Any) -> str:
    """A formula on one line, as one would type it."""
    name = element.tag.removeprefix(_MATH) if isinstance(element.tag, str) else ""

    def part(child: str) -> str:
        found = element.find(f"{_MATH}{child}")
        return _formula(found) if found is not None else ""

    def closed(child: str) -> str:
        text = part(child)
        return text if len(text) < 2 or text.isalnum() else f"({text})"

    match name:
        case "t":
            return element.text or ""
        case "f":
            return f"{closed('num')}/{closed('den')}"
        case "sSup":
            return f"{closed('e')}^{closed('sup')}"
        case "sSub":
            return f"{closed('e')}_{closed('sub')}"
        case "sSubSup":
            return f"{closed('e')}_{closed('sub')}^{closed('sup')}"
        case "rad":
            return f"{closed('deg')}√{closed('e')}"
        case "d":
            return f"({', '.join(_formula(one) for one in element.findall(f'{_MATH}e'))})"
        case "nary":
            return f"{_nary_sign(element)}_{closed('sub')}^{closed('sup')} {part('e')}"
        case _:
            return "".join(_formula(child) for child in element)


def _nary_sign(element: Any) -> str:
    sign = element.find(f"{_MATH}naryPr/{_MATH}chr")
    return str(sign.get(f"{_MATH}val") or "∫") if sign is not None else "∫"
