"""What is known before money is spent: what a generation would cost, which of its briefs compete with
others, and which the references have nothing to say about.

The cost is resampled from what articles did cost: as many passes through the same stages, by the same
engines, as there are briefs are drawn from the history, with replacement, many times over; P50 and P90 are
of the totals. Where there is too little history, that is said, and no number is made up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from cryptocontent.agents.agent import Agent, Engaged, engaged
from cryptocontent.agents.pipeline import PIPELINE, stage_states
from cryptocontent.agents.ranking import stem, subject_words, unmentioned
from cryptocontent.agents.work import ResearchPassage, Work, WorkBrief
from cryptocontent.content.templates import Outline, WordRange
from cryptocontent.knowledge.embedding import open_embedder
from cryptocontent.knowledge.index import Query
from cryptocontent.knowledge.overlap import Overlap, overlaps, pieces
from cryptocontent.knowledge.research import stale
from cryptocontent.knowledge.search import search_index
from cryptocontent.llm.policies import load_policies
from cryptocontent.settings import Settings
from cryptocontent.storage.database import batched, reading
from cryptocontent.storage.models import Brief, Passage, Reference, StageResult

FREE_ENGINES: Final = frozenset({"rules"})
"""Engines that call no model: they are known to cost nothing."""
LEAST_HISTORY: Final = 5
"""Fewer passes through the same stages say nothing about the next ones."""
_MOST_HISTORY = 2000  # passes; older ones say less about today's prices
_RESAMPLES = 2000
_HITS = 10
_COLUMNS = ("calls", "input_tokens", "output_tokens", "cost_usd", "seconds")


@dataclass(frozen=True, slots=True)
class Band:
    """What a total will be: half of the resampled totals are below `p50`, nine in ten below `p90`."""

    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What would be done, and what it would take. `usd` and the like are of the briefs whose cost is known,
    `seconds` is the agents' own time; none where nothing is known. `unpriced` briefs would go through
    stages of which too few passes are known (`why` says of which), so their cost comes on top."""

    briefs: int
    stages: int
    calls: Band | None
    input_tokens: Band | None
    output_tokens: Band | None
    usd: Band | None
    seconds: Band | None
    unpriced: int = 0
    why: tuple[str, ...] = ()

    def totals(self) -> dict[str, Any]:
        """The numbers as plain data, to be kept with the generation that is asked for."""
        found: dict[str, Any] = {"briefs": self.briefs, "stages": self.stages, "unpriced": self.unpriced}
        for name in ("calls", "input_tokens", "output_tokens", "usd", "seconds"):
            band: Band | None = getattr(self, name)
            found[name] = None if band is None else {"p50": round(band.p50, 6), "p90": round(band.p90, 6)}
        return found


@dataclass(frozen=True, slots=True)
class Gap:
    """A brief of whose subject the best passages never mention these words; `hits` is how many passages a
    search found at all. `refused`: so little is there that the writer would refuse the brief."""

    brief_id: str
    title: str
    hits: int
    words: tuple[str, ...]
    refused: bool


@dataclass(frozen=True, slots=True)
class Preflight:
    """The three answers. `if_research_changes` is the estimate for the case that the references, which
    changed since (`stale` briefs), bring other passages: then those briefs are written anew."""

    estimate: Estimate
    stale: int
    if_research_changes: Estimate | None
    overlaps: tuple[Overlap, ...]
    gaps: tuple[Gap, ...]


def preflight(
    engine: Engine,
    settings: Settings,
    project_id: str,
    brief_ids: Sequence[str],
    agents: Sequence[Agent] = PIPELINE,
    *,
    newest_facts: bool = False,
) -> Preflight:
    """Look at the briefs; nothing is written, no model is called."""
    with reading(engine) as session:
        known = pieces(session, project_id)
        staff = engaged(agents, load_policies(session, project_id))
    estimate, old, worst = _estimates(engine, settings, brief_ids, agents, staff, newest_facts)
    embedder = open_embedder(settings.embedding_model)
    return Preflight(
        estimate,
        old,
        worst,
        tuple(overlaps(known, brief_ids, embedder, stem)),
        tuple(missing_references(engine, settings, project_id, brief_ids)),
    )


def _estimates(
    engine: Engine,
    settings: Settings,
    brief_ids: Sequence[str],
    agents: Sequence[Agent],
    staff: Sequence[Engaged],
    newest_facts: bool,
) -> tuple[Estimate, int, Estimate | None]:
    states = stage_states(engine, brief_ids, agents)
    due = {brief: _first_missing(states[brief]) for brief in brief_ids}
    old = {brief for brief in stale(engine, brief_ids, newest_facts=newest_facts) if due[brief] > 0}
    with reading(engine) as session:
        history = _history(session, staff)
    now = estimate(list(due.values()), history, staff, settings.calls_in_flight)
    if not old:
        return now, 0, None
    anew = [0 if brief in old else first for brief, first in due.items()]
    return now, len(old), estimate(anew, history, staff, settings.calls_in_flight)


def _first_missing(done: Sequence[bool]) -> int:
    """The index of the stage at which the brief goes on; a stage without result makes those after it run."""
    return next((index for index, is_done in enumerate(done) if not is_done), len(done))


History = Mapping[str, NDArray[np.float64]]
"""For each stage the costs of all known passes, in the same order of passes (rows), with the columns
calls, input tokens, output tokens, USD, seconds; NaN where a pass did not go through the stage."""


def _history(session: Session, agents: Sequence[Agent | Engaged]) -> History:
    """The newest passes: what one Dagster run did for one brief, by the engines that are in force."""
    columns = [getattr(StageResult, name) for name in _COLUMNS]
    passes: dict[tuple[str, str | None], int] = {}
    found: dict[str, dict[int, list[float]]] = {}
    for agent in agents:
        rows = session.execute(
            select(StageResult.brief_id, StageResult.run_id, *columns)
            .filter_by(stage=agent.stage, engine=agent.engine)
            .order_by(StageResult.created_at.desc())
            .limit(_MOST_HISTORY)
        )
        costs = found[agent.stage] = {}
        for brief, run, *values in rows:
            row = passes.setdefault((brief, run), len(passes))
            costs.setdefault(row, [float(value) for value in values])
    history = {}
    for stage, known in found.items():
        table = np.full((len(passes), len(_COLUMNS)), np.nan)
        for row, values in known.items():
            table[row] = values
        history[stage] = table
    return history


def estimate(
    first: Sequence[int],
    history: History,
    agents: Sequence[Agent | Engaged],
    calls_in_flight: int = 20,
    seed: int = 0,
) -> Estimate:
    """What it takes to bring briefs through the stages from their first missing one on (an index; past the
    last for a brief that is done). Time is the agents': rules take their turns, up to `calls_in_flight`
    model calls wait at once."""
    random = np.random.default_rng(seed)
    counts = np.bincount(np.asarray(first, dtype=np.int64), minlength=len(agents) + 1)[: len(agents)]
    total = np.zeros((_RESAMPLES, 4))
    seconds = np.zeros(_RESAMPLES)
    unpriced, timed, why = 0, True, []
    for index, count in enumerate(counts):
        if not count:
            continue
        todo = agents[index:]
        paid = [agent for agent in todo if agent.engine not in FREE_ENGINES]
        if paid:
            costs = _complete(history, paid)
            if len(costs) < LEAST_HISTORY:
                unpriced += int(count)
                names = ", ".join(f"{agent.stage} ({agent.engine})" for agent in paid)
                why.append(f"{len(costs)} of at least {LEAST_HISTORY} known passes through {names}")
            else:
                total += _resampled(random, int(count), costs.sum(axis=1)[:, :4])
        times = _complete(history, todo)
        if len(times) < LEAST_HISTORY:
            timed = False
            continue
        together = min(calls_in_flight, int(count))
        weights = np.array([1.0 if agent.engine in FREE_ENGINES else 1.0 / together for agent in todo])
        seconds += _resampled(random, int(count), (times[:, :, 4] @ weights)[:, None])[:, 0]
    briefs = int(counts.sum())
    known = unpriced < briefs or not briefs
    calls, read, written, usd = (_band(total[:, column]) if known else None for column in range(4))
    return Estimate(
        briefs,
        int(sum(count * (len(agents) - index) for index, count in enumerate(counts))),
        calls=calls,
        input_tokens=read,
        output_tokens=written,
        usd=usd,
        seconds=_band(seconds) if timed else None,
        unpriced=unpriced,
        why=tuple(why),
    )


def _complete(history: History, agents: Sequence[Agent | Engaged]) -> NDArray[np.float64]:
    """The passes that went through all of these stages: pass × stage × column."""
    table = np.stack([history[agent.stage] for agent in agents], axis=1)
    return np.asarray(table[~np.isnan(table).any(axis=(1, 2))][:_MOST_HISTORY])


def _resampled(random: np.random.Generator, count: int, costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Totals of `count` draws with replacement, once per resample: how often each pass was drawn, times
    what it cost."""
    drawn = random.multinomial(count, np.full(len(costs), 1 / len(costs)), size=_RESAMPLES)
    return np.asarray(drawn @ costs)


def _band(values: NDArray[np.float64]) -> Band:
    middle, high = np.percentile(values, (50, 90))
    return Band(float(middle), float(high))


def missing_references(
    engine: Engine, settings: Settings, project_id: str, brief_ids: Sequence[str]
) -> list[Gap]:
    """The briefs on which the references have nothing, or of whose subject their best passages leave words
    unmentioned."""
    briefs: list[Brief] = []
    with reading(engine) as session:
        for ids in batched(brief_ids, 500):
            briefs += session.scalars(select(Brief).where(Brief.id.in_(ids)))
    order = {brief: place for place, brief in enumerate(brief_ids)}
    briefs.sort(key=lambda brief: order[brief.id])
    queries = [Query(" ".join([one.title, *one.keywords]), project_id, limit=_HITS) for one in briefs]
    hits = search_index(settings, queries) if queries else []
    ids = sorted({hit.passage_id for found in hits for hit in found})
    with reading(engine) as session:
        passages = _passages(session, ids)
    gaps = []
    for brief, found in zip(briefs, hits, strict=True):
        work = _work(brief, [passages[hit.passage_id] for hit in found if hit.passage_id in passages])
        left = unmentioned(work)
        if left or not work.research:
            # The writer's own rule: it refuses a brief when more than half of its subject is unknown.
            refused = not work.research or 2 * len(left) > len(subject_words(work))
            gaps.append(Gap(brief.id, brief.title, len(work.research), tuple(left), refused))
    return gaps


def _passages(session: Session, ids: Sequence[str]) -> dict[str, ResearchPassage]:
    found = {}
    for some in batched(ids, 500):
        rows = session.execute(
            select(
                Passage.id, Passage.text, Passage.kind, Passage.heading_path, Reference.id, Reference.title
            )
            .join(Reference, Reference.id == Passage.reference_id)
            .where(Passage.id.in_(some))
        )
        for passage, text, kind, heading_path, reference, title in rows:
            found[passage] = ResearchPassage.model_construct(
                number=0,
                passage_id=passage,
                reference_id=reference,
                revision_id="",
                title=title,
                heading_path=tuple(heading_path),
                kind=kind,
                text=text,
                scores=(),
            )
    return found


def _work(brief: Brief, research: Sequence[ResearchPassage]) -> Work:
    """As much of the work as the question about its subject looks at."""
    outline = Outline(
        title=brief.title,
        language="",
        tone="",
        audience="",
        jurisdictions=(),
        words=WordRange(min=1, max=1),
        sections=(),
    )
    asked = WorkBrief(
        id=brief.id,
        project_id=brief.project_id,
        outline=outline,
        keywords=tuple(brief.keywords),
        variables=brief.variables,
    )
    return Work.model_construct(brief=asked, research=tuple(research))
