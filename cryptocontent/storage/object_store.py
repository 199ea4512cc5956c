"""The object store: bytes by key, in a folder (`file://…`) or in S3 (`s3://bucket?endpoint=…`).

Keys are `project/kind/name`; the segments are checked, so that no key leaves the store.
"""

import re
from io import BytesIO
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from cryptocontent.errors import Explained
from cryptocontent.storage.atomic import write_whole

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\Z")


class ObjectStore(Protocol):
    """What the rest of the house needs of a store."""

    def put(self, key: str, data: bytes, media_type: str) -> None:
        """Write `data` whole, or not at all; the same key again replaces it."""

    def get(self, key: str) -> bytes:
        """The bytes under `key`; `KeyError` if there are none."""

    def exists(self, key: str) -> bool:
        """Whether `key` is there."""


def _checked(key: str) -> str:
    if not _KEY.match(key):
        raise ValueError(f"object key {key!r}: segments of letters, digits, '.', '_' and '-' only")
    return key


def image_key(project_id: str, sha256: str) -> str:
    """Where an image's bytes are in the object store."""
    return f"{project_id}/images/{sha256}"


def rendition_key(project_id: str, sha256: str, name: str) -> str:
    """Where an image in another size or format is (`name`: `thumbnail`, `1x1`, `4x3`, `16x9`, `svg`)."""
    return f"{project_id}/renditions/{sha256}/{name}"


class ObjectStoreUnavailable(Explained, ConnectionError):
    """The S3 server cannot be reached."""


class FolderStore:
    """Objects as files below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, key: str, data: bytes, media_type: str) -> None:
        path = self.folder / _checked(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data, durable=True)

    def get(self, key: str) -> bytes:
        try:
            return (self.folder / _checked(key)).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None

    def exists(self, key: str) -> bool:
        return (self.folder / _checked(key)).is_file()


class S3Store:
    """Objects in one bucket, made if it is missing."""

    def __init__(self, bucket: str, endpoint: str, access_key: str, secret_key: str, secure: bool) -> None:
        from minio import Minio
        from urllib3.exceptions import HTTPError

        self.bucket = bucket
        self.client = Minio(endpoint, access_key=access_key, secret_key=secret_key, secure=secure)
        try:
            if not self.client.bucket_exists(bucket):
                self.client.make_bucket(bucket)
        except HTTPError as error:
            raise ObjectStoreUnavailable(f"object store {endpoint}: {error}") from error

    def put(self, key: str, data: bytes, media_type: str) -> None:
        self.client.put_object(self.bucket, _checked(key), BytesIO(data), len(data), content_type=media_type)

    def get(self, key: str) -> bytes:
        from minio.error import S3Error

        try:
            response = self.client.get_object(self.bucket, _checked(key))
        except S3Error as error:
            if error.code == "NoSuchKey":
                raise KeyError(key) from None
            raise
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def exists(self, key: str) -> bool:
        from minio.error import S3Error

        try:
            self.client.stat_object(self.bucket, _checked(key))
        except S3Error as error:
            if error.code == "NoSuchKey":
                return False
            raise
        return True


def open_object_store(url: str, access_key: str = "", secret_key: str = "") -> ObjectStore:
    """The store that `url` names: `file:///folder` or `s3://bucket?endpoint=http://host:port`."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FolderStore(Path(unquote(parts.path)))
    if parts.scheme == "s3":
        endpoint = urlsplit(parse_qs(parts.query).get("endpoint", ["https://s3.amazonaws.com"])[0])
        return S3Store(parts.netloc, endpoint.netloc, access_key, secret_key, endpoint.scheme == "https")
    raise ValueError(f"OBJECT_STORE_URL={parts.scheme}:… is not supported; allowed schemes: file, s3")
