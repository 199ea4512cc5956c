"""Projects and their knowledge base: references, their revisions, passages and images."""

from datetime import datetime
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
    # active | withdrawn (it vanished) | recalled (it is bad: every article that cites it is reopened)
    status: Mapped[str] = mapped_column(String(20), default="active")
    recall_reason: Mapped[str | None] = mapped_column(Text)
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
    """An image in the object store, by the hash of its bytes (without EXIF). One of a reference is described
    where it stands (`RevisionImage`); one of the library by its own `alt`, `licence` and `credit`."""

    __tablename__ = "images"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(100))
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    origin: Mapped[str] = mapped_column(String(20), default="reference")  # reference | upload | chart
    name: Mapped[str] = mapped_column(String(200), default="")
    alt: Mapped[str] = mapped_column(Text, default="")
    licence: Mapped[str | None] = mapped_column(String(200))
    credit: Mapped[str | None] = mapped_column(String(300))
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ImageRendition(Base):
    """An image in another size or format, in the object store beside it (`rendition_key`)."""

    __tablename__ = "image_renditions"
    project_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(20), primary_key=True)  # thumbnail | 1x1 | 4x3 | 16x9 | svg
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


class MarketFact(Base):
    """A number about an asset, as one source stated it at one instant. Never changed: a newer value is a
    newer row. `asset_id` is the listing's id (`bitcoin`), not a ticker; `metric` is `price`,
    `market_cap`, `volume_24h`, `tvl` or `supply`; `unit` is `USD`, `BTC`, `%` …"""

    __tablename__ = "market_facts"
    __table_args__ = (
        UniqueConstraint("project_id", "asset_id", "metric", "unit", "source", "as_of"),
        Index("ix_market_facts_newest", "project_id", "asset_id", "metric", "as_of"),
    )
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    asset_id: Mapped[str] = mapped_column(String(100))
    metric: Mapped[str] = mapped_column(String(20))
    value: Mapped[float]
    unit: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(String(200))
    as_of: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class RuleSetVersion(Base):
    """A project's own version of a rule file that ships with us (`rules/<name>.yaml`): written once, the
    one with the highest number is in force."""

    __tablename__ = "rule_set_versions"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[dict[str, Any]]
    author: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Member(Base):
    """A person or key that works in a project, and as what."""

    __tablename__ = "members"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    role: Mapped[str] = mapped_column(String(10))  # viewer | writer | editor | admin | api
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
