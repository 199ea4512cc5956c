"""A kind of source for tests of what all kinds have in common: a place in memory whose documents, revisions
and troubles the test decides."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptocontent.errors import Refused
from cryptocontent.knowledge.sources.seam import Content, Document, Found, Gone, Item, Look, Page
from cryptocontent.settings import Settings


@dataclass
class World:
    """The documents of each place by id, as (revision, Markdown); `pages` of a look; `troubles` by id are
    raised or given instead of the document; `fetched` tells what was asked for."""

    documents: dict[str, tuple[str, str]] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)  # id -> the id of the reference that it leads to
    troubles: dict[str, Exception | Content] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    page_size: int = 2
    fetched: list[str] = field(default_factory=list)
    before_page: Callable[[int], None] = lambda number: None
    off: str = ""


WORLD = World()


class Place:
    """Lists everything at each look, page by page, unless `changes` is configured: then only `gone`."""

    references = "place"
    workers = 2

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        if unknown := set(config) - {"prefix"}:
            raise Refused(f"{unknown.pop()}: unknown; allowed is prefix")
        return {"prefix": str(config.get("prefix", ""))}

    def off(self, settings: Settings) -> str:
        return WORLD.off

    def discover(self, look: Look) -> Iterator[Page]:
        start = int(look.cursor.get("next", 0))
        listing = str(look.cursor.get("listing") or f"listing-{look.cursor.get('looks', 0)}")
        looks = int(look.cursor.get("looks", 0))
        ids = [name for name in sorted(WORLD.documents) if name.startswith(look.config["prefix"])]
        for number in range(start, len(ids) + 1, WORLD.page_size):
            WORLD.before_page(number)
            some = ids[number : number + WORLD.page_size]
            whole = number + WORLD.page_size > len(ids)
            found = [Found(name, f"{name}.md", WORLD.documents[name][0]) for name in some]
            cursor = {"looks": looks + 1} if whole else {"next": number + WORLD.page_size, "listing": listing}
            yield Page(cursor | {"looks": looks + whole}, found, dict(WORLD.gone), listing, whole)
            if whole:
                return

    def fetcher(self, look: Look) -> Callable[[Item], Content]:
        def fetch(item: Item) -> Content:
            WORLD.fetched.append(item.external_id)
            trouble = WORLD.troubles.get(item.external_id)
            if isinstance(trouble, Exception):
                raise trouble
            if trouble is not None:
                return trouble
            if item.external_id not in WORLD.documents:
                return Gone("it was deleted")
            text = WORLD.documents[item.external_id][1]
            reference = WORLD.shared.get(item.external_id, "")
            return Document(item.name, text.encode(), {"url": "https://a.example/"}, external_id=reference)

        return fetch
