"""What a check may report."""

from dataclasses import dataclass
from typing import Any

from cryptocontent.content.checks.subject import CheckedSentence, Subject
from cryptocontent.content.findings import NewFinding, Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's id (`number.not_in_source`), how grave it is, and what it means, for documentation and the
    reader of a finding. A finding of a rule that is not `waivable` can't be let stand by anybody."""

    id: str
    severity: Severity
    meaning: str
    waivable: bool = True

    def at(self, sentence: CheckedSentence, message: str, **evidence: Any) -> NewFinding:
        """A finding about a sentence. `key` in the evidence tells several of one sentence apart."""
        return NewFinding(
            rule=self.id,
            severity=self.severity,
            message=message,
            excerpt=sentence.text,
            start=sentence.start,
            end=sentence.end,
            evidence=evidence,
        )

    def span(self, subject: Subject, start: int, end: int, message: str, **evidence: Any) -> NewFinding:
        """A finding about a stretch of the Markdown."""
        return NewFinding(
            rule=self.id,
            severity=self.severity,
            message=message,
            excerpt=subject.markdown[start:end],
            start=start,
            end=end,
            evidence=evidence,
        )

    def whole(self, message: str, **evidence: Any) -> NewFinding:
        """A finding about the article as a whole."""
        return NewFinding(rule=self.id, severity=self.severity, message=message, evidence=evidence)
