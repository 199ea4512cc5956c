"""Drive's uploads: multipart, and resumable ones in parts of multiples of 256 KiB."""

import json
import re
import secrets
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

from tests.fakes.google.endpoints import Asked, create, shown, update
from tests.fakes.google.fields import Problem, check_parameters

_PART = 256 * 1024


@dataclass
class Upload:
    """A resumable upload: what it will make, what came of it, and its answer once it is done."""

    asked: Asked
    file: str
    media: str
    total: int
    data: bytearray = field(default_factory=bytearray)
    answer: Any = None


@dataclass(frozen=True)
class Answer:
    status: int
    data: Any
    headers: dict[str, str]


def upload(asked: Asked, file: str, body: bytes, headers: Any) -> Answer:
    """`/upload/drive/v3/files[/id]`."""
    check_parameters("files.update" if file else "files.create", asked.query, upload=True)
    if asked.query.get("upload_id"):
        return _part(asked, body, headers)
    match asked.query.get("uploadType"):
        case "multipart":
            metadata, data, media = _multipart(body, headers.get("content-type", ""))
            return Answer(200, _done(asked, file, metadata, data, media), {})
        case "resumable":
            return _begin(asked, file, body, headers)
    raise Problem(400, "badRequest", "Invalid upload type", "uploadType")


def _begin(asked: Asked, file: str, body: bytes, headers: Any) -> Answer:
    size = headers.get("x-upload-content-length", "")
    media = headers.get("x-upload-content-type", "")
    if not size.isdigit() or not media:
        raise Problem(400, "badRequest", "X-Upload-Content-Type and X-Upload-Content-Length are required")
    name = secrets.token_urlsafe(24)
    begun = Asked(asked.google, asked.access, asked.verb, asked.query, json.loads(body or b"{}"))
    asked.google.uploads[name] = Upload(begun, file, media, int(size))
    place = f"{asked.google.url}/upload/drive/v3/files?uploadType=resumable&upload_id={name}"
    return Answer(200, None, {"location": place, "x-guploader-uploadid": name})


def _part(asked: Asked, body: bytes, headers: Any) -> Answer:
    running = asked.google.uploads.get(asked.query["upload_id"])
    if running is None or asked.verb != "PUT":
        raise Problem(404, "notFound", "Upload not found")
    if running.answer is not None:
        return Answer(200, running.answer, {})  # it was done, and the answer was lost
    place = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)", headers.get("content-range", ""))
    if place is None or int(place[3]) != running.total:
        raise Problem(400, "badRequest", "Failed to parse Content-Range header.")
    if place[1] is not None:
        first, last = int(place[1]), int(place[2])
        whole = last + 1 == running.total
        if first != len(running.data) or last - first + 1 != len(body) or (len(body) % _PART and not whole):
            raise Problem(400, "badRequest", "Invalid request. The part does not fit.")
        running.data += body
    if len(running.data) < running.total:
        range_ = {"range": f"bytes=0-{len(running.data) - 1}"} if running.data else {}
        return Answer(308, None, range_)
    begun = running.asked
    running.answer = _done(begun, running.file, begun.body, bytes(running.data), running.media)
    return Answer(200, running.answer, {})


def _done(asked: Asked, file: str, metadata: dict[str, Any], data: bytes, media: str) -> Any:
    node = update(asked, file, metadata, data, media) if file else create(asked, metadata, data, media)
    return shown(asked, node)


def _multipart(body: bytes, content_type: str) -> tuple[dict[str, Any], bytes, str]:
    if not content_type.startswith("multipart/related"):
        raise Problem(400, "badRequest", "Bad content type.  Please use multipart.")
    message: Any = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    metadata, media = message.get_payload()
    return (
        json.loads(metadata.get_payload(decode=True)),
        media.get_payload(decode=True),
        media.get_content_type(),
    )
