"""The database: one engine per URL, short transactions, migrations.

SQLite runs in WAL mode and takes its write lock at the start of a writing transaction (`BEGIN
IMMEDIATE`), so that two writers wait for each other instead of failing in the middle. Postgres gets
the same code.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Engine, Result, create_engine, event, inspect, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from cryptocontent.errors import Explained

BUSY_TIMEOUT_SECONDS = 30
_MIGRATIONS = Path(__file__).parent / "migrations"
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class DatabaseUnavailable(Explained, RuntimeError):
    """The database cannot be reached, is locked for too long, or its disk is full."""


@lru_cache(maxsize=8)
def open_engine(database_url: str) -> Engine:
    """The process's engine for `database_url`; makes the folder of an SQLite file."""
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        # Not shown: it may hold a password.
        raise DatabaseUnavailable(
            "DATABASE_URL is not a URL such as sqlite:///file or postgresql+psycopg://…"
        ) from None
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling is off, so that `_begin` decides how one starts.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = "" if connection.get_execution_options().get("read_only") else " IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN{mode}")

    return engine


@contextmanager
def _errors_named(engine: Engine) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise DatabaseUnavailable(f"database {where}: {error.orig}") from error


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """One transaction: all of it is written when the block ends, nothing if it raises."""
    with _errors_named(engine), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A consistent view that never takes the write lock."""
    readable = engine.execution_options(read_only=True) if engine.name == "sqlite" else engine
    with _errors_named(engine), Session(readable, expire_on_commit=False) as session:
        yield session


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size` items: SQL statements take a bounded number of parameters."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def pairs(result: Result[tuple[K, V]]) -> dict[K, V]:
    """A result of two columns as a dict."""
    return {key: value for key, value in result.tuples()}  # noqa: C416 (`dict` does not see the types)


def insert_ignoring_conflicts(dialect: Dialect, table: Any) -> Any:
    """`INSERT … ON CONFLICT DO NOTHING` in the words of the database at hand."""
    insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest migration; safe when several processes start at once."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with _errors_named(engine), engine.begin() as connection:
        if engine.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(734206)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_migrated(engine: Engine) -> bool:
    """Whether the newest migration has run. Asked at every start of a process, so without Alembic, whose
    import takes longer than the answer: migrations are files `NNNN_….py`, and the newest is the last."""
    newest = max(path.name.split("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))
    with _errors_named(engine), engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        current = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return current is not None and str(current) >= newest


@lru_cache(maxsize=8)
def ready_engine(database_url: str) -> Engine:
    """The engine for `database_url`, brought to the newest migration if need be, once per process."""
    engine = open_engine(database_url)
    if not is_migrated(engine):
        migrate(engine)
    return engine
