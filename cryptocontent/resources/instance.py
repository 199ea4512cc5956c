"""The Dagster instance of a home: writes its `dagster.yaml` and points this process and its children at it.

Nothing of Dagster is imported here: the command line prepares the home before it knows whether it needs
Dagster at all.
"""

import os
from pathlib import Path
from typing import Any

import yaml

from cryptocontent.settings import Settings
from cryptocontent.storage.atomic import write_if_changed

POSTGRES_URL_VARIABLE = "DAGSTER_POSTGRES_URL"
# Dagster's tables (`runs`, `alembic_version` …) keep out of the way of ours in the same database.
POSTGRES_SCHEMA = "dagster"
# SQLite takes one writer at a time; Postgres carries the runs of a whole fleet.
_POSTGRES_CONCURRENT_RUNS = 20
_POSTGRES_BACKFILL_RUNS = 16


def prepare_dagster_home(settings: Settings) -> Path:
    """Make `<home>/dagster` ready and set `DAGSTER_HOME` to it; returns that folder.

    `dagster.yaml` there is the root file with the storage that `DATABASE_URL` names. The URL of a Postgres
    holds a password, so it goes to the environment (`DAGSTER_POSTGRES_URL`), never into the file.
    """
    folder = settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load(_root_config().read_text(encoding="utf-8"))
    config |= {
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(folder / "artifacts")},
        },
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(folder / "compute_logs")},
        },
    }
    if settings.database_url.startswith("sqlite"):
        config["storage"] = {"sqlite": {"base_dir": str(folder / "storage")}}
    else:
        config["storage"] = {"postgres": {"postgres_url": {"env": POSTGRES_URL_VARIABLE}}}
        _raise_run_limits(config["concurrency"]["runs"])
        _make_schema(settings.database_url)
        os.environ[POSTGRES_URL_VARIABLE] = _dagster_url(settings.database_url)
    header = "# Written by cryptocontent; the limits are those of the dagster.yaml it ships with.\n"
    content = header + yaml.safe_dump(config, sort_keys=False)
    write_if_changed(folder / "dagster.yaml", content.encode(), mode=0o600)
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def _root_config() -> Path:
    """The `dagster.yaml` that ships with us: inside an installed wheel, else at the repository's root."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "dagster.yaml"
    return packaged if packaged.is_file() else package.parent / "dagster.yaml"


def _raise_run_limits(runs: dict[str, Any]) -> None:
    runs["max_concurrent_runs"] = _POSTGRES_CONCURRENT_RUNS
    for limit in runs["tag_concurrency_limits"]:
        if limit["key"] == "dagster/backfill":
            limit["limit"] = _POSTGRES_BACKFILL_RUNS


def _dagster_url(database_url: str) -> str:
    """The same database for psycopg2, which Dagster uses, with Dagster's schema as the only one in sight."""
    from sqlalchemy import make_url

    url = make_url(database_url).set(drivername="postgresql+psycopg2")
    given = url.query.get("options", "")
    options = " ".join([*([given] if isinstance(given, str) else given), f"-csearch_path={POSTGRES_SCHEMA}"])
    return url.update_query_dict({"options": options.strip()}).render_as_string(hide_password=False)


def _make_schema(database_url: str) -> None:
    from sqlalchemy import text

    from cryptocontent.storage import open_engine, writing

    with writing(open_engine(database_url)) as session:
        # Two processes may prepare the same home at once; who may not create schemas may find one made.
        session.execute(text("SELECT pg_advisory_xact_lock(734207)"))
        made = text("SELECT 1 FROM pg_namespace WHERE nspname = :schema")
        if session.scalar(made, {"schema": POSTGRES_SCHEMA}) is None:
            session.execute(text(f"CREATE SCHEMA {POSTGRES_SCHEMA}"))
