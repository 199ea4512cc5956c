"""Calls of language models: policies, what was paid, what may be paid, what came back."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cryptocontent.storage.types import Base, utc_now


class ModelPolicyVersion(Base):
    """Which models a project's stages use: written once, the one with the highest number is in force."""

    __tablename__ = "model_policy_versions"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[dict[str, Any]]
    author: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ModelCall(Base):
    """One attempt at one model: an entry of the ledger. It is written before the request leaves, with the
    most that it can cost, and settled with what it did cost; one whose process died stays `reserved`."""

    __tablename__ = "model_calls"
    __table_args__ = (
        Index("ix_model_calls_project_time", "project_id", "created_at"),
        Index("ix_model_calls_generation", "generation_id"),
        Index("ix_model_calls_article", "article_id"),
    )
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    request_key: Mapped[str] = mapped_column(String(64))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    generation_id: Mapped[str] = mapped_column(String(64), default="")
    brief_id: Mapped[str] = mapped_column(String(64), default="")
    article_id: Mapped[str] = mapped_column(String(32), default="")
    stage: Mapped[str] = mapped_column(String(60))
    run_id: Mapped[str] = mapped_column(String(64), default="")
    provider: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(200))
    lane: Mapped[str] = mapped_column(String(10), default="live")  # live | batch
    attempt: Mapped[int]
    # reserved | ok | rate_limited | quota | unavailable | server_error | connection | timeout | rejected |
    # malformed | filtered | cancelled
    outcome: Mapped[str] = mapped_column(String(20), default="reserved")
    error: Mapped[str] = mapped_column(Text, default="")
    input_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
    cache_read_tokens: Mapped[int] = mapped_column(default=0)
    cache_write_tokens: Mapped[int] = mapped_column(default=0)
    reserved_usd: Mapped[float] = mapped_column(default=0.0)
    cost_usd: Mapped[float] = mapped_column(default=0.0)
    pricing: Mapped[str] = mapped_column(
        String(20), default="listed"
    )  # listed | own | subscription | unknown
    seconds: Mapped[float] = mapped_column(default=0.0)
    first_token_seconds: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    settled_at: Mapped[datetime | None]


class KeptResponse(Base):
    """The answer to a request, kept in the same transaction that settles its call: what was paid for is
    never asked for again. `response` is a pydantic-ai `ModelResponse` as JSON."""

    __tablename__ = "kept_responses"
    request_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    call_id: Mapped[str] = mapped_column(String(32))
    response: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class Budget(Base):
    """The most that a project may spend on models in a calendar month (`scope` "month", UTC) or in any
    one generation (`scope` "generation"), in US dollars."""

    __tablename__ = "budgets"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(String(10), primary_key=True)
    cap_usd: Mapped[float]
    author: Mapped[str] = mapped_column(String(200))
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class Spending(Base):
    """What a project's month (`period` "2026-11") or generation (its id) has cost, and what calls under
    way (or calls whose process died) may still cost."""

    __tablename__ = "spending"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    period: Mapped[str] = mapped_column(String(64), primary_key=True)
    spent_usd: Mapped[float] = mapped_column(default=0.0)
    reserved_usd: Mapped[float] = mapped_column(default=0.0)


class ModelBatch(Base):
    """A batch of requests at a vendor, half the price and hours to wait. `handle` is what the vendor's
    API needs to look at it again."""

    __tablename__ = "model_batches"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    provider: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(200))
    # submitting | in_progress | ended | failed
    status: Mapped[str] = mapped_column(String(20), index=True)
    handle: Mapped[dict[str, Any]]
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    checked_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class BatchedRequest(Base):
    """A request that waits for its vendor's batch, by its key: a stage that comes again finds it here, or
    its answer in `kept_responses`. `batch_id` is none until it was submitted."""

    __tablename__ = "batched_requests"
    request_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    batch_id: Mapped[str | None] = mapped_column(String(32), index=True)
    call_id: Mapped[str] = mapped_column(String(32))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    generation_id: Mapped[str] = mapped_column(String(64), default="")
    brief_id: Mapped[str] = mapped_column(String(64), default="")
    provider: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(200))
    request: Mapped[str] = mapped_column(Text)  # messages, settings and parameters, as JSON
    # queued | submitted | answered | failed | withdrawn (nobody wants it any more; gone once it is settled)
    status: Mapped[str] = mapped_column(String(20), default="queued", index=True)
    refusals: Mapped[int] = mapped_column(default=0)  # in a row, by the vendor
    not_before: Mapped[datetime | None]  # a refused one is left alone until then
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class BatchWaiter(Base):
    """A brief of a generation that waits for a request: several may wait for the very same one."""

    __tablename__ = "batch_waiters"
    request_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    generation_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    brief_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    __table_args__ = (Index("ix_batch_waiters_brief", "generation_id", "brief_id"),)


class Event(Base):
    """Something that happened, for people who watch: shown live and kept for a while. `subject` is what it
    is about (`article:<id>`, `generation:<id>`)."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_project_id_id", "project_id", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    subject: Mapped[str] = mapped_column(String(100), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
