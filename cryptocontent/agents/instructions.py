"""What people ask of a stage, as the rules engine understands it.

The rules engine has no model: it carries out a small set of requests, word for word, and answers the
rest with a question instead of pretending. `UNDERSTOOD` is the whole of it.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from cryptocontent.agents.drafts import Edits, with_body
from cryptocontent.agents.work import Draft, Instruction, Work, WorkMessage
from cryptocontent.content.documents import (
    Block,
    Heading,
    Paragraph,
    body_words,
    parse,
    without_empty,
)

UNDERSTOOD = (
    'leave out "words" (sentences that contain them)',
    'leave out section "Heading"',
    "at most 700 words",
    'title "New title"',
    'without source "Title of a reference" (writer)',
)
_QUOTED = r"[\"“](?P<text>[^\"“”]+)[\"”]"
_LEAVE_OUT = r"\b(?:leave out|drop|remove|delete|cut)(?: the)?"
_SECTION = re.compile(rf"{_LEAVE_OUT} section {_QUOTED}", re.I)
_DROP = re.compile(rf"{_LEAVE_OUT}(?: (?:words?|sentences?|phrase))? {_QUOTED}", re.I)
_MOST = re.compile(r"\b(?:at most|no more than|shorten to|under|maximum of) (?P<words>\d{2,5}) words\b", re.I)
_TITLE = re.compile(rf"\b(?:title|headline)(?: it| to| is)?:? {_QUOTED}", re.I)
_SOURCE = re.compile(rf"\b(?:without|avoid|leave out)(?: the)? source {_QUOTED}", re.I)


@dataclass(frozen=True, slots=True)
class Requests:
    """What was understood of an instruction."""

    sections: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    most_words: int | None = None
    title: str | None = None
    sources: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing was understood."""
        return self == Requests()


def understand(text: str) -> Requests:
    """The requests in an instruction; each as often as it occurs."""
    sources = [match["text"].strip() for match in _SOURCE.finditer(text)]
    rest = _SOURCE.sub(" ", text)
    sections = [match["text"].strip() for match in _SECTION.finditer(rest)]
    rest = _SECTION.sub(" ", rest)
    most = [int(match["words"]) for match in _MOST.finditer(rest)]
    titles = [" ".join(match["text"].split()) for match in _TITLE.finditer(rest)]
    return Requests(
        sections=tuple(sections),
        phrases=tuple(match["text"].strip() for match in _DROP.finditer(rest)),
        most_words=min(most) if most else None,
        title=titles[-1] if titles else None,
        sources=tuple(sources),
    )


def instructed(stage: str, rules: Callable[[Work], Awaitable[Work]]) -> Callable[[Work], Awaitable[Work]]:
    """The stage's rules engine, with what people asked of the stage carried out around it."""

    async def run(work: Work) -> Work:
        asked = work.asked(stage)
        if not asked:
            return await rules(work)
        return carry_out(await rules(_without_sources(work, stage, asked)), work, stage, asked)

    return run


def _without_sources(work: Work, stage: str, asked: Sequence[Instruction]) -> Work:
    """The writer's research without the references that it is asked not to use: their text is gone, their
    numbers stay."""
    unwanted = [title.casefold() for one in asked for title in understand(one.body).sources]
    if stage != "writer" or not unwanted:
        return work
    research = tuple(
        passage.model_copy(update={"text": "", "kind": "none"})
        if any(title in passage.title.casefold() for title in unwanted)
        else passage
        for passage in work.research
    )
    return work.model_copy(update={"research": research})


def carry_out(work: Work, given: Work, stage: str, asked: Sequence[Instruction]) -> Work:
    """The stage's work with each instruction carried out, in order, as edits with their reason. `given` is
    the work that the stage was given: its research is put back."""
    work = work.model_copy(update={"research": given.research})
    for one in asked:
        wanted = understand(one.body)
        if not one.body.strip():
            continue
        edits = Edits(stage)
        reason = f"asked by {one.author}"
        blocks = parse(work.draft.body)
        for heading in wanted.sections:
            blocks = _without_section(blocks, heading, edits, reason)
        for phrase in wanted.phrases:
            blocks = _without_phrase(blocks, phrase, edits, reason)
        if wanted.most_words is not None:
            blocks = _shortened(blocks, wanted.most_words, edits, reason)
        draft = work.draft
        if wanted.title and wanted.title != draft.title:
            edits.add("title.asked", draft.title, wanted.title, reason)
            draft = Draft(title=wanted.title, body=draft.body)
        work = with_body(work.model_copy(update={"draft": draft}), blocks, _answer(stage, one, wanted, edits))
    return work


def _answer(stage: str, one: Instruction, wanted: Requests, edits: Edits) -> tuple[WorkMessage, ...]:
    understood = not wanted.empty and (stage == "writer" or wanted != Requests(sources=wanted.sources))
    if not understood:
        body = (
            f"I can't carry out “{one.body.strip()[:300]}”: the rules engine of the {stage} understands "
            f"{'; '.join(UNDERSTOOD)}."
        )
        return (WorkMessage(author=stage, kind="question", body=body, data={"asked_by": one.author}),)
    if not edits.made:
        named = "sources were left out" if wanted.sources else "nothing in the text called for it"
        body = f"“{one.body.strip()[:300]}” by {one.author}: {named}."
        return (WorkMessage(author=stage, kind="summary", body=body, data={"asked_by": one.author}),)
    return edits.messages(
        f"Carried out “{one.body.strip()[:300]}” by {one.author}.", {"asked_by": one.author}
    )


def _without_section(blocks: list[Block], heading: str, edits: Edits, reason: str) -> list[Block]:
    kept: list[Block] = []
    leaving = 0
    for block in blocks:
        if isinstance(block, Heading):
            if leaving and block.level <= leaving:
                leaving = 0
            if not leaving and block.text.casefold() == heading.casefold():
                leaving = block.level
                edits.add("section.left_out", block.render(), "", reason)
                continue
        if not leaving:
            kept.append(block)
        elif not isinstance(block, Heading):
            edits.add("section.left_out", block.render(), "", reason)
    return kept


def _without_phrase(blocks: list[Block], phrase: str, edits: Edits, reason: str) -> list[Block]:
    wanted = phrase.casefold()
    kept: list[Block] = []
    for block in blocks:
        if isinstance(block, Paragraph):
            stay = tuple(one for one in block.sentences if wanted not in one.text.casefold())
            for one in block.sentences:
                if one not in stay:
                    edits.add("sentence.left_out", one.render(), "", reason)
            block = replace(block, sentences=stay)
        kept.append(block)
    return without_empty(kept)


def _shortened(blocks: list[Block], most: int, edits: Edits, reason: str) -> list[Block]:
    """Without the last sentences of the longest sections, until the text has at most `most` words. A
    section keeps its first paragraph's first sentence."""
    while body_words(blocks) > most:
        sizes: dict[int, int] = {}
        last: dict[int, int] = {}
        section, first_of = -1, set()
        for place, block in enumerate(blocks):
            if isinstance(block, Heading) and block.level <= 2:
                section = place
            elif isinstance(block, Paragraph) and block.sentences:
                if section not in sizes:
                    first_of.add(place)
                sizes[section] = sizes.get(section, 0) + body_words([block])
                if place not in first_of or len(block.sentences) > 1:
                    last[section] = place
        open_sections = [one for one in sizes if one in last]
        if not open_sections:
            break
        place = last[max(open_sections, key=lambda one: (sizes[one], -one))]
        paragraph = blocks[place]
        if not isinstance(paragraph, Paragraph):
            break
        edits.add("length.shortened", paragraph.sentences[-1].render(), "", reason)
        shorter = replace(paragraph, sentences=paragraph.sentences[:-1])
        blocks = without_empty([*blocks[:place], shorter, *blocks[place + 1 :]])
    return blocks
