"""Quotations stand word for word in what is cited for them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from cryptocontent.content.checks.checkables import QUOTE_WORDS, quotations, quoted
from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import CheckedSentence, Subject
from cryptocontent.content.documents import Verbatim
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.text import words

NOT_VERBATIM = Rule("quote.not_verbatim", "block", "A quotation whose words no cited source has.")
RULES = (NOT_VERBATIM,)

_ATTRIBUTION = re.compile(r"\s+[—–-]{1,2}\s*[A-Z][^.!?]*\.?\Z")


@dataclass(frozen=True, slots=True)
class Quotation:
    """Words in quotation marks, or set off as a block (`> …`), and the sentences that hold them. What one
    of those cites, it cites for the whole quotation."""

    text: str
    sentences: tuple[CheckedSentence, ...]

    @property
    def citations(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(number for one in self.sentences for number in one.citations))


def check(subject: Subject) -> Iterator[NewFinding]:
    """Hold the quotations that cite something against it; those that don't are claims without a source."""
    for one in quotations_of(subject):
        sources = [subject.sources[number].text for number in one.citations if number in subject.sources]
        if not sources or any(quoted(one.text, source) for source in sources):
            continue
        message = f"“{one.text}” does not stand in what is cited for it, word for word."
        cited = list(one.citations)
        yield NOT_VERBATIM.at(one.sentences[0], message, quote=one.text, cited=cited, key=one.text)


def quotations_of(subject: Subject) -> tuple[Quotation, ...]:
    """The quotations of the article, in order. They may run over several sentences of a paragraph."""
    if "quotations" not in subject.memo:
        subject.memo["quotations"] = tuple(_found(subject))
    found: tuple[Quotation, ...] = subject.memo["quotations"]
    return found


def shared_citations(subject: Subject) -> Mapping[CheckedSentence, tuple[int, ...]]:
    """What sentences cite that are parts of a longer quotation: what the quotation does."""
    return {
        sentence: tuple(dict.fromkeys((*sentence.citations, *one.citations)))
        for one in quotations_of(subject)
        if len(one.sentences) > 1
        for sentence in one.sentences
    }


def _found(subject: Subject) -> Iterator[Quotation]:
    for number, group in groupby(subject.sentences, key=lambda one: one.paragraph):
        sentences = tuple(group)
        block = subject.blocks[number].block
        text = " ".join(one.text for one in sentences)
        if isinstance(block, Verbatim) and block.text.startswith(">"):
            text = _ATTRIBUTION.sub("", text).strip('"“”„«» ')
            if len(words(text)) >= QUOTE_WORDS:
                yield Quotation(text, sentences)
            continue
        for quote, start, end in quotations(text):
            yield Quotation(quote, _holding(sentences, start, end))


def _holding(sentences: tuple[CheckedSentence, ...], start: int, end: int) -> tuple[CheckedSentence, ...]:
    """The sentences of a paragraph in which the characters from `start` to `end` stand."""
    found, at = [], 0
    for one in sentences:
        if at < end and at + len(one.text) > start:
            found.append(one)
        at += len(one.text) + 1
    return tuple(found)
