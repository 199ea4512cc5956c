"""Templates, briefs, the research frozen for a brief, and what each stage made of it."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cryptocontent.storage.types import Base, new_id, utc_now


class Template(Base):
    """A template's identity: its name within a project."""

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("project_id", "name"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(100))
    version_id: Mapped[str | None] = mapped_column(String(32))


class TemplateVersion(Base):
    """One immutable content of a template. `spec` is the whole specification, with what it inherits from
    `base_version_id` filled in; `source` is what the author wrote."""

    __tablename__ = "template_versions"
    __table_args__ = (UniqueConstraint("template_id", "number"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    template_id: Mapped[str] = mapped_column(ForeignKey("templates.id"))
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    spec: Mapped[dict[str, Any]]
    source: Mapped[dict[str, Any]] = mapped_column(default=dict)
    base_version_id: Mapped[str | None] = mapped_column(String(32))
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
    assignee: Mapped[str | None] = mapped_column(String(200))
    campaign_id: Mapped[str | None] = mapped_column(String(32), index=True)
    origin: Mapped[str] = mapped_column(String(40))
    content_hash: Mapped[str] = mapped_column(String(64))
    ordinal: Mapped[int] = mapped_column(default=0)
    research_id: Mapped[str | None] = mapped_column(String(32))
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Research(Base):
    """The passages frozen for one brief, numbered from 1 in the order of `passages`, each
    `{"passage_id", "reference_id", "revision_id", "ordinal", "scores"}`; the ids of market facts follow in
    `facts`, numbered on. `query_hash` is of what was asked;
    `knowledge_version` is the project's when the answer was last confirmed."""

    __tablename__ = "research"
    __table_args__ = (UniqueConstraint("brief_id", "content_hash"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    brief_id: Mapped[str] = mapped_column(ForeignKey("briefs.id"))
    content_hash: Mapped[str] = mapped_column(String(64))
    query_hash: Mapped[str] = mapped_column(String(64))
    passages: Mapped[list[dict[str, Any]]]
    facts: Mapped[list[str]] = mapped_column(default=list)
    knowledge_version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class StageResult(Base):
    """What one agent made of one input, under a key of all that went into it. Never changed."""

    __tablename__ = "stage_results"
    __table_args__ = (Index("ix_stage_results_history", "stage", "engine", "created_at"),)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    brief_id: Mapped[str] = mapped_column(ForeignKey("briefs.id"), index=True)
    stage: Mapped[str] = mapped_column(String(20))
    engine: Mapped[str] = mapped_column(String(100))
    agent_version: Mapped[str] = mapped_column(String(40))
    output: Mapped[str] = mapped_column(Text)
    # of this stage alone
    calls: Mapped[int] = mapped_column(default=0)
    input_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
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


class Instruction(Base):
    """What a person asks a stage to do anew: the stage's key covers it, so the stage and those after it
    run again. `from_version_id` is a person's version to start from, instead of the stage before."""

    __tablename__ = "instructions"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    brief_id: Mapped[str] = mapped_column(ForeignKey("briefs.id"), index=True)
    stage: Mapped[str] = mapped_column(String(20))
    body: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(200))
    from_version_id: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
