"""Small records that all processes share: how well each model does. Embedded in an SQLite file, in
production in Redis.

A record is changed by a pure function, so that what changes it exists once, whatever keeps it. Records
are a help, no truth: a store that is away costs nobody a call.
"""

import asyncio
import json
import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import make_url

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")
Record = dict[str, Any]
Change = Callable[[Record | None], tuple[Record, T]]
"""From a record (none, if there is none yet) to the one in its place, and to what the caller wants. Where
it returns the very record that it was given, nothing is written."""

FORMAT = 1
"""Records of another format are as good as none: processes of two releases may run side by side."""
_KEPT_SECONDS = 86_400
_COMPLAIN_SECONDS = 60.0
_MOST_TRIES = 50
_OPENINGS = 5
log = logging.getLogger(__name__)


class Records(Protocol):
    """Records by name."""

    async def change(self, name: str, change: Change[T]) -> T:
        """Put a changed record in place of the record: nobody else changes it in between."""

    async def read(self, names: Sequence[str]) -> dict[str, Record]:
        """Those of the records that there are."""

    async def close(self) -> None:
        """Give back the connections; what is asked for later opens new ones."""


def open_records(cache_url: str) -> Records:
    """The records that `CACHE_URL` names."""
    if cache_url.startswith("sqlite:"):
        return SqliteRecords(Path(make_url(cache_url).database or ":memory:"))
    return RedisRecords(cache_url)


class Outage:
    """Whether a store is away. After trouble it is left alone for `pause` seconds, for each call would wait
    for it anew; people are told once a minute. URLs are not shown: they may hold a password."""

    def __init__(self, told: str, pause: float) -> None:
        self._told, self._pause = told, pause
        self._until = self._last = -_COMPLAIN_SECONDS

    @property
    def on(self) -> bool:
        """Whether the store had better not be asked now."""
        return time.monotonic() < self._until

    def met(self, error: Exception) -> None:
        """The store gave this error instead of an answer."""
        now = time.monotonic()
        self._until = now + self._pause
        if now - self._last >= _COMPLAIN_SECONDS:
            self._last = now
            log.warning("%s: %s", self._told, type(error).__name__)


def _outage(pause: float) -> Outage:
    return Outage("shared records are away, models are asked all the same", pause)


class SqliteRecords:
    """In a file of its own. Nothing in it has to outlive a power cut, so that nothing waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._outage = _outage(pause=1.0)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for left in reversed(range(_OPENINGS)):
                try:
                    self._connection = _connected(self._path)
                    break
                except sqlite3.OperationalError as error:
                    # Of processes that open a new file at the same moment SQLite turns some away unwaited.
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not left:
                        raise
                    time.sleep(0.01)
        assert self._connection is not None  # noqa: S101
        return self._connection

    async def change(self, name: str, change: Change[T]) -> T:
        """As `Records.change`."""
        if not self._outage.on:
            try:
                return self._change(name, change)
            except (sqlite3.Error, OSError) as error:
                self._outage.met(error)
        return change(None)[1]

    def _change(self, name: str, change: Change[T]) -> T:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            row = connection.execute("SELECT record FROM records WHERE name = ?", (name,)).fetchone()
            before = _loaded(row[0] if row else None)
            record, result = change(before)
            if record is not before:
                values = (name, _dumped(record))
                connection.execute("INSERT OR REPLACE INTO records (name, record) VALUES (?, ?)", values)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return result

    async def read(self, names: Sequence[str]) -> dict[str, Record]:
        """As `Records.read`."""
        if self._outage.on:
            return {}
        query = f"SELECT name, record FROM records WHERE name IN ({','.join('?' * len(names))})"  # noqa: S608
        try:
            rows = self._open().execute(query, list(names)).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._outage.met(error)
            return {}
        loaded = {name: _loaded(text) for name, text in rows}
        return {name: record for name, record in loaded.items() if record is not None}

    async def close(self) -> None:
        """As `Records.close`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connected(path: Path) -> sqlite3.Connection:
    # Short waits only: this is called in the event loop, and a record is not worth a pause.
    connection = sqlite3.connect(path, timeout=0.25, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, record TEXT)")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_redis(url: str) -> "Redis":
    """A client that waits little: what it is asked for is not worth a call's time. It belongs to one event
    loop. Thousands of calls share a few connections; one that a restarted server closed is opened anew."""
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as Disconnected

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=16,
        timeout=2.0,
        socket_timeout=1.0,
        socket_connect_timeout=1.0,
        retry=Retry(NoBackoff(), 1, supported_errors=(Disconnected,)),
        decode_responses=True,
    )
    return Redis(connection_pool=pool)


# Compare and set: writes only if nobody wrote since it was read.
_SET = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""


class RedisRecords:
    """In Redis, under `cryptocontent:record:<name>`; forgotten a day after the last change. It belongs to one
    event loop."""

    def __init__(self, url: str) -> None:
        self._redis = open_redis(url)
        self._set = self._redis.register_script(_SET)
        self._outage = _outage(pause=5.0)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._in_use: AsyncGenerator[None, None] | None = None

    async def change(self, name: str, change: Change[T]) -> T:
        """As `Records.change`."""
        from redis.exceptions import RedisError

        # The calls of one process take turns, so that it is only other processes who may be faster.
        async with self._turns[name]:
            if not self._outage.on:
                try:
                    return await self._change(f"cryptocontent:record:{name}", change)
                except (RedisError, OSError) as error:
                    self._outage.met(error)
        return change(None)[1]

    async def _change(self, key: str, change: Change[T]) -> T:
        await self._use()
        for _ in range(_MOST_TRIES):
            text = await self._redis.get(key)
            before = _loaded(text)
            record, result = change(before)
            if record is before or await self._set(
                keys=[key], args=[text or "", _dumped(record), _KEPT_SECONDS]
            ):
                return result
        raise TimeoutError(f"{key}: others were faster {_MOST_TRIES} times")

    async def read(self, names: Sequence[str]) -> dict[str, Record]:
        """As `Records.read`."""
        from redis.exceptions import RedisError

        if self._outage.on or not names:
            return {}
        try:
            await self._use()
            texts = await self._redis.mget([f"cryptocontent:record:{name}" for name in names])
        except (RedisError, OSError) as error:
            self._outage.met(error)
            return {}
        loaded = {name: _loaded(text) for name, text in zip(names, texts, strict=True)}
        return {name: record for name, record in loaded.items() if record is not None}

    async def close(self) -> None:
        """As `Records.close`."""
        if self._in_use is not None:
            in_use, self._in_use = self._in_use, None
            await in_use.aclose()

    async def _use(self) -> None:
        """Have the connections closed by the event loop when it ends, if nobody did before: it closes the
        generators that it runs. Connections that outlive it could not be closed at all."""
        if self._in_use is None:
            self._in_use = self._connections()
            await anext(self._in_use)

    async def _connections(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self._redis.connection_pool.disconnect()


def _loaded(text: str | bytes | None) -> Record | None:
    try:
        record = json.loads(text or "null")
    except ValueError:
        return None  # the next change mends it
    return record if isinstance(record, dict) and record.get("v") == FORMAT else None


def _dumped(record: Record) -> str:
    return json.dumps({**record, "v": FORMAT}, separators=(",", ":"))
