"""Google Docs: an article is one document in a Drive folder, updated in place, so that its address, sharing
and comments stay.

The document bears the article's and the version's ids, as properties that only this application sees: by
them a delivery finds what an earlier one made, also where nobody learnt of it, or a person moved it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from cryptocontent.errors import Refused
from cryptocontent.integrations.google import Denied, Missing, Patience, off, who
from cryptocontent.integrations.google_drive import ARTICLE, DOCUMENT, Drive, File, open_drive
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.publishing.targets.seam import Delivered, Parcel, TryLater
from cryptocontent.publishing.word import to_docx
from cryptocontent.settings import Settings

_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_ID = re.compile(r"[A-Za-z0-9_-]{10,100}")
_VERSION, _WITHDRAWN = "cryptocontent_version", "cryptocontent_withdrawn"
_NO = "no"
_PATIENCE = Patience(silence=30, total=40, tries=3)
_NAME = 300
_ROLE = "as Editor (in a shared drive: as Content manager)"


class GoogleDocs:
    """Publishing as a Google Doc."""

    def __init__(self, patience: Patience = _PATIENCE) -> None:
        self._patience = patience

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        problems = [f"{name}: not known (allowed: folder)" for name in config if name != "folder"]
        folder = _folder_id(str(config.get("folder") or ""))
        if not folder:
            problems.append(f"folder: {config.get('folder', '')!r} is no id and no address of a Drive folder")
        if problems:
            raise Refused("; ".join(problems))
        return {"folder": folder}

    def off(self, settings: Settings) -> str:
        return off(settings)

    def deliver(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        with _drive(settings, self._patience) as drive:
            found, notes = _present(drive, settings, config["folder"], parcel)
            if found and not found.trashed and _shows(found, parcel):
                return _delivered(found, parcel, notes)
            marks = {ARTICLE: parcel.article_id, _VERSION: parcel.version_id, _WITHDRAWN: _NO}
            name, data = parcel.rendered.article["title"][:_NAME], to_docx(parcel.rendered, parcel.image)
            if found is None:
                made = _create(drive, settings, config["folder"], name, data, marks)
                return _delivered(made, parcel, notes)
            try:
                made = drive.update(
                    found.id,
                    data=data,
                    media_type=_DOCX,
                    name=name,
                    properties=marks,
                    trashed=False if found.trashed else None,
                )
            except Denied as error:
                text = f"document {found.id} can't be changed: {error}. Share it with {who(settings)} {_ROLE}"
                raise Refused(text) from None
            return _delivered(made, parcel, notes)

    def withdraw(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        with _drive(settings, self._patience) as drive:
            found, notes = _present(drive, settings, config["folder"], parcel)
            if found is None:
                previous = parcel.previous or Delivered("", "")
                details = dict(previous.details) | {"state": "withdrawn", "notes": notes}
                return Delivered(previous.external_id, previous.url, details)
            if found.trashed:
                return _delivered(found, parcel, notes, "trashed")
            mark = {_WITHDRAWN: parcel.version_id}
            try:
                return _delivered(
                    drive.update(found.id, trashed=True, properties=mark), parcel, notes, "trashed"
                )
            except Denied:
                # An editor of somebody else's folder may change a document, but not throw it away.
                name = f"[withdrawn] {parcel.rendered.article['title']}"[:_NAME]
                renamed = drive.update(found.id, name=name, properties=mark)
            notes += [f"it is renamed, since {who(settings)} may not move it to the trash"]
            return _delivered(renamed, parcel, notes, "renamed")

    def follow(self, settings: Settings, config: Mapping[str, Any], delivered: Delivered) -> Delivered | None:
        return None


def _present(
    drive: Drive, settings: Settings, folder_id: str, parcel: Parcel
) -> tuple[File | None, list[str]]:
    """The article's document, and what is to be told of it. One that we withdrew is taken out of the trash
    again; one that a person deleted is let go."""
    notes: list[str] = []
    if parcel.previous and parcel.previous.external_id:
        document = parcel.previous.external_id
        try:
            found = drive.get(document)
            if not found.trashed or found.properties.get(_WITHDRAWN, _NO) != _NO:
                return found, notes
            notes.append(f"the earlier document {document} is in the trash: somebody put it there")
        except Missing:
            notes.append(f"the earlier document {document} was deleted, or is no longer shared")
    folder = _folder(drive, settings, folder_id)
    mark = {ARTICLE: parcel.article_id}
    documents = sorted(
        (one for one in drive.find(mark, folder.drive) if one.mime == DOCUMENT),
        key=lambda one: (one.modified, one.id),
    )
    for more in documents[1:]:  # made when Drive's search, some seconds behind, did not show the first yet
        with suppress(Denied):
            drive.update(more.id, trashed=True)
    return (documents[0] if documents else None), notes


def _folder(drive: Drive, settings: Settings, folder_id: str) -> File:
    try:
        folder = drive.get(folder_id)
    except Missing as error:
        raise Refused(f"folder {folder_id}: {error}. Share it with {who(settings)} {_ROLE}") from None
    if not folder.is_folder:
        raise Refused(f"folder: {folder.name!r} is no folder")
    if folder.trashed:
        raise Refused(f"folder: {folder.name!r} is in the trash")
    return folder


def _create(
    drive: Drive, settings: Settings, folder: str, name: str, data: bytes, marks: Mapping[str, str]
) -> File:
    try:
        return drive.create(name, data, _DOCX, folder=folder, mime=DOCUMENT, properties=marks)
    except Denied as error:
        if "storageQuotaExceeded" in error.reason or "quotaExceeded" in error.reason:
            text = (
                f"folder {folder}: {who(settings)} has no room in Drive ({error}). A service account owns no "
                "files: choose a folder of a shared drive, or set GOOGLE_IMPERSONATE to a person"
            )
        else:
            text = (
                f"folder {folder}: nothing can be put there: {error}. Share it with {who(settings)} {_ROLE}"
            )
    raise Refused(text)


def _shows(found: File, parcel: Parcel) -> bool:
    properties = found.properties
    return properties.get(_VERSION) == parcel.version_id and properties.get(_WITHDRAWN, _NO) == _NO


def _delivered(found: File, parcel: Parcel, notes: list[str], state: str = "") -> Delivered:
    details: dict[str, Any] = {"folder": found.parent, "version": parcel.version_id}
    details |= {"state": state} if state else {}
    return Delivered(found.id, found.url, details | ({"notes": notes} if notes else {}))


def _folder_id(text: str) -> str:
    """The id in an id or an address (`https://drive.google.com/drive/u/0/folders/<id>?usp=sharing`)."""
    parts = urlsplit(text.strip())
    if parts.scheme or parts.netloc:
        before, _, text = parts.path.rpartition("/folders/")
        if parts.hostname != "drive.google.com" or not before.startswith("/drive"):
            return ""
    text = text.strip().strip("/")
    return text if _ID.fullmatch(text) else ""


@contextmanager
def _drive(settings: Settings, patience: Patience) -> Iterator[Drive]:
    try:
        with open_drive(settings, write=True, patience=patience) as drive:
            yield drive
    except Unavailable as error:
        raise TryLater(str(error), error.seconds) from None
