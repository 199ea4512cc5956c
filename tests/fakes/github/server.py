"""The fake as a server: who asks, limits, faults, conditional requests. The answers are in `endpoints`."""

import asyncio
import contextlib
import hashlib
import json
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.fakes.github import endpoints, pages
from tests.fakes.github.endpoints import Problem
from tests.fakes.github.state import APP_ID, TOKEN, Access, Call, Fault, GitHub, app_key, public_key
from tests.fakes.serving import serving

_DOCS = "https://docs.github.com/rest"
# An answer that is cut off on purpose is no news.
logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


def environment(url: str, key_file: Path | None = None) -> dict[str, str]:
    """Settings that lead to the fake: with its token, or (the App's key is written to `key_file`) as App."""
    if key_file is None:
        return {"GITHUB_API_URL": url, "GITHUB_TOKEN": TOKEN}
    key_file.write_text(app_key())
    return {
        "GITHUB_API_URL": url,
        "GITHUB_APP_ID": APP_ID,
        "GITHUB_APP_PRIVATE_KEY_FILE": str(key_file),
        "GITHUB_TOKEN": "",
    }


@contextlib.contextmanager
def github_server(github: GitHub | None = None) -> Iterator[GitHub]:
    """A GitHub of the test's own, at `github.url`."""
    github = github or GitHub()
    with serving(app(github)) as url:
        github.url = url
        yield github


def app(github: GitHub) -> Any:
    """The ASGI application."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        github.url = github.url or str(request.base_url).rstrip("/")
        path = request.url.path
        if not re.match(r"/(repos|repositories|app)(/|$)", path):
            await (await pages.page(github, request))(scope, receive, send)
            return
        raw = await request.body()
        fault = github.fault()
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        status, data, headers = _fault(github, fault)
        if not status:
            status, data, headers = _answer(github, request, raw)
            if fault and fault.after:
                status, data, headers = fault.status, {"message": "Server Error"}, {}
        body = _json(raw)
        github.calls.append(Call(request.method, path, status, body))
        content = b"" if data is None or status == 304 else json.dumps(data).encode()
        sent = {"content-type": "application/json; charset=utf-8", **headers}
        if fault and fault.kind == "truncated":
            sent["content-length"] = str(len(content))
            content = content[: len(content) // 2]
        response = Response(content, status, sent)
        await response(scope, receive, send)

    return serve


def _fault(github: GitHub, fault: Fault | None) -> tuple[int, Any, dict[str, str]]:
    match fault:
        case Fault("status", _, False):
            return fault.status, {"message": "Server Error"}, {}
        case Fault("primary"):
            reset = str(int(time.time()) + fault.seconds)
            headers = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
            return (
                403,
                {"message": "API rate limit exceeded for user ID 1.", "documentation_url": _DOCS},
                headers,
            )
        case Fault("secondary"):
            message = (
                "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            )
            after = {"retry-after": str(fault.seconds)} if fault.seconds else {}
            return 403, {"message": message, "documentation_url": _DOCS}, after
    return 0, None, {}


def _answer(github: GitHub, request: Request, raw: bytes) -> tuple[int, Any, dict[str, str]]:
    try:
        if github.used >= github.limit:
            raise Problem(403, "API rate limit exceeded for user ID 1.")
        access = _access(github, request)
        asked = endpoints.Asked(github, access, request.method, dict(request.query_params), _json(raw))
        status, data = endpoints.route(asked, request.url.path)
    except Problem as problem:
        status, data = problem.status, problem.data
    headers = {"x-github-request-id": f"F4KE:{len(github.calls)}"}
    if status == 301:
        headers["location"] = data["url"]
    if request.method == "GET" and status == 200:
        etag = f'W/"{hashlib.sha256(json.dumps(data).encode()).hexdigest()}"'
        headers["etag"] = etag
        if request.headers.get("if-none-match") == etag:
            status, data = 304, None
    if status != 304:
        github.used += 1
    remaining = str(max(github.limit - github.used, 0))
    headers |= {"x-ratelimit-limit": str(github.limit), "x-ratelimit-remaining": remaining}
    return status, data, headers | {"x-ratelimit-reset": str(github.reset)}


def _access(github: GitHub, request: Request) -> Access:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if not request.headers.get("user-agent"):
        raise Problem(403, "Request forbidden by administrative rules.")
    if not value:
        raise Problem(401, "Requires authentication")
    if scheme.lower() == "bearer" and value.count(".") == 2:
        _check_app(value)
        return Access("app", {}, set())
    access = github.tokens.get(value)
    if scheme.lower() not in ("bearer", "token") or access is None or access.expires < time.time():
        raise Problem(401, "Bad credentials")
    return access


def _check_app(token: str) -> None:
    """As GitHub's page on signed tokens for Apps says: RS256, at most ten minutes, made in the past."""
    import jwt

    try:
        claims = jwt.decode(
            token, public_key(), algorithms=["RS256"], options={"require": ["iat", "exp", "iss"]}
        )
    except jwt.ExpiredSignatureError:
        message = "'Expiration time' claim ('exp') must be a numeric value representing the future time"
        raise Problem(401, message) from None
    except jwt.PyJWTError:
        raise Problem(401, "A JSON web token could not be decoded") from None
    if claims["exp"] > time.time() + 600:
        raise Problem(401, "'Expiration time' claim ('exp') is too far in the future")
    if claims["iss"] != APP_ID:
        raise Problem(404, "Integration not found")


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None
