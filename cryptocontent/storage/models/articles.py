"""Articles and their versions, and what is said of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cryptocontent.storage.types import Base, utc_now


class Article(Base):
    """An article's identity and state. `version_id` is the newest content, `published_version_id` what
    readers see: a draft stands apart from what is live."""

    __tablename__ = "articles"
    __table_args__ = (UniqueConstraint("project_id", "slug"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    brief_id: Mapped[str] = mapped_column(ForeignKey("briefs.id"), unique=True)
    slug: Mapped[str] = mapped_column(String(150))
    title: Mapped[str] = mapped_column(String(300))
    # draft | in_review | changes_requested | approved | scheduled | published | archived
    status: Mapped[str] = mapped_column(String(20), default="draft")
    version_id: Mapped[str | None] = mapped_column(String(32))
    published_version_id: Mapped[str | None] = mapped_column(String(32))
    published_at: Mapped[datetime | None]
    scheduled_at: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class Version(Base):
    """One immutable content of an article, by an agent's stage or a person.

    `details` holds the SEO package and the numbers (words, citations, readability);
    `provenance` the brief, template version, research, engines, cost and Dagster run.
    """

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("article_id", "number"), UniqueConstraint("article_id", "stage_key"))
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    article_id: Mapped[str] = mapped_column(ForeignKey("articles.id"), index=True)
    number: Mapped[int]
    parent_id: Mapped[str | None] = mapped_column(String(32))
    author_kind: Mapped[str] = mapped_column(String(10))  # stage | person
    author: Mapped[str] = mapped_column(String(200))
    stage_key: Mapped[str | None] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(300))
    markdown: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    provenance: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Citation(Base):
    """A version's footnote and what it points at: a passage in a reference's revision, or a market fact."""

    __tablename__ = "citations"
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    passage_id: Mapped[str | None] = mapped_column(ForeignKey("passages.id"), index=True)
    reference_id: Mapped[str | None] = mapped_column(ForeignKey("references.id"), index=True)
    revision_id: Mapped[str | None] = mapped_column(ForeignKey("reference_revisions.id"))
    market_fact_id: Mapped[str | None] = mapped_column(ForeignKey("market_facts.id"), index=True)


class Message(Base):
    """An entry in an article's conversation between agents and people. A typed edit or a finding
    travels in `data`."""

    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    article_id: Mapped[str] = mapped_column(ForeignKey("articles.id"), index=True)
    version_id: Mapped[str | None] = mapped_column(ForeignKey("versions.id"))
    author: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    body: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class VersionCheck(Base):
    """One run of all checks over a version: when, why, and the quality numbers that it measured. The
    newest one of a version is in force."""

    __tablename__ = "version_checks"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), index=True)
    # stage | save | approval | publication | recall | request
    cause: Mapped[str] = mapped_column(String(20))
    checks_version: Mapped[str] = mapped_column(String(64))
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Finding(Base):
    """What a check says of a version: rule, severity, place (character offsets), evidence. `fingerprint`
    follows from rule, text and evidence: it is the same in the next version if the text is."""

    __tablename__ = "findings"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), index=True)
    check_id: Mapped[int | None] = mapped_column(ForeignKey("version_checks.id"), index=True)
    fingerprint: Mapped[str] = mapped_column(String(32), default="")
    rule: Mapped[str] = mapped_column(String(60))
    severity: Mapped[str] = mapped_column(String(10))
    message: Mapped[str] = mapped_column(Text)
    excerpt: Mapped[str] = mapped_column(Text, default="")
    start: Mapped[int | None]
    end: Mapped[int | None]
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Waiver(Base):
    """An editor's decision that a finding may stand, with the reason. It holds for an article's findings
    of the same fingerprint, so for as long as the text stays as it is."""

    __tablename__ = "waivers"
    article_id: Mapped[str] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(32), primary_key=True)
    rule: Mapped[str] = mapped_column(String(60))
    reason: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Approval(Base):
    """An editor's approval of a section's exact content, by its hash: what is changed later needs another."""

    __tablename__ = "approvals"
    article_id: Mapped[str] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    section_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    section: Mapped[str] = mapped_column(String(300))
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))
    author: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Comment(Base):
    """A remark on a place in a version. The place is kept as offsets, as its text and as the text around
    it, so that it is found again in later versions. `parent_id` names the comment that it answers."""

    __tablename__ = "comments"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    article_id: Mapped[str] = mapped_column(ForeignKey("articles.id"), index=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("comments.id"))
    author: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    quote: Mapped[str] = mapped_column(Text, default="")
    start: Mapped[int | None]
    end: Mapped[int | None]
    resolved_by: Mapped[str | None] = mapped_column(String(200))
    resolved_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Suggestion(Base):
    """A change that somebody proposes to a place in a version; `status`: open | accepted | rejected."""

    __tablename__ = "suggestions"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    article_id: Mapped[str] = mapped_column(ForeignKey("articles.id"), index=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))
    author_kind: Mapped[str] = mapped_column(String(10))
    author: Mapped[str] = mapped_column(String(200))
    start: Mapped[int]
    end: Mapped[int]
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, default="")
    status: Mapped[str] = mapped_column(String(10), default="open")
    decided_by: Mapped[str | None] = mapped_column(String(200))
    decided_at: Mapped[datetime | None]
    decided_version_id: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Signature(Base):
    """The MinHash of an article's newest checked text, by which near-duplicates are found."""

    __tablename__ = "signatures"
    article_id: Mapped[str] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    version_id: Mapped[str] = mapped_column(String(32))
    minhash: Mapped[bytes]
