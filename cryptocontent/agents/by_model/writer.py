"""The writer with a model: an article in its own words, every claim cited, and what is not borne out removed.

Short articles are asked for at once; longer ones by a plan and then part by part, each part knowing the
plan of all. Every answer is held against the research, told once what is wrong with it, and what stays
wrong is taken out with a warning.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from cryptocontent.agents.by_model.answering import Manners, answered
from cryptocontent.agents.by_model.edits import InstructionAnswer
from cryptocontent.agents.by_model.evidence import Problem, claim_problems, without_claims
from cryptocontent.agents.by_model.material import (
    delimited,
    draft_block,
    forbidden_claims,
    research_block,
    shown,
    system_prompt,
)
from cryptocontent.agents.by_model.screen import TOOLS, foreign, instructions_in, leaks, screened
from cryptocontent.agents.by_model.written import (
    ArticleDraft,
    ArticlePlan,
    PlannedSection,
    SectionDraft,
    Written,
    WrittenParagraph,
    written,
)
from cryptocontent.agents.desk import Desk
from cryptocontent.agents.drafts import counted
from cryptocontent.agents.instructions import understand
from cryptocontent.agents.prompts import render as prompt
from cryptocontent.agents.ranking import subject_words, unmentioned
from cryptocontent.agents.work import Draft, StageFailed, Work, WorkMessage
from cryptocontent.agents.writer import with_figure
from cryptocontent.content.documents import (
    Block,
    Heading,
    Paragraph,
    body_words,
    cited_numbers,
    parse,
    render,
    without_empty,
)
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.templates import Outline
from cryptocontent.content.text import normalized, word_count
from cryptocontent.llm.calls import AnswerPending, ModelsFailed

VERSION = "1"

SHORT_WORDS = 500
"""An article of at most so many words is asked for in one question."""
CONCURRENT = 3
"""Parts of an article that are asked for at once."""
TOLERANCE = 0.3
"""How far a part's length may be from what was asked, as a share of that."""
_LEAD_WORDS = 60
_LEAST_WORDS = 20
_MOST_PROBLEMS = 20
_MOST_ROUNDS = 5
_ANGLE = 300


async def write(work: Work, desk: Desk) -> Work:
    """Write the article, or revise the draft as people ask. `StageFailed` when the research is too thin for
    it, `ModelsFailed` when nothing of the answers can stand; raises what `Desk.ask` does."""
    seen, screened_out = screened(work, desk.rules)
    _refuse_thin(seen)
    writing = _Writing(seen, desk)
    await (writing.whole() if work.brief.outline.words.max <= SHORT_WORDS else writing.by_section())
    body, removed = writing.finished()
    if not cited_numbers(body):
        # Else the next try would get the same answers again.
        await desk.models.discard(desk.spent.keys)
        raise ModelsFailed("writer: nothing of the answers stands on its sources")
    body = render(with_figure(seen, parse(body)))
    return work.model_copy(
        update={
            "draft": Draft(title=writing.title, body=body),
            "findings": (*work.findings, *screened_out, *removed),
            "messages": (
                *work.messages,
                _summary(work, writing, body, removed),
                *answered(work, "writer", writing.answers, Manners(seen, desk.rules, tuple(writing.told))),
                *_questions(writing, body),
            ),
        }
    )


def _refuse_thin(work: Work) -> None:
    """The limits of the rules engine hold for a model too: what is not in the research can't be written."""
    outline = work.brief.outline
    usable = [one for one in work.research if shown(one)]
    if not usable:
        raise StageFailed(f"the research has no passages: add references about “{outline.title}”")
    found = sum(word_count(one.text) for one in usable if one.fact or one.kind in ("prose", "list"))
    if found < outline.words.min:
        raise StageFailed(
            f"the research has {found} words of text in {len(usable)} passages; the outline asks for at "
            f"least {outline.words.min}: add references about “{outline.title}” or ask for less"
        )
    # A title in another language need not stand in the references.
    missing = unmentioned(work) if outline.language == "en" else []
    if 2 * len(missing) > len(subject_words(work)):
        raise StageFailed(f"the references never mention: {', '.join(missing)}; import some that do")


def goals(outline: Outline) -> list[int]:
    """How many words are asked for: of the lead, then of each section, such that they sum to what the
    article may have."""
    lead = min(_LEAD_WORDS, outline.words.max // 5)
    wanted = [(one.words.min + one.words.max) / 2 for one in outline.sections]
    total = sum(wanted) or 1.0
    least, most = outline.words.min * 1.05 - lead, outline.words.max * 0.95 - lead
    factor = max(min(1.0, most / total), least / total)
    return [lead] + [
        max(_LEAST_WORDS, round(min(max(words * factor, one.words.min), one.words.max)))
        for words, one in zip(wanted, outline.sections, strict=True)
    ]


@dataclass(slots=True)
class _Writing:
    """An article while it is being written. `parts` are the blocks by section, 0 the lead; `refused` are
    sentences that could not become text."""

    work: Work
    desk: Desk
    title: str = ""
    goals: list[int] = field(default_factory=list)
    system: str = ""
    material: str = ""
    told: list[str] = field(default_factory=list)
    parts: dict[int, Sequence[Block]] = field(default_factory=dict)
    refused: list[Problem] = field(default_factory=list)
    answers: list[InstructionAnswer] = field(default_factory=list)

    def __post_init__(self) -> None:
        outline, asked = self.outline, self.work.asked("writer")
        titles = [title for one in asked if (title := understand(one.body).title)]
        revised = self.work.draft.title if self.revising else ""
        self.title = titles[-1] if titles else revised or outline.title
        self.goals = goals(outline)
        self.system = system_prompt("writer", self.work, self.desk)
        blocks = [research_block(self.work), draft_block(self.work) if self.revising else ""]
        self.material = "\n\n".join(filter(None, blocks))
        self.told.append(self.system)

    @property
    def outline(self) -> Outline:
        """What is asked for."""
        return self.work.brief.outline

    @property
    def revising(self) -> bool:
        """Whether there is a draft that people want changed."""
        return bool(self.work.draft.body.strip() and self.work.asked("writer"))

    @property
    def tools(self) -> list[str]:
        """The tools of the desk that a writer is offered."""
        return [name for name in TOOLS if name in self.desk.tools]

    async def whole(self) -> None:
        """The article by one question."""
        task = self._task("article")

        def check(answer: ArticleDraft) -> list[str]:
            parts, refused = self._of_article(answer)
            blocks = self._assembled(parts)
            told = [*_structure(self.outline, [one.section for one in answer.sections])]
            if problem := _off(body_words(blocks), self.outline.words.min, self.outline.words.max):
                told.append(f"The article has {problem}.")
            return self._told(task, blocks, refused, told, self.outline.required_phrases)

        answer = await self.desk.ask(
            ArticleDraft, system=self.system, material=self.material, task=task, check=check, tools=self.tools
        )
        self.parts, refused = self._of_article(answer.output)
        self.refused += refused
        self.answers = answer.output.answers

    def _of_article(self, answer: ArticleDraft) -> tuple[dict[int, Sequence[Block]], list[Problem]]:
        given: dict[int, list[WrittenParagraph]] = {0: list(answer.lead)}
        for one in answer.sections:
            given.setdefault(one.section, []).extend(one.paragraphs)
        made = {number: written(paragraphs) for number, paragraphs in given.items()}
        return (
            {number: one.blocks for number, one in made.items()},
            [problem for one in made.values() for problem in one.refused],
        )

    async def by_section(self) -> None:
        """The article by a plan, then its parts, a few at once."""
        task = self._task("plan")
        answer = await self.desk.ask(
            ArticlePlan, system=self.system, material=self.material, task=task, check=self._wrong_with_plan
        )
        self.answers = answer.output.answers
        planned = self._planned(answer.output)
        # It was made of research, so it is data too.
        lines = [f"{number}. {planned[number].angle}" for number in sorted(planned)]
        self.material += "\n\n" + delimited("plan", "\n".join(lines), "what the parts are about, 0 the lead")
        free = asyncio.Semaphore(CONCURRENT)

        async def part(number: int) -> Written:
            async with free:
                return await self._part(number, planned[number])

        done = await asyncio.gather(*(part(number) for number in sorted(planned)), return_exceptions=True)
        # A part that waits in a batch must not keep the others from being put down for it as well.
        failed = [one for one in done if isinstance(one, BaseException)]
        if failed:
            raise next((one for one in failed if not isinstance(one, AnswerPending)), failed[0])
        for number, one in zip(sorted(planned), done, strict=True):
            if isinstance(one, Written):
                self.parts[number] = one.blocks
                self.refused += one.refused

    async def _part(self, number: int, plan: PlannedSection) -> Written:
        section = self.outline.sections[number - 1] if number else None
        phrases = [self.outline.required_phrases[one - 1] for one in plan.phrases]
        goal = self.goals[number]
        task = self._task(
            "section", number=number, section=section, goal=goal, passages=plan.passages, phrases=phrases
        )

        def check(answer: SectionDraft) -> list[str]:
            made = written(answer.paragraphs)
            words = body_words(made.blocks)
            told = []
            if not made.blocks and not made.refused:
                told.append("Nothing was written. If a passage says anything on it, write this part.")
            elif abs(words - goal) > TOLERANCE * goal:
                told.append(f"This part has {words} words; about {goal} are asked for.")
            return self._told(task, made.blocks, made.refused, told, phrases)

        answer = await self.desk.ask(
            SectionDraft, system=self.system, material=self.material, task=task, check=check, tools=self.tools
        )
        return written(answer.output.paragraphs)

    def _wrong_with_plan(self, plan: ArticlePlan) -> list[str]:
        told = _structure(self.outline, [one.section for one in plan.sections])
        for one in plan.sections:
            unknown = [number for number in one.passages if not self._known(number)]
            if unknown:
                told.append(f"Section {one.section}: there are no passages {', '.join(map(str, unknown))}.")
        return told

    def _planned(self, plan: ArticlePlan) -> dict[int, PlannedSection]:
        """The plan by part, without what does not exist. What it says goes into further questions, so it
        must not instruct. Every required phrase has its section, the last one if it was given to none."""
        given = {one.section: one for one in reversed(plan.sections)}
        free = list(range(1, len(self.outline.required_phrases) + 1))
        last = len(self.outline.sections)
        planned = {0: PlannedSection(section=0, angle=self._angle(plan.lead))}
        for number in range(1, last + 1):
            one = given.get(number) or PlannedSection(section=number, angle="")
            phrases = [phrase for phrase in free if phrase in one.phrases or number == last]
            free = [phrase for phrase in free if phrase not in phrases]
            planned[number] = PlannedSection(
                section=number,
                angle=self._angle(one.angle),
                passages=[known for known in dict.fromkeys(one.passages) if self._known(known)],
                phrases=phrases,
            )
        return planned

    def _angle(self, text: str) -> str:
        line = " ".join(text.split())[:_ANGLE]
        return "" if instructions_in(line, self.desk.rules) else line

    def _known(self, number: int) -> bool:
        passage = self.work.passage(number)
        return passage is not None and shown(passage)

    def _task(self, question: str, **values: object) -> str:
        task = prompt(
            "writer",
            question,
            outline=self.outline,
            title=self.title,
            goals=self.goals,
            instructions=self.work.asked("writer"),
            revising=self.revising,
            **values,
        )
        self.told.append(task)
        return task

    def _told(
        self,
        task: str,
        blocks: Sequence[Block],
        refused: Iterable[Problem],
        more: Iterable[str],
        phrases: Iterable[str],
    ) -> list[str]:
        """All that is wrong with an answer, for its model."""
        text = normalized(render(blocks))
        missing = [f"“{one}” is missing, word for word." for one in phrases if normalized(one) not in text]
        problems = [str(one) for one in (*refused, *self._problems(blocks, [self.system, task]))]
        return list(dict.fromkeys([*more, *missing, *problems]))[:_MOST_PROBLEMS]

    def _problems(self, blocks: Sequence[Block], told: Sequence[str]) -> list[Problem]:
        """What is wrong with sentences: against the sources, and what must not leave the house. `told` are
        the prompts that they must not repeat."""
        found = claim_problems(blocks, self.work, self.desk.rules)
        outline = self.outline
        allowed = [outline.title, self.title, *outline.required_phrases]
        allowed += [section.heading for section in outline.sections]
        allowed += forbidden_claims(outline, self.desk.rules)  # no secret, and sentences that may be true
        allowed += [one.body for one in self.work.asked("writer")]
        for sentence in (one for block in blocks if isinstance(block, Paragraph) for one in block.sentences):
            if leaks(sentence.text, told, allowed):
                message = "it repeats what you were told to do; leave it out."
                found.append(Problem(sentence.text, "prompt.leak", message, sentence.citations))
            if strange := foreign(sentence.text, self.work):
                message = f"{', '.join(f'“{one}”' for one in strange)} is in no passage; leave it out."
                found.append(Problem(sentence.text, "text.foreign", message, sentence.citations))
        return found

    def _assembled(self, parts: Mapping[int, Sequence[Block]]) -> list[Block]:
        blocks: list[Block] = [*parts.get(0, ())]
        for number, section in enumerate(self.outline.sections, 1):
            if part := parts.get(number):
                blocks += [Heading(2, section.heading), *part]
        return without_empty(blocks)

    def finished(self) -> tuple[str, list[NewFinding]]:
        """The body without what is still wrong, and a warning for each sentence that is not in it."""
        body = render(self._assembled(self.parts))
        findings = [
            NewFinding(
                rule=one.kind,
                severity="warn",
                message=f"A sentence of the writer was not taken: {one.message}",
                excerpt=one.sentence,
            )
            for one in dict.fromkeys(self.refused)
        ]
        for _ in range(_MOST_ROUNDS):
            shorter, removed = without_claims(self.work, body, self._problems(parse(body), self.told))
            if not removed:
                break
            body = shorter
            findings += removed
        return body, findings


def _structure(outline: Outline, given: Sequence[int]) -> list[str]:
    last = len(outline.sections)
    told = [f"There is no section {one}; they are 1 to {last}." for one in given if not 1 <= one <= last]
    told += [f"Section {one} is missing." for one in range(1, last + 1) if one not in given]
    twice = [number for number, same in groupby(sorted(given)) if len(list(same)) > 1]
    return told + [f"Section {one} is given twice." for one in twice]


def _off(words: int, least: int, most: int) -> str:
    if words < least:
        return f"{words} words, {least - words} too few"
    return f"{words} words, {words - most} too many" if words > most else ""


def _summary(work: Work, writing: _Writing, body: str, removed: Sequence[NewFinding]) -> WorkMessage:
    blocks = parse(body)
    used = sorted(cited_numbers(body))
    sources = sorted({one.title for one in work.research if one.number in used})
    sections = sum(isinstance(block, Heading) and block.level == 2 for block in blocks)
    words = body_words(blocks)
    done = "Revised the draft:" if writing.revising else "Wrote"
    text = (
        f"{done} {words} words in {sections} of {counted(len(writing.outline.sections), 'section')} from "
        f"{len(used)} of {counted(len(work.research), 'passage')} ({counted(len(sources), 'source')})."
    )
    if removed:
        text += f" {counted(len(removed), 'sentence')} could not stand on the sources and went."
    data = {
        "words": words,
        "sections": sections,
        "passages": len(work.research),
        "passages_used": used,
        "sources": sources,
        "removed": len(removed),
    }
    return WorkMessage(author="writer", kind="summary", body=text, data=data)


def _questions(writing: _Writing, body: str) -> list[WorkMessage]:
    """What the article lacks, for people to decide on."""
    outline = writing.outline
    words: dict[str, int] = {}
    heading = ""
    for block in parse(body):
        if isinstance(block, Heading):
            heading = block.text
        words[heading] = words.get(heading, 0) + body_words([block])
    asked = []
    for section in outline.sections:
        data: dict[str, object] = {"section": section.heading, "wanted": section.words.min}
        if section.heading not in words:
            told = f"“{section.heading}” is left out: no passage says enough on it. Is there a source?"
            asked.append((told, {**data, "words": 0}))
        elif (found := words[section.heading]) < section.words.min * (1 - TOLERANCE):
            told = f"“{section.heading}” has {found} of {section.words.min} words. Is there a further source?"
            asked.append((told, {**data, "words": found}))
    total = body_words(parse(body))
    if problem := _off(total, outline.words.min, outline.words.max):
        told = f"The article has {problem}. Is there a further source, or is another length right?"
        asked.append((told, {"words": total}))
    text = normalized(f"{writing.title}\n{body}")
    for phrase in outline.required_phrases:
        if normalized(phrase) not in text:
            asked.append((f"“{phrase}” is required and found no place. Where?", {"phrase": phrase}))
    return [WorkMessage(author="writer", kind="question", body=told, data=data) for told, data in asked]
