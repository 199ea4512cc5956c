"""Links to other articles, `[text](article:slug)`: put in by us where a model proposes them."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, Field

from cryptocontent.agents.drafts import Edits, enumeration
from cryptocontent.content.checks.checkables import quotations
from cryptocontent.content.documents import Block, Paragraph, Sentence, parse
from cryptocontent.content.text import words

_TARGET = re.compile(r"(?<!!)\[[^\]\n]+\]\(article:([^)\s]+)\)")
_MARKUP = re.compile(r"[\[\]<>*`#|{}\\\n\r\"“”]")
# Where in a sentence no link may begin or end: other links and images, code, bare addresses.
_TAKEN = re.compile(r"!?\[[^\]]*\](?:\([^)]*\))?|`+[^`]*`+|<[^>]*>|\b[a-z][a-z0-9+.-]*://\S+|www\.\S+", re.I)
_MOST_WORDS, _MOST_SHOWN = 8, 20


class InternalLink(BaseModel):
    """A link to another article of the newsroom."""

    text: str = Field(description="words of one sentence of the draft, exactly as they stand there")
    slug: str = Field(description="the other article's slug, as it is given after `article:`")


Harmless = Callable[[Sentence, Sentence], bool]
"""Whether a sentence with a link is to the checks what it was without."""


@dataclass(frozen=True, slots=True)
class Linked:
    """A draft with links: its blocks, the edits, and why other proposals were left out."""

    blocks: list[Block]
    edits: Edits
    refused: tuple[str, ...]


def link_targets(body: str) -> list[str]:
    """The slugs that a body links to."""
    return _TARGET.findall(body)


def with_links(
    body: str, proposed: Sequence[InternalLink], offered: Collection[str], most: int, harmless: Harmless
) -> Linked:
    """The body with the links that are sound: to an article that was offered and is not linked yet, on words
    of a sentence outside headings, quotations, code, notices and links, where that is `harmless`, and `most`
    in all."""
    blocks = parse(body)
    edits, refused = Edits("seo"), []
    there = link_targets(body)
    for one in proposed:
        text = " ".join(one.text.split())
        wrong = _wrong(text, one.slug, offered, there, most)
        placed = None if wrong else _placed(blocks, text, one.slug, harmless)
        if placed is None:
            reason = wrong or "its words stand nowhere in a sentence of the draft where a link may be"
            refused.append(f"link “{text[:80]}” to {one.slug[:80]!r}: {reason}")
            continue
        place, block, before, after = placed
        blocks[place] = block
        there.append(one.slug)
        edits.add("links.internal", before.render(), after.render(), "readers find more of it there")
    return Linked(blocks, edits, tuple(refused))


def _wrong(text: str, slug: str, offered: Collection[str], there: Sequence[str], most: int) -> str:
    if slug not in offered:
        shown = enumeration(sorted(offered)[:_MOST_SHOWN]) or "none"
        return f"no such article was offered; offered are {shown}"
    if slug in there:
        return "the article links there already"
    if len(there) >= most:
        return f"the article may have {most} links to other articles at most"
    if not 1 <= len(words(text)) <= _MOST_WORDS or _MARKUP.search(text):
        return f"a link bears 1 to {_MOST_WORDS} plain words of the draft"
    return ""


def _placed(
    blocks: Sequence[Block], text: str, slug: str, harmless: Harmless
) -> tuple[int, Paragraph, Sentence, Sentence] | None:
    """The first place where the words may bear the link: the block's number, the block with it, and the
    sentence before and after."""
    wanted = re.compile(rf"(?<![\w-]){re.escape(text)}(?![\w-])", re.IGNORECASE)
    for place, block in enumerate(blocks):
        if not isinstance(block, Paragraph):
            continue
        for at, sentence, taken in _sentences(block):
            for match in wanted.finditer(sentence.text):
                start, end = match.span()
                if any(start < last and first < end for first, last in taken):
                    continue
                linked = f"{sentence.text[:start]}[{match[0]}](article:{slug}){sentence.text[end:]}"
                after = replace(sentence, text=linked)
                changed = replace(block, sentences=(*block.sentences[:at], after, *block.sentences[at + 1 :]))
                if parse(changed.render()) == [changed] and harmless(sentence, after):
                    return place, changed, sentence, after
    return None


def _sentences(block: Paragraph) -> Iterator[tuple[int, Sentence, list[tuple[int, int]]]]:
    """A paragraph's sentences, each with the stretches of it that no link may touch. Quotations may run over
    several sentences."""
    quoted = quotations(" ".join(one.text for one in block.sentences))
    offset = 0
    for at, sentence in enumerate(block.sentences):
        taken = [match.span() for match in _TAKEN.finditer(sentence.text)]
        taken += [(first - offset, last - offset) for _, first, last in quoted]
        yield at, sentence, taken
        offset += len(sentence.text) + 1
