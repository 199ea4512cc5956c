"""Turns the Markdown of a source into the clean Markdown that a reference keeps.

What belongs here: rewriting of text. What does not: reading files (`loaders/`), cutting (`chunking`).

Source text is untrusted and is shown in a browser later, so nothing that a CommonMark renderer would pass
through as HTML survives outside code: known elements are dropped (their inner text stays), and angle-bracket
placeholders of prose such as `<address>` are escaped, never lost.
"""

import html
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any, Final

ImageResolver = Callable[[str, str], str | None]
"""(reference as written, alt text) -> the reference to write, or None: the image goes, its alt text stays."""

_MAX_PASSES: Final = 12  # each pass only removes or escapes, so real documents are stable after two
_PROTECT_OPEN, _PROTECT_CLOSE = "\ue000", "\ue001"

_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_LINE_ENDS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_INVISIBLE = [
    *range(0x00, 0x09),
    *range(0x0E, 0x1C),
    *(0x1F, 0xAD, 0x61C, 0x180E, 0xFEFF),
    *range(0x7F, 0x85),
    *range(0x86, 0xA0),
    # bidirectional marks and overrides are dropped too: they can make shown text differ from stored text
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFFF9, 0xFFFC),
    *range(0xE0000, 0xE0080),
    *range(0xD800, 0xE002),  # lone surrogates, and the two marks of our own
]
_CHARACTERS: Final = {
    **dict.fromkeys(map(ord, _SPACES), " "),
    **dict.fromkeys(map(ord, _LINE_ENDS), "\n"),
    **dict.fromkeys(_INVISIBLE, None),
}
_QUOTES: Final = str.maketrans(dict.fromkeys("‘’‚‛", "'") | dict.fromkeys("“”„‟", '"'))

_HTML_NAMES = """
    a abbr acronym address applet area article aside audio b base basefont bdi bdo big blink blockquote
    body br button canvas caption center cite code col colgroup data datalist dd del details dfn dialog
    dir div dl dt em embed fieldset figcaption figure font footer form frame frameset g h1 h2 h3 h4 h5
    h6 head header hgroup hr html i iframe img image input ins kbd keygen label legend li link main map
    mark marquee math menu menuitem meta meter nav nobr noembed noframes noscript object ol optgroup
    option output p param path picture plaintext portal pre progress q rp rt ruby s samp script search
    section select slot small source span strike strong style sub summary sup svg table tbody td
    template textarea tfoot th thead time title tr track tt u ul use var video wbr xmp
"""
_BLOCK_NAMES = """
    address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer
    form h1 h2 h3 h4 h5 h6 header hr html li main nav ol p pre section summary table tbody tfoot thead
    tr ul
"""
# `<address>` alone is an HTML element and a common placeholder ("send to <address>"); without attributes it
# is text
_KNOWN = frozenset(_HTML_NAMES.split()) - {
    "address",
    "data",
    "time",
    "source",
    "path",
    "image",
    "slot",
    "use",
    "output",
}

_BLOCKS = frozenset(_BLOCK_NAMES.split())

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_DECLARATION = re.compile(r"<(?:\?.*?\?>|![A-Za-z][^>]*>|!\[CDATA\[.*?\]\]>)", re.DOTALL)
_DROPPED_WITH_CONTENT = re.compile(
    r"<(script|style|noscript|template|iframe|object|svg)\b[^<>]*>", re.IGNORECASE
)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]*)((?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*)>")
_LEFT_OPEN = re.compile(r"(?<!\\)((?:\\\\)*)<(?=[A-Za-z/!?])(?!https?://[^\s<>]+>)")
_ATTRIBUTE = {
    name: re.compile(rf"\s{name}\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.IGNORECASE)
    for name in ("src", "alt", "href")
}
_ANCHOR = re.compile(
    r"<a\s((?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*)>((?:[^<]|<(?!/?a[\s>]))*)</a\s*>", re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_ENTITY_KEPT = frozenset("<>&`*_[]\\#|~$!")

_CODE_SPAN = re.compile(r"(?<![\\`])(`+)(?!`)((?:[^\n]|\n(?![ \t>]*(?:\n|\Z)))+?)(?<!`)\1(?!`)")
_TARGET = (
    r"\(\s*(?:<([^<>\n]*)>|((?:[^()\s<>]|\([^()\s<>]*\))*))(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)"
)
_LABEL = r"\[((?:[^\[\]\\]|\\.|\[[^\[\]]*\])*)\]"
_IMAGE = re.compile(r"(?<!\\)!" + _LABEL + _TARGET)
# A footnote's mark before a bracket is no link.
_LINK = re.compile(r"(?<![\\!])(?!\[\^)" + _LABEL + _TARGET)
_MARK_BEFORE_BRACKET = re.compile(r"(?<!\\)(\[\^[^\[\]\s]+\])(?=\()")
_DEFINITION = re.compile(
    r"^ {0,3}\[(?!\^)([^\[\]\n]+)\]:[ \t]*\n?[ \t]*<?([^\s<>]+)>?"
    r"(?:[ \t]*\n?[ \t]+(?:\"[^\"\n]*\"|'[^'\n]*'|\([^()\n]*\)))?"
    r"[ \t]*$\n?",
    re.MULTILINE,
)
_REFERENCE = re.compile(r"(?<!\\)(!?)" + _LABEL + r"(?:[ ]?\[([^\[\]\n]*)\])?(?![\[(:])")
_ABSOLUTE = re.compile(r"https?://[^\s/]", re.IGNORECASE)


def clean_markdown(text: str) -> str:
    """Return the clean form of `text`; cleaning it again changes nothing.

    NFC, `\\n` line ends, no invisible characters, no HTML outside code, straight quotes, links only to
    absolute http(s) addresses (others become their text), reference links written inline, at most one blank
    line. Images stay if they are absolute or already stored (`image:<sha256>`), else their alt text stays.
    """
    return clean_with_images(text, keep_stored_images)


def plain_line(text: str) -> str:
    """Foreign text on one line, for people to read: NFC, without invisible characters, no markup undone."""
    return " ".join(unicodedata.normalize("NFC", text.translate(_CHARACTERS)).split())


def keep_stored_images(reference: str, alt: str) -> str | None:
    """The resolver of text whose images are stored already: keeps `image:` and http(s) references."""
    return reference if reference.startswith("image:") or _ABSOLUTE.match(reference) else None


def clean_with_images(text: str, resolve: ImageResolver) -> str:
    """`clean_markdown` with a say in what becomes of each image: loaders give it its new reference."""
    text = _pass(text, resolve)
    for _ in range(_MAX_PASSES):
        # what was uncovered by one pass (a tag split by a comment, say) is cleaned by the next
        cleaned = _pass(text, keep_stored_images)
        if cleaned == text:
            break
        text = cleaned
    return text


def _pass(text: str, resolve: ImageResolver) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_CHARACTERS)
    text = unicodedata.normalize("NFC", text)
    text = _strip_line_ends(text).strip("\n")
    kept: list[str] = []
    text = _protect_code(text, kept)
    text = _strip_html(text)
    text = text.translate(_QUOTES)
    text = _ENTITY.sub(_unescape, text)
    text = _rewrite_links(text, kept, resolve)
    text = _escape_left_open(text)
    text = _strip_line_ends(text)
    text = re.sub(r"\n{3,}", "\n\n", text).strip("\n")
    return _restore(text, kept)


def _keep(piece: str, kept: list[str]) -> str:
    kept.append(piece)
    return f"{_PROTECT_OPEN}{len(kept) - 1}{_PROTECT_CLOSE}"


def _restore(text: str, kept: list[str]) -> str:
    # a kept link may hold a kept code span, hence outermost first until none is left
    while _PROTECT_OPEN in text:
        text = re.sub(f"{_PROTECT_OPEN}([0-9]+){_PROTECT_CLOSE}", lambda m: kept[int(m[1])], text)
    return text


@cache
def _block_parser() -> Any:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.footnote import footnote_plugin

    # What is indented below a footnote goes on with it, and is no code that would shelter HTML.
    parser = MarkdownIt("commonmark").enable("table").use(footnote_plugin, move_to_end=False)
    return parser.disable("inline")


def _protect_code(text: str, kept: list[str]) -> str:
    """Put marks in place of fenced blocks, indented blocks and code spans; what they hold goes to `kept`."""
    lines = text.split("\n")
    tokens = _block_parser().parse(text)
    for token, before in reversed(list(zip(tokens, [None, *tokens], strict=False))):
        if token.type in ("fence", "code_block"):
            first, last = token.map
            while last > first + 1 and not lines[last - 1].strip():
                last -= 1
            lines[first:last] = [_keep("\n".join(lines[first:last]), kept)]
        elif token.type == "inline" and token.map:
            # backticks pair up inside one paragraph or table cell only: a pair that reaches further is no
            # code, and would shelter HTML between them
            first, last = token.map
            inline = "\n".join(lines[first:last])
            cell = before is not None and before.type in ("th_open", "td_open")
            parts = re.split(r"((?<!\\)\|)", inline) if cell else [inline]
            if "`" in inline:
                lines[first:last] = "".join(_protect_spans(part, kept) for part in parts).split("\n")
    return "\n".join(lines)


def _protect_spans(text: str, kept: list[str]) -> str:
    # the marks must not hold line ends, or the lines after them would be counted wrongly
    def protect(match: re.Match[str]) -> str:
        return "\n".join(_keep(line, kept) for line in match[0].split("\n"))

    return _CODE_SPAN.sub(protect, text)


def _strip_html(text: str) -> str:
    if "<" not in text:
        return text
    text = _COMMENT.sub("", text)
    text = _drop_with_content(text)
    text = _DECLARATION.sub("", text)
    text = _ANCHOR.sub(_anchor, text)
    return _TAG.sub(lambda m: _tag(m, text), text)


def _strip_line_ends(text: str) -> str:
    # not a regular expression: `[ ]+$` takes quadratic time on a long run of spaces
    return "\n".join(line.rstrip(" \t") for line in text.split("\n"))


def _drop_with_content(text: str) -> str:
    """Cut `<script>...</script>` and the like out; an element that is never closed loses its tag only."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters grow in lower case, which would shift the places found
        lowered = text
    pieces: list[str] = []
    at = 0
    unclosed: set[str] = set()
    for opening in _DROPPED_WITH_CONTENT.finditer(text):
        name = opening[1].lower()
        if opening.start() < at or name in unclosed:
            continue
        close = lowered.find(f"</{name}", opening.end())
        end = text.find(">", close) if close >= 0 else -1
        if end < 0:
            unclosed.add(name)  # nor will a later one be: without this, many of them take quadratic time
            continue
        pieces.append(text[at : opening.start()])
        at = end + 1
    return "".join([*pieces, text[at:]])


def _anchor(match: re.Match[str]) -> str:
    target = _attribute(match[1], "href")
    inner = match[2].strip()
    if inner and _ABSOLUTE.match(target) and not re.search(r"[\s<>()\[\]]", target) and "\n\n" not in inner:
        return f"[{inner}]({target})"
    return match[2]


def _attribute(attributes: str, name: str) -> str:
    found = _ATTRIBUTE[name].search(" " + attributes)
    return html.unescape(next((g for g in found.groups() if g is not None), "")) if found else ""


def _tag(match: re.Match[str], text: str) -> str:
    closing, name, attributes = match[1], match[2].lower(), match[3]
    if name not in _KNOWN and "=" not in attributes and not closing:
        return match[0]  # a placeholder of prose, or an autolink: escaped later unless it is one
    if name == "img":
        source = _attribute(attributes, "src")
        alt = re.sub(r"[\[\]\s]+", " ", _attribute(attributes, "alt")).strip()
        return f"![{alt}](<{source}>)" if source and not re.search(r"[<>\n]", source) else alt
    line_start = text.rfind("\n", 0, match.start()) + 1
    in_table_row = text[line_start : line_start + 4].lstrip().startswith("|")
    if in_table_row or name in ("br", "td", "th", "option"):
        return " "
    if name == "li":
        return "" if closing else "\n- "
    return "\n\n" if name in _BLOCKS else ""


def _escape_left_open(text: str) -> str:
    """Escape each `<` that a renderer could take for a tag; `a<b` of a formula, no `>` after it, stays."""
    last_close = text.rfind(">")

    def escape(match: re.Match[str]) -> str:
        line_start = text.rfind("\n", 0, match.start()) + 1
        opens_block = not text[line_start : match.end() - 1].strip(" \t>*+-.0123456789)")
        close = text.find(">", match.end()) if match.end() <= last_close else -1
        opens_tag = close >= 0 and text.find("\n\n", match.end(), close) < 0
        return f"{match[1]}\\<" if opens_block or opens_tag else match[0]

    return _LEFT_OPEN.sub(escape, text)


def _unescape(match: re.Match[str]) -> str:
    plain = html.unescape(match[0])
    if match[0] == "&amp;":
        following = match.string[match.end() : match.end() + 1]
        return "&" if following in (" ", "\n", "") else match[0]
    safe = len(plain) == 1 and plain not in _ENTITY_KEPT and (plain.isprintable() or plain in _SPACES)
    return plain if safe else match[0]


def _rewrite_links(text: str, kept: list[str], resolve: ImageResolver) -> str:
    definitions: dict[str, str] = {}
    if "]:" in text:

        def collect(match: re.Match[str]) -> str:
            definitions.setdefault(_label(match[1]), match[2])
            return ""

        text = _DEFINITION.sub(collect, text)
    if "[" not in text:
        return text
    text = _MARK_BEFORE_BRACKET.sub(r"\1 ", text)

    def image(alt: str, target: str) -> str:
        target = _restore(target, kept)
        resolved = resolve(target, alt)
        return _keep(f"![{alt}]({resolved})", kept) if resolved else alt

    def link(label: str, target: str) -> str:
        target = _restore(target, kept)
        return _keep(f"[{label}]({target})", kept) if label.strip() and _ABSOLUTE.match(target) else label

    def reference(match: re.Match[str]) -> str:
        target = definitions.get(_label(match[3] or match[2]))
        if target is None:
            return match[0]
        return image(match[2], target) if match[1] else link(match[2], target)

    text = _IMAGE.sub(lambda m: image(m[1], m[2] if m[2] is not None else m[3]), text)
    if definitions:
        text = _REFERENCE.sub(reference, text)
    return _LINK.sub(lambda m: link(m[1], m[2] if m[2] is not None else m[3]), text)


def _label(text: str) -> str:
    return " ".join(text.split()).casefold()
