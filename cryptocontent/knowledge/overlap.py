"""Which briefs would make articles that compete with each other, before any of them is paid for.

Two pieces are compared by what they are about: the words of their titles (those that only make a headline
left out), their keywords, and the direction of their embeddings. `duplicate` says that they are the same
article, `cannibalises` that readers who search would find both for one question. Pieces of one matrix
(`How to buy Bitcoin in Germany`, `… in France`) differ by a name or number that each has for itself: their
titles are not taken as alike, however similar they look.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from cryptocontent.content.text import normalized, slugify, words
from cryptocontent.knowledge.embedding import Embedder
from cryptocontent.storage.models import Article, Brief, Version

Strength = Literal["duplicate", "cannibalises"]
Stem = Callable[[str], str]

# Chosen on the pairs of tests/knowledge/test_overlap.py with the local embedding model.
SAME_WORDS: Final = 92  # rapidfuzz ratio (0 to 100) of the sorted words of two titles: a letter apart
PART: Final = 0.5  # of a title's words that the other one has, where it has no word more
CLOSE_WORDS: Final = 0.5  # Jaccard of the words of two titles that each have words of their own …
CLOSE_MEANING: Final = 0.75  # … and the cosine that makes them one subject nonetheless
RELATED_MEANING: Final = 0.7  # the cosine of two pieces that may be about one subject, if more says so
SAME_MEANING: Final = 0.97  # the cosine of two pieces that say the same
SHARED_KEYWORDS, SOME_KEYWORDS, SAME_KEYWORDS = 0.5, 0.3, 0.8  # Jaccard of keyword sets
CATEGORY: Final = (
    20  # a keyword of more pieces than this names a field, not what one article wants to be found for
)
MOST_PER_BRIEF: Final = 20  # the strongest pairs of one brief that are reported
_ROWS: Final = 256  # of the comparison that are in memory at once

# What headlines are made of whatever they are about.
_HEADLINE_WORDS: Final = """
a an the of and or in on at to for from by with without as is are was be do does did not no it its this
that these those what why when where which who whom how i you your we our they their can could will would
should may about into vs versus between than then explained explain explainer explaining guide
introduction intro overview understanding mean means meaning matter matters beginner beginners basics
primer everything need know really actually simply simple compare compared comparison
"""
_HEADLINE: Final = frozenset(_HEADLINE_WORDS.split())
_JOINTS = re.compile(r"[/_'’-]")
_BREAK = re.compile(r"[:.?!–—(]\s*$")


@dataclass(frozen=True, slots=True)
class Piece:
    """A brief or an article, by what it is found for. The first keyword is the primary one. `slug` is an
    article's; `brief_id` is what the piece belongs to: a brief does not compete with its own article."""

    brief_id: str
    title: str
    keywords: tuple[str, ...] = ()
    slug: str | None = None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two pieces that compete: a brief, and another brief or its article (`slug`). `exact`: the titles are
    the same, word for word. `within`: both are among the briefs that were asked about."""

    brief_id: str
    other_id: str
    other_title: str
    slug: str | None
    strength: Strength
    exact: bool
    within: bool
    reasons: tuple[str, ...]
    meaning: float


def pieces(session: Session, project_id: str) -> list[Piece]:
    """All briefs of the project in the order they were given, then all articles as they stand."""
    briefs = session.execute(
        select(Brief.id, Brief.title, Brief.keywords)
        .filter_by(project_id=project_id)
        .order_by(Brief.created_at, Brief.ordinal, Brief.id)
    )
    found = [Piece(brief, title, tuple(keywords)) for brief, title, keywords in briefs]
    articles = session.execute(
        select(Article.brief_id, Article.title, Article.slug, Version.details)
        .outerjoin(Version, Version.id == Article.version_id)
        .where(Article.project_id == project_id, Article.status != "archived")
        .order_by(Article.created_at, Article.id)
    )
    for brief, title, slug, details in articles:
        seo = (details or {}).get("seo") or {}
        found.append(Piece(brief, title, tuple(seo.get("keywords") or ()), slug))
    return found


def overlaps(known: Sequence[Piece], asked: Iterable[str], embedder: Embedder, stem: Stem) -> list[Overlap]:
    """The pairs of the asked briefs with everything known (the asked ones among it) that compete, each
    once, in the order of the briefs, the strongest first. `stem` folds the forms of a word into one."""
    wanted = set(asked)
    described = _described(known, stem)
    vectors = embedder.embed([" ".join((one.title, *one.keywords)) for one in known])
    table = _Table(known, described)
    rows = [row for row, one in enumerate(known) if one.brief_id in wanted and one.slug is None]
    best: dict[tuple[str, str], Overlap] = {}
    for row, column, meaning in _candidates(table, rows, vectors):
        left, right = known[row], known[column]
        within = right.brief_id in wanted
        if left.brief_id == right.brief_id or (within and right.slug is None and column < row):
            continue
        found = _compare(left, described[row], right, described[column], meaning, within)
        if found is None:
            continue
        # Once per pair, though both may have been asked about and have an article.
        key = (min(left.brief_id, right.brief_id), max(left.brief_id, right.brief_id))
        key = key if within else (left.brief_id, right.brief_id)
        if key not in best or _weight(found) > _weight(best[key]):
            best[key] = found
    place = {known[row].brief_id: number for number, row in enumerate(rows)}
    ordered = sorted(
        best.values(), key=lambda one: (place[one.brief_id], [-part for part in _weight(one)], one.other_id)
    )
    given: Counter[str] = Counter()
    kept = []
    for one in ordered:
        given[one.brief_id] += 1
        if given[one.brief_id] <= MOST_PER_BRIEF:
            kept.append(one)
    return kept


def _weight(one: Overlap) -> tuple[float, ...]:
    return (one.strength == "duplicate", one.exact, len(one.reasons), one.meaning)


@dataclass(frozen=True, slots=True)
class _Described:
    """A piece as it is compared: the stems of its title, the names and numbers in it, its keywords."""

    title: frozenset[str]
    names: frozenset[str]
    keywords: frozenset[str]
    primary: str

    @property
    def line(self) -> str:
        return " ".join(sorted(self.title))


def _described(known: Sequence[Piece], stem: Stem) -> list[_Described]:
    spelled = [tuple(_keyword(word, stem) for word in one.keywords) for one in known]
    # A brief and its article bear the same keywords and are one piece.
    bearers: dict[str, set[str]] = defaultdict(set)
    for one, keys in zip(known, spelled, strict=True):
        for key in keys:
            bearers[key].add(one.brief_id)
    fields = {key for key, briefs in bearers.items() if len(briefs) > CATEGORY} | {""}
    return [
        _Described(
            frozenset(stem(word) for word in title_words(one.title)),
            _names(one.title, stem),
            frozenset(keys) - fields,
            keys[0] if keys and keys[0] not in fields else "",
        )
        for one, keys in zip(known, spelled, strict=True)
    ]


def _keyword(text: str, stem: Stem) -> str:
    """A keyword whatever the order and the forms of its words."""
    return " ".join(sorted(stem(part) for word in words(text) for part in _parts(word)))


def _parts(word: str) -> list[str]:
    """`zero-knowledge` is two words, `EIP-4844` is one; a possessive's `s` is none."""
    if _numbered(word):
        return [word]
    return [part for part in _JOINTS.split(word) if len(part) > 1]


def title_words(title: str) -> list[str]:
    """The words of a title that say what it is about; all of them if it has no others."""
    found = [part for word in words(title) for part in _parts(word)]
    return [word for word in found if word.casefold() not in _HEADLINE] or found


def _names(title: str, stem: Stem) -> frozenset[str]:
    """What makes a title another one though all else be the same: numbers, tickers, and words with a
    capital inside a sentence (none where every word has one)."""
    found: set[str] = set()
    capitals: list[tuple[str, bool]] = []
    end = 0
    for word in words(title):
        start = title.index(word, end)
        opens = start == 0 or _BREAK.search(title[:start]) is not None
        end = start + len(word)
        for part in _parts(word):
            ticker = part.isupper() and len(part) <= 6 and not title.isupper()
            if ticker or _numbered(part):
                found.add(stem(part))
            elif not opens and part.casefold() not in _HEADLINE:
                capitals.append((stem(part), part[0].isupper()))
    if not all(capital for _, capital in capitals):
        found |= {word for word, capital in capitals if capital}
    elif len(capitals) == 1:
        found.add(capitals[0][0])
    return frozenset(found)


@dataclass(slots=True)
class _Postings:
    """Sets as rows: how many members a row shares with each of all rows, without comparing each pair."""

    sets: Sequence[frozenset[str]]
    sizes: NDArray[np.int64] = field(init=False)
    _rows: dict[str, NDArray[np.int64]] = field(init=False)

    def __post_init__(self) -> None:
        lists: dict[str, list[int]] = defaultdict(list)
        for row, members in enumerate(self.sets):
            for member in members:
                lists[member].append(row)
        self.sizes = np.array([len(members) for members in self.sets], dtype=np.int64)
        self._rows = {member: np.array(rows, dtype=np.int64) for member, rows in lists.items()}

    def shared(self, row: int) -> NDArray[np.int64]:
        """For each row, how many members it shares with this one."""
        lists = [self._rows[member] for member in self.sets[row]]
        joined = np.concatenate(lists) if lists else np.zeros(0, dtype=np.int64)
        return np.bincount(joined, minlength=len(self.sets))

    def jaccard(self, row: int, shared: NDArray[np.int64]) -> NDArray[np.float64]:
        """Members shared by members in either; 0 for two empty sets."""
        either = self.sizes + self.sizes[row] - shared
        return np.asarray(shared / np.maximum(either, 1))


class _Table:
    """All pieces, ready to be compared with any of them."""

    def __init__(self, known: Sequence[Piece], described: Sequence[_Described]) -> None:
        self.slugs = np.array([one.slug or "" for one in known])
        self.wanted_slugs = [slugify(one.title) for one in known]
        self.lines = [one.line for one in described]
        self.titles = _Postings([one.title for one in described])
        self.keywords = _Postings([one.keywords for one in described])
        numbers: dict[str, int] = {}
        self.primary = np.array(
            [numbers.setdefault(one.primary, len(numbers)) if one.primary else -1 for one in described]
        )


def _candidates(
    table: _Table, rows: Sequence[int], vectors: NDArray[np.float32]
) -> Iterator[tuple[int, int, float]]:
    """Row, column and cosine of the pairs of which something may be said."""
    from rapidfuzz import fuzz, process

    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        meanings = vectors[some] @ vectors.T
        alike = process.cdist(
            [table.lines[row] for row in some],
            table.lines,
            scorer=fuzz.ratio,
            score_cutoff=SAME_WORDS,
            dtype=np.uint8,
        )
        for row, meaning, same in zip(some, meanings, alike, strict=True):
            in_title, in_keywords = table.titles.shared(row), table.keywords.shared(row)
            smaller = np.minimum(table.titles.sizes, table.titles.sizes[row])
            larger = np.maximum(table.titles.sizes, table.titles.sizes[row])
            part = (in_title == smaller) & (in_title > 0)
            near = meaning >= RELATED_MEANING
            keywords = table.keywords.jaccard(row, in_keywords)
            primary = (table.primary == table.primary[row]) & (table.primary[row] >= 0)
            mask = (
                (same > 0)
                | (part & ((smaller >= PART * larger) | near))
                | ((table.titles.jaccard(row, in_title) >= CLOSE_WORDS) & (meaning >= CLOSE_MEANING))
                | ((keywords >= SOME_KEYWORDS) & (in_keywords >= 2) & (near | (keywords >= SHARED_KEYWORDS)))
                | primary
                | (table.slugs == table.wanted_slugs[row])
            )
            for column in np.flatnonzero(mask):
                yield row, int(column), float(meaning[column])


def _compare(
    left: Piece, one: _Described, right: Piece, other: _Described, meaning: float, within: bool
) -> Overlap | None:
    """What is to be said of a pair, or nothing."""
    exact = normalized(left.title) == normalized(right.title)
    same, about = _titles(one, other, meaning)
    shared = one.keywords & other.keywords
    either = one.keywords | other.keywords
    common = len(shared) / len(either) if either else 0.0
    reasons = []
    if exact:
        reasons.append("the same title")
    elif right.slug is not None and right.slug == slugify(left.title):
        reasons.append(f"the article's slug is {right.slug!r}")
    elif about:
        reasons.append(about)
    if one.primary and one.primary == other.primary:
        reasons.append(f"the same primary keyword {left.keywords[0]!r}")
    related = common >= SOME_KEYWORDS and meaning >= RELATED_MEANING
    if len(shared) >= 2 and (common >= SHARED_KEYWORDS or related):
        reasons.append(f"{len(shared)} of {len(either)} keywords shared")
    if not reasons:
        return None
    twins = same and (meaning >= SAME_MEANING or common >= SAME_KEYWORDS)
    return Overlap(
        brief_id=left.brief_id,
        other_id=right.brief_id,
        other_title=right.title,
        slug=right.slug,
        strength="duplicate" if exact or twins else "cannibalises",
        exact=exact,
        within=within,
        reasons=(*reasons, f"meaning {meaning:.2f}"),
        meaning=round(meaning, 3),
    )


def _titles(one: _Described, other: _Described, meaning: float) -> tuple[bool, str]:
    """Whether two titles are of the same words, and what to say if they are about one subject."""
    from rapidfuzz import fuzz

    if not (one.names <= other.names or other.names <= one.names):
        return False, ""
    shared = one.title & other.title
    if one.title == other.title or (
        one.names == other.names and fuzz.ratio(one.line, other.line) >= SAME_WORDS
    ):
        return True, "titles about the same"
    smaller, larger = sorted((one.title, other.title), key=len)
    telling = len(smaller) >= 2 or any(map(_numbered, smaller))
    if smaller <= larger and telling:
        if len(smaller) >= PART * len(larger) or meaning >= RELATED_MEANING:
            return False, "one title is about a part of the other"
        return False, ""
    if len(shared) >= CLOSE_WORDS * len(one.title | other.title) and meaning >= CLOSE_MEANING:
        return False, "titles about nearly the same"
    return False, ""


def _numbered(word: str) -> bool:
    return any(character.isdigit() for character in word)
