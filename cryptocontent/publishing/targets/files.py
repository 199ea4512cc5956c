"""A folder: what readers may see of each article, as Markdown, HTML and JSON, with its images.

It stands apart from the export of a project, which has drafts in it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptocontent.content.text import slugify
from cryptocontent.errors import Refused
from cryptocontent.publishing.render import FORMATS
from cryptocontent.publishing.targets.folders import DEFAULT, alone_in, folder_of, folder_problem
from cryptocontent.publishing.targets.seam import Delivered, Parcel
from cryptocontent.settings import Settings
from cryptocontent.storage.atomic import write_if_changed

_DEFAULTS: dict[str, Any] = {"folder": DEFAULT, "formats": list(FORMATS)}


class Files:
    """Publishing into a folder."""

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        full = _DEFAULTS | dict(config)
        problems = [
            f"{name}: not known (allowed: {', '.join(_DEFAULTS)})" for name in config.keys() - _DEFAULTS
        ]
        if isinstance(full["formats"], str):
            full["formats"] = [part.strip() for part in full["formats"].split(",") if part.strip()]
        given = full["formats"]
        if not isinstance(given, list) or not given or not all(one in FORMATS for one in given):
            problems.append(f"formats: {given!r} is no list of {', '.join(FORMATS)}")
        if problem := folder_problem(full["folder"]):
            problems.append(problem)
        if problems:
            raise Refused("; ".join(problems))
        return full

    def off(self, settings: Settings) -> str:
        return ""

    def deliver(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        folder, slug = folder_of(settings, parcel.project_id, config["folder"]), _slug(parcel)
        with alone_in(folder):
            for name in parcel.rendered.files:
                (folder / "images").mkdir(exist_ok=True)
                write_if_changed(folder / "images" / name, parcel.image(name))
            files = {f"{slug}.{name}": FORMATS[name](parcel.rendered) for name in config["formats"]}
            for name, text in files.items():
                write_if_changed(folder / name, text.encode())
            before = _before(parcel)
            for name in [*before["files"], *before["images"]]:
                if name not in files and name not in _images(parcel):
                    _remove(folder, name, parcel)
        return _delivered(parcel, folder, list(files), _images(parcel))

    def withdraw(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        folder = folder_of(settings, parcel.project_id, config["folder"])
        with alone_in(folder):
            before, own = _before(parcel), [f"{_slug(parcel)}.{name}" for name in FORMATS]
            for name in {*own, *_images(parcel), *before["files"], *before["images"]}:
                _remove(folder, name, parcel)
        return _delivered(parcel, folder, [], [])

    def follow(self, settings: Settings, config: Mapping[str, Any], delivered: Delivered) -> Delivered | None:
        return None


def _slug(parcel: Parcel) -> str:
    slug = str(parcel.rendered.article["slug"])
    if slug != slugify(slug, len(slug)):
        raise Refused(f"article {parcel.article_id}: the slug {slug!r} is no file name")
    return slug


def _images(parcel: Parcel) -> list[str]:
    return [f"images/{name}" for name in parcel.rendered.files]


def _before(parcel: Parcel) -> dict[str, list[str]]:
    details = parcel.previous.details if parcel.previous else {}
    return {name: [str(one) for one in details.get(name, ())] for name in ("files", "images")}


def _remove(folder: Path, name: str, parcel: Parcel) -> None:
    """Delete a file of ours, unless it is an image that another published article shows."""
    if name.startswith("images/") and any(
        name in one.html() for one in parcel.listed() if one.article_id != parcel.article_id
    ):
        return
    path = folder / name
    if path.resolve().is_relative_to(folder.resolve()):
        path.unlink(missing_ok=True)


def _delivered(parcel: Parcel, folder: Path, files: list[str], images: list[str]) -> Delivered:
    shown = next((name for name in files if name.endswith(".html")), files[0] if files else "")
    url = (folder / shown).as_uri() if shown else ""
    return Delivered(parcel.article_id, url, {"files": files, "images": images})
