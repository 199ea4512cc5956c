"""The first tables, and triggers that keep evidence as it was written."""

import sqlalchemy as sa
from alembic import op

import cryptocontent.storage.types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Rows of these tables are evidence: they are written once. Who tampers has to drop a trigger first, and is
# found by `audit verify` all the same.
_WRITTEN_ONCE = (
    "audit_entries",
    "market_facts",
    "reference_revisions",
    "rule_set_versions",
    "template_versions",
    "versions",
)


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("folders", sa.JSON(), nullable=False),
        sa.Column("knowledge_version", sa.Integer(), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=1100), nullable=False),
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_audit_entries_project_id")),
        sa.PrimaryKeyConstraint("project_id", "seq", name=op.f("pk_audit_entries")),
    )
    op.create_table(
        "audit_heads",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_audit_heads_project_id")),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_audit_heads")),
    )
    op.create_table(
        "generations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("runner", sa.String(length=10), nullable=False),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("priority", sa.String(length=10), nullable=False),
        sa.Column("canary", sa.Integer(), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("batches", sa.Integer(), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_generations_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generations")),
    )
    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_generations_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_generations_status"), ["status"], unique=False)

    op.create_table(
        "images",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_images_project_id")),
        sa.PrimaryKeyConstraint("project_id", "sha256", name=op.f("pk_images")),
    )
    op.create_table(
        "market_facts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("asset_id", sa.String(length=100), nullable=False),
        sa.Column("metric", sa.String(length=20), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("unit", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("as_of", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_market_facts_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_market_facts")),
        sa.UniqueConstraint(
            "project_id",
            "asset_id",
            "metric",
            "unit",
            "source",
            "as_of",
            name=op.f("uq_market_facts_project_id_asset_id_metric_unit_source_as_of"),
        ),
    )
    with op.batch_alter_table("market_facts", schema=None) as batch_op:
        batch_op.create_index(
            "ix_market_facts_newest", ["project_id", "asset_id", "metric", "as_of"], unique=False
        )

    op.create_table(
        "members",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_members_project_id")),
        sa.PrimaryKeyConstraint("project_id", "name", name=op.f("pk_members")),
    )
    op.create_table(
        "references",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("external_id", sa.String(length=1000), nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=True),
        sa.Column("licence", sa.String(length=200), nullable=True),
        sa.Column("author", sa.String(length=200), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("published_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("recall_reason", sa.Text(), nullable=True),
        sa.Column("revision_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_references_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_references")),
        sa.UniqueConstraint(
            "project_id", "source", "external_id", name=op.f("uq_references_project_id_source_external_id")
        ),
    )
    with op.batch_alter_table("references", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_references_project_id"), ["project_id"], unique=False)

    op.create_table(
        "rule_set_versions",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_rule_set_versions_project_id")
        ),
        sa.PrimaryKeyConstraint("project_id", "name", "number", name=op.f("pk_rule_set_versions")),
    )
    op.create_table(
        "templates",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_templates_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_templates")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_templates_project_id_name")),
    )
    op.create_table(
        "passages",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("reference_id", sa.String(length=32), nullable=False),
        sa.Column("heading_path", sa.JSON(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("indexed_in", sa.String(length=100), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_passages_project_id")),
        sa.ForeignKeyConstraint(["reference_id"], ["references.id"], name=op.f("fk_passages_reference_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passages")),
    )
    with op.batch_alter_table("passages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_passages_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_passages_reference_id"), ["reference_id"], unique=False)

    op.create_table(
        "reference_revisions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("reference_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("markdown", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("fetched_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["reference_id"], ["references.id"], name=op.f("fk_reference_revisions_reference_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference_revisions")),
        sa.UniqueConstraint(
            "reference_id", "number", name=op.f("uq_reference_revisions_reference_id_number")
        ),
    )
    with op.batch_alter_table("reference_revisions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_reference_revisions_reference_id"), ["reference_id"], unique=False
        )

    op.create_table(
        "template_versions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("template_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("base_version_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["template_id"], ["templates.id"], name=op.f("fk_template_versions_template_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_versions")),
        sa.UniqueConstraint("template_id", "number", name=op.f("uq_template_versions_template_id_number")),
    )
    op.create_table(
        "briefs",
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("template_version_id", sa.String(length=32), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("priority", sa.String(length=10), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("research_id", sa.String(length=32), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_briefs_project_id")),
        sa.ForeignKeyConstraint(
            ["template_version_id"], ["template_versions.id"], name=op.f("fk_briefs_template_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_briefs")),
    )
    with op.batch_alter_table("briefs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_briefs_project_id"), ["project_id"], unique=False)

    op.create_table(
        "revision_images",
        sa.Column("revision_id", sa.String(length=32), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("alt", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["revision_id"], ["reference_revisions.id"], name=op.f("fk_revision_images_revision_id")
        ),
        sa.PrimaryKeyConstraint("revision_id", "sha256", name=op.f("pk_revision_images")),
    )
    op.create_table(
        "revision_passages",
        sa.Column("revision_id", sa.String(length=32), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("passage_id", sa.String(length=36), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["passage_id"], ["passages.id"], name=op.f("fk_revision_passages_passage_id")
        ),
        sa.ForeignKeyConstraint(
            ["revision_id"], ["reference_revisions.id"], name=op.f("fk_revision_passages_revision_id")
        ),
        sa.PrimaryKeyConstraint("revision_id", "ordinal", name=op.f("pk_revision_passages")),
    )
    with op.batch_alter_table("revision_passages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_revision_passages_passage_id"), ["passage_id"], unique=False)

    op.create_table(
        "articles",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("brief_id", sa.String(length=120), nullable=False),
        sa.Column("slug", sa.String(length=150), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=True),
        sa.Column("published_version_id", sa.String(length=32), nullable=True),
        sa.Column("published_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("scheduled_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["brief_id"], ["briefs.id"], name=op.f("fk_articles_brief_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_articles_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_articles")),
        sa.UniqueConstraint("brief_id", name=op.f("uq_articles_brief_id")),
        sa.UniqueConstraint("project_id", "slug", name=op.f("uq_articles_project_id_slug")),
    )
    with op.batch_alter_table("articles", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_articles_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_articles_scheduled_at"), ["scheduled_at"], unique=False)

    op.create_table(
        "brief_leases",
        sa.Column("brief_id", sa.String(length=120), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("expires_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["brief_id"], ["briefs.id"], name=op.f("fk_brief_leases_brief_id")),
        sa.PrimaryKeyConstraint("brief_id", name=op.f("pk_brief_leases")),
    )
    op.create_table(
        "generation_briefs",
        sa.Column("generation_id", sa.String(length=64), nullable=False),
        sa.Column("brief_id", sa.String(length=120), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("run_id", sa.String(length=64), nullable=True),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["brief_id"], ["briefs.id"], name=op.f("fk_generation_briefs_brief_id")),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name=op.f("fk_generation_briefs_generation_id")
        ),
        sa.PrimaryKeyConstraint("generation_id", "brief_id", name=op.f("pk_generation_briefs")),
    )
    with op.batch_alter_table("generation_briefs", schema=None) as batch_op:
        batch_op.create_index("ix_generation_briefs_state", ["generation_id", "status"], unique=False)

    op.create_table(
        "instructions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("brief_id", sa.String(length=120), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("from_version_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["brief_id"], ["briefs.id"], name=op.f("fk_instructions_brief_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instructions")),
    )
    with op.batch_alter_table("instructions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_instructions_brief_id"), ["brief_id"], unique=False)

    op.create_table(
        "research",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("brief_id", sa.String(length=120), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("query_hash", sa.String(length=64), nullable=False),
        sa.Column("passages", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("knowledge_version", sa.Integer(), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["brief_id"], ["briefs.id"], name=op.f("fk_research_brief_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_research")),
        sa.UniqueConstraint("brief_id", "content_hash", name=op.f("uq_research_brief_id_content_hash")),
    )
    op.create_table(
        "stage_results",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("brief_id", sa.String(length=120), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("engine", sa.String(length=100), nullable=False),
        sa.Column("agent_version", sa.String(length=40), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["brief_id"], ["briefs.id"], name=op.f("fk_stage_results_brief_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_stage_results")),
    )
    with op.batch_alter_table("stage_results", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stage_results_brief_id"), ["brief_id"], unique=False)

    op.create_table(
        "signatures",
        sa.Column("article_id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("minhash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name=op.f("fk_signatures_article_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_signatures_project_id")),
        sa.PrimaryKeyConstraint("article_id", name=op.f("pk_signatures")),
    )
    with op.batch_alter_table("signatures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_signatures_project_id"), ["project_id"], unique=False)

    op.create_table(
        "versions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("article_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.String(length=32), nullable=True),
        sa.Column("author_kind", sa.String(length=10), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("stage_key", sa.String(length=64), nullable=True),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("markdown", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name=op.f("fk_versions_article_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
        sa.UniqueConstraint("article_id", "number", name=op.f("uq_versions_article_id_number")),
        sa.UniqueConstraint("article_id", "stage_key", name=op.f("uq_versions_article_id_stage_key")),
    )
    with op.batch_alter_table("versions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_versions_article_id"), ["article_id"], unique=False)

    op.create_table(
        "waivers",
        sa.Column("article_id", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("rule", sa.String(length=60), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name=op.f("fk_waivers_article_id")),
        sa.PrimaryKeyConstraint("article_id", "fingerprint", name=op.f("pk_waivers")),
    )
    op.create_table(
        "approvals",
        sa.Column("article_id", sa.String(length=32), nullable=False),
        sa.Column("section_hash", sa.String(length=64), nullable=False),
        sa.Column("section", sa.String(length=300), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name=op.f("fk_approvals_article_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_approvals_version_id")),
        sa.PrimaryKeyConstraint("article_id", "section_hash", name=op.f("pk_approvals")),
    )
    op.create_table(
        "citations",
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("passage_id", sa.String(length=36), nullable=True),
        sa.Column("reference_id", sa.String(length=32), nullable=True),
        sa.Column("revision_id", sa.String(length=32), nullable=True),
        sa.Column("market_fact_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["market_fact_id"], ["market_facts.id"], name=op.f("fk_citations_market_fact_id")
        ),
        sa.ForeignKeyConstraint(["passage_id"], ["passages.id"], name=op.f("fk_citations_passage_id")),
        sa.ForeignKeyConstraint(["reference_id"], ["references.id"], name=op.f("fk_citations_reference_id")),
        sa.ForeignKeyConstraint(
            ["revision_id"], ["reference_revisions.id"], name=op.f("fk_citations_revision_id")
        ),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_citations_version_id")),
        sa.PrimaryKeyConstraint("version_id", "number", name=op.f("pk_citations")),
    )
    with op.batch_alter_table("citations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_citations_market_fact_id"), ["market_fact_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_citations_passage_id"), ["passage_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_citations_reference_id"), ["reference_id"], unique=False)

    op.create_table(
        "comments",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("article_id", sa.String(length=32), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("quote", sa.Text(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=True),
        sa.Column("end", sa.Integer(), nullable=True),
        sa.Column("resolved_by", sa.String(length=200), nullable=True),
        sa.Column("resolved_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name=op.f("fk_comments_article_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["comments.id"], name=op.f("fk_comments_parent_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_comments_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_comments_article_id"), ["article_id"], unique=False)

    op.create_table(
        "messages",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("article_id", sa.String(length=32), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=True),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name=op.f("fk_messages_article_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_messages_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_messages_article_id"), ["article_id"], unique=False)

    op.create_table(
        "publications",
        sa.Column("article_id", sa.String(length=32), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=40), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name=op.f("fk_publications_article_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_publications_version_id")),
        sa.PrimaryKeyConstraint("article_id", "version_id", "target", name=op.f("pk_publications")),
    )
    op.create_table(
        "suggestions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("article_id", sa.String(length=32), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("author_kind", sa.String(length=10), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("decided_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("decided_version_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name=op.f("fk_suggestions_article_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_suggestions_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suggestions")),
    )
    with op.batch_alter_table("suggestions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_suggestions_article_id"), ["article_id"], unique=False)

    op.create_table(
        "version_checks",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("checks_version", sa.String(length=64), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_version_checks_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version_checks")),
    )
    with op.batch_alter_table("version_checks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_version_checks_version_id"), ["version_id"], unique=False)

    op.create_table(
        "findings",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("check_id", sa.Integer(), nullable=True),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("rule", sa.String(length=60), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("excerpt", sa.Text(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=True),
        sa.Column("end", sa.Integer(), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["check_id"], ["version_checks.id"], name=op.f("fk_findings_check_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_findings_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
    )
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_findings_check_id"), ["check_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_findings_version_id"), ["version_id"], unique=False)
    _guard()


def _guard() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger AS $$ BEGIN"
            " RAISE EXCEPTION 'rows of % are written once and never changed', TG_TABLE_NAME; END; $$"
            " LANGUAGE plpgsql"
        )
        for table in _WRITTEN_ONCE:
            op.execute(
                f"CREATE TRIGGER {table}_written_once BEFORE UPDATE OR DELETE ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
        return
    for table in _WRITTEN_ONCE:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_written_once_{verb.lower()} BEFORE {verb} ON {table} BEGIN"
                f" SELECT RAISE(ABORT, 'rows of {table} are written once and never changed'); END"
            )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _WRITTEN_ONCE:
            op.execute(f"DROP TRIGGER {table}_written_once ON {table}")
        op.execute("DROP FUNCTION refuse_change()")
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_findings_version_id"))
        batch_op.drop_index(batch_op.f("ix_findings_check_id"))

    op.drop_table("findings")
    with op.batch_alter_table("version_checks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_version_checks_version_id"))

    op.drop_table("version_checks")
    with op.batch_alter_table("suggestions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_suggestions_article_id"))

    op.drop_table("suggestions")
    op.drop_table("publications")
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_messages_article_id"))

    op.drop_table("messages")
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_comments_article_id"))

    op.drop_table("comments")
    with op.batch_alter_table("citations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_citations_reference_id"))
        batch_op.drop_index(batch_op.f("ix_citations_passage_id"))
        batch_op.drop_index(batch_op.f("ix_citations_market_fact_id"))

    op.drop_table("citations")
    op.drop_table("approvals")
    op.drop_table("waivers")
    with op.batch_alter_table("versions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_versions_article_id"))

    op.drop_table("versions")
    with op.batch_alter_table("signatures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_signatures_project_id"))

    op.drop_table("signatures")
    with op.batch_alter_table("stage_results", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stage_results_brief_id"))

    op.drop_table("stage_results")
    op.drop_table("research")
    with op.batch_alter_table("instructions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_instructions_brief_id"))

    op.drop_table("instructions")
    with op.batch_alter_table("generation_briefs", schema=None) as batch_op:
        batch_op.drop_index("ix_generation_briefs_state")

    op.drop_table("generation_briefs")
    op.drop_table("brief_leases")
    with op.batch_alter_table("articles", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_articles_scheduled_at"))
        batch_op.drop_index(batch_op.f("ix_articles_project_id"))

    op.drop_table("articles")
    with op.batch_alter_table("revision_passages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_revision_passages_passage_id"))

    op.drop_table("revision_passages")
    op.drop_table("revision_images")
    with op.batch_alter_table("briefs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_briefs_project_id"))

    op.drop_table("briefs")
    op.drop_table("template_versions")
    with op.batch_alter_table("reference_revisions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reference_revisions_reference_id"))

    op.drop_table("reference_revisions")
    with op.batch_alter_table("passages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_passages_reference_id"))
        batch_op.drop_index(batch_op.f("ix_passages_project_id"))

    op.drop_table("passages")
    op.drop_table("templates")
    op.drop_table("rule_set_versions")
    with op.batch_alter_table("references", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_references_project_id"))

    op.drop_table("references")
    op.drop_table("members")
    with op.batch_alter_table("market_facts", schema=None) as batch_op:
        batch_op.drop_index("ix_market_facts_newest")

    op.drop_table("market_facts")
    op.drop_table("images")
    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_generations_status"))
        batch_op.drop_index(batch_op.f("ix_generations_project_id"))

    op.drop_table("generations")
    op.drop_table("audit_heads")
    op.drop_table("audit_entries")
    op.drop_table("projects")
