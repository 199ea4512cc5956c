"""Asking stages to do their work again, with an instruction: a message in the conversation that the
stage's key covers. The old versions stay; the diff shows what the instruction changed."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from cryptocontent.agents.agent import Agent
from cryptocontent.agents.pipeline import PIPELINE
from cryptocontent.audit import lock, record
from cryptocontent.errors import Refused
from cryptocontent.identity import Person
from cryptocontent.storage.models import Article, Instruction, Message, Version
from cryptocontent.storage.types import utc_now

MOST_CHARACTERS = 4000


def ask_again(
    session: Session,
    article: Article,
    stages: Sequence[str],
    instruction: str,
    by: Person,
    agents: Sequence[Agent] = PIPELINE,
) -> str:
    """Have `stages` redone with the instruction (which may be empty: just again); those after them follow.

    Where the current version is a person's, the first of the stages starts from that text, so that nothing
    that a person wrote is lost. Returns the brief's id: a generation of it does the work.
    """
    by.require("write")
    order = [agent.stage for agent in agents]
    if not stages:
        raise Refused(f"stage: name at least one of {', '.join(order)}")
    if unknown := [stage for stage in stages if stage not in order]:
        raise Refused(f"stage {unknown[0]!r}: allowed are {', '.join(order)}")
    text = instruction.strip()
    if len(text) > MOST_CHARACTERS:
        raise Refused(f"the instruction has {len(text)} characters; allowed are {MOST_CHARACTERS}")
    lock(session, article.project_id)
    session.refresh(article)
    if article.status == "archived":
        raise Refused(f"article {article.slug!r} is archived: reopen it first")
    current = session.get(Version, article.version_id) if article.version_id else None
    start = current.id if current is not None and current.author_kind == "person" else None
    now = utc_now()
    for stage in sorted(set(stages), key=order.index):
        row = Instruction(
            brief_id=article.brief_id,
            stage=stage,
            body=text,
            author=by.name,
            from_version_id=start,
            created_at=now,
        )
        session.add(row)
        session.flush()
        data = {"stage": stage, "instruction": row.id, "from_version": start}
        session.add(
            Message(
                article_id=article.id,
                version_id=article.version_id,
                author=by.name,
                kind="instruction",
                body=f"@{stage} {text or 'do it again'}",
                data=data,
                created_at=now,
            )
        )
        start = None  # the stages after it go on from its text
        change = {"stage": stage, "after": text, "version": article.version_id}
        record(session, article.project_id, by.actor, "stage.asked", f"article:{article.id}", change)
    session.flush()
    return article.brief_id
