"""Keeps Dagster's partitions in step with the projects and briefs in the database, and shows imports
that were made outside Dagster (command line, API) as materializations of `references` and `passages`."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from dagster import (
    AssetKey,
    AssetMaterialization,
    DefaultSensorStatus,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cryptocontent.assets import partitions
from cryptocontent.assets.knowledge import passages, references
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading
from cryptocontent.storage.models import Brief, Passage, Project, Reference

# Dagster takes a few thousand partitions at once; the next tick takes the rest.
_KEYS_PER_TICK = 5000


@sensor(minimum_interval_seconds=5, default_status=DefaultSensorStatus.RUNNING)
def catalog(context: SensorEvaluationContext, platform: PlatformResource) -> SensorResult | SkipReason:
    """Adds partitions for new projects and briefs; reports references and passages that changed since it
    last looked."""
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    with reading(platform.engine) as session:
        projects = list(session.scalars(select(Project.id).order_by(Project.created_at, Project.id)))
        order = (Brief.created_at, Brief.ordinal, Brief.id)
        briefs = list(session.scalars(select(Brief.id).order_by(*order)))
        states = list(_states(session))
    new_projects = missing(projects, context.instance.get_dynamic_partitions(partitions.projects.name or ""))
    new_briefs = missing(briefs, context.instance.get_dynamic_partitions(partitions.briefs.name or ""))
    new_briefs = new_briefs[:_KEYS_PER_TICK]
    events = []
    for key, project, stamp, count in states:
        name = f"{key.to_user_string()}:{project}"
        if seen.get(name) != stamp:
            metadata: dict[str, Any] = {"dagster/row_count": count, "state": stamp}
            events.append(AssetMaterialization(key, partition=project, metadata=metadata))
            seen[name] = stamp
    if not (new_projects or new_briefs or events):
        return SkipReason("no new projects or briefs, and no changed references")
    requests = []
    if new_projects:
        requests.append(partitions.projects.build_add_request(new_projects))
    if new_briefs:
        requests.append(partitions.briefs.build_add_request(new_briefs))
    return SensorResult(dynamic_partitions_requests=requests, asset_events=events, cursor=json.dumps(seen))


def _states(session: Session) -> Iterator[tuple[AssetKey, str, str, int]]:
    """What changes with every import and every sync of the index: asset, project, a stamp, how many rows."""
    imported = session.execute(
        select(Reference.project_id, func.max(Reference.updated_at), func.count())
        .where(Reference.status == "active")
        .group_by(Reference.project_id)
    )
    for project, latest, count in imported:
        # SQLite gives the maximum of instants as text.
        yield references.key, project, latest.isoformat() if isinstance(latest, datetime) else latest, count
    indexed = session.execute(
        select(Project.id, Project.knowledge_version, func.count(Passage.id))
        .join(Passage, (Passage.project_id == Project.id) & Passage.indexed_in.is_not(None))
        .group_by(Project.id, Project.knowledge_version)
    )
    for project, version, count in indexed:
        yield passages.key, project, f"knowledge version {version}", count


def missing(wanted: list[str], there: object) -> list[str]:
    """The wanted keys that are not there, in their order."""
    known = set(there)  # type: ignore[call-overload]
    return [key for key in wanted if key not in known]
