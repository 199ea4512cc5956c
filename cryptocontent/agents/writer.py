"""The writer: an article out of the research, every sentence word for word from the passage it cites."""

from collections import Counter
from dataclasses import dataclass

from cryptocontent.agents.arrange import Gate, Plan, arrange
from cryptocontent.agents.prose import LEVELS
from cryptocontent.agents.ranking import Ranking, Run, Topic, runs, subject_words, unmentioned
from cryptocontent.agents.work import Draft, StageFailed, Work, WorkMessage
from cryptocontent.content.documents import (
    Block,
    Figure,
    Heading,
    Paragraph,
    Sentence,
    body_words,
    parse,
    render,
)
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.templates import Outline
from cryptocontent.content.text import word_count

VERSION = "3"

_STEPS = (
    Gate(2, 0.6, 0.55),
    Gate(3, 0.6, 0.5),
    Gate(4, 0.55, 0.45),
    Gate(4, 0.45, 0.45),
    Gate(4, 0.3, 0.3),
    Gate(5, 0.3, 0.2),
    Gate(5, 0.3, 0.2, topical=False),
    Gate(5, 0.0, 0.0, topical=False),
)
"""Steps of relaxation; what does not name the subject comes in only where the article is too short else."""
_ENOUGH = 4  # from this step on an article that is long enough is not relaxed further for a section's sake
_THIN = 30  # a section with fewer words than this is no section


async def rules(work: Work) -> Work:
    """Compose the article from the research; `StageFailed` when the research is too thin for it."""
    return compose(work)


def compose(work: Work) -> Work:
    """The same, for callers that do not await."""
    outline = work.brief.outline
    found = sum(word_count(one.text) for one in work.research if one.kind in ("prose", "list"))
    if found < outline.words.min:
        raise StageFailed(
            f"the research has {found} words of text in {len(work.research)} passages; the outline asks for "
            f"at least {outline.words.min}: add references about “{outline.title}” or ask for less"
        )
    missing_words = unmentioned(work)
    if 2 * len(missing_words) > len(subject_words(work)):
        raise StageFailed(f"the references never mention: {', '.join(missing_words)}; import some that do")
    best = _best_attempt(work)
    if best.words < outline.words.min:
        headings = [
            section.heading
            for number, section in enumerate(outline.sections, 1)
            if not best.plan.runs(number)
        ]
        missing = f"; nothing for {', '.join(headings)}" if headings else ""
        raise StageFailed(
            f"only {best.words} words of usable sentences were found in {len(work.research)} passages; the "
            f"outline asks for at least {outline.words.min}{missing}"
        )
    messages = (*work.messages, _summary(work, best), *_questions(work, best.plan))
    draft = Draft(title=outline.title, body=render(best.blocks))
    findings = (*work.findings, *(_unmentioned_finding(word) for word in missing_words))
    return work.model_copy(update={"draft": draft, "messages": messages, "findings": findings})


def _unmentioned_finding(word: str) -> NewFinding:
    return NewFinding(
        rule="topic.not_in_references",
        severity="warn",
        message=f"The title names “{word}”, which no passage of the research mentions.",
        excerpt=word,
    )


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one step of relaxation gives."""

    step: int
    plan: Plan
    blocks: list[Block]
    words: int
    considered: int

    def grade(self, outline: Outline) -> tuple[bool, int, int]:
        """Long enough first, then the more full sections the better, then the stricter the better."""
        full, long = self.full(outline), self.words >= outline.words.min
        return (long, full if long else self.words, -self.step)

    def full(self, outline: Outline) -> int:
        """How many sections have about what they ask for."""
        return sum(
            self.plan.words(number) >= 0.7 * section.words.min
            for number, section in enumerate(outline.sections, 1)
        )


def _best_attempt(work: Work) -> _Attempt:
    outline = work.brief.outline
    topic = Topic(work)
    attempts: list[_Attempt] = []
    levels: dict[int, tuple[list[Run], Ranking]] = {}
    comfortable = min(outline.words.min * 1.05 + 10, outline.words.max)
    for step, gate in enumerate(_STEPS):
        if gate.level not in levels:
            candidates = runs(work.research, gate.level)
            levels[gate.level] = candidates, topic.rank(candidates)
        candidates, ranking = levels[gate.level]
        plan = arrange(outline, candidates, ranking, gate, _THIN)
        blocks = _blocks(work, plan)
        attempt = _Attempt(step, plan, blocks, body_words(blocks) - _connecting(plan), len(candidates))
        attempts.append(attempt)
        if attempt.words >= comfortable and attempt.full(outline) == len(outline.sections):
            break
        if step >= _ENOUGH and any(one.words >= outline.words.min for one in attempts):
            break
    return max(attempts, key=lambda one: one.grade(outline))


def _connecting(plan: Plan) -> int:
    """The words of the leading connectives, which the editor drops where they connect nothing."""
    return sum(
        word_count(run.texts[0]) - word_count(run.opening)
        for index in range(plan.sections)
        for run in plan.runs(index)
        if run.opening != run.texts[0]
    )


def _blocks(work: Work, plan: Plan) -> list[Block]:
    """The plan as blocks, no longer than the outline allows, and such that parsing gives them back."""
    outline = work.brief.outline
    while True:
        blocks: list[Block] = _part_blocks(plan, 0)
        for index, section in enumerate(outline.sections, 1):
            if written := _part_blocks(plan, index):
                blocks += [Heading(2, section.heading), *written]
        if body_words(blocks) <= outline.words.max or not plan.cut():
            break
    return with_figure(work, blocks)


def _part_blocks(plan: Plan, index: int) -> list[Block]:
    """A section's paragraphs, with the headings of the sources that need one."""
    blocks: list[Block] = []
    for part in plan.parts(index):
        written = [paragraph for group in part.paragraphs if (paragraph := _paragraph(group)).sentences]
        if part.heading and written:
            blocks.append(Heading(3, part.heading))
        blocks += written
    return blocks


def _paragraph(group: list[Run]) -> Paragraph:
    """The group's sentences with their citations, without those that Markdown or the segmenter would read
    otherwise: they could not be cited reliably."""
    cited = [Sentence(text, (run.passage.number,)) for run in group for text in run.texts]
    if not _reads_back(cited):
        cited = [one for one in cited if _reads_back([one])]
        while cited and not _reads_back(cited):
            cited.pop()
    return Paragraph(tuple(cited))


def _reads_back(cited: list[Sentence]) -> bool:
    paragraph = Paragraph(tuple(cited))
    return parse(paragraph.render()) == [paragraph]


def with_figure(work: Work, blocks: list[Block]) -> list[Block]:
    """One image of the most cited reference that has one, after the first paragraph under a heading that
    cites it; its caption credits the reference."""
    owners = {passage.number: passage.reference_id for passage in work.research}
    cited = Counter(
        owners[number]
        for block in blocks
        if isinstance(block, Paragraph)
        for sentence in block.sentences
        for number in sentence.citations
    )
    for reference, _ in cited.most_common(3):
        passages = [one for one in work.research if one.reference_id == reference]
        found = next(((one, image) for one in passages for image in one.images if image.alt.strip()), None)
        if found is None:
            continue
        passage, image = found
        alt = " ".join(image.alt.replace("[", "(").replace("]", ")").split())
        figure = Figure(alt, f"image:{image.sha256}", passage.title.replace('"', "'"))
        places = [
            (passage.number not in numbers, place)
            for place, block in enumerate(blocks)
            if isinstance(block, Paragraph)
            and (numbers := {number for one in block.sentences for number in one.citations})
            and reference in {owners[number] for number in numbers}
        ]
        place = min(places)[1] + 1
        return [*blocks[:place], figure, *blocks[place:]]
    return blocks


def _summary(work: Work, best: _Attempt) -> WorkMessage:
    outline, plan = work.brief.outline, best.plan
    used = {run.passage.number for index in range(len(outline.sections) + 1) for run in plan.runs(index)}
    sources = {one.title for one in work.research if one.number in used}
    sections = sum(isinstance(block, Heading) and block.level == 2 for block in best.blocks)
    level = _STEPS[best.step].level
    total = body_words(best.blocks)
    text = (
        f"Wrote {total} words in {sections} of {len(outline.sections)} sections from {len(used)} of "
        f"{len(work.research)} passages ({len(sources)} sources), taking {len(plan)} of {best.considered} "
        f"runs of sentences. Admitted: {'; '.join(LEVELS[: level + 1])}. "
        f"Left out as repetitions: {plan.repeated}."
    )
    data = {
        "words": total,
        "sections": sections,
        "passages": len(work.research),
        "passages_used": sorted(used),
        "sources": sorted(sources),
        "step": best.step,
        "repeated": plan.repeated,
    }
    return WorkMessage(author="writer", kind="summary", body=text, data=data)


def _questions(work: Work, plan: Plan) -> list[WorkMessage]:
    asked = []
    for index, section in enumerate(work.brief.outline.sections, 1):
        found = plan.words(index)
        if not found:
            body = f"“{section.heading}” is left out: nothing good was found for it. Is there a source?"
        elif found < section.words.min * 0.75:
            body = f"“{section.heading}” has {found} of {section.words.min} words. Is there a further source?"
        else:
            continue
        data = {"section": section.heading, "words": found, "wanted": section.words.min}
        asked.append(WorkMessage(author="writer", kind="question", body=body, data=data))
    return asked
