"""One article's version as a Word document, with its images inside: the format in which Google Docs takes a
document over with everything (its import of HTML leaves images out). Made of the sanitised HTML, so that
nothing stands in it that the HTML would not show.
"""

import re
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from cryptocontent.publishing.render import Rendered, to_html

if TYPE_CHECKING:
    from docx.document import Document
    from docx.text.paragraph import Paragraph

_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4}
_WIDTH = 6.0  # inches between the margins of a letter page
_PIXELS_PER_INCH = 96
_MONO = "Courier New"
_TITLE = 255  # characters that a document's properties hold
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_docx(item: Rendered, image: Callable[[str], bytes]) -> bytes:
    """The document: headings, paragraphs, lists, tables, quotations, notices as boxes, images with their alt
    text, links, and the sources as a numbered list to which citations lead. `image` gives an image's bytes
    by its file name."""
    from bs4 import BeautifulSoup
    from docx import Document

    document = Document()
    article = BeautifulSoup(_NOT_XML.sub("", to_html(item)), "lxml").find("article")
    document.core_properties.title = _NOT_XML.sub("", item.article["title"])[:_TITLE]
    document.core_properties.author = ""
    document.core_properties.comments = ""
    writer = _Writer(document, {f"images/{name}": name for name in item.images.values()}, image)
    writer.blocks(article, document)
    made = BytesIO()
    document.save(made)
    return made.getvalue()


class _Writer:
    def __init__(self, document: "Document", files: dict[str, str], image: Callable[[str], bytes]) -> None:
        self.document, self.files, self.image = document, files, image
        self.bookmarks = 0

    def blocks(self, element: Any, place: Any) -> None:
        """The element's blocks, at the end of a place: the document or a table's cell."""
        for child in element.find_all(True, recursive=False):
            self.block(child, place)

    def block(self, element: Any, place: Any) -> None:
        match element.name:
            case "h1" | "h2" | "h3" | "h4":
                self.inline(element, place.add_paragraph(style=f"Heading {_HEADINGS[element.name]}"))
            case "p" | "figcaption":
                self.inline(element, place.add_paragraph())
            case "ul" | "ol":
                self.list(element, place, 1)
            case "table":
                self.table(element, place)
            case "blockquote":
                for part in element.find_all(True, recursive=False):
                    if part.name == "p":
                        self.inline(part, place.add_paragraph(style="Intense Quote"))
                    else:
                        self.block(part, place)
            case "aside":
                box = self.grid(1, 1, place).cell(0, 0)
                first = box.paragraphs[0]
                self.blocks(element, box)
                if len(box.paragraphs) > 1:
                    first._p.getparent().remove(first._p)  # the empty line that a cell is born with
                self.space(place)
            case "pre":
                run = place.add_paragraph().add_run(element.get_text().rstrip("\n"))
                run.font.name = _MONO
            case "hr":
                place.add_paragraph("* * *")
            case "img":
                self.picture(element, place.add_paragraph())
            case "br":
                pass
            case _:
                self.blocks(element, place)

    def list(self, element: Any, place: Any, depth: int) -> None:
        kind = "Number" if element.name == "ol" else "Bullet"
        style = f"List {kind}" + (f" {min(depth, 3)}" if depth > 1 else "")
        numbering = self.numbering(style) if kind == "Number" else None
        for item in element.find_all("li", recursive=False):
            paragraph = place.add_paragraph(style=style)
            if numbering is not None:
                properties = paragraph._p.get_or_add_pPr().get_or_add_numPr()
                properties.get_or_add_numId().val = numbering
                properties.get_or_add_ilvl().val = 0
            if item.get("id"):
                self.bookmark(paragraph, item["id"])
            inner = [one for one in item.find_all(True, recursive=False) if one.name in ("ul", "ol")]
            for one in inner:
                one.extract()
            self.inline(item, paragraph)
            while (
                paragraph.runs
                and not paragraph.runs[-1].text.strip()
                and not paragraph.runs[-1]._r.drawing_lst
            ):
                paragraph.runs[-1]._r.getparent().remove(paragraph.runs[-1]._r)  # where links back were
            for one in inner:
                self.list(one, place, depth + 1)

    def numbering(self, style: str) -> int:
        """A numbering of its own for one list, which begins at 1."""
        found: Any = self.document.styles[style].element
        lists: Any = self.document.part.numbering_part.element
        former = lists.num_having_numId(found.pPr.numPr.numId.val)
        made = lists.add_num(former.abstractNumId.val)
        made.add_lvlOverride(ilvl=0).add_startOverride(1)
        return int(made.numId)

    def table(self, element: Any, place: Any) -> None:
        rows = [row.find_all(["td", "th"]) for row in element.find_all("tr")]
        columns = max((len(row) for row in rows), default=0)
        if not columns:
            return
        made = self.grid(len(rows), columns, place)
        for cells, row in zip(rows, made.rows, strict=True):
            for cell, target in zip(cells, row.cells, strict=False):
                self.inline(cell, target.paragraphs[0], bold=cell.name == "th")
        self.space(place)

    def grid(self, rows: int, columns: int, place: Any) -> Any:
        made = place.add_table(rows, columns)
        made.style = self.document.styles["Table Grid"]
        return made

    def space(self, place: Any) -> None:
        """A line after a table: two in a row would become one. In a cell it is there already."""
        if place is self.document:
            place.add_paragraph()

    def inline(self, element: Any, paragraph: "Paragraph", **marks: Any) -> None:
        """The element's text and marks, at the end of a paragraph."""
        from bs4.element import Comment, NavigableString

        for child in element.children:
            if isinstance(child, Comment):
                continue
            if isinstance(child, NavigableString):
                self.text(str(child), paragraph, marks)
                continue
            match child.name:
                case "strong":
                    self.inline(child, paragraph, **marks | {"bold": True})
                case "em":
                    self.inline(child, paragraph, **marks | {"italic": True})
                case "code":
                    self.inline(child, paragraph, **marks | {"mono": True})
                case "sup":
                    self.inline(child, paragraph, **marks | {"superscript": True})
                case "br":
                    paragraph.add_run().add_break()
                case "img":
                    self.picture(child, paragraph)
                case "a" if "footnote-backref" in child.get("class", []):
                    pass
                case "a" if child.get("href"):
                    self.inline(child, paragraph, **marks | {"link": child["href"]})
                case _:
                    self.inline(child, paragraph, **marks)

    def text(self, text: str, paragraph: "Paragraph", marks: dict[str, Any]) -> None:
        text = " ".join(text.split("\n"))
        if not text.strip() and not paragraph.runs:
            return
        run = paragraph.add_run(text)
        run.bold, run.italic = marks.get("bold"), marks.get("italic")
        run.font.superscript = marks.get("superscript")
        if marks.get("mono"):
            run.font.name = _MONO
        if marks.get("link"):
            self.link(run, paragraph, marks["link"])

    def link(self, run: Any, paragraph: "Paragraph", href: str) -> None:
        from docx.opc.constants import RELATIONSHIP_TYPE
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn

        link: Any = OxmlElement("w:hyperlink")
        if href.startswith("#"):
            link.set(qn("w:anchor"), href[1:])
        else:
            relation = paragraph.part.relate_to(href, RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
            link.set(qn("r:id"), relation)
        paragraph._p.append(link)
        link.append(run._r)

    def bookmark(self, paragraph: "Paragraph", name: str) -> None:
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn

        for tag in ("w:bookmarkStart", "w:bookmarkEnd"):
            mark: Any = OxmlElement(tag)
            mark.set(qn("w:id"), str(self.bookmarks))
            if tag == "w:bookmarkStart":
                mark.set(qn("w:name"), name)
            paragraph._p.append(mark)
        self.bookmarks += 1

    def picture(self, element: Any, paragraph: "Paragraph") -> None:
        """The image, not wider than the page; of one that is not ours or no image at all, its alt text."""
        from docx.shared import Inches

        alt, name = element.get("alt", ""), self.files.get(element.get("src", ""))
        found = _readable(self.image(name)) if name else None
        if found is None:
            paragraph.add_run(f"[{alt}]" if alt else "")
            return
        data, width = found
        shape = paragraph.add_run().add_picture(BytesIO(data), width=Inches(width))
        properties: Any = shape._inline.docPr
        properties.set("descr", alt)
        if element.get("title"):
            paragraph.add_run().add_break()
            paragraph.add_run(element["title"]).italic = True


def _readable(data: bytes) -> tuple[bytes, float] | None:
    """An image in a format that Word knows, and its width in inches."""
    from PIL import Image

    try:
        with Image.open(BytesIO(data)) as opened:
            width = min(opened.width / _PIXELS_PER_INCH, _WIDTH)
            if opened.format in ("PNG", "JPEG", "GIF"):
                return data, width
            converted = BytesIO()
            opened.convert("RGBA").save(converted, "PNG")
            return converted.getvalue(), width
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
