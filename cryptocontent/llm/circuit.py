"""The circuit breaker before each model: a model that is out is left alone, and tried by one call at a time.

    closed ──(it fails)──► open ──(its time is over)──► half-open: one probe ──(it answers)──► closed
      │ ▲                   ▲                               │
      ▼ │                   └─────────(it fails)────────────┘
    cooling (too many 429, or a long Retry-After)

The state machine is two pure functions on a record (`admitted`, `noted`); the record is shared by all
processes (`llm.records`). After M. Nygard, "Release It!" (2nd ed., 2018), with what is measured here: it
looks at a sliding window, and however many calls wait for a half-open circuit, one goes.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cryptocontent.llm.calls import Outcome
from cryptocontent.llm.records import Record, Records

State = Literal["closed", "cooling", "open", "half_open"]
_ANSWERS: frozenset[Outcome] = frozenset(["ok", "filtered", "rejected"])
"""A request that is refused is an answer, too: the vendor is there."""
_KINDS: dict[Outcome, str] = {
    "ok": "o",
    "filtered": "o",
    "rate_limited": "l",
    "timeout": "t",
    "unavailable": "f",
    "server_error": "f",
    "connection": "f",
    "malformed": "f",
}
"""What counts, as it stands in a record: answered, limited, timed out, failed."""


@dataclass(frozen=True, slots=True)
class CircuitRules:
    """When a circuit opens. Times are seconds; the window holds at most `most_calls` of the last calls."""

    window: float = 60.0
    most_calls: int = 50
    least_calls: int = 10
    failure_share: float = 0.5
    dead_after: int = 5  # failures with no answer in the window, or timeouts in a row
    open_first: float = 5.0
    open_most: float = 60.0
    quota_open: float = 300.0
    probe_lease: float = 60.0  # a prober that was killed blocks others no longer
    limited_least_calls: int = 8
    limited_share: float = 0.3
    long_retry_after: float = 5.0
    cool_first: float = 5.0
    cool_most: float = 300.0


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a call may go. `epoch` tells, when its outcome is noted, whether the circuit opened or closed
    since: then the outcome says nothing about the state it is in now. `turn` numbers probes."""

    allowed: bool
    epoch: int = 0
    probe: bool = False
    turn: int = 0
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class CircuitState:
    """A circuit for people to look at: times are seconds since 1970."""

    state: State
    since: float | None
    retry_at: float | None
    calls: int
    failures: int
    limited: int


def _fresh() -> Record:
    return {"state": "closed", "epoch": 0, "turn": 0, "since": 0.0, "until": 0.0, "trips": 0, "calls": []}


def _state(record: Record, now: float) -> State:
    state: State = record["state"]
    if now < record["until"]:
        return state
    return "closed" if state == "cooling" else "half_open" if state == "open" else state


def admitted(record: Record | None, now: float, rules: CircuitRules) -> tuple[Record, Admission]:
    """Whether a call may go now, and the record after that."""
    record = record or _fresh()
    state, until = _state(record, now), record["until"]
    if state == "closed":
        return record, Admission(True, record["epoch"])
    if now < until:
        # Who waits for a probe's outcome looks again soon: it may come any moment.
        return record, Admission(False, retry_at=min(until, now + 1) if state == "half_open" else until)
    turn = record["turn"] + 1
    record = {**record, "state": "half_open", "turn": turn, "since": now, "until": now + rules.probe_lease}
    return record, Admission(True, record["epoch"], probe=True, turn=turn)


def noted(
    record: Record | None,
    admission: Admission,
    outcome: Outcome,
    now: float,
    rules: CircuitRules,
    retry_after: float | None = None,
) -> Record:
    """The record after a call that was admitted has ended."""
    record = record or _fresh()
    if admission.epoch != record["epoch"]:
        return record
    if admission.probe:
        # Another may have got the place of a slow one by now. That it did answer counts all the same: a
        # model that is slower than a lease would never be back else.
        if admission.turn != record["turn"] and outcome not in _ANSWERS:
            return record
        return _probed(record, outcome, now, rules, retry_after)
    if _state(record, now) not in ("closed", "cooling") or outcome in ("cancelled", "rejected"):
        return record
    if outcome == "quota":
        return _opened(record, now, rules, rules.quota_open)
    kind = _KINDS[outcome]
    calls = [*_recent(record, now, rules), [round(now, 3), kind]][-rules.most_calls :]
    record = {**record, "calls": calls}
    if kind == "l":
        return _limited(record, now, rules, retry_after)
    return _opened(record, now, rules) if kind in "ft" and _failing(calls, rules) else record


def _recent(record: Record, now: float, rules: CircuitRules) -> list[list[object]]:
    return [call for call in record["calls"] if call[0] > now - rules.window]


def _failing(calls: Sequence[Sequence[object]], rules: CircuitRules) -> bool:
    kinds = [call[1] for call in calls]
    failures = len(kinds) - kinds.count("o") - kinds.count("l")
    if len(kinds) >= rules.least_calls and failures >= rules.failure_share * len(kinds):
        return True
    if failures >= rules.dead_after and "o" not in kinds:
        return True
    # Each timeout is minutes of somebody's time: answers from before it began to hang are no comfort.
    return kinds[-rules.dead_after :] == ["t"] * rules.dead_after


def _opened(record: Record, now: float, rules: CircuitRules, seconds: float | None = None) -> Record:
    if seconds is None:
        seconds = min(rules.open_first * 2 ** min(record["trips"], 10), rules.open_most)
    return {
        **record,
        "state": "open",
        "epoch": record["epoch"] + 1,
        "since": now,
        "until": now + seconds,
        "trips": record["trips"] + 1,
        "calls": [],
    }


def _limited(record: Record, now: float, rules: CircuitRules, retry_after: float | None) -> Record:
    """A stray 429 is the vendor's way to pace; many, or a long pause that it asks for, are to be heeded."""
    calls = record["calls"]
    limited = sum(call[1] == "l" for call in calls)
    many = len(calls) >= rules.limited_least_calls and limited >= rules.limited_share * len(calls)
    if retry_after is not None and retry_after >= rules.long_retry_after:
        seconds = min(retry_after, rules.cool_most)
    elif many:
        seconds = max(rules.cool_first, retry_after or 0.0)
    else:
        return record
    until = max(now + seconds, record["until"])
    left = [call for call in calls if call[1] != "l"]
    # The epoch stays: failures of calls under way still count.
    return {**record, "state": "cooling", "since": now, "until": until, "calls": left}


def _probed(
    record: Record, outcome: Outcome, now: float, rules: CircuitRules, retry_after: float | None
) -> Record:
    if outcome == "cancelled":
        # It said nothing: the next one may try.
        return {**record, "state": "open", "until": now}
    if outcome in _ANSWERS:
        return {**_fresh(), "epoch": record["epoch"] + 1, "turn": record["turn"], "since": now}
    if outcome == "quota":
        return _opened(record, now, rules, rules.quota_open)
    record = _opened(record, now, rules)
    if outcome == "rate_limited" and retry_after:
        record["until"] = max(record["until"], now + min(retry_after, rules.cool_most))
    return record


class Circuits:
    """The circuits of all models, by name."""

    def __init__(
        self,
        records: Records,
        rules: CircuitRules | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.records, self.rules, self.clock = records, rules or CircuitRules(), clock

    async def admit(self, name: str) -> Admission:
        """Whether a call of the model may go now. Who is admitted notes its outcome, whatever it is."""
        record = (await self.records.read([name])).get(name)
        now = self.clock()
        if record is None or _state(record, now) == "closed":
            return admitted(record, now, self.rules)[1]  # nothing changes: nothing is written
        return await self.records.change(name, lambda kept: admitted(kept, self.clock(), self.rules))

    async def note(
        self, name: str, admission: Admission, outcome: Outcome, retry_after: float | None = None
    ) -> None:
        """How an admitted call ended; `retry_after` is what the vendor asked for, in seconds."""
        if not admission.probe and outcome in ("cancelled", "rejected"):
            return

        def change(record: Record | None) -> tuple[Record, None]:
            return noted(record, admission, outcome, self.clock(), self.rules, retry_after), None

        await self.records.change(name, change)

    async def states(self, names: Sequence[str]) -> dict[str, CircuitState]:
        """The circuits as they are now."""
        records, now = await self.records.read(names), self.clock()
        return {name: _shown(records.get(name), now, self.rules) for name in names}


def _shown(record: Record | None, now: float, rules: CircuitRules) -> CircuitState:
    record = record or _fresh()
    state = _state(record, now)
    kinds = [call[1] for call in _recent(record, now, rules)]
    return CircuitState(
        state,
        record["since"] or None,
        None if state == "closed" else record["until"],
        len(kinds),
        kinds.count("f") + kinds.count("t"),
        kinds.count("l"),
    )
