"""The analyst: every cited sentence against its passage, every number against its source.

A sentence holds if a passage that it cites has it word for word, or bears it out in words of its own
(`own_words`): a model or a person rarely repeats a source. What no passage says is cited anew or removed.
What is left is told by the same checks that decide on publication: here they go into the conversation
only, because they run again over the finished text.
"""

from dataclasses import replace
from typing import Any

from cryptocontent.agents.drafts import Edits, counted, enumeration, with_body
from cryptocontent.agents.finishing import subject_of
from cryptocontent.agents.own_words import WEAK, best_support, support, without_links
from cryptocontent.agents.work import ResearchPassage, Work, WorkMessage
from cryptocontent.content.checks import CHECKS, Subject, run_checks
from cryptocontent.content.checks.listing import listing_of
from cryptocontent.content.checks.numbers import examined
from cryptocontent.content.checks.quality import quality
from cryptocontent.content.documents import Block, Paragraph, Sentence, parse, without_empty
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.rules import Rules, shipped_rules
from cryptocontent.content.text import supports

VERSION = "3"

_EVIDENCE = frozenset(["citations", "numbers", "quotes", "tickers", "originality"])
_CHECKS = tuple(one for one in CHECKS if one.name in _EVIDENCE)


async def rules(work: Work) -> Work:
    """Check the draft by rules and repair what can be repaired."""
    analysis = Analysis(work, shipped_rules())
    return analysis.concluded(analysis.repaired())


def says(passage: ResearchPassage, text: str) -> bool:
    """Whether the passage has the text word for word, the targets of its links aside."""
    return supports(passage.text, without_links(text))


class Analysis:
    """One draft under analysis. `left` are findings that no check will tell: about what stands in the text no
    longer, and about what its source bears out but weakly. Other engines add theirs to it and to `edits`
    between `repaired` and `concluded`."""

    def __init__(self, work: Work, rules: Rules) -> None:
        self.work, self.rules = work, rules
        self.edits = Edits("analyst")
        self.left: list[NewFinding] = []
        self.dangling = 0
        self.language = work.brief.outline.language
        self.listing = listing_of(subject_of(work, rules))

    def repaired(self) -> Work:
        """The work with the draft repaired as far as rules can."""
        blocks: list[Block] = []
        for block in parse(self.work.draft.body):
            if isinstance(block, Paragraph):
                checked = [
                    kept for sentence in block.sentences if (kept := self._check(sentence)) is not None
                ]
                block = replace(block, sentences=tuple(checked))
            blocks.append(block)
        return with_body(self.work, without_empty(blocks), ())

    def concluded(self, work: Work, remark: str = "") -> Work:
        """The work with all that was found and done told in its messages, findings and metrics. `remark`
        is a clause for the summary."""
        subject = subject_of(work, self.rules)
        found = run_checks(subject, _CHECKS)
        metrics = quality(subject)
        told = [
            WorkMessage(author="analyst", kind="finding", body=one.message, data=one.model_dump(mode="json"))
            for one in (*self.left, *found)
        ]
        summary = self.edits.messages(self._summary(subject, found, metrics, remark), {"metrics": metrics})
        return work.model_copy(
            update={
                "messages": (*work.messages, *told, *summary),
                "findings": (*work.findings, *self.left),
                "metrics": {**work.metrics, **metrics},
            }
        )

    def tell(self, rule: str, message: str, excerpt: str, **evidence: Any) -> None:
        """Leave a finding that warns."""
        self.left.append(
            NewFinding(rule=rule, severity="warn", message=message, excerpt=excerpt, evidence=evidence)
        )

    def _check(self, sentence: Sentence) -> Sentence | None:
        """The sentence with citations that hold, or None if it must go."""
        known = tuple(number for number in sentence.citations if self.work.passage(number) is not None)
        if missing := [number for number in sentence.citations if number not in known]:
            self.dangling += len(missing)
            told = enumeration(map(str, missing))
            message = f"Citation {told} pointed at no passage of the research and was removed."
            self.tell("citation.removed", message, sentence.text, numbers=missing)
            changed = replace(sentence, citations=known)
            self.edits.add(
                "citation.dangling", sentence.render(), changed.render(), "there is no such passage"
            )
            sentence = changed
        if not sentence.citations:
            return self._uncited(sentence, had_citations=bool(missing))
        # A market fact is a number for a sentence to state in its own words: whether it states that number is
        # for the checks to tell.
        cited = [one for number in known if (one := self.work.passage(number))]
        holding = tuple(one.number for one in cited if one.fact or says(one, sentence.text))
        if holding == known:
            return sentence
        if all(one.fact for one in cited if one.number in holding):
            return self._in_own_words(sentence, cited, holding)
        return self._corrected(sentence, holding)

    def _elsewhere(self, text: str) -> tuple[int, ...]:
        """The first passage of the research that says the text, if there is one."""
        return next(((one.number,) for one in self.work.research if says(one, text)), ())

    def _borne_out_elsewhere(self, text: str) -> tuple[int, ...]:
        right = best_support(text, self.work.research, self.listing, self.language)
        return (right,) if right else ()

    def _corrected(self, sentence: Sentence, right: tuple[int, ...]) -> Sentence:
        if right == sentence.citations:
            return sentence
        changed = replace(sentence, citations=right)
        reason = "the passage cited does not say it; this one does"
        self.edits.add("citation.corrected", sentence.render(), changed.render(), reason)
        return changed

    def _in_own_words(
        self, sentence: Sentence, cited: list[ResearchPassage], facts: tuple[int, ...]
    ) -> Sentence | None:
        """A sentence that no passage cited has word for word, with citations that hold, or None."""
        if right := () if facts else self._elsewhere(sentence.text):
            return self._corrected(sentence, right)
        borne = support(sentence.text, cited, self.listing, self.language)
        if borne.holds():
            return self._corrected(sentence, borne.carrying)
        if right := facts or self._borne_out_elsewhere(sentence.text):
            return self._corrected(sentence, right)
        if borne.share >= WEAK and not borne.checkable:
            message = "What this sentence cites says little of it; nothing in it can be checked, so it stays."
            self.tell("citation.weak", message, sentence.text, cited=list(sentence.citations))
            return sentence
        missing = list(borne.missing)
        told = f": {enumeration(f'“{one}”' for one in missing)} is not in what it cited" if missing else ""
        message = f"No passage of the research says this sentence, so it was removed{told}."
        evidence = {"cited": list(sentence.citations), "missing": missing}
        self.tell("citation.unsupported", message, sentence.text, **evidence)
        self.edits.add("citation.unsupported", sentence.render(), "", "no passage of the research says it")
        return None

    def _uncited(self, sentence: Sentence, had_citations: bool) -> Sentence | None:
        if right := self._elsewhere(sentence.text):
            changed = replace(sentence, citations=right)
            self.edits.add("citation.added", sentence.render(), changed.render(), "this passage says it")
            return changed
        if not had_citations:
            return sentence
        if right := self._borne_out_elsewhere(sentence.text):
            return self._corrected(sentence, right)
        message = "Its citation pointed at nothing and no passage says it: removed."
        self.tell("citation.unsupported", message, sentence.text)
        self.edits.add("citation.unsupported", sentence.text, "", "no passage of the research says it")
        return None

    def _summary(
        self, subject: Subject, found: list[NewFinding], metrics: dict[str, float], remark: str
    ) -> str:
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
        if remark:
            parts.append(remark)
        blocking = sum(one.severity == "block" for one in found)
        parts.append(f"{counted(blocking, 'blocking finding')}" if blocking else "nothing blocks publication")
        return "; ".join(parts) + "."
