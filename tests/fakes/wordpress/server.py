"""The fake as a server: who asks, and faults. The answers are in `endpoints`, pages for people in `pages`."""

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.fakes.serving import serving
from tests.fakes.wordpress import endpoints, pages
from tests.fakes.wordpress.endpoints import Asked, Problem
from tests.fakes.wordpress.state import PASSWORD, USER, Call, Fault, WordPress

_API = "/wp-json/wp/v2/"
logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


def environment(url: str) -> dict[str, str]:
    """Settings that lead to the fake; a target names it by `url=<its address>`."""
    host = url.removeprefix("http://").removeprefix("https://")
    return {"WORDPRESS_LOGINS": json.dumps({host: f"{USER}:{PASSWORD}"})}


@contextlib.contextmanager
def wordpress_server(site: WordPress | None = None) -> Iterator[WordPress]:
    """A site of the test's own, at `site.url`."""
    site = site or WordPress()
    with serving(app(site)) as url:
        site.url = url
        yield site


def app(site: WordPress) -> Any:
    """The ASGI application."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        site.url = site.url or str(request.base_url).rstrip("/")
        path = request.url.path
        if not path.startswith("/wp-json/"):
            await pages.page(site, request)(scope, receive, send)
            return
        raw = await request.body()
        kind = request.headers.get("content-type", "")
        fields, upload = _form(kind, raw) if kind.startswith("multipart/form-data") else (_json(raw), None)
        fault = site.fault(request.method, path)
        if fault and fault.kind == "slow" and not fault.after:
            await _wait(site, fault)
        status, data, headers = _fault(fault)
        if not status:
            with site.lock:
                status, data, headers = _answer(site, request, fields, upload)
            if fault and fault.kind == "slow" and fault.after:
                await _wait(site, fault)
            elif fault and fault.after:
                status, data = (
                    fault.status,
                    _error("internal_server_error", "There has been a critical error", 500),
                )
        site.calls.append(Call(request.method, path, status, fields))
        content = data if isinstance(data, bytes) else json.dumps(data).encode()
        sent = {"content-type": "application/json; charset=UTF-8", **headers}
        if fault and fault.kind == "truncated":
            sent["content-length"] = str(len(content))
            content = content[: len(content) // 2]
        await Response(content, status, sent)(scope, receive, send)

    return serve


async def _wait(site: WordPress, fault: Fault) -> None:
    site.stuck.set()
    await asyncio.sleep(fault.seconds)


def _error(code: str, message: str, status: int) -> dict[str, Any]:
    return {"code": code, "message": message, "data": {"status": status}}


def _fault(fault: Fault | None) -> tuple[int, Any, dict[str, str]]:
    match fault:
        case Fault("status", after=False):
            return (
                fault.status,
                _error("internal_server_error", "There has been a critical error", fault.status),
                {},
            )
        case Fault("limit"):
            text = _error("rest_too_many_requests", "Too many requests.", 429)
            return 429, text, {"retry-after": f"{fault.seconds:.0f}"}
        case Fault("html"):
            page = b"<!doctype html><title>Attention Required!</title>"
            return fault.status, page, {"content-type": "text/html"}
    return 0, None, {}


def _form(kind: str, raw: bytes) -> tuple[dict[str, str], tuple[str, str, bytes] | None]:
    """The fields of a form and its file: name, media type, bytes."""
    message = BytesParser(policy=HTTP).parsebytes(f"content-type: {kind}\r\n\r\n".encode() + raw)
    fields: dict[str, str] = {}
    upload = None
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        if name == "file":
            upload = (part.get_filename() or "", part.get_content_type(), data)
        else:
            fields[str(name)] = data.decode()
    return fields, upload


def _answer(site: WordPress, request: Request, fields: Any, upload: Any) -> tuple[int, Any, dict[str, str]]:
    try:
        user = _user(site, request)
        if not request.url.path.startswith(_API):
            raise Problem(404, "rest_no_route", "No route was found matching the URL and request method.")
        if not isinstance(fields, dict):
            raise Problem(400, "rest_invalid_json", "Invalid JSON body passed.")
        asked = Asked(site, user, request.method, dict(request.query_params), fields, upload)
        return endpoints.route(asked, request.url.path.removeprefix(_API))
    except Problem as problem:
        return problem.status, problem.data, {}


def _user(site: WordPress, request: Request) -> str:
    """The user of an application password, in which spaces don't count; "" for nobody."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    name, _, password = base64.b64decode(value).decode().partition(":")
    if name not in site.users:
        text = "<strong>Error:</strong> Unknown username. Check again or try your email address."
        raise Problem(401, "invalid_username", text)
    if password.replace(" ", "") != site.users[name][0].replace(" ", ""):
        text = "<strong>Error:</strong> The provided password is an invalid application password."
        raise Problem(401, "incorrect_password", text)
    return name


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else {}
    except ValueError:
        return None
