"""What the agents after the writer share: a draft as blocks, and the edits that they leave."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptocontent.agents.work import Edit, Work, WorkMessage
from cryptocontent.content.documents import Block, Heading, Paragraph, render


@dataclass(slots=True)
class Edits:
    """The edits of one agent, in order."""

    author: str
    made: list[Edit] = field(default_factory=list)

    def add(self, rule: str, before: str, after: str, reason: str) -> None:
        """Note a change."""
        self.made.append(Edit(rule=rule, before=before, after=after, reason=reason))

    def counts(self) -> Counter[str]:
        """How many changes there were by rule."""
        return Counter(edit.rule for edit in self.made)

    def messages(self, summary: str, data: dict[str, Any] | None = None) -> tuple[WorkMessage, ...]:
        """A message for each edit, and then the summary."""
        entries = [
            WorkMessage(author=self.author, kind="edit", body=_told(edit), data=edit.model_dump())
            for edit in self.made
        ]
        told = {"edits": dict(self.counts()), **(data or {})}
        return (*entries, WorkMessage(author=self.author, kind="summary", body=summary, data=told))


def _told(edit: Edit) -> str:
    if not edit.after:
        return f"Removed “{_short(edit.before)}”: {edit.reason}."
    if not edit.before:
        return f"Added “{_short(edit.after)}”: {edit.reason}."
    if edit.before == edit.after:
        return f"Moved “{_short(edit.before)}”: {edit.reason}."
    return f"“{_short(edit.before)}” → “{_short(edit.after)}”: {edit.reason}."


def _short(text: str, limit: int = 90) -> str:
    return text if len(text) <= limit else text[: limit - 1].rsplit(" ", 1)[0] + "…"


def enumeration(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    listed = list(parts)
    return " and ".join([", ".join(listed[:-1]), listed[-1]]) if len(listed) > 1 else "".join(listed)


def counted(number: int, singular: str, plural: str = "") -> str:
    """`1 sentence`, `2 sentences`."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def with_body(work: Work, blocks: Sequence[Block], messages: Iterable[WorkMessage], **more: Any) -> Work:
    """The work with a new body, with messages added. An unchanged body keeps its very text."""
    body = render(blocks)
    return work.model_copy(
        update={
            "draft": work.draft.model_copy(update={"body": body}),
            "messages": (*work.messages, *messages),
            **more,
        }
    )


def section_of(blocks: Sequence[Block]) -> list[int]:
    """For each block the place of its section's heading of level 2, -1 in the lead."""
    current, places = -1, []
    for place, block in enumerate(blocks):
        if isinstance(block, Heading) and block.level <= 2:
            current = place
        places.append(current)
    return places


def references_of(work: Work, paragraph: Paragraph) -> frozenset[str]:
    """The references that a paragraph cites."""
    numbers = {number for sentence in paragraph.sentences for number in sentence.citations}
    return frozenset(passage.reference_id for number in numbers if (passage := work.passage(number)))
