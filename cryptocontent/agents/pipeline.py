"""The pipeline: which agents there are, in which order, and how far each brief is.

A stage's result is stored under a key of everything that went into it: the brief, the template
version, the frozen research, and every agent (with its version and engine) up to this stage. So the
keys of a brief's whole way are known beforehand; a key that is stored is never worked for again; a
re-run after a crash resumes at the first key that is missing.

To add an agent: write one file with `VERSION` and `rules`, and add one line to `PIPELINE`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from cryptocontent.agents import analyst, editor, leases, proofreader, seo, store, writer
from cryptocontent.agents.store import Inputs, Outcome
from cryptocontent.agents.work import StageFailed, Work
from cryptocontent.content.text import content_hash
from cryptocontent.storage.database import DatabaseUnavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Agent:
    """The code behind a stage. A new `version` or `engine` makes new keys, so the stage runs again."""

    stage: str
    version: str
    engine: str
    run: Callable[[Work], Awaitable[Work]]


PIPELINE: tuple[Agent, ...] = (
    Agent("writer", writer.VERSION, "rules", writer.rules),
    Agent("editor", editor.VERSION, "rules", editor.rules),
    Agent("proofreader", proofreader.VERSION, "rules", proofreader.rules),
    Agent("analyst", analyst.VERSION, "rules", analyst.rules),
    Agent("seo", seo.VERSION, "rules", seo.rules),
)


def stage_keys(agents: Sequence[Agent], input_hash: str) -> list[str]:
    """The key of each stage for one brief's inputs, in order."""
    keys: list[str] = []
    previous = input_hash
    for agent in agents:
        previous = content_hash([agent.stage, agent.version, agent.engine, previous])
        keys.append(previous)
    return keys


@dataclass(slots=True)
class Pipeline:
    """One process's way of taking briefs through the agents.

    `calls_in_flight` bounds the agent calls that run at once. What goes into a brief is read once, so
    that all stages of a run work from the same research. Failures that trying again cannot mend
    (`StageFailed`) are remembered for the life of this object: the next stage's op does not repeat
    them, a new run does.
    """

    engine: Engine
    run_id: str
    agents: Sequence[Agent] = PIPELINE
    calls_in_flight: int = 20
    _permanent: dict[str, str] = field(default_factory=dict)
    _inputs: dict[str, Inputs] = field(default_factory=dict)

    async def advance(self, brief_ids: Sequence[str], stage: str) -> dict[str, str | None]:
        """Make sure that these briefs are done up to `stage`. Returns, for each, `None` or why it is
        not; never raises for one brief. Raises `DatabaseUnavailable` when results cannot be kept."""
        last = next(index for index, agent in enumerate(self.agents) if agent.stage == stage)
        new, errors = store.load_inputs(
            self.engine, [brief for brief in brief_ids if brief not in self._inputs]
        )
        self._inputs |= new
        inputs = {brief: self._inputs[brief] for brief in brief_ids if brief in self._inputs}
        outcome: dict[str, str | None] = dict(errors)
        outcome |= {brief: reason for brief, reason in self._permanent.items() if brief in inputs}
        waiting = {brief: item for brief, item in inputs.items() if brief not in outcome}
        while waiting:
            done = self._done(waiting, last)
            outcome |= dict.fromkeys(done)
            waiting = {brief: item for brief, item in waiting.items() if brief not in done}
            if not waiting:
                break
            owner = leases.new_owner()
            mine = leases.acquire(self.engine, list(waiting), owner)
            if not mine:
                # Another process works on all of them: look again for its results.
                await asyncio.sleep(0.2)
                continue
            try:
                worked = await self._work({brief: waiting.pop(brief) for brief in sorted(mine)}, last, owner)
            finally:
                leases.release(self.engine, owner, sorted(mine))
            outcome |= worked
        changed = {
            brief: reason for brief, reason in outcome.items() if reason or last == len(self.agents) - 1
        }
        store.record_errors(self.engine, changed)
        return outcome

    def _done(self, waiting: Mapping[str, Inputs], last: int) -> set[str]:
        keys = {stage_keys(self.agents, item.input_hash)[last]: brief for brief, item in waiting.items()}
        return {keys[key] for key in store.stored_keys(self.engine, keys)}

    async def _work(self, inputs: Mapping[str, Inputs], last: int, owner: str) -> dict[str, str | None]:
        keys = {brief: stage_keys(self.agents, item.input_hash)[: last + 1] for brief, item in inputs.items()}
        # Looked up again under the lease: the process that held it before may have just finished.
        stored = store.stored_keys(self.engine, [key for chain in keys.values() for key in chain])
        first = {brief: sum(key in stored for key in chain) for brief, chain in keys.items()}
        outputs = store.stored_outputs(self.engine, [keys[brief][n - 1] for brief, n in first.items() if n])
        places = asyncio.Semaphore(self.calls_in_flight)
        saver = _Saver(self.engine, self.run_id)

        async def one(brief: str, item: Inputs) -> str | None:
            start = first[brief]
            work = outputs[keys[brief][start - 1]].onto(item.work) if start else item.work
            for index in range(start, last + 1):
                agent = self.agents[index]
                began = time.perf_counter()
                messages_before = len(work.messages)
                try:
                    async with places:
                        work = await agent.run(work)
                except StageFailed as error:
                    self._permanent[brief] = f"{agent.stage}: {error}"
                    return self._permanent[brief]
                except Exception as error:
                    log.exception("brief %s failed in stage %s", brief, agent.stage)
                    return f"{agent.stage}: {type(error).__name__}: {error}"
                seconds = time.perf_counter() - began
                previous = keys[brief][index - 1] if index else None
                await saver.save(
                    Outcome(
                        item, agent.stage, keys[brief][index], previous, agent.engine, agent.version,
                        work, messages_before, seconds, final=index == len(self.agents) - 1,
                    )
                )  # fmt: skip
            return None

        try:
            async with asyncio.TaskGroup() as group:
                renewal = group.create_task(self._renew(owner))
                tasks = {brief: group.create_task(one(brief, item)) for brief, item in inputs.items()}
                done = {brief: await task for brief, task in tasks.items()}
                renewal.cancel()
        except* DatabaseUnavailable as errors:
            raise errors.exceptions[0] from None
        return done

    async def _renew(self, owner: str) -> None:
        while True:
            await asyncio.sleep(leases.LEASE_SECONDS / 4)
            await asyncio.to_thread(leases.renew, self.engine, owner)


class _Saver:
    """Group commit: results that arrive while a transaction is under way share the next one. A caller
    goes on only when its result is stored."""

    def __init__(self, engine: Engine, run_id: str) -> None:
        self.engine, self.run_id = engine, run_id
        self._queue: list[tuple[Outcome, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None

    async def save(self, outcome: Outcome) -> None:
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((outcome, stored))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._drain())
        await stored

    async def _drain(self) -> None:
        while self._queue:
            batch, self._queue = self._queue, []
            try:
                await asyncio.to_thread(
                    store.save, self.engine, [outcome for outcome, _ in batch], self.run_id
                )
            except Exception as error:
                for _, stored in batch:
                    if not stored.done():
                        stored.set_exception(error)
            else:
                for _, stored in batch:
                    if not stored.done():
                        stored.set_result(None)


def unfinished(engine: Engine, brief_ids: Sequence[str], agents: Sequence[Agent] = PIPELINE) -> set[str]:
    """The briefs without a result of the last stage, and those whose latest attempt failed."""
    last = _last_keys(engine, brief_ids, agents)
    there = store.stored_keys(engine, last)
    done = {brief for key, brief in last.items() if key in there}
    return (set(brief_ids) - done) | store.failed(engine, brief_ids)


def stages_done(engine: Engine, brief_ids: Sequence[str], agents: Sequence[Agent] = PIPELINE) -> int:
    """How many stages of these briefs are stored, of `len(agents)` each."""
    hashes = store.input_hashes(engine, brief_ids).values()
    return len(store.stored_keys(engine, [key for one in hashes for key in stage_keys(agents, one)]))


def blocking_findings(
    engine: Engine, brief_ids: Sequence[str], agents: Sequence[Agent] = PIPELINE
) -> dict[str, str]:
    """Of finished briefs, those whose last stage left a blocking finding, with the reason: the gate
    that keeps an article from being publishable."""
    keys = _last_keys(engine, brief_ids, agents)
    blocked = {}
    for key, output in store.stored_outputs(engine, list(keys)).items():
        reasons = [finding.message for finding in output.findings if finding.severity == "block"]
        if reasons:
            blocked[keys[key]] = "; ".join(reasons)
    return blocked


def _last_keys(engine: Engine, brief_ids: Sequence[str], agents: Sequence[Agent]) -> dict[str, str]:
    """The last stage's key of each brief that has research, and the brief."""
    return {
        stage_keys(agents, one)[-1]: brief for brief, one in store.input_hashes(engine, brief_ids).items()
    }
