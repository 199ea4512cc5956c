"""The pipeline: which agents there are, in which order, and how far each brief is.

A stage's result is stored under a key of everything that went into it: the brief, the template
version, the frozen research, what people asked of the stages, and every agent (with its version, engine,
prompts and models) up to this stage. So the keys of a brief's whole way are known beforehand; a key that
is stored is never worked for again; a re-run after a crash resumes at the first key that is missing.

After the last stage, whichever it is, the locked notices are put in and all checks run over the text.

To add an agent: write one file with an `Agent`, and add one line to `_OWN`; an agent of another package
comes by an entry point (see `agents.plugins`).
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from cryptocontent.agents import analyst, editor, leases, proofreader, seo, store, writer
from cryptocontent.agents.agent import Agent, Engaged, ModelEngine, engaged
from cryptocontent.agents.by_model import analyst as model_analyst
from cryptocontent.agents.by_model import editor as model_editor
from cryptocontent.agents.by_model import proofreader as model_proofreader
from cryptocontent.agents.by_model import seo as model_seo
from cryptocontent.agents.by_model import writer as model_writer
from cryptocontent.agents.finishing import Checker
from cryptocontent.agents.inputs import Chain, Inputs, chains, load_inputs
from cryptocontent.agents.instructions import instructed
from cryptocontent.agents.plugins import with_plugins
from cryptocontent.agents.staffing import Staffing, Worked
from cryptocontent.agents.store import Outcome
from cryptocontent.agents.work import StageFailed, Work
from cryptocontent.audit import requested
from cryptocontent.content.checking import standing_of
from cryptocontent.content.text import content_hash
from cryptocontent.llm.calls import AnswerPending, BudgetExceeded, ModelsFailed
from cryptocontent.storage.database import DatabaseUnavailable, reading

log = logging.getLogger(__name__)


def _agent(stage: str, rules: Any, model: ModelEngine) -> Agent:
    return Agent(stage, rules.VERSION, "rules", instructed(stage, rules.rules), model)


_OWN: tuple[Agent, ...] = (
    _agent("writer", writer, ModelEngine(model_writer.VERSION, model_writer.write)),
    _agent("editor", editor, ModelEngine(model_editor.VERSION, model_editor.edit)),
    _agent("proofreader", proofreader, ModelEngine(model_proofreader.VERSION, model_proofreader.proofread)),
    _agent("analyst", analyst, ModelEngine(model_analyst.VERSION, model_analyst.analyse)),
    _agent("seo", seo, ModelEngine(model_seo.VERSION, model_seo.optimise)),
)
PIPELINE: tuple[Agent, ...] = with_plugins(_OWN)


def stage_keys(agents: Sequence[Agent], chain: Chain) -> list[str]:
    """The key of each stage for one brief's chain, in order. Stages before a restart have keys, but no
    work: see `first_stage`."""
    keys: list[str] = []
    previous = chain.input_hash
    for agent in engaged(agents, chain.policies):
        parts: list[Any] = [agent.stage, agent.version, agent.engine, previous]
        if agent.identity:
            parts.append(agent.identity)
        if asked := chain.asked.get(agent.stage):
            parts.append(list(asked))
        previous = content_hash(parts)
        keys.append(previous)
    return keys


def first_stage(agents: Sequence[Agent], chain: Chain) -> int:
    """The index of the first stage that has to run for the chain: 0, or the one that starts from a
    person's version."""
    if chain.restart is None:
        return 0
    return next((index for index, agent in enumerate(agents) if agent.stage == chain.restart.stage), 0)


@dataclass(slots=True)
class Pipeline:
    """One process's way of taking briefs through the agents.

    `calls_in_flight` bounds the agent calls that run at once. What goes into a brief is read once, so
    that all stages of a run work from the same research. Failures that trying again at once cannot mend
    (`StageFailed`, no model to be had, a budget used up) are remembered for the life of this object: the
    next stage's op does not repeat them, a new run does. `waiting` are the briefs whose answers wait in a
    vendor's batch: they are not done, but nothing failed.
    """

    engine: Engine
    run_id: str
    agents: Sequence[Agent] = PIPELINE
    calls_in_flight: int = 20
    staffing: Staffing | None = None
    waiting: set[str] = field(default_factory=set)
    _permanent: dict[str, str] = field(default_factory=dict)
    _inputs: dict[str, Inputs] = field(default_factory=dict)

    async def advance(self, brief_ids: Sequence[str], stage: str) -> dict[str, str | None]:
        """Make sure that these briefs are done up to `stage`. Returns, for each, `None` or why it is
        not; never raises for one brief. Raises `DatabaseUnavailable` when results cannot be kept."""
        with requested(f"dagster:{self.run_id}", self.run_id):
            return await self._advance(brief_ids, stage)

    async def _advance(self, brief_ids: Sequence[str], stage: str) -> dict[str, str | None]:
        last = next(index for index, agent in enumerate(self.agents) if agent.stage == stage)
        new, errors = load_inputs(
            self.engine, [brief for brief in brief_ids if brief not in self._inputs], self._stages()
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
        pending = self.waiting & outcome.keys()
        if self.staffing is not None and pending:
            await self.staffing.submit({inputs[brief].work.brief.project_id for brief in pending})
        changed = {
            brief: reason
            for brief, reason in outcome.items()
            if brief not in pending and (reason or last == len(self.agents) - 1)
        }
        store.record_errors(self.engine, changed)
        if self.staffing is not None:
            await asyncio.to_thread(self.staffing.live.flush)
        return outcome

    def blocking_findings(self, brief_ids: Sequence[str]) -> dict[str, str]:
        """Of briefs that this run finished, those whose last stage's version has a blocking finding that
        nobody waived, with the reason: the gate that keeps an article from being publishable. The versions
        are those of this run: policies and instructions may have changed since it began."""
        briefs: dict[str, str] = {}
        versions: list[tuple[str, str]] = []
        for brief in brief_ids:
            if brief in self._inputs:
                article = store.article_id_of(brief)
                briefs[article] = brief
                key = stage_keys(self.agents, self._inputs[brief].chain)[-1]
                versions.append((article, store.version_id_of(article, key)))
        with reading(self.engine) as session:
            standing = standing_of(session, versions)
        reasons = {
            briefs[article]: "; ".join(one.finding.message for one in found if one.blocks)
            for article, found in standing.items()
        }
        return {brief: why for brief, why in reasons.items() if why}

    def _stages(self) -> list[str]:
        return [agent.stage for agent in self.agents]

    def _done(self, waiting: Mapping[str, Inputs], last: int) -> set[str]:
        keys = {stage_keys(self.agents, item.chain)[last]: brief for brief, item in waiting.items()}
        untouched = {brief for brief, item in waiting.items() if first_stage(self.agents, item.chain) > last}
        return {keys[key] for key in store.stored_keys(self.engine, keys)} | untouched

    async def _work(self, inputs: Mapping[str, Inputs], last: int, owner: str) -> dict[str, str | None]:
        keys = {brief: stage_keys(self.agents, item.chain)[: last + 1] for brief, item in inputs.items()}
        begin = {brief: first_stage(self.agents, item.chain) for brief, item in inputs.items()}
        # Looked up again under the lease: the process that held it before may have just finished.
        stored = store.stored_keys(self.engine, [key for chain in keys.values() for key in chain])
        first = {
            brief: begin[brief] + sum(key in stored for key in chain[begin[brief] :])
            for brief, chain in keys.items()
        }
        resumed = {brief: n for brief, n in first.items() if n > begin[brief]}
        outputs = store.stored_outputs(self.engine, [keys[brief][n - 1] for brief, n in resumed.items()])
        checker = Checker(self.engine, inputs) if last == len(self.agents) - 1 else None
        places = asyncio.Semaphore(self.calls_in_flight)
        saver = _Saver(self.engine, self.run_id)

        async def one(brief: str, item: Inputs) -> str | None:
            start = first[brief]
            work = outputs[keys[brief][start - 1]].onto(item.work) if brief in resumed else item.work
            staff = engaged(self.agents, item.chain.policies)
            for index in range(start, last + 1):
                agent = staff[index]
                before, checked = work, None
                began = time.perf_counter()
                try:
                    async with places:
                        began = time.perf_counter()  # to wait for a place is not the stage's time
                        done = await self._stage(agent, item, before)
                    work = done.work
                    if checker is not None and index == last:
                        work, checked = checker.finish(brief, work)
                except AnswerPending as error:
                    self.waiting.add(brief)
                    self._permanent[brief] = f"{agent.stage}: {error}"
                    return self._permanent[brief]
                except (StageFailed, ModelsFailed, BudgetExceeded) as error:
                    self._permanent[brief] = f"{agent.stage}: {error}"
                    return self._permanent[brief]
                except DatabaseUnavailable:
                    raise
                except Exception as error:
                    log.exception("brief %s failed in stage %s", brief, agent.stage)
                    return f"{agent.stage}: {type(error).__name__}: {error}"
                seconds = time.perf_counter() - began
                previous = keys[brief][index - 1] if index > begin[brief] else None
                await saver.save(
                    Outcome(
                        item, agent.stage, keys[brief][index], previous, done.engine, done.version,
                        before, work, seconds, checked, done.made_by,
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

    async def _stage(self, agent: Engaged, item: Inputs, work: Work) -> Worked:
        if agent.by_model is None:
            return Worked(await agent.run(work), agent.engine, agent.version, {})
        if self.staffing is None:
            raise StageFailed("the project's policy asks for a model, but this process has no models")
        done = await self.staffing.work(agent, item, work, self.run_id)
        # What the models said comes before the news that the stage is done.
        await asyncio.to_thread(self.staffing.live.flush)
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


def stage_states(
    engine: Engine, brief_ids: Sequence[str], agents: Sequence[Agent] = PIPELINE
) -> dict[str, list[bool]]:
    """For each brief, whether each stage's result is stored (or is not needed), in order."""
    known = chains(engine, brief_ids, [agent.stage for agent in agents])
    keys = {brief: stage_keys(agents, chain) for brief, chain in known.items()}
    stored = store.stored_keys(engine, [key for chain in keys.values() for key in chain])
    states = {brief: [False] * len(agents) for brief in brief_ids}
    for brief, chain in keys.items():
        begin = first_stage(agents, known[brief])
        states[brief] = [index < begin or key in stored for index, key in enumerate(chain)]
    return states


def stages_done(engine: Engine, brief_ids: Sequence[str], agents: Sequence[Agent] = PIPELINE) -> int:
    """How many stages of these briefs are stored, of `len(agents)` each."""
    return sum(sum(states) for states in stage_states(engine, brief_ids, agents).values())


def _last_keys(engine: Engine, brief_ids: Sequence[str], agents: Sequence[Agent]) -> dict[str, str]:
    """The last stage's key of each brief that has research, and the brief."""
    known = chains(engine, brief_ids, [agent.stage for agent in agents])
    return {stage_keys(agents, chain)[-1]: brief for brief, chain in known.items()}
