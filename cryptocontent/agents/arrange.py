"""Which run goes to which section, and in which order: the writer's plan of the article."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cryptocontent.agents.ranking import MOST_WORDS, Matrix, Ranking, Run
from cryptocontent.content.templates import Outline
from cryptocontent.content.text import jaccard, normalized, word_count

NEAR_DUPLICATE = 0.6
_SLACK = 22  # words that the last run of a section may go beyond its target
_MOST_PARAGRAPH = 105
_HUNGER = 0.8
_ALIKE = 0.3  # runs on one subject share so much; only what goes beyond it is repetition


@dataclass(frozen=True, slots=True)
class Gate:
    """What is admitted at a step of relaxation: sentences up to a level (`prose.LEVELS`), runs that are so
    much about the brief and read so well, and only those that name the subject or whose source does."""

    level: int
    about: float
    manner: float
    topical: bool = True


class Plan:
    """The runs of each section; section 0 is the lead."""

    def __init__(self, sections: int, references: dict[str, float]) -> None:
        self._runs: list[list[tuple[float, Run]]] = [[] for _ in range(sections)]
        self._references = references
        self._used: list[tuple[frozenset[str], str]] = []
        self.repeated = 0

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    @property
    def sections(self) -> int:
        """How many there are, the lead among them."""
        return len(self._runs)

    def runs(self, index: int) -> list[Run]:
        """The section's runs, in no particular order."""
        return [run for _, run in self._runs[index]]

    def words(self, index: int | None = None) -> int:
        """Words of a section, or of all."""
        chosen = self._runs if index is None else [self._runs[index]]
        return sum(run.words for section in chosen for _, run in section)

    def add(self, index: int, value: float, run: Run) -> None:
        self._runs[index].append((value, run))
        self._used += [
            (sentence.tokens, normalized(text))
            for sentence, text in zip(run.sentences, run.texts, strict=True)
        ]

    def fresh(self, run: Run) -> Run | None:
        """The run up to its first sentence that the article already has; None if that is the first one."""
        for number, (sentence, text) in enumerate(zip(run.sentences, run.texts, strict=True)):
            plain = normalized(text).rstrip(".")
            if any(
                jaccard(sentence.tokens, tokens) >= NEAR_DUPLICATE
                or plain in used
                or used.rstrip(".") in plain
                for tokens, used in self._used
            ):
                self.repeated += 1
                return Run(run.passage, run.sentences[:number]) if number else None
        return run

    def drop(self, index: int) -> None:
        """Leave the section empty."""
        self._runs[index] = []

    def cut(self) -> bool:
        """Shorten the article by the last sentence of its least valuable run; False if nothing can go."""
        places = [
            (value, index, at)
            for index, section in enumerate(self._runs)
            for at, (value, _) in enumerate(section)
        ]
        if not places:
            return False
        value, index, at = min(places)
        run = self._runs[index][at][1]
        if len(run.sentences) > 1:
            self._runs[index][at] = (value, Run(run.passage, run.sentences[:-1]))
        else:
            del self._runs[index][at]
        return True

    def parts(self, index: int) -> list["Part"]:
        """The section's runs by source, the most relevant first, each in the order of its own text;
        neighbours join into one paragraph while it stays short. Sources that name themselves come last,
        because they stand under a heading of their own."""
        by_reference: dict[str, list[Run]] = {}
        weight: dict[str, float] = {}
        for value, run in self._runs[index]:
            reference = run.passage.reference_id
            by_reference.setdefault(reference, []).append(run)
            weight[reference] = max(weight.get(reference, 0.0), value + self._references[reference])
        parts: list[Part] = []
        for reference in sorted(by_reference, key=lambda one: -weight[one]):
            found: list[list[Run]] = []
            for run in sorted(by_reference[reference], key=lambda one: one.place):
                if found and _joins(found[-1], run):
                    found[-1].append(run)
                else:
                    found.append([run])
            names_itself = any(one.names_document for run in by_reference[reference] for one in run.sentences)
            parts.append(Part(found[0][0].passage.title if names_itself and index else "", found))
        parts.sort(key=lambda part: bool(part.heading))
        # what stands first stands under the section's own heading
        return [Part("", part.paragraphs) if number == 0 else part for number, part in enumerate(parts)]


@dataclass(frozen=True, slots=True)
class Part:
    """What one source gives to a section, as paragraphs; under its title where it names itself."""

    heading: str
    paragraphs: list[list[Run]]


def _joins(group: Sequence[Run], run: Run) -> bool:
    total = sum(one.words for one in group) + run.words
    if total > _MOST_PARAGRAPH:
        return False
    before, first = group[-1].sentences[-1], run.sentences[0]
    follows = before.paragraph == first.paragraph and first.index == before.index + 1
    if follows and run.passage is group[-1].passage:
        return True
    # a single sentence stands alone here; the editor finds it a place
    single = len(run.sentences) == 1 or sum(len(one.sentences) for one in group) == 1
    near = run.passage.heading_path == group[-1].passage.heading_path
    return near and not single and total <= 80


def targets(outline: Outline) -> list[int]:
    """Words to aim at: the lead's, then each section's, a little below the middle of the article's range."""
    headings = sum(word_count(section.heading) for section in outline.sections)
    low, high = outline.words.min, outline.words.max
    total = low + 0.4 * (high - low) - headings
    lead = max(min(40.0, total), min(90.0, 0.1 * total))
    least = sum(section.words.min for section in outline.sections)
    most = sum(section.words.max for section in outline.sections)
    wanted = total - lead
    if most <= wanted:
        # the sections' ranges sum to less than the article's: stretch them only as far as its least asks
        scale = max(1.0, (low * 1.06 - lead - headings) / most)
        aims = [section.words.max * scale for section in outline.sections]
    elif least >= wanted:
        aims = [section.words.min * wanted / least for section in outline.sections]
    else:
        share = (wanted - least) / (most - least)
        aims = [
            section.words.min + share * (section.words.max - section.words.min)
            for section in outline.sections
        ]
    return [round(lead), *map(round, aims)]


def arrange(outline: Outline, candidates: list[Run], ranking: Ranking, gate: "Gate", thin: int) -> Plan:
    """Give each section its runs: the best pair of run and section first, over the whole article."""
    plan = Plan(len(outline.sections) + 1, ranking.references)
    aims = targets(outline)
    if not candidates:
        return plan
    board = _Board(candidates, ranking, gate)
    room = outline.words.max - sum(word_count(section.heading) for section in outline.sections)
    # the lead takes the best definition before the sections compete for the rest
    _fill(plan, board, aims, [0], room)
    _fill(plan, board, aims, list(range(1, len(aims))), room)
    for index in range(1, len(aims)):
        if 0 < plan.words(index) < min(thin, outline.sections[index - 1].words.max):
            plan.drop(index)
    return plan


class _Board:
    """The values of all pairs of run and section that are still open."""

    def __init__(self, candidates: list[Run], ranking: Ranking, gate: "Gate") -> None:
        self.candidates = candidates
        self.values: Matrix = ranking.fit.copy()
        self.values[(ranking.about < gate.about) | (ranking.manner < gate.manner)] = -np.inf
        if gate.topical:
            self.values[~ranking.topical] = -np.inf
        self.ranking = ranking
        names = {name: number for number, name in enumerate(ranking.references)}
        self.reference = np.array([names[run.passage.reference_id] for run in candidates])
        self.ordinal = np.array([run.passage.ordinal for run in candidates])
        single = np.array([len(run.sentences) == 1 for run in candidates])
        self.values[single] -= 0.55
        naming = np.array([any(one.names_document for one in run.sentences) for run in candidates])
        self.values[naming & single] -= 0.3  # a heading of its own over one sentence
        self.values[naming, 0] -= 1.0  # nothing yet says which document `this proposal` is
        self.closest = np.zeros(len(candidates))
        self.begun = np.zeros((len(names), self.values.shape[1]), dtype=bool)

    def chosen(self, row: int, index: int) -> None:
        """Close the run, prefer what goes on from it in its section, and avoid what says the same."""
        same = self.reference == self.reference[row]
        near = same & (np.abs(self.ordinal - self.ordinal[row]) <= 1)
        if not self.begun[self.reference[row], index]:
            # the first run of a source in a section: go on with it rather than with yet another one
            self.begun[self.reference[row], index] = True
            self.values[same, index] += 0.3 if index else 0.8
        self.values[near, index] += 0.2
        nearer = np.maximum(self.closest, self.ranking.similarity(row) - _ALIKE)
        self.values -= (0.9 * (nearer - self.closest))[:, None]
        self.closest = nearer
        self.values[row] = -np.inf


def _fill(plan: Plan, board: _Board, aims: list[int], sections: list[int], room: int) -> None:
    open_sections = set(sections)
    while open_sections:
        columns = sorted(open_sections)
        # a section that has little comes first, or those with strong words of their own take the best
        hunger = [_HUNGER * (1.0 - plan.words(index) / max(aims[index], 1)) for index in columns]
        view = board.values[:, columns] + hunger
        at = int(np.argmax(view))
        row, column = divmod(at, len(columns))
        index = columns[column]
        value = float(view[row, column])
        if value == -np.inf:
            return
        left = min(aims[index] + _SLACK - plan.words(index), room - plan.words())
        run = plan.fresh(board.candidates[row])
        short = run.shortened(left) if run else None
        if run is None or run.words < 7:
            board.values[row] = -np.inf
        elif short is None:
            board.values[row, index] = -np.inf
        else:
            plan.add(index, value, short)
            board.chosen(row, index)
        if plan.words(index) >= aims[index] - 10 or room - plan.words() < 10:
            open_sections.discard(index)


__all__ = ["MOST_WORDS", "NEAR_DUPLICATE", "Gate", "Plan", "arrange", "targets"]
