"""Whether passages bear out a sentence that says what they say in words of its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptocontent.agents.ranking import stem, stems
from cryptocontent.agents.work import ResearchPassage
from cryptocontent.content.checks.checkables import Checkable, checkables, grounded
from cryptocontent.content.checks.listing import Listing

# Words of grammar that stand in every text; those that briefs share too are left out by `stems`.
_WORDS = """
    all also another any because been before being both but could did either had has have having here if just
    like made make many may might more most much must need neither nor now often one only other our out same
    shall should since so some such them then there therefore though through under until upon use used us very
    were whether while whose would yet you your
"""
_GRAMMAR = frozenset(map(stem, _WORDS.split()))

LANGUAGE = "en"
"""The language that stems and grammar are of. Sentences of another are not compared by words: their sources
may be in this one. What can be checked in them is checked all the same."""
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\([^()\s]*\)")

ENOUGH = 0.5
"""The share of its content words that a sentence in own words must have in what it cites. A paraphrase keeps
the names of things and changes verbs and order. Measured on the EIPs of `tests/agents/data`: a sentence has
half of its words in 3.5 % of the other passages of its own document, and in 0.2 % of other documents'."""
ANEW = 0.75
"""The share for citing a passage that the sentence's author did not name. It is looked for in a whole
research, so chance has many tries: 6 % of the sentences measured have such a passage beside their own."""
_FEWEST = 3
"""Content words by which a sentence may be looked for in a whole research."""
WEAK = 0.25
"""Below it a sentence and what it cites have no more in common than any two texts of one subject."""


@dataclass(frozen=True, slots=True)
class Support:
    """How passages bear a sentence out: the `share` of its content words that they have, the parts that can
    be checked and are in none of them, whether any part can be checked, and the numbers of the passages
    that contribute."""

    share: float
    missing: tuple[str, ...]
    checkable: bool
    carrying: tuple[int, ...]

    def holds(self, least: float = ENOUGH) -> bool:
        """Whether the sentence may stand on these passages."""
        return self.share >= least and not self.missing


def content_words(text: str) -> frozenset[str]:
    """The stems of a text's words without grammar and without numbers, which are compared by value."""
    return frozenset(
        one
        for one in stems(text)
        if one not in _GRAMMAR and not any(character.isdigit() for character in one)
    )


def without_links(text: str) -> str:
    """The text with the words of its links, and without where they lead."""
    return _LINK.sub(r"\1", text) if "](" in text else text


def support(
    sentence: str, passages: Sequence[ResearchPassage], listing: Listing, language: str = LANGUAGE
) -> Support:
    """How far the passages bear out the sentence. They do so together: a sentence may join two of them. One
    that has less than a quarter of its words, and nothing of it that can be checked, does not count.
    Numbers that a market fact is cited for are left to the checks, which know its tolerance."""
    sentence = without_links(sentence)
    wanted = content_words(sentence) if language == LANGUAGE else frozenset()
    parts = checkables(sentence, listing.tickers)
    carrying, shared = [], frozenset[str]()
    missing = [] if any(one.fact for one in passages) else [part.text for part in parts]
    for passage in passages:
        has = wanted & content_words(passage.text)
        says = [part.text for part in parts if _says(passage.text, part, listing)]
        if passage.fact or says or len(has) >= WEAK * len(wanted):
            carrying.append(passage.number)
            shared |= has
            missing = [part for part in missing if part not in says]
    share = len(shared) / len(wanted) if wanted else 1.0  # words of grammar claim nothing
    return Support(share, tuple(missing), bool(parts), tuple(carrying))


def best_support(
    sentence: str, passages: Sequence[ResearchPassage], listing: Listing, language: str = LANGUAGE
) -> int | None:
    """The number of the passage that bears out the sentence best, if one surely does by itself."""
    if language != LANGUAGE or len(content_words(sentence)) < _FEWEST:
        return None
    best, number = 0.0, None
    for one in passages:
        if one.fact is None and one.text:
            borne = support(sentence, [one], listing)
            if borne.holds(ANEW) and borne.share > best:
                best, number = borne.share, one.number
    return number


def _says(text: str, part: Checkable, listing: Listing) -> bool:
    if grounded(part, text):
        return True
    # A text in full words names the asset of a ticker; the check `ticker.only_named` tells an editor of it.
    return part.kind == "ticker" and any(
        asset.id in listing.named(text) for asset in listing.by_ticker[part.text.upper()]
    )
