"""Findings: what a check says of a version, and how one is recognised in the next version."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cryptocontent.content.text import content_hash

Severity = Literal["block", "warn", "info"]
_MARKERS = re.compile(r"\s?\[\^\d+\]")


class NewFinding(BaseModel):
    """What a check found: rule, severity, message, the text that it is about (`excerpt`, with its
    character offsets in the version's Markdown, none for the article as a whole), and evidence."""

    model_config = ConfigDict(frozen=True)

    rule: str
    severity: Severity
    message: str
    excerpt: str = ""
    start: int | None = None
    end: int | None = None
    evidence: dict[str, Any] = Field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """32 hex digits that stay the same in later versions for as long as rule, text and evidence do.
        The place and citation markers don't count: text moves and footnotes are renumbered."""
        excerpt = " ".join(_MARKERS.sub("", self.excerpt).split())
        return content_hash([self.rule, excerpt, self.evidence.get("key", "")])[:32]
