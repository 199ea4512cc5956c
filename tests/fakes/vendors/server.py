"""One HTTP server that is all vendors: `/openai/v1/…`, `/anthropic/…`, `/google/…`, `/xai/v1/…`,
`/copilot/…`, `/local/v1/…`. It runs in a thread of its own; what tests set and read is plain data.
"""

import asyncio
import contextlib
import inspect
import json
import random
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cryptocontent.settings import Settings
from tests.fakes.vendors import anthropic, batches, gemini, openai
from tests.fakes.vendors.asked import Asked, Content, Fault, Reply, content_of, tokens
from tests.fakes.vendors.author import obedient

VENDORS = ("openai", "anthropic", "google", "xai", "copilot", "local")
Script = Callable[[Asked], Reply | Fault | Awaitable[Reply | Fault]]
Mix = Sequence[tuple[float, Fault]]
"""Faults with the probability of each; what is left of 1 is answered."""
_BACKLOG = 4096
_IMPLICIT = 1024
"""Tokens from which on OpenAI, xAI and Google cache a prefix without being told."""


@dataclass(slots=True)
class Call:
    """A request for an answer. `outcome` is "ok", a status as text, a kind of fault, "gone" (the client went
    away before the answer) or "" (while it is being answered). Times are those of `time.monotonic`."""

    asked: Asked
    outcome: str = ""
    begun: float = 0.0
    ended: float = 0.0


class Vendors:
    """The vendors as tests see them. Set `script` to decide answers, `faults[vendor]` for a mix of faults;
    call `next()` for exact ones; read `calls[vendor]`, `outcomes`, `in_flight`, `batches`."""

    def __init__(self, seed: int = 0) -> None:
        self.script: Script = obedient
        self.faults: dict[str, Mix] = {}
        self.latency = 0.0
        """Seconds before each answer, as real vendors take them."""
        self.keep_calls = True
        self.calls: dict[str, list[Call]] = {vendor: [] for vendor in VENDORS}
        self.counts: Counter[str] = Counter()
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.in_flight = 0
        self.most_in_flight = 0
        self.batches = batches.Batches(self)
        self.url = ""
        self._next: dict[tuple[str, bool], deque[Fault]] = {
            (vendor, batch): deque() for vendor in VENDORS for batch in (False, True)
        }
        self._random = {vendor: random.Random(f"{seed}:{vendor}") for vendor in VENDORS}
        self._cached: set[tuple[str, str, int]] = set()
        self._changed = threading.Condition()
        self.stopping: asyncio.Event | None = None

    def environment(self) -> dict[str, str]:
        """Environment variables for `Settings`: base URLs, and keys that tell from which vendor they are."""
        return {
            "OPENAI_BASE_URL": f"{self.url}/openai/v1",
            "OPENAI_API_KEY": "sk-fake-openai-5ecret",
            "ANTHROPIC_BASE_URL": f"{self.url}/anthropic",
            "ANTHROPIC_API_KEY": "sk-ant-fake-5ecret",
            "GOOGLE_BASE_URL": f"{self.url}/google",
            "GOOGLE_API_KEY": "AIza-fake-google-5ecret",
            "XAI_BASE_URL": f"{self.url}/xai/v1",
            "XAI_API_KEY": "xai-fake-5ecret",
            "GITHUB_COPILOT_BASE_URL": f"{self.url}/copilot",
            "GITHUB_COPILOT_API_KEY": "ghu-fake-copilot-5ecret",
            "LOCAL_MODEL_URL": f"{self.url}/local/v1",
            "LOCAL_MODEL_API_KEY": "local-fake-5ecret",
        }

    def settings(self, home: Path) -> Settings:
        """Settings that lead to the vendors, with a home of the test's own."""
        values = {name.lower(): value for name, value in self.environment().items()}
        return Settings(_env_file=None, CRYPTOCONTENT_HOME=home, **values)  # type: ignore[arg-type,call-arg]

    def next(self, vendor: str, *faults: Fault, batch: bool = False) -> None:
        """What the vendor's next calls meet, one fault each, in order; with `batch` its batch API's calls."""
        self._next[vendor, batch].extend(faults)

    def total(self) -> int:
        """Calls of all vendors so far, those that failed included."""
        return sum(self.counts.values())

    def wait_until(self, condition: Callable[[], object], seconds: float = 5.0) -> None:
        """Wait until calls that begin or end make it true; in `asyncio.to_thread` where a loop runs."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise TimeoutError("the vendors did not get there in time")

    def reset(self) -> None:
        """Forget calls, faults and script, as for a new test."""
        self.script, self.faults, self.latency = obedient, {}, 0.0
        self.counts.clear()
        self.outcomes.clear()
        self.most_in_flight = self.in_flight
        self._cached.clear()
        self.batches.clear()
        for calls in self.calls.values():
            calls.clear()
        for queue in self._next.values():
            queue.clear()

    # What the server calls.

    def begin(self, asked: Asked) -> Call:
        self.counts[asked.vendor] += 1
        asked.number = self.counts[asked.vendor]
        call = Call(asked, begun=time.monotonic())
        if self.keep_calls:
            self.calls[asked.vendor].append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.tell()
        return call

    def end(self, call: Call, outcome: str) -> None:
        call.outcome, call.ended = outcome, time.monotonic()
        self.outcomes[call.asked.vendor, outcome] += 1
        self.in_flight -= 1
        self.tell()

    def tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def fault(self, vendor: str, *, batch: bool = False) -> Fault | None:
        if queue := self._next[vendor, batch]:
            return queue.popleft()
        if batch or not (mix := self.faults.get(vendor)):
            return None
        drawn = self._random[vendor].random()
        for probability, fault in mix:
            drawn -= probability
            if drawn < 0:
                return fault
        return None

    def content(self, asked: Asked, reply: Reply) -> Content:
        """The reply as the vendor's content, with the tokens that its cache makes of the request."""
        sizes = [tokens(part) for part in asked.parts]
        ends = list(asked.marks) if asked.vendor == "anthropic" else range(1, len(sizes) + 1)
        cached = stored = 0
        for end in ends:
            key = (asked.vendor, asked.model, hash(tuple(asked.parts[:end])))
            covered = sum(sizes[:end])
            if key in self._cached:
                cached = max(cached, covered)
            self._cached.add(key)
            stored = max(stored, covered)
        if asked.vendor == "anthropic":
            return content_of(asked, reply, sum(sizes), cached, stored - cached)
        return content_of(asked, reply, sum(sizes), cached if cached >= _IMPLICIT else 0, 0)


@contextlib.contextmanager
def vendors_server(seed: int = 0) -> Iterator[Vendors]:
    """The vendors, listening on a free port until the block ends."""
    vendors = Vendors(seed)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        listening.listen(_BACKLOG)
        vendors.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = _Server(vendors)
        thread = threading.Thread(target=server.run, args=([listening],), name="vendors", daemon=True)
        thread.start()
        try:
            if not server.ready.wait(5):
                raise RuntimeError("the fake vendors did not start")
            yield vendors
        finally:
            server.stop()
            thread.join(5)
            if thread.is_alive():
                raise RuntimeError("the fake vendors did not stop")


class _Server(uvicorn.Server):
    def __init__(self, vendors: Vendors) -> None:
        self.vendors, self.ready = vendors, threading.Event()
        config = uvicorn.Config(
            self.app,
            interface="asgi3",
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            backlog=_BACKLOG,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop, self.vendors.stopping = asyncio.get_running_loop(), asyncio.Event()
        self.ready.set()

    def stop(self) -> None:
        def ending() -> None:
            self.should_exit = True
            if self.vendors.stopping:
                self.vendors.stopping.set()

        with contextlib.suppress(RuntimeError, AttributeError):
            self.loop.call_soon_threadsafe(ending)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        exchange = Exchange(scope, receive, send)
        await exchange.read()
        vendor, _, path = scope["path"].removeprefix("/").partition("/")
        if vendor not in VENDORS:
            await exchange.json({"error": {"message": f"no such vendor: {vendor}"}}, 404)
            return
        await answer(self.vendors, exchange, vendor, "/" + path)


class _Protocol(HttpToolsProtocol):
    """Hands the connection to the app, which is to break it off."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"] = {"transport": self.transport}  # type: ignore[typeddict-item]


class Exchange:
    """A request and the sending of its response."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.method: str = scope["method"]
        self.transport = scope["state"]["transport"]
        self.headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.body = b""
        self.gone = False

    async def read(self) -> None:
        chunks = []
        while True:
            message = await self.receive()
            chunks.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        self.body = b"".join(chunks)

    async def start(self, kind: str, headers: dict[str, str] | None = None, status: int = 200) -> None:
        pairs = {"content-type": kind, **(headers or {})}
        encoded = [(name.encode(), value.encode()) for name, value in pairs.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, data: bytes, more: bool = True) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def raw(self, data: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        kind = (headers or {}).pop("content-type", "application/json")
        await self.start(kind, {"content-length": str(len(data)), **(headers or {})}, status)
        await self.write(data, more=False)

    async def json(self, data: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        await self.raw(json.dumps(data).encode(), status, headers)

    async def break_off(self) -> None:
        """Close the connection as a crash does: no end of the response, a reset."""
        # What was written goes out at the end of the loop's turn.
        await asyncio.sleep(0.001)
        with contextlib.suppress(Exception):
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        await self.receive()

    async def pause(self, seconds: float | None, stopping: asyncio.Event) -> bool:
        """Wait that long (None: for ever); True if the client went away or the server stops meanwhile: then
        the connection is closed."""
        waits = [asyncio.ensure_future(self._left()), asyncio.ensure_future(stopping.wait())]
        try:
            done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        if done:
            await self.break_off()
        return bool(done)

    async def _left(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


async def answer(vendors: Vendors, exchange: Exchange, vendor: str, path: str) -> None:
    """Answer a request to a vendor: a call for an answer, or one of its batch API."""
    asked = _asked(vendor, path, exchange) if exchange.method == "POST" else None
    if asked is None:
        fault = vendors.fault(vendor, batch=True)
        if fault is None:
            await vendors.batches.answer(exchange, vendor, path)
        elif fault.kind == "status":
            body, headers = error(vendor, fault)
            await exchange.json(body, fault.status, headers)
        elif fault.kind == "hang":
            await exchange.pause(None, _stopping(vendors))
        else:
            await exchange.break_off()
        return
    call = vendors.begin(asked)
    outcome = "gone"
    try:
        outcome = await _serve(vendors, exchange, asked)
    finally:
        vendors.end(call, outcome)


async def _serve(vendors: Vendors, exchange: Exchange, asked: Asked) -> str:
    reply: Reply | Fault | None = vendors.fault(asked.vendor)
    slow = 0.0
    if isinstance(reply, Fault) and reply.kind == "slow":
        slow, reply = reply.delay, None
    if reply is None:
        decided = vendors.script(asked)
        reply = await decided if inspect.isawaitable(decided) else decided
    if isinstance(reply, Fault) and reply.kind == "slow":
        slow, reply = reply.delay, obedient(asked)
    fault = reply if isinstance(reply, Fault) else None
    if vendors.latency and await exchange.pause(vendors.latency, _stopping(vendors)):
        return "gone"
    if fault and fault.kind == "status":
        body, headers = error(asked.vendor, fault)
        await exchange.json(body, fault.status, headers)
        return str(fault.status)
    whole = reply if isinstance(reply, Reply) else obedient(asked)
    content = vendors.content(asked, whole)
    if asked.stream:
        return await _stream(vendors, exchange, asked, content, fault, slow or whole.delay)
    if (delay := slow or whole.delay) and await exchange.pause(delay, _stopping(vendors)):
        return "gone"
    data = json.dumps(_plain(asked, content)).encode()
    match fault.kind if fault else "":
        case "":
            await exchange.raw(data)
            return "ok"
        case "malformed":
            await exchange.raw(data[: len(data) // 2])
        case "truncated":
            await exchange.start("application/json", {"content-length": str(len(data))})
            await exchange.write(data[: len(data) // 2])
            await exchange.break_off()
        case "hang":
            await exchange.pause(None, _stopping(vendors))
        case "disconnect":
            await exchange.break_off()
    assert fault is not None
    return fault.kind


async def _stream(
    vendors: Vendors, exchange: Exchange, asked: Asked, content: Content, fault: Fault | None, delay: float
) -> str:
    events = _events(asked, content)
    kind = fault.kind if fault else "ok"
    if fault and fault.after == 0 and kind in ("hang", "disconnect"):
        await (exchange.pause(None, _stopping(vendors)) if kind == "hang" else exchange.break_off())
        return kind
    if fault:
        half = max(1, len(events) // 2)
        events = events[: half if kind == "truncated" else min(fault.after, half) or 1]
    if kind == "malformed":
        events = [b'data: {"id": "broken", "choi\n\n']
    await exchange.start("text/event-stream")
    if not delay and kind == "ok":
        # All events in few writes: what a test does not look at costs nothing.
        await exchange.write(b"".join(events[:-1]))
        await exchange.write(events[-1], more=False)
        return kind
    for event in events:
        if delay and await exchange.pause(delay, _stopping(vendors)):
            return "gone"
        await exchange.write(event)
    if kind == "hang":
        await exchange.pause(None, _stopping(vendors))
    elif kind == "disconnect":
        await exchange.break_off()
    else:
        await exchange.write(b"", more=False)
    return kind


def _stopping(vendors: Vendors) -> asyncio.Event:
    assert vendors.stopping is not None
    return vendors.stopping


def _asked(vendor: str, path: str, exchange: Exchange) -> Asked | None:
    """The request, if it is one for an answer."""
    if path.endswith("/chat/completions"):
        return openai.parse_chat(vendor, json.loads(exchange.body), exchange.headers)
    if vendor == "openai" and path == "/v1/responses":
        return openai.parse_responses(vendor, json.loads(exchange.body), exchange.headers)
    if vendor == "anthropic" and path == "/v1/messages":
        return anthropic.parse(json.loads(exchange.body), exchange.headers)
    model, _, method = path.removeprefix("/v1beta/models/").partition(":")
    if vendor == "google" and method in ("generateContent", "streamGenerateContent"):
        body = json.loads(exchange.body)
        return gemini.parse(model, method == "streamGenerateContent", body, exchange.headers)
    return None


def _plain(asked: Asked, content: Content) -> dict[str, Any]:
    whole = {"messages": anthropic.answer, "generateContent": gemini.answer, "chat": openai.chat}
    return whole.get(asked.api, openai.responses)(asked, content)


def _events(asked: Asked, content: Content) -> list[bytes]:
    streams = {"messages": anthropic.stream, "generateContent": gemini.stream, "chat": openai.chat_stream}
    return streams.get(asked.api, openai.responses_stream)(asked, content)


def error(vendor: str, fault: Fault) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of a vendor's error."""
    if vendor == "anthropic":
        return anthropic.error(fault)
    return gemini.error(fault) if vendor == "google" else openai.error(vendor, fault)
