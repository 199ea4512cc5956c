"""Every table, from the same classes on SQLite and Postgres. Words are those of the architecture.

Rows that are evidence (revisions, passages, research, stage results, versions, messages, findings,
audit entries) are written once and never changed; `references`, `briefs`, `articles` and
`generations` are identities whose state moves.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cryptocontent.storage.types import Base, new_id, utc_now


class Project(Base):
    """The tenant. Its id is a slug and its Dagster partition key. `knowledge_version` counts the
    changes of what search can find, so that frozen research knows whether it is stale."""

    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    folders: Mapped[list[str]] = mapped_column(default=list)
    knowledge_version: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Reference(Base):
    """A source document's identity: where it came from, and which revision is current."""

    __tablename__ = "references"
    __table_args__ = (UniqueConstraint("project_id", "source", "external_id"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    source: Mapped[str] = mapped_column(String(40))
    external_id: Mapped[str] = mapped_column(String(1000))
    title: Mapped[str] = mapped_column(String(500))
    url: Mapped[str | None] = mapped_column(String(2000))
    licence: Mapped[str | None] = mapped_column(String(200))
    author: Mapped[str | None] = mapped_column(String(200))
    tags: Mapped[list[str]] = mapped_column(default=list)
    published_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(20), default="active")  # active | withdrawn
    revision_id: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class ReferenceRevision(Base):
    """One immutable content of a reference. `content_hash` is of the source file's bytes."""

    __tablename__ = "reference_revisions"
    __table_args__ = (UniqueConstraint("reference_id", "number"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    reference_id: Mapped[str] = mapped_column(ForeignKey("references.id"), index=True)
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    media_type: Mapped[str] = mapped_column(String(100))
    markdown: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    fetched_at: Mapped[datetime] = mapped_column(default=utc_now)


class Image(Base):
    """An image in the object store, by the hash of its bytes."""

    __tablename__ = "images"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(100))
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]


class RevisionImage(Base):
    """Where an image stands in a revision, and what its author says it shows."""

    __tablename__ = "revision_images"
    revision_id: Mapped[str] = mapped_column(ForeignKey("reference_revisions.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    alt: Mapped[str] = mapped_column(Text)


class Passage(Base):
    """A piece of a reference, immutable: its id follows from reference, heading path and text.
    `indexed_in` names the search collection that holds it now, if any."""

    __tablename__ = "passages"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    reference_id: Mapped[str] = mapped_column(ForeignKey("references.id"), index=True)
    heading_path: Mapped[list[str]] = mapped_column(default=list)
    kind: Mapped[str] = mapped_column(String(10))  # prose | list | table | code
    text: Mapped[str] = mapped_column(Text)
    indexed_in: Mapped[str | None] = mapped_column(String(100))


class RevisionPassage(Base):
    """A revision's passages in order, with character offsets into its Markdown."""

    __tablename__ = "revision_passages"
    revision_id: Mapped[str] = mapped_column(ForeignKey("reference_revisions.id"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    passage_id: Mapped[str] = mapped_column(ForeignKey("passages.id"), index=True)
    start: Mapped[int]
    end: Mapped[int]


class Template(Base):
    """A template's identity: its name within a project."""

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("project_id", "name"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(100))
    version_id: Mapped[str | None] = mapped_column(String(32))


class TemplateVersion(Base):
    """One immutable content of a template, as its validated specification."""

    __tablename__ = "template_versions"
    __table_args__ = (UniqueConstraint("template_id", "number"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    template_id: Mapped[str] = mapped_column(ForeignKey("templates.id"))
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    spec: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Brief(Base):
    """One article to write. Its id is readable, follows from its content, and is its Dagster
    partition key. `last_error` is why the latest attempt failed, none after a success."""

    __tablename__ = "briefs"
    id: Mapped[str] = mapped_column(String(120), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    template_version_id: Mapped[str] = mapped_column(ForeignKey("template_versions.id"))
    title: Mapped[str] = mapped_column(String(300))
    variables: Mapped[dict[str, Any]] = mapped_column(default=dict)
    keywords: Mapped[list[str]] = mapped_column(default=list)
    due_date: Mapped[date | None]
    priority: Mapped[str] = mapped_column(String(10), default="normal")
    origin: Mapped[str] = mapped_column(String(40))
    content_hash: Mapped[str] = mapped_column(String(64))
    ordinal: Mapped[int] = mapped_column(default=0)
    research_id: Mapped[str | None] = mapped_column(String(32))
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Research(Base):
    """The passages frozen for one brief, numbered from 1 in the order of `passages`, each
    `{"passage_id", "reference_id", "revision_id", "ordinal", "scores"}`. `query_hash` is of what was asked;
    `knowledge_version` is the project's when the answer was last confirmed."""

    __tablename__ = "research"
    __table_args__ = (UniqueConstraint("brief_id", "content_hash"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    brief_id: Mapped[str] = mapped_column(ForeignKey("briefs.id"))
    content_hash: Mapped[str] = mapped_column(String(64))
    query_hash: Mapped[str] = mapped_column(String(64))
    passages: Mapped[list[dict[str, Any]]]
    knowledge_version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class StageResult(Base):
    """What one agent made of one input, under a key of all that went into it. Never changed."""

    __tablename__ = "stage_results"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    brief_id: Mapped[str] = mapped_column(ForeignKey("briefs.id"), index=True)
    stage: Mapped[str] = mapped_column(String(20))
    engine: Mapped[str] = mapped_column(String(100))
    agent_version: Mapped[str] = mapped_column(String(40))
    output: Mapped[str] = mapped_column(Text)
    cost_usd: Mapped[float] = mapped_column(default=0.0)
    seconds: Mapped[float]
    run_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class BriefLease(Base):
    """Who works on a brief now. Expires unless renewed, so that a killed process blocks nobody."""

    __tablename__ = "brief_leases"
    brief_id: Mapped[str] = mapped_column(ForeignKey("briefs.id"), primary_key=True)
    owner: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime]


class Article(Base):
    """An article's identity and state."""

    __tablename__ = "articles"
    __table_args__ = (UniqueConstraint("project_id", "slug"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    brief_id: Mapped[str] = mapped_column(ForeignKey("briefs.id"), unique=True)
    slug: Mapped[str] = mapped_column(String(150))
    title: Mapped[str] = mapped_column(String(300))
    status: Mapped[str] = mapped_column(String(20), default="draft")
    version_id: Mapped[str | None] = mapped_column(String(32))
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
    """A version's footnote and the passage, in the revision, that it points at."""

    __tablename__ = "citations"
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    passage_id: Mapped[str] = mapped_column(ForeignKey("passages.id"), index=True)
    reference_id: Mapped[str] = mapped_column(ForeignKey("references.id"), index=True)
    revision_id: Mapped[str] = mapped_column(ForeignKey("reference_revisions.id"))


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


class Finding(Base):
    """What a check says of a version: rule, severity, place (character offsets), evidence."""

    __tablename__ = "findings"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), index=True)
    rule: Mapped[str] = mapped_column(String(60))
    severity: Mapped[str] = mapped_column(String(10))
    message: Mapped[str] = mapped_column(Text)
    excerpt: Mapped[str] = mapped_column(Text, default="")
    start: Mapped[int | None]
    end: Mapped[int | None]
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Generation(Base):
    """One request to take briefs through the pipeline. `runner`: `dagster` when the daemon's sensor
    starts its runs, `local` when the process that asked carries it out."""

    __tablename__ = "generations"
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    # requested | running | done | failed
    status: Mapped[str] = mapped_column(String(20), default="requested", index=True)
    runner: Mapped[str] = mapped_column(String(10), default="dagster")
    requested_by: Mapped[str] = mapped_column(String(200))
    batch_size: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]


class GenerationBrief(Base):
    """The state of one brief within a generation."""

    __tablename__ = "generation_briefs"
    __table_args__ = (Index("ix_generation_briefs_state", "generation_id", "status"),)
    generation_id: Mapped[str] = mapped_column(ForeignKey("generations.id"), primary_key=True)
    brief_id: Mapped[str] = mapped_column(ForeignKey("briefs.id"), primary_key=True)
    # queued | done | failed
    status: Mapped[str] = mapped_column(String(20), default="queued")
    error: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[str | None] = mapped_column(String(64))


class AuditEntry(Base):
    """One link of a project's audit chain: `hash` covers every other column and the one before."""

    __tablename__ = "audit_entries"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(200))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditHead(Base):
    """The newest link of each chain. Its row is the lock that serialises writers."""

    __tablename__ = "audit_heads"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(default=0)
    hash: Mapped[str] = mapped_column(String(64), default="")
