"""Calls of models: policies, budgets, the ledger, kept answers, vendors' batches; and the events."""

import sqlalchemy as sa
from alembic import op

import cryptocontent.storage.types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_responses",
        sa.Column("request_key", sa.String(length=64), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("request_key", name=op.f("pk_kept_responses")),
    )
    with op.batch_alter_table("kept_responses", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_kept_responses_created_at"), ["created_at"], unique=False)

    op.create_table(
        "batched_requests",
        sa.Column("request_key", sa.String(length=64), nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=True),
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("generation_id", sa.String(length=64), nullable=False),
        sa.Column("brief_id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("not_before", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_batched_requests_project_id")),
        sa.PrimaryKeyConstraint("request_key", name=op.f("pk_batched_requests")),
    )
    with op.batch_alter_table("batched_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_batched_requests_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_batched_requests_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_batched_requests_status"), ["status"], unique=False)

    op.create_table(
        "batch_waiters",
        sa.Column("request_key", sa.String(length=64), nullable=False),
        sa.Column("generation_id", sa.String(length=64), nullable=False),
        sa.Column("brief_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("request_key", "generation_id", "brief_id", name=op.f("pk_batch_waiters")),
    )
    with op.batch_alter_table("batch_waiters", schema=None) as batch_op:
        batch_op.create_index("ix_batch_waiters_brief", ["generation_id", "brief_id"], unique=False)

    op.create_table(
        "budgets",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("cap_usd", sa.Float(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("updated_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_budgets_project_id")),
        sa.PrimaryKeyConstraint("project_id", "scope", name=op.f("pk_budgets")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_events_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_created_at"), ["created_at"], unique=False)
        batch_op.create_index("ix_events_project_id_id", ["project_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_events_subject"), ["subject"], unique=False)

    op.create_table(
        "model_batches",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("handle", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("checked_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_model_batches_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_batches")),
    )
    with op.batch_alter_table("model_batches", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_model_batches_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_model_batches_status"), ["status"], unique=False)

    op.create_table(
        "model_calls",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("request_key", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("generation_id", sa.String(length=64), nullable=False),
        sa.Column("brief_id", sa.String(length=64), nullable=False),
        sa.Column("article_id", sa.String(length=32), nullable=False),
        sa.Column("stage", sa.String(length=60), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("lane", sa.String(length=10), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_read_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_write_tokens", sa.Integer(), nullable=False),
        sa.Column("reserved_usd", sa.Float(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("pricing", sa.String(length=20), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("first_token_seconds", sa.Float(), nullable=True),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("settled_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_model_calls_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_calls")),
    )
    with op.batch_alter_table("model_calls", schema=None) as batch_op:
        batch_op.create_index("ix_model_calls_article", ["article_id"], unique=False)
        batch_op.create_index("ix_model_calls_generation", ["generation_id"], unique=False)
        batch_op.create_index("ix_model_calls_project_time", ["project_id", "created_at"], unique=False)

    op.create_table(
        "model_policy_versions",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("created_at", cryptocontent.storage.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_model_policy_versions_project_id")
        ),
        sa.PrimaryKeyConstraint("project_id", "number", name=op.f("pk_model_policy_versions")),
    )
    op.create_table(
        "spending",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("period", sa.String(length=64), nullable=False),
        sa.Column("spent_usd", sa.Float(), nullable=False),
        sa.Column("reserved_usd", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_spending_project_id")),
        sa.PrimaryKeyConstraint("project_id", "period", name=op.f("pk_spending")),
    )
    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lane", sa.String(length=10), server_default="live", nullable=False))

    with op.batch_alter_table("stage_results", schema=None) as batch_op:
        batch_op.create_index("ix_stage_results_history", ["stage", "engine", "created_at"], unique=False)

    # A policy in force is evidence of how a text was made: its versions are written once, like rule files.
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER model_policy_versions_written_once BEFORE UPDATE OR DELETE ON model_policy_versions"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER model_policy_versions_written_once_{verb.lower()} BEFORE {verb}"
            " ON model_policy_versions BEGIN"
            " SELECT RAISE(ABORT, 'rows of model_policy_versions are written once and never changed'); END"
        )


def downgrade() -> None:
    with op.batch_alter_table("stage_results", schema=None) as batch_op:
        batch_op.drop_index("ix_stage_results_history")

    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.drop_column("lane")

    op.drop_table("spending")
    op.drop_table("model_policy_versions")
    with op.batch_alter_table("model_calls", schema=None) as batch_op:
        batch_op.drop_index("ix_model_calls_project_time")
        batch_op.drop_index("ix_model_calls_generation")
        batch_op.drop_index("ix_model_calls_article")

    op.drop_table("model_calls")
    with op.batch_alter_table("model_batches", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_model_batches_status"))
        batch_op.drop_index(batch_op.f("ix_model_batches_project_id"))

    op.drop_table("model_batches")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_subject"))
        batch_op.drop_index("ix_events_project_id_id")
        batch_op.drop_index(batch_op.f("ix_events_created_at"))

    op.drop_table("events")
    op.drop_table("budgets")
    with op.batch_alter_table("batched_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_batched_requests_status"))
        batch_op.drop_index(batch_op.f("ix_batched_requests_project_id"))
        batch_op.drop_index(batch_op.f("ix_batched_requests_batch_id"))

    op.drop_table("batched_requests")
    with op.batch_alter_table("batch_waiters", schema=None) as batch_op:
        batch_op.drop_index("ix_batch_waiters_brief")

    op.drop_table("batch_waiters")
    with op.batch_alter_table("kept_responses", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_kept_responses_created_at"))

    op.drop_table("kept_responses")
