"""The fake vendors themselves: what tests rely on when they fail a vendor or count its calls."""

import json
import threading
import time
from datetime import date
from typing import Annotated, Any, Literal

import httpx
import pytest
from pydantic import BaseModel, Field

from tests.fakes.vendors import (
    AUTHORS,
    Asked,
    Fault,
    Reply,
    Vendors,
    author,
    example,
    know,
    obedient,
    vendors_server,
)

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hello there."}]}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/openai/v1/responses", {"model": "m", "input": "Hello there."}),
    "anthropic": ("/anthropic/v1/messages", {**CHAT, "max_tokens": 100}),
    "google": (
        "/google/v1beta/models/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hello there."}]}]},
    ),
    "xai": ("/xai/v1/chat/completions", CHAT),
    "copilot": ("/copilot/chat/completions", CHAT),
    "local": ("/local/v1/chat/completions", CHAT),
}
each_vendor = pytest.mark.parametrize("vendor", REQUESTS)


def post(vendors: Vendors, vendor: str, **more: Any) -> httpx.Response:
    path, body = REQUESTS[vendor]
    return httpx.post(vendors.url + path, json={**body, **more}, timeout=5)


class Point(BaseModel):
    label: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=8)]
    share: float = Field(gt=0, le=0.5)
    next: "Point | None" = None


class Sample(BaseModel):
    """Something of each kind."""

    heading: str = Field(min_length=40, max_length=60)
    short: str = Field(max_length=3)
    day: date
    kind: Literal["b", "a"]
    fixed: Literal["only"]
    count: int = Field(ge=3, multiple_of=5)
    below: int = Field(lt=0)
    sure: bool
    points: list[Point] = Field(min_length=2, max_length=4)
    pair: tuple[str, int]
    tags: list[str] = Field(max_length=2)
    maybe: str | None = None
    either: int | str
    extra: dict[str, int]


def test_the_server_starts_and_stops_quickly() -> None:
    began = time.monotonic()
    with vendors_server() as vendors:
        assert time.monotonic() - began < 1
        assert post(vendors, "local").status_code == 200
    with pytest.raises(httpx.TransportError):
        post(vendors, "local")
    assert not [one for one in threading.enumerate() if one.name == "vendors" and not one.is_alive()]


def test_a_server_stops_though_a_call_hangs() -> None:
    errors: list[Exception] = []

    def ask(vendors: Vendors) -> None:
        try:
            post(vendors, "openai")
        except httpx.TransportError as error:
            errors.append(error)

    with vendors_server() as vendors:
        vendors.next("openai", Fault("hang"))
        asking = threading.Thread(target=ask, args=[vendors])
        asking.start()
        vendors.wait_until(lambda: vendors.in_flight == 1)
        began = time.monotonic()
    asking.join(5)
    assert time.monotonic() - began < 3 and len(errors) == 1


@each_vendor
def test_a_question_is_understood_and_noted(vendors: Vendors, vendor: str) -> None:
    seen: list[Asked] = []

    def script(asked: Asked) -> Reply:
        seen.append(asked)
        return Reply("Good day.")

    vendors.script = script
    assert "Good day." in post(vendors, vendor).text
    [asked] = seen
    assert (asked.vendor, asked.model, asked.text, asked.stream, asked.schema) == (
        vendor,
        "m",
        "Hello there.",
        False,
        None,
    )
    [call] = vendors.calls[vendor]
    assert call.asked is asked and call.outcome == "ok" and call.ended >= call.begun
    assert vendors.total() == 1 and vendors.outcomes[vendor, "ok"] == 1 and vendors.in_flight == 0


ERRORS = {
    "openai": {"error": {"message": "No.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}},
    "anthropic": {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "No."},
        "request_id": "req_fake",
    },
    "google": {
        "error": {
            "code": 429,
            "message": "No.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}],
        }
    },
    "xai": {"code": "Some resource has been exhausted", "error": "No."},
}


@pytest.mark.parametrize("vendor", ERRORS)
def test_errors_have_the_vendors_form(vendors: Vendors, vendor: str) -> None:
    vendors.next(vendor, Fault(status=429, retry_after=1.5, message="No."))
    response = post(vendors, vendor)
    assert response.status_code == 429 and response.json() == ERRORS[vendor]
    if vendor != "google":  # which says it in the body
        assert (response.headers["retry-after"], response.headers["retry-after-ms"]) == ("2", "1500")


@each_vendor
def test_faults_break_what_they_should(vendors: Vendors, vendor: str) -> None:
    vendors.next(vendor, Fault("malformed"), Fault("truncated"), Fault("disconnect"), Fault(status=529))
    with pytest.raises(json.JSONDecodeError):
        post(vendors, vendor).json()
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            post(vendors, vendor)
    assert post(vendors, vendor).status_code == 529
    assert post(vendors, vendor).status_code == 200
    outcomes = [call.outcome for call in vendors.calls[vendor]]
    assert outcomes == ["malformed", "truncated", "disconnect", "529", "ok"]


def test_a_mix_of_faults_is_the_same_each_time() -> None:
    def run(seed: int) -> list[int]:
        with vendors_server(seed) as vendors:
            vendors.faults["xai"] = [(0.2, Fault(status=500)), (0.2, Fault(status=429))]
            with httpx.Client() as client:
                path, body = REQUESTS["xai"]
                return [client.post(vendors.url + path, json=body).status_code for _ in range(200)]

    first = run(1)
    assert first == run(1) != run(2)
    assert 20 < first.count(500) < 60 and 20 < first.count(429) < 60


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "xai"])
def test_slow_tokens_come_one_by_one(vendors: Vendors, vendor: str) -> None:
    vendors.script = lambda asked: Reply("word " * 20, delay=0.02, pieces=10)
    path, body = REQUESTS[vendor]
    times = []
    with httpx.stream("POST", vendors.url + path, json={**body, "stream": True}) as response:
        for _ in response.iter_raw():
            times.append(time.monotonic())
    assert len(times) >= 10 and times[-1] - times[0] >= 0.15


def test_a_script_may_wait(vendors: Vendors) -> None:
    async def script(asked: Asked) -> Reply | Fault:
        return Fault(status=503) if asked.number == 1 else Reply("Then.")

    vendors.script = script
    assert [post(vendors, "local").status_code for _ in range(2)] == [503, 200]


def test_an_answer_over_the_limit_is_cut_off(vendors: Vendors) -> None:
    vendors.script = lambda asked: Reply("word " * 400)
    answer = post(vendors, "anthropic", max_tokens=10).json()
    assert answer["stop_reason"] == "max_tokens" and answer["usage"]["output_tokens"] == 10
    assert len(answer["content"][0]["text"]) == 40


def test_only_marked_prefixes_are_cached_by_anthropic(vendors: Vendors) -> None:
    marked = {"type": "text", "text": "Material. " * 40, "cache_control": {"type": "ephemeral"}}

    def ask(*blocks: dict[str, Any]) -> tuple[int, int, int]:
        use = post(vendors, "anthropic", messages=[{"role": "user", "content": list(blocks)}]).json()["usage"]
        return use["input_tokens"], use["cache_creation_input_tokens"], use["cache_read_input_tokens"]

    task = {"type": "text", "text": "Task."}
    assert ask(marked, task) == (2, 100, 0)
    assert ask(marked, {**task, "text": "Other."}) == (2, 0, 100)
    assert ask({"type": "text", "text": marked["text"]}, task) == (102, 0, 0)


# Authors.


def test_an_example_is_valid_for_every_schema() -> None:
    made = Sample.model_validate(example(Sample.model_json_schema()))
    assert made.kind == "b" and made.maybe is None and made.count == 5 and len(made.points) == 2
    assert made == Sample.model_validate(example(Sample.model_json_schema()))


def test_a_pattern_without_an_example_is_said_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="register an author"):
        example({"type": "string", "pattern": "^qq[0-9]{7}$"})


def _asked(**more: Any) -> Asked:
    return Asked("openai", "chat", "m", "", [], [], {}, {}, **more)


def test_authors_are_found_by_title_or_by_shape() -> None:
    @author(Sample)
    def sample(asked: Asked) -> dict[str, Any]:
        return {"heading": "By its author."}

    try:
        schema = Sample.model_json_schema()
        untitled = {name: value for name, value in schema.items() if name != "title"}
        for one in (schema, untitled):
            assert _asked(schema=one).title == "Sample"
            assert obedient(_asked(schema=one)).json == {"heading": "By its author."}
    finally:
        del AUTHORS["Sample"]
    know(Point)
    assert obedient(_asked(schema=Point.model_json_schema())).json["label"] == "label"
    assert obedient(_asked()).text
