"""Holds a project's references and passages against their suites whenever search changed."""

from dagster import DefaultSensorStatus, RunRequest, SensorEvaluationContext, SensorResult, SkipReason, sensor
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from sqlalchemy import select

from cryptocontent.assets import partitions
from cryptocontent.assets.jobs import check_knowledge
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading
from cryptocontent.storage.models import Project


@sensor(
    name="knowledge_checks",
    job=check_knowledge,
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
)
def knowledge_checks_sensor(
    context: SensorEvaluationContext, platform: PlatformResource
) -> SensorResult | SkipReason:
    """One run of `check_knowledge` per project and version of its knowledge: `run_key` drops repeats."""
    with reading(platform.engine) as session:
        rows = session.execute(select(Project.id, Project.knowledge_version).order_by(Project.id)).all()
    there = set(context.instance.get_dynamic_partitions(partitions.projects.name or ""))
    requests = [
        # A job of checks alone takes its partitions as a range.
        RunRequest(
            run_key=f"{project}:{version}",
            tags={ASSET_PARTITION_RANGE_START_TAG: project, ASSET_PARTITION_RANGE_END_TAG: project},
        )
        for project, version in rows
        if version and project in there
    ]
    return SensorResult(run_requests=requests) if requests else SkipReason("no project has references yet")
