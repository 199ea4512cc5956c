"""An article's Markdown as blocks of cited sentences, and back.

The body of a draft is a title, paragraphs, headings, figures and lists. A claim's citations follow
its sentence as footnote markers, `[^3]`, where 3 is the number of a passage in the frozen research;
numbers stay what they are from the first draft to the export, so that a diff shows edits only.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from cryptocontent.content.text import sentences, word_count

_MARKERS = re.compile(r"(?:\s?\[\^\d+\])+")
_NUMBER = re.compile(r"\d+")
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\Z")
_FIGURE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<src>[^)\s]+)(?:\s+\"(?P<caption>[^\"]*)\")?\)\Z")
_LIST_ITEM = re.compile(r"(?P<bullet>[-*+]|\d+[.)])\s+(?P<text>.*)\Z", re.S)
_DEFINITION = re.compile(r"\[\^(\d+)\]:")
NOTICE = re.compile(r":::[ \t]*notice[ \t]+(?P<id>[a-z][a-z0-9-]*)[ \t]*\Z")
"""The line that opens a locked notice; a line `:::` closes it."""
SOURCES_HEADING = "Sources"
_URL_CHARACTERS = ":/?#[]@!$&'()*+,;=%~"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence and the research passages it cites."""

    text: str
    citations: tuple[int, ...] = ()

    def render(self) -> str:
        return self.text + "".join(f"[^{number}]" for number in self.citations)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the article's title and does not stand in the body."""

    level: int
    text: str

    def render(self) -> str:
        return f"{'#' * self.level} {self.text}"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences that stand together. `bullet` is the mark of a list item (`-`, `1.`), else empty."""

    sentences: tuple[Sentence, ...]
    bullet: str = ""

    def render(self) -> str:
        text = " ".join(sentence.render() for sentence in self.sentences)
        return f"{self.bullet} {text}" if self.bullet else text


@dataclass(frozen=True, slots=True)
class Figure:
    """An image: `src` is `image:<sha256>` of an image in the object store."""

    alt: str
    src: str
    caption: str = ""

    def render(self) -> str:
        caption = f' "{self.caption}"' if self.caption else ""
        return f"![{self.alt}]({self.src}{caption})"


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A block that is kept as it is: a table, a fenced code block, a quotation, a locked notice."""

    text: str

    def render(self) -> str:
        return self.text


Block = Heading | Paragraph | Figure | Verbatim


@dataclass(frozen=True, slots=True)
class Source:
    """What a footnote says of the passage that it points at."""

    number: int
    title: str
    heading_path: tuple[str, ...] = ()
    url: str | None = None
    licence: str | None = None

    def render(self) -> str:
        # A reference's own words: they must not become markup of the article.
        where = " › ".join(_harmless(part) for part in self.heading_path if part != self.title)
        text = f"{_harmless(self.title)}, “{where}”" if where else _harmless(self.title)
        link = self.url if self.url and self.url.lower().startswith(("http://", "https://")) else ""
        url = f" <{quote(link, safe=_URL_CHARACTERS)}>" if link else ""
        licence = f" ({_harmless(self.licence)})" if self.licence else ""
        return f"[^{self.number}]: {text}{licence}.{url}"


def _harmless(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("[", "\\[")


def parse_paragraph(text: str) -> Paragraph:
    """A paragraph's sentences with the markers that follow each. Markers after a full stop end a
    sentence; markers within one belong to it."""
    bullet = ""
    if item := _LIST_ITEM.match(text):
        bullet, text = item["bullet"], item["text"]
    found: list[Sentence] = []
    plain, numbers, last = "", [], 0
    for markers in _MARKERS.finditer(text):
        plain += text[last : markers.start()]
        last = markers.end()
        numbers += [int(number) for number in _NUMBER.findall(markers[0])]
        if plain.rstrip(" \"')`*”’").endswith((".", "!", "?", "…", ":")):
            found += _cited(plain, numbers)
            plain, numbers = "", []
    return Paragraph((*found, *_cited(plain + text[last:], numbers)), bullet)


def _cited(plain: str, numbers: Sequence[int]) -> list[Sentence]:
    """The sentences of a stretch of text, the last of which bears the citations."""
    texts = [" ".join(sentence.split()) for sentence in sentences(plain)]
    citations = tuple(dict.fromkeys(numbers))
    return [Sentence(text, citations if index == len(texts) else ()) for index, text in enumerate(texts, 1)]


def parse(body: str) -> list[Block]:
    """The blocks of a body. Footnote definitions and the heading over them are not part of it."""
    blocks: list[Block] = []
    for chunk in _chunks(body):
        if _DEFINITION.match(chunk):
            continue
        if heading := _HEADING.match(chunk):
            blocks.append(Heading(len(heading[1]), heading[2]))
        elif figure := _FIGURE.match(chunk):
            blocks.append(Figure(figure["alt"], figure["src"], figure["caption"] or ""))
        elif chunk.lstrip().startswith(("```", "~~~", "|", ">", "<", ":::")):
            blocks.append(Verbatim(chunk))
        else:
            blocks.append(parse_paragraph(chunk))
    if blocks and blocks[-1] == Heading(2, SOURCES_HEADING):
        blocks.pop()
    return blocks


def _chunks(body: str) -> Iterable[str]:
    """Blocks of text: separated by blank lines, except inside a fence or a locked notice; list items and
    headings are chunks of their own."""
    current: list[str] = []
    fence = ""
    lines = body.splitlines()
    for number, line in enumerate(lines):
        opens = line.lstrip()[:3]
        if fence:
            current.append(line)
            if opens == fence:
                yield "\n".join(current)
                current, fence = [], ""
            continue
        fenced = opens in ("```", "~~~") or (opens == ":::" and notice_end(lines, number) is not None)
        starts_alone = bool(_HEADING.match(line) or _LIST_ITEM.match(line) or _DEFINITION.match(line))
        if current and (not line.strip() or fenced or starts_alone):
            yield "\n".join(current).strip()
            current = []
        if fenced:
            fence = opens
        if line.strip():
            current.append(line)
        if current and _HEADING.match(line):
            yield line.strip()
            current = []
    if current:
        yield "\n".join(current).strip()


def notice_end(lines: Sequence[str], start: int) -> int | None:
    """The number of the line that closes the notice which line `start` opens; None if that opens none or
    nothing closes it: a notice without an end must not swallow the rest of the article."""
    if not NOTICE.match(lines[start]):
        return None
    for number in range(start + 1, len(lines)):
        if lines[number].lstrip().startswith(":::"):
            return number if lines[number].strip() == ":::" else None
    return None


def notice_lines(lines: Sequence[str]) -> list[tuple[int, int | None, str]]:
    """The locked notices of a text: the numbers of the lines that open and close each (None: nothing
    closes it) and its id. Those in a code block are an example of one and do not count."""
    found: list[tuple[int, int | None, str]] = []
    fence, last = "", -1
    for number, line in enumerate(lines):
        opens = line.lstrip()[:3]
        if number <= last:
            continue
        if opens in ("```", "~~~") and fence in ("", opens):
            fence = "" if fence else opens
        elif not fence and (notice := NOTICE.match(line)):
            end = notice_end(lines, number)
            found.append((number, end, notice["id"]))
            last = end if end is not None else number
    return found


def render(blocks: Iterable[Block]) -> str:
    """Blocks as Markdown: a blank line between blocks, none between the items of one list."""
    text = ""
    previous: Block | None = None
    for block in blocks:
        tight = (
            isinstance(block, Paragraph)
            and isinstance(previous, Paragraph)
            and block.bullet
            and previous.bullet
        )
        text += ("\n" if tight else "\n\n" if text else "") + block.render()
        previous = block
    return text


def render_article(title: str, body: str, sources: Sequence[Source]) -> str:
    """A whole version: title, body and the list of sources that the body cites, by number."""
    cited = cited_numbers(body)
    notes = [
        source.render()
        for source in sorted(sources, key=lambda source: source.number)
        if source.number in cited
    ]
    tail = f"\n\n## {SOURCES_HEADING}\n\n" + "\n".join(notes) if notes else ""
    return f"# {title}\n\n{body.strip()}{tail}\n"


def split_article(markdown: str) -> tuple[str, str]:
    """The title and the body (without the sources) of a whole version's Markdown."""
    blocks = parse(markdown)
    title = ""
    if blocks and isinstance(blocks[0], Heading) and blocks[0].level == 1:
        title = blocks[0].text
        blocks = blocks[1:]
    return title, render(blocks)


def cited_numbers(body: str) -> set[int]:
    """Every research number that the text cites."""
    return {int(number) for number in re.findall(r"\[\^(\d+)\](?!:)", body)}


def paragraphs(blocks: Iterable[Block]) -> list[Paragraph]:
    """The paragraphs and list items, in order."""
    return [block for block in blocks if isinstance(block, Paragraph)]


def body_words(blocks: Iterable[Block]) -> int:
    """Words of paragraphs, list items and headings: what a reader reads."""
    return sum(word_count(block.render()) for block in blocks if isinstance(block, Paragraph | Heading))


def without_empty(blocks: Iterable[Block]) -> list[Block]:
    """Blocks without empty paragraphs and without headings over nothing."""
    kept: list[Block] = []
    for block in blocks:
        if isinstance(block, Paragraph) and not block.sentences:
            continue
        if (
            isinstance(block, Heading)
            and kept
            and isinstance(kept[-1], Heading)
            and kept[-1].level >= block.level
        ):
            kept.pop()
        kept.append(block)
    while kept and isinstance(kept[-1], Heading):
        kept.pop()
    return kept
