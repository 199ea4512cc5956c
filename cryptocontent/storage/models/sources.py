"""Where references and briefs come from by themselves, and what was found there."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cryptocontent.storage.types import Base, new_id, utc_now


class Source(Base):
    """A place that is watched for a project: a Drive folder, a feed, a Linear team. `config` is what a
    person said, `cursor` how far it was read (a page token, the newest `updatedAt`)."""

    __tablename__ = "sources"
    __table_args__ = (UniqueConstraint("project_id", "name"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20), index=True)  # one of knowledge.sources.KINDS, or linear
    name: Mapped[str] = mapped_column(String(100))
    config: Mapped[dict[str, Any]] = mapped_column(default=dict)
    cursor: Mapped[dict[str, Any]] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(String(10), default="active")  # active | paused | removed
    error: Mapped[str] = mapped_column(Text, default="")  # why the latest look failed, "" after a success
    author: Mapped[str] = mapped_column(String(200))
    checked_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class SourceItem(Base):
    """Something that was found at a source, and whether its present `revision` was imported. `details` is
    the source's own: parents in Drive, the address and ETag of a page."""

    __tablename__ = "source_items"
    __table_args__ = (Index("ix_source_items_state", "source_id", "status"),)
    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id"), primary_key=True)
    external_id: Mapped[str] = mapped_column(String(1000), primary_key=True)
    name: Mapped[str] = mapped_column(String(500))
    revision: Mapped[str] = mapped_column(String(200))
    imported_revision: Mapped[str] = mapped_column(String(200), default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # pending | imported | failed (for now or for good: `not_before`) | ignored (of no supported kind) | gone
    status: Mapped[str] = mapped_column(String(10), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")
    listing: Mapped[str] = mapped_column(String(32), default="")  # the latest whole listing that had it
    reference_id: Mapped[str | None] = mapped_column(ForeignKey("references.id"), index=True)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class Campaign(Base):
    """A plan that briefs belong to, as the team's planning tool knows it: a project, one of its milestones,
    or a cycle."""

    __tablename__ = "campaigns"
    __table_args__ = (UniqueConstraint("project_id", "source", "external_id"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    source: Mapped[str] = mapped_column(String(20))  # linear
    external_id: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(10))  # project | milestone | cycle
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("campaigns.id"))
    name: Mapped[str] = mapped_column(String(300))
    url: Mapped[str] = mapped_column(String(2000), default="")
    starts_on: Mapped[date | None]
    ends_on: Mapped[date | None]
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class LinearIssue(Base):
    """A Linear issue that is, or could not become, a brief. `updated_at` is Linear's own time of the state
    that was applied, `content` that state (`integrations.linear.Issue`): an older one never replaces a
    newer. `told` is what we last told Linear of the brief; `instruction_id` the note to the writer."""

    __tablename__ = "linear_issues"
    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id"), primary_key=True)
    issue_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    identifier: Mapped[str] = mapped_column(String(40))
    url: Mapped[str] = mapped_column(String(2000), default="")
    title: Mapped[str] = mapped_column(String(500), default="")
    state: Mapped[str] = mapped_column(String(100), default="")
    team_id: Mapped[str] = mapped_column(String(100), default="")
    updated_at: Mapped[datetime]
    brief_id: Mapped[str | None] = mapped_column(ForeignKey("briefs.id"), index=True)
    # brief | refused (see `problem`) | left (it no longer has the label) | removed
    status: Mapped[str] = mapped_column(String(10), default="brief")
    problem: Mapped[str] = mapped_column(Text, default="")
    content: Mapped[dict[str, Any]] = mapped_column(default=dict)
    instruction_id: Mapped[int | None]
    told: Mapped[dict[str, Any]] = mapped_column(default=dict)


class WebhookDelivery(Base):
    """What a vendor sent and we acknowledged: kept first, applied after, each delivery once."""

    __tablename__ = "webhook_deliveries"
    vendor: Mapped[str] = mapped_column(String(20), primary_key=True)
    delivery_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(
        String(10), default="received", index=True
    )  # received|applied|ignored
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
