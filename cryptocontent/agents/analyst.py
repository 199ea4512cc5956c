"""The analyst: every cited sentence against its passage, every number against its source.

What no passage says is cited anew or removed; what can't be repaired is a finding, and a finding of
severity `block` stops publication.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from cryptocontent.agents.drafts import Edits, counted, enumeration, with_body
from cryptocontent.agents.grounding import Checkable, checkables, grounded
from cryptocontent.agents.work import Severity, Work, WorkFinding, WorkMessage
from cryptocontent.content.documents import (
    Block,
    Paragraph,
    Sentence,
    body_words,
    paragraphs,
    parse,
    without_empty,
)
from cryptocontent.content.text import supports

VERSION = "1"

CONCENTRATED = 0.75
"""Above this Herfindahl–Hirschman index (1: a single source) the article leans on too few sources."""


async def rules(work: Work) -> Work:
    """Check the draft by rules and repair what can be repaired."""
    return _Analysis(work).run()


@dataclass(slots=True)
class _Count:
    markers: int = 0
    dangling: int = 0
    parts: int = 0
    grounded: int = 0
    quotes: int = 0
    verbatim: int = 0


class _Analysis:
    """One draft under analysis."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.edits = Edits("analyst")
        self.findings: list[WorkFinding] = []
        self.count = _Count()

    def run(self) -> Work:
        blocks: list[Block] = []
        for block in parse(self.work.draft.body):
            if isinstance(block, Paragraph):
                checked = [
                    kept for sentence in block.sentences if (kept := self._check(sentence)) is not None
                ]
                block = replace(block, sentences=tuple(checked))
            blocks.append(block)
        blocks = without_empty(blocks)
        metrics = self._metrics(blocks)
        self._whole(blocks, metrics)
        told = [
            WorkMessage(author="analyst", kind="finding", body=one.message, data=one.model_dump())
            for one in self.findings
        ]
        messages = (*told, *self.edits.messages(self._summary(blocks, metrics), {"metrics": metrics}))
        findings = (*self.work.findings, *self.findings)
        return with_body(
            self.work, blocks, messages, findings=findings, metrics={**self.work.metrics, **metrics}
        )

    def _find(self, rule: str, severity: Severity, message: str, excerpt: str = "", **evidence: Any) -> None:
        self.findings.append(
            WorkFinding(rule=rule, severity=severity, message=message, excerpt=excerpt, evidence=evidence)
        )

    def _check(self, sentence: Sentence) -> Sentence | None:
        """The sentence with citations that hold, or None if it must go."""
        self.count.markers += len(sentence.citations)
        known = tuple(number for number in sentence.citations if self.work.passage(number) is not None)
        if missing := [number for number in sentence.citations if number not in known]:
            self.count.dangling += len(missing)
            message = f"Citation {enumeration(map(str, missing))} points at no passage of the research."
            self._find("citation.dangling", "warn", message, sentence.text, numbers=missing)
            changed = replace(sentence, citations=known)
            self.edits.add(
                "citation.dangling", sentence.render(), changed.render(), "there is no such passage"
            )
            sentence = changed
        if not sentence.citations:
            return self._uncited(sentence, had_citations=bool(missing))
        holding = tuple(number for number in known if self._says(number, sentence.text))
        if holding != known:
            return self._unsupported(sentence, holding)
        return self._grounded(sentence)

    def _says(self, number: int, text: str) -> bool:
        passage = self.work.passage(number)
        return passage is not None and supports(passage.text, text)

    def _elsewhere(self, text: str) -> tuple[int, ...]:
        """The first passage of the research that says the text, if there is one."""
        return next(((one.number,) for one in self.work.research if supports(one.text, text)), ())

    def _unsupported(self, sentence: Sentence, holding: tuple[int, ...]) -> Sentence | None:
        right = holding or self._elsewhere(sentence.text)
        if right:
            changed = replace(sentence, citations=right)
            reason = "the passage cited does not say it; this one does"
            self.edits.add("citation.corrected", sentence.render(), changed.render(), reason)
            return self._grounded(changed)
        missing = self._missing(sentence)
        self._find(
            "citation.unsupported",
            "warn",
            "No passage of the research says this sentence, so it was removed.",
            sentence.text,
            cited=list(sentence.citations),
            missing=[part.text for part in missing],
        )
        for part in missing:
            message = f"“{part.text}” is not in the source that the sentence cited; the sentence was removed."
            self._find(
                part.rule, "warn", message, sentence.text, cited=list(sentence.citations), kind=part.kind
            )
        self.edits.add("citation.unsupported", sentence.render(), "", "no passage of the research says it")
        return None

    def _missing(self, sentence: Sentence) -> list[Checkable]:
        evidence = "\n".join(
            passage.text for number in sentence.citations if (passage := self.work.passage(number))
        )
        return [part for part in checkables(sentence.text) if not grounded(part, evidence)]

    def _grounded(self, sentence: Sentence) -> Sentence:
        parts, missing = checkables(sentence.text), self._missing(sentence)
        quotes = [part for part in parts if part.kind == "quote"]
        self.count.parts += len(parts) - len(quotes)
        self.count.grounded += len(parts) - len(quotes) - sum(part.kind != "quote" for part in missing)
        self.count.quotes += len(quotes)
        self.count.verbatim += len(quotes) - sum(part.kind == "quote" for part in missing)
        for part in missing:
            message = f"“{part.text}” is not in the passage that the sentence cites."
            self._find(
                part.rule, "block", message, sentence.text, cited=list(sentence.citations), kind=part.kind
            )
        return sentence

    def _uncited(self, sentence: Sentence, had_citations: bool) -> Sentence | None:
        if right := self._elsewhere(sentence.text):
            changed = replace(sentence, citations=right)
            self.edits.add("citation.added", sentence.render(), changed.render(), "this passage says it")
            return self._grounded(changed)
        parts = checkables(sentence.text)
        if had_citations:
            self._find(
                "citation.unsupported",
                "warn",
                "Its citation points at nothing and no passage says it: removed.",
                sentence.text,
            )
            self.edits.add("citation.unsupported", sentence.text, "", "no passage of the research says it")
            return None
        if parts:
            self.count.parts += sum(part.kind != "quote" for part in parts)
            self.count.quotes += sum(part.kind == "quote" for part in parts)
            told = enumeration(f"“{part.text}”" for part in parts)
            self._find(
                "claim.uncited",
                "block",
                f"{told} has no source.",
                sentence.text,
                parts=[part.text for part in parts],
            )
        else:
            self._find("sentence.uncited", "warn", "This sentence cites nothing.", sentence.text)
        return sentence

    def _metrics(self, blocks: list[Block]) -> dict[str, float]:
        found = [sentence for paragraph in paragraphs(blocks) for sentence in paragraph.sentences]
        cited = [sentence for sentence in found if sentence.citations]
        sources = Counter(
            passage.reference_id
            for sentence in cited
            for number in sentence.citations
            if (passage := self.work.passage(number))
        )
        total = sum(sources.values())
        count = self.count
        return {
            "citation_coverage": _share(len(cited), len(found)),
            "dangling_rate": _share(count.dangling, count.markers, 0.0),
            "number_grounding": _share(count.grounded, count.parts),
            "quote_fidelity": _share(count.verbatim, count.quotes),
            "source_concentration": round(sum((number / total) ** 2 for number in sources.values()), 4)
            if total
            else 0.0,
            "sources": float(len(sources)),
        }

    def _whole(self, blocks: list[Block], metrics: dict[str, float]) -> None:
        """Findings about the article as a whole."""
        least, total = self.work.brief.outline.words.min, body_words(blocks)
        if total < least:
            message = f"The article has {total} words; the template asks for at least {least}."
            self._find("length.below_minimum", "block", message, words=total, minimum=least)
        if not metrics["sources"]:
            self._find("citation.none", "block", "The article cites nothing.")
        elif metrics["source_concentration"] > CONCENTRATED:
            share, sources = metrics["source_concentration"], counted(int(metrics["sources"]), "source")
            message = f"The article leans on few sources ({sources}, concentration {share:.2f})."
            self._find("source.concentration", "info", message, hhi=share, sources=int(metrics["sources"]))

    def _summary(self, blocks: list[Block], metrics: dict[str, float]) -> str:
        sentences = sum(len(paragraph.sentences) for paragraph in paragraphs(blocks))
        counts = self.edits.counts()
        count = self.count
        facts = counted(count.parts, "number, date or name", "numbers, dates and names")
        parts = [
            f"Checked {counted(sentences, 'sentence')} with {facts} against "
            f"{counted(int(metrics['sources']), 'source')}: {metrics['citation_coverage']:.0%} cited, "
            f"{metrics['number_grounding']:.0%} of numbers and {metrics['quote_fidelity']:.0%} of quotations "
            "in their source"
        ]
        if counts["citation.unsupported"]:
            parts.append(f"removed {counted(counts['citation.unsupported'], 'unsupported sentence')}")
        if corrected := counts["citation.corrected"] + counts["citation.added"]:
            parts.append(f"put {counted(corrected, 'citation')} right")
        if counts["citation.dangling"]:
            parts.append(f"removed {counted(count.dangling, 'dangling citation')}")
        blocking = sum(one.severity == "block" for one in self.findings)
        parts.append(f"{counted(blocking, 'blocking finding')}" if blocking else "nothing blocks publication")
        return "; ".join(parts) + "."


def _share(part: int, whole: int, empty: float = 1.0) -> float:
    return round(part / whole, 4) if whole else empty
