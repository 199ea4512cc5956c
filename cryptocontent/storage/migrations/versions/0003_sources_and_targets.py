"""Sources that are watched, Linear issues and campaigns; publishing targets and deliveries; refresh proposals
and alerts; the library of images."""

import sqlalchemy as sa
from alembic import op

import cryptocontent.storage.types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("sent", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("not_before", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alerts")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alerts_status"), ["status"], unique=False)

    op.create_table(
        "image_renditions",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "sha256", "name", name=op.f("pk_image_renditions")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("vendor", sa.String(length=20), nullable=False),
        sa.Column("delivery_id", sa.String(length=100), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("vendor", "delivery_id", name=op.f("pk_webhook_deliveries")),
    )
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhook_deliveries_status"), ["status"], unique=False)

    op.create_table(
        "campaigns",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("external_id", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("parent_id", sa.String(length=32), nullable=True),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("updated_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["campaigns.id"], name=op.f("fk_campaigns_parent_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_campaigns_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        sa.UniqueConstraint(
            "project_id", "source", "external_id", name=op.f("uq_campaigns_project_id_source_external_id")
        ),
    )
    op.create_table(
        "publishing_targets",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_publishing_targets_project_id")
        ),
        sa.PrimaryKeyConstraint("project_id", "name", name=op.f("pk_publishing_targets")),
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("cursor", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("checked_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_sources_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_sources_project_id_name")),
    )
    with op.batch_alter_table("sources", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sources_kind"), ["kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_sources_project_id"), ["project_id"], unique=False)

    op.create_table(
        "source_items",
        sa.Column("source_id", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=1000), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("revision", sa.String(length=200), nullable=False),
        sa.Column("imported_revision", sa.String(length=200), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("listing", sa.String(length=32), nullable=False),
        sa.Column("reference_id", sa.String(length=32), nullable=True),
        sa.Column("updated_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["reference_id"], ["references.id"], name=op.f("fk_source_items_reference_id")
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_source_items_source_id")),
        sa.PrimaryKeyConstraint("source_id", "external_id", name=op.f("pk_source_items")),
    )
    with op.batch_alter_table("source_items", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_source_items_reference_id"), ["reference_id"], unique=False)
        batch_op.create_index("ix_source_items_state", ["source_id", "status"], unique=False)

    op.create_table(
        "linear_issues",
        sa.Column("source_id", sa.String(length=32), nullable=False),
        sa.Column("issue_id", sa.String(length=100), nullable=False),
        sa.Column("identifier", sa.String(length=40), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=100), nullable=False),
        sa.Column("team_id", sa.String(length=100), nullable=False),
        sa.Column("updated_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("brief_id", sa.String(length=120), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("instruction_id", sa.Integer(), nullable=True),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["brief_id"], ["briefs.id"], name=op.f("fk_linear_issues_brief_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_linear_issues_source_id")),
        sa.PrimaryKeyConstraint("source_id", "issue_id", name=op.f("pk_linear_issues")),
    )
    with op.batch_alter_table("linear_issues", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_linear_issues_brief_id"), ["brief_id"], unique=False)

    op.create_table(
        "refresh_proposals",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("article_id", sa.String(length=32), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("decided_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("generation_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["articles.id"], name=op.f("fk_refresh_proposals_article_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_refresh_proposals_project_id")
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_refresh_proposals_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_proposals")),
        sa.UniqueConstraint(
            "article_id", "fingerprint", name=op.f("uq_refresh_proposals_article_id_fingerprint")
        ),
    )
    with op.batch_alter_table("refresh_proposals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_refresh_proposals_project_id"), ["project_id"], unique=False)

    with op.batch_alter_table("briefs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("assignee", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("campaign_id", sa.String(length=32), nullable=True))
        batch_op.create_index(batch_op.f("ix_briefs_campaign_id"), ["campaign_id"], unique=False)

    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("newest_facts", sa.Boolean(), server_default=sa.false(), nullable=False)
        )

    with op.batch_alter_table("images", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("origin", sa.String(length=20), nullable=False, server_default="reference")
        )
        batch_op.add_column(sa.Column("name", sa.String(length=200), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("alt", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("licence", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("credit", sa.String(length=300), nullable=True))
        batch_op.add_column(sa.Column("details", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.add_column(
            sa.Column(
                "created_at",
                cryptocontent.storage.types.UtcDateTime(timezone=True),
                nullable=False,
                server_default=sa.text("'2026-11-24 00:00:00.000000'"),
            )
        )

    with op.batch_alter_table("publications", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("status", sa.String(length=12), nullable=False, server_default="delivered")
        )
        batch_op.add_column(
            sa.Column("external_id", sa.String(length=300), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("url", sa.String(length=2000), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("details", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("error", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(
            sa.Column("not_before", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True)
        )
        batch_op.add_column(
            sa.Column("leased_until", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True)
        )
        batch_op.add_column(
            sa.Column("delivered_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True)
        )
        batch_op.create_index("ix_publications_state", ["status", "not_before"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("publications", schema=None) as batch_op:
        batch_op.drop_index("ix_publications_state")
        for name in (
            "status",
            "external_id",
            "url",
            "details",
            "attempts",
            "error",
            "not_before",
            "leased_until",
            "delivered_at",
        ):
            batch_op.drop_column(name)
    with op.batch_alter_table("images", schema=None) as batch_op:
        for name in ("origin", "name", "alt", "licence", "credit", "details", "created_at"):
            batch_op.drop_column(name)
    op.drop_column("generations", "newest_facts")
    op.drop_index(op.f("ix_briefs_campaign_id"), "briefs")
    op.drop_column("briefs", "campaign_id")
    op.drop_column("briefs", "assignee")
    op.drop_table("source_items")
    op.drop_table("linear_issues")
    op.drop_table("refresh_proposals")
    op.drop_table("sources")
    op.drop_table("campaigns")
    op.drop_table("publishing_targets")
    op.drop_table("webhook_deliveries")
    op.drop_table("image_renditions")
    op.drop_table("alerts")
