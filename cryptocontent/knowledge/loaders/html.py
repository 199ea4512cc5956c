"""Web pages: the main text without navigation, advertisement and scripts."""

import re
from typing import Any

from cryptocontent.knowledge.loaders.document import Parsed, SourceFile, decode

_BOILERPLATE = (
    "script",
    "style",
    "noscript",
    "template",
    "nav",
    "header",
    "footer",
    "aside",
    "form",
    "svg",
    "iframe",
)


def parse(source: SourceFile) -> Parsed:
    """Read an HTML file: trafilatura's main text, or the whole body where that finds less than half of it."""
    import trafilatura

    page = re.sub(
        r"\A\s*<\?xml[^>]*\?>", "", decode(source, declared=True)
    )  # lxml refuses declared encodings
    main = trafilatura.bare_extraction(
        page,
        output_format="markdown",
        with_metadata=True,
        include_comments=False,
        include_formatting=True,
        include_images=True,
        include_links=True,
        include_tables=True,
    )
    found: dict[str, Any] = main.as_dict() if main is not None and not isinstance(main, dict) else {}
    body, heading = _body(page)
    text = str(found.get("text") or "")
    if len(_words(text)) < max(25, len(_words(body)) // 2):
        text = body
    metadata = {
        key: value
        for key, value in {
            "author": found.get("author"),
            "date": found.get("date"),
            "url": found.get("url"),
            "site": found.get("sitename"),
            "description": found.get("description"),
            "licence": found.get("license"),
            "tags": found.get("tags"),
        }.items()
        if value
    }
    return Parsed(text, "text/html", str(found.get("title") or heading), metadata, local_images=True)


def _body(page: str) -> tuple[str, str]:
    """The whole body as Markdown, boilerplate elements apart, and the page's own title."""
    from bs4 import BeautifulSoup

    from cryptocontent.knowledge.loaders.markup import markdown_of

    soup = BeautifulSoup(page, "lxml")
    title = soup.find("h1") or soup.find("title")
    for element in soup(list(_BOILERPLATE)):
        element.decompose()
    body = soup.find("main") or soup.body or soup
    return markdown_of(str(body)), title.get_text(" ", strip=True) if title else ""


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", re.sub(r"\]\([^)]*\)", "]", text))
