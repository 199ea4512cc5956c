"""From hits to what people want: passages that don't repeat each other, and references in order."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from cryptocontent.knowledge.index import Hit

_ALIKE: Final = 0.9


def normalised_hash(text: str) -> str:
    """The same for texts that differ in case, punctuation and white space only (SHA-256, hex)."""
    return sha256(" ".join(_words(text)).encode()).hexdigest()


def collapse_near_duplicates(
    hits: Sequence[Hit], texts: Mapping[str, str], alike: float = _ALIKE
) -> list[Hit]:
    """`hits` without those that say what a better one says already, in their order.

    `texts` maps passage ids to passage texts; a hit without text is kept. Two passages are alike if their
    words are equal, or if the sets of their words have a Jaccard similarity of at least `alike`.
    """
    kept: list[Hit] = []
    hashes: set[str] = set()
    bags: list[frozenset[str]] = []
    for hit in hits:
        text = texts.get(hit.passage_id)
        if text is not None:
            digest, bag = normalised_hash(text), frozenset(_words(text))
            # without words (a line of symbols) there is nothing to compare
            if bag and (digest in hashes or any(_similar(bag, other, alike) for other in bags)):
                continue
            hashes.add(digest)
            bags.append(bag)
        kept.append(hit)
    return kept


def rank_references(hits: Sequence[Hit]) -> list[str]:
    """Reference ids, best first: a reference is as good as its best passage."""
    best: dict[str, float] = {}
    for hit in hits:
        best[hit.reference_id] = max(hit.score, best.get(hit.reference_id, hit.score))
    return sorted(best, key=lambda reference: -best[reference])


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


def _similar(one: frozenset[str], other: frozenset[str], alike: float) -> bool:
    smaller, larger = sorted((len(one), len(other)))
    if smaller < alike * larger:  # the cheap bound: the intersection can't be larger than the smaller set
        return False
    shared = len(one & other)
    return shared >= alike * (len(one) + len(other) - shared)
