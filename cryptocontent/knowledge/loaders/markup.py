"""From the HTML of a document to Markdown that loses none of its words: what `markdownify` leaves out or runs
together is put right here. Import it inside functions: it brings parsers along.

Line breaks within a table's cell become ` / `, since Markdown has no break there that is not HTML.
Superscript digits stay superscript (`10⁶`, never `106`). Cells that span rows are repeated in each of them,
so that a row can be read alone. A tag `<footnotemark n="1">` becomes `[^1]`.
"""

import re
from typing import Any, Final

from bs4 import BeautifulSoup, Tag
from markdownify import MarkdownConverter

_BREAK: Final = "\ue010"  # a line break within a cell; no text that reaches readers holds it
_SUPERSCRIPT: Final = str.maketrans("0123456789+-−=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ")
_SUBSCRIPT: Final = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_ORDINAL: Final = re.compile(r"(?:st|nd|rd|th|TM|SM|®|©|ª|º|er|e|o|a|[*†‡§])\Z")
_LEADS: Final = re.compile(
    r"^([ \t]*)(#{1,6}(?=\s|\Z)|[-+](?=\s|\Z)|>|~~~|(?:-[ \t]*){3,}$|=+[ \t]*$)", re.MULTILINE
)
_NUMBERS: Final = re.compile(r"^([ \t]*\d{1,9})([.)])(?=\s|\Z)", re.MULTILINE)
_LINKLIKE: Final = re.compile(r"\[(?=\^|[^\[\]]*\](?:[(\[:]|\Z))")
_ENTITY: Final = re.compile(r"&(?=#?\w{1,32};)")
_CELLS: Final = ["td", "th"]
_MOST_SPAN: Final = 1_000
_Spanning = tuple[int, int, str]  # rows that a cell still reaches into, its columns, its markup


def markdown_of(html: "str | BeautifulSoup") -> str:
    """Markdown with `#` headings, `-` lists, and pipe tables whose first row is their head."""
    soup = BeautifulSoup(html, "html.parser") if isinstance(html, str) else html
    for table in soup.find_all("table"):
        if isinstance(table, Tag) and table.find_parent("table") is None:
            _make_plain(soup, table)
    converter = _Converter(heading_style="ATX", bullets="-", table_infer_header=True)
    return str(converter.convert_soup(soup))


def _make_plain(soup: BeautifulSoup, table: Tag) -> None:
    """Tables within cells become lines of text; cells that span rows are repeated in each."""
    for inner in reversed(table.find_all("table")):
        lines = [
            ", ".join(" ".join(cell.get_text(" ").split()) for cell in row.find_all(_CELLS))
            for row in inner.find_all("tr")
        ]
        text = soup.new_tag("p")
        for line in lines:
            text.append(line)
            text.append(soup.new_tag("br"))
        inner.replace_with(text)
    down: dict[int, _Spanning] = {}
    for row in table.find_all("tr"):
        here, down, column = down, {}, 0
        for cell in [*row.find_all(_CELLS, recursive=False), None]:
            while column in here:
                rows, columns, markup = here[column]
                copy = BeautifulSoup(markup, "html.parser")
                row.append(copy) if cell is None else cell.insert_before(copy)
                if rows > 1:
                    down[column] = (rows - 1, columns, markup)
                column += columns
            if cell is None:
                break
            rows, columns = _span(cell, "rowspan"), _span(cell, "colspan")
            if rows > 1:
                markup = f'<{cell.name} colspan="{columns}">{cell.decode_contents()}</{cell.name}>'
                down[column] = (rows - 1, columns, markup)
            column += columns


def _span(cell: Tag, name: str) -> int:
    value = str(cell.get(name, "1"))
    return max(1, min(int(value), _MOST_SPAN)) if value.isdigit() else 1


_Base: Any = MarkdownConverter  # its types name no conversion


class _Converter(_Base):  # type: ignore[misc]
    """Its methods are named by the tags that they convert, and get the element, the Markdown of what is in it
    and the names of the tags around it."""

    def escape(self, text: str, parent_tags: Any) -> str:
        """Text that Markdown would take for markup, made plain."""
        text = re.sub(r"\\(?=[!-/:-@\[-`{-~])", r"\\\\", text)
        for sign in "*_`":
            text = text.replace(sign, f"\\{sign}")
        text = _LINKLIKE.sub(r"\\[", text.replace("~~", "\\~~"))
        # What looks like a tag or an entity is text here; cleaning would take it for markup.
        return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", _ENTITY.sub("&amp;", text))

    def convert_p(self, el: Tag, text: str, parent_tags: Any) -> str:
        if self._in_cell(parent_tags):
            return f"{_BREAK}{text.strip()}{_BREAK}"
        return str(super().convert_p(el, _not_leading(text), parent_tags))

    def convert_br(self, el: Tag, text: str, parent_tags: Any) -> str:
        return _BREAK if self._in_cell(parent_tags) else str(super().convert_br(el, text, parent_tags))

    def convert_div(self, el: Tag, text: str, parent_tags: Any) -> str:
        if self._in_cell(parent_tags):
            return f"{_BREAK}{text.strip()}{_BREAK}"
        return str(super().convert_div(el, text, parent_tags))

    def convert_li(self, el: Tag, text: str, parent_tags: Any) -> str:
        if self._in_cell(parent_tags):
            return f"{_BREAK}{text.strip()}{_BREAK}"
        first: Any = next((one for one in el.children if not isinstance(one, str) or one.strip()), None)
        if isinstance(first, str):
            head, newline, rest = text.lstrip().partition("\n")
            text = _not_leading(head) + newline + rest
        return str(super().convert_li(el, text, parent_tags))

    def convert_td(self, el: Tag, text: str, parent_tags: Any) -> str:
        parts = [" ".join(part.split()) for part in text.split(_BREAK)]
        joined = " / ".join(part for part in parts if part)
        # `\\|` is a pipe in a cell, in code too; one that is escaped already stays so.
        joined = re.sub(r"(?<!\\)((?:\\\\)*)\|", r"\1\\|", joined)
        return f" {joined} |" + " |" * (_span(el, "colspan") - 1)

    convert_th = convert_td

    def convert_img(self, el: Tag, text: str, parent_tags: Any) -> str:
        """The image, wherever it stands; in a heading or a cell, too."""
        alt = " ".join(str(el.get("alt") or "").translate({ord("["): "(", ord("]"): ")"}).split())
        source = str(el.get("src") or "")
        return f"![{alt}]({f'<{source}>' if ' ' in source else source})"

    def convert_sup(self, el: Tag, text: str, parent_tags: Any) -> str:
        return _raised(text, _SUPERSCRIPT, "^")

    def convert_sub(self, el: Tag, text: str, parent_tags: Any) -> str:
        return _raised(text, _SUBSCRIPT, "")

    def convert_input(self, el: Tag, text: str, parent_tags: Any) -> str:
        if el.get("type") != "checkbox":
            return ""
        return "[x] " if el.has_attr("checked") else "[ ] "

    def convert_footnotemark(self, el: Tag, text: str, parent_tags: Any) -> str:
        return f"[^{el['n']}]"

    @staticmethod
    def _in_cell(parent_tags: Any) -> bool:
        return not parent_tags.isdisjoint(_CELLS)


def _raised(text: str, letters: dict[int, int], sign: str) -> str:
    plain = text.strip()
    if not plain or plain.startswith("[") or _ORDINAL.match(plain):
        return text
    moved = plain.translate(letters)
    if not any(mine == other for mine, other in zip(moved, plain, strict=True)):
        return text.replace(plain, moved)
    return text.replace(plain, f"{sign}{plain}")


def _not_leading(text: str) -> str:
    """Lines of text none of which begins as a heading, an item, a quotation or a rule would."""
    text = _LEADS.sub(r"\1\\\2", text)
    return _NUMBERS.sub(r"\1\\\2", text)
