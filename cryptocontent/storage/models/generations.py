"""Requests to take briefs through the pipeline."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from cryptocontent.storage.types import Base, new_id, utc_now


class Generation(Base):
    """One request to take briefs through the pipeline. `runner`: `dagster` when the daemon's sensor
    starts its runs, `local` when the process that asked carries it out."""

    __tablename__ = "generations"
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    # requested | running | paused | awaiting_approval (of the canary) | done | failed | cancelled
    status: Mapped[str] = mapped_column(String(20), default="requested", index=True)
    runner: Mapped[str] = mapped_column(String(10), default="dagster")
    requested_by: Mapped[str] = mapped_column(String(200))
    priority: Mapped[str] = mapped_column(String(10), default="normal")  # low | normal | high
    canary: Mapped[int] = mapped_column(default=0)  # how many briefs go first, the rest after approval
    # live: models answer at once; batch: by the vendors' batch APIs, at half the price and in hours
    lane: Mapped[str] = mapped_column(String(10), default="live", server_default="live")
    newest_facts: Mapped[bool] = mapped_column(default=False, server_default=false())  # research them anew
    batch_size: Mapped[int]
    batches: Mapped[int] = mapped_column(default=0)  # how many were cut so far: numbers are never used again
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]


class GenerationBrief(Base):
    """The state of one brief within a generation. `batch` is the number of the run that it was given to;
    none while it waits."""

    __tablename__ = "generation_briefs"
    __table_args__ = (Index("ix_generation_briefs_state", "generation_id", "status"),)
    generation_id: Mapped[str] = mapped_column(ForeignKey("generations.id"), primary_key=True)
    brief_id: Mapped[str] = mapped_column(ForeignKey("briefs.id"), primary_key=True)
    # held (for the canary's approval) | queued | waiting (for a vendor) | done | failed | cancelled
    status: Mapped[str] = mapped_column(String(20), default="queued")
    error: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[str | None] = mapped_column(String(64))
    batch: Mapped[int | None]
