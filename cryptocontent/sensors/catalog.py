"""Keeps Dagster's partitions in step with the projects and briefs in the database, and shows imports
that were made outside Dagster (command line, API) as materializations of `references`."""

import json
from datetime import datetime

from dagster import (
    AssetMaterialization,
    DefaultSensorStatus,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from sqlalchemy import func, select

from cryptocontent.assets import partitions
from cryptocontent.assets.knowledge import references
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading
from cryptocontent.storage.models import Brief, Project, Reference

# Dagster takes a few thousand partitions at once; the next tick takes the rest.
_KEYS_PER_TICK = 5000


@sensor(minimum_interval_seconds=5, default_status=DefaultSensorStatus.RUNNING)
def catalog(context: SensorEvaluationContext, platform: PlatformResource) -> SensorResult | SkipReason:
    """Adds partitions for new projects and briefs; reports references that changed since it last looked."""
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    with reading(platform.engine) as session:
        projects = list(session.scalars(select(Project.id).order_by(Project.created_at, Project.id)))
        order = (Brief.created_at, Brief.ordinal, Brief.id)
        briefs = list(session.scalars(select(Brief.id).order_by(*order)))
        changed = session.execute(
            select(Reference.project_id, func.max(Reference.updated_at), func.count())
            .where(Reference.status == "active")
            .group_by(Reference.project_id)
        ).all()
    new_projects = missing(projects, context.instance.get_dynamic_partitions(partitions.projects.name or ""))
    new_briefs = missing(briefs, context.instance.get_dynamic_partitions(partitions.briefs.name or ""))[
        :_KEYS_PER_TICK
    ]
    events = []
    for project, latest, count in changed:
        stamp = latest.isoformat() if isinstance(latest, datetime) else str(latest)
        if seen.get(project) != stamp:
            metadata = {"dagster/row_count": count, "changed at": stamp}
            events.append(AssetMaterialization(references.key, partition=project, metadata=metadata))
            seen[project] = stamp
    if not (new_projects or new_briefs or events):
        return SkipReason("no new projects or briefs, and no changed references")
    requests = []
    if new_projects:
        requests.append(partitions.projects.build_add_request(new_projects))
    if new_briefs:
        requests.append(partitions.briefs.build_add_request(new_briefs))
    return SensorResult(dynamic_partitions_requests=requests, asset_events=events, cursor=json.dumps(seen))


def missing(wanted: list[str], there: object) -> list[str]:
    """The wanted keys that are not there, in their order."""
    known = set(there)  # type: ignore[call-overload]
    return [key for key in wanted if key not in known]
