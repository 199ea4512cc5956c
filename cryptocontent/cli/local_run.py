"""Carries out generations and jobs in this process, through Dagster, when no daemon is there to do it.

`python -m cryptocontent.cli.local_run STEP…`, see `main`. The runs are kept in the Dagster instance
like any other.
"""

import os
import sys
import time
from typing import Any

from cryptocontent.settings import Settings

# The daemon beats every 30 s.
_HEARTBEAT_SECONDS = 75
# On the runs of this module: the id of the process that carries them out.
_LOCAL_TAG = "cryptocontent/local_process"


def run(generation_id: str, leave_to_daemon: bool = True) -> str:
    """Carry out the generation; returns `left to the daemon` or the generation's status at its end. One of
    the batch lane is always left to the daemon: to wait a day for vendors is its sensor's work."""
    from dagster import DagsterInstance
    from filelock import FileLock

    from cryptocontent.definitions import defs
    from cryptocontent.resources.instance import prepare_dagster_home
    from cryptocontent.sensors.generations import plan, runs_of, set_running, settle
    from cryptocontent.storage import ready_engine, writing
    from cryptocontent.storage.models import Generation

    settings = Settings()
    prepare_dagster_home(settings)
    engine = ready_engine(settings.database_url)
    locks = settings.home / "locks"
    locks.mkdir(exist_ok=True)
    # One process at a time carries a generation out here: the one that was paused may not have ended yet
    # when it is resumed.
    with FileLock(locks / f"generation-{generation_id}.lock"), DagsterInstance.get() as instance:
        _bury_the_dead(engine, instance, generation_id)
        daemon = leave_to_daemon and daemon_reported(instance)
        with writing(engine) as session:
            generation = session.get_one(Generation, generation_id)
            daemon = daemon or generation.lane == "batch"
            generation.runner = "dagster" if daemon else "local"
        if daemon:
            return "left to the daemon"
        # Planned anew after each run: it may have been paused or cancelled in the meantime.
        while requests := plan(engine, instance, generation_id):
            set_running(engine, generation_id)
            job = defs.resolve_job_def(str(requests[0].job_name))
            job.execute_in_process(
                run_config=requests[0].run_config or None,
                tags={**requests[0].tags, _LOCAL_TAG: str(os.getpid())},
                instance=instance,
                raise_on_error=False,
            )
        return settle(engine, generation_id, runs_of(instance, generation_id))


def _bury_the_dead(engine: Any, instance: Any, generation_id: str) -> None:
    """Give back the briefs of runs whose process was killed: who holds the generation's lock knows that no
    other one carries it out here."""
    from cryptocontent.content.generations import give_back, open_batches
    from cryptocontent.sensors.generations import all_over, runs_of
    from cryptocontent.storage import writing

    for number, runs in runs_of(instance, generation_id).items():
        dead = [run for run in runs if _LOCAL_TAG in run.tags and not all_over([run])]
        for run in dead:
            instance.report_run_failed(run, "the process that carried this run out was killed")
        if dead:
            with writing(engine) as session:
                left = open_batches(session, generation_id).get(number, [])
                give_back(session, generation_id, left, number)


def materialize(job_name: str, partition: str) -> bool:
    """Run a job for one partition in this process; whether it succeeded."""
    from dagster import DagsterInstance

    from cryptocontent.assets import partitions
    from cryptocontent.definitions import defs
    from cryptocontent.resources.instance import prepare_dagster_home

    prepare_dagster_home(Settings())
    with DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(partitions.projects.name or "", [partition])
        job = defs.resolve_job_def(job_name)
        return job.execute_in_process(
            partition_key=partition, instance=instance, raise_on_error=False
        ).success


def daemon_reported(instance: Any) -> bool:
    """Whether a sensor daemon reported lately. It may have died since: who waits for it must look."""
    heartbeat = instance.get_daemon_heartbeats().get("SENSOR")
    return heartbeat is not None and time.time() - heartbeat.timestamp < _HEARTBEAT_SECONDS


def main(steps: list[str]) -> int:
    """Take the steps in order: `job:NAME:PARTITION`, `generation:ID` (left to a daemon that reported
    lately) or `generation-here:ID`. Returns 1 at the first job that fails."""
    for step in steps:
        kind, _, rest = step.partition(":")
        if kind == "job":
            name, _, partition = rest.partition(":")
            if not materialize(name, partition):
                return 1
        else:
            run(rest, leave_to_daemon=kind == "generation")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
