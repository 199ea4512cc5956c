"""The object store keeps its promises in a folder and in S3 alike."""

from pathlib import Path

import pytest

from cryptocontent.storage import ObjectStore, open_object_store
from tests.services.s3 import S3


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """The store under test, empty."""
    if request.param == "folder":
        return open_object_store(f"file://{tmp_path}/with%20space/objects")
    s3: S3 = request.getfixturevalue("s3")
    return open_object_store(s3.url, s3.access_key, s3.secret_key)


@pytest.mark.parametrize(
    "data", [b"", b"\x00\xff bytes \r\n", b"x" * 6_000_000], ids=["empty", "binary", "6 MB"]
)
def test_what_was_put_is_got(store: ObjectStore, data: bytes) -> None:
    store.put("project/images/a-1_b.png", data, "image/png")
    assert store.get("project/images/a-1_b.png") == data
    assert store.exists("project/images/a-1_b.png")


def test_a_missing_key_is_a_key_error(store: ObjectStore) -> None:
    store.put("project/images/there", b"1", "text/plain")
    assert not store.exists("project/images/missing")
    assert not store.exists("project/images")
    with pytest.raises(KeyError, match="project/images/missing"):
        store.get("project/images/missing")


def test_the_same_key_again_replaces(store: ObjectStore) -> None:
    store.put("p/a", b"a longer first text", "text/plain")
    store.put("p/a", b"second", "text/html")
    assert store.get("p/a") == b"second"


def test_a_store_opened_again_has_what_was_put(tmp_path: Path, s3: S3) -> None:
    for url in (f"file://{tmp_path}", s3.url):
        open_object_store(url, s3.access_key, s3.secret_key).put("p/a", b"1", "text/plain")
        assert open_object_store(url, s3.access_key, s3.secret_key).get("p/a") == b"1"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        "../x",
        "a/../x",
        "a/..",
        ".",
        ".hidden",
        "a b",
        "a\\b",
        "ä",
        "a\n",
        "a\x00",
    ],
)
def test_a_bad_key_goes_nowhere(store: ObjectStore, key: str) -> None:
    with pytest.raises(ValueError, match="object key"):
        store.put(key, b"1", "text/plain")
    with pytest.raises(ValueError, match="object key"):
        store.get(key)
    with pytest.raises(ValueError, match="object key"):
        store.exists(key)


def test_wrong_keys_are_refused(s3: S3) -> None:
    with pytest.raises(Exception, match=r"(?i)access denied|signature"):
        open_object_store(s3.url, s3.access_key, "wrong").put("p/a", b"1", "text/plain")


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_object_store(f"file://{tmp_path}")
    store.put("p/a", b"whole", "text/plain")

    def disk_full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        store.put("p/a", b"half of something", "text/plain")
    assert store.get("p/a") == b"whole"
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["a"]


def test_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="ftp:… is not supported; allowed schemes: file, s3"):
        open_object_store("ftp://somewhere")
