"""Real files of every format, and files that are not what they say."""

import base64
import io
import json
import struct
import zipfile
from pathlib import Path

import docx
import pytest
from fpdf import FPDF
from fpdf.enums import AccessPermission
from PIL import Image

from cryptocontent.knowledge.loaders import LoadedDocument, UnreadableDocument, load

LIMIT = 1_000_000
LONG = "Bitcoin settles transactions on a public ledger that anyone may read. "


def png(colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, limit: int = LIMIT) -> str:
    with pytest.raises(UnreadableDocument) as caught:
        load(path, limit)
    assert caught.value.path == path and str(path) in str(caught.value)
    return caught.value.reason


def test_markdown_with_front_matter_and_images(tmp_path: Path) -> None:
    put(tmp_path, "img/a b.png", png())
    put(tmp_path, "img/bad.png", b"\x89PNG not really")
    path = put(
        tmp_path,
        "docs/note.md",
        "---\ntitle: 2024 in “review”\ntags: defi, staking\nlicense: CC0\ncreated: 2024-05-01\nurl: https://a.b\n"
        "author: [Jo, Al]\nbig: .inf\n---\n# Heading\n\nText ![An  alt](../img/a%20b.png) and "
        "![again](<../img/a b.png>)"
        " ![broken](../img/bad.png) ![gone](no.png) ![web](https://a.b/c.png).\n",
    )
    document = load(path, LIMIT, root=tmp_path)
    (image,) = document.images
    assert (image.name, image.alt, image.data, image.media_type) == ("a b.png", "An alt", png(), "image/png")
    assert document.markdown == (
        f"# Heading\n\nText ![An  alt](image:{image.sha256}) and ![again](image:{image.sha256}) broken gone "
        "![web](https://a.b/c.png)."
    )
    assert document.title == '2024 in "review"'
    assert document.metadata["tags"] == ["defi", "staking"]
    assert document.metadata["licence"] == "CC0" and document.metadata["created"] == "2024-05-01"
    assert json.loads(json.dumps(document.metadata, allow_nan=False))["author"] == ["Jo", "Al"]
    assert [w.split(":")[0] for w in document.warnings] == [
        "image ../img/bad.png left out",
        "image no.png left out",
    ]


def test_images_outside_the_imported_folder_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "secret.png", png())
    path = put(
        tmp_path,
        "in/doc.md",
        "text ![a](../secret.png) ![b](/../secret.png) ![c](link.png) ![d](file:///etc/x.png)",
    )
    (tmp_path / "in/link.png").symlink_to(tmp_path / "secret.png")
    document = load(path, LIMIT)
    assert document.images == [] and document.markdown == "text a b c d"
    assert sum("outside the imported folder" in w for w in document.warnings) == 3
    assert len(load(path, LIMIT, root=tmp_path).images) == 1  # one picture, named three ways


def test_broken_front_matter_is_a_warning_and_thematic_breaks_are_no_front_matter(tmp_path: Path) -> None:
    document = load(put(tmp_path, "some_long-name.md", "---\nkey: [unclosed\n---\nText.\n"), LIMIT)
    assert document.markdown == "Text." and document.metadata == {} and "front matter" in document.warnings[0]
    assert document.title == "Some long name"
    assert load(put(tmp_path, "b.md", "---\nJust prose.\n---\nMore."), LIMIT).markdown.startswith(
        "---\nJust prose."
    )
    bomb = "---\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(7)
    )
    document = load(put(tmp_path, "bomb.md", bomb + "---\nText."), LIMIT)
    assert document.metadata == {} and "values" in document.warnings[0]


def test_title_of_markdown_is_its_first_h1_without_markup(tmp_path: Path) -> None:
    assert (
        load(put(tmp_path, "x.md", "intro\n\n# The `EXTSLOAD` *opcode*\n\n# Next"), LIMIT).title
        == "The EXTSLOAD opcode"
    )
    assert load(put(tmp_path, "y.md", "```\n# comment\n```\n\nSetext\n===\n"), LIMIT).title == "Setext"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8-sig", "The café of Zürich"),
        ("utf-16", "The café of Zürich"),
        ("utf-16-le", "Bitcoin price rose again"),
        ("utf-32", "The café"),
        ("cp1252", "The café’s naïve résumé — “quoted” costs 20 €. Nothing else was said."),
        ("cp1251", "Биткоин — это цифровая валюта. Сегодня цена выросла."),
        ("shift-jis", "ビットコインはデジタル通貨です。今日価格が上がりました。"),
        ("gb18030", "比特币是一种数字货币。今天价格上涨了。"),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, text: str) -> None:
    document = load(put(tmp_path, "a.txt", text.encode(encoding)), LIMIT)
    assert document.markdown == text.replace("’", "'").replace("“", '"').replace("”", '"')
    assert document.media_type == "text/plain"


def test_html_page(tmp_path: Path) -> None:
    put(tmp_path, "p.png", png())
    page = (
        '<html><head><meta charset="windows-1252"><title>The page</title>'
        '<meta name="author" content="Jane Doe"></head>'
        '<body><nav><a href="/">Home menu</a></nav><script>track()</script><article><h1>The page</h1>'
        f"<p>{LONG * 6}It cost 20 €.</p><h2>Part</h2><p>{LONG * 5}<a href='https://a.b/c'>Source</a></p>"
        '<img src="p.png" alt="A chart"><ul><li>one</li></ul></article><footer>Imprint</footer></body></html>'
    )
    document = load(put(tmp_path, "page.html", page.encode("cp1252")), LIMIT)
    assert document.title == "The page" and document.metadata["author"] == "Jane Doe"
    assert "20 €" in document.markdown and "\n\n## Part\n\n" in document.markdown
    assert f"![A chart](image:{document.images[0].sha256})" in document.markdown
    assert "[Source](https://a.b/c)" in document.markdown
    assert not [word for word in ("Home menu", "track", "Imprint", "<") if word in document.markdown]


def test_html_that_has_no_article_keeps_its_body(tmp_path: Path) -> None:
    cells = "".join(f"<div class='x'><span>Fact {n}</span> about <b>gas</b></div>" for n in range(40))
    data = base64.b64encode(png()).decode()
    page = f"<body><h1>Facts</h1>{cells}<img src='data:image/png;base64,{data}' alt='dot'></body>"
    document = load(put(tmp_path, "facts.htm", page), LIMIT)
    assert document.title == "Facts" and "Fact 0" in document.markdown and "Fact 39" in document.markdown


def test_docx(tmp_path: Path) -> None:
    file = docx.Document()
    file.core_properties.title = "The paper"
    file.core_properties.author = "Jo"
    file.add_heading("First", 1)
    file.add_paragraph("A “quoted” word & <tag>.")
    file.add_paragraph("an item", style="List Bullet")
    table = file.add_table(2, 2)
    for number, text in enumerate(("Asset", "Price", "BTC", "1")):
        table.cell(number // 2, number % 2).text = text
    file.add_picture(io.BytesIO(png()))
    file.save(str(tmp_path / "a.docx"))
    document = load(tmp_path / "a.docx", LIMIT)
    assert document.title == "The paper" and document.metadata["author"] == "Jo"
    assert '# First\n\nA "quoted" word & &lt;tag>.\n\n- an item' in document.markdown
    assert "| Asset | Price |\n| --- | --- |\n| BTC | 1 |" in document.markdown
    (image,) = document.images
    assert image.data == png() and f"(image:{image.sha256})" in document.markdown


def pdf() -> FPDF:
    page = FPDF()
    page.set_title("From the PDF")
    for number in range(3):
        page.add_page()
        page.set_font("Helvetica", size=9)
        page.cell(0, 5, f"Running head, page {number + 1}", new_x="LMARGIN", new_y="NEXT")
        if not number:
            page.set_font("Helvetica", size=20)
            page.cell(0, 12, "The big heading", new_x="LMARGIN", new_y="NEXT")
        page.set_font("Helvetica", size=11)
        page.multi_cell(
            90, 5, LONG * 2 + f"Here the trans-\nmission number {number} ends.", new_x="LMARGIN", new_y="NEXT"
        )
        page.ln(5)
        page.multi_cell(
            90, 5, f"A second paragraph {number} stands apart. " + LONG, new_x="LMARGIN", new_y="NEXT"
        )
    page.image(Image.open(io.BytesIO(png())))
    return page


def test_pdf(tmp_path: Path) -> None:
    document = load(put(tmp_path, "a.pdf", bytes(pdf().output())), LIMIT)
    paragraphs = document.markdown.split("\n\n")
    assert document.title == "From the PDF" and paragraphs[0] == "# The big heading"
    assert paragraphs[1] == LONG * 2 + "Here the transmission number 0 ends."
    assert paragraphs[2].startswith("A second paragraph 0 stands apart.")
    assert len(paragraphs) == 8 and "Running head" not in document.markdown
    assert len(document.images) == 1 and paragraphs[7] == f"![](image:{document.images[0].sha256})"


def test_pdf_that_is_encrypted_broken_or_scanned(tmp_path: Path) -> None:
    secret = pdf()
    secret.set_encryption(owner_password="o", user_password="u", permissions=AccessPermission.none())
    assert "password" in refusal(put(tmp_path, "secret.pdf", bytes(secret.output())))
    assert "broken" in refusal(put(tmp_path, "cut.pdf", b"%PDF-1.7\n" + b"x" * 500))
    scan = FPDF()
    scan.add_page()
    scan.image(Image.open(io.BytesIO(png())))
    assert "no text" in refusal(put(tmp_path, "scan.pdf", bytes(scan.output())))


def test_what_can_not_be_read_says_why(tmp_path: Path) -> None:
    assert "not supported" in refusal(put(tmp_path, "a.xyz", "text"))
    assert "no such file" in refusal(tmp_path / "missing.md")
    assert "empty" in refusal(put(tmp_path, "empty.md", ""))
    assert "empty" in refusal(put(tmp_path, "blank.md", "\ufeff \n\n"))
    assert "no text" in refusal(put(tmp_path, "front.md", "---\ntitle: x\n---\n"))
    assert "too large" in refusal(put(tmp_path, "large.md", "x" * 101), 100)
    assert load(put(tmp_path, "just.md", "x" * 100), 100).markdown == "x" * 100
    assert "PNG" in refusal(put(tmp_path, "image.md", png()))
    assert "binary" in refusal(put(tmp_path, "noise.txt", bytes(range(256)) * 20))
    assert "not a DOCX" in refusal(put(tmp_path, "a.docx", "plain text"))
    (tmp_path / "folder.md").mkdir()
    assert "no such file" in refusal(tmp_path / "folder.md")


def test_zip_bombs_and_image_bombs_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * 30_000_000)
    assert "expands" in refusal(put(tmp_path, "bomb.docx", buffer.getvalue()))
    bitmap = b"BM" + struct.pack(
        "<IHHIIiiHHIIiiII", 200, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0
    )
    put(tmp_path, "huge.bmp", bitmap)
    document = load(put(tmp_path, "a.md", "text ![x](huge.bmp)"), LIMIT)
    assert document.images == [] and "huge.bmp" in document.warnings[0]


def test_a_truncated_picture_is_left_out(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((80, 80), 50).save(buffer, "JPEG")
    put(tmp_path, "cut.jpg", buffer.getvalue()[: len(buffer.getvalue()) // 2])
    document = load(put(tmp_path, "a.md", "text ![x](cut.jpg)"), LIMIT)
    assert isinstance(document, LoadedDocument)
    assert document.images == [] and "broken image" in document.warnings[0]
