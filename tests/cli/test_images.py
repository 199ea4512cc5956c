"""`image` and the notes of a reference as people type and read them."""

from pathlib import Path

import pytest

from tests.cli.homes import Home, query
from tests.data.rich_docx import rich_docx
from tests.knowledge.test_image_cleaning import jpeg_with_everything
from tests.knowledge.test_images import photo

DESCRIBED = ("--alt", "A row of padlocks", "--licence", "CC0", "--credit", "Ada Muster")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home", {})
    assert made.run("project", "create", "own").code == 0
    return made


def test_a_library_of_images(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "lock.jpg"
    file.write_bytes(jpeg_with_everything())
    assert "no images" in home.run("image", "list").out
    home.run("image", "add", file, *DESCRIBED[2:], "--alt", "lock").refused(1, "alt 'lock' is a file's name")
    home.run("image", "add", file, *DESCRIBED[:4], "--credit", " ").refused(1, "credit and licence")
    disguised = tmp_path / "page.png"
    disguised.write_bytes(b"<html></html>")
    home.run("image", "add", disguised, *DESCRIBED).refused(1, "image 'page.png': it is a web page")
    added = home.run("image", "add", file, *DESCRIBED, "--json").json()
    assert (added["name"], added["origin"], added["credit"]) == ("lock.jpg", "upload", "Ada Muster")
    assert {one["name"] for one in added["renditions"]} == {"thumbnail", "1x1", "4x3", "16x9"}
    big = tmp_path / "big.jpg"
    big.write_bytes(photo(1300, 1000))
    said = home.run("image", "add", big, *DESCRIBED, "--name", "Big locks").out
    assert "1x1        image/jpeg, 1000 × 1000" in said
    rows = home.run("image", "list", "--json").json()
    assert [row["name"] for row in rows] == ["Big locks", "lock.jpg"]
    home.run("image", "list", "--origin", "web").refused(
        1, "origin 'web': allowed are upload, chart, reference"
    )
    assert "A row of padlocks" in home.run("image", "show", "Big locks").out
    assert query(home.database, "SELECT count(*) FROM audit_entries WHERE action = 'image.added'") == [(2,)]


def test_members_may_look_and_writers_add(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "big.jpg"
    file.write_bytes(photo(60, 40))
    assert home.run("member", "set", "vic", "viewer").code == 0
    vic = {"CRYPTOCONTENT_USER": "vic"}
    home.run("image", "add", file, *DESCRIBED, **vic).refused(1, "vic is viewer")
    assert home.run("image", "list", **vic).code == 0
    home.run("image", "use", "nothing", "big.jpg", **vic).refused(1, "nothing")


def test_a_reference_shows_what_people_remarked(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "guide.docx"
    file.write_bytes(rich_docx())
    assert home.run("ingest", file).code == 0
    said = home.run("reference", "show", "guide.docx").out
    assert "note 1 by Ada Muster, 2026-03-01T09:30:00Z, open\n    on “batches of transactions”" in said
    assert "note 2 by Bo Beispiel, 2026-03-01T10:00:00Z, open, answers note 1" in said
    assert "note 3 by Ada Muster, 2026-03-02T08:00:00Z, resolved" in said
    assert "SECRET-REMARK" in said and "SECRET-REMARK" not in home.run("search", "remark about 2,000").out
    assert query(home.database, "SELECT count(*) FROM passages WHERE text LIKE '%SECRET-REMARK%'") == [(0,)]
