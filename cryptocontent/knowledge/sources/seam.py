"""What a kind of source is: how it finds what is there, and how it fetches one item of it.

A kind has no memory of its own and writes nothing. It reads the source's cursor and yields pages; whoever
calls it saves each page with its cursor in one transaction, so that it may be killed anywhere.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cryptocontent.errors import Explained
from cryptocontent.settings import Settings


@dataclass(frozen=True, slots=True)
class Found:
    """Something at the source. It is imported when its `revision` is another than the one imported last.
    `ignored` says why it can't become a reference, if it can't."""

    external_id: str
    name: str
    revision: str
    details: dict[str, Any] = field(default_factory=dict)
    ignored: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What one request to a source brought, and the cursor from which to go on.

    `gone` maps external ids to the reason; unknown ones are passed over. A page of a whole listing names
    the `listing` that it belongs to; the last one is `whole`: items that no page of it found are gone."""

    cursor: dict[str, Any]
    found: list[Found] = field(default_factory=list)
    gone: dict[str, str] = field(default_factory=dict)
    listing: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What a kind is given. `known()` maps the external ids of the source's items (those that are not gone)
    to their details; it is a query, asked on call. `full`: list everything anew, whatever the cursor says."""

    settings: Settings
    source_id: str
    project_id: str
    config: Mapping[str, Any]
    cursor: Mapping[str, Any]
    known: Callable[[], dict[str, dict[str, Any]]]
    full: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A file. `name` ends with the suffix of its format; `metadata` is what the source knows of it (title,
    url, licence, author, date, tags, notes); `details`, if any, replaces the item's. `external_id` is the
    reference's, where it is another than the item's (the canonical address of a page): items that lead to
    one reference share it."""

    name: str
    data: bytes = field(repr=False)
    metadata: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] | None = None
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Market facts, as the CSV that `market_facts.import_facts` reads."""

    csv: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The source says that what was imported last is still current."""

    details: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The item is there no more, or no more for us."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """The item can't become a reference, for good: it is not asked for again until its revision changes.
    `details`, if any, replaces the item's: what it brought before is withdrawn, and no longer known."""

    reason: str
    details: dict[str, Any] | None = None


Content = Document | Facts | Unchanged | Gone | Ignored


class Unavailable(Explained, ConnectionError):
    """The source does not answer, or asks for patience: `seconds` until it may be asked again, if it said.
    Whatever was saved stays, and the next look goes on from there."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class Item(Protocol):
    """What a fetcher needs to know of an item (a row of `source_items`)."""

    external_id: str
    name: str
    revision: str
    imported_revision: str
    details: dict[str, Any]


class Kind(Protocol):
    """A kind of source. `references` is what its references are said to come from: kinds that find the same
    things share it (`web`). `workers`: how many items are fetched at once, each by a fetcher of its own."""

    references: str
    workers: int

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration with its defaults; `Refused` names the field, the value and what is allowed."""

    def off(self, settings: Settings) -> str:
        """Why nothing can be fetched with these settings ("GOOGLE_CREDENTIALS_FILE is not set"), else ""."""

    def discover(self, look: Look) -> Iterator[Page]:
        """Pages until there is nothing new. The caller may stop after any of them. `Unavailable`; `Refused`
        where a person has to mend something."""

    def fetcher(self, look: Look) -> Callable[[Item], Content]:
        """A function that fetches items, for use in one thread. It raises `Unavailable` where a later try may
        help, `Refused` where it will not."""
