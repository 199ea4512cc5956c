"""Requests and tokens per minute of an account, kept to by all processes together."""

import time
from collections.abc import Callable

from pyrate_limiter import Duration, Rate
from pyrate_limiter.abstracts.algorithm import GCRA

from cryptocontent.llm.records import Record, open_records

_BURST_SHARE = 4
"""A quarter of a minute's worth may be owed: vendors measure shorter times than a minute."""
_LIMITER = GCRA()


class RateLimits:
    """The limits of all models, by name. What is kept of a limit is one number: until when what went through
    is owed to it (generic cell rate algorithm), in a record that all processes share (`llm.records`).

    The library's own stores keep one limit each: one of two would count what the other then refuses, and
    embedded each process would have the whole limit for itself. Its arithmetic is used as it is.
    """

    def __init__(self, cache_url: str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._records = open_records(cache_url)

    async def wait_for(
        self, name: str, requests_per_minute: int | None, tokens_per_minute: int | None, tokens: int
    ) -> float:
        """Seconds until a request of so many tokens may go; 0: it may go, and is counted against both limits
        (against neither, where one refuses).

        It goes while less than a quarter of a minute's worth is owed, whatever its size, and owes all of its
        tokens from then on (a minute's worth at most): a long request neither waits for the others to be
        silent nor goes uncounted. Without shared records nothing is limited.
        """
        asked = [
            (kind, limit, min(weight, limit))
            for kind, limit, weight in (
                ("requests", requests_per_minute, 1),
                ("tokens", tokens_per_minute, max(tokens, 1)),
            )
            if limit is not None
        ]

        def change(record: Record | None) -> tuple[Record, float]:
            now = int(self._clock() * 1000)
            before = record or {}
            after = dict(before)
            wait = 0.0
            for kind, limit, weight in asked:
                burst = max(1, limit // _BURST_SHARE) + weight - 1
                rate = Rate(limit, Duration.MINUTE, burst=burst)
                state, decision = _LIMITER.step([rate], (before.get(kind, 0),), now, weight)
                after[kind] = state[0]
                wait = max(wait, (decision.retry_after_ms or 0) / 1000)
            return (before if wait else after), wait

        return await self._records.change(f"limits:{name}", change)
