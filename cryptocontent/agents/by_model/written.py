"""The forms of a writer's answers, and how they become blocks of an article.

A model gives sentences and what each cites, never Markdown: what is markup in a sentence is refused, and
so is what the article's text would be read otherwise than it was meant.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import BaseModel, Field

from cryptocontent.agents.by_model.edits import InstructionAnswer
from cryptocontent.agents.by_model.evidence import Problem
from cryptocontent.content.documents import Block, Paragraph, Sentence, parse
from cryptocontent.content.text import sentences

_CODE = re.compile(r"`[^`]*`")
_OPENS_BLOCK = re.compile(r"(?:#{1,6}\s|[>|<]|:::|```|~~~|[-+*]\s|\d{1,9}[.)](?:\s|\Z)|\[\^)")
_TAG = re.compile(r"</?[A-Za-z!][^>]*>?")
_LINK = re.compile(r"!\[|\]\s?[(\[:]")
_MARKER = re.compile(r"\s?\[\^(\d{1,4})\]")
_AT_END = re.compile(r"\s?\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\](?=[.!?]?\Z)")
_STOP_IN_QUOTES = re.compile(r"\.([“»])\.?\Z")
_ENDS = (".", "!", "?", "…", ":")
_CLOSING = " \"')`*”’"
# After one letter, or one or two digits, a full stop need not end a sentence: `J. Smith`, `am 3. Mai`.
_NO_END = re.compile(r"(?<![\w.,])(?:[^\W\d_]|\d{1,2})\.\Z")


class WrittenSentence(BaseModel):
    """One sentence of the article."""

    text: str = Field(description="exactly one sentence of plain text, without markers, markup and links")
    citations: list[int] = Field(
        default_factory=list, description="the numbers of the passages that say what the sentence says"
    )


class WrittenParagraph(BaseModel):
    """Sentences that stand together."""

    sentences: list[WrittenSentence]
    list_item: bool = Field(False, description="whether it is an item of a bullet list; seldom")


class PlannedSection(BaseModel):
    """What a section of the outline will say."""

    section: int = Field(description="the section's number in the outline, from 1")
    angle: str = Field(description="in one line, what the section says that no other one does")
    passages: list[int] = Field(default_factory=list, description="the passages that it rests on, best first")
    phrases: list[int] = Field(
        default_factory=list, description="the numbers of the required phrases that stand in it, if any"
    )


class ArticlePlan(BaseModel):
    """What the article will say, section by section; each passage serves one section if it can."""

    lead: str = Field(description="in one line, what the first paragraph tells the reader")
    sections: list[PlannedSection]
    answers: list[InstructionAnswer] = Field(
        default_factory=list, description="how each request of a person is carried out"
    )


class SectionDraft(BaseModel):
    """The paragraphs of one part of the article; none if no passage says anything on it."""

    paragraphs: list[WrittenParagraph]


class DraftedSection(BaseModel):
    """A section of the article; no paragraphs if no passage says anything on it."""

    section: int = Field(description="the section's number in the outline, from 1")
    paragraphs: list[WrittenParagraph]


class ArticleDraft(BaseModel):
    """The whole article: the lead stands before the first heading."""

    lead: list[WrittenParagraph]
    sections: list[DraftedSection]
    answers: list[InstructionAnswer] = Field(
        default_factory=list, description="how each request of a person was carried out"
    )


@dataclass(frozen=True, slots=True)
class Written:
    """Paragraphs that are sound, and what is wrong with the sentences that are not among them."""

    blocks: tuple[Block, ...]
    refused: tuple[Problem, ...]


def written(paragraphs: Iterable[WrittenParagraph]) -> Written:
    """A model's paragraphs as blocks that read back as what they are: `parse(render(blocks)) == blocks`."""
    blocks: list[Block] = []
    refused: list[Problem] = []
    for given in paragraphs:
        bullet = "-" if given.list_item else ""
        kept: list[Sentence] = []
        for one in given.sentences:
            found = _sentences(one)
            if isinstance(found, Problem):
                refused.append(found)
            elif _reads_back([*kept, *found], bullet):
                kept += found
            elif found:
                message = "it can't be told from the sentence before it; write it in other words."
                refused.append(_refused(one, message))
        if kept:
            blocks.append(Paragraph(tuple(kept), bullet))
    return Written(tuple(blocks), tuple(refused))


def _sentences(given: WrittenSentence) -> list[Sentence] | Problem:
    """The sentence as the article has it (several, if there were several in one), or why it can't be."""
    text = " ".join(given.text.split())
    numbers = list(given.citations)
    for match in _MARKER.finditer(text):
        numbers.append(int(match[1]))
    text = _MARKER.sub("", text)
    if at_end := _AT_END.search(text):
        numbers += [int(number) for number in at_end[1].split(",")]
        text = _AT_END.sub("", text)
    if not text:
        return []
    if problem := _markup(text):
        return _refused(given, problem)
    text = _STOP_IN_QUOTES.sub(r"\1.", text)
    if not text.rstrip(_CLOSING).endswith(_ENDS):
        text += "."
    parts = sentences(text)
    if any(_NO_END.search(one) or after[:1].islower() for one, after in pairwise(parts)):
        message = (
            "it would be read as several sentences; write abbreviations and ordinal numbers out, and dates "
            "without full stops (2012-11-28)."
        )
        return _refused(given, message)
    return [Sentence(" ".join(part.split()), tuple(dict.fromkeys(numbers))) for part in parts]


def _markup(text: str) -> str:
    bare = _CODE.sub("``", text)
    if opening := _OPENS_BLOCK.match(text):
        return f"it begins with “{opening[0].strip()}”, which is markup; begin with a word."
    if _LINK.search(bare):
        return "it holds a link or an image; give plain text, the newsroom adds links."
    if tag := _TAG.search(bare):
        return f"it holds HTML (“{tag[0][:40]}”); give plain text."
    return ""


def _refused(given: WrittenSentence, message: str) -> Problem:
    return Problem(" ".join(given.text.split()), "sentence.refused", message, tuple(given.citations))


def _reads_back(cited: Sequence[Sentence], bullet: str) -> bool:
    paragraph = Paragraph(tuple(cited), bullet)
    return bool(cited) and parse(paragraph.render()) == [paragraph]
