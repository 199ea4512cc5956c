"""An article's HTML without the page around it: for places that have a page, a heading and images of their
own."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_IMAGES = "images/"


@dataclass(frozen=True, slots=True)
class Shown:
    """An image that an article shows: its file's name, what is in it, what stands below it."""

    file: str
    alt: str
    caption: str


class Fragment:
    """The article within a page that `render.to_html` made, without its first heading."""

    def __init__(self, page: str) -> None:
        self._page = page

    @cached_property
    def _article(self) -> Any:
        from lxml import html

        article = html.document_fromstring(self._page).find(".//article")
        if len(article) and article[0].tag == "h1":
            heading = article[0]
            article.text = (article.text or "") + (heading.tail or "")
            article.remove(heading)
        return article

    def images(self) -> list[Shown]:
        """The images by their first appearance."""
        found: dict[str, Shown] = {}
        for image in self._article.iter("img"):
            file = str(image.get("src") or "")
            if not file.startswith(_IMAGES):
                continue
            parent = image.getparent()
            below = parent.find("figcaption") if parent is not None and parent.tag == "figure" else None
            caption = "" if below is None else " ".join(below.text_content().split())
            name = file.removeprefix(_IMAGES)
            found.setdefault(name, Shown(name, str(image.get("alt") or ""), caption))
        return list(found.values())

    def html(self, image: Callable[[str], str], links: Callable[[str], str] | None = None) -> str:
        """The HTML, each image at the address that `image` gives for its file's name; other addresses are
        passed through `links` (footnotes are `#…`)."""
        from lxml import html

        article = copy.deepcopy(self._article)
        for element in article.iter("img", "a"):
            name = "src" if element.tag == "img" else "href"
            address = str(element.get(name) or "")
            if element.tag == "img" and address.startswith(_IMAGES):
                element.set("src", image(address.removeprefix(_IMAGES)))
            elif links is not None and address:
                element.set(name, links(address))
        whole = str(html.tostring(article, encoding="unicode", with_tail=False))
        return whole.removeprefix("<article>").removesuffix("</article>").strip() + "\n"
