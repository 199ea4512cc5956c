"""What of the research is about the brief, and what of it belongs to which section.

The unit is a `Run`: one to four consecutive good sentences of one paragraph. Section 0 is the lead.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache
from math import log

import numpy as np
from numpy.typing import NDArray

from cryptocontent.agents.lexicon import data, word_set
from cryptocontent.agents.prose import SourceSentence, skipped_heading, source_sentences
from cryptocontent.agents.work import ResearchPassage, Work
from cryptocontent.content.text import words

Matrix = NDArray[np.float64]
MOST_SENTENCES, MOST_WORDS = 4, 95
_MOST_WEIGHT = 1.5  # a rare word of a query says more than a common one, but not everything
_NAMED, _CHIEF = 0.25, 0.95
_SUBJECT_WORDS = 8  # the first words of a sentence say what it is about
_JOINTS = re.compile(r"[/_'’-]")
_SUFFIX = re.compile(r"(?:ations?|ments?|ings?|ies|ied|ers?|es|ed|s|ly)\Z")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A crude stem: enough to match `blobs` with `blob` and `validation` with `validate`."""
    word = word.casefold()
    if len(word) < 5 or any(character.isdigit() for character in word):
        return word[:-1] if len(word) == 4 and word.endswith("s") and not word.endswith("ss") else word
    short = _SUFFIX.sub("", word)
    return short.rstrip("e") if len(short) >= 3 else word


def stems(text: str) -> list[str]:
    """The stems of a text's words, common words and parts of the question left out."""
    generic = word_set("prose", "generic")
    return [stem(word) for word in words(text) if word.casefold() not in generic and len(word) > 1]


@lru_cache(maxsize=8192)
def bag(text: str) -> frozenset[str]:
    """The set of a text's stems."""
    return frozenset(stems(text))


def subject_words(work: Work) -> list[str]:
    """What the article is about: the words of its title that the brief's variables and keywords bear out
    (all of the title's if none), common words left out."""
    brief = work.brief
    values = [value for value in brief.variables.values() if isinstance(value, str)]
    borne_out = {stem(word) for word in _plain_words(" ".join((*values, *brief.keywords)))}
    title = dict.fromkeys(_plain_words(brief.outline.title))
    return [word for word in title if stem(word) in borne_out] or list(title)


def unmentioned(work: Work) -> list[str]:
    """The words of the subject that no passage of the research mentions."""
    known = frozenset[str]().union(
        *(bag(one.text) | bag(" ".join((one.title, *one.heading_path))) for one in work.research)
    )
    missing = [word for word in subject_words(work) if stem(word) not in known]
    if not missing:
        return []
    # Part of a longer name, as 4844 is of EIP-4844.
    parts = frozenset(part for name in known for part in _JOINTS.split(name))
    return [word for word in missing if stem(word) not in parts and word.casefold() not in parts]


def _plain_words(text: str) -> list[str]:
    generic = word_set("prose", "generic")
    parts = [part for word in words(text) for part in _JOINTS.split(word)]
    return [part for part in parts if part.casefold() not in generic and len(part) > 1]


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive sentences of a paragraph of a passage, the first of which can open a paragraph: as it
    stands, or once the editor has dropped its connective."""

    passage: ResearchPassage
    sentences: tuple[SourceSentence, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(sentence.text for sentence in self.sentences)

    @property
    def opening(self) -> str:
        """Its first sentence without a leading connective."""
        return self.sentences[0].opening

    @property
    def words(self) -> int:
        return sum(sentence.words for sentence in self.sentences)

    @property
    def place(self) -> tuple[int, int, int]:
        """Where it stands in its reference."""
        return (self.passage.ordinal, self.sentences[0].paragraph, self.sentences[0].index)

    def shortened(self, limit: int) -> "Run | None":
        """The run's first sentences, with at most `limit` words; None if not even one fits."""
        kept: list[SourceSentence] = []
        for sentence in self.sentences:
            if sum(one.words for one in kept) + sentence.words > limit:
                break
            kept.append(sentence)
        return Run(self.passage, tuple(kept)) if kept else None


def runs(research: tuple[ResearchPassage, ...], level: int) -> list[Run]:
    """Every run of the research at a step of relaxation, in the order of the research."""
    found: list[Run] = []
    for passage in research:
        if skipped_heading(passage.heading_path):
            continue
        current: list[SourceSentence] = []
        for sentence in source_sentences(passage.text, passage.kind):
            follows = (
                current
                and sentence.level <= level
                and _goes_on(current[-1], sentence, passage.kind)
                and len(current) < MOST_SENTENCES
                and sum(one.words for one in current) + sentence.words <= MOST_WORDS
            )
            if follows:
                current.append(sentence)
                continue
            if current:
                found.append(Run(passage, tuple(current)))
            current = [sentence] if sentence.opens <= level else []
        if current:
            found.append(Run(passage, tuple(current)))
    return found


def _goes_on(before: SourceSentence, sentence: SourceSentence, kind: str) -> bool:
    """Whether the sentence stands next to the other: in one paragraph, or at the beginning of the next one
    where it points back."""
    if sentence.paragraph == before.paragraph:
        return sentence.index == before.index + 1
    points_back = sentence.opening != sentence.text
    return kind == "prose" and points_back and sentence.paragraph == before.paragraph + 1 and before.last


@dataclass(frozen=True, slots=True)
class _Aspect:
    order: int
    section: frozenset[str]
    headings: frozenset[str]
    cues: frozenset[str]


@cache
def _aspects() -> tuple[_Aspect, ...]:
    return tuple(
        _Aspect(
            int(entry["order"]),
            *(frozenset(map(stem, str(entry[key]).split())) for key in ("section", "headings", "cues")),
        )
        for entry in data("aspects").values()
    )


@dataclass(frozen=True, slots=True)
class Ranking:
    """`fit[r, s]` is how well run r stands in section s (0: the lead), `about[r]` how much it is about the
    brief at all, `manner[r]` how well its sentences read, `topical[r]` whether it or its reference's title
    names the subject; `references` is the relevance of each reference, 1 for the best."""

    fit: Matrix
    about: Matrix
    manner: Matrix
    topical: NDArray[np.bool_]
    references: dict[str, float]
    vectors: NDArray[np.float32]

    def similarity(self, row: int) -> NDArray[np.float32]:
        """Cosine of a run's set of stems with every run's."""
        # one row at a time: a product of whole matrices wakes every thread of BLAS for little
        return np.asarray(self.vectors @ self.vectors[row], dtype=np.float32)


class Topic:
    """What the brief asks, as weighted stems, and how far each reference answers it."""

    def __init__(self, work: Work) -> None:
        brief = work.brief
        self.sections = brief.outline.sections
        self.research = work.research
        values = [str(value) for value in brief.variables.values() if isinstance(value, str)]
        asked = Counter(stems(brief.outline.title)) + Counter(stems(" ".join((*brief.keywords, *values))))
        bags = [bag(" ".join((one.title, *one.heading_path))) | bag(one.text) for one in work.research]
        total = len(bags) or 1
        seen = Counter(term for terms in bags for term in terms)
        self.idf = {term: log(1 + total / count) for term, count in seen.items()}
        self.weights = {term: 1.0 + 0.2 * self.idf[term] for term in asked if term in seen}
        named = Counter(stems(" ".join((brief.outline.title, *brief.keywords))))
        self.subject = {term: self.idf[term] for term in named if term in seen}
        asked_of = [frozenset(stems(f"{section.heading} {section.query}")) for section in self.sections]
        # what every section asks for is the subject; what tells them apart is their own
        shared = frozenset.intersection(*asked_of) if len(asked_of) > 1 else frozenset(self.weights)
        self.own = [
            {term: min(self.idf.get(term, 0.0), _MOST_WEIGHT) for term in terms - shared}
            for terms in asked_of
        ]
        self.scores = self._scores()
        self.references = self._references()

    def _scores(self) -> Matrix:
        """Each passage's scores by index, made comparable: half by height, half by rank."""
        width = len(self.sections) + 1
        table = np.zeros((len(self.research), width))
        for row, passage in enumerate(self.research):
            given = passage.scores[:width]
            table[row, : len(given)] = given
        top = table.max(axis=0, initial=0.0)
        height = table / np.where(top > 0, top, 1.0)
        found = table > 0
        order = np.argsort(np.argsort(-table, axis=0, kind="stable"), axis=0, kind="stable")
        rank = np.where(found, 1.0 - order / max(len(self.research), 1), 0.0)
        return np.asarray(0.5 * height + 0.5 * rank)

    def _references(self) -> dict[str, float]:
        best: dict[str, list[float]] = {}
        titles: dict[str, str] = {}
        for row, passage in enumerate(self.research):
            best.setdefault(passage.reference_id, []).append(float(self.scores[row, 0]))
            titles[passage.reference_id] = f"{passage.title} {passage.url or ''}"
        total = sum(self.weights.values()) or 1.0
        value: dict[str, float] = {}
        self.titles: dict[str, frozenset[str]] = {}
        for reference, scores in best.items():
            top = sorted(scores, reverse=True)[:3]
            named = set(stems(titles[reference]))
            overlap = sum(weight for term, weight in self.weights.items() if term in named) / total
            self.titles[reference] = frozenset(named)
            value[reference] = 0.45 * sum(top) / 3 + 0.35 * overlap + 0.2 * min(1.0, len(scores) / 8)
        highest = max(value.values(), default=1.0) or 1.0
        return {reference: amount / highest for reference, amount in value.items()}

    def overlap(self, found: frozenset[str], terms: dict[str, float]) -> float:
        """How much of the terms' weight the bag holds, saturating: two good terms are nearly all."""
        total = sum(sorted(terms.values(), reverse=True)[:3]) or 1.0
        return min(1.0, sum(weight for term, weight in terms.items() if term in found) / total)

    def names_subject(self, found: frozenset[str], reference: str) -> bool:
        """Whether the words of a run, or of its reference's title, are a fair share of the subject's rare
        ones; what is most relevant of all needs no such proof."""
        total = sum(sorted(self.subject.values(), reverse=True)[:2])
        known = found | self.titles[reference]
        share = sum(rare for term, rare in self.subject.items() if term in known)
        return share >= _NAMED * total or self.references[reference] >= _CHIEF

    def _subject(self, sentence: str) -> float:
        """How far the sentence's subject is the brief's: `The halving is …`."""
        match = _DEFINING.match(sentence)
        return self.overlap(frozenset(stems(match[1])), self.weights) if match else 0.0

    def rank(self, candidates: list[Run]) -> Ranking:
        """Every candidate against every section."""
        rows = {passage.number: row for row, passage in enumerate(self.research)}
        wanted = [_section_aspects(section.heading, section.query) for section in self.sections]
        bags = [frozenset[str]().union(*map(bag, run.texts)) for run in candidates]
        fit = np.zeros((len(candidates), len(self.sections) + 1))
        about, manners = np.zeros(len(candidates)), np.zeros(len(candidates))
        topicals = np.zeros(len(candidates), dtype=bool)
        for number, (run, terms_of) in enumerate(zip(candidates, bags, strict=True)):
            row = rows[run.passage.number]
            reference = self.references[run.passage.reference_id]
            heading = _heading_stems(run.passage.heading_path)
            subject = bag(" ".join(run.opening.split()[:_SUBJECT_WORDS])) | heading
            topical = self.overlap(terms_of, self.weights)
            about[number] = 0.4 * reference + 0.3 * topical + 0.3 * self.scores[row].max()
            manner = sum(sentence.quality for sentence in run.sentences) / len(run.sentences)
            common = 1.5 * about[number] + 0.55 * manner + 0.15 * min(len(run.sentences), 3)
            if run.sentences[0].index:
                # what stood before it may be missed, most of all by `The tree …`
                common -= 0.3 if run.opening.startswith(("The ", "`")) else 0.12
            if run.opening.startswith("`"):
                common -= 0.12
            connected = run.opening != run.texts[0]
            common -= 0.05 * connected  # its connective has lost what it connects
            common -= 0.06 * max(run.sentences[0].opens, *(one.level for one in run.sentences))
            manners[number] = manner
            topicals[number] = self.names_subject(terms_of | heading, run.passage.reference_id)
            opens = _lead_fit(run, heading, topical, self._subject(run.opening), reference)
            fit[number, 0] = common + 0.35 * self.scores[row, 0] + opens - 0.5 * connected
            for index, (terms, aspects) in enumerate(zip(self.own, wanted, strict=True), 1):
                fit[number, index] = (
                    common
                    + 0.45 * self.scores[row, index]
                    + 0.3 * self.overlap(terms_of, terms)
                    + 0.3 * self.overlap(subject, terms)
                    + _aspect_fit(aspects, heading, terms_of)
                    + (0.6 * opens * aspects[0][1] if aspects and aspects[0][0].order == 0 else 0.0)
                )
        if len(self.sections) > 1 and candidates:
            inner = fit[:, 1:]
            fit[:, 1:] = inner + 0.5 * (inner - inner.mean(axis=1, keepdims=True))
        return Ranking(fit, about, manners, topicals, self.references, _vectors(bags))


@lru_cache(maxsize=8192)
def _heading_stems(heading_path: tuple[str, ...]) -> frozenset[str]:
    return frozenset(stem(word) for part in heading_path for word in words(part))


@lru_cache(maxsize=1000)
def _section_aspects(heading: str, query: str) -> tuple[tuple[_Aspect, float], ...]:
    """The aspects that a section asks for; the heading says more than the query."""
    asked = [(_heading_stems((heading,)), 1.0), (_heading_stems((query,)), 0.5)]
    found = []
    for aspect in _aspects():
        strength = max(weight * bool(aspect.section & terms) for terms, weight in asked)
        if strength:
            found.append((aspect, strength))
    return tuple(found)


def _aspect_fit(
    aspects: tuple[tuple[_Aspect, float], ...], heading: frozenset[str], found: frozenset[str]
) -> float:
    value = 0.0
    for aspect, strength in aspects:
        value = max(
            value,
            strength * (0.4 * bool(aspect.headings & heading) + 0.08 * min(3, len(aspect.cues & found))),
        )
    return value


_DEFINING = re.compile(
    r"\A(?:An?|The)?\s?([^.,;]{2,60}?)\b(?:is|are|refers to|means|describes|allows?|introduces?|enables?)\b"
)


def _lead_fit(run: Run, heading: frozenset[str], topical: float, subject: float, reference: float) -> float:
    """How well a run opens the article: a summary or a definition, from the beginning of a source."""
    summary = 0.4 * bool({"abstract", "summary", "simpl", "overview", "introduction", "introduc"} & heading)
    motive = 0.15 * bool({"motiv", "background", "motivation"} & heading or not heading)
    first = 0.25 * (run.passage.ordinal == 0 and reference > 0.9)
    return max(summary, motive) + first + 0.7 * subject + 0.3 * topical - 0.25 * (run.passage.kind == "list")


def _vectors(bags: list[frozenset[str]]) -> NDArray[np.float32]:
    """Sets of stems as unit vectors."""
    vocabulary: dict[str, int] = {}
    for terms in bags:
        for term in terms:
            vocabulary.setdefault(term, len(vocabulary))
    table = np.zeros((len(bags), max(len(vocabulary), 1)), dtype=np.float32)
    for row, terms in enumerate(bags):
        table[row, [vocabulary[term] for term in terms]] = 1.0 / max(len(terms), 1) ** 0.5
    return table
