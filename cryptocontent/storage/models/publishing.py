"""Where articles go, what went there, what asks to be written anew, and who has to be told."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cryptocontent.storage.types import Base, utc_now


class PublishingTarget(Base):
    """A place that a project publishes to, beside its files: a repository, a Drive folder, a WordPress
    site, feeds."""

    __tablename__ = "publishing_targets"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))  # one of publishing.targets.TARGETS
    config: Mapped[dict[str, Any]] = mapped_column(default=dict)
    enabled: Mapped[bool] = mapped_column(default=True)
    author: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Publication(Base):
    """A version on its way to readers by one target, at most once each. `target` is `files` or a publishing
    target's name. Written `pending` in the transaction that publishes, delivered afterwards."""

    __tablename__ = "publications"
    __table_args__ = (Index("ix_publications_state", "status", "not_before"),)
    article_id: Mapped[str] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    target: Mapped[str] = mapped_column(String(40), primary_key=True)
    author: Mapped[str] = mapped_column(String(200))
    # pending | delivered | failed (for good) | superseded (by a newer version, before it was delivered)
    # | withdrawing (the article was archived) | withdrawn
    status: Mapped[str] = mapped_column(String(12), default="pending")
    external_id: Mapped[str] = mapped_column(String(300), default="")  # the target's name for it
    url: Mapped[str] = mapped_column(String(2000), default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the target's own: branch, pull request
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    not_before: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]  # while a process delivers it
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    delivered_at: Mapped[datetime | None]


class RefreshProposal(Base):
    """The advice to write an article anew, since what it cites has a newer state. One per article and set
    of newer sources (`fingerprint`)."""

    __tablename__ = "refresh_proposals"
    __table_args__ = (UniqueConstraint("article_id", "fingerprint"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    article_id: Mapped[str] = mapped_column(ForeignKey("articles.id"))
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))
    fingerprint: Mapped[str] = mapped_column(String(64))
    reasons: Mapped[list[dict[str, Any]]]
    status: Mapped[str] = mapped_column(String(10), default="open")  # open | accepted | dismissed | outdated
    decided_by: Mapped[str | None] = mapped_column(String(200))
    decided_at: Mapped[datetime | None]
    generation_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Alert(Base):
    """Something that people must be told of, once per `key` (`run:<id>`), by webhook or e-mail."""

    __tablename__ = "alerts"
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    title: Mapped[str] = mapped_column(String(300))
    body: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # pending | sent | failed | kept (nothing was configured to send it by)
    status: Mapped[str] = mapped_column(String(10), default="pending", index=True)
    sent: Mapped[list[str]] = mapped_column(default=list)  # the ways by which it went out: webhook, email
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    not_before: Mapped[datetime | None]  # also while a process sends it
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
