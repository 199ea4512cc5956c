"""A Word document with every rich element that an import must keep, in two hands: as Word writes it, and as
Google Docs exports it (`rich_docx("google")`). python-docx makes the package, the parts are ours.

What differs between the two, besides names: Word numbers notes from 1 after its separators, styles their
marks, says which comments are resolved or answered in a part of its own, and marks a table's header row;
Google numbers them from 0 without separators, marks by superscript alone, knows no quotation style and
indents instead, and writes code by its font.
"""

import io
from typing import Any, Literal

from PIL import Image, PngImagePlugin

Hand = Literal["word", "google"]

TITLE = "The anatomy of a rollup"
CHART_ALT = "Line chart: rollup fees fall from 40 to 2 cents"
COMMENTS = (
    {
        "author": "Ada Muster",
        "at": "2026-03-01T09:30:00Z",
        "quote": "batches of transactions",
        "text": "Can we say how many per batch?",
    },
    {
        "author": "Bo Beispiel",
        "at": "2026-03-01T10:00:00Z",
        "quote": "batches of transactions",
        "text": "About 2,000. SECRET-REMARK",
    },
    {
        "author": "Ada Muster",
        "at": "2026-03-02T08:00:00Z",
        "quote": "one week",
        "text": "Checked.",
    },
)
"""What people remarked: a remark, its answer, and one that is resolved (where the hand can say so)."""

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_NAMESPACES = (
    f'xmlns:w="{_W}" xmlns:r="{_R}" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" '
    'xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" '
    'xmlns:w15="http://schemas.microsoft.com/office/word/2012/wordml"'
)
_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml."


def chart_png() -> bytes:
    """The picture in the document: a PNG that says who made it, where."""
    noted = PngImagePlugin.PngInfo()
    noted.add_text("Author", "Ada Muster, 52.5200 N 13.4050 E")
    made = io.BytesIO()
    picture = Image.new("RGB", (64, 40), "white")
    picture.putpixel((10, 10), (200, 30, 30))
    picture.save(made, "PNG", pnginfo=noted)
    return made.getvalue()


def rich_docx(hand: Hand = "word") -> bytes:
    """The document's bytes."""
    import docx
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.oxml import parse_xml

    document = docx.Document()
    document.core_properties.title = TITLE if hand == "word" else ""
    document.core_properties.author = "Ada Muster"
    part = document.part
    link = part.relate_to("https://l2.example/report?a=1&b=2", RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
    image, _ = part.get_or_add_image(io.BytesIO(chart_png()))
    body = parse_xml(f"<w:body {_NAMESPACES}>{_body(hand, link, image)}</w:body>")
    old = document.element.body
    for child in list(old)[:-1]:
        old.remove(child)
    for child in reversed(list(body)):
        old.insert(0, child)
    part.numbering_part._element = parse_xml(_numbering())
    for kind in ("footnotes", "endnotes"):
        _add(part, kind, _notes(hand, kind), f"{_R}/{kind}", _TYPE + f"{kind}+xml", hand)
    _add(part, "comments", _comments(hand), f"{_R}/comments", _TYPE + "comments+xml", hand)
    if hand == "word":
        extended = "http://schemas.microsoft.com/office/2011/relationships/commentsExtended"
        _add(part, "commentsExtended", _extended(), extended, _TYPE + "commentsExtended+xml", hand)
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()


def _add(part: Any, name: str, xml: str, relation: str, media_type: str, hand: Hand) -> None:
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part

    # Nobody promised a name: the relationship tells which part it is.
    number = "1" if hand == "word" and name in ("footnotes", "comments") else ""
    made = Part(PackURI(f"/word/{name}{number}.xml"), media_type, xml.encode(), part.package)
    if name == "footnotes":
        made.relate_to("https://notes.example/paper", RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
    part.relate_to(made, relation)


def _body(hand: Hand, link: str, image: str) -> str:
    google = hand == "google"
    quote = (
        _p("A rollup is a blockchain that borrows its safety.", indent=720)
        if google
        else _p("A rollup is a blockchain that borrows its safety.", style="Quote")
    )
    return "".join(
        [
            _p(TITLE, style="Title"),
            _p("A field guide for editors", style="Subtitle"),
            *(
                _p(f"Level {level} of the guide", style=f"Heading{level}")
                + _p(f"Text below heading {level} says what the level is for.")
                for level in range(1, 7)
            ),
            _p("Marks", style="Heading1"),
            _paragraph(
                _t("Rollups are "),
                _t("cheap", "<w:b/>"),
                _t(", "),
                _t("fast", "<w:i/>"),
                _t(", "),
                _t("both", "<w:b/><w:i/>"),
                _t(", "),
                _t("free", "<w:strike/>"),
                _t(" and call "),
                _t("submit_batch(x)", '<w:rFonts w:ascii="Roboto Mono" w:hAnsi="Roboto Mono"/>')
                if google
                else _t("submit_batch(x)", '<w:rFonts w:ascii="Courier New" w:hAnsi="Courier New"/>'),
                _t(" for 10"),
                _t("6", '<w:vertAlign w:val="superscript"/>'),
                _t(" gas and H"),
                _t("2", '<w:vertAlign w:val="subscript"/>'),
                _t("O, "),
                _t("underlined", '<w:u w:val="single"/>'),
                _t("."),
            ),
            _paragraph(
                _t("Read "),
                f'<w:hyperlink r:id="{link}">{_t("the L2 report", "<w:b/>")}</w:hyperlink>',
                _t(" or "),
                _field("https://field.example/x", "the field guide"),
                _t(" or "),
                f'<w:hyperlink w:anchor="_top">{_t("the top")}</w:hyperlink>',
                _t("."),
            ),
            _p(
                "Signs: * _ # [brackets](not a link) [^9] ~~ ` | < > & \\ $5 – — … ≤ × € £ ß é 中文 🚀 "
                "“curly” ‘single’ <b>no tag</b> &amp; 1. no list",
            ),
            _p("# no heading"),
            _p("- no list item"),
            _p("12. no list item either"),
            _p("Notes and remarks", style="Heading1"),
            _paragraph(
                _t("A sequencer posts "),
                _range(0, 1),
                _t("batches of transactions"),
                _range_end(0, 1),
                _t(" to Ethereum"),
                _mark(hand, "footnote", 1),
                _t(" and pays for calldata."),
                _mark(hand, "footnote", 2),
            ),
            _paragraph(
                _t("Withdrawals from an optimistic rollup wait for "),
                _range(2),
                _t("one "),
                _t("week", "<w:b/>"),
                _range_end(2),
                _mark(hand, "endnote", 1),
                _t("(at the time of writing) before they can be claimed on Ethereum."),
            ),
            _p("Lists", style="Heading1"),
            _item("Optimistic rollups", 1, 0),
            _item("wait for fraud proofs", 1, 1),
            _item("for seven days", 1, 2),
            _item("trust one honest watcher", 1, 1),
            _item("Validity rollups", 1, 0),
            _p("The steps are these."),
            _item("Collect", 2, 0),
            _item("from the mempool", 2, 1),
            _item("from the bridge", 2, 1),
            _item("deposits first", 2, 2),
            _item("Prove", 2, 0),
            _p("A table", style="Heading1"),
            _table(hand, link),
            _p("A picture", style="Heading1"),
            _paragraph(_picture(image, CHART_ALT)),
            _paragraph(_t("Inline, too: "), _picture(image, "", number=2), _t(" is the sign of the rollup.")),
            _p("A quotation", style="Heading1"),
            quote,
            _p("Code", style="Heading1"),
            _code("def prove(batch):", google),
            _code("    return snark(batch) | 0", google),
            _paragraph('<w:r><w:br w:type="page"/></w:r>'),
            _p("After a break of the page", style="Heading2"),
            _paragraph(
                _t("The fee is "),
                "<m:oMath><m:r><m:t>f=</m:t></m:r><m:r><m:t>g·p</m:t></m:r></m:oMath>",
                _t(" per batch."),
            ),
            _paragraph('<w:r><w:pict><v:rect o:hr="t" o:hrstd="t"/></w:pict></w:r>'),
            _p("The end of the guide."),
        ]
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _t(text: str, properties: str = "") -> str:
    inner = f"<w:rPr>{properties}</w:rPr>" if properties else ""
    return f'<w:r>{inner}<w:t xml:space="preserve">{_escaped(text)}</w:t></w:r>'


def _paragraph(*runs: str, properties: str = "") -> str:
    return f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}{''.join(runs)}</w:p>"


def _p(text: str, style: str = "", indent: int = 0) -> str:
    properties = f'<w:pStyle w:val="{style}"/>' if style else ""
    properties += f'<w:ind w:left="{indent}" w:firstLine="0"/>' if indent else ""
    return _paragraph(_t(text), properties=properties)


def _code(text: str, google: bool) -> str:
    font = "Roboto Mono" if google else "Consolas"
    return _paragraph(_t(text, f'<w:rFonts w:ascii="{font}" w:hAnsi="{font}" w:cs="{font}"/>'))


def _field(address: str, text: str) -> str:
    """A link as Word wrote it before there was an element for it."""
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f'<w:r><w:instrText xml:space="preserve"> HYPERLINK "{address}" </w:instrText></w:r>'
        f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{_t(text)}'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def _item(text: str, numbering: int, level: int) -> str:
    properties = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{numbering}"/></w:numPr>'
    return _paragraph(
        _t(text), properties=properties + f'<w:ind w:left="{720 * (level + 1)}" w:hanging="360"/>'
    )


def _numbering() -> str:
    """List 1: bullets, numbers, bullets by level; list 2: numbers, bullets, numbers."""
    found = []
    for number, formats in ((1, ("bullet", "decimal", "bullet")), (2, ("decimal", "bullet", "lowerRoman"))):
        levels = "".join(
            f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/>'
            f'<w:lvlText w:val="%{level + 1}."/></w:lvl>'
            for level, kind in enumerate(formats)
        )
        found.append(f'<w:abstractNum w:abstractNumId="{number}">{levels}</w:abstractNum>')
    nums = "".join(f'<w:num w:numId="{n}"><w:abstractNumId w:val="{n}"/></w:num>' for n in (1, 2))
    return f'<w:numbering xmlns:w="{_W}">{"".join(found)}{nums}</w:numbering>'


def _table(hand: Hand, link: str) -> str:
    def cell(*paragraphs: str, properties: str = "") -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr>{''.join(paragraphs)}</w:tc>"

    header = "" if hand == "google" else "<w:trPr><w:tblHeader/></w:trPr>"
    merged, continued, wide = '<w:vMerge w:val="restart"/>', "<w:vMerge/>", '<w:gridSpan w:val="3"/>'
    fraud = _paragraph(_t("fraud", "<w:b/>"), "<w:r><w:br/></w:r>", _t("one week"))
    rows = [
        [header, *(cell(_p(name)) for name in ("Rollup", "Year", "Proof | kind", "Fee"))],
        [
            cell(_paragraph(f'<w:hyperlink r:id="{link}">{_t("Alpha")}</w:hyperlink>')),
            cell(_p("2024"), properties=merged),
            cell(fraud),
            cell(_paragraph(_t("$0.02"), _mark(hand, "footnote", 3))),
        ],
        [
            cell(_p("Beta")),
            cell(_p(""), properties=continued),
            cell(_p("validity"), _p("minutes")),
            cell(_p("$0.03")),
        ],
        [cell(_p("Both are on Ethereum"), properties=wide), cell(_p("n/a"))],
    ]
    written = "".join(f"<w:tr>{''.join(row)}</w:tr>" for row in rows)
    return f"<w:tbl><w:tblPr/><w:tblGrid/>{written}</w:tbl>"


def _picture(relation: str, alt: str, number: int = 1) -> str:
    described = f' descr="{_escaped(alt)}"' if alt else ""
    return (
        '<w:r><w:drawing><wp:inline><wp:extent cx="640000" cy="400000"/>'
        f'<wp:docPr id="{number}" name="image{number}.png"{described}/>'
        '<a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic>'
        f'<pic:nvPicPr><pic:cNvPr id="0" name="image{number}.png"/><pic:cNvPicPr/></pic:nvPicPr>'
        f'<pic:blipFill><a:blip r:embed="{relation}"/></pic:blipFill><pic:spPr/></pic:pic></a:graphicData>'
        "</a:graphic></wp:inline></w:drawing></w:r>"
    )


def _mark(hand: Hand, kind: str, number: int) -> str:
    if hand == "google":
        properties, number = '<w:vertAlign w:val="superscript"/>', number - 1
    else:
        properties = f'<w:rStyle w:val="{kind.capitalize()}Reference"/>'
    return f'<w:r><w:rPr>{properties}</w:rPr><w:{kind}Reference w:id="{number}"/></w:r>'


def _notes(hand: Hand, kind: str) -> str:
    one = kind[:-1]
    texts = {
        "footnotes": [
            _paragraph(_own(one), _t(" Ethereum is "), _t("layer one", "<w:i/>"), _t("; see "),
                       f'<w:hyperlink r:id="rId1">{_t("the paper")}</w:hyperlink>', _t(".")),
            _paragraph(_own(one), _t(" Since EIP-4844 it pays for blobs instead."))
            + _p("A second paragraph of the note."),
            _paragraph(_own(one), _t(" In dollars of March 2026.")),
        ],
        "endnotes": [_paragraph(_own(one), _t(" Seven days on most of them."))],
    }[kind]  # fmt: skip
    first = 0 if hand == "google" else 1
    parts = []
    if hand == "word":
        for number, name in ((-1, "separator"), (0, "continuationSeparator")):
            inner = f"<w:p><w:r><w:{name}/></w:r></w:p>"
            parts.append(f'<w:{one} w:type="{name}" w:id="{number}">{inner}</w:{one}>')
    parts += [f'<w:{one} w:id="{number}">{text}</w:{one}>' for number, text in enumerate(texts, first)]
    return f"<w:{kind} {_NAMESPACES}>{''.join(parts)}</w:{kind}>"


def _own(kind: str) -> str:
    return f'<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:{kind}Ref/></w:r>'


def _range(*numbers: int) -> str:
    return "".join(f'<w:commentRangeStart w:id="{number}"/>' for number in numbers)


def _range_end(*numbers: int) -> str:
    return "".join(
        f'<w:commentRangeEnd w:id="{number}"/><w:r><w:commentReference w:id="{number}"/></w:r>'
        for number in numbers
    )


def _comments(hand: Hand) -> str:
    parts = []
    for number, one in enumerate(COMMENTS):
        initials = ' w:initials="AM"' if hand == "word" else ""
        identity = f' w14:paraId="0000000{number + 1}"' if hand == "word" else ""
        own = "<w:r><w:annotationRef/></w:r>" if hand == "word" else ""
        parts.append(
            f'<w:comment w:id="{number}" w:author="{one["author"]}" w:date="{one["at"]}"{initials}>'
            f"<w:p{identity}>{own}{_t(one['text'])}</w:p></w:comment>"
        )
    return f"<w:comments {_NAMESPACES}>{''.join(parts)}</w:comments>"


def _extended() -> str:
    return (
        f"<w15:commentsEx {_NAMESPACES}>"
        '<w15:commentEx w15:paraId="00000001" w15:done="0"/>'
        '<w15:commentEx w15:paraId="00000002" w15:paraIdParent="00000001" w15:done="0"/>'
        '<w15:commentEx w15:paraId="00000003" w15:done="1"/></w15:commentsEx>'
    )
