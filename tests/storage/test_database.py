"""Transactions and migrations, on SQLite and on a real Postgres."""

import sqlite3
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, select, text

from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.storage import DatabaseUnavailable, database, migrate, models, reading, writing
from cryptocontent.storage.types import Base, utc_now


def test_migrations_make_the_schema_of_the_models(engine: Engine) -> None:
    assert database.is_migrated(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)
    assert differences == []


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    with writing(engine) as session:
        create_project(session, "kept", "", Actor("test", "t"))
    migrate(engine)
    with reading(engine) as session:
        assert session.get(models.Project, "kept") is not None


def test_a_failed_transaction_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(RuntimeError), writing(engine) as session:
        create_project(session, "half", "", Actor("test", "t"))
        session.flush()
        raise RuntimeError("the process stops here")
    with reading(engine) as session:
        assert session.scalars(select(models.Project.id)).all() == []
        assert session.scalars(select(models.AuditEntry.seq)).all() == []


def test_instants_come_back_aware_and_equal(engine: Engine) -> None:
    now = utc_now()
    with writing(engine) as session:
        session.add(models.Project(id="p", name="P", folders=[], created_at=now))
    with reading(engine) as session:
        assert session.get_one(models.Project, "p").created_at == now


def test_a_naive_instant_is_refused(engine: Engine) -> None:
    with pytest.raises(Exception, match="has no time zone"), writing(engine) as session:
        session.add(models.Project(id="p", name="P", folders=[], created_at=utc_now().replace(tzinfo=None)))


def test_writers_wait_for_each_other(engine: Engine) -> None:
    """Read, then write, in two transactions at once: no lost update and no error half-way."""
    with writing(engine) as session:
        create_project(session, "p", "", Actor("test", "t"))

    def bump() -> None:
        for _ in range(10):
            with writing(engine) as session:
                project = session.get_one(models.Project, "p", with_for_update=True)
                project.knowledge_version += 1

    threads = [threading.Thread(target=bump) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as session:
        assert session.get_one(models.Project, "p").knowledge_version == 40


def test_a_locked_database_is_named(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.1)
    database.open_engine.cache_clear()
    impatient = database.open_engine(str(sqlite_engine.url))
    holder = sqlite3.connect(str(sqlite_engine.url.database), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with (
            pytest.raises(DatabaseUnavailable, match=r"cryptocontent\.db: database is locked"),
            writing(impatient) as s,
        ):
            s.execute(text("SELECT 1"))
    finally:
        holder.execute("ROLLBACK")
        holder.close()
        database.open_engine.cache_clear()


def test_a_full_disk_is_named_and_leaves_nothing(sqlite_engine: Engine) -> None:
    """SQLite's own page limit gives the error of a full disk, from the same place."""
    with sqlite_engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    with pytest.raises(DatabaseUnavailable, match="full"), writing(sqlite_engine) as session:
        session.execute(text(f"PRAGMA max_page_count = {pages}"))
        session.add(models.Project(id="big", name="x" * 200, folders=["y" * 5_000_000]))
    with reading(sqlite_engine) as session:
        assert session.get(models.Project, "big") is None


def test_a_password_is_not_in_the_error() -> None:
    engine = database.open_engine("postgresql+psycopg://someone:secret@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable) as error, reading(engine) as session:
        session.execute(text("SELECT 1"))
    assert "secret" not in str(error.value)
    assert "someone" in str(error.value)


@pytest.mark.parametrize("url", ["postgresql+psycopg://a:secret@host:port/x", "secret"])
def test_a_url_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="DATABASE_URL is not a URL such as") as error:
        database.open_engine(url)
    assert "secret" not in str(error.value)


def test_is_migrated_agrees_with_alembic(engine: Engine) -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(database._MIGRATIONS))
    head = ScriptDirectory.from_config(config).get_current_head()
    with writing(engine) as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == head
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    assert not database.is_migrated(engine)
