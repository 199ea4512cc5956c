"""The sections of a version, each with a hash of all that it says and cites: the unit of approval."""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptocontent.content.documents import Block, Heading, cited_numbers, parse, render, split_article
from cryptocontent.content.text import content_hash

TITLE, LEAD = "Title", "Lead"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of level 2 with what stands under it; the title and the lead are sections as well."""

    name: str
    hash: str
    words: str


def sections(markdown: str, targets: Mapping[int, str]) -> list[Section]:
    """The version's sections, in order. `targets` says what each footnote points at, so that the same
    number over another passage is another content."""
    title, body = split_article(markdown)
    groups: list[tuple[str, list[Block]]] = [(LEAD, [])]
    for block in parse(body):
        if isinstance(block, Heading) and block.level <= 2:
            groups.append((block.text, [block]))
        else:
            groups[-1][1].append(block)
    found = [Section(TITLE, content_hash([TITLE, title]), title)]
    for name, blocks in groups:
        if not blocks:
            continue
        text = render(blocks)
        cited = {str(number): targets.get(number, "") for number in sorted(cited_numbers(text))}
        found.append(Section(name, content_hash([name, text, cited]), text))
    return found
