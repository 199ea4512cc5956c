"""Charts of market facts: what they show, in picture and in words; that they stay the same."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import matplotlib
import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from sqlalchemy import Engine, select

from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.errors import Refused
from cryptocontent.knowledge.charts import MOST_POINTS, Series, draw_chart, rendered, short_number, thinned
from cryptocontent.storage import open_object_store, reading, writing
from cryptocontent.storage.models import Image, ImageRendition, MarketFact
from cryptocontent.storage.object_store import image_key, rendition_key

ME = Actor("person", "ada")
FIRST = datetime(2026, 11, 1, tzinfo=UTC)


def facts(engine: Engine, source: str, values: list[float]) -> None:
    with writing(engine) as session:
        for day, value in enumerate(values):
            session.add(
                MarketFact(
                    id=f"{source}{day}", project_id="p", asset_id="bitcoin", metric="price", unit="USD",
                    source=source, as_of=FIRST + timedelta(days=day), value=value,
                )
            )  # fmt: skip


@pytest.fixture
def project(sqlite_engine: Engine) -> Engine:
    with writing(sqlite_engine) as session:
        create_project(session, "p", "P", ME)
    facts(sqlite_engine, "CoinGecko", [60000, 58000.5, 64000, 67123.45])
    return sqlite_engine


def test_a_chart_is_an_image_of_the_library_with_words_for_those_who_do_not_see_it(
    project: Engine, tmp_path: Path
) -> None:
    objects = open_object_store(f"file://{tmp_path / 'objects'}")
    drawn = draw_chart(project, objects, "p", "bitcoin", "price", ME)
    assert drawn.alt == (
        "Line chart of the price of Bitcoin in USD, 1 November 2026 to 4 November 2026, according to "
        "CoinGecko: from 60,000 to 67,123.4, lowest 58,000.5 on 2 November 2026, highest 67,123.4 on "
        "4 November 2026."
    )
    with reading(project) as session:
        image = session.scalars(select(Image)).one()
        rendition = session.scalars(select(ImageRendition)).one()
    assert (image.origin, image.width, image.height, image.media_type) == ("chart", 1200, 675, "image/png")
    assert image.details["sources"] == ["CoinGecko"] and "CoinGecko" in (image.credit or "")
    assert rendition.name == "svg"
    svg = objects.get(rendition_key("p", drawn.sha256, "svg"))
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    with Pillow.open(io.BytesIO(objects.get(image_key("p", drawn.sha256)))) as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24) or ()}
    assert (0x00, 0x72, 0xB2) in colours  # the line
    assert draw_chart(project, objects, "p", "bitcoin", "price", ME).sha256 == drawn.sha256


def test_two_sources_are_two_lines_with_a_legend(project: Engine, tmp_path: Path) -> None:
    facts(project, "DefiLlama", [60100, 58100, 64100, 67200])
    objects = open_object_store(f"file://{tmp_path / 'objects'}")
    both = draw_chart(project, objects, "p", "bitcoin", "price", ME)
    one = draw_chart(project, objects, "p", "bitcoin", "price", ME, sources=["DefiLlama"])
    assert both.points == 8 and one.points == 4
    assert "A second line, according to DefiLlama: from 60,100" in both.alt
    later = draw_chart(project, objects, "p", "bitcoin", "price", ME, begin=FIRST + timedelta(days=2))
    assert "3 November 2026 to 4 November 2026" in later.alt


@pytest.mark.parametrize(
    ("asset", "metric", "wrong"),
    [
        ("nocoin", "price", "asset 'nocoin'"),
        ("bitcoin", "hype", "metric 'hype'"),
        ("ethereum", "price", "at least two facts"),
    ],
)
def test_what_can_not_be_drawn_is_refused(
    project: Engine, tmp_path: Path, asset: str, metric: str, wrong: str
) -> None:
    objects = open_object_store(f"file://{tmp_path / 'objects'}")
    with pytest.raises(Refused, match=wrong):
        draw_chart(project, objects, "p", asset, metric, ME)


def test_the_same_facts_make_the_same_bytes() -> None:
    points = tuple((FIRST + timedelta(hours=hour), 100.0 + hour % 7) for hour in range(500))
    series = [Series("Bitcoin", "price", "USD", "CoinGecko", points)]
    assert rendered(series) == rendered(series)


@pytest.mark.parametrize("source", [r"Desk $\frac$", "$A$ and $B$"])
def test_a_source_may_have_any_name(source: str) -> None:
    points = tuple((FIRST + timedelta(hours=hour), 100.0 + hour) for hour in range(5))
    png, svg = rendered([Series("Bitcoin", "price", "USD", source, points)])
    assert png.startswith(b"\x89PNG") and b"</svg>" in svg


def test_a_matplotlibrc_of_ones_own_makes_no_other_picture() -> None:
    points = tuple((FIRST + timedelta(hours=hour), 100.0 + hour) for hour in range(5))
    series = [Series("Bitcoin", "price", "USD", "CoinGecko", points)]
    plain = rendered(series)
    with matplotlib.rc_context({"axes.facecolor": "black", "savefig.dpi": 50}):
        assert rendered(series) == plain
        assert matplotlib.rcParams["axes.facecolor"] == "black"


@given(st.integers(MOST_POINTS - 2, MOST_POINTS * 3), st.integers(0, 2**32))
def test_thinning_keeps_first_last_lowest_and_highest(number: int, seed: int) -> None:
    chance = Random(seed)
    values = [chance.uniform(1e-9, 1e12) for _ in range(number)]
    points = [(FIRST + timedelta(minutes=number), value) for number, value in enumerate(values)]
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS + 2 and kept == sorted(kept, key=lambda point: point[0])
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert {min(values), max(values)} <= {value for _, value in kept}


def test_ticks_are_short() -> None:
    numbers = (67123.45, 1.3e12, 950e6, 0.00042, 12)
    assert [short_number(value) for value in numbers] == ["67.12K", "1.3T", "950M", "0.00042", "12"]
