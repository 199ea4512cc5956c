"""The analyst: every cited sentence against its passage, every number against its source.

What no passage says is cited anew or removed. What is left is told by the same checks that decide on
publication: here they go into the conversation only, because they run again over the finished text.
"""

from dataclasses import replace
from typing import Any

from cryptocontent.agents.drafts import Edits, counted, enumeration, with_body
from cryptocontent.agents.finishing import subject_of
from cryptocontent.agents.work import Work, WorkMessage
from cryptocontent.content.checks import CHECKS, Subject, run_checks
from cryptocontent.content.checks.checkables import checkables, grounded
from cryptocontent.content.checks.listing import listing_of
from cryptocontent.content.checks.numbers import examined
from cryptocontent.content.checks.quality import quality
from cryptocontent.content.documents import Block, Paragraph, Sentence, parse, without_empty
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.rules import shipped_rules
from cryptocontent.content.text import supports

VERSION = "2"

_EVIDENCE = frozenset(["citations", "numbers", "quotes", "tickers", "originality"])
_CHECKS = tuple(one for one in CHECKS if one.name in _EVIDENCE)


async def rules(work: Work) -> Work:
    """Check the draft by rules and repair what can be repaired."""
    return _Analysis(work).run()


class _Analysis:
    """One draft under analysis. `removed` are findings about what stands in the text no longer."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.edits = Edits("analyst")
        self.removed: list[NewFinding] = []
        self.dangling = 0
        self.tickers = listing_of(subject_of(work, shipped_rules())).tickers

    def run(self) -> Work:
        blocks: list[Block] = []
        for block in parse(self.work.draft.body):
            if isinstance(block, Paragraph):
                checked = [
                    kept for sentence in block.sentences if (kept := self._check(sentence)) is not None
                ]
                block = replace(block, sentences=tuple(checked))
            blocks.append(block)
        repaired = with_body(self.work, without_empty(blocks), ())
        subject = subject_of(repaired, shipped_rules())
        left = run_checks(subject, _CHECKS)
        metrics = quality(subject)
        told = [
            WorkMessage(author="analyst", kind="finding", body=one.message, data=one.model_dump(mode="json"))
            for one in (*self.removed, *left)
        ]
        summary = self.edits.messages(self._summary(subject, left, metrics), {"metrics": metrics})
        return repaired.model_copy(
            update={
                "messages": (*repaired.messages, *told, *summary),
                "findings": (*repaired.findings, *self.removed),
                "metrics": {**repaired.metrics, **metrics},
            }
        )

    def _remove(self, rule: str, message: str, excerpt: str, **evidence: Any) -> None:
        self.removed.append(
            NewFinding(rule=rule, severity="warn", message=message, excerpt=excerpt, evidence=evidence)
        )

    def _check(self, sentence: Sentence) -> Sentence | None:
        """The sentence with citations that hold, or None if it must go."""
        known = tuple(number for number in sentence.citations if self.work.passage(number) is not None)
        if missing := [number for number in sentence.citations if number not in known]:
            self.dangling += len(missing)
            told = enumeration(map(str, missing))
            message = f"Citation {told} pointed at no passage of the research and was removed."
            self._remove("citation.removed", message, sentence.text, numbers=missing)
            changed = replace(sentence, citations=known)
            self.edits.add(
                "citation.dangling", sentence.render(), changed.render(), "there is no such passage"
            )
            sentence = changed
        if not sentence.citations:
            return self._uncited(sentence, had_citations=bool(missing))
        holding = tuple(number for number in known if self._says(number, sentence.text))
        return sentence if holding == known else self._unsupported(sentence, holding)

    def _says(self, number: int, text: str) -> bool:
        """Whether the passage says it. A market fact is a number for a sentence to state in its own words:
        whether it states that number is for the checks to tell."""
        passage = self.work.passage(number)
        return passage is not None and (passage.fact is not None or supports(passage.text, text))

    def _elsewhere(self, text: str) -> tuple[int, ...]:
        """The first passage of the research that says the text, if there is one."""
        return next(((one.number,) for one in self.work.research if supports(one.text, text)), ())

    def _unsupported(self, sentence: Sentence, holding: tuple[int, ...]) -> Sentence | None:
        if right := holding or self._elsewhere(sentence.text):
            changed = replace(sentence, citations=right)
            reason = "the passage cited does not say it; this one does"
            self.edits.add("citation.corrected", sentence.render(), changed.render(), reason)
            return changed
        missing = self._missing(sentence)
        told = f": {enumeration(f'“{one}”' for one in missing)} is not in what it cited" if missing else ""
        message = f"No passage of the research says this sentence, so it was removed{told}."
        cited = list(sentence.citations)
        self._remove("citation.unsupported", message, sentence.text, cited=cited, missing=missing)
        self.edits.add("citation.unsupported", sentence.render(), "", "no passage of the research says it")
        return None

    def _missing(self, sentence: Sentence) -> list[str]:
        """The numbers, names and quotations of the sentence that what it cites has not."""
        texts = [passage.text for number in sentence.citations if (passage := self.work.passage(number))]
        return [
            part.text
            for part in checkables(sentence.text, self.tickers)
            if not any(grounded(part, text) for text in texts)
        ]

    def _uncited(self, sentence: Sentence, had_citations: bool) -> Sentence | None:
        if right := self._elsewhere(sentence.text):
            changed = replace(sentence, citations=right)
            self.edits.add("citation.added", sentence.render(), changed.render(), "this passage says it")
            return changed
        if not had_citations:
            return sentence
        message = "Its citation pointed at nothing and no passage says it: removed."
        self._remove("citation.unsupported", message, sentence.text)
        self.edits.add("citation.unsupported", sentence.text, "", "no passage of the research says it")
        return None

    def _summary(self, subject: Subject, left: list[NewFinding], metrics: dict[str, float]) -> str:
        counts = self.edits.counts()
        facts = sum(len(one.parts) for one in examined(subject))
        told = counted(facts, "number, date or name", "numbers, dates and names")
        parts = [
            f"Checked {counted(len(subject.sentences), 'sentence')} with {told} against "
            f"{counted(int(metrics['sources']), 'source')}: {metrics['sentence_coverage']:.0%} cited, "
            f"{metrics['number_grounding']:.0%} of numbers and {metrics['quote_fidelity']:.0%} of quotations "
            "in their source"
        ]
        if counts["citation.unsupported"]:
            parts.append(f"removed {counted(counts['citation.unsupported'], 'unsupported sentence')}")
        if corrected := counts["citation.corrected"] + counts["citation.added"]:
            parts.append(f"put {counted(corrected, 'citation')} right")
        if self.dangling:
            parts.append(f"removed {counted(self.dangling, 'dangling citation')}")
        blocking = sum(one.severity == "block" for one in left)
        parts.append(f"{counted(blocking, 'blocking finding')}" if blocking else "nothing blocks publication")
        return "; ".join(parts) + "."
