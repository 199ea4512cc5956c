"""Whether a run of a job is under way: what sensors ask before they ask for another."""

from collections.abc import Mapping

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

_UNDER_WAY = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def under_way(instance: DagsterInstance, job: str, tags: Mapping[str, str] | None = None) -> bool:
    """Whether a run of the job, with these tags if any are given, waits or works."""
    return instance.get_runs_count(RunsFilter(job_name=job, tags=tags, statuses=_UNDER_WAY)) > 0
