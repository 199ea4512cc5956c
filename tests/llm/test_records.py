"""Records that processes share: no change is lost, and no trouble reaches a call."""

import asyncio
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from cryptocontent.llm.records import FORMAT, Record, RedisRecords, SqliteRecords, open_records

NAME = "openai:a"


def _count(record: Record | None) -> tuple[Record, int]:
    count = (record or {"count": 0})["count"] + 1
    return {"count": count}, count


@pytest.fixture(params=["sqlite", "redis"])
def cache_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'cache.db'}"
    url: str = request.getfixturevalue("valkey_url")
    return url


async def test_concurrent_changes_are_all_counted(cache_url: str) -> None:
    records = [open_records(cache_url) for _ in range(3)]
    counts = await asyncio.gather(*(records[number % 3].change("n", _count) for number in range(30)))
    assert sorted(counts) == list(range(1, 31))


async def test_hundreds_of_calls_of_a_process_lose_nothing(cache_url: str) -> None:
    records = open_records(cache_url)
    counts = await asyncio.gather(*(records.change(NAME, _count) for _ in range(300)))
    assert sorted(counts) == list(range(1, 301))
    found = await asyncio.gather(*(records.read([NAME, "other"]) for _ in range(300)))
    assert all(one[NAME]["count"] == 300 and len(one) == 1 for one in found)


def test_threads_with_a_connection_each_lose_nothing(tmp_path: Path) -> None:
    async def hundred(records: SqliteRecords) -> None:
        for _ in range(100):
            await records.change(NAME, _count)

    some = [SqliteRecords(tmp_path / "cache.db") for _ in range(3)]
    threads = [threading.Thread(target=asyncio.run, args=(hundred(one),)) for one in some]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(some[0].read([NAME]))[NAME]["count"] == 300


async def test_closed_records_open_again_where_they_are_used(cache_url: str) -> None:
    records = open_records(cache_url)
    await records.change(NAME, _count)
    await records.close()
    await records.close()
    assert await records.change(NAME, _count) == 2


async def test_what_does_not_change_is_not_written(cache_url: str) -> None:
    records = open_records(cache_url)
    await records.change(NAME, _count)

    def same(record: Record | None) -> tuple[Record, None]:
        assert record is not None
        return record, None

    if isinstance(records, SqliteRecords):
        before = records._open().total_changes
        await records.change(NAME, same)
        assert records._open().total_changes == before
    else:
        with redis.Redis.from_url(cache_url) as client:
            client.config_resetstat()
            await records.change(NAME, same)
            assert "cmdstat_set" not in client.info("commandstats")


async def test_records_of_another_release_are_as_good_as_none(tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path / "cache.db")
    await records.change(NAME, _count)
    records._open().execute("UPDATE records SET record = replace(record, ?, ?)", (f'"v":{FORMAT}', '"v":99'))
    assert await records.read([NAME]) == {}
    assert await records.change(NAME, _count) == 1


async def test_records_that_nobody_can_read_are_mended(tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path / "cache.db")
    await records.change(NAME, _count)
    for text in ("{", "[]", ""):
        records._open().execute("UPDATE records SET record = ?", (text,))
        assert await records.read([NAME]) == {}
        assert await records.change(NAME, _count) == 1
        assert (await records.read([NAME]))[NAME]["count"] == 1


def _is_no_database(path: Path) -> None:
    path.write_bytes(b"x" * 8192)


def _has_another_table(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE records (name TEXT PRIMARY KEY)")


def _is_a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [_is_no_database, _has_another_table, _is_a_folder])
async def test_a_spoiled_file_stops_nobody(
    tmp_path: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(tmp_path / "cache.db")
    records = SqliteRecords(tmp_path / "cache.db")
    for _ in range(3):
        assert await records.change(NAME, _count) == 1
        assert await records.read([NAME]) == {}
    assert caplog.text.count("records are away") == 1


async def test_a_folder_that_cannot_be_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert await SqliteRecords(tmp_path / "file" / "cache.db").change(NAME, _count) == 1


async def test_a_file_that_somebody_holds_is_waited_for_shortly(tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path / "cache.db")
    await records.change(NAME, _count)
    with sqlite3.connect(tmp_path / "cache.db", isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert [await records.change(NAME, _count) for _ in range(50)] == [1] * 50
        assert time.monotonic() - began < 1


async def test_a_redis_that_hangs_is_waited_for_once() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        records = RedisRecords(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        began = time.monotonic()
        await asyncio.gather(*(records.change(f"{number % 4}", _count) for number in range(200)))
        assert await records.read([NAME]) == {}
        assert time.monotonic() - began < 3


async def test_a_connection_that_the_server_closed_is_opened_anew(valkey_url: str) -> None:
    records = RedisRecords(valkey_url)
    assert await records.change(NAME, _count) == 1
    with redis.Redis.from_url(valkey_url) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert await records.change(NAME, _count) == 2


def test_connections_end_with_their_event_loop(valkey_url: str) -> None:
    async def use() -> RedisRecords:
        records = RedisRecords(valkey_url)
        await asyncio.gather(*(records.change(f"{number}", _count) for number in range(5)))
        return records

    kept = asyncio.run(use())
    with redis.Redis.from_url(valkey_url) as client:
        assert len(client.client_list(_type="normal")) == 1, "the one that asks"
    assert kept._redis.connection_pool is not None


async def test_redis_forgets_after_a_day(valkey_url: str) -> None:
    records = RedisRecords(valkey_url)
    await records.change(NAME, _count)
    assert 86_000 < await records._redis.ttl(f"cryptocontent:record:{NAME}") <= 86_400
