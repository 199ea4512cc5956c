"""The Dagster home: what is written, what Dagster makes of it, and what is never written."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.run_coordinator import QueuedRunCoordinator
from sqlalchemy import inspect

from cryptocontent.resources.instance import prepare_dagster_home
from cryptocontent.settings import Settings
from cryptocontent.storage import migrate, open_engine

ROOT = Path(__file__).parents[1]


@pytest.fixture
def settings(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a home of their own, on both databases."""
    monkeypatch.setenv("CRYPTOCONTENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", database_url)
    # Restored at the end, whatever is set meanwhile.
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "")
    return Settings(_env_file=None)


def test_dagster_loads_it_and_keeps_what_happens(settings: Settings) -> None:
    folder = prepare_dagster_home(settings)
    assert folder == settings.home / "dagster"
    with DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("briefs", ["one", "two"])
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        assert instance.run_retries_max_retries == 2
        assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    with DagsterInstance.get() as again:
        assert again.get_dynamic_partitions("briefs") == ["one", "two"]


def test_one_lane_stays_free_of_backfills(settings: Settings) -> None:
    prepare_dagster_home(settings)
    with DagsterInstance.get() as instance:
        limits = instance.get_concurrency_config().run_queue_config
    assert limits is not None
    backfills = limits.tag_concurrency_limits[0]
    assert backfills["key"] == "dagster/backfill"
    assert backfills["limit"] < limits.max_concurrent_runs


def test_our_tables_and_dagsters_share_a_database(settings: Settings) -> None:
    prepare_dagster_home(settings)
    engine = open_engine(settings.database_url)
    migrate(engine)
    with DagsterInstance.get() as instance:
        assert instance.get_runs() == []
        instance.upgrade()
    migrate(engine)
    assert "event_logs" not in inspect(engine).get_table_names()
    engine.dispose()


def test_no_password_is_written(settings: Settings) -> None:
    folder = prepare_dagster_home(settings)
    with DagsterInstance.get() as instance:
        instance.get_runs()
    for path in folder.rglob("*"):
        assert not path.is_file() or b"p%40ss" not in path.read_bytes()


def test_again_changes_nothing(settings: Settings) -> None:
    file = prepare_dagster_home(settings) / "dagster.yaml"
    before = file.stat()
    prepare_dagster_home(settings)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_many_at_once_leave_one_whole_file(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        [folder] = set(pool.map(prepare_dagster_home, [settings] * 8))
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["dagster.yaml"]
    assert yaml.safe_load((folder / "dagster.yaml").read_text())["storage"]


def test_every_key_of_the_root_file_is_in_force(settings: Settings) -> None:
    root = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    written = yaml.safe_load((prepare_dagster_home(settings) / "dagster.yaml").read_text())
    assert {key: written[key] for key in root if key != "concurrency"} == {
        key: root[key] for key in root if key != "concurrency"
    }
    assert written["concurrency"]["pools"] == root["concurrency"]["pools"]


def test_the_workspace_names_the_code_location() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    assert workspace["load_from"] == [
        {"python_module": {"module_name": "cryptocontent.definitions", "location_name": "cryptocontent"}}
    ]
