"""Charts of market facts, as PNG (for articles) and SVG, with an alternative text made of the same numbers.

The same facts make the same bytes: fonts are the library's own, and no file bears a date.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor
from cryptocontent.content.rules import load_rules
from cryptocontent.errors import Refused
from cryptocontent.knowledge.images import save_image
from cryptocontent.knowledge.market_facts import METRICS
from cryptocontent.storage.database import reading
from cryptocontent.storage.models import MarketFact
from cryptocontent.storage.object_store import ObjectStore

MOST_POINTS = 1500
"""A line of more is thinned: it would be denser than the picture's pixels."""
_SIZE_INCHES, _DOTS_PER_INCH = (12.0, 6.75), 100  # 1200 × 675: the shape that previews show whole
# Okabe and Ito (2008), "Color Universal Design": told apart by colour-blind readers.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_WHAT = {
    "price": "price",
    "market_cap": "market capitalisation",
    "volume_24h": "24-hour volume",
    "tvl": "total value locked",
    "supply": "supply",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in the library: its image, its alternative text, and from how many facts it was drawn."""

    sha256: str
    alt: str
    points: int


@dataclass(frozen=True, slots=True)
class Series:
    """The facts of one asset, metric, unit and source, oldest first."""

    name: str
    metric: str
    unit: str
    source: str
    points: tuple[tuple[datetime, float], ...]


def draw_chart(
    engine: Engine,
    objects: ObjectStore,
    project_id: str,
    asset_id: str,
    metric: str,
    actor: Actor,
    *,
    unit: str = "USD",
    begin: datetime | None = None,
    end: datetime | None = None,
    sources: Sequence[str] = (),
) -> Chart:
    """Draw a metric of an asset over time, a line for each source, and keep it in the image library: PNG,
    with the SVG as its rendition `svg`. `Refused` for an unknown asset or metric, or with fewer than two
    facts."""
    if metric not in METRICS:
        raise Refused(f"metric {metric!r}: allowed are {', '.join(METRICS)}")
    with reading(engine) as session:
        series = _series(session, project_id, asset_id, metric, unit.upper(), begin, end, sources)
    png, svg = rendered(series)
    alt = alternative_text(series)
    stated = ", ".join(one.source for one in series)
    shown = series[0]
    sha256 = save_image(
        engine,
        objects,
        project_id,
        png,
        origin="chart",
        name=f"{shown.name}: {_WHAT[metric]}, {_span(series)}"[:200],
        alt=alt,
        licence=None,
        credit=f"Chart: {project_id}; data: {stated}"[:300],
        details={
            "asset_id": asset_id,
            "metric": metric,
            "unit": shown.unit,
            "sources": [one.source for one in series],
            "begin": min(one.points[0][0] for one in series).isoformat(),
            "end": max(one.points[-1][0] for one in series).isoformat(),
            "points": sum(len(one.points) for one in series),
        },
        actor=actor,
        renditions={"svg": (svg, "image/svg+xml")},
    )
    return Chart(sha256, alt, sum(len(one.points) for one in series))


def _series(
    session: Session,
    project_id: str,
    asset_id: str,
    metric: str,
    unit: str,
    begin: datetime | None,
    end: datetime | None,
    sources: Sequence[str],
) -> list[Series]:
    assets = {asset.id: asset.name for asset in load_rules(session, project_id).assets.assets}
    if asset_id not in assets:
        raise Refused(f"asset {asset_id!r}: not in the project's rules (`cryptocontent rules show assets`)")
    query = select(MarketFact.source, MarketFact.as_of, MarketFact.value).filter_by(
        project_id=project_id, asset_id=asset_id, metric=metric
    )
    query = query.where(func.upper(MarketFact.unit) == unit)
    if begin:
        query = query.where(MarketFact.as_of >= begin)
    if end:
        query = query.where(MarketFact.as_of <= end)
    if sources:
        query = query.where(MarketFact.source.in_(sources))
    points: dict[str, list[tuple[datetime, float]]] = {}
    for source, at, value in session.execute(query.order_by(MarketFact.source, MarketFact.as_of)).tuples():
        points.setdefault(source, []).append((at, value))
    series = [
        Series(assets[asset_id], metric, unit, source, tuple(some))
        for source, some in points.items()
        if len(some) > 1
    ]
    if not series:
        raise Refused(
            f"{asset_id} {metric} in {unit}: a chart takes at least two facts of one source in that time; "
            "`cryptocontent market fetch --from … --to …` fetches past days"
        )
    if len(series) > len(_COLOURS):
        raise Refused(f"{len(series)} sources: a chart shows at most {len(_COLOURS)}; name some")
    return series


def thinned(points: Sequence[tuple[datetime, float]]) -> list[tuple[datetime, float]]:
    """At most about `MOST_POINTS` points: of each stretch its lowest and highest, so that no peak is lost,
    and the first and the last."""
    if len(points) <= MOST_POINTS:
        return list(points)
    stretches = MOST_POINTS // 2
    kept = {0, len(points) - 1}
    for number in range(stretches):
        begin, end = number * len(points) // stretches, (number + 1) * len(points) // stretches
        some = range(begin, end)
        kept |= {min(some, key=lambda i: points[i][1]), max(some, key=lambda i: points[i][1])}
    return [points[index] for index in sorted(kept)]


def rendered(series: Sequence[Series]) -> tuple[bytes, bytes]:
    """PNG (1200 × 675) and SVG of the same figure."""
    from matplotlib import style

    settings = {
        "svg.hashsalt": "cryptocontent",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "text.parse_math": False,  # a source's name may hold `$`
    }
    # `after_reset`: a person's own matplotlibrc makes no other picture.
    with style.context(settings, after_reset=True):
        figure = _figure(series)
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue()


def _figure(series: Sequence[Series]) -> Any:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import FuncFormatter

    first = series[0]
    margins = ConstrainedLayoutEngine(w_pad=0.2, h_pad=0.12)
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout=margins)
    axes = figure.subplots()
    for one, colour in zip(series, _COLOURS, strict=False):
        points = thinned(one.points)
        times: Any = [at for at, _ in points]  # matplotlib takes them, its types don't know
        axes.plot(times, [value for _, value in points], color=colour, lw=2.2, label=one.source)
    axes.set_title(f"{first.name}: {_WHAT[first.metric]}", loc="left", fontsize=20, weight="bold", pad=14)
    axes.set_ylabel(first.unit, fontsize=14)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.tick_params(labelsize=13)
    axes.grid(axis="y", color="#d0d0d0", lw=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if len(series) > 1:
        axes.legend(fontsize=13, frameon=False)
    newest = max(one.points[-1][0] for one in series)
    stated = ", ".join(one.source for one in series)
    figure.supxlabel(
        f"Source: {stated}, as of {newest:%Y-%m-%d %H:%M} UTC",
        x=0.01,
        ha="left",
        fontsize=12,
        color="#555555",
    )
    return figure


def short_number(value: float) -> str:
    """`67.1K`, `1.3T`, `0.00042`: as a tick says it."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def alternative_text(series: Sequence[Series]) -> str:
    """What the chart shows, for those who do not see it: span, first and last value, lowest and highest."""
    sentences = []
    for number, one in enumerate(series):
        low, high = min(one.points, key=lambda p: p[1]), max(one.points, key=lambda p: p[1])
        first, last = one.points[0], one.points[-1]
        begins = (
            f"Line chart of the {_WHAT[one.metric]} of {one.name} in {one.unit}, {_span(series)}"
            if number == 0
            else "A second line" if number == 1 else "A further line"
        )  # fmt: skip
        sentences.append(
            f"{begins}, according to {one.source}: from {_exact(first[1])} to {_exact(last[1])}, "
            f"lowest {_exact(low[1])} on {_day(low[0])}, highest {_exact(high[1])} on {_day(high[0])}."
        )
    return " ".join(sentences)


def _span(series: Sequence[Series]) -> str:
    begin = min(one.points[0][0] for one in series)
    end = max(one.points[-1][0] for one in series)
    return f"{_day(begin)} to {_day(end)}"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def _exact(value: float) -> str:
    """With six significant digits, and thousands set apart."""
    exact = f"{Decimal(f'{value:.6g}'):,f}"
    return exact.rstrip("0").rstrip(".") if "." in exact else exact
