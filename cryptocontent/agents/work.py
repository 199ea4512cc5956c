"""What the stages hand to each other.

A stage is a function from `Work` to `Work`. The brief and the research never change on the way; the
draft, the findings, the SEO package, the messages and the cost do.
"""

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cryptocontent.content.checks.subject import Fact
from cryptocontent.content.documents import Source
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.templates import Outline


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class WorkBrief(_Frozen):
    """The brief as agents see it: what was asked, with the template's outline filled in."""

    id: str
    project_id: str
    outline: Outline
    keywords: tuple[str, ...] = ()
    variables: dict[str, Any] = Field(default_factory=dict)
    asset_ids: tuple[str, ...] = ()
    due_date: date | None = None


class ResearchImage(_Frozen):
    """An image of a reference that research found."""

    sha256: str
    alt: str
    width: int
    height: int


class ResearchPassage(_Frozen):
    """A passage frozen for the brief. `scores[0]` is its relevance to the whole brief and `scores[i]`
    to section i of the outline (counted from 1); higher is better, 0 is not found."""

    number: int
    passage_id: str
    reference_id: str
    revision_id: str
    title: str
    heading_path: tuple[str, ...]
    kind: str
    text: str
    scores: tuple[float, ...]
    url: str | None = None
    licence: str | None = None
    status: Literal["active", "withdrawn", "recalled"] = "active"
    fact: Fact | None = None  # what `text` says, where it is a market fact
    images: tuple[ResearchImage, ...] = ()
    ordinal: int = 0  # the passage's place in its reference, so that runs of text keep the source's order

    def source(self) -> Source:
        """The footnote that points at this passage."""
        return Source(self.number, self.title, self.heading_path, self.url, self.licence)


class Draft(_Frozen):
    """The article so far. `body` is Markdown without the title and the sources (see
    `content.documents`); its markers `[^n]` are research numbers."""

    title: str
    body: str


class Edit(_Frozen):
    """A typed change to a draft: what stood there, what stands there now ("" if removed), and why."""

    rule: str
    before: str
    after: str
    reason: str


class WorkMessage(_Frozen):
    """An entry that a stage leaves in the article's conversation."""

    author: str
    kind: Literal["summary", "edit", "finding", "question"]
    body: str
    data: dict[str, Any] = Field(default_factory=dict)


class SeoPackage(_Frozen):
    """What a search engine is told of the article."""

    title: str
    description: str
    slug: str
    keywords: tuple[str, ...]
    json_ld: dict[str, Any]


class Instruction(_Frozen):
    """What a person asks a stage to do."""

    stage: str
    body: str
    author: str


class Work(_Frozen):
    """Everything a stage may look at, and everything it may change."""

    brief: WorkBrief
    research: tuple[ResearchPassage, ...]
    draft: Draft = Draft(title="", body="")
    seo: SeoPackage | None = None
    findings: tuple[NewFinding, ...] = ()
    messages: tuple[WorkMessage, ...] = ()
    metrics: dict[str, float] = Field(default_factory=dict)
    instructions: tuple[Instruction, ...] = ()
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def asked(self, stage: str) -> tuple[Instruction, ...]:
        """What people asked of that stage, oldest first."""
        return tuple(one for one in self.instructions if one.stage == stage)

    def passage(self, number: int) -> ResearchPassage | None:
        """The research passage with that number, if there is one."""
        return self.research[number - 1] if 1 <= number <= len(self.research) else None


class StageFailed(Exception):
    """A stage cannot do its work for this brief: the reason, for the person who will retry it."""
