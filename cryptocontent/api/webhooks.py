"""Webhooks of vendors. A delivery is kept before it is acknowledged, and applied afterwards by the worker
here or, if this process dies, by the vendor's sensor."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Engine

from cryptocontent.api.problems import problem
from cryptocontent.audit import requested
from cryptocontent.integrations.linear_webhooks import MOST_BYTES, is_fresh, is_signed, read_payload
from cryptocontent.planning.webhooks import LINEAR, apply_deliveries, keep_delivery
from cryptocontent.settings import Settings
from cryptocontent.storage.types import utc_now

_MOST_ID = 100
_log = logging.getLogger(__name__)


class Worker:
    """Applies what was kept, one batch after the other, in a thread."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine, self._settings = engine, settings
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something to apply."""
        self._wake.set()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Work until the block ends. What waits then is applied by the sensor."""
        task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await run_in_threadpool(self._apply)
            except Exception:
                _log.exception("deliveries could not be applied; the sensor tries again")

    def _apply(self) -> None:
        with requested("api:webhooks"):
            apply_deliveries(self._engine, self._settings)


def router(engine: Engine, settings: Settings, worker: Worker) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/webhooks", tags=["webhooks"])

    @routes.post("/linear")
    async def linear(request: Request) -> Response:
        """What Linear tells: see docs/linear.md."""
        secret = settings.linear_webhook_secret.get_secret_value()
        if not secret:
            return problem(503, "LINEAR_WEBHOOK_SECRET is not set: no delivery can be checked")
        body = await _body(request, MOST_BYTES)
        if body is None:
            return problem(413, f"a delivery has at most {MOST_BYTES:,} bytes")
        if not is_signed(secret, body, request.headers.get("linear-signature", "")):
            return problem(
                401, "Linear-Signature does not fit the body: is LINEAR_WEBHOOK_SECRET this webhook's?"
            )
        try:
            payload = read_payload(body)
            text = body.decode()
        except ValueError as error:
            return problem(400, f"not understood: {error}")
        if not is_fresh(payload.sent_at, utc_now()):
            return problem(401, "webhookTimestamp is not within 60 seconds of this server's clock")
        delivery = request.headers.get("linear-delivery", "")
        if not 0 < len(delivery) <= _MOST_ID or "\0" in text:
            return problem(400, "Linear-Delivery is missing or too long, or the body holds a zero byte")
        new = await run_in_threadpool(keep_delivery, engine, LINEAR, delivery, text)
        if new:
            worker.wake()
        return JSONResponse({"status": "kept" if new else "known"})

    return routes


async def _body(request: Request, most: int) -> bytes | None:
    """The raw body; None if it is longer than allowed, of which no more is read than that."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        return None
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)
