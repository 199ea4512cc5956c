"""The circuit's state machine, and that all processes see one circuit."""

import asyncio
import json
import multiprocessing
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocontent.llm.calls import Outcome
from cryptocontent.llm.circuit import Admission, CircuitRules, Circuits, admitted, noted
from cryptocontent.llm.records import Record, open_records

RULES = CircuitRules()
FAILURES: list[Outcome] = ["unavailable", "server_error", "connection", "timeout", "malformed"]
MODEL = "openai:a"


class Bench:
    """A circuit on the bench, with a clock of its own."""

    def __init__(self) -> None:
        self.record: Record | None = None
        self.now = 1000.0

    def admit(self) -> Admission:
        self.record, admission = admitted(self.record, self.now, RULES)
        return admission

    def note(self, admission: Admission, outcome: Outcome, retry_after: float | None = None) -> None:
        self.record = noted(self.record, admission, outcome, self.now, RULES, retry_after)

    def call(self, outcome: Outcome, times: int = 1, retry_after: float | None = None) -> None:
        for _ in range(times):
            admission = self.admit()
            assert admission.allowed
            self.note(admission, outcome, retry_after)

    @property
    def allowed(self) -> bool:
        _, admission = admitted(self.record, self.now, RULES)
        return admission.allowed

    def opened(self) -> "Bench":
        self.call("server_error", RULES.dead_after)
        assert not self.allowed
        return self


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_dead_model_costs_few_calls(outcome: Outcome) -> None:
    bench = Bench()
    bench.call(outcome, RULES.dead_after - 1)
    assert bench.allowed
    bench.call(outcome)
    assert not bench.allowed


def test_it_opens_when_half_of_ten_calls_fail() -> None:
    bench = Bench()
    for _ in range(4):
        bench.call("ok")
        bench.call("server_error")
    bench.call("ok")
    assert bench.allowed
    bench.call("server_error")
    assert not bench.allowed


def test_a_third_of_failures_does_not_open_it() -> None:
    bench = Bench()
    for _ in range(30):
        bench.call("ok", 2)
        bench.call("server_error")
    assert bench.allowed


def test_what_is_old_counts_no_more() -> None:
    bench = Bench()
    bench.call("server_error", 4)
    bench.now += RULES.window + 1
    bench.call("server_error", 4)
    assert bench.allowed


@pytest.mark.parametrize("outcome", ["cancelled", "rejected", "filtered"])
def test_what_is_not_the_models_fault_never_opens_it(outcome: Outcome) -> None:
    bench = Bench()
    bench.call(outcome, 100)
    assert bench.allowed


def test_a_used_up_quota_opens_it_at_once_and_for_long() -> None:
    bench = Bench()
    bench.call("quota")
    bench.now += RULES.quota_open - 1
    assert not bench.allowed


def test_a_stray_429_is_no_reason_but_many_are() -> None:
    bench = Bench()
    bench.call("rate_limited")
    bench.call("ok", 6)
    assert bench.allowed
    bench.call("rate_limited")  # 2 of 8
    assert bench.allowed
    bench.call("rate_limited")  # 3 of 9
    assert not bench.allowed
    bench.now += RULES.cool_first
    assert bench.allowed and not bench.admit().probe, "it was never out: there is nothing to probe"
    bench.call("rate_limited")
    assert bench.allowed, "those that made it cool count no more"


def test_a_record_stays_small() -> None:
    bench = Bench()
    bench.call("ok", 500)
    assert bench.record is not None and len(json.dumps(bench.record)) < 2000


def test_a_long_retry_after_is_heeded_for_its_time_within_reason() -> None:
    bench = Bench()
    bench.call("rate_limited", retry_after=4)
    assert bench.allowed
    bench.call("rate_limited", retry_after=30)
    bench.now += 29
    assert not bench.allowed
    bench.now += 1
    bench.call("rate_limited", retry_after=86_400)
    bench.now += RULES.cool_most
    assert bench.allowed


def test_one_probe_goes_and_only_it_closes() -> None:
    bench = Bench()
    early = bench.admit()
    bench.opened()
    bench.now += RULES.open_first
    probe = bench.admit()
    assert probe.probe and not bench.admit().allowed
    bench.note(early, "ok")
    assert not bench.admit().allowed, "a call from before says nothing"
    bench.note(probe, "ok")
    assert bench.admit() == Admission(True, bench.record["epoch"])  # type: ignore[index]
    bench.note(probe, "server_error")
    assert bench.allowed, "a probe is noted once"


def test_each_failed_probe_doubles_the_time_up_to_a_minute() -> None:
    bench = Bench().opened()
    waits = []
    for _ in range(6):
        began = bench.now
        while not (probe := bench.admit()).allowed:
            bench.now = probe.retry_at or 0
        waits.append(bench.now - began)
        bench.note(probe, "timeout")
    assert waits == [5, 10, 20, 40, 60, 60]


def test_a_cancelled_probe_gives_its_place_to_the_next() -> None:
    bench = Bench().opened()
    bench.now += RULES.open_first
    bench.note(bench.admit(), "cancelled")
    assert bench.admit().probe


def test_a_killed_prober_blocks_nobody_for_long() -> None:
    bench = Bench().opened()
    bench.now += RULES.open_first
    lost = bench.admit()
    bench.now += RULES.probe_lease
    probe = bench.admit()
    assert probe.probe and not bench.allowed
    bench.note(lost, "timeout")
    assert not bench.allowed, "the probe decides"
    bench.note(lost, "cancelled")
    assert not bench.allowed, "its place is no longer its own"
    bench.note(probe, "ok")
    assert bench.allowed


def test_a_model_that_is_slower_than_a_lease_comes_back() -> None:
    bench = Bench().opened()
    bench.now += RULES.open_first
    slow = bench.admit()
    bench.now += RULES.probe_lease
    bench.admit()
    bench.note(slow, "ok")
    assert bench.allowed and not bench.admit().probe


def test_a_model_that_begins_to_hang_is_out_after_few_timeouts() -> None:
    bench = Bench()
    bench.call("ok", 40)
    bench.call("timeout", RULES.dead_after - 1)
    bench.call("ok")
    bench.call("timeout", RULES.dead_after - 1)
    assert bench.allowed
    bench.call("timeout")
    assert not bench.allowed


@given(
    st.lists(
        st.one_of(
            st.floats(0, 30).map(lambda seconds: ("wait", seconds)),
            st.just(("admit", 0)),
            st.tuples(st.sampled_from(get_args(Outcome)), st.integers(0, 20)),
        ),
        max_size=120,
    )
)
def test_whatever_happens(steps: list[tuple[str, Any]]) -> None:
    bench = Bench()
    under_way: list[tuple[Admission, float]] = []
    for what, value in steps:
        if what == "wait":
            bench.now += value
        elif what == "admit":
            before = bench.record and bench.record["state"]
            admission = bench.admit()
            if admission.allowed:
                under_way.append((admission, bench.now))
            else:
                assert admission.retry_at is not None and admission.retry_at > bench.now
            if before == "open":
                assert admission.probe or not admission.allowed
        elif under_way:
            admission, _ = under_way.pop(value % len(under_way))
            state = bench.record["state"] if bench.record else "closed"
            bench.note(admission, what)  # type: ignore[arg-type]
            after = bench.record["state"]  # type: ignore[index]
            if state in ("open", "half_open") and after in ("closed", "cooling"):
                assert admission.probe and what in ("ok", "filtered", "rejected")
            if what in ("cancelled", "rejected", "filtered", "ok"):
                assert not (state in ("closed", "cooling") and after == "open")
        epoch = bench.record["epoch"] if bench.record else 0
        probes = [at for one, at in under_way if one.probe and one.epoch == epoch]
        assert sum(bench.now - at < RULES.probe_lease for at in probes) <= 1


@pytest.fixture(params=["sqlite", "redis"])
def cache_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cache.db'}"
    url: str = request.getfixturevalue("valkey_url")
    return url


async def _open(circuits: Circuits) -> None:
    for _ in range(RULES.dead_after):
        await circuits.note(MODEL, await circuits.admit(MODEL), "server_error")


async def test_however_many_wait_one_goes(cache_url: str) -> None:
    now = [1000.0]
    some = [Circuits(open_records(cache_url), clock=lambda: now[0]) for _ in range(5)]
    await _open(some[0])
    assert not any(one.allowed for one in await asyncio.gather(*(each.admit(MODEL) for each in some)))
    now[0] += RULES.open_first
    admissions = await asyncio.gather(*(some[number % 5].admit(MODEL) for number in range(50)))
    assert [one.allowed for one in admissions].count(True) == 1
    probe = next(one for one in admissions if one.allowed)
    await some[3].note(MODEL, probe, "ok")
    assert all(one.allowed for one in await asyncio.gather(*(each.admit(MODEL) for each in some)))
    assert (await some[1].states([MODEL]))[MODEL].state == "closed"


def _admit(cache_url: str, barrier: Any, results: Any) -> None:
    barrier.wait(20)
    results.put(asyncio.run(Circuits(open_records(cache_url)).admit(MODEL)).allowed)


def test_however_many_processes_wait_one_goes(cache_url: str) -> None:
    asyncio.run(_open(Circuits(open_records(cache_url), clock=lambda: 1000.0)))  # long ago: half-open now
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_admit, args=(cache_url, barrier, results)) for _ in range(3)]
    for process in processes:
        process.start()
    allowed = [results.get(timeout=30) for _ in processes]
    for process in processes:
        process.join()
    assert allowed.count(True) == 1


async def test_without_records_models_are_asked_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    circuits = Circuits(open_records("redis://:hunter2@127.0.0.1:1/0"))
    for _ in range(20):
        admission = await circuits.admit(MODEL)
        assert admission.allowed
        await circuits.note(MODEL, admission, "server_error")
    assert caplog.text.count("records are away") == 1 and "hunter2" not in caplog.text
