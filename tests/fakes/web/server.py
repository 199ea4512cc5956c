"""The website's ASGI application: conditional requests, gzip, redirects, faults."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.serving import serving
from tests.fakes.web.state import Asked, Resource, Site


def environment(url: str) -> dict[str, str]:
    """Settings that let pages be fetched from the site, which is on the private network."""
    return {"WEB_PRIVATE_HOSTS": f'["{urlsplit(url).netloc}"]'}


@contextmanager
def web_server(site: Site | None = None) -> Iterator[Site]:
    """A website of the test's own, at `site.url`."""
    site = site or Site()
    with serving(app(site)) as url:
        site.url = url
        yield site


def app(site: Site) -> Any:
    """The ASGI application. A request without `Host` or `User-Agent` is refused; every answer sets a cookie,
    which a reader must not send back."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        path = scope["raw_path"].decode() + (f"?{query}" if query else "")
        fault = site.faults[path].popleft() if site.faults.get(path) else None
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        resource = site.resources.get(path) or Resource(b"<h1>Not found</h1>", status=404)
        status, body = resource.status, resource.sent
        sent = {"content-type": resource.media_type, "set-cookie": "visitor=1; Path=/"} | resource.headers
        if resource.validators and status == 200:
            sent |= {"etag": resource.etag, "last-modified": resource.last_modified}
        if resource.encoding:
            sent["content-encoding"] = resource.encoding
        if resource.location:
            sent["location"] = resource.location
        if not headers.get("host") or not headers.get("user-agent"):
            status, body = 400, b""
        elif status == 200 and resource.validators and _not_modified(resource, headers):
            status, body = 304, b""
        if fault and fault.kind == "status":
            status, body, sent = fault.status, b"fault", dict(fault.headers)
        site.asked.append(Asked(path, headers, status))
        sent["content-length"] = str(len(body))
        pairs = [(name.encode(), value.encode()) for name, value in sent.items()]
        if status == 304:
            pairs = [pair for pair in pairs if pair[0] not in (b"content-length", b"content-encoding")]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        if fault and fault.kind == "truncated":
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            raise ConnectionResetError("the fault that was asked for")
        await send({"type": "http.response.body", "body": body})

    return serve


def _not_modified(resource: Resource, headers: dict[str, str]) -> bool:
    if "if-none-match" in headers:  # RFC 9110: then the date is not looked at
        return resource.etag in headers["if-none-match"]
    return headers.get("if-modified-since") == resource.last_modified
