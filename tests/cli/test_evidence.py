"""`article evidence` as people type it."""

import hashlib
import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from cryptocontent.storage import migrate, open_engine
from tests.cli.homes import Home
from tests.content.articles import PASSAGES, make_article


@pytest.fixture
def home(tmp_path: Path) -> Home:
    folder = tmp_path / "home"
    engine = open_engine(f"sqlite:///{folder / 'cryptocontent.db'}")
    migrate(engine)
    make_article(engine)
    engine.dispose()
    return Home(folder, {})


def test_one_file_holds_all(home: Home, tmp_path: Path) -> None:
    result = home.run("article", "evidence", "fees")
    assert result.code == 0 and "fees-evidence.zip: 1 version, 3 sentences (3 by agents)" in result.out
    file = tmp_path / "named.zip"
    assert home.run("article", "evidence", "fees", "--to", file).code == 0
    for path in (home.folder / "fees-evidence.zip", file):
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            for name, digest in manifest["files"].items():
                assert hashlib.sha256(archive.read(name)).hexdigest() == digest
            assert set(archive.namelist()) == {"manifest.json", *manifest["files"]}
    data = home.run("article", "evidence", "fees", "--json").json()
    assert [one["text"] for one in data["sentences"] if one["kind"] == "sentence"] == list(PASSAGES)


def test_a_broken_chain_is_said_and_the_file_written_all_the_same(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("DROP TRIGGER audit_entries_written_once_update")
        connection.execute("UPDATE audit_entries SET actor = 'cli:mallory' WHERE seq = 2")
        connection.commit()
    home.run("article", "evidence", "fees").refused(1, "does not hold", "entry 2 was changed")
    assert (home.folder / "fees-evidence.zip").is_file()


def test_what_there_is_not_is_refused(home: Home, tmp_path: Path) -> None:
    home.run("article", "evidence", "nothing").refused(1, "no article 'nothing'")
    home.run("article", "evidence", "fees", "--to", tmp_path / "no" / "x.zip").refused(1, "No such file")
