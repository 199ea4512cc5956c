"""How a version's pictures are shown and named: captions with credit and licence, sizes, and the files in the
shapes that search engines and social networks ask for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

LEAST_PIXELS = 50_000
"""Fewer, and Google does not take a picture for a search result (its guideline for `Article`, `image`)."""

_FIGURE = re.compile(r"!\[[^\]\n]*\]\((?P<src>[^)\s]+)(?:\s+\"(?P<title>[^\"\n]*)\")?\)[ \t]*\Z")
_MARKUP = re.compile(r"([\\`*_\[\]~$|])")


@dataclass(frozen=True, slots=True)
class Shape:
    """A picture cut to a shape: the name of its file, its size in pixels, its media type."""

    file: str
    width: int
    height: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of an image that a version shows: its size in pixels, whom it is owed to (credit,
    licence; of one from a reference also its title), and its shapes by name (`1x1`, `4x3`, `16x9`)."""

    width: int
    height: int
    media_type: str
    credit: tuple[str, ...] = ()
    shapes: Mapping[str, Shape] = field(default_factory=dict)

    def caption(self, title: str) -> str:
        """What stands below the picture: the figure's own title, and whom it is owed to."""
        known = title.casefold()
        owed = ", ".join(part for part in dict.fromkeys(self.credit) if part.casefold() != known)
        if not title or not owed:
            return title or owed
        return f"{title} {owed}" if title.endswith((".", "!", "?", ":", "…")) else f"{title}. {owed}"

    @property
    def large(self) -> list[Shape]:
        """Its shapes that are large enough for search results and previews, in a fixed order."""
        ordered = [self.shapes[name] for name in ("1x1", "4x3", "16x9") if name in self.shapes]
        return [one for one in ordered if one.width * one.height >= LEAST_PIXELS]


def with_captions(markdown: str, pictures: Mapping[str, Picture]) -> str:
    """Markdown with an italic line below each figure that is owed to somebody. `pictures` by what the figures
    point at."""
    lines = markdown.split("\n")
    made, fence = [], ""
    for number, line in enumerate(lines):
        made.append(line)
        opens = line.lstrip()[:3]
        if opens in ("```", "~~~") and fence in ("", opens):
            fence = "" if fence else opens
        alone = (
            not fence
            and not "".join(lines[max(number - 1, 0) : number] + lines[number + 1 : number + 2]).strip()
        )
        if alone and (figure := _FIGURE.match(line)) and (picture := pictures.get(figure["src"])):
            title = figure["title"] or ""
            if (caption := picture.caption(title)) != title:
                plain = _MARKUP.sub(r"\\\1", " ".join(escape(caption, quote=False).split()))
                made += ["", f"*{plain}*"]
    return "\n".join(made)


def figures_plugin(parser: Any) -> None:
    """A picture alone in its paragraph becomes a figure with its caption; every picture says its size and
    loads when it comes into view. `env["pictures"]`: `Picture` by `src`."""
    from markdown_it.token import Token

    def dress(state: Any) -> None:
        pictures: Mapping[str, Picture] = state.env.get("pictures", {})
        tokens = state.tokens
        made = []
        for number, token in enumerate(tokens):
            shown = [one for one in token.children or () if one.type == "image"]
            for one in shown:
                one.attrSet("loading", "lazy")
                if picture := pictures.get(str(one.attrGet("src"))):
                    one.attrSet("width", str(picture.width))
                    one.attrSet("height", str(picture.height))
            made.append(token)
            if len(shown) != 1 or len(token.children) != 1 or tokens[number - 1].type != "paragraph_open":
                continue
            title = str(shown[0].attrs.pop("title", ""))
            owed = pictures.get(str(shown[0].attrGet("src")))
            caption = owed.caption(title) if owed else title
            tokens[number - 1].tag = tokens[number + 1].tag = "figure"
            tokens[number - 1].hidden = tokens[number + 1].hidden = False
            if caption:
                text = Token("text", "", 0, content=caption)
                made += [
                    Token("figcaption_open", "figcaption", 1),
                    Token("inline", "", 0, children=[text], content=caption),
                    Token("figcaption_close", "figcaption", -1),
                ]
        state.tokens = made

    parser.core.ruler.push("figures", dress)
