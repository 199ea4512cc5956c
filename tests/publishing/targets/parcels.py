"""Versions on their way to a target, without a newsroom around them."""

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from PIL import Image

from cryptocontent.publishing.render import Rendered
from cryptocontent.publishing.targets.seam import Delivered, Parcel

DIGEST = "ab" * 32
IMAGE = "abababababababab.png"


def _png() -> bytes:
    made = BytesIO()
    Image.effect_noise((120, 80), 60).save(made, "PNG")
    return made.getvalue()


PNG = _png()
MARKDOWN = f"""# The base fee

The base fee is burned in every block.[^1]

![Fees over time](image:{DIGEST})

| Year | Fee |
|------|-----|
| 2024 | 12  |

## Sources

[^1]: Ethereum handbook, [page](https://handbook.example/fees).
"""


def parcel(version: int = 1, previous: Delivered | None = None, **changes: Any) -> Parcel:
    """Version `v<n>` of the article `a1`. `changes` are of the article's row, beside `markdown`, `images`,
    `seo`, `citations` and `published_at`."""
    article = {
        "id": "a1",
        "project": "p",
        "slug": "the-base-fee",
        "title": "The base fee",
        "status": "published",
        "version": version,
        "words": 120,
        "quality": {"readability": 60.5},
        "brief": "b1",
        "updated_at": "2026-01-02T03:04:05+00:00",
    }
    markdown = changes.pop("markdown", MARKDOWN.replace("every block", f"every block of version {version}"))
    images = changes.pop("images", {DIGEST: IMAGE})
    seo = changes.pop("seo", {"description": "What the base fee is.", "keywords": ["fees"]})
    citations = changes.pop("citations", [{"number": 1, "title": "Ethereum handbook"}])
    published_at = changes.pop("published_at", datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    row = article | changes
    return Parcel(
        project_id=row["project"],
        article_id=row["id"],
        version_id=f"v{version}",
        rendered=Rendered(row, markdown, seo, citations, images),
        published_at=published_at,
        image=lambda name: {IMAGE: PNG}[name],
        listed=list,
        previous=previous,
    )


def after(delivered: Delivered, version: int = 2, **changes: Any) -> Parcel:
    """The next version, of an article that was delivered."""
    return replace(parcel(version, **changes), previous=delivered)
