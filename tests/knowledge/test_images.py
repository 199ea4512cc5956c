"""The library of images: what is kept, in which sizes, and how an image comes into an article."""

import io
from pathlib import Path

import pytest
from PIL import Image as Pillow
from PIL import ImageDraw
from sqlalchemy import Engine, select

from cryptocontent.content.documents import Figure
from cryptocontent.content.versions import StaleEdit
from cryptocontent.errors import NotAllowed, NotFound, Refused
from cryptocontent.knowledge.images import ensure_renditions, find_image, list_images, save_image
from cryptocontent.knowledge.images.placing import place_image, with_figure
from cryptocontent.knowledge.images.renditions import renditions_of
from cryptocontent.knowledge.images.store import describe_image
from cryptocontent.knowledge.loaders import load_data
from cryptocontent.knowledge.saving import ImportReport, Incoming, save_documents
from cryptocontent.storage import ObjectStore, open_object_store, reading, writing
from cryptocontent.storage.models import Article, AuditEntry, Image, ImageRendition, Version
from cryptocontent.storage.object_store import image_key, rendition_key
from tests.content.articles import VIC, WHO, WIL, make_article
from tests.knowledge.test_image_cleaning import SVG, encoded, jpeg_with_everything, picture

ALT = "Validators in a row, each with a padlock"


def photo(width: int, height: int) -> bytes:
    """A picture whose edge is of many colours."""
    made = Pillow.linear_gradient("L").resize((width, height)).convert("RGB")
    return encoded(made, "JPEG", quality=60)


def chart(width: int, height: int) -> bytes:
    """A picture with an edge of one colour and something near it."""
    made = Pillow.new("RGB", (width, height), "ivory")
    ImageDraw.Draw(made).rectangle((4, 4, width - 5, height - 5), outline="navy", width=3)
    return encoded(made, "PNG")


class Watched:
    """A store that counts what is put into it, and looks whether a transaction is open meanwhile."""

    def __init__(self, store: ObjectStore, engine: Engine) -> None:
        self.store, self.engine, self.put_keys = store, engine, list[str]()

    def put(self, key: str, data: bytes, media_type: str) -> None:
        with writing(self.engine):  # SQLite has one writer: this would wait in vain for an open transaction
            self.put_keys.append(key)
        self.store.put(key, data, media_type)

    def get(self, key: str) -> bytes:
        return self.store.get(key)

    def exists(self, key: str) -> bool:
        return self.store.exists(key)


@pytest.fixture
def objects(engine: Engine, tmp_path: Path) -> Watched:
    make_article(engine)
    return Watched(open_object_store(f"file://{tmp_path / 'objects'}"), engine)


def save(engine: Engine, objects: ObjectStore, data: bytes, **changes: object) -> str:
    values: dict[str, object] = {
        "origin": "upload",
        "name": "validators.jpg",
        "alt": ALT,
        "licence": "CC BY 4.0",
        "credit": "Ada Muster",
        "details": {},
        "actor": WIL.actor,
    }
    return save_image(engine, objects, "p", data, **values | changes)  # type: ignore[arg-type]


def audited(engine: Engine) -> list[str]:
    with reading(engine) as session:
        entries = select(AuditEntry.action).where(AuditEntry.action.like("image.%")).order_by(AuditEntry.seq)
        return list(session.scalars(entries))


def test_an_image_is_kept_clean_described_and_audited_once(engine: Engine, objects: Watched) -> None:
    sha256 = save(engine, objects, jpeg_with_everything())
    assert save(engine, objects, jpeg_with_everything()) == sha256
    assert b"SECRET" not in objects.get(image_key("p", sha256)) and len(objects.put_keys) == 1
    assert audited(engine) == ["image.added"]
    assert save(engine, objects, objects.get(image_key("p", sha256)), credit="Bo Beispiel") == sha256
    with reading(engine) as session:
        (row,) = list_images(session, "p")
        entry = session.scalars(select(AuditEntry).filter_by(action="image.described")).one()
    assert (row["alt"], row["credit"], row["origin"], row["width"]) == (ALT, "Bo Beispiel", "upload", 64)
    assert entry.data == {"credit": ["Ada Muster", "Bo Beispiel"]} and entry.actor == "person:wil"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"alt": "  "}, "say in words what the picture shows"),
        ({"alt": "validators.jpg"}, "is a file's name"),
        ({"alt": "Some photo.PNG"}, "is a file's name"),
        ({"alt": "Validators_2024", "file_name": "validators-2024.jpg"}, "is a file's name"),
        ({"alt": "An image"}, "does not say what the picture shows"),
        ({"alt": "picture 12"}, "does not say what the picture shows"),
        ({"alt": "x" * 1_001}, "alt: 1001 characters; allowed are 1000"),
        ({"origin": "reference"}, "origin 'reference': allowed are upload, chart"),
        ({"file_name": "x.png"}, "image 'x.png': it is said to be a PNG"),
        ({"renditions": {"2x1": (b"", "")}}, "rendition '2x1': allowed are thumbnail"),
        ({"renditions": {"svg": (b"<html/>", "image/svg+xml")}}, "not an SVG element"),
        ({"renditions": {"1x1": (b"x", "image/png")}}, "not an image"),
    ],
)
def test_what_is_not_described_or_not_a_picture_is_not_kept(
    engine: Engine, objects: Watched, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(Refused, match=reason.replace("(", r"\(")):
        save(engine, objects, photo(80, 60), **changes)
    with reading(engine) as session:
        assert not session.scalars(select(Image)).all()
    assert objects.put_keys == [] and audited(engine) == []


def test_renditions_are_made_once_and_outside_of_transactions(engine: Engine, objects: Watched) -> None:
    sha256, other = save(engine, objects, photo(2400, 1800)), save(engine, objects, photo(300, 200), name="b")
    objects.put_keys.clear()
    made = ensure_renditions(engine, objects, "p", [sha256, "0" * 64, other, sha256])
    assert set(made) == {sha256, other} and len(objects.put_keys) == 8
    assert {name: (one.width, one.height) for name, one in made[sha256].items()} == {
        "thumbnail": (320, 240),
        "1x1": (1200, 1200),
        "4x3": (1200, 900),
        "16x9": (1200, 675),
    }
    for name, row in made[sha256].items():
        data = objects.get(rendition_key("p", sha256, name))
        assert len(data) == row.bytes and row.media_type == "image/jpeg"
        assert Pillow.open(io.BytesIO(data)).size == (row.width, row.height)
    assert ensure_renditions(engine, objects, "p", [sha256, other]).keys() == made.keys()
    assert len(objects.put_keys) == 8
    assert ensure_renditions(engine, objects, "another", [sha256]) == {}


def test_a_rendition_of_ones_own_is_not_made_over(engine: Engine, objects: Watched) -> None:
    drawing = SVG.format(a='viewBox="0 0 8 6"', b="").encode()
    own = encoded(picture(size=(600, 600)), "PNG")
    sha256 = save(
        engine,
        objects,
        chart(1200, 675),
        origin="chart",
        renditions={"svg": (drawing, "image/svg+xml"), "1x1": (own, "image/png")},
        details={"series": ["bitcoin"]},
    )
    made = ensure_renditions(engine, objects, "p", [sha256])[sha256]
    assert set(made) == {"svg", "thumbnail", "1x1", "4x3", "16x9"} and made["1x1"].width == 600
    assert objects.get(rendition_key("p", sha256, "1x1")) == own
    assert objects.get(rendition_key("p", sha256, "svg")) == drawing
    with reading(engine) as session:
        shown = describe_image(session, find_image(session, "p", "validators.jpg"))
    assert shown["details"] == {"series": ["bitcoin"]} and len(shown["renditions"]) == 5


def test_a_photo_is_cropped_around_its_middle_and_never_enlarged() -> None:
    wide = Pillow.new("RGB", (900, 300), "red")
    wide.paste("lime", (300, 0, 600, 300))
    wide.paste("blue", (600, 0, 900, 300))
    square = renditions_of(encoded(wide, "PNG"), ["1x1"])["1x1"]
    middle = Pillow.open(io.BytesIO(square.data)).convert("RGB")
    assert middle.size == (300, 300) and middle.getpixel((5, 150)) == middle.getpixel((295, 150)) == (
        0,
        255,
        0,
    )
    tiny = renditions_of(photo(40, 30))
    assert {name: (one.width, one.height) for name, one in tiny.items()} == {
        "thumbnail": (40, 30),
        "1x1": (30, 30),
        "4x3": (40, 30),
        "16x9": (40, 22),
    }


@pytest.mark.parametrize("size", [(1600, 400), (400, 1600), (300, 100)])
def test_a_chart_is_shown_whole_on_the_colour_of_its_edge(size: tuple[int, int]) -> None:
    for name, one in renditions_of(chart(*size), ["1x1", "4x3", "16x9"]).items():
        whole = Pillow.open(io.BytesIO(one.data)).convert("RGB")
        wide, high = (int(part) for part in name.split("x"))
        assert abs(whole.width / whole.height - wide / high) < 0.02 and max(whole.size) <= 1200
        assert whole.getpixel((0, 0)) == (255, 255, 240), "the edge goes on"
        box = whole.convert("L").point(lambda value: 255 * (value < 200)).getbbox()
        assert box is not None
        ratio = (box[2] - box[0]) / (box[3] - box[1])
        assert abs(ratio - (size[0] - 8) / (size[1] - 8)) / ratio < 0.05, "nothing is cut off"
        assert box[2] - box[0] <= size[0], "nor enlarged"


def test_transparency_is_kept_in_thumbnails_and_white_elsewhere() -> None:
    glass = Pillow.new("RGBA", (600, 600), (0, 0, 0, 0))
    glass.paste((200, 0, 0, 255), (200, 200, 400, 400))
    made = renditions_of(encoded(glass, "PNG"))
    assert Pillow.open(io.BytesIO(made["thumbnail"].data)).getchannel("A").getextrema() == (0, 255)
    assert Pillow.open(io.BytesIO(made["16x9"].data)).convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    assert renditions_of(encoded(glass, "PNG")) == made, "the same picture gives the same files"
    assert renditions_of(b"no picture") == {}


def test_deep_and_printed_pictures_have_renditions_of_the_right_lightness() -> None:
    grey = Pillow.new("I;16", (400, 400), 32_768)
    grey.paste(65_535, (0, 0, 200, 400))
    found = Pillow.open(io.BytesIO(renditions_of(encoded(grey, "PNG"), ["1x1"])["1x1"].data)).convert("L")
    assert found.getpixel((390, 200)) == pytest.approx(128, abs=2) and found.getpixel((10, 200)) == 255


def test_an_image_is_found_by_name_or_digits(engine: Engine, objects: Watched) -> None:
    first = save(engine, objects, photo(50, 40), name="A row")
    second = save(engine, objects, photo(60, 40), name="A column")
    with reading(engine) as session:
        for name in ("A row", first, first[:6].upper(), f"image:{first[:10]}"):
            assert find_image(session, "p", name).sha256 == first
        with pytest.raises(NotFound, match="no image 'nothing' among its 2"):
            find_image(session, "p", "nothing")
        with pytest.raises(NotFound, match="no image"):
            find_image(session, "p", first[:5])
    save(engine, objects, photo(70, 40), name="A column")
    with reading(engine) as session, pytest.raises(NotFound, match=f"several: .*{second[:12]}"):
        find_image(session, "p", "A column")


def place(engine: Engine, image: str, by: object = WIL, **options: str) -> Version:
    with writing(engine) as session:
        article = session.get_one(Article, "a")
        found = find_image(session, "p", image)
        return place_image(session, article, article.version_id or "", found, by, **options)  # type: ignore[arg-type]


def test_an_image_goes_below_a_heading_and_all_else_stays(engine: Engine, objects: Watched) -> None:
    sha256 = save(engine, objects, photo(80, 60), alt="Blobs [in red]")
    with reading(engine) as session:
        before = session.get_one(Version, session.get_one(Article, "a").version_id)
    version = place(engine, sha256, after=" BLOBS ")
    figure = f"![Blobs (in red)](image:{sha256})\n\n"
    assert f"## Blobs\n\n{figure}A blob holds" in version.markdown
    # The first version is an agent's and has no list of sources in this test; saving adds it.
    assert version.markdown.replace(figure, "").startswith(before.markdown.rstrip("\n"))
    assert (version.author_kind, version.author, version.parent_id) == ("person", "wil", before.id)
    with reading(engine) as session:
        entry = session.scalars(select(AuditEntry).filter_by(action="version.created")).one()
        shown = describe_image(session, find_image(session, "p", sha256))
    assert entry.data["image"] == sha256 and shown["articles"] == ["fees"]
    with pytest.raises(Refused, match="shows it already"):
        place(engine, sha256)


def test_without_a_heading_it_goes_below_the_first_paragraph(engine: Engine, objects: Watched) -> None:
    sha256 = save(engine, objects, photo(80, 60))
    version = place(engine, sha256, alt="A padlock of grey noise")
    assert f"[^1]\n\n![A padlock of grey noise](image:{sha256})\n\n" in version.markdown


def test_what_nobody_may_or_can_place_is_refused(engine: Engine, objects: Watched) -> None:
    sha256 = save(engine, objects, photo(80, 60))
    with pytest.raises(NotFound, match="it has 'Fees', 'Blobs', 'Blocks'"):
        place(engine, sha256, after="Nowhere")
    with pytest.raises(NotAllowed):
        place(engine, sha256, by=VIC)
    with writing(engine) as session, pytest.raises(StaleEdit):
        article = session.get_one(Article, "a")
        first = article.version_id or ""
        image = find_image(session, "p", sha256)
        place_image(session, article, first, image, WIL)
        place_image(session, article, first, image, WIL)


def test_an_image_of_a_reference_is_described_where_it_stands(engine: Engine, objects: Watched) -> None:
    page = '<p>{}</p><img src="data:image/png;base64,{}" alt="{}">'
    import base64

    for number, alt in enumerate(("", "A chart of fees by month")):
        data = base64.b64encode(chart(90 + number, 60)).decode()
        html = page.format("The base fee is burned. " * 20, data, alt).encode()
        document = load_data(f"{number}.html", html, 1_000_000, {"licence": "CC0"})
        incoming = Incoming("url", f"https://x.example/{number}", f"digest-{number}", document)
        save_documents(engine, objects, "p", [incoming], WHO, ImportReport())
    with reading(engine) as session:
        rows = {row["alt"]: row for row in list_images(session, "p", "reference")}
    assert rows["A chart of fees by month"]["reference"] == "https://x.example/1"
    assert "image:" in place(engine, rows["A chart of fees by month"]["sha256"]).markdown
    with pytest.raises(Refused, match="nobody has said what it shows; give --alt"):
        place(engine, rows[""]["sha256"])


BODY = """# Title

:::notice generic-information
Not advice.
:::

- a list

Lead paragraph.
It goes on.
## Part *one*
```
## In code
```

> ## Quoted

## Twice

## Twice

| a |
|---|
| b |
"""
FIGURE = Figure("A chart of fees", "image:" + "a" * 64)


@pytest.mark.parametrize(
    ("after", "around"),
    [
        ("", "It goes on.\n\n{}\n\n## Part"),
        ("part one", "## Part *one*\n\n{}\n\n```\n## In code"),
        ("Title", "# Title\n\n{}\n\n:::notice"),
    ],
)
def test_the_figure_is_a_block_of_its_own_and_no_character_else_changes(after: str, around: str) -> None:
    made = with_figure(BODY, FIGURE, after)
    assert around.format(FIGURE.render()) in made
    lines = [line for line in made.split("\n") if line.strip() and line != FIGURE.render()]
    assert lines == [line for line in BODY.split("\n") if line.strip()]


@pytest.mark.parametrize(
    ("after", "error"), [("Twice", Refused), ("In code", NotFound), ("Quoted", NotFound), ("Not", NotFound)]
)
def test_a_heading_has_to_be_one_and_the_only_one(after: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        with_figure(BODY, FIGURE, after)


def test_a_text_without_paragraph_takes_the_figure_below_its_title() -> None:
    assert with_figure("# Title", FIGURE) == f"# Title\n\n{FIGURE.render()}"
    assert with_figure("# T\n\n- item\n\n## Sources\n\n[^1]: x", FIGURE).startswith(
        f"# T\n\n{FIGURE.render()}\n\n-"
    )


def test_there_is_a_row_for_each_rendition(engine: Engine, objects: Watched) -> None:
    sha256 = save(engine, objects, photo(80, 60))
    ensure_renditions(engine, objects, "p", [sha256])
    with reading(engine) as session:
        names = session.scalars(select(ImageRendition.name).filter_by(project_id="p", sha256=sha256))
        assert sorted(names) == ["16x9", "1x1", "4x3", "thumbnail"]
