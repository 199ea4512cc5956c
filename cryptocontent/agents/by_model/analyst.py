"""The analyst with a model: rules first, then a model on what rules can't judge.

Rules prove what stands in a source word for word and repair citations. A model says of the other
sentences whether the research bears them out, and must show the very words that decide; a verdict whose
quotation is not in its passage does not count.
"""

from functools import partial

from cryptocontent.agents.analyst import Analysis
from cryptocontent.agents.by_model.answering import Manners, answered
from cryptocontent.agents.by_model.edits import InstructionAnswer
from cryptocontent.agents.by_model.material import (
    MOST_CHARACTERS,
    draft_block,
    research_block,
    system_prompt,
)
from cryptocontent.agents.by_model.screen import screened
from cryptocontent.agents.by_model.verdicts import ClaimReview, Court
from cryptocontent.agents.desk import Desk
from cryptocontent.agents.prompts import render
from cryptocontent.agents.work import Work
from cryptocontent.content.documents import cited_numbers
from cryptocontent.storage.database import batched

VERSION = "1"

MOST_SENTENCES = 30
"""Sentences of one question: of more, models skip some."""
_TOOLS = ("search_passages", "market_fact")


async def analyse(work: Work, desk: Desk) -> Work:
    """Check the draft and repair it. Raises what `Desk.ask` does."""
    analysis = Analysis(work, desk.rules)
    repaired = analysis.repaired()
    outline = work.brief.outline
    system = system_prompt("analyst", work, desk)
    manners = Manners(repaired, desk.rules, (system,))
    court = Court(repaired, analysis, manners)
    if not court.sentences:
        return analysis.concluded(repaired)
    # The same for all questions, so that vendors read it from their cache.
    material = _material(screened(repaired, desk.rules)[0])
    answers: list[InstructionAnswer] = []
    for number, places in enumerate(list(batched(court.needed(), MOST_SENTENCES)) or [[]]):
        answer = await desk.ask(
            ClaimReview,
            system=system,
            material=material,
            task=manners.heard(
                render(
                    "analyst",
                    "judge",
                    outline=outline,
                    places=places,
                    first=number == 0,
                    instructions=work.asked("analyst") if number == 0 else (),
                )
            ),
            check=partial(court.problems, places),
            tools=[name for name in _TOOLS if name in desk.tools],
        )
        court.take(answer.output)
        answers += answer.output.answers
    concluded = analysis.concluded(court.settled(), court.remark())
    told = answered(work, "analyst", answers, manners)
    return concluded.model_copy(update={"messages": (*concluded.messages, *told)})


def _material(work: Work) -> str:
    """What the draft cites, as much of the rest of the research as there is room for, and the draft."""
    cited = cited_numbers(work.draft.body)
    first = research_block(work, cited)
    rest = {one.number for one in work.research} - cited
    other = research_block(
        work, rest, most_characters=max(MOST_CHARACTERS - len(first), MOST_CHARACTERS // 4)
    )
    return "\n\n".join(part for part in (first, other, draft_block(work)) if part)
