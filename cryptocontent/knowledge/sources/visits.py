"""Visits to websites, with manners: robots.txt is kept to, a host is asked for one thing at a time and left
in peace in between, and what it says about waiting is believed.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptocontent.errors import Refused
from cryptocontent.integrations import web
from cryptocontent.integrations.web import Address, Fetched, Seen, Unfit, Web
from cryptocontent.knowledge.sources.seam import Gone, Ignored, Unavailable
from cryptocontent.settings import Settings

if TYPE_CHECKING:
    from protego import Protego

_ROBOTS_BYTES = 1_000_000  # RFC 9309 asks for 500 KiB at least
_ROBOTS_KEPT = 3600.0  # seconds; at most a day, it says
_ROBOTS_AGAIN = 300.0
_TOO_MANY_SECONDS = 60.0
_FOR_A_WHILE = (408, 425, 500, 502, 504)


class Disallowed(Unfit):
    """The site's robots.txt asks not to be visited there."""


@dataclass(frozen=True, slots=True)
class _Robots:
    """`rules` are `None` where everything is allowed; `error` if robots.txt could not be had."""

    rules: "Protego | None"
    until: float
    error: str = ""


class Visitor:
    """Visits for one source, from one thread. `delay`: seconds between two requests to a host, if its
    robots.txt does not ask for more; `patience`: the longest wait for that, beyond which a visit is put off;
    `seconds`: the longest request."""

    def __init__(
        self,
        settings: Settings,
        *,
        delay: float,
        patience: float,
        seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._web = Web(settings)
        self._name = settings.web_user_agent.partition("/")[0].strip()
        self._delay, self._patience, self._seconds = delay, patience, seconds
        self._sleep, self._clock = sleep, clock
        self._robots: dict[str, _Robots] = {}
        self._visited: dict[str, float] = {}

    def visit(
        self, url: str, *, accept: Collection[str], max_bytes: int, seen: Seen | None = None
    ) -> Fetched | Gone | Ignored:
        """What is at an address: an answer of status 200 or 304, or what became of it. `Unavailable`;
        `Refused` for an address that leads into a private network."""
        try:
            answer = self._web.fetch(
                url,
                accept=accept,
                max_bytes=max_bytes,
                seconds=self._seconds,
                seen=seen,
                before=self._before,
            )
        except Unfit as error:
            return Ignored(str(error))
        except web.Unavailable as error:
            raise Unavailable(str(error)) from error
        said = f"{web.shown(answer.url)} answers {answer.status}"
        if answer.status in (200, 304):
            return answer
        if answer.status in (429, 503):
            unless_said = _TOO_MANY_SECONDS if answer.status == 429 else None
            raise Unavailable(said, answer.retry_after or unless_said)
        if answer.status in _FOR_A_WHILE or answer.status > 504:
            raise Unavailable(said, answer.retry_after)
        return Gone(said) if answer.status in (404, 410) else Ignored(said)

    def _before(self, address: Address) -> None:
        """Ahead of each request, redirected ones too: may it be made, and is it time?"""
        rules = self._rules(address)
        if rules is not None and not rules.can_fetch(str(address), self._name):
            raise Disallowed(f"the robots.txt of {address.origin} disallows {web.shown(str(address))}")
        asked = rules.crawl_delay(self._name) if rules is not None else None
        wait = max(self._delay, asked or 0.0) - (self._clock() - self._visited.get(address.authority, -1e9))
        if wait > self._patience:
            raise Unavailable(f"{address.authority} asks for {asked:g} s between two visits", wait)
        if wait > 0:
            self._sleep(wait)
        self._visited[address.authority] = self._clock()

    def _rules(self, address: Address) -> "Protego | None":
        known = self._robots.get(address.origin)
        if known is None or known.until < self._clock():
            known = self._robots[address.origin] = self._ask_robots(address)
        if known.error:
            raise Unavailable(known.error)
        return known.rules

    def _ask_robots(self, address: Address) -> _Robots:
        """RFC 9309: none (4xx) allows everything; one that can't be had, for now, allows nothing."""
        from protego import Protego

        url = f"{address.origin}/robots.txt"
        again = self._clock() + _ROBOTS_AGAIN
        try:
            answer = self._web.fetch(url, max_bytes=_ROBOTS_BYTES, seconds=self._seconds)
        except web.Forbidden:
            raise  # of the site itself: a visit would be refused as well
        except (web.Unavailable, Refused) as error:
            return _Robots(None, again, f"robots.txt can't be read, so nothing is: {error}")
        until = self._clock() + _ROBOTS_KEPT
        if answer.status == 200:
            return _Robots(Protego.parse(answer.body.decode("utf-8-sig", "replace")), until)
        if 400 <= answer.status < 500 and answer.status != 429:
            return _Robots(None, until)
        return _Robots(None, again, f"{url} answers {answer.status}: until it is there nothing is visited")
