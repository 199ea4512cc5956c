"""The folder of what readers may see."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cryptocontent.errors import Refused
from cryptocontent.publishing.targets.files import Files
from cryptocontent.publishing.targets.seam import Delivered, Listed, Parcel
from cryptocontent.settings import Settings
from tests.publishing.targets.parcels import IMAGE, PNG, after, parcel

TARGET = Files()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"CRYPTOCONTENT_HOME": tmp_path})


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.exports_dir / "p" / "published"


def deliver(settings: Settings, one: Parcel, **config: Any) -> Delivered:
    return TARGET.deliver(settings, TARGET.check(config), one)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix not in ("", ".lock")}


def test_an_article_is_its_files_and_pictures(settings: Settings, folder: Path) -> None:
    delivered = deliver(settings, parcel())
    image = f"images/{IMAGE}"
    assert names(folder) == {"the-base-fee.md", "the-base-fee.html", "the-base-fee.json", image}
    assert (folder / image).read_bytes() == PNG
    assert delivered.url == (folder / "the-base-fee.html").as_uri()
    before = {path: path.stat().st_ino for path in folder.rglob("*.*")}
    deliver(settings, replace(parcel(), previous=delivered))
    assert {path: path.stat().st_ino for path in folder.rglob("*.*")} == before, "left in peace"


def test_what_a_newer_version_lacks_is_removed(settings: Settings, folder: Path) -> None:
    first = deliver(settings, parcel())
    second = deliver(settings, after(first, slug="base-fees", images={}, markdown="# Fees\n\nNone."))
    assert names(folder) == {f"base-fees.{name}" for name in ("md", "html", "json")}
    deliver(settings, after(second, version=3, slug="base-fees", images={}), formats="md")
    assert names(folder) == {"base-fees.md"}


def test_a_withdrawn_article_leaves_nothing(settings: Settings, folder: Path) -> None:
    first = deliver(settings, parcel())
    TARGET.withdraw(settings, TARGET.check({}), replace(parcel(), previous=first))
    assert names(folder) == set()
    TARGET.withdraw(settings, TARGET.check({}), parcel())


def test_a_picture_that_another_article_shows_stays(settings: Settings, folder: Path) -> None:
    other = parcel(slug="another")
    deliver(settings, parcel())
    deliver(settings, other)
    shown = Listed(
        "a2", "another", "", "", (), lambda: f'<img src="images/{IMAGE}">', *[other.published_at] * 2
    )
    gone = replace(parcel(), listed=lambda: [shown])
    TARGET.withdraw(settings, TARGET.check({}), gone)
    assert names(folder) == {f"images/{IMAGE}", "another.md", "another.html", "another.json"}


def test_names_from_elsewhere_reach_nothing(settings: Settings, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is no file name"):
        deliver(settings, parcel(slug="../secret"))
    (tmp_path / "kept.md").write_text("kept")
    forged = Delivered("a1", "", {"files": ["../../../kept.md"], "images": []})
    deliver(settings, after(forged))
    assert (tmp_path / "kept.md").is_file()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"folder": "../up"}, "folder: '../up'"),
        ({"folder": "/srv/www"}, "folder: '/srv/www'"),
        ({"folder": "a/../../b"}, "folder: 'a/../../b'"),
        ({"folder": 7}, "folder: 7"),
        ({"formats": "md,pdf"}, "formats: ['md', 'pdf'] is no list of md, html, json"),
        ({"formats": []}, "formats: []"),
        ({"colour": "red"}, "colour: not known"),
    ],
)
def test_a_bad_configuration_names_the_field(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=re.escape(said)):
        TARGET.check(given)
