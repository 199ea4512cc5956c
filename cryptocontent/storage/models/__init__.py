"""Every table, from the same classes on SQLite and Postgres. Words are those of the architecture.

Rows that are evidence (revisions, passages, research, stage results, versions, checks and findings,
messages, audit entries) are written once and never changed; `references`, `briefs`, `articles` and
`generations` are identities whose state moves.
"""

from cryptocontent.storage.models.articles import (
    Approval,
    Article,
    Citation,
    Comment,
    Finding,
    Message,
    Publication,
    Signature,
    Suggestion,
    Version,
    VersionCheck,
    Waiver,
)
from cryptocontent.storage.models.audit import AuditEntry, AuditHead
from cryptocontent.storage.models.briefs import (
    Brief,
    BriefLease,
    Instruction,
    Research,
    StageResult,
    Template,
    TemplateVersion,
)
from cryptocontent.storage.models.generations import Generation, GenerationBrief
from cryptocontent.storage.models.knowledge import (
    Image,
    MarketFact,
    Member,
    Passage,
    Project,
    Reference,
    ReferenceRevision,
    RevisionImage,
    RevisionPassage,
    RuleSetVersion,
)

__all__ = [
    "Approval",
    "Article",
    "AuditEntry",
    "AuditHead",
    "Brief",
    "BriefLease",
    "Citation",
    "Comment",
    "Finding",
    "Generation",
    "GenerationBrief",
    "Image",
    "Instruction",
    "MarketFact",
    "Member",
    "Message",
    "Passage",
    "Project",
    "Publication",
    "Reference",
    "ReferenceRevision",
    "Research",
    "RevisionImage",
    "RevisionPassage",
    "RuleSetVersion",
    "Signature",
    "StageResult",
    "Suggestion",
    "Template",
    "TemplateVersion",
    "Version",
    "VersionCheck",
    "Waiver",
]
