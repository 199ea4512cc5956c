"""The fake as a server: logins, faults, and who asks. The answers are in `endpoints`, `uploads`, `oauth`."""

import asyncio
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from tests.fakes.google import oauth, rendering
from tests.fakes.google.endpoints import Asked, Bytes, linked, route
from tests.fakes.google.fields import Problem
from tests.fakes.google.state import Access, Call, Fault, Google
from tests.fakes.google.uploads import upload
from tests.fakes.serving import serving

# An answer that is cut off on purpose is no news.
logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
_UPLOAD = "/upload/drive/v3/files"


def environment(url: str, folder: Path | None = None) -> dict[str, str]:
    """Settings that lead to the fake as its service account, whose key is written to `folder`."""
    folder = folder or Path(tempfile.mkdtemp(prefix="fake-google-"))
    file = oauth.service_account_file(folder / "google-service-account.json", url)
    return {"GOOGLE_API_URL": url, "GOOGLE_CREDENTIALS_FILE": str(file), "GOOGLE_IMPERSONATE": ""}


@contextmanager
def google_server(google: Google | None = None) -> Iterator[Google]:
    """A Google of the test's own, at `google.url`."""
    google = google or Google()
    with serving(app(google)) as url:
        google.url = url
        yield google


def app(google: Google) -> Any:
    """The ASGI application."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        google.url = google.url or str(request.base_url).rstrip("/")
        path, query = request.url.path, dict(request.query_params)
        raw = await request.body()
        fault = google.fault(path)
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault and fault.kind == "dropped" and not fault.after:
            return _hang_up(receive)
        access = _access(google, request)
        response = _faulty(fault) or _answered(google, request, access, query, raw)
        if path.startswith(("/drive/", "/upload/", "/feeds/")):
            account = access.account if access else ""
            google.calls.append(Call(request.method, path, query, response.status_code, account))
            google.on_call(len(google.calls))
        if fault and fault.after and fault.kind == "status":
            response = _error(Problem(fault.status, "backendError", "Backend Error"))
        if fault and fault.kind == "dropped":
            return _hang_up(receive)
        if fault and fault.kind == "truncated":
            body = bytes(response.body)
            response = Response(body[: len(body) // 2], response.status_code, dict(response.headers))
            response.headers["content-length"] = str(len(body))
        await response(scope, receive, send)

    return serve


def _hang_up(receive: Any) -> None:
    """Close the connection without an answer, which ASGI has no word for: `receive` is uvicorn's own."""
    receive.__self__.transport.abort()


def _access(google: Google, request: Request) -> Access | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return google.tokens.get(value) if scheme == "Bearer" else None


def _faulty(fault: Fault | None) -> Response | None:
    after = {"retry-after": str(fault.retry_after)} if fault and fault.retry_after is not None else {}
    match fault:
        case Fault(kind="status", after=False):
            problem = Problem(fault.status, fault.reason or "backendError", "Backend Error")
        case Fault(kind="rate"):
            reason = fault.reason or "userRateLimitExceeded"
            problem = Problem(403, reason, "User Rate Limit Exceeded", domain="usageLimits")
        case Fault(kind="quota"):
            problem = Problem(429, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits")
        case _:
            return None
    return _error(problem, after)


def _error(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    return _json(problem.status, problem.data, headers)


def _json(status: int, data: Any, headers: dict[str, str] | None = None) -> Response:
    kind = {"content-type": "application/json; charset=UTF-8"}
    body = b"" if data is None else json.dumps(data).encode()
    return Response(
        body, 204 if data is None and status == 200 and not headers else status, kind | (headers or {})
    )


def _answered(
    google: Google, request: Request, access: Access | None, query: dict[str, str], raw: bytes
) -> Response:
    path = request.url.path
    with google.lock:
        if path == "/token" and request.method == "POST":
            client = oauth.basic(request.headers.get("authorization", ""))
            return _json(*oauth.token(google, client | dict(parse_qsl(raw.decode()))))
        if path == "/o/oauth2/auth":
            status, place = oauth.authorize(google, query)
            return Response("", status, {"location": place} if place else {})
        if not path.startswith(("/drive/v3/", "/upload/", "/feeds/")):
            status, html = rendering.page(google, path)
            return Response(html, status, media_type="text/html")
        try:
            if access is None:
                text = "Request had invalid authentication credentials."
                raise Problem(401, "authError", text, "Authorization")
            return _drive(google, request, access, query, raw)
        except Problem as problem:
            return _error(problem)


def _drive(google: Google, request: Request, access: Access, query: dict[str, str], raw: bytes) -> Response:
    path = request.url.path
    body = None
    if raw and not path.startswith(_UPLOAD):
        try:
            body = json.loads(raw)
        except ValueError:
            raise Problem(400, "parseError", "Parse Error") from None
    asked = Asked(google, access, request.method, query, body, request.headers.get("range", ""))
    if path.startswith("/feeds/"):
        answer: Any = linked(google, access, query)
    elif path.startswith(_UPLOAD):
        told = upload(asked, path.removeprefix(_UPLOAD).strip("/"), raw, request.headers)
        return _json(told.status, told.data, told.headers or {"x-guploader": "fake"})
    else:
        answer = route(asked, path)
    if isinstance(answer, Bytes):
        ranged = {"content-range": answer.range} if answer.range else {}
        return Response(answer.data, answer.status, ranged, answer.media_type)
    return _json(200, answer)
