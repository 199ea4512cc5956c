"""The gateway's application."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from cryptocontent.api import webhooks
from cryptocontent.api.problems import problem
from cryptocontent.settings import Settings
from cryptocontent.storage import ready_engine
from cryptocontent.storage.database import DatabaseUnavailable, reading

_log = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """The application over these settings' database, which is brought to the newest migration."""
    engine = ready_engine(settings.database_url)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with worker.working():
            worker.wake()  # what a process before this one kept and did not apply
            yield

    worker = webhooks.Worker(engine, settings)
    # The pages of documentation would load scripts from elsewhere.
    app = FastAPI(title="cryptocontent", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.include_router(webhooks.router(engine, settings, worker))

    @app.get("/healthz", tags=["health"])
    async def healthz() -> Response:
        """Whether the gateway answers and its database can be read."""

        def ask() -> None:
            with reading(engine) as session:
                session.connection().exec_driver_sql("SELECT 1")

        await run_in_threadpool(ask)
        return JSONResponse({"status": "ok"})

    @app.exception_handler(HTTPException)
    async def http_error(_request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return problem(status, str(getattr(error, "detail", "")))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: Exception) -> Response:
        return problem(422, "the request is not as it has to be")

    @app.exception_handler(DatabaseUnavailable)
    async def no_database(_request: Request, error: Exception) -> Response:
        _log.error("%s", error)
        return problem(503, "the database cannot be reached")

    return app
