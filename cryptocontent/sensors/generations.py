"""Starts what people asked for: each requested generation, in batches, exactly once.

A generation's briefs are cut into batches of one run each. A batch whose briefs stand together in
the order of partitions is a ranged run of `generate_articles`; a scattered one is a run of
`regenerate_briefs`. `run_key` keeps a batch from being started twice, also when a tick is repeated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dagster import (
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    WILL_RETRY_TAG,
)
from sqlalchemy import Engine, select, update

from cryptocontent.assets import partitions
from cryptocontent.assets.articles import GENERATION_TAG
from cryptocontent.assets.jobs import export_articles, generate_articles, regenerate_briefs
from cryptocontent.content.generations import brief_ids, close_if_finished, set_outcomes
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.catalog import missing
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Generation, GenerationBrief
from cryptocontent.storage.types import utc_now

_RUNS_PER_TICK = 200
_EXPORT_WINDOW = timedelta(minutes=10)
_CLOSED = ("done", "failed")
_ENDED = (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class Batch:
    """The briefs of one run; `contiguous` if they stand together in the order of partitions."""

    brief_ids: tuple[str, ...]
    contiguous: bool


def cut(wanted: Sequence[str], order: Sequence[str], size: int) -> list[Batch]:
    """Batches of at most `size` briefs, in the order of partitions. Long contiguous stretches become
    ranged batches; what is scattered is gathered, so that no run is started for a single key."""
    place = {brief: index for index, brief in enumerate(order)}
    stretches: list[list[str]] = []
    for brief in sorted(wanted, key=place.__getitem__):
        if stretches and place[stretches[-1][-1]] + 1 == place[brief] and len(stretches[-1]) < size:
            stretches[-1].append(brief)
        else:
            stretches.append([brief])
    whole = [stretch for stretch in stretches if len(stretch) == size]
    rest = [stretch for stretch in stretches if len(stretch) < size]
    if len(rest) == 1:
        whole, rest = [*whole, *rest], []
    scattered = [brief for stretch in rest for brief in stretch]
    gathered = [tuple(scattered[start : start + size]) for start in range(0, len(scattered), size)]
    return [Batch(tuple(stretch), True) for stretch in whole] + [Batch(brief, False) for brief in gathered]


def run_request(generation_id: str, number: int, batch: Batch) -> RunRequest:
    """The Dagster run that carries out one batch."""
    tags = {GENERATION_TAG: generation_id}
    key = f"{generation_id}:{number}"
    if not batch.contiguous:
        return RunRequest(key, {"brief_ids": list(batch.brief_ids)}, tags, job_name=regenerate_briefs.name)
    tags |= {
        ASSET_PARTITION_RANGE_START_TAG: batch.brief_ids[0],
        ASSET_PARTITION_RANGE_END_TAG: batch.brief_ids[-1],
    }
    return RunRequest(key, tags=tags, job_name=generate_articles.name)


def plan(engine: Engine, instance: DagsterInstance, generation_id: str) -> list[RunRequest]:
    """The runs of one generation. Adds partitions that are missing: runs of ranges need them."""
    with reading(engine) as session:
        generation = session.get_one(Generation, generation_id)
        wanted = list(
            session.scalars(select(GenerationBrief.brief_id).filter_by(generation_id=generation_id))
        )
        all_ids = brief_ids(session, generation.project_id)
    name = partitions.briefs.name or ""
    new = missing(all_ids, instance.get_dynamic_partitions(name))
    for start in range(0, len(new), 5000):
        instance.add_dynamic_partitions(name, new[start : start + 5000])
    order = instance.get_dynamic_partitions(name)
    batches = cut(wanted, order, generation.batch_size)
    return [run_request(generation_id, number, batch) for number, batch in enumerate(batches)]


def set_running(engine: Engine, generation_id: str) -> None:
    """The generation's runs are requested."""
    with writing(engine) as session:
        session.execute(
            update(Generation).filter_by(id=generation_id, status="requested").values(status="running")
        )


def all_over(runs: Sequence[DagsterRun]) -> bool:
    """Whether no run is under way, nor a retry about to start."""
    retried = {run.parent_run_id for run in runs}
    return all(
        run.status in _ENDED and (run.tags.get(WILL_RETRY_TAG) != "true" or run.run_id in retried)
        for run in runs
    )


def settle(engine: Engine, generation_id: str, runs: Sequence[DagsterRun]) -> str:
    """When all of the generation's runs are over, fail the briefs of those that ended without saying
    what became of them (killed too often, cancelled). Returns the generation's status."""
    with writing(engine) as session:
        if all_over(runs):
            waiting = session.scalars(
                select(GenerationBrief.brief_id).filter_by(generation_id=generation_id, status="queued")
            ).all()
            reason = (
                f"run {runs[0].run_id} ended ({runs[0].status.value.lower()}) before this brief was through"
            )
            set_outcomes(session, generation_id, dict.fromkeys(waiting, reason), runs[0].run_id)
        return close_if_finished(session, generation_id)


def _open_or_just_ended() -> Any:
    """The last op of a run ends a generation; its export is asked for after that, for as long as it takes
    to be sure that a tick saw it. `run_key` drops the repeats."""
    return Generation.status.in_(("requested", "running")) | (
        Generation.finished_at > utc_now() - _EXPORT_WINDOW
    )


@sensor(
    jobs=[generate_articles, regenerate_briefs, export_articles],
    minimum_interval_seconds=5,
    default_status=DefaultSensorStatus.RUNNING,
)
def generations(context: SensorEvaluationContext, platform: PlatformResource) -> Any:
    """Starts requested generations; exports a project's articles when one of them is through."""
    engine = platform.engine
    with reading(engine) as session:
        open_ones = session.execute(
            select(Generation.id, Generation.project_id, Generation.status)
            .where(Generation.runner == "dagster", _open_or_just_ended())
            .order_by(Generation.created_at)
        ).all()
    if not open_ones:
        return SkipReason("no generation is waiting")
    requests = list(_requests(engine, context.instance, open_ones))
    return SensorResult(run_requests=requests)


def _requests(engine: Engine, instance: DagsterInstance, open_ones: Sequence[Any]) -> Iterator[RunRequest]:
    asked = 0
    for generation_id, project_id, status in open_ones:
        export = RunRequest(
            f"{generation_id}:exports", partition_key=project_id, job_name=export_articles.name
        )
        if status in _CLOSED:
            yield export
            continue
        requests = plan(engine, instance, generation_id)
        runs = instance.get_runs(RunsFilter(tags={GENERATION_TAG: generation_id}))
        if len(runs) >= len(requests):
            if settle(engine, generation_id, runs) in _CLOSED:
                yield export
        elif asked < _RUNS_PER_TICK:
            # Asked for at every tick until all runs are there: should the daemon die between this tick
            # and the submission of its runs, the next one asks again, and `run_key` drops the repeats.
            asked += len(requests)
            yield from requests
            set_running(engine, generation_id)
