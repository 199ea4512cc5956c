"""Originality: near-duplicates of other articles and of sources, and too few sources.

Articles are compared by MinHash of their word 5-grams (A. Broder, "On the resemblance and containment
of documents", 1997); sources by how much of the article's 8-grams stands in one of them.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.documents import SOURCES_HEADING
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.text import normalized

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COPY = Rule("duplicate.article", "block", "Nearly the same text as another article of the project.")
ALIKE = Rule("duplicate.article_part", "warn", "Much of the text stands in another article of the project.")
SOURCE = Rule("duplicate.source", "warn", "Most of the text stands in one source, word for word.")
FREE_SOURCE = Rule(
    "duplicate.free_source", "info", "Most of the text stands in one source whose licence permits it."
)
CONCENTRATION = Rule("source.concentration", "info", "The article leans on few references.")
RULES = (COPY, ALIKE, SOURCE, FREE_SOURCE, CONCENTRATION)

PERMUTATIONS = 128
"""Numbers of 32 bits in a signature; the estimate's standard error is at most 1/(2·√128) = 4.4 %."""

_SHINGLE, _GRAM = 5, 8
_COPY = 0.8
_NOTICE = re.compile(r"^::: *notice .*?^:::[ \t]*$", re.M | re.S)
_DEFINITION = re.compile(r"^\[\^[^\]\s]+\]:[^\n]*", re.M)
_PUNCTUATION = {ord(mark): None for mark in ".,;:!?\"'()[]#>|"}
_FREE = re.compile(r"\b(?:CC0|CC[ -]BY|public domain|unlicense)", re.I)


def signature(markdown: str) -> bytes:
    """The MinHash of a text's word 5-grams: 128 little-endian unsigned numbers of 32 bits, 512 bytes. The
    list of sources and locked notices, which all articles share, are left out."""
    import numpy as np

    text = markdown
    if (tail := text.rfind(f"\n## {SOURCES_HEADING}")) >= 0 and not _prose(text[tail:]):
        text = text[:tail]
    tokens = _tokens(_NOTICE.sub("", _DEFINITION.sub("", text)))
    count = max(1, len(tokens) - _SHINGLE + 1)
    shingles = {" ".join(tokens[place : place + _SHINGLE]).encode() for place in range(count)}
    digests = b"".join(hashlib.blake2b(shingle, digest_size=8).digest() for shingle in shingles)
    hashed = np.frombuffer(digests, dtype="<u8")
    factors, terms = _permutations()
    # The upper halves of a·x + b modulo 2⁶⁴: overflow is meant.
    mixed = (factors[:, None] * hashed + terms[:, None]) >> np.uint64(32)
    made: bytes = mixed.min(axis=1).astype("<u4").tobytes()
    return made


@cache
def _permutations() -> tuple["NDArray[np.uint64]", "NDArray[np.uint64]"]:
    """Random odd factors and terms, the same for ever: multiply-shift hashing (M. Dietzfelbinger et al.,
    "A reliable randomized algorithm for the closest-pair problem", 1997). The library for it, datasketch,
    takes half a second to import and brings SciPy along."""
    import numpy as np

    random = np.random.Generator(np.random.PCG64(20261124))
    drawn = random.integers(0, 2**64, size=(2, PERMUTATIONS), dtype=np.uint64)
    return drawn[0] | np.uint64(1), drawn[1]


def _prose(tail: str) -> bool:
    """Whether anything but the heading and the definitions stands in a list of sources."""
    return bool(_DEFINITION.sub("", tail.lstrip().partition("\n")[2]).strip())


def similar(mine: bytes, others: Mapping[str, bytes]) -> list[tuple[str, float]]:
    """The estimated Jaccard similarity with each of the others that is alike at all, most alike first."""
    import numpy as np

    if not others:
        return []
    names = list(others)
    table = np.frombuffer(b"".join(others.values()), dtype="<u4").reshape(len(names), PERMUTATIONS)
    shares = (table == np.frombuffer(mine, dtype="<u4")).mean(axis=1)
    alike = np.flatnonzero(shares)
    return [
        (names[place], float(shares[place])) for place in alike[np.argsort(-shares[alike], kind="stable")]
    ]


def check(subject: Subject) -> Iterator[NewFinding]:
    """Against the neighbours, then against the sources."""
    limits = subject.rules.limits
    for other in subject.neighbours:
        if other.similarity < limits.duplicate_similarity:
            continue
        rule = COPY if other.similarity >= max(_COPY, limits.duplicate_similarity) else ALIKE
        message = f"{other.similarity:.0%} like the article “{other.slug}”."
        yield rule.whole(message, article=other.article_id, similarity=other.similarity, key=other.article_id)
    yield from _copied(subject)
    yield from _concentrated(subject)


def _copied(subject: Subject) -> Iterator[NewFinding]:
    mine = {gram for text in _paragraphs(subject) for gram in _grams(text)}
    if not mine:
        return
    for reference, texts in _texts(subject).items():
        share = len(mine.intersection(_all_grams(texts))) / len(mine)
        if share < subject.rules.limits.source_overlap:
            continue
        first = next(one for one in subject.sources.values() if one.reference_id == reference)
        rule = FREE_SOURCE if _FREE.search(first.licence or "") else SOURCE
        message = f"{share:.0%} of the text stands in “{first.title}”, word for word."
        evidence = {"reference": reference, "title": first.title, "licence": first.licence}
        yield rule.whole(message, **evidence, share=round(share, 3), key=reference)


def _concentrated(subject: Subject) -> Iterator[NewFinding]:
    shares = concentration(subject)
    index = sum(share**2 for share in shares.values())
    if shares and index > subject.rules.limits.source_concentration:
        message = f"The article leans on few references ({len(shares)}, concentration {index:.2f})."
        yield CONCENTRATION.whole(message, hhi=round(index, 3), references=len(shares))


def concentration(subject: Subject) -> dict[str, float]:
    """Each cited reference's share of the citations."""
    counts = Counter(
        source.reference_id
        for one in subject.sentences
        for number in one.citations
        if (source := subject.sources.get(number)) and source.reference_id
    )
    total = sum(counts.values())
    return {str(reference): count / total for reference, count in counts.items()}


def _texts(subject: Subject) -> dict[str, list[str]]:
    """All that is known of each cited reference: what is copied need not be what is cited."""
    cited = concentration(subject)
    found: dict[str, list[str]] = defaultdict(list)
    for source in subject.sources.values():
        if source.reference_id in cited:
            found[source.reference_id].append(source.text)
    return found


def _paragraphs(subject: Subject) -> Iterator[str]:
    texts: dict[int, list[str]] = defaultdict(list)
    for one in subject.sentences:
        texts[one.paragraph].append(one.text)
    return (" ".join(found) for found in texts.values())


@lru_cache(maxsize=2048)
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(normalized(text).translate(_PUNCTUATION).split())


def _grams(text: str) -> Iterable[tuple[str, ...]]:
    tokens = _tokens(text)
    return zip(*(tokens[place:] for place in range(_GRAM)), strict=False)


def _all_grams(texts: Iterable[str]) -> Iterator[tuple[str, ...]]:
    for text in texts:
        yield from _grams(text)
