"""The model router: pipelines that complete although vendors fail, what that costs, and what the router
itself costs over a plain `Agent.run`. The vendors are fakes over HTTP, driven by their own SDKs.

The vendors run in a process of their own, so that its CPU time and memory are not the router's.
"""

import asyncio
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent
from sqlalchemy import Engine, func, select

from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.llm.calls import CallScope, ModelsFailed, Spent
from cryptocontent.llm.policies import StagePolicy
from cryptocontent.llm.router import Router
from cryptocontent.settings import Settings
from cryptocontent.storage import migrate, open_engine, reading, writing
from cryptocontent.storage.models import ModelCall

STAGES = ("writer", "editor", "proofreader", "analyst", "seo")
CANDIDATES = (
    "anthropic:claude-sonnet-5-5",
    "openai:gpt-5.6-luna",
    "google:gemini-3.8-flash",
    "grok:grok-4.7",
)
FIRST = "anthropic"
_LATENCY = 0.2
_TOGETHER = 50
_CPU = "CPU ms per call (median)"


Mix = Sequence[tuple[float, dict[str, Any]]]
"""Faults of a vendor, each with its probability."""


class Answer(BaseModel):
    """What every stage of the benchmark asks for."""

    text: str
    score: int


def compare(pipelines: int) -> list[dict[str, Any]]:
    """Pipelines of five stages with four vendors, which are well, flaky, or the first of which is out."""
    flaky = {vendor: _flaky() for vendor in ("anthropic", "openai", "google", "xai")}
    scenes: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("all are well", {}, {}),
        ("10 % each of 500, 429, disconnect", flaky, {}),
        ("the first answers 500", {FIRST: [(1.0, {"status": 500})]}, {}),
        ("the first hangs", {FIRST: [(1.0, {"kind": "hang"})]}, {}),
    ]
    return [_scene(name, pipelines, faults, more) for name, faults, more in scenes]


def _flaky() -> list[tuple[float, dict[str, Any]]]:
    return [(0.1, {"status": 500}), (0.1, {"status": 429}), (0.1, {"kind": "disconnect"})]


def _scene(name: str, pipelines: int, faults: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    with _vendors(faults, _LATENCY) as environment, _newsroom(environment) as (engine, router):
        policy = StagePolicy.model_validate(
            {
                "candidates": [{"model": one} for one in CANDIDATES],
                "timeouts": {"attempt": 2.0, "total": 120},
                "attempts": 20,
                **more,
            }
        )
        began = time.perf_counter()
        done, seconds = asyncio.run(_pipelines(router, policy, pipelines))
        took = time.perf_counter() - began
        with reading(engine) as session:
            calls = session.scalar(select(func.count()).select_from(ModelCall)) or 0
    stages = pipelines * len(STAGES)
    return {
        "vendors": name,
        "pipelines": pipelines,
        "complete %": 100 * done / pipelines,
        "calls per stage": calls / stages,
        "p50 of a stage (s)": statistics.median(seconds),
        "p99 of a stage (s)": statistics.quantiles(seconds, n=100)[98],
        "seconds": took,
    }


async def _pipelines(router: Router, policy: StagePolicy, count: int) -> tuple[int, list[float]]:
    places = asyncio.Semaphore(20)
    agent = Agent(output_type=Answer)
    seconds: list[float] = []

    async def one(number: int) -> bool:
        try:
            for stage in STAGES:
                async with places:
                    began = time.perf_counter()
                    await _ask(router, agent, policy, stage, f"{stage} of article {number}")
                    seconds.append(time.perf_counter() - began)
        except ModelsFailed:
            return False
        return True

    done = await asyncio.gather(*(one(number) for number in range(count)))
    return sum(done), seconds


async def _ask(router: Router, agent: Any, policy: StagePolicy, stage: str, prompt: str) -> Any:
    scope = CallScope("bench", stage, generation_id="g")
    model = router.model(policy, scope, accept=Answer.model_validate_json, spent=Spent())
    return await agent.run(prompt, model=model)


def overhead(calls: int) -> list[dict[str, Any]]:
    """CPU time of a call through the router and of a plain `Agent.run` of the same model, in turns; the
    router reserves, settles and keeps every call in SQLite."""
    with _vendors({}, 0.0) as environment, _newsroom(environment) as (_, router):
        policy = StagePolicy.model_validate({"candidates": [{"model": "openai-chat:gpt-5.6-luna"}]})

        async def run() -> list[dict[str, Any]]:
            agent = Agent(output_type=Answer)
            plain = router.open("openai-chat:gpt-5.6-luna")
            rounds: dict[str, list[float]] = {"Agent.run": [], "through the router": []}
            for turn in range(7):
                for name in rounds:
                    began = time.process_time()
                    for start in range(0, calls, 50):
                        prompts = [
                            f"{name} {turn} {start + number}" for number in range(min(50, calls - start))
                        ]
                        if name == "Agent.run":
                            await asyncio.gather(*(agent.run(one, model=plain) for one in prompts))
                        else:
                            await asyncio.gather(
                                *(_ask(router, agent, policy, "writer", one) for one in prompts)
                            )
                    rounds[name].append((time.process_time() - began) / calls * 1000)
            # The first turn warms up.
            return [
                {"way": name, "calls": calls, _CPU: statistics.median(values[1:])}
                for name, values in rounds.items()
            ]

        rows = asyncio.run(run())
    rows.append(
        {
            "way": "the router's own",
            "calls": calls,
            "CPU ms per call (median)": rows[1]["CPU ms per call (median)"]
            - rows[0]["CPU ms per call (median)"],
        }
    )
    return rows


def in_flight(calls: int) -> list[dict[str, Any]]:
    """Memory of one process with so many calls in flight at once."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    with _vendors({}, 5.0) as environment:
        process = context.Process(target=_fly, args=(environment, calls, results))
        process.start()
        row: dict[str, Any] = results.get(timeout=300)
        process.join()
    return [row]


def _fly(environment: dict[str, str], calls: int, results: Any) -> None:
    with _newsroom(environment) as (_, router):
        policy = StagePolicy.model_validate(
            {"candidates": [{"model": "openai-chat:gpt-5.6-luna", "concurrency": calls}]}
        )

        async def run() -> int:
            agent = Agent(output_type=Answer)
            asked = [_ask(router, agent, policy, "writer", f"call {number}") for number in range(calls)]
            return len(await asyncio.gather(*asked))

        answered = asyncio.run(run())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put({"calls in flight": calls, "answered": answered, "peak memory (MB)": peak})


@contextmanager
def _newsroom(environment: dict[str, str]) -> Iterator[tuple[Engine, Router]]:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'bench.db'}")
        migrate(engine)
        with writing(engine) as session:
            create_project(session, "bench", "", Actor("bench", "b"))
        values = {name.lower(): value for name, value in environment.items()}
        yield engine, Router(engine, Settings(CRYPTOCONTENT_HOME=folder, **values))  # type: ignore[call-arg]
        engine.dispose()


@contextmanager
def _vendors(
    faults: dict[str, Sequence[tuple[float, dict[str, Any]]]], latency: float
) -> Iterator[dict[str, str]]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, faults, latency))
    process.start()
    try:
        yield here.recv()
    finally:
        here.send("end")
        process.join(20)


def _serve(pipe: Any, faults: dict[str, Any], latency: float) -> None:
    from tests.fakes.vendors import Asked, Fault, Reply, vendors_server

    def script(asked: Asked) -> Reply:
        return Reply(json={"text": f"An answer to {asked.text[:40]}", "score": 7})

    with vendors_server() as vendors:
        vendors.script, vendors.latency, vendors.keep_calls = script, latency, False
        vendors.faults = {
            vendor: [(share, Fault(**fault)) for share, fault in mix] for vendor, mix in faults.items()
        }
        pipe.send(vendors.environment())
        pipe.recv()
