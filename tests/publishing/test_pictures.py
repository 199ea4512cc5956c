"""Pictures in what leaves the house: captions that say whom they are owed to, sizes, previews, shapes."""

import json
from dataclasses import replace
from pathlib import Path

import frontmatter
import pytest
from PIL import Image as Pillow
from sqlalchemy import Engine

from cryptocontent.content.documents import render_article
from cryptocontent.knowledge.images import find_image, save_image
from cryptocontent.knowledge.images.placing import place_image
from cryptocontent.publishing import export_project
from cryptocontent.publishing.files import image_bytes, render_articles, with_shapes
from cryptocontent.publishing.pictures import Picture, Shape, with_captions
from cryptocontent.publishing.render import to_html, to_json, to_markdown
from cryptocontent.storage import open_object_store, writing
from cryptocontent.storage.models import Article
from tests.content.articles import WIL, make_article
from tests.knowledge.test_images import chart, photo
from tests.publishing.page import Page, dangers
from tests.publishing.test_render import SHA, rendered

SHAPES = {
    "1x1": Shape("abab-1x1.jpg", 1200, 1200, "image/jpeg"),
    "4x3": Shape("abab-4x3.jpg", 1200, 900, "image/jpeg"),
    "16x9": Shape("abab-16x9.jpg", 1200, 675, "image/jpeg"),
    "thumbnail": Shape("abab-thumbnail.jpg", 320, 240, "image/jpeg"),
}
PICTURE = Picture(2400, 1800, "image/png", ("Ada Muster", "CC BY 4.0"), SHAPES)


def test_a_figure_says_its_size_and_whom_it_is_owed_to() -> None:
    item = rendered(pictures={SHA: PICTURE})
    page = Page(to_html(item))
    (shown,) = page.all("img")
    assert shown == {
        "src": "images/abab.png",
        "alt": "A diagram of the fee",
        "loading": "lazy",
        "width": "2400",
        "height": "1800",
    }
    assert len(page.all("figure")) == 1 and "Fees. Ada Muster, CC BY 4.0" in page.text
    content = frontmatter.loads(to_markdown(item)).content
    assert '(images/abab.png "Fees")\n\n*Fees. Ada Muster, CC BY 4.0*\n' in content
    assert dangers(to_html(item)) == []


@pytest.mark.parametrize(
    ("title", "credit", "caption"),
    [
        ("", (), ""),
        ("Fees", (), "Fees"),
        ("", ("Ada", "CC0"), "Ada, CC0"),
        ("Fees?", ("Ada",), "Fees? Ada"),
        ("EIP-1559", ("EIP-1559", "Ada", "Ada", "CC0"), "EIP-1559. Ada, CC0"),
    ],
)
def test_captions(title: str, credit: tuple[str, ...], caption: str) -> None:
    assert Picture(1, 1, "image/png", credit).caption(title) == caption


def test_a_caption_is_text_whatever_it_holds() -> None:
    hostile = replace(PICTURE, credit=("<script>alert(1)</script> *x* [y](https://e.example) ![](z) `c`",))
    html, markdown = (
        to_html(rendered(pictures={SHA: hostile})),
        to_markdown(rendered(pictures={SHA: hostile})),
    )
    assert dangers(html) == [] and "<script>alert(1)</script> *x*" in Page(html).text
    assert "*Fees. &lt;script&gt;alert(1)&lt;/script&gt; \\*x\\* \\[y\\](https://e.example)" in markdown


def test_only_a_picture_alone_in_its_paragraph_is_captioned() -> None:
    picture = {"images/a.png": PICTURE}
    for text in (
        "Text ![a](images/a.png) text.",
        "```\n![a](images/a.png)\n```",
        "![a](images/b.png)",
        "a\n![a](images/a.png)",
    ):
        assert with_captions(text, picture) == text
    inline = rendered(markdown=f"# T\n\nText ![a](image:{SHA}) text.\n", pictures={SHA: PICTURE})
    page = Page(to_html(inline))
    assert not page.all("figure") and page.all("img")[0]["width"] == "2400"


def test_search_engines_and_networks_get_the_shapes() -> None:
    item = rendered(pictures={SHA: PICTURE})
    page = Page(to_html(item))
    names = ["images/abab-1x1.jpg", "images/abab-4x3.jpg", "images/abab-16x9.jpg"]
    assert page.json_ld()["image"] == names
    meta = {one["property"]: one["content"] for one in page.all("meta") if "property" in one}
    assert meta["og:image"] == names[2] and meta["og:image:width"] == "1200"
    assert meta["og:image:alt"] == "A diagram of the fee" and meta["og:title"] == "The base fee, in short"
    assert item.files == ["abab.png", *(name.removeprefix("images/") for name in names)]
    somewhere = Page(to_html(replace(item, base_url="https://blog.example/fees/")))
    assert somewhere.json_ld()["image"][0] == "https://blog.example/fees/images/abab-1x1.jpg"
    assert json.loads(to_json(item))["images"][0]["shapes"]["4x3"] == names[1]


def test_a_small_picture_stands_for_itself() -> None:
    small = replace(
        PICTURE, width=200, height=150, shapes={"1x1": Shape("abab-1x1.jpg", 150, 150, "image/jpeg")}
    )
    item = rendered(pictures={SHA: small})
    assert Page(to_html(item)).json_ld()["image"] == "images/abab.png" and item.files == ["abab.png"]


def test_an_article_without_picture_is_valid_and_names_none() -> None:
    html = to_html(rendered(markdown=render_article("T", "Text.", [])))
    assert "image" not in Page(html).json_ld() and "og:" not in html and "<figure" not in html


def test_an_export_brings_the_picture_that_a_person_put_in(engine: Engine, tmp_path: Path) -> None:
    make_article(engine)
    objects = open_object_store(f"file://{tmp_path / 'objects'}")
    words = {"alt": "Fees by month", "licence": "CC0", "credit": "Bo"}
    for origin, data in (("upload", photo(1600, 1200)), ("chart", chart(800, 450))):
        described = words | {"origin": origin, "name": origin}
        save_image(engine, objects, "p", data, **described, details={}, actor=WIL.actor)  # type: ignore[arg-type]
    with writing(engine) as session:
        article = session.get_one(Article, "a")
        for name in ("chart", "upload"):
            image = find_image(session, "p", name)
            place_image(session, article, article.version_id or "", image, WIL)
        lead = find_image(session, "p", "upload").sha256
        seo = {"title": "T", "json_ld": {"@type": "Article", "image": "image:" + "0" * 64}}
    assert export_project(engine, objects, "p", tmp_path / "out").articles == 1
    names = sorted(path.name for path in (tmp_path / "out/images").iterdir())
    stem = lead[:16]
    own = {f"{stem}.jpg", *(f"{stem}-{shape}.jpg" for shape in ("1x1", "4x3", "16x9"))}
    assert own < set(names) and len(names) == 5, (
        "the chart is not the first picture, so it has no shapes here"
    )
    for name in names:
        Pillow.open(tmp_path / "out/images" / name).load()
    (item,) = with_shapes(engine, objects, "p", render_articles(engine, "p"))
    page = Page(to_html(replace(item, seo=seo)))
    assert page.json_ld()["image"] == [f"images/{stem}-{shape}.jpg" for shape in ("1x1", "4x3", "16x9")]
    assert page.text.count("Bo, CC0") == 2
    for name in item.files:
        assert image_bytes(objects, "p", item, name) == (tmp_path / "out/images" / name).read_bytes()
    with pytest.raises(KeyError):
        image_bytes(objects, "p", item, "other.png")
    again = export_project(engine, objects, "p", tmp_path / "out")
    assert (again.written, again.unchanged) == (0, 3)
