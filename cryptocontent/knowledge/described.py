"""What a loaded document says of itself: a reference's columns, and the size of its images."""

from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

from cryptocontent.knowledge.loaders import LoadedDocument


def described(document: LoadedDocument) -> dict[str, Any]:
    """What a reference says of its document, from the title and the metadata, cut to the columns."""
    metadata = document.metadata

    def text(name: str, limit: int) -> str | None:
        value = metadata.get(name)
        if isinstance(value, list):
            value = ", ".join(map(str, value))
        return str(value)[:limit] if value not in (None, "") else None

    tags = metadata.get("tags")
    return {
        "title": document.title[:500],
        "url": text("url", 2000),
        "licence": text("licence", 200),
        "author": text("author", 200),
        "tags": [str(tag)[:100] for tag in tags] if isinstance(tags, list) else [],
        "published_at": _instant(
            metadata.get("date") or metadata.get("created") or metadata.get("published")
        ),
    }


def _instant(value: Any) -> datetime | None:
    """An ISO 8601 date or time as an instant, UTC where it names no zone; `None` if it is neither."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        try:
            moment = datetime.combine(date.fromisoformat(str(value)[:10]), datetime.min.time())
        except ValueError:
            return None
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:  # the year 1 in Karachi is the year 0 in Greenwich
        return None


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels."""
    from PIL import Image as Pillow

    with Pillow.open(BytesIO(data)) as picture:
        return picture.size
