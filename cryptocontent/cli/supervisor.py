"""Runs several processes as one: starts them in order, waits for their health, stops them together.

Knows nothing of what it runs. Every child leads a session of its own, so that a Ctrl-C in the terminal
reaches the supervisor alone and the supervisor reaches the child with all of its descendants.
"""

import asyncio
import os
import signal
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

_TAIL_LINES = 20
_LONGEST_LINE = 65_536
_HEALTH_INTERVAL_SECONDS = 0.2
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_red")


@dataclass(frozen=True)
class Child:
    """One process: its command, when it counts as healthy, and which others must be healthy before."""

    name: str
    command: Sequence[str]
    is_healthy: Callable[[], Awaitable[bool]]
    needs: tuple[str, ...] = ()
    url: str = ""
    start_seconds: float = 90.0


class ChildFailed(RuntimeError):
    """A child ended by itself, could not be started or never became healthy. `is_healthy` may raise it."""


@dataclass
class _Running:
    child: Child
    process: asyncio.subprocess.Process
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))
    reading: asyncio.Task[None] | None = None

    async def ended(self) -> None:
        """Until the process and every descendant that still holds its output are gone."""
        await self.process.wait()
        if self.reading:
            await asyncio.shield(self.reading)

    def signal_all(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def next_free_port(host: str, port: int) -> int:
    """`port`, or the first free one after it; 0 asks for any."""
    for candidate in range(port, min(port + 200, 65_536)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            # A port that a server left a minute ago counts as free, one that is listened on does not.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ChildFailed(f"no free port on {host} from {port} on")


async def accepts_connections(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


class Supervisor:
    """Runs `children` until a signal comes (0) or one of them fails (1)."""

    def __init__(
        self,
        children: Sequence[Child],
        log_folder: Path,
        console: Console,
        *,
        quiet: bool = False,
        stop_seconds: float = 10.0,
    ) -> None:
        self._stop_seconds = stop_seconds
        self._children = children
        self._log_folder = log_folder
        self._console = console
        self._quiet = quiet
        self._width = max(len(child.name) for child in children)
        self._colours = {child.name: _COLOURS[i % len(_COLOURS)] for i, child in enumerate(children)}
        self._healthy = {child.name: asyncio.Event() for child in children}
        self._running: list[_Running] = []  # in the order of their start
        self._spawning = asyncio.Lock()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> int:
        """Start, watch, stop; the exit code."""
        self._log_folder.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        self._print("Starting " + ", ".join(child.name for child in self._children) + " …")
        keepers = [asyncio.create_task(self._keep(child)) for child in self._children]
        others = [asyncio.create_task(self._announce()), asyncio.create_task(self._stop.wait())]
        try:
            await asyncio.wait([*keepers, others[1]], return_when=asyncio.FIRST_COMPLETED)
            if self._stop.is_set():
                self._print("Stopping …")
                return 0
            for keeper in keepers:
                if keeper.done():
                    keeper.result()
            return 1
        except ChildFailed as failure:
            self._print(str(failure), style="bold red")
            return 1
        finally:
            self._stop.set()
            async with self._spawning:  # a child that is just being started is waited for, not lost
                for task in (*keepers, *others):
                    task.cancel()
            await asyncio.gather(*keepers, *others, return_exceptions=True)
            for running in reversed(self._running):
                await self._end(running)
            self._print("Everything is stopped.")

    def _on_signal(self) -> None:
        """The first one stops, in order; the second one kills what has not stopped yet."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _keep(self, child: Child) -> None:
        """Carries one child through its life; always ends by raising."""
        for name in child.needs:
            await self._healthy[name].wait()
        running = await self._spawn(child)
        ending = asyncio.create_task(running.process.wait())
        starting = asyncio.create_task(self._await_health(child))
        try:
            await asyncio.wait([ending, starting], return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                try:
                    await starting
                except TimeoutError:
                    reason = f"was not healthy within {child.start_seconds:g} s"
                    raise self._failure(running, reason) from None
                except ChildFailed as failure:
                    message = f"{child.name} {failure}; its log is {self._log(child)}"
                    raise ChildFailed(message) from None
                self._healthy[child.name].set()
            code = await ending
        finally:
            ending.cancel()
            starting.cancel()
        if running.reading:
            # Its last words are on their way; a descendant may hold the line for longer.
            await asyncio.wait([running.reading], timeout=1)
        how = f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
        raise self._failure(running, how)

    async def _spawn(self, child: Child) -> _Running:
        async with self._spawning:
            if self._stop.is_set():
                raise asyncio.CancelledError
            # A pipe of our own: asyncio's ties the end of the process to the end of its output.
            read_end, write_end = os.pipe()
            try:
                process = await asyncio.create_subprocess_exec(
                    *child.command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=write_end,
                    stderr=write_end,
                    start_new_session=True,
                )
            except OSError as error:
                os.close(read_end)
                raise ChildFailed(f"{child.name} could not be started: {error}") from error
            finally:
                os.close(write_end)
            running = _Running(child, process)
            self._running.append(running)
            running.reading = asyncio.create_task(self._read(running, read_end))
            return running

    async def _await_health(self, child: Child) -> None:
        async with asyncio.timeout(child.start_seconds):
            while not await child.is_healthy():
                await asyncio.sleep(_HEALTH_INTERVAL_SECONDS)

    async def _read(self, running: _Running, read_end: int) -> None:
        """Every line of a child's output: to its log, to its tail and, unless quiet, to the terminal."""
        reader = asyncio.StreamReader()
        with os.fdopen(read_end, "rb") as pipe, self._log(running.child).open("wb", buffering=0) as log:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), pipe
            )
            rest = b""
            try:
                while chunk := await reader.read(_LONGEST_LINE):
                    log.write(chunk)
                    *lines, rest = (rest + chunk).split(b"\n")
                    if len(rest) > _LONGEST_LINE:
                        lines, rest = [*lines, rest], b""
                    for line in lines:
                        self._show(running, line)
                if rest:
                    self._show(running, rest)
            finally:
                transport.close()

    def _show(self, running: _Running, line: bytes) -> None:
        text = Text.from_ansi(line.decode(errors="replace"))
        running.lines.append(text.plain)
        if not self._quiet:
            name = running.child.name
            prefix = (f"{name:>{self._width}} | ", self._colours[name])
            self._console.print(Text.assemble(prefix, text), soft_wrap=True)

    async def _announce(self) -> None:
        for event in self._healthy.values():
            await event.wait()
        self._print("Everything runs. Ctrl-C stops it.", style="bold green")
        for child in self._children:
            if child.url:
                self._print(f"  {child.name:<{self._width}}  {child.url}")
        self._print(f"  {'logs':<{self._width}}  {self._log_folder}")

    async def _end(self, running: _Running) -> None:
        """Ask, wait, kill: the child and all that it started."""
        running.signal_all(signal.SIGTERM)
        ended, hurry = asyncio.create_task(running.ended()), asyncio.create_task(self._hurry.wait())
        await asyncio.wait([ended, hurry], timeout=self._stop_seconds, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        running.signal_all(signal.SIGKILL)
        await running.process.wait()
        # Killed processes let go of the pipe; one that left the group for a session of its own may not.
        await asyncio.wait([ended], timeout=1)
        ended.cancel()
        if running.reading:
            running.reading.cancel()
            await asyncio.gather(running.reading, return_exceptions=True)

    def _failure(self, running: _Running, reason: str) -> ChildFailed:
        tail = "\n".join(f"  {line}" for line in running.lines) or "  (no output)"
        log = self._log(running.child)
        return ChildFailed(f"{running.child.name} {reason}; the last lines of {log}:\n{tail}")

    def _log(self, child: Child) -> Path:
        return self._log_folder / f"{child.name}.log"

    def _print(self, message: str, style: str = "") -> None:
        self._console.print(Text(message, style=style), soft_wrap=True)
