"""One article's version in the formats that leave the house.

The HTML is rendered from Markdown with raw HTML switched off and then sanitised, so that nothing of
a reference runs in a browser.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Any

import yaml

from cryptocontent.content.documents import NOTICE, notice_lines
from cryptocontent.publishing.pictures import Picture, Shape, figures_plugin, with_captions

_IMAGE = re.compile(r"\]\(image:([0-9a-f]{64})")
_TAGS = {
    "a", "article", "aside", "blockquote", "br", "code", "em", "figcaption", "figure", "h1", "h2", "h3", "h4",
    "hr", "img", "li", "ol", "p", "pre", "section", "strong", "sup", "table", "tbody", "td", "th", "thead",
    "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "id", "class"},
    "aside": {"class", "role"},
    "img": {"src", "alt", "title", "width", "height", "loading"},
    "li": {"id", "class"},
    "section": {"class"},
    "sup": {"class"},
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """What is known of a version when it is rendered: its row as plain values, its images' file names by
    hash, and what is known of those images. Files are in `images/` beside the article; `base_url` is where
    the article's folder can be reached, if that is known, for what needs whole addresses (previews)."""

    article: dict[str, Any]
    markdown: str
    seo: dict[str, Any] | None
    citations: list[dict[str, Any]]
    images: Mapping[str, str]
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    base_url: str = ""

    @property
    def lead(self) -> str | None:
        """The hash of the first image that the version shows."""
        return next((digest for digest in image_hashes(self.markdown) if digest in self.images), None)

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of the first image that search results and previews are given."""
        picture = self.pictures.get(self.lead or "")
        return picture.large if picture else []

    @property
    def files(self) -> list[str]:
        """The names of all files in `images/` that some format of the article points at."""
        return list(dict.fromkeys([*self.images.values(), *(shape.file for shape in self.shapes)]))


def image_hashes(markdown: str) -> list[str]:
    """The images that a version shows, by hash, in order."""
    return list(dict.fromkeys(_IMAGE.findall(markdown)))


def _by_file(item: Rendered) -> dict[str, Picture]:
    named = ((f"images/{file}", item.pictures.get(digest)) for digest, file in item.images.items())
    return {file: picture for file, picture in named if picture is not None}


def _with_files(item: Rendered) -> str:
    def replace(match: re.Match[str]) -> str:
        return f"](images/{item.images[match[1]]}" if match[1] in item.images else match[0]

    return _IMAGE.sub(replace, item.markdown)


def _quoted_notices(markdown: str) -> str:
    """Markdown whose locked notices are quotations: what every reader of Markdown shows as set apart."""
    lines = markdown.split("\n")
    for start, end, _ in reversed(notice_lines(lines)):
        if end is not None:
            quoted = [f"> {line}".rstrip() for line in lines[start + 1 : end]]
            # A blank line keeps the next paragraph out of the quotation.
            after = [""] if end + 1 < len(lines) and lines[end + 1].strip() else []
            lines[start : end + 1] = quoted + after
    return "\n".join(lines)


def _without_open_notices(markdown: str) -> str:
    """Markdown in which a notice that nothing closes is plain text, so that it takes nothing along."""
    lines = markdown.split("\n")
    for start, end, _ in notice_lines(lines):
        if end is None:
            lines[start] = "\\" + lines[start]
    return "\n".join(lines)


class _FrontMatter(yaml.SafeDumper):
    """YAML in which Unicode's own line ends are escaped: PyYAML reads them back as spaces else."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if any(end in value for end in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_FrontMatter.add_representer(str, _text)


def to_markdown(item: Rendered) -> str:
    """Markdown with YAML front matter. Locked notices are quotations."""
    seo = item.seo or {}
    matter = {
        "title": item.article["title"],
        "slug": item.article["slug"],
        "description": seo.get("description", ""),
        "keywords": list(seo.get("keywords", ())),
        "project": item.article["project"],
        "brief": item.article["brief"],
        "version": item.article["version"],
        "status": item.article["status"],
        "words": item.article["words"],
        "quality": item.article["quality"],
        "updated": item.article["updated_at"],
    }
    head = yaml.dump(matter, Dumper=_FrontMatter, sort_keys=False, allow_unicode=True, width=1000)
    text = with_captions(_with_files(item), _by_file(item))
    return f"---\n{head}---\n\n{_quoted_notices(text)}"


@lru_cache(maxsize=1)
def _markdown_it() -> Any:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.container import container_plugin
    from mdit_py_plugins.footnote import footnote_plugin

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").use(footnote_plugin)
    parser.use(
        container_plugin,
        "notice",
        validate=lambda parameters, *_: NOTICE.match(f":::{parameters}") is not None,
        render=_aside,
    )
    parser.use(figures_plugin)
    # The version has a heading over its sources already.
    parser.add_render_rule("footnote_caption", _caption)
    parser.add_render_rule("footnote_block_open", lambda *_: '<section class="footnotes">\n<ol>\n')
    return parser


def _json_ld(item: Rendered) -> dict[str, Any]:
    """The metadata with the image that the text shows now: in three shapes, as Google asks for, or as it is
    where it is too small for that. The file's name stands for `image:<sha256>`."""
    data = dict((item.seo or {}).get("json_ld", {}))
    if str(data.get("image", "")).startswith("image:"):
        del data["image"]
    if data and "image" not in data and item.lead is not None:
        shapes = [_address(item, shape.file) for shape in item.shapes]
        data["image"] = shapes or _address(item, item.images[item.lead])
    return data


def _address(item: Rendered, file: str) -> str:
    return f"{item.base_url.rstrip('/')}/images/{file}" if item.base_url else f"images/{file}"


def _preview(item: Rendered) -> str:
    """What networks show of a link to the article (the Open Graph protocol), if it has an image."""
    picture = item.pictures.get(item.lead or "")
    if item.lead is None or picture is None:
        return ""
    wide = item.shapes[-1] if item.shapes else None
    file = wide.file if wide else item.images[item.lead]
    width, height = (wide.width, wide.height) if wide else (picture.width, picture.height)
    values = {
        "og:type": "article",
        "og:title": (item.seo or {}).get("title") or item.article["title"],
        "og:description": (item.seo or {}).get("description", ""),
        "og:image": _address(item, file),
        "og:image:width": str(width),
        "og:image:height": str(height),
        "og:image:alt": _alt(item),
    }
    tags = [f'<meta property="{key}" content="{escape(value)}">\n' for key, value in values.items() if value]
    return "".join([*tags, '<meta name="twitter:card" content="summary_large_image">\n'])


def _alt(item: Rendered) -> str:
    found = re.search(rf"!\[([^\]\n]*)\]\(image:{item.lead}", item.markdown)
    return found[1] if found else ""


def _caption(_renderer: Any, tokens: Any, index: int, *_: Any) -> str:
    """`[3]` at every citation of a passage, not `[3:2]` at the third."""
    return f"[{tokens[index].meta['id'] + 1}]"


def _aside(_renderer: Any, tokens: Any, index: int, *_: Any) -> str:
    """A locked notice, set apart from the article for eyes and for screen readers."""
    return '<aside class="notice" role="note">\n' if tokens[index].nesting == 1 else "</aside>\n"


def to_html(item: Rendered) -> str:
    """A complete, sanitised HTML page with the article's metadata and JSON-LD."""
    import nh3

    body = nh3.clean(
        _markdown_it().render(_without_open_notices(_with_files(item)), {"pictures": _by_file(item)}),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener nofollow",
    )
    seo = item.seo or {}
    title = escape(seo.get("title") or item.article["title"])
    # `</script>` in a string would end the script element.
    data = json.dumps(_json_ld(item), ensure_ascii=False).replace("<", "\\u003c")
    language = escape(str(seo.get("json_ld", {}).get("inLanguage", "en")))
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f'<meta name="description" content="{escape(seo.get("description", ""))}">\n{_preview(item)}'
        f"<style>{_STYLE}</style>\n"
        f'<script type="application/ld+json">{data}</script>\n</head>\n'
        f"<body>\n<article>\n{body}</article>\n</body>\n</html>\n"
    )


_STYLE = (
    "body{font:17px/1.6 Georgia,serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "h1,h2{font-family:system-ui,sans-serif;line-height:1.25}img{max-width:100%;height:auto}"
    "code{font-size:.9em;background:#f3f3f3;padding:.1em .3em;border-radius:3px}"
    "figure{margin:1.5rem 0}figcaption{font-size:.85em;color:#444}"
    "sup{line-height:0}.footnotes{font-size:.85em;color:#444}a{color:#0b57d0}"
    # As large as the text and framed: a risk warning must not look like small print.
    ".notice{border:2px solid #1a1a1a;padding:.2rem 1rem;margin:1.5rem 0;font-weight:600}"
)


def to_json(item: Rendered) -> str:
    """Everything of the version, with its sources' passages and its images' files, for other programs."""
    data = {
        "article": item.article,
        "seo": item.seo,
        "markdown": item.markdown,
        "citations": item.citations,
        "images": [_image(item, digest) for digest in item.images],
    }
    return json.dumps(data, ensure_ascii=False, indent=2, default=str) + "\n"


def _image(item: Rendered, digest: str) -> dict[str, Any]:
    picture = item.pictures.get(digest)
    known = {"sha256": digest, "file": f"images/{item.images[digest]}"}
    if picture is None:
        return known
    shapes = {name: f"images/{one.file}" for name, one in picture.shapes.items() if one in item.shapes}
    size = {"width": picture.width, "height": picture.height, "media_type": picture.media_type}
    return known | size | {"credit": list(picture.credit), "shapes": shapes}


FORMATS = {"md": to_markdown, "html": to_html, "json": to_json}
