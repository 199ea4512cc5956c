"""How editor and proofreader work: a draft part by part, edits proposed, checked, made by us, and told."""

from collections.abc import Callable, Sequence

from cryptocontent.agents.by_model.answering import Manners, answered
from cryptocontent.agents.by_model.edits import Bounds, Decided, EditList, InstructionAnswer, apply, decide
from cryptocontent.agents.by_model.material import (
    draft_block,
    research_block,
    system_prompt,
)
from cryptocontent.agents.by_model.screen import screened
from cryptocontent.agents.desk import Desk
from cryptocontent.agents.drafts import counted, enumeration
from cryptocontent.agents.prompts import render
from cryptocontent.agents.work import Work
from cryptocontent.content.documents import Block, Heading, Paragraph, body_words, parse

MOST_WORDS = 900
"""Words of one question. In longer texts models overlook more, and long lists of edits get cut off."""


async def revise(
    work: Work, desk: Desk, agent: str, question: str, form: type[EditList], most_changed: float = 1.0
) -> Work:
    """Have a model propose edits of the draft, and make those that are sound. Places are those of the draft
    as it came in all questions. Raises what `Desk.ask` does."""
    blocks = parse(work.draft.body)
    outline = work.brief.outline
    system = system_prompt(agent, work, desk)
    seen, _ = screened(work, desk.rules)  # the writer has told of what it takes out
    manners = Manners(work, desk.rules, (system,))
    decided = decide(work, (), agent, desk.rules)
    answers: list[InstructionAnswer] = []
    listed = parts(blocks)
    for number, places in enumerate(listed, 1):
        bounds = Bounds(frozenset(places), most_changed, manners.problem)
        answer = await desk.ask(
            form,
            system=system,
            material=_material(seen, blocks, places),
            task=manners.heard(
                render(
                    agent,
                    question,
                    outline=outline,
                    words=body_words(blocks),
                    part=number,
                    parts=len(listed),
                    first=places[0] + 1,
                    last=places[-1] + 1,
                    instructions=work.asked(agent),
                )
            ),
            check=_check(work, desk, agent, bounds, decided),
        )
        decided = decide(work, answer.output.edits, agent, desk.rules, bounds, decided)
        answers += answer.output.answers
    before, after = body_words(blocks), body_words(decided.blocks)
    data = {"words_before": before, "words_after": after, "left_out": len(decided.refused)}
    revised = apply(work, decided, _summary(decided, before, after), data)
    told = answered(work, agent, _answers(work, agent, decided, answers), manners)
    return revised.model_copy(update={"messages": (*revised.messages, *told)})


def parts(blocks: Sequence[Block]) -> list[tuple[int, ...]]:
    """The places of the blocks of each question: whole sections together as long as they are short enough;
    a section that is too long by itself is cut between paragraphs. Nothing if nothing can be edited."""
    if not any(isinstance(block, Paragraph | Heading) for block in blocks):
        return []
    sections: list[list[int]] = []
    for place, block in enumerate(blocks):
        if not sections or (isinstance(block, Heading) and block.level <= 2):
            sections.append([])
        sections[-1].append(place)
    found: list[list[int]] = [[]]
    for section in sections:
        pieces = [section] if _words(blocks, section) <= MOST_WORDS else [[place] for place in section]
        for piece in pieces:
            if found[-1] and _words(blocks, [*found[-1], *piece]) > MOST_WORDS:
                found.append([])
            found[-1] += piece
    return [tuple(one) for one in found]


def _words(blocks: Sequence[Block], places: Sequence[int]) -> int:
    return body_words(blocks[place] for place in places)


def _material(work: Work, blocks: Sequence[Block], places: Sequence[int]) -> str:
    """The passages that the part cites, which are what it may say; the part, and all headings around it."""
    cited = {
        number
        for place in places
        if isinstance(block := blocks[place], Paragraph)
        for sentence in block.sentences
        for number in sentence.citations
    }
    headings = {place for place, block in enumerate(blocks) if isinstance(block, Heading)}
    shown = (research_block(work, cited), draft_block(work, headings | set(places)))
    return "\n\n".join(block for block in shown if block)


def _check(
    work: Work, desk: Desk, agent: str, bounds: Bounds, earlier: Decided
) -> Callable[[EditList], Sequence[str]]:
    def check(answer: EditList) -> list[str]:
        found = decide(work, answer.edits, agent, desk.rules, bounds, earlier)
        return [one.told for one in found.refused[len(earlier.refused) :]]

    return check


def _summary(decided: Decided, before: int, after: int) -> str:
    groups: dict[str, int] = {}
    for rule, number in decided.edits.counts().items():
        group = rule.split(".")[0]
        groups[group] = groups.get(group, 0) + number
    made = enumeration(f"{number} of {group}" for group, number in groups.items())
    text = f"Made {counted(len(decided.edits.made), 'edit')} ({made})" if made else "Nothing was changed"
    left = (
        f"; left out {counted(len(decided.refused), 'proposed edit')} that would have done harm"
        if decided.refused
        else ""
    )
    return f"{text}{left}. {after} words" + (f" (before: {before})." if after != before else ".")


def _answers(
    work: Work, agent: str, decided: Decided, answers: Sequence[InstructionAnswer]
) -> list[InstructionAnswer]:
    """What the model says of each request, and what we made of its edits for it."""
    told = list(answers)
    for number in range(1, len(work.asked(agent)) + 1):
        made = sum(edit.instruction == number for edit in decided.accepted)
        left = sum(one.edit.instruction == number for one in decided.refused)
        if made or left:
            text = f"({counted(made, 'edit')} made for it, {left} left out.)"
            told.append(InstructionAnswer(instruction=number, answer=text))
    return told
