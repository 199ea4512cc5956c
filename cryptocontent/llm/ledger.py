"""The ledger: every call of a model, what it may cost before it leaves, and what it did cost.

A call is reserved at the most that it can cost, and settled at what it cost; `bookings` writes it down.
What is here joins the calls of one process into few transactions, and waits for budgets.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar, cast

from sqlalchemy import Engine

from cryptocontent.llm.bookings import (
    Account,
    InTheWay,
    Paid,
    Reserve,
    Result,
    Settle,
    book,
    forget_kept,
    kept_responses,
    nano,
    paid_for,
)
from cryptocontent.llm.calls import BudgetExceeded, CallScope, Settlement
from cryptocontent.storage.database import DatabaseUnavailable

log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")

MOST_PER_TRANSACTION = 500
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks at what other processes have settled, while reservations wait for them."""


class Ledger:
    """The ledger of one event loop; any number of them, in any number of processes, share a database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._bookings = _Bookings(engine)
        self._reads = _Group[str, str | None](lambda keys: kept_responses(engine, keys))

    async def reserve(
        self,
        scope: CallScope,
        request_key: str,
        provider: str,
        model: str,
        attempt: int,
        worst_usd: float,
        *,
        lane: str = "live",
        patience: float = 60.0,
    ) -> str:
        """Write down a call that is about to leave and may cost `worst_usd`; returns its id.

        `BudgetExceeded` at once if what is spent leaves no room for it; where only calls under way stand
        in its way, after waiting for them `patience` seconds. Who is cancelled here has reserved nothing.
        """
        if not 0 <= worst_usd < math.inf:
            raise ValueError(f"worst_usd {worst_usd!r}: a finite amount of at least 0")
        deadline = asyncio.get_running_loop().time() + patience
        worst = nano(worst_usd)
        granted = self._bookings.submit(
            Reserve(scope, request_key, provider, model, attempt, worst, lane, patience, deadline)
        )
        try:
            return cast(str, await granted)
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self._bookings.give_back(cast(str, granted.result()))
            raise

    async def settle(self, call_id: str, settlement: Settlement, request_key: str | None = None) -> None:
        """Write down how a call ended and what it cost, and keep its response, if there is one, under
        `request_key` (default: that of the reservation): all of it or, if this raises, nothing. A call
        that is settled already stays as it is. Done even if the caller is cancelled meanwhile."""
        if not 0 <= settlement.cost_usd < math.inf:
            raise ValueError(f"cost_usd {settlement.cost_usd!r}: a finite amount of at least 0")
        await self._bookings.submit(Settle(call_id, settlement, request_key))

    async def kept(self, request_key: str) -> str | None:
        """The response that an earlier call of the same request was paid for."""
        return await self._reads.submit(request_key)

    async def paid(self, request_key: str) -> Paid | None:
        """What the kept response to a request did cost."""
        return await asyncio.to_thread(paid_for, self.engine, request_key)

    async def discard(self, request_keys: Sequence[str]) -> None:
        """Forget kept responses: those that led nowhere, and would again."""
        await asyncio.to_thread(forget_kept, self.engine, request_keys)


class _Group(Generic[T, R]):
    """Group commit: items that arrive while a transaction is under way share the next one. One that the
    database refuses fails alone."""

    def __init__(self, run: Callable[[Sequence[T]], Sequence[R | Exception]]) -> None:
        self._run = run
        self._queue: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None

    def submit(self, item: T) -> "asyncio.Future[R]":
        """Its result, once it is written."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._put([(item, future)])
        return future

    def _put(self, some: Iterable[tuple[T, "asyncio.Future[R]"]]) -> None:
        self._queue += some
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        while self._queue:
            some = self._take()
            if some:
                self._deliver(some, await self._results([item for item, _ in some]))

    async def _results(self, items: Sequence[T]) -> Sequence[R | Exception]:
        try:
            return await asyncio.to_thread(self._run, items)
        except DatabaseUnavailable as error:
            return [error] * len(items)
        except Exception as error:
            if len(items) == 1:
                return [error]
            return [(await self._results([item]))[0] for item in items]

    def _take(self) -> list[tuple[T, "asyncio.Future[R]"]]:
        some, self._queue = self._queue[:MOST_PER_TRANSACTION], self._queue[MOST_PER_TRANSACTION:]
        return some

    def _deliver(
        self, some: Sequence[tuple[T, "asyncio.Future[R]"]], results: Sequence[R | Exception]
    ) -> None:
        for (_, future), result in zip(some, results, strict=True):
            if future.done():
                if isinstance(result, Exception):
                    log.warning("the ledger could not write what nobody waits for any more: %s", result)
            elif isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


_Asked = tuple[Reserve | Settle, "asyncio.Future[Result]"]


class _Bookings(_Group[Reserve | Settle, Result]):
    """Reservations and settlements. Reservations that others stand in the way of wait here: they are tried
    again with every settlement of this process, and every while for the sake of other processes."""

    def __init__(self, engine: Engine) -> None:
        known: set[Account] = set()
        super().__init__(lambda items: book(engine, items, known))
        self._waiting: list[_Asked] = []
        self._timer: asyncio.TimerHandle | None = None
        self._pause, self._next = FIRST_PAUSE, 0.0

    def give_back(self, call_id: str) -> None:
        """Nobody waits for this reservation any more: its call never left."""
        never_sent = Settlement("cancelled", error="given up before it was sent")
        self.submit(Settle(call_id, never_sent, None)).add_done_callback(_log_failure)

    def _take(self) -> list[_Asked]:
        some = super()._take()
        if any(isinstance(item, Settle) for item, _ in some):
            some, self._waiting = self._waiting + some, []
        return [one for one in some if isinstance(one[0], Settle) or not one[1].done()]

    def _deliver(self, some: Sequence[_Asked], results: Sequence[Result]) -> None:
        now = asyncio.get_running_loop().time()
        final: list[_Asked] = []
        verdicts: list[Result] = []
        for (item, future), result in zip(some, results, strict=True):
            if isinstance(item, Reserve) and future.done():
                if isinstance(result, str):
                    self.give_back(result)
            elif isinstance(item, Reserve) and isinstance(result, InTheWay) and now < item.deadline:
                self._waiting.append((item, future))
            else:
                final.append((item, future))
                verdicts.append(BudgetExceeded(result.message) if isinstance(result, InTheWay) else result)
        super()._deliver(final, verdicts)
        self._look_again_later(now)

    def _look_again_later(self, now: float) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            self._pause = FIRST_PAUSE
            return
        if self._next <= now:
            self._next, self._pause = now + self._pause, min(self._pause * 1.5, LONGEST_PAUSE)
        soonest = min(item.deadline for item, _ in self._waiting if isinstance(item, Reserve))
        delay = max(min(self._next, soonest) - now, 0)
        self._timer = asyncio.get_running_loop().call_later(delay, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, []
        self._put(waiting)


def _log_failure(future: "asyncio.Future[Result]") -> None:
    if not future.cancelled() and (error := future.exception()):
        log.warning("a reservation could not be given back and stays counted: %s", error)
