"""The editor with a model: structure, repetition, tone, style and openings. Every change is a typed edit,
proposed with its reason and made by us."""

from cryptocontent.agents.by_model.edits import EditList
from cryptocontent.agents.by_model.revising import revise
from cryptocontent.agents.desk import Desk
from cryptocontent.agents.work import Work

VERSION = "1"


async def edit(work: Work, desk: Desk) -> Work:
    """Edit the draft, long ones part by part. Raises what `Desk.ask` does."""
    return await revise(work, desk, "editor", "edit", EditList)
