"""Starts what people asked for: each requested generation, in batches, exactly once.

A generation's waiting briefs are cut into batches of one run each, those of higher priority first, and
the number of its batch is written to each brief before any run is asked for: a batch stays what it is,
whatever happens to the order of partitions. A tick asks for the runs of the batches that Dagster does not
have; `run_key` keeps a batch from being started twice, also when a tick is repeated. A batch whose briefs
stand together in the order of partitions is a ranged run of `generate_articles`; a scattered one is a run
of `regenerate_briefs`.
"""

from collections.abc import Iterator, Mapping, Sequence
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
    PRIORITY_TAG,
    WILL_RETRY_TAG,
)
from sqlalchemy import Engine, case, select

from cryptocontent.assets import partitions
from cryptocontent.assets.articles import BATCH_TAG, GENERATION_TAG
from cryptocontent.assets.jobs import export_articles, generate_articles, regenerate_briefs
from cryptocontent.audit import lock
from cryptocontent.content import generations as content
from cryptocontent.content.briefs import PRIORITIES
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.catalog import missing
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Generation
from cryptocontent.storage.types import utc_now

_RUNS_PER_TICK = 200
_EXPORT_WINDOW = timedelta(minutes=10)
_ENDED = (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)
# The run queue takes runs of a higher number first.
_RUN_PRIORITY = {"low": -10, "normal": 0, "high": 10}


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


def cut_by_priority(waiting: Sequence[tuple[str, str]], order: Sequence[str], size: int) -> list[Batch]:
    """Batches of the waiting briefs (each with its priority): those of a higher priority in earlier ones,
    never two priorities in one."""
    classes: dict[str, list[str]] = {}
    for brief, priority in waiting:
        classes.setdefault(priority, []).append(brief)
    return [
        batch
        for priority in sorted(PRIORITIES, key=content.rank)
        for batch in cut(classes.get(priority, ()), order, size)
    ]


def run_request(generation_id: str, number: int, batch: Batch, priority: str = "normal") -> RunRequest:
    """The Dagster run that carries out one batch."""
    tags = {
        GENERATION_TAG: generation_id,
        BATCH_TAG: str(number),
        PRIORITY_TAG: str(_RUN_PRIORITY[priority]),
    }
    key = f"{generation_id}:{number}"
    if not batch.contiguous:
        return RunRequest(key, {"brief_ids": list(batch.brief_ids)}, tags, job_name=regenerate_briefs.name)
    tags |= {
        ASSET_PARTITION_RANGE_START_TAG: batch.brief_ids[0],
        ASSET_PARTITION_RANGE_END_TAG: batch.brief_ids[-1],
    }
    return RunRequest(key, tags=tags, job_name=generate_articles.name)


def plan(engine: Engine, instance: DagsterInstance, generation_id: str) -> list[RunRequest]:
    """The runs that the generation needs and Dagster does not have. Cuts what waits into batches first,
    and adds partitions that are missing: runs of ranges need them."""
    with reading(engine) as session:
        generation = session.get_one(Generation, generation_id)
        if generation.status not in content.STARTABLE:
            return []
        all_ids = content.brief_ids(session, generation.project_id)
        some_wait = bool(content.waiting(session, generation_id))
    order = _with_partitions(instance, all_ids)
    if some_wait:
        with writing(engine) as session:
            # Another planner (the sensor, a local runner) waits here, and then finds nothing to cut.
            lock(session, generation.project_id)
            waiting = content.waiting(session, generation_id)
            batches = cut_by_priority(waiting, order, generation.batch_size)
            content.give_batches(session, generation_id, [batch.brief_ids for batch in batches])
    with reading(engine) as session:
        open_batches = content.open_batches(session, generation_id)
    started = _started(runs_of(instance, generation_id))
    place = {brief: index for index, brief in enumerate(order)}
    return [
        run_request(generation_id, number, _whole(briefs, place), generation.priority)
        for number, briefs in open_batches.items()
        if number not in started
    ]


def _with_partitions(instance: DagsterInstance, brief_ids: list[str]) -> Sequence[str]:
    """The briefs' partitions in Dagster's order, those that are missing added."""
    name = partitions.briefs.name or ""
    order = instance.get_dynamic_partitions(name)
    new = missing(brief_ids, order)
    for start in range(0, len(new), 5000):
        instance.add_dynamic_partitions(name, new[start : start + 5000])
    return instance.get_dynamic_partitions(name) if new else order


def _whole(brief_ids: Sequence[str], place: Mapping[str, int]) -> Batch:
    """A stored batch as it stands in today's order of partitions."""
    ordered = sorted(brief_ids, key=place.__getitem__)
    return Batch(tuple(ordered), place[ordered[-1]] - place[ordered[0]] == len(ordered) - 1)


def runs_of(instance: DagsterInstance, generation_id: str) -> dict[int, list[DagsterRun]]:
    """The generation's runs by the number of their batch, the newest first."""
    runs: dict[int, list[DagsterRun]] = {}
    for run in instance.get_runs(RunsFilter(tags={GENERATION_TAG: generation_id})):
        if run.tags.get(BATCH_TAG, "").isdigit():
            runs.setdefault(int(run.tags[BATCH_TAG]), []).append(run)
    return runs


def set_running(engine: Engine, generation_id: str) -> None:
    """The generation's runs are requested."""
    with writing(engine) as session:
        content.set_running(session, generation_id)


def _started(runs: Mapping[int, Sequence[DagsterRun]]) -> set[int]:
    """The batches whose run was handed over. One that was only written down is asked for again, should
    the daemon have died in between: it then launches the run that it finds under the same `run_key`."""
    waits = DagsterRunStatus.NOT_STARTED
    return {number for number, some in runs.items() if any(run.status != waits for run in some)}


def all_over(runs: Sequence[DagsterRun]) -> bool:
    """Whether no run is under way, nor a retry about to start."""
    retried = {run.parent_run_id for run in runs}
    return all(
        run.status in _ENDED and (run.tags.get(WILL_RETRY_TAG) != "true" or run.run_id in retried)
        for run in runs
    )


def settle(engine: Engine, generation_id: str, runs: Mapping[int, Sequence[DagsterRun]]) -> str:
    """Where all runs of a batch are over, fail the briefs of which none said what became of them (killed
    too often, cancelled); if the generation is paused they wait for it to be resumed. Returns the
    generation's status."""
    with reading(engine) as session:
        status = session.get_one(Generation, generation_id).status
        left = content.open_batches(session, generation_id)
        over = [number for number in left if runs.get(number) and all_over(runs[number])]
        if not over and (left or content.waiting(session, generation_id)):
            return status
    with writing(engine) as session:
        for number in over:
            run = runs[number][0]
            if status == "paused":
                content.give_back(session, generation_id, left[number], number)
                continue
            reason = f"run {run.run_id} ended ({run.status.value.lower()}) before this brief was through"
            # Asked again within the transaction: the run's last op may have told in the meantime.
            still = content.open_batches(session, generation_id).get(number, [])
            content.set_outcomes(session, generation_id, dict.fromkeys(still, reason), run.run_id)
        return content.close_if_finished(session, generation_id)


def _open_or_just_ended() -> Any:
    """The last op of a run ends a generation; its export is asked for after that, for as long as it takes
    to be sure that a tick saw it. `run_key` drops the repeats."""
    return Generation.status.in_((*content.STARTABLE, "paused")) | (
        Generation.finished_at > utc_now() - _EXPORT_WINDOW
    )


@sensor(
    jobs=[generate_articles, regenerate_briefs, export_articles],
    minimum_interval_seconds=5,
    default_status=DefaultSensorStatus.RUNNING,
)
def generations(context: SensorEvaluationContext, platform: PlatformResource) -> Any:
    """Starts requested generations, the most urgent first; exports a project's articles when one of them is
    through."""
    engine = platform.engine
    urgency = case({priority: content.rank(priority) for priority in PRIORITIES}, value=Generation.priority)
    with reading(engine) as session:
        open_ones = session.execute(
            select(Generation.id, Generation.project_id, Generation.status)
            .where(Generation.runner == "dagster", _open_or_just_ended())
            .order_by(urgency, Generation.created_at)
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
        if status in content.ENDED:
            yield export
            continue
        if asked < _RUNS_PER_TICK:
            # Asked for at every tick until the runs are there: should the daemon die between this tick
            # and the submission of its runs, the next one asks again, and `run_key` drops the repeats.
            wanted = plan(engine, instance, generation_id)[: _RUNS_PER_TICK - asked]
            asked += len(wanted)
            yield from wanted
            if status == "requested":
                set_running(engine, generation_id)
        if settle(engine, generation_id, runs_of(instance, generation_id)) in content.ENDED:
            yield export
