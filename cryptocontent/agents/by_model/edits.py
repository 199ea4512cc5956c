"""Edits that a model proposes, and that we make or refuse.

A model never hands back a text. It names places by their numbers in the draft as it was shown, what stands
there, what shall stand there and why. Each edit is tried in order on the blocks; one that would harm the
article is refused with a sentence that says why, and nothing of it is made.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, Field

from cryptocontent.agents.by_model.edit_checks import heading_problem, replacement, replacement_problem
from cryptocontent.agents.by_model.screen import unquoted
from cryptocontent.agents.drafts import Edits
from cryptocontent.agents.work import Draft, Work, WorkMessage
from cryptocontent.content.documents import (
    Block,
    Figure,
    Heading,
    Paragraph,
    Sentence,
    body_words,
    parse,
    render,
    without_empty,
)
from cryptocontent.content.rules import Rules
from cryptocontent.content.text import normalized

Kind = Literal[
    "replace_sentence", "remove_sentence", "replace_heading", "split_paragraph", "merge_paragraph",
    "replace_title",
]  # fmt: skip
TITLE_PLACE = "title"
_PLACE = re.compile(r"\[?(?P<block>\d{1,5})(?:\.(?P<sentence>\d{1,5}))?\]?\Z")
_RULE = re.compile(r"[^a-z0-9_.]+")
_LABEL = re.compile(r"\A\[\d+(?:\.\d+)?\]\s*")
_SHOWN = 120


class ProposedEdit(BaseModel):
    """One change at a numbered place of the draft, with its reason."""

    kind: Kind = Field(
        description=(
            "replace_sentence: `after` stands in place of the sentence; remove_sentence; replace_heading: "
            "`after` is the heading's new wording; split_paragraph: a new paragraph begins with the "
            "sentence; merge_paragraph: the block joins the paragraph before it; replace_title: only if a "
            "person asks for it, place `title`"
        )
    )
    place: str = Field(description="the number before it in the draft: `4.2` of a sentence, `4` of a block")
    before: str = Field(description="exactly what stands at the place now, without its number")
    after: str = Field("", description="what shall stand there; empty unless the kind replaces something")
    rule: str = Field(description="a short name of the kind of fault, such as `tone.promotion`")
    reason: str = Field(description="why, in one short sentence, for the people who read the changes")
    instruction: int = Field(0, description="the number of the person's request that it carries out, else 0")


class InstructionAnswer(BaseModel):
    """What came of something that a person asked for."""

    instruction: int = Field(description="the request's number")
    answer: str = Field(description="one or two sentences to that person: what was done, or why it was not")


class EditList(BaseModel):
    """Every change to what was shown, in the order of the text; empty if nothing needs one."""

    edits: Sequence[ProposedEdit] = ()
    answers: Sequence[InstructionAnswer] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far an agent's edits may go: the blocks that it was shown (indexes from 0; None: all), the share
    of a sentence's words that it may change at most, and why a text is nothing to show to people ("" if it
    may be shown)."""

    places: frozenset[int] | None = None
    most_changed: float = 1.0
    unfit: Callable[[str], str] = lambda text: ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An edit that was not made; `why` is a clause."""

    number: int
    edit: ProposedEdit
    why: str

    @property
    def told(self) -> str:
        """What the model is told of it."""
        return f"Edit {self.number} ({self.edit.kind} at {self.edit.place[:20] or 'no place'}): {self.why}."


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of edits: the draft with those that were made, and those that were refused. `accepted`
    are the edits that were made, as proposed."""

    title: str
    blocks: list[Block]
    edits: Edits
    accepted: tuple[ProposedEdit, ...]
    refused: tuple[Refusal, ...]


def decide(
    work: Work,
    proposed: Iterable[ProposedEdit],
    author: str,
    rules: Rules,
    bounds: Bounds = Bounds(),
    earlier: Decided | None = None,
) -> Decided:
    """Make and refuse edits of the work's draft, in their order, after those that were made before. All
    places are those of the draft as it is in `work`, whatever was done `earlier`."""
    bench = _Bench(work, author, rules)
    for edit in earlier.accepted if earlier else ():
        bench.take(0, edit, Bounds(most_changed=bounds.most_changed))
    bench.refused = list(earlier.refused) if earlier else []
    for number, edit in enumerate(proposed, 1):
        bench.take(number, edit, bounds)
    return bench.decided()


def apply(work: Work, decided: Decided, summary: str, data: dict[str, Any] | None = None) -> Work:
    """The work with the edits made: each is told in the conversation with its reason, those left out are
    told too, and then the summary. Without edits the body keeps its very text."""
    left = (_left_out(decided.edits.author, one) for one in decided.refused)
    messages = (*left, *decided.edits.messages(summary, data))
    blocks = parse(work.draft.body)
    body = work.draft.body if decided.blocks == blocks else render(decided.blocks)
    draft = Draft(title=decided.title, body=body)
    return work.model_copy(update={"draft": draft, "messages": (*work.messages, *messages)})


def _left_out(author: str, one: Refusal) -> WorkMessage:
    """Told without the text that was refused: it may be what a reference wants people to read."""
    edit, why = one.edit, unquoted(one.why)
    return WorkMessage(
        author=author,
        kind="finding",
        body=f"Left out a change ({edit.kind} at {edit.place[:20]}): {why}.",
        data={"rule": "edit.refused", "why": why, "kind": edit.kind, "place": edit.place[:20]},
    )


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


@dataclass(slots=True)
class _Changes:
    """What is to be different in the blocks, by their place: all that an edit can do."""

    title: str
    texts: dict[tuple[int, int], tuple[Sentence, ...]] = field(default_factory=dict)
    headings: dict[int, str] = field(default_factory=dict)
    breaks: frozenset[tuple[int, int]] = frozenset()
    joins: frozenset[int] = frozenset()

    def copy(self) -> "_Changes":
        return _Changes(self.title, dict(self.texts), dict(self.headings), self.breaks, self.joins)

    def on(self, blocks: Sequence[Block]) -> list[Block]:
        """The blocks with the changes made."""
        made: list[Block] = []
        follows = False  # whether the block before is still there as a paragraph
        for place, block in enumerate(blocks):
            if not isinstance(block, Paragraph):
                if isinstance(block, Heading) and place in self.headings:
                    block = replace(block, text=self.headings[place])
                made.append(block)
                follows = False
                continue
            runs = self._runs(place, block)
            if runs and follows and place in self.joins and isinstance(last := made[-1], Paragraph):
                made[-1] = replace(last, sentences=(*last.sentences, *runs[0].sentences))
                runs = runs[1:]
                follows = True
            else:
                follows = bool(runs)
            made += runs
        removed = any(not text for text in self.texts.values())
        return without_empty(made) if removed else made

    def _runs(self, place: int, block: Paragraph) -> list[Paragraph]:
        runs: list[list[Sentence]] = [[]]
        for at, sentence in enumerate(block.sentences):
            if (place, at) in self.breaks:
                runs.append([])
            runs[-1] += self.texts.get((place, at), (sentence,))
        return [replace(block, sentences=tuple(run)) for run in runs if run]


class _Bench:
    """A draft while edits are made to it."""

    def __init__(self, work: Work, author: str, rules: Rules) -> None:
        self.work, self.rules = work, rules
        self.blocks = parse(work.draft.body)
        self.changes = _Changes(work.draft.title)
        self.built: list[Block] = list(self.blocks)
        self.edits = Edits(author)
        self.accepted: list[ProposedEdit] = []
        self.refused: list[Refusal] = []
        self.taken: set[tuple[str, str]] = set()

    def decided(self) -> Decided:
        return Decided(self.changes.title, self.built, self.edits, tuple(self.accepted), tuple(self.refused))

    def take(self, number: int, edit: ProposedEdit, bounds: Bounds) -> None:
        """Make the edit, or note why not."""
        trial = self.changes.copy()
        made = self._try(edit, trial, bounds)
        if isinstance(made, str):
            self.refused.append(Refusal(number, edit, made))
        elif made is not None:
            before, after = made
            gone = self._vanished(trial)
            self.changes, self.built = trial, trial.on(self.blocks)
            self.taken.add(_key(edit))
            self.accepted.append(edit)
            rule = _RULE.sub("_", edit.rule.strip().lower()).strip("_.")[:60] or f"{edit.kind}"
            self.edits.add(rule, before, after, " ".join(edit.reason.split())[:400].rstrip(". "))
            for heading in gone:
                self.edits.add("structure.empty", heading, "", "nothing stands under it any more")

    def _try(self, edit: ProposedEdit, trial: _Changes, bounds: Bounds) -> tuple[str, str] | str | None:
        """Put the edit into `trial`: what stood there and what stands there then; None if that is the
        same; a sentence if the edit must not be made."""
        if not edit.reason.strip():
            return "it gives no reason"
        if problem := bounds.unfit(edit.reason):
            return f"of its reason, {problem}"
        if (problem := bounds.unfit(edit.after)) and problem != bounds.unfit(edit.before):
            return problem
        if edit.kind == "replace_title":
            return self._title(edit, trial)
        found = _PLACE.match(edit.place.strip())
        if not found:
            return f"“{edit.place[:20]}” is no place; a place is a number such as 3 or 3.2"
        place, at = int(found["block"]) - 1, int(found["sentence"] or 0) - 1
        if not 0 <= place < len(self.blocks):
            return f"there is no block {place + 1}; the draft has blocks 1 to {len(self.blocks)}"
        if bounds.places is not None and place not in bounds.places:
            return f"block {place + 1} is not of the part that you were shown"
        if _key(edit) in self.taken:
            return "an edit before it changes the same place; say all in one edit"
        block = self.blocks[place]
        if isinstance(block, Heading):
            made = self._heading(edit, trial, place, block)
        elif isinstance(block, Paragraph):
            made = self._paragraph(edit, trial, place, at, block, bounds)
        else:
            what = "a figure" if isinstance(block, Figure) else _verbatim_kind(block.render())
            return f"block {place + 1} is {what}: it stays as it is"
        return made if isinstance(made, str) or made is None else self._unsound(edit, trial) or made

    def _title(self, edit: ProposedEdit, trial: _Changes) -> tuple[str, str] | str | None:
        if not self._asked(edit):
            return "the title is changed only if a person asks for it"
        before, after = trial.title, " ".join(edit.after.split()).lstrip("# ")
        if normalized(edit.before) != normalized(before):
            return f"the title is “{_short(before)}”, not “{_short(edit.before)}”"
        if after == before:
            return None
        if problem := heading_problem(self.work, before, after, self.rules):
            return problem
        trial.title = after
        return before, after

    def _heading(
        self, edit: ProposedEdit, trial: _Changes, place: int, block: Heading
    ) -> tuple[str, str] | str | None:
        if edit.kind != "replace_heading":
            return f"block {place + 1} is a heading; the only edit of a heading is replace_heading"
        before, after = block.text, " ".join(edit.after.split()).lstrip("# ").rstrip(".:; ")
        if normalized(_LABEL.sub("", edit.before.strip()).lstrip("# ")) != normalized(before):
            return f"at {place + 1} stands “{_short(before)}”, not “{_short(edit.before)}”"
        if after == before:
            return None
        planned = {section.heading for section in self.work.brief.outline.sections}
        if before in planned and not self._asked(edit):
            return f"“{_short(before)}” is a heading of the outline and stays"
        if after not in planned and (problem := heading_problem(self.work, before, after, self.rules)):
            return problem
        trial.headings[place] = after
        return before, after

    def _paragraph(
        self, edit: ProposedEdit, trial: _Changes, place: int, at: int, block: Paragraph, bounds: Bounds
    ) -> tuple[str, str] | str | None:
        if edit.kind == "replace_heading":
            return f"block {place + 1} is a paragraph, not a heading"
        if edit.kind == "merge_paragraph":
            at = max(at, 0)
        if not 0 <= at < len(block.sentences):
            last = f"{place + 1}.{len(block.sentences)}"
            return (
                f"{edit.kind} needs the number of a sentence; block {place + 1} has {place + 1}.1 to {last}"
            )
        sentence = block.sentences[at]
        if not _stands(edit, block, sentence):
            return f"at {place + 1}.{at + 1} stands “{_short(sentence.text)}”, not “{_short(edit.before)}”"
        if edit.kind == "split_paragraph":
            if block.bullet or at == 0:
                return "only a paragraph is split, and not before its first sentence"
            trial.breaks |= {(place, at)}
            return sentence.text, sentence.text
        if edit.kind == "merge_paragraph":
            other = self.blocks[place - 1] if place else None
            if at or block.bullet or not isinstance(other, Paragraph) or other.bullet:
                return f"block {place + 1} does not follow a paragraph that it could join"
            trial.joins |= {place}
            return sentence.text, sentence.text
        if edit.kind == "remove_sentence":
            trial.texts[place, at] = ()
            return sentence.text, ""
        new = replacement(edit.after, sentence)
        if isinstance(new, str):
            return new
        if new == (sentence,):
            return None
        if problem := replacement_problem(self.work, sentence, new, self.rules, bounds.most_changed):
            return problem
        trial.texts[place, at] = new
        return sentence.text, " ".join(one.text for one in new)

    def _asked(self, edit: ProposedEdit) -> bool:
        return 1 <= edit.instruction <= len(self.work.asked(self.edits.author))

    def _vanished(self, trial: _Changes) -> list[str]:
        """The headings that the edits before `trial` left, and it does not."""
        left = [block.text for block in trial.on(self.blocks) if isinstance(block, Heading)]
        had = [trial.headings.get(n, b.text) for n, b in enumerate(self.blocks) if isinstance(b, Heading)]
        told = [edit.before for edit in self.edits.made if edit.rule == "structure.empty"]
        for text in (*left, *told):
            if text in had:
                had.remove(text)
        return had

    def _unsound(self, edit: ProposedEdit, trial: _Changes) -> str:
        """What is wrong with the article as `trial` makes it, "" if nothing."""
        made = trial.on(self.blocks)
        before = set(self.built)
        for block in made:
            if block not in before and parse(block.render()) != [block]:
                return (
                    "the text would not read back as the same sentences; end every sentence with a full "
                    "stop, begin it with a word, and use no markup"
                )
        planned = {section.heading for section in self.work.brief.outline.sections}
        lost = [heading for heading in self._vanished(trial) if heading in planned]
        if lost and not self._asked(edit):
            return f"the section “{_short(lost[0])}”, which the outline asks for, would be empty"
        return self._length(edit, made) or self._phrases(made)

    def _length(self, edit: ProposedEdit, made: Sequence[Block]) -> str:
        words, now, then = self.work.brief.outline.words, body_words(self.built), body_words(made)
        # in an article that is too short already, a correction may still lose a word
        shortens = then < words.min and then < now
        if shortens and (now >= words.min or edit.kind == "remove_sentence"):
            return f"the article would have {then} words; the outline asks for at least {words.min}"
        if now <= words.max < then:
            return f"the article would have {then} words; the outline allows {words.max}"
        return ""

    def _phrases(self, made: Sequence[Block]) -> str:
        outline = self.work.brief.outline
        if not (outline.required_phrases or outline.forbidden_phrases):
            return ""
        title = normalized(self.changes.title)
        now, then = normalized(render(self.built)), normalized(render(made))
        for phrase in map(normalized, outline.required_phrases):
            if phrase in now and phrase not in then and phrase not in title:
                return f"“{phrase}” would be missing, which the outline requires"
        for phrase in map(normalized, outline.forbidden_phrases):
            if then.count(phrase) > now.count(phrase):
                return f"“{phrase}” must not stand in the article"
        return ""


def _key(edit: ProposedEdit) -> tuple[str, str]:
    """What only one edit may do: the text of a place changes once, a paragraph begins or joins once."""
    form = edit.kind if edit.kind in ("split_paragraph", "merge_paragraph") else "text"
    return form, edit.place.strip(" []")


def _stands(edit: ProposedEdit, block: Paragraph, sentence: Sentence) -> bool:
    """Whether `before` is what stands at the place; markers, markup and kinds of quotation marks aside."""
    before = normalized(_LABEL.sub("", edit.before.strip()))
    if before == normalized(sentence.text):
        return True
    return edit.kind == "merge_paragraph" and before == normalized(" ".join(s.text for s in block.sentences))


def _verbatim_kind(text: str) -> str:
    start = text.lstrip()[:3]
    if start == ":::":
        return "a locked notice"
    if start in ("```", "~~~"):
        return "code"
    return {"|": "a table", ">": "a quotation"}.get(start[:1], "kept as it is")
