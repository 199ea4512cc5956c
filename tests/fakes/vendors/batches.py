"""The batch APIs of OpenAI (files and batches, for responses), Anthropic and Google.

A batch waits until the test ends it; then the vendors' script answers its requests.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from tests.fakes.vendors import anthropic, gemini, openai
from tests.fakes.vendors.asked import Asked, Fault, Reply

if TYPE_CHECKING:
    from tests.fakes.vendors.server import Exchange, Vendors

Ending = Literal["completed", "expired", "failed", "cancelled"]
_RPC = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 500: 13, 503: 14, 504: 4}


@dataclass
class Batch:
    """A batch at a vendor. `requests` are those asked; `ending` is "" while it runs."""

    id: str
    vendor: str
    requests: list[Asked]
    source: str = ""
    ending: str = ""
    cancelling: bool = False
    results: list[dict[str, Any]] = field(default_factory=list)
    output: str = ""
    created: float = field(default_factory=time.time)


class Batches:
    """All batches of the vendors, and the files that they read and write."""

    def __init__(self, vendors: "Vendors") -> None:
        self._vendors = vendors
        self.all: list[Batch] = []
        self.files: dict[str, bytes] = {}
        self.operations: list[tuple[str, str]] = []
        """What was done, as (vendor, operation): upload, create, status, results, cancel, delete."""
        self._uploads: dict[str, int] = {}

    def clear(self) -> None:
        self.all.clear()
        self.files.clear()
        self.operations.clear()

    def end(self, vendor: str | None = None, ending: Ending = "completed") -> None:
        """Let all running batches (of a vendor) end: only in completed ones were the requests answered."""
        for batch in self.all:
            if not batch.ending and vendor in (None, batch.vendor):
                self._end(batch, ending)

    def _end(self, batch: Batch, ending: Ending) -> None:
        write = {"openai": _openai_result, "anthropic": _anthropic_result, "google": _google_result}[
            batch.vendor
        ]
        for number, asked in enumerate(batch.requests, start=1):
            if ending != "completed":
                if batch.vendor == "anthropic":
                    kind = {"cancelled": "canceled", "failed": "errored"}.get(ending, ending)
                    failure = {"error": anthropic.error_body(Fault())} if kind == "errored" else {}
                    batch.results.append({"custom_id": asked.custom_id, "result": {"type": kind, **failure}})
                continue
            asked.number = 100_000 + len(self.all) * 1000 + number
            reply = self._vendors.script(asked)
            assert isinstance(reply, Reply | Fault), "batches are answered by plain scripts"
            batch.results.append(write(self._vendors, asked, reply))
        if batch.results and batch.vendor != "anthropic":
            batch.output = self._keep(b"\n".join(json.dumps(one).encode() for one in batch.results))
        batch.ending = ending

    def _keep(self, data: bytes) -> str:
        name = f"file-{len(self.files) + len(self._uploads) + 1}"
        self.files[name] = data
        return name

    def _find(self, id_: str, vendor: str) -> Batch | None:
        return next((one for one in self.all if one.id == id_ and one.vendor == vendor), None)

    async def answer(self, exchange: "Exchange", vendor: str, path: str) -> None:
        """Answer a request to a batch API; 404 for what is none."""
        answers: dict[str, Callable[..., Any]] = {
            "openai": self._openai,
            "anthropic": self._anthropic,
            "google": self._google,
        }
        found = answers[vendor](exchange, path) if vendor in answers else None
        if found is None:
            await exchange.json({"error": {"message": f"no such resource: {path}"}}, 404)
        elif isinstance(found, bytes):
            await exchange.raw(found, headers={"content-type": "application/octet-stream"})
        elif isinstance(found, tuple):
            await exchange.json(found[0], headers=found[1])
        else:
            await exchange.json(found)

    def _note(self, vendor: str, operation: str) -> None:
        self.operations.append((vendor, operation))
        self._vendors.tell()

    # OpenAI.

    def _openai(self, exchange: "Exchange", path: str) -> Any:
        match (exchange.method, *path.removeprefix("/v1/").split("/")):
            case ("POST", "files"):
                self._note("openai", "upload")
                data = _uploaded(exchange)
                name = self._keep(data)
                return {"id": name, "object": "file", "bytes": len(data), "created_at": int(time.time()),
                        "filename": "batch.jsonl", "purpose": "batch", "status": "processed"}  # fmt: skip
            case ("GET", "files", name, "content") if name in self.files:
                self._note("openai", "results")
                return self.files[name]
            case ("DELETE", "files", name) if name in self.files:
                self._note("openai", "delete")
                del self.files[name]
                return {"id": name, "object": "file", "deleted": True}
            case ("POST", "batches"):
                self._note("openai", "create")
                given = json.loads(exchange.body)
                source = given["input_file_id"]
                lines = [json.loads(line) for line in self.files[source].splitlines()]
                requests = []
                for line in lines:
                    asked = openai.parse_responses("openai", line["body"], exchange.headers)
                    asked.custom_id = line["custom_id"]
                    requests.append(asked)
                return _openai_batch(self._new("openai", "batch_", requests, source))
            case ("GET", "batches", id_) if batch := self._find(id_, "openai"):
                self._note("openai", "status")
                return _openai_batch(batch)
            case ("POST", "batches", id_, "cancel") if batch := self._find(id_, "openai"):
                self._note("openai", "cancel")
                batch.cancelling = True
                return _openai_batch(batch)
        return None

    def _new(self, vendor: str, prefix: str, requests: list[Asked], source: str = "") -> Batch:
        batch = Batch(f"{prefix}{len(self.all) + 1}", vendor, requests, source)
        self.all.append(batch)
        return batch

    # Anthropic.

    def _anthropic(self, exchange: "Exchange", path: str) -> Any:
        match (exchange.method, *path.removeprefix("/v1/messages/").split("/")):
            case ("POST", "batches"):
                self._note("anthropic", "create")
                requests = []
                for one in json.loads(exchange.body)["requests"]:
                    asked = anthropic.parse(one["params"], exchange.headers)
                    asked.custom_id = one["custom_id"]
                    requests.append(asked)
                return self._anthropic_batch(self._new("anthropic", "msgbatch_", requests))
            case ("GET", "batches", id_) if batch := self._find(id_, "anthropic"):
                self._note("anthropic", "status")
                return self._anthropic_batch(batch)
            case ("GET", "batches", id_, "results") if batch := self._find(id_, "anthropic"):
                self._note("anthropic", "results")
                return b"".join(json.dumps(one).encode() + b"\n" for one in batch.results)
            case ("POST", "batches", id_, "cancel") if batch := self._find(id_, "anthropic"):
                self._note("anthropic", "cancel")
                batch.cancelling = True
                return self._anthropic_batch(batch)
        return None

    def _anthropic_batch(self, batch: Batch) -> dict[str, Any]:
        kinds = [one["result"]["type"] for one in batch.results]
        counts = {kind: kinds.count(kind) for kind in ("succeeded", "errored", "canceled", "expired")}
        results = f"{self._vendors.url}/anthropic/v1/messages/batches/{batch.id}/results"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended"
            if batch.ending
            else "canceling"
            if batch.cancelling
            else "in_progress",
            "request_counts": {"processing": len(batch.requests) - len(kinds), **counts},
            "created_at": _when(batch.created),
            "expires_at": _when(batch.created + 86_400),
            "ended_at": _when(time.time()) if batch.ending else None,
            "cancel_initiated_at": _when(time.time()) if batch.cancelling else None,
            "archived_at": None,
            "results_url": results if batch.ending else None,
        }

    # Google.

    def _google(self, exchange: "Exchange", path: str) -> Any:
        method, headers = exchange.method, exchange.headers
        if path == "/upload/v1beta/files" and headers.get("x-goog-upload-command") == "start":
            self._note("google", "upload")
            name = f"upload{len(self._uploads) + 1}"
            self._uploads[name] = 0
            where = f"{self._vendors.url}/google/upload/v1beta/files?upload_id={name}"
            return {}, {"x-goog-upload-url": where, "x-goog-upload-status": "active"}
        if path == "/upload/v1beta/files":
            name = exchange.scope["query_string"].decode().rpartition("upload_id=")[2]
            self.files[name] = self.files.get(name, b"") + exchange.body
            if "finalize" not in headers.get("x-goog-upload-command", ""):
                return {}, {"x-goog-upload-status": "active"}
            file = {"name": f"files/{name}", "mimeType": "application/jsonl", "state": "ACTIVE",
                    "sizeBytes": str(len(self.files[name])), "source": "UPLOADED"}  # fmt: skip
            return {"file": file}, {"x-goog-upload-status": "final"}
        where, _, operation = path.removeprefix("/v1beta/").partition(":")
        kind, _, name = where.partition("/")
        match (method, kind, operation):
            case ("POST", "models", "batchGenerateContent"):
                self._note("google", "create")
                source = json.loads(exchange.body)["batch"]["inputConfig"]["fileName"].removeprefix("files/")
                requests = []
                for line in self.files[source].splitlines():
                    given = json.loads(line)
                    asked = gemini.parse(name, False, given["request"], headers)
                    asked.custom_id = given["key"]
                    requests.append(asked)
                return _google_batch(self._new("google", "batches/", requests, source))
            case ("GET", "batches", "") if batch := self._find(where, "google"):
                self._note("google", "status")
                return _google_batch(batch)
            case ("POST", "batches", "cancel") if batch := self._find(where, "google"):
                self._note("google", "cancel")
                batch.cancelling = True
                return {}
            case ("GET", "files", "download") if name in self.files:
                self._note("google", "results")
                return self.files[name]
            case ("DELETE", "files", "") if name in self.files:
                self._note("google", "delete")
                del self.files[name]
                return {}
        return None


def _openai_batch(batch: Batch) -> dict[str, Any]:
    done = len(batch.results)
    errors = None
    if batch.ending == "failed":
        errors = {
            "object": "list",
            "data": [{"code": "invalid_json_line", "message": "Bad line.", "line": 1}],
        }
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/responses",
        "errors": errors,
        "input_file_id": batch.source,
        "completion_window": "24h",
        "status": batch.ending or ("cancelling" if batch.cancelling else "in_progress"),
        "output_file_id": batch.output or None,
        "error_file_id": None,
        "created_at": int(batch.created),
        "request_counts": {"total": len(batch.requests), "completed": done, "failed": 0},
    }


def _google_batch(batch: Batch) -> dict[str, Any]:
    state = {"completed": "SUCCEEDED", "": "RUNNING"}.get(batch.ending, batch.ending.upper())
    output = {"output": {"responsesFile": f"files/{batch.output}"}} if batch.output else {}
    return {
        "name": batch.id,
        "metadata": {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "state": f"BATCH_STATE_{state}",
            "createTime": _when(batch.created),
            "inputConfig": {"fileName": f"files/{batch.source}"},
            **output,
        },
        "done": bool(batch.ending),
    }


def _openai_result(vendors: "Vendors", asked: Asked, reply: Reply | Fault) -> dict[str, Any]:
    if isinstance(reply, Fault):
        status, body = reply.status, openai.error("openai", reply)[0]
    else:
        status, body = 200, openai.responses(asked, vendors.content(asked, reply))
    response = {"status_code": status, "request_id": f"req_{asked.number}", "body": body}
    return {
        "id": f"batch_req_{asked.number}",
        "custom_id": asked.custom_id,
        "response": response,
        "error": None,
    }


def _anthropic_result(vendors: "Vendors", asked: Asked, reply: Reply | Fault) -> dict[str, Any]:
    if isinstance(reply, Fault):
        result = {"type": "errored", "error": anthropic.error_body(reply)}
    else:
        message = anthropic.answer(asked, vendors.content(asked, reply))
        result = {"type": "succeeded", "message": message}
    return {"custom_id": asked.custom_id, "result": result}


def _google_result(vendors: "Vendors", asked: Asked, reply: Reply | Fault) -> dict[str, Any]:
    if isinstance(reply, Fault):
        return {
            "key": asked.custom_id,
            "error": {"code": _RPC.get(reply.status, 2), "message": reply.message},
        }
    return {"key": asked.custom_id, "response": gemini.answer(asked, vendors.content(asked, reply))}


def _uploaded(exchange: "Exchange") -> bytes:
    """The file in a form that was sent as multipart/form-data."""
    boundary = b"--" + exchange.headers["content-type"].partition("boundary=")[2].strip('"').encode()
    for part in exchange.body.split(boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            return content.removesuffix(b"\r\n")
    raise ValueError("the form holds no file")


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
