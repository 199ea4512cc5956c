"""An article as a Word document, read back by two readers that are not ours: mammoth and python-docx."""

import re
from io import BytesIO
from itertools import pairwise

import docx
import mammoth
import pytest
from bs4 import BeautifulSoup
from docx.oxml.ns import qn
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cryptocontent.publishing.render import Rendered, to_html
from cryptocontent.publishing.word import to_docx
from tests.publishing.targets.parcels import DIGEST, IMAGE, PNG, parcel

RICH = f"""# Title & more

First with **bold**, *italic*, `code` and a [link](https://a.example/x?y=1&z=2).[^1] Second.[^2]

## A list

- one
- two
  - inner
- three

1. first
2. second

Between.

1. again first

### A table

| Year | Fee |
|------|----:|
| 2024 | 12  |
| 2025 | **9** |

> A quotation.

::: notice risk
You may lose money.

All of it.
:::

![Fees & time](image:{DIGEST} "Fees by year")

```
x <- 1
```

<script>alert(1)</script>

## Sources

[^1]: Handbook, [page](https://handbook.example/fees).

[^2]: Paper.
"""


def read(markdown: str, data: bytes = PNG) -> tuple[BeautifulSoup, "docx.document.Document", bytes]:
    article = parcel().rendered.article
    item = Rendered(article, markdown, None, [], {DIGEST: IMAGE})
    made = to_docx(item, lambda name: {IMAGE: data}[name])
    html = mammoth.convert_to_html(BytesIO(made), include_embedded_style_map=False).value
    return BeautifulSoup(html, "lxml"), docx.Document(BytesIO(made)), made


@pytest.fixture(scope="module")
def rich() -> BeautifulSoup:
    return read(RICH)[0]


def texts(page: BeautifulSoup, selector: str) -> list[str]:
    return [one.get_text() for one in page.select(selector)]


def test_headings_and_marks_stay(rich: BeautifulSoup) -> None:
    assert texts(rich, "h1") == ["Title & more"]
    assert texts(rich, "h2") == ["A list", "Sources"] and texts(rich, "h3") == ["A table"]
    assert "bold" in texts(rich, "strong") and "italic" in texts(rich, "em")
    assert "x <- 1" in rich.get_text() and "<script>alert(1)</script>" in rich.get_text()


def test_links_and_citations_lead_somewhere(rich: BeautifulSoup) -> None:
    links = {one.get_text(): str(one["href"]) for one in rich.select("a[href]")}
    assert links["link"] == "https://a.example/x?y=1&z=2" and links["page"] == "https://handbook.example/fees"
    assert texts(rich, "sup") == ["[1]", "[2]"]
    for mark in ("[1]", "[2]"):
        assert rich.find(id=links[mark].removeprefix("#")) is not None
    assert "↩" not in rich.get_text()


def test_lists_are_lists_and_each_begins_at_one(rich: BeautifulSoup) -> None:
    assert texts(rich, "ul > li")[0] == "one" and "inner" in rich.get_text()
    _, document, _ = read(RICH)
    numbers = [
        one._p.pPr.numPr.numId.val
        for one in document.paragraphs
        if one.style and one.style.name == "List Number"
    ]
    assert len(numbers) == 5 and len(set(numbers)) == 3, "two lists and the sources"
    sources = [one.text for one in document.paragraphs if one.style and one.style.name == "List Number"][-2:]
    assert sources[0].startswith("Handbook, page") and sources[1].startswith("Paper.")


def test_a_table_and_a_notice(rich: BeautifulSoup) -> None:
    _, document, _ = read(RICH)
    table, notice = document.tables
    assert [[cell.text for cell in row.cells] for row in table.rows] == [
        ["Year", "Fee"],
        ["2024", "12"],
        ["2025", "9"],
    ]
    assert [one.text for one in notice.cell(0, 0).paragraphs] == ["You may lose money.", "All of it."]
    body = [one.tag.rpartition("}")[2] for one in document.element.body]
    assert ("tbl", "tbl") not in set(pairwise(body))


def test_an_image_is_inside_with_its_alt_text(rich: BeautifulSoup) -> None:
    (image,) = rich.select("img")
    assert image["alt"] == "Fees & time" and str(image["src"]).startswith("data:image/png;base64,")
    assert "Fees by year" in rich.get_text()


@pytest.mark.parametrize(("form", "size"), [("WEBP", (3000, 500)), ("JPEG", (30, 30)), ("GIF", (700, 10))])
def test_any_image_fits_the_page(form: str, size: tuple[int, int]) -> None:
    made = BytesIO()
    Image.new("RGB", size, "red").save(made, form)
    _, document, _ = read(f"# T\n\n![a](image:{DIGEST})\n", made.getvalue())
    (shape,) = document.inline_shapes
    assert shape.width.inches <= 6 and shape.width.inches / shape.height.inches == pytest.approx(
        size[0] / size[1], rel=0.02
    )


def test_an_image_that_is_not_there_is_its_alt_text() -> None:
    page, _, _ = read("# T\n\n![Somewhere](https://elsewhere.example/x.png)\n")
    assert not page.select("img") and "[Somewhere]" in page.get_text()


def test_a_list_inside_a_quotation_and_a_table_inside_a_notice_keep_their_place() -> None:
    _, document, _ = read(
        "# T\n\n> - a\n> - b\n\n::: notice risk\n| a | b |\n|---|---|\n| 1 | 2 |\n:::\n\nEnd.\n"
    )
    assert [one.tables[0].cell(1, 1).text for one in [document.tables[0].cell(0, 0)]] == ["2"]
    assert document.paragraphs[-1].text == "End."


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_its_alt_text(data: bytes) -> None:
    page, _, _ = read(f"# T\n\n![Fees](image:{DIGEST})\n", data)
    assert not page.select("img") and "[Fees]" in page.get_text()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.one_of(st.text(max_size=20), st.sampled_from(RICH.splitlines())), max_size=15).map("\n".join)
)
def test_whatever_an_article_holds_is_in_the_document(markdown: str) -> None:
    _, document, _ = read(markdown)
    written = "".join("".join(one.text or "" for one in document.element.body.iter(qn("w:t"))).split())
    item = Rendered(parcel().rendered.article, markdown, None, [], {DIGEST: IMAGE})
    article = BeautifulSoup(to_html(item), "lxml").find("article")
    assert article
    for link in article.select(".footnote-backref"):
        link.decompose()
    for word in article.get_text().split():
        assert re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", word) in written


def test_a_long_title_with_a_control_character() -> None:
    item = Rendered(parcel(title="T\x0b" * 200).rendered.article, "# T\x0b\n", None, [], {})
    assert docx.Document(BytesIO(to_docx(item, lambda name: b""))).core_properties.title == "T" * 200
