"""Alembic's environment: runs on the connection that `storage.database.migrate` hands over."""

from alembic import context

from cryptocontent.storage import models
from cryptocontent.storage.types import Base

assert models
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
