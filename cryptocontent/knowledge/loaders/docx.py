"""Word documents (Office Open XML), and Google Docs as they are exported: with headings, lists, tables,
links, quotations, code, images, footnotes and endnotes. Comments become notes beside the text, never part of
it."""

import io
import re
import zipfile
from typing import TYPE_CHECKING, Any, Final

from cryptocontent.knowledge.loaders.document import Parsed, SourceFile

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_EXPANSION = 20  # an honest DOCX is XML, which packs about tenfold; more is a bomb
_CORE = {"title": "title", "creator": "author", "created": "created", "keywords": "tags"}
_PREFIX = "cc-"
_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_STYLES: Final = "\n".join(
    [
        "p[style-name='Title'] => h1:fresh",
        "p[style-name='Subtitle'] => p:fresh",
        *(f"p[style-name='heading {level}'] => h6:fresh" for level in (7, 8, 9)),
        *(
            f"p[style-name='{name}'] => blockquote > p:fresh"
            for name in ("Quote", "Intense Quote", "Block Text", "Quotations", "cc-quote")
        ),
        *(
            f"p[style-name='{name}'] => pre:separator('\\n')"
            for name in ("HTML Preformatted", "Source Code", "Preformatted Text", "cc-code")
        ),
        *(
            f"r[style-name='{name}'] => code"
            for name in ("HTML Code", "Verbatim Char", "Source Text", "cc-code")
        ),
    ]
)


def parse(source: SourceFile) -> Parsed:
    """Read a DOCX file. Its comments are `metadata["notes"]`: see `docx_comments`."""
    import mammoth

    from cryptocontent.knowledge.loaders.docx_comments import comments_of
    from cryptocontent.knowledge.loaders.docx_text import dressed, spelt_out

    core = _core_properties(source)
    embedded: dict[str, bytes] = {}
    warnings: list[str] = []

    def take(image: Any) -> dict[str, str]:
        name = f"docx-image-{len(embedded) + 1}"
        try:
            with image.open() as file:
                embedded[name] = file.read()
        except Exception as error:  # linked, not embedded: mammoth refuses to open files and addresses
            warnings.append(f"image left out: {error}")
            return {"src": ""}
        return {"src": name}

    result = mammoth.convert_to_html(
        io.BytesIO(spelt_out(source.data)),
        convert_image=mammoth.images.img_element(take),
        style_map=_STYLES,
        id_prefix=_PREFIX,
        transform_document=dressed,
        include_embedded_style_map=False,  # the document's own word on what becomes what
    )
    text = _markdown(result.value)
    title = str(core.pop("title", "") or "")
    try:
        notes = comments_of(source.data)
    except (ValueError, KeyError, SyntaxError) as error:
        notes = []
        warnings.append(f"comments left out: {error}")
    if notes:
        core["notes"] = notes
    return Parsed(text, _MEDIA_TYPE, title, core, embedded, warnings=warnings)


def _markdown(html: str) -> str:
    """The text with its notes below it, as Markdown footnotes numbered in the order of their marks."""
    from bs4 import BeautifulSoup

    from cryptocontent.knowledge.loaders.docx_text import RULE
    from cryptocontent.knowledge.loaders.markup import markdown_of

    soup = BeautifulSoup(html, "html.parser")
    notes = _take_notes(soup)
    numbers = {name: number for number, name in enumerate(notes, 1)}
    for mark in soup.find_all("a", id=re.compile(rf"\A{_PREFIX}(?:foot|end)note-ref-")):
        number = numbers.get(str(mark.get("href", "")).removeprefix("#"))
        outer = mark.find_parent("sup") or mark
        if number is None:
            outer.decompose()
        else:
            outer.replace_with(soup.new_tag("footnotemark", attrs={"n": str(number)}))
    parts = [markdown_of(soup).replace(RULE, "---").strip("\n")]
    for name, number in numbers.items():
        # Further paragraphs of a note are indented.
        text = markdown_of(notes[name]).strip().replace("\n", "\n    ")
        parts.append(f"[^{number}]: {text}")
    return "\n\n".join(parts)


def _take_notes(soup: "BeautifulSoup") -> dict[str, "BeautifulSoup"]:
    """Cut out the list of notes that stands at the end, without the arrows that lead back; by their ids, in
    the order of their first marks. Empty ones are left out."""
    from bs4 import BeautifulSoup

    found: dict[str, BeautifulSoup] = {}
    items = soup.find_all("li", id=re.compile(rf"\A{_PREFIX}(?:foot|end)note-"))
    around: list[Tag] = [item.parent for item in items if item.parent is not None]
    for item in items:
        for arrow in item.find_all("a", href=re.compile(rf"\A#{_PREFIX}(?:foot|end)note-ref-")):
            arrow.decompose()
        if item.get_text().strip() or item.find("img"):
            found.setdefault(str(item["id"]), BeautifulSoup(item.decode_contents(), "html.parser"))
    for one in around:
        one.extract()
    return found


def _core_properties(source: SourceFile) -> dict[str, Any]:
    """Title, author, creation date and keywords. Raises UnreadableDocument for what is no sane DOCX."""
    from defusedxml import ElementTree

    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
            expanded = sum(entry.file_size for entry in archive.infolist())
            if expanded > source.max_bytes * _EXPANSION:
                raise source.unreadable(f"it expands to {expanded:,} bytes")
            names = set(archive.namelist())
            if not any(name.startswith("word/") for name in names):
                raise source.unreadable("it is not a Word document")
            xml = archive.read("docProps/core.xml") if "docProps/core.xml" in names else b""
    except zipfile.BadZipFile as error:
        raise source.unreadable("it is broken: not a DOCX archive") from error
    core: dict[str, Any] = {}
    for element in ElementTree.fromstring(xml) if xml else ():
        key = _CORE.get(str(element.tag).rpartition("}")[2])
        if key and element.text and element.text.strip():
            core[key] = element.text.strip()
    return core
