"""Errors as `application/problem+json` (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse


class ProblemResponse(JSONResponse):
    """What is wrong, for programs and for people. The text holds no secret."""

    media_type = "application/problem+json"


def problem(status: int, detail: str, **headers: str) -> ProblemResponse:
    """An answer of this status, with the reason."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return ProblemResponse(body, status, headers)
