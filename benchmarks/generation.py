"""Articles per minute and CPU-seconds per article.

Three ways for the same stages on the same briefs, one after the other in one call:

- the limit: a bare asyncio loop in one process, without Dagster and without storage, with as many calls
  in flight as the backfill can have at most;
- a backfill of all briefs as the UI launches it, through daemon, code server and webserver;
- one Dagster run per article.

CPU is that of all processes of the house (code server, daemon, webserver, runs), from the request to the
last article; the loop's own CPU is the work itself, the rest is orchestration.
"""

import asyncio
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from sqlalchemy import Engine, func, select

from benchmarks.definitions import slow_agents
from benchmarks.house import PROJECT, WHO, make_house
from cryptocontent.agents.agent import Agent
from cryptocontent.agents.finishing import Checker
from cryptocontent.agents.inputs import load_inputs
from cryptocontent.agents.pipeline import PIPELINE
from cryptocontent.agents.work import StageFailed, Work
from cryptocontent.content.generations import request_generation, state_counts
from cryptocontent.knowledge.research import freeze
from cryptocontent.knowledge.search import search_index
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Article, Brief, Version

ROOT = Path(__file__).parents[1]
_LAUNCH = """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_BACKFILL = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status runs(limit: 1000) { status startTime endTime } } } }"""
_KEYS = '{ assetNodeOrError(assetKey: {path: ["articles"]}) { ... on AssetNode { partitionKeys } } }'


def compare(briefs: int, singles: int, latency: float) -> list[dict[str, Any]]:
    """The three ways side by side; rates are ratios to the bare loop."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        settings, engine, ids = make_house(home, briefs + singles)
        in_flight = _calls_in_flight(settings)
        bulk, alone = ids[:briefs], ids[briefs:]
        freeze(engine, lambda queries: search_index(settings, queries), bulk)
        limit = _bare_loop(engine, bulk, slow_agents(latency), in_flight)
        with _house(home, latency) as (client, process):
            backfill = _backfill(client, process, engine, bulk)
            single = _run_per_article(process, engine, alone)
    rows = []
    for name, seen in (("bare asyncio loop", limit), ("backfill", backfill), ("one run per article", single)):
        rows.append(
            {
                "way": name,
                "articles": seen.articles,
                "seconds": seen.seconds,
                "of which runs": seen.running,
                "articles/min": 60 * seen.articles / seen.seconds,
                "of the limit": (seen.articles / seen.seconds) / (limit.articles / limit.seconds),
                "while running": (seen.articles / seen.running) / (limit.articles / limit.seconds),
                "CPU s/article": seen.cpu / seen.articles,
                "orchestration": (seen.cpu / seen.articles) - (limit.cpu / limit.articles),
                "run MB": seen.memory_mb,
            }
        )
    return rows


# Code server (with the runs that it starts), webserver, daemon.
_PARTS = ("code-server", "dagster_webserver", "cli.daemon")


@dataclass(frozen=True)
class Seen:
    """One way, measured: wall seconds from request to last article, those between the first run's start
    and the last one's end, CPU seconds of all processes, the largest run process."""

    articles: int
    seconds: float
    running: float
    cpu: float
    memory_mb: float


def _calls_in_flight(settings: Settings) -> int:
    """What a backfill may have in flight at once: its runs, or the pool if that is less, times the calls
    inside an op."""
    concurrency = yaml.safe_load((ROOT / "dagster.yaml").read_text())["concurrency"]
    runs = concurrency["runs"]["tag_concurrency_limits"][0]["limit"]
    return int(min(runs, concurrency["pools"]["default_limit"])) * settings.calls_in_flight


def _bare_loop(engine: Engine, ids: Sequence[str], agents: Sequence[Agent], in_flight: int) -> Seen:
    inputs, _ = load_inputs(engine, ids, [agent.stage for agent in agents])
    works = [item.work for item in inputs.values()]
    checker = Checker(engine, inputs)

    async def one(work: Work, places: asyncio.Semaphore) -> bool:
        try:
            for agent in agents:
                async with places:
                    work = await agent.run(work)
            checker.finish(work.brief.id, work)  # the checks are the article's work, not orchestration
        except StageFailed:
            return False
        return True

    async def all_of_them() -> list[bool]:
        places = asyncio.Semaphore(in_flight)
        return await asyncio.gather(*(one(work, places) for work in works))

    began, cpu = time.perf_counter(), time.process_time()
    done = asyncio.run(all_of_them())
    seconds = time.perf_counter() - began
    memory = psutil.Process().memory_info().rss / 1e6
    return Seen(sum(done), seconds, seconds, time.process_time() - cpu, memory)


@contextmanager
def _house(home: Path, latency: float) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """`cryptocontent dev` with the benchmark's definitions, until it is healthy; stopped at the end."""
    import os

    program = (
        "from benchmarks.quiet import console\n"
        "from cryptocontent.cli.dev import run_dev\nfrom cryptocontent.settings import Settings\n"
        "raise SystemExit(run_dev(Settings(), port=3990, quiet=True, module='benchmarks.definitions',"
        " console=console()))"
    )
    environment = os.environ | {"BENCHMARK_LATENCY": str(latency), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = next((line.split()[-1] for line in process.stdout if "http://" in line), None)
        if url is None:
            raise SystemExit(f"the house did not start; see {home / 'logs'}")
        with httpx.Client(base_url=url, timeout=60) as client:
            _wait_for_partitions(client)
            yield client, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _ask(client: httpx.Client, query: str, **variables: Any) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
    if "errors" in answer:
        raise SystemExit(f"GraphQL: {answer['errors']}")
    return answer["data"]


def _wait_for_partitions(client: httpx.Client) -> None:
    deadline = time.monotonic() + 120
    while not _ask(client, _KEYS)["assetNodeOrError"].get("partitionKeys"):
        if time.monotonic() > deadline:
            raise SystemExit("the catalog sensor added no partitions within two minutes")
        time.sleep(0.5)


class _Meter:
    """CPU seconds and the largest process below the house's, sampled while something runs."""

    def __init__(self, process: psutil.Process) -> None:
        self.process, self.peak, self._stop = process, 0.0, threading.Event()
        self._before = self._total()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _total(self) -> dict[str, float]:
        # A parent's times include those of children that it has waited for.
        total: dict[str, float] = {}
        for child in self.process.children():
            name = next((part for part in _PARTS if part in " ".join(child.cmdline())), "other")
            for process in [child, *child.children(recursive=True)]:
                try:
                    times = process.cpu_times()
                except psutil.Error:
                    continue
                spent = times.user + times.system + times.children_user + times.children_system
                total[name] = total.get(name, 0.0) + spent
        return total

    def _sample(self) -> None:
        while not self._stop.wait(0.25):
            for process in self.process.children(recursive=True):
                try:
                    if "spawn_main" in " ".join(process.cmdline()) or "exec(eval" in " ".join(
                        process.cmdline()
                    ):
                        self.peak = max(self.peak, process.memory_info().rss / 1e6)
                except psutil.Error:
                    continue

    def stop(self) -> tuple[float, float]:
        """CPU seconds since the start, peak MB of a run process."""
        self._stop.set()
        self._thread.join()
        spent = {name: seconds - self._before.get(name, 0.0) for name, seconds in self._total().items()}
        print("CPU seconds:", {name: round(seconds, 1) for name, seconds in spent.items()}, flush=True)
        return sum(spent.values()), self.peak


def _backfill(client: httpx.Client, process: psutil.Process, engine: Engine, ids: Sequence[str]) -> Seen:
    meter, began = _Meter(process), time.time()
    assets = [{"path": ["research"]}, {"path": ["articles"]}]
    launched = _ask(client, _LAUNCH, p={"partitionNames": list(ids), "assetSelection": assets, "tags": []})
    identity = launched["launchPartitionBackfill"]["backfillId"]
    while True:
        state = _ask(client, _BACKFILL, id=identity)["partitionBackfillOrError"]
        runs = state["runs"]
        over = [run["endTime"] for run in runs if run["status"] in ("SUCCESS", "FAILURE")]
        if len(over) == len(runs) and _attempted(engine, ids) == len(ids):
            break
        time.sleep(1)
    cpu, memory = meter.stop()
    first = min(run["startTime"] for run in runs)
    return Seen(_done(engine, ids), max(over) - began, max(over) - first, cpu, memory)


def _attempted(engine: Engine, ids: Sequence[str]) -> int:
    with reading(engine) as session:
        failed = session.scalar(select(func.count()).where(Brief.id.in_(ids), Brief.last_error.is_not(None)))
    return _done(engine, ids) + (failed or 0)


def _done(engine: Engine, ids: Sequence[str]) -> int:
    with reading(engine) as session:
        ready = (
            select(func.count())
            .join(Version, Version.id == Article.version_id)
            .where(Article.brief_id.in_(ids), Version.author == PIPELINE[-1].stage)
        )
        return session.scalar(ready.select_from(Article)) or 0


def _run_per_article(process: psutil.Process, engine: Engine, ids: Sequence[str]) -> Seen:
    meter, began = _Meter(process), time.time()
    with writing(engine) as session:
        generation = request_generation(session, PROJECT, ids, WHO, batch_size=1)
    while True:
        with reading(engine) as session:
            if not state_counts(session, generation).get("queued"):
                break
        time.sleep(0.25)
    seconds = time.time() - began
    cpu, memory = meter.stop()
    return Seen(_done(engine, ids), seconds, seconds, cpu, memory)
