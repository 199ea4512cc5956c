"""What Prometheus is told: the ledger's sums, circuits, budgets; read back by Prometheus's own parser."""

import asyncio
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest, start_http_server
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from cryptocontent.llm.calls import CallScope, Settlement, TokenUse
from cryptocontent.llm.circuit import Circuits
from cryptocontent.llm.ledger import Ledger
from cryptocontent.llm.metrics import registry
from cryptocontent.llm.policies import read_policies, set_policies
from cryptocontent.llm.records import open_records
from cryptocontent.settings import Settings
from cryptocontent.storage import writing
from tests.llm.money import ADA, make_project

POLICY = "default: {candidates: [{model: 'openai:gpt-5.6-luna'}, {model: 'local:qwen3:8b'}]}"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(CRYPTOCONTENT_HOME=tmp_path)  # type: ignore[call-arg]


def read(text: str) -> Samples:
    return {
        (sample.name.removeprefix("cryptocontent_model_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(engine: Engine, settings: Settings) -> Samples:
    return read(generate_latest(registry(engine, settings)).decode())


def at(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


async def spend(
    engine: Engine, *settlements: Settlement | None, project: str = "p", worst: float = 1
) -> None:
    """Calls of the stage `writer`; those without a settlement stay under way."""
    ledger = Ledger(engine)
    scope = CallScope("p", "writer", generation_id="g")
    for settlement in settlements:
        call = await ledger.reserve(scope, "k" * 64, "openai", "gpt-5.6-luna", 1, worst)
        if settlement:
            await ledger.settle(call, settlement)


OK = Settlement("ok", TokenUse(1000, 200, cache_read_tokens=600, cache_write_tokens=50), 0.25, seconds=2.5)
LABELS = {"project": "p", "provider": "openai", "model": "gpt-5.6-luna", "stage": "writer"}


async def test_calls_tokens_and_costs(engine: Engine, settings: Settings) -> None:
    make_project(engine)
    failed = Settlement("timeout", cost_usd=0.5, seconds=30)
    await spend(
        engine, OK, OK, failed, Settlement("ok", pricing="unknown", seconds=1), None, None, worst=0.75
    )
    found = scrape(engine, settings)
    assert at(found, "calls_total", **LABELS, outcome="ok") == 3
    assert at(found, "calls_total", **LABELS, outcome="timeout") == 1
    assert at(found, "calls_total", **LABELS, outcome="reserved") is None
    assert at(found, "cost_usd_total", **LABELS, outcome="ok") == 0.5
    assert at(found, "cost_usd_total", **LABELS, outcome="timeout") == 0.5
    assert at(found, "call_seconds_total", **LABELS, outcome="ok") == 6
    tokens = {
        kind: at(found, "tokens_total", **LABELS, kind=kind)
        for kind in ("input", "output", "cache_read", "cache_write")
    }
    assert tokens == {"input": 2000, "output": 400, "cache_read": 1200, "cache_write": 100}
    assert at(found, "unknown_price_calls_total", **LABELS) == 1
    assert at(found, "calls_under_way", **LABELS) == 2
    assert at(found, "reserved_usd", **LABELS) == 1.5


async def test_budgets_of_the_month(sqlite_engine: Engine, settings: Settings) -> None:
    make_project(sqlite_engine, month=10)
    make_project(sqlite_engine, "free")
    await spend(sqlite_engine, OK, None)
    found = scrape(sqlite_engine, settings)
    told = {
        name: at(found, f"month_{name}_usd", project="p") for name in ("cap", "spent", "reserved", "left")
    }
    assert told == {"cap": 10, "spent": 0.25, "reserved": 1, "left": 8.75}
    assert at(found, "month_spent_usd", project="free") == 0
    assert at(found, "month_cap_usd", project="free") is at(found, "month_left_usd", project="free") is None


async def test_circuits_of_all_candidates(sqlite_engine: Engine, settings: Settings) -> None:
    make_project(sqlite_engine)
    with writing(sqlite_engine) as session:
        set_policies(session, "p", read_policies(POLICY), ADA)
    circuits = Circuits(open_records(settings.cache_url))
    # Within a running loop, as in the gateway.
    await circuits.note("openai:gpt-5.6-luna", await circuits.admit("openai:gpt-5.6-luna"), "quota")
    found = scrape(sqlite_engine, settings)
    states = ("closed", "cooling", "open", "half_open")
    told = [at(found, "circuit", provider="openai", model="gpt-5.6-luna", state=state) for state in states]
    assert told == [0, 0, 1, 0]
    told = [at(found, "circuit", provider="local", model="qwen3:8b", state=state) for state in states]
    assert told == [1, 0, 0, 0]


def test_served_anew_at_each_scrape(sqlite_engine: Engine, settings: Settings) -> None:
    make_project(sqlite_engine)
    server, thread = start_http_server(0, "127.0.0.1", registry(sqlite_engine, settings))

    def served() -> Samples:
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            return read(answer.read().decode())

    try:
        assert at(served(), "calls_total", **LABELS, outcome="ok") is None
        asyncio.run(spend(sqlite_engine, OK))
        assert at(served(), "calls_total", **LABELS, outcome="ok") == 1
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_models_are_not_loaded_for_it(sqlite_engine: Engine, settings: Settings) -> None:
    make_project(sqlite_engine)
    with writing(sqlite_engine) as session:
        set_policies(session, "p", read_policies(POLICY), ADA)
    script = f"""
import sys
from cryptocontent.settings import Settings
from cryptocontent.storage import open_engine
from cryptocontent.llm.status import status
from cryptocontent.llm.metrics import registry
from prometheus_client import generate_latest
engine = open_engine({str(sqlite_engine.url)!r})
settings = Settings(CRYPTOCONTENT_HOME={str(settings.home)!r})
assert len(status(engine, settings, "p")["candidates"]) == 2
assert b"model_circuit" in generate_latest(registry(engine, settings))
loaded = {{name.split(".")[0] for name in sys.modules}}
print(sorted(loaded & {{"pydantic_ai", "openai", "anthropic", "google"}}))
"""
    done: Any = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
