"""Google Drive v3: the calls that importing and publishing need, typed. Errors are those of `google`."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptocontent.integrations.google import LOOKING, READ, WRITE, Denied, Google, Patience
from cryptocontent.settings import Settings

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
DOCUMENT = "application/vnd.google-apps.document"
SPREADSHEET = "application/vnd.google-apps.spreadsheet"
ARTICLE = "cryptocontent_article"
"""The mark of a file that an article of ours was published as: with its id as the value."""
_FIELDS = (
    "id,name,mimeType,parents,driveId,trashed,size,md5Checksum,headRevisionId,modifiedTime,description,"
    "webViewLink,owners(displayName),lastModifyingUser(displayName),appProperties"
)
_PAGE = 1000  # the most that Drive gives
_PART = 4 << 20  # of an upload; Drive wants multiples of 256 KiB


@dataclass(frozen=True, slots=True)
class File:
    """A file or folder. `parent` is "" where we may not see it; `drive` is its shared drive, if it is in one;
    `size`, `md5` and `head` (its newest revision) are known of files with bytes of their own only."""

    id: str
    name: str
    mime: str
    parent: str
    drive: str
    trashed: bool
    size: int | None
    md5: str
    head: str
    modified: str
    description: str
    url: str
    author: str
    properties: Mapping[str, str]

    @property
    def is_folder(self) -> bool:
        """Whether it holds others."""
        return self.mime == FOLDER


@dataclass(frozen=True, slots=True)
class Changed:
    """The newest state of a file that changed; none if it was deleted or is no longer shared with us."""

    id: str
    file: File | None


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of changes. `token` is where to go on; `last`: there are no more now. `drive_lost`: the shared
    drive itself is gone, for us at least."""

    changes: list[Changed]
    token: str
    last: bool
    drive_lost: bool


@contextlib.contextmanager
def open_drive(settings: Settings, *, write: bool = False, patience: Patience = LOOKING) -> Iterator["Drive"]:
    """Drive for one thread, with the right to read everything that is shared with us, or also to write it."""
    drive = Drive(settings, write=write, patience=patience)
    try:
        yield drive
    finally:
        drive.close()


class Drive:
    """What is done with Drive here."""

    def __init__(self, settings: Settings, *, write: bool = False, patience: Patience = LOOKING) -> None:
        self._google = Google(settings, scope=WRITE if write else READ, patience=patience)
        self._service = self._google.drive

    def close(self) -> None:
        """Close its connections."""
        self._google.close()

    def account(self) -> str:
        """The e-mail address for which we act."""
        answer = self._google.call(self._service.about().get(fields="user(emailAddress)"))
        return str(answer["user"]["emailAddress"])

    def get(self, file_id: str) -> File:
        """A file or folder by its id; `root` is the account's own folder."""
        request = self._service.files().get(fileId=file_id, fields=_FIELDS, supportsAllDrives=True)
        return _file(self._google.call(request))

    def start_token(self, drive: str = "") -> str:
        """From where changes from now on are told: of a shared drive, or of the account."""
        request = self._service.changes().getStartPageToken(**_of(drive), supportsAllDrives=True)
        return str(self._google.call(request)["startPageToken"])

    def changes(self, token: str, drive: str = "") -> Changes:
        """What changed since a token of `start_token` or of an earlier page; of a file that changed often,
        only its newest state. `PageTokenExpired`."""
        request = self._service.changes().list(
            pageToken=token,
            pageSize=_PAGE,
            includeItemsFromAllDrives=True,
            supportsAllDrives=True,
            fields=f"nextPageToken,newStartPageToken,changes(changeType,fileId,driveId,removed,file({_FIELDS}))",
            **_of(drive),
        )
        answer = self._google.call(request)
        told = answer.get("changes", [])
        return Changes(
            [
                Changed(one["fileId"], _file(one["file"]) if one.get("file") else None)
                for one in told
                if one.get("changeType") == "file"
            ],
            str(answer.get("nextPageToken") or answer["newStartPageToken"]),
            "nextPageToken" not in answer,
            any(
                one.get("changeType") == "drive" and one.get("removed") and one.get("driveId") == drive
                for one in told
            ),
        )

    def children(self, folder: str, drive: str = "", page: str = "") -> tuple[list[File], str]:
        """What is in a folder, and the token of the next page ("" after the last). `PageTokenExpired`."""
        return self._list(f"{_quoted(folder)} in parents and trashed = false", drive, page)

    def find(self, properties: Mapping[str, str], drive: str = "") -> list[File]:
        """The files that bear these `appProperties` (the app's own marks) and are not in the trash."""
        terms = [
            f"appProperties has {{ key={_quoted(key)} and value={_quoted(value)} }}"
            for key, value in properties.items()
        ]
        found, page = self._list(" and ".join([*terms, "trashed = false"]), drive, "")
        while page:
            more, page = self._list(" and ".join([*terms, "trashed = false"]), drive, page)
            found += more
        return found

    def _list(self, query: str, drive: str, page: str) -> tuple[list[File], str]:
        where = {"corpora": "drive", "driveId": drive} if drive else {}
        request = self._service.files().list(
            q=query,
            pageSize=_PAGE,
            includeItemsFromAllDrives=True,
            supportsAllDrives=True,
            fields=f"nextPageToken,files({_FIELDS})",
            **where,
            **({"pageToken": page} if page else {}),
        )
        answer = self._google.call(request)
        return [_file(one) for one in answer.get("files", [])], str(answer.get("nextPageToken") or "")

    def download(self, file_id: str, limit: int) -> bytes:
        """The bytes of a file that has some; `TooLarge` beyond `limit`."""
        request = self._service.files().get_media(fileId=file_id, supportsAllDrives=True)
        return self._google.download(request.uri, limit)

    def export(self, file_id: str, media_type: str, limit: int) -> bytes:
        """A document of Google's own in another format; `TooLarge` beyond `limit`. Drive exports at most
        10 MB this way; what is larger comes by the link that its web page uses."""
        request = self._service.files().export_media(fileId=file_id, mimeType=media_type)
        try:
            return self._google.download(request.uri, limit)
        except Denied as error:
            if error.reason != "exportSizeLimitExceeded":
                raise
        request = self._service.files().get(fileId=file_id, fields="exportLinks", supportsAllDrives=True)
        links = self._google.call(request).get("exportLinks") or {}
        if media_type not in links:
            raise Denied("Google does not export it: it is larger than 10 MB", "exportSizeLimitExceeded")
        return self._google.download(str(links[media_type]), limit)

    def create(
        self,
        name: str,
        data: bytes,
        media_type: str,
        *,
        folder: str,
        mime: str = "",
        properties: Mapping[str, str] | None = None,
    ) -> File:
        """A new file in a folder. With `mime` (`DOCUMENT`) Drive makes it of the data, which may be HTML.
        `properties` are marks by which `find` finds it again: at most 124 bytes for a key and its value."""
        body: dict[str, Any] = {"name": name, "parents": [folder], "appProperties": dict(properties or {})}
        if mime:
            body["mimeType"] = mime
        request = self._service.files().create(
            body=body, media_body=_media(data, media_type), fields=_FIELDS, supportsAllDrives=True
        )
        return _file(self._google.upload(request))

    def update(
        self,
        file_id: str,
        *,
        data: bytes | None = None,
        media_type: str = "",
        name: str | None = None,
        trashed: bool | None = None,
        properties: Mapping[str, str] | None = None,
        folder: str | None = None,
    ) -> File:
        """Change a file in place: its content (of a Google Doc too: it keeps its id, address and comments),
        name, marks, whether it is in the trash, the folder that it is in."""
        told = {"name": name, "trashed": trashed, "appProperties": dict(properties) if properties else None}
        options: dict[str, Any] = {}
        if folder is not None and (parent := self.get(file_id).parent) != folder:
            options = {"addParents": folder, **({"removeParents": parent} if parent else {})}
        if data is not None:
            options["media_body"] = _media(data, media_type)
        request = self._service.files().update(
            fileId=file_id,
            body={key: value for key, value in told.items() if value is not None},
            fields=_FIELDS,
            supportsAllDrives=True,
            **options,
        )
        return _file(self._google.call(request) if data is None else self._google.upload(request))


def _of(drive: str) -> dict[str, str]:
    return {"driveId": drive} if drive else {}


def _quoted(text: str) -> str:
    """A string of Drive's query language."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _media(data: bytes, media_type: str) -> Any:
    from googleapiclient.http import MediaInMemoryUpload

    # Always resumable: a plain upload whose answer is lost would make the file a second time.
    media = MediaInMemoryUpload(data, mimetype=media_type, chunksize=_PART, resumable=True)
    # As bytes, not as a stream: httplib2 repeats a request on a connection that went stale, and a stream that
    # was read once would then be waited for until the time is out.
    media.has_stream = lambda: False
    return media


def _file(data: Mapping[str, Any]) -> File:
    people = [*(data.get("owners") or ()), data.get("lastModifyingUser") or {}]
    names = [str(one["displayName"]) for one in people if one.get("displayName")]
    return File(
        id=data["id"],
        name=data["name"],
        mime=data["mimeType"],
        parent=(data.get("parents") or [""])[0],
        drive=data.get("driveId", ""),
        trashed=bool(data.get("trashed")),
        size=int(data["size"]) if "size" in data else None,
        md5=data.get("md5Checksum", ""),
        head=data.get("headRevisionId", ""),
        modified=data.get("modifiedTime", ""),
        description=data.get("description", ""),
        url=data.get("webViewLink", ""),
        author=names[0] if names else "",
        properties=data.get("appProperties") or {},
    )
