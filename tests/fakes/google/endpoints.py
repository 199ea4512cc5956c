"""Drive v3's methods, as its reference has them."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from tests.fakes.google.fields import Problem, check_parameters, masked
from tests.fakes.google.rendering import exported
from tests.fakes.google.state import DOCUMENT, DOCX, FOLDER, SPREADSHEET, XLSX, Access, Google, Node

_FORMATS = {
    DOCUMENT: {DOCX: "docx", "text/html": "html", "text/plain": "txt", "application/pdf": "pdf"},
    SPREADSHEET: {XLSX: "xlsx", "text/csv": "csv"},
}
_PLACES = {DOCUMENT: "document", SPREADSHEET: "spreadsheets"}
_TERM = re.compile(
    r"\s*(?:(?P<parent>'(?:[^'\\]|\\.)*') in parents"
    r"|trashed\s*=\s*(?P<trashed>true|false)"
    r"|mimeType\s*(?P<op>!?=)\s*(?P<mime>'(?:[^'\\]|\\.)*')"
    r"|appProperties has \{\s*key=(?P<key>'(?:[^'\\]|\\.)*') and value=(?P<value>'(?:[^'\\]|\\.)*')\s*\})\s*"
)


@dataclass(frozen=True)
class Asked:
    google: Google
    access: Access
    verb: str
    query: dict[str, str]
    body: Any
    range: str = ""


@dataclass(frozen=True)
class Bytes:
    """An answer that is no JSON."""

    data: bytes
    media_type: str
    status: int = 200
    range: str = ""


def route(asked: Asked, path: str) -> Any:
    """The answer of a method, as JSON or bytes; `None` is 204."""
    found = re.fullmatch(
        r"/drive/v3/(about|changes/startPageToken|changes|files)(?:/([\w-]+))?(/export)?", path
    )
    if found is None:
        raise Problem(404, "notFound", "Not Found")
    noun, file_id, export = found.groups()
    match noun, asked.verb, bool(file_id), bool(export):
        case "about", "GET", False, False:
            check_parameters("about.get", asked.query)
            user = {"emailAddress": asked.access.account, "kind": "drive#user"}
            return masked({"user": user}, _required(asked, "fields"), "About", "user")
        case "changes/startPageToken", "GET", False, False:
            return _start_token(asked)
        case "changes", "GET", False, False:
            return _changes(asked)
        case "files", "GET", False, False:
            return _list(asked)
        case "files", "POST", False, False:
            check_parameters("files.create", asked.query)
            return shown(asked, create(asked, asked.body or {}))
        case "files", "GET", True, True:
            return _export(asked, str(file_id))
        case "files", "GET", True, False:
            return _get(asked, str(file_id))
        case "files", "PATCH", True, False:
            check_parameters("files.update", asked.query)
            return shown(asked, update(asked, str(file_id), asked.body or {}))
        case "files", "DELETE", True, False:
            check_parameters("files.delete", asked.query)
            node = node_of(asked, str(file_id))
            write(asked, node)
            asked.google.delete(node.id)
            return None
    raise Problem(404, "notFound", "Not Found")


def node_of(asked: Asked, file_id: str) -> Node:
    """The file, if there is one that this account may see, and the request knows of shared drives."""
    node = asked.google.files.get(file_id)
    hidden = node is not None and node.drive and asked.query.get("supportsAllDrives") != "true"
    if node is None or hidden or not asked.google.sees(asked.access.account, file_id):
        raise Problem(404, "notFound", f"File not found: {file_id}.", "fileId")
    return node


def write(asked: Asked, node: Node | None = None) -> None:
    """Whether the token and the account may change things at all, and this file or folder."""
    if "https://www.googleapis.com/auth/drive" not in asked.access.scopes:
        text = "Request had insufficient authentication scopes."
        raise Problem(403, "insufficientPermissions", text)
    if node is not None and not asked.google.may_change(node.id):
        text = f"The user does not have sufficient permissions for file {node.id}."
        raise Problem(403, "insufficientFilePermissions", text)


def resource(google: Google, node: Node, account: str) -> dict[str, Any]:
    """A file as Google describes it."""
    modified = f"{node.modified:%Y-%m-%dT%H:%M:%S}.000Z"
    place = "drive/folders" if node.mime == FOLDER else f"{_PLACES.get(node.mime, 'file')}/d"
    data: dict[str, Any] = {
        "kind": "drive#file",
        "id": node.id,
        "name": node.name,
        "mimeType": node.mime,
        "trashed": google.in_trash(node.id),
        "explicitlyTrashed": node.trashed,
        "version": str(node.version),
        "modifiedTime": modified,
        "createdTime": "2026-03-01T00:00:00.000Z",
        "webViewLink": f"{google.url}/{place}/{node.id}{'' if node.mime == FOLDER else '/edit'}",
        "lastModifyingUser": {"kind": "drive#user", "displayName": node.owner},
        "appProperties": dict(node.properties),
        "capabilities": {
            "canEdit": google.may_change(node.id),
            "canAddChildren": node.mime == FOLDER and google.may_change(node.id),
        },
    }
    if node.parent and google.sees(account, node.parent):
        data["parents"] = [node.parent]
    if node.drive:
        data["driveId"] = node.drive
    else:
        data["owners"] = [{"kind": "drive#user", "displayName": node.owner, "me": False}]
    if node.description:
        data["description"] = node.description
    if node.data is not None:
        data["size"] = str(len(node.data))
        data["md5Checksum"] = hashlib.md5(node.data).hexdigest()
        data["headRevisionId"] = f"rev-{node.id[:8]}-{node.revision}"
    if node.target:
        data["shortcutDetails"] = {"targetId": node.target}
    if formats := _FORMATS.get(node.mime):
        noun = _PLACES[node.mime]
        data["exportLinks"] = {
            media: f"{google.url}/feeds/download/{noun}/export/Export?id={node.id}&exportFormat={short}"
            for media, short in formats.items()
        }
    return data


def shown(asked: Asked, node: Node) -> Any:
    data = resource(asked.google, node, asked.access.account)
    return masked(data, asked.query.get("fields", ""), "File", "kind,id,name,mimeType")


def create(asked: Asked, body: dict[str, Any], data: bytes | None = None, media: str = "") -> Node:
    """`files.create`, with or without content."""
    write(asked)
    parent = (body.get("parents") or [""])[0]
    if parent:
        write(asked, node_of(asked, parent))
    mime = body.get("mimeType") or media or "application/octet-stream"
    node = asked.google.add(body.get("name", "Untitled"), mime, parent)
    node.properties = _properties(body.get("appProperties") or {})
    node.owner, node.description = asked.access.account, body.get("description", "")
    if data is not None:
        _fill(asked, node, data, media)
    return node


def update(
    asked: Asked, file_id: str, body: dict[str, Any], data: bytes | None = None, media: str = ""
) -> Node:
    """`files.update`."""
    node = node_of(asked, file_id)
    write(asked, node)
    if unknown := set(body) - {"name", "trashed", "appProperties", "description", "mimeType"}:
        field = unknown.pop()
        raise Problem(
            403, "fieldNotWritable", f"The resource body includes fields which are not writable: {field}"
        )
    node.name = body.get("name", node.name)
    node.description = body.get("description", node.description)
    node.trashed = body.get("trashed", node.trashed)
    node.properties |= _properties(body.get("appProperties") or {})
    if added := asked.query.get("addParents"):
        write(asked, node_of(asked, added))
        if asked.query.get("removeParents", "") != node.parent:
            raise Problem(403, "cannotAddParent", "Increasing the number of parents is not allowed")
        asked.google.move(file_id, added)
    if data is not None:
        _fill(asked, node, data, media)
    asked.google.written(node, content=data is not None)
    return node


def _properties(told: dict[str, str]) -> dict[str, str]:
    for key, value in told.items():
        if len(f"{key}{value}".encode()) > 124:
            raise Problem(403, "invalid", "Properties are limited to 124 bytes.", "appProperties")
    return told


def _fill(asked: Asked, node: Node, data: bytes, media: str) -> None:
    if node.mime != DOCUMENT:
        node.data = data
        return
    if media not in ("text/html", "text/plain", "text/markdown", DOCX):
        raise Problem(400, "badRequest", "Bad Request")  # Drive can't convert it
    node.exports = {media: data}


def _required(asked: Asked, name: str) -> str:
    if name not in asked.query:
        raise Problem(400, "required", f"The '{name}' parameter is required for this method.", name)
    return asked.query[name]


def _get(asked: Asked, file_id: str) -> Any:
    check_parameters("files.get", asked.query)
    node = node_of(asked, file_id)
    if asked.query.get("alt") != "media":
        return shown(asked, node)
    if node.locked:
        raise Problem(403, "cannotDownloadFile", "This file cannot be downloaded by the user.")
    if node.data is None:
        text = "Only files with binary content can be downloaded. Use Export with Docs Editors files."
        raise Problem(403, "fileNotDownloadable", text, "alt")
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.range)
    if not found:
        return Bytes(node.data, node.mime)
    first, last = int(found[1]), min(int(found[2] or len(node.data)), len(node.data) - 1)
    if first > last:
        return Bytes(b"", node.mime, 416, f"bytes */{len(node.data)}")
    return Bytes(node.data[first : last + 1], node.mime, 206, f"bytes {first}-{last}/{len(node.data)}")


def _export(asked: Asked, file_id: str) -> Bytes:
    check_parameters("files.export", asked.query)
    # This method knows shared drives without being told: it has no such parameter.
    node = node_of(
        Asked(asked.google, asked.access, asked.verb, {"supportsAllDrives": "true"}, None), file_id
    )
    if node.mime not in _FORMATS:
        raise Problem(403, "fileNotExportable", "Export only supports Docs Editors files.")
    if node.locked:
        raise Problem(403, "cannotExportFile", "This file cannot be exported by the user.")
    media = asked.query["mimeType"]
    if media not in _FORMATS[node.mime]:
        raise Problem(400, "badRequest", "The requested conversion is not supported.", "mimeType")
    data = exported(node, media)
    if len(data) > asked.google.export_limit:
        raise Problem(403, "exportSizeLimitExceeded", "This file is too large to be exported.")
    return Bytes(data, media)


def linked(google: Google, access: Access, query: dict[str, str]) -> Bytes:
    """An address of `exportLinks`: without a limit of its own."""
    asked = Asked(google, access, "GET", {"supportsAllDrives": "true"}, None)
    node = node_of(asked, query.get("id", ""))
    for media, short in _FORMATS.get(node.mime, {}).items():
        if short == query.get("exportFormat"):
            return Bytes(exported(node, media), media)
    raise Problem(400, "badRequest", "Bad Request")


def _list(asked: Asked) -> Any:
    check_parameters("files.list", asked.query)
    google, query = asked.google, asked.query
    drive = query.get("driveId", "")
    if drive:
        if query.get("corpora") != "drive" or query.get("includeItemsFromAllDrives") != "true":
            text = "If a 'driveId' is specified, corpora must be 'drive' and includeItemsFromAllDrives true."
            raise Problem(403, "teamDrivesParentLimit", text)
        _member(asked, drive)
    wanted = _wanted(asked, query.get("q", ""))
    found = sorted(
        (
            node
            for node in google.files.values()
            if wanted(node)
            and (not drive or node.drive == drive)
            and (not node.drive or query.get("includeItemsFromAllDrives") == "true")
            and google.sees(asked.access.account, node.id)
        ),
        key=lambda node: node.id,
    )
    token = query.get("pageToken", "")
    after = re.fullmatch(r"~!!~after-(.*)", token)
    if token and not after:
        raise Problem(400, "invalid", "Invalid Value", "pageToken")
    if after:
        found = [node for node in found if node.id > after[1]]
    size = min(int(query.get("pageSize", 100)), google.page_size)
    page = found[:size]
    data: dict[str, Any] = {"kind": "drive#fileList", "incompleteSearch": False}
    data["files"] = [resource(google, node, asked.access.account) for node in page]
    if len(found) > size:
        data["nextPageToken"] = f"~!!~after-{page[-1].id}"
    default = "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)"
    return masked(data, query.get("fields", ""), "FileList", default)


def _wanted(asked: Asked, text: str) -> Any:
    """The query language, as far as it is used."""
    tests: list[Any] = []
    rest = text
    while rest:
        term = _TERM.match(rest)
        after = rest[term.end() :] if term else ""
        if term is None or (after and not after.startswith("and ")):
            raise Problem(400, "invalid", "Invalid Value", "q")
        rest = after.removeprefix("and ")
        if parent := term["parent"]:
            folder = _string(parent)
            if folder not in asked.google.files or not asked.google.sees(asked.access.account, folder):
                raise Problem(404, "notFound", "File not found: .", "fileId")
            tests.append(lambda node, folder=folder: node.parent == folder)
        elif term["trashed"]:
            value = term["trashed"] == "true"
            tests.append(lambda node, value=value: asked.google.in_trash(node.id) == value)
        elif term["mime"]:
            mime, same = _string(term["mime"]), term["op"] == "="
            tests.append(lambda node, mime=mime, same=same: (node.mime == mime) == same)
        else:
            key, value = _string(term["key"]), _string(term["value"])
            tests.append(lambda node, key=key, value=value: node.properties.get(key) == value)
    return lambda node: all(test(node) for test in tests)


def _string(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted[1:-1])


def _member(asked: Asked, drive: str) -> None:
    if asked.access.account not in asked.google.drives.get(drive, ()):
        raise Problem(404, "notFound", f"Shared drive not found: {drive}", "driveId")


def _start_token(asked: Asked) -> Any:
    check_parameters("changes.getStartPageToken", asked.query)
    if drive := asked.query.get("driveId", ""):
        _member(asked, drive)
    data = {"kind": "drive#startPageToken", "startPageToken": str(len(asked.google.log) + 1)}
    return masked(data, asked.query.get("fields", ""), "StartPageToken", "*")


def _changes(asked: Asked) -> Any:
    check_parameters("changes.list", asked.query)
    google, query, account = asked.google, asked.query, asked.access.account
    token, drive = query["pageToken"], query.get("driveId", "")
    if not token.isdigit() or int(token) > len(google.log) + 1:
        raise Problem(400, "invalid", "Invalid Value", "pageToken")
    if google.token_problem and int(token) <= google.token_problem[0]:
        raise Problem(google.token_problem[1], "invalid", "Invalid Value", "pageToken")
    if drive:
        _member(asked, drive)
    newest: dict[str, int] = {}
    for number, entry in enumerate(google.log, 1):
        mine = entry.drive == drive if drive else account in entry.seen_by
        if (
            number >= int(token)
            and mine
            and (not entry.drive or query.get("includeItemsFromAllDrives") == "true")
        ):
            newest[entry.file] = number
    order = sorted(newest.items(), key=lambda item: item[1])
    size = min(int(query.get("pageSize", 100)), google.page_size)
    page = order[:size]
    data: dict[str, Any] = {"kind": "drive#changeList"}
    data["changes"] = [_change(asked, number) for _, number in page]
    if len(order) > size:
        data["nextPageToken"] = str(page[-1][1] + 1)
    else:
        data["newStartPageToken"] = str(len(google.log) + 1)
    default = "kind,nextPageToken,newStartPageToken,changes(kind,removed,fileId,changeType,time)"
    return masked(data, query.get("fields", ""), "ChangeList", default)


def _change(asked: Asked, number: int) -> dict[str, Any]:
    google = asked.google
    entry = google.log[number - 1]
    data: dict[str, Any] = {"kind": "drive#change", "time": f"{entry.at:%Y-%m-%dT%H:%M:%S}.000Z"}
    if entry.file in google.drives:
        gone = asked.access.account not in google.drives[entry.file]
        return data | {"changeType": "drive", "driveId": entry.drive, "removed": gone}
    data |= {"changeType": "file", "fileId": entry.file}
    if entry.drive:
        data["driveId"] = entry.drive
    if not google.sees(asked.access.account, entry.file):
        return data | {"removed": True}
    node = google.files[entry.file]
    if asked.query.get("driveId", node.drive) != node.drive:
        return data | {"removed": True}  # from the list of this drive
    return data | {"removed": False, "file": resource(google, node, asked.access.account)}
