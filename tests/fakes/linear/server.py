"""The fake as a server: logins, limits and faults. What is answered is in `resolvers`."""

import asyncio
import base64
import json
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

from graphql import GraphQLError, build_schema, execute_sync, parse, validate
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.fakes.linear.complexity import complexity
from tests.fakes.linear.resolvers import root, wrong
from tests.fakes.linear.schema import SDL
from tests.fakes.linear.state import Call, Fault, Linear
from tests.fakes.serving import serving

# An answer that is cut off on purpose is no news.
logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
SCHEMA = build_schema(SDL)
_MOST_POINTS = 10_000


def environment(url: str) -> dict[str, str]:
    """Settings that lead to the fake, by its API key."""
    linear = Linear()
    return {
        "LINEAR_API_URL": url,
        "LINEAR_API_KEY": next(iter(linear.keys)),
        "LINEAR_WEBHOOK_SECRET": linear.webhook_secret,
    }


def application_environment(url: str) -> dict[str, str]:
    """Settings that lead to the fake, by its OAuth application."""
    ((name, secret),) = Linear().applications.items()
    return {"LINEAR_API_URL": url, "LINEAR_CLIENT_ID": name, "LINEAR_CLIENT_SECRET": secret}


@contextmanager
def linear_server(linear: Linear | None = None) -> Iterator[Linear]:
    """A Linear of the test's own, at `linear.url`."""
    linear = linear or Linear()
    with serving(app(linear)) as url:
        linear.url = url
        yield linear


def app(linear: Linear) -> Any:
    """The ASGI application."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        raw = await request.body()
        path = request.url.path
        asked = _asked(raw) if path == "/graphql" else {}
        operation = str(asked.get("operationName") or _operation(asked.get("query")))
        fault = linear.next_fault(operation) or Fault("slow")
        if fault.kind == "slow" and fault.seconds:
            await asyncio.sleep(fault.seconds)
        if fault.kind == "dropped" and not fault.after:
            await _drop(send)
        response: Response
        if fault.kind == "status" and not fault.after:
            response = Response("upstream problem", fault.status)
        elif path == "/oauth/token" and request.method == "POST":
            response = _token(linear, request, raw)
        elif path == "/graphql" and request.method == "POST":
            with linear.lock:
                if fault.kind == "limited":
                    linear.use_up(fault.seconds)
                response = _graphql(linear, request, asked, operation)
        else:
            response = Response("Not Found", 404)
        if fault.after and fault.kind == "status":
            response = Response("upstream problem", fault.status)
        if fault.kind == "dropped":
            await _drop(send)
        if fault.kind == "truncated":
            body = bytes(response.body)
            response = Response(body[: len(body) // 2], response.status_code, dict(response.headers))
            response.headers["content-length"] = str(len(body))
        await response(scope, receive, send)

    return serve


async def _drop(send: Any) -> None:
    """End the connection in the middle of an answer."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    raise ConnectionAbortedError


def _asked(raw: bytes) -> dict[str, Any]:
    try:
        data = json.loads(raw)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _operation(query: Any) -> str:
    words = str(query or "").replace("(", " ").split()
    return words[1] if len(words) > 1 and words[0] in ("query", "mutation") else ""


def _token(linear: Linear, request: Request, raw: bytes) -> Response:
    form = dict(parse_qsl(raw.decode()))
    basic = request.headers.get("authorization", "")
    if basic.startswith("Basic "):
        name, _, secret = base64.b64decode(basic[6:]).decode().partition(":")
        form |= {"client_id": name, "client_secret": secret}
    if form.get("grant_type") != "client_credentials":
        return JSONResponse({"error": "unsupported_grant_type"}, 400)
    if not form.get("scope"):
        return JSONResponse({"error": "invalid_scope"}, 400)
    if linear.applications.get(form.get("client_id", "")) != form.get("client_secret"):
        return JSONResponse({"error": "invalid_client"}, 401)
    token = f"lin_oauth_{secrets.token_hex(16)}"
    linear.tokens[token] = time.time() + linear.token_seconds
    return JSONResponse(
        {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(linear.token_seconds),
            "scope": form["scope"].replace(",", " "),
        }
    )


def _refused(linear: Linear, request: Request) -> GraphQLError | None:
    value = request.headers.get("authorization", "")
    if value.startswith("Bearer lin_api_"):
        text = "It looks like you're trying to use an API key as a Bearer token. Remove the Bearer prefix."
        return wrong(text, "AUTHENTICATION_ERROR", "authentication error", 400)
    token = value.removeprefix("Bearer ")
    if value in linear.keys or (value != token and linear.tokens.get(token, 0) > time.time()):
        return None
    text = "Authentication required, not authenticated"
    return wrong(text, "AUTHENTICATION_ERROR", "authentication error", 401)


def _graphql(linear: Linear, request: Request, asked: dict[str, Any], operation: str) -> Response:
    if problem := _refused(linear, request):
        return _answer(linear, None, [problem], 0, problem.extensions["statusCode"])  # type: ignore[index]
    variables = asked.get("variables") or {}
    try:
        document = parse(asked.get("query") or "")
        errors = list(validate(SCHEMA, document))
    except GraphQLError as error:
        errors = [error]
    if errors:
        kind = {"type": "graphql error", "code": "GRAPHQL_VALIDATION_FAILED"}
        return _answer(linear, None, [GraphQLError(one.message, extensions=kind) for one in errors], 0, 400)
    points = complexity(SCHEMA, document, variables)
    if points > _MOST_POINTS:
        text = f"Query too complex: {points:.0f} points, at most {_MOST_POINTS}"
        return _answer(linear, None, [wrong(text)], points, 400)
    if time.time() >= linear.reset_at:
        linear.refill()
    if linear.requests_left < 1 or linear.complexity_left < points:
        problem = wrong("Rate limit exceeded", "RATELIMITED", "ratelimited", 429)
        return _answer(linear, None, [problem], points, 400)
    linear.requests_left -= 1
    linear.complexity_left -= points
    call = Call(operation, variables, points)
    linear.calls.append(call)
    result = execute_sync(SCHEMA, document, root_value=root(linear), variable_values=variables)
    linear.on_call(call)
    return _answer(linear, result.data, result.errors or [], points, 400 if result.data is None else 200)


def _answer(linear: Linear, data: Any, errors: list[GraphQLError], points: float, status: int) -> Response:
    body: dict[str, Any] = (
        {"data": data} if not errors else {"errors": [one.formatted for one in errors], "data": data}
    )
    reset = str(int(linear.reset_at * 1000))
    headers = {
        "x-complexity": f"{points:.0f}",
        "x-ratelimit-requests-limit": str(linear.requests_limit),
        "x-ratelimit-requests-remaining": str(linear.requests_left),
        "x-ratelimit-requests-reset": reset,
        "x-ratelimit-complexity-limit": f"{linear.complexity_limit:.0f}",
        "x-ratelimit-complexity-remaining": f"{linear.complexity_left:.0f}",
        "x-ratelimit-complexity-reset": reset,
    }
    return JSONResponse(body, status, headers)
