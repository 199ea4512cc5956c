"""The database engine, its tables and migrations, and the object store. Knows nothing of the domain."""

from cryptocontent.storage.database import (
    DatabaseUnavailable,
    migrate,
    open_engine,
    reading,
    ready_engine,
    writing,
)
from cryptocontent.storage.object_store import ObjectStore, open_object_store

__all__ = [
    "DatabaseUnavailable",
    "ObjectStore",
    "migrate",
    "open_engine",
    "open_object_store",
    "reading",
    "ready_engine",
    "writing",
]
