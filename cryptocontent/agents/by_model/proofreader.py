"""The proofreader with a model: grammar, typography, spelling, names and tickers in the article's language.
It corrects words and signs; an edit that rewrites a sentence is refused."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from cryptocontent.agents.by_model.edits import EditList, ProposedEdit
from cryptocontent.agents.by_model.revising import revise
from cryptocontent.agents.desk import Desk
from cryptocontent.agents.work import Work

VERSION = "1"

MOST_CHANGED = 0.4
"""Share of a sentence's words that a correction may change."""


class Correction(ProposedEdit):
    """One slip put right at a numbered place of the draft, with its reason."""

    kind: Literal["replace_sentence", "replace_heading"] = Field(
        description="`after` stands in place of the sentence, or is the heading's right wording"
    )


class CorrectionList(EditList):
    """Every slip in what was shown, in the order of the text; empty if there is none."""

    edits: Sequence[Correction] = ()


async def proofread(work: Work, desk: Desk) -> Work:
    """Correct the draft, long ones part by part. Raises what `Desk.ask` does."""
    return await revise(work, desk, "proofreader", "proofread", CorrectionList, MOST_CHANGED)
