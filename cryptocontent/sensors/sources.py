"""What the sensors of watched sources have in common: look at each for a while, ask for an import of what
was found."""

import json
import time
from collections.abc import Sequence

from dagster import RunRequest, SensorResult, SkipReason
from dagster import SensorEvaluationContext as Context

from cryptocontent.assets.sources import IMPORT_TAG, import_found_items, import_sources
from cryptocontent.knowledge.sources.store import due_sources, look_at, watched
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.under_way import under_way
from cryptocontent.storage.types import utc_now

_LONGEST_LOOK = 10.0


def watch(
    context: Context, platform: PlatformResource, kinds: Sequence[str], *, off: str, seconds: float = 20.0
) -> SensorResult | SkipReason:
    """Look at the active sources of these kinds, the one that waits longest first, for about so many seconds
    (Dagster gives a tick 60); ask for a run of `import_sources` per project with something to import, unless
    one is under way. `off` is said where no source is watched."""
    sources = watched(platform.engine, kinds)
    if not sources:
        return SkipReason(off)
    deadline = time.monotonic() + seconds
    told = []
    off_now, withdrawn = set(), dict[str, set[str]]()
    for source in sources:
        left = deadline - time.monotonic()
        if left <= 0:
            told.append("others at the next tick")
            break
        looked = look_at(platform.engine, platform.settings, source.id, seconds=min(left, _LONGEST_LOOK))
        news = f"{looked.found} new or changed, {looked.gone} gone"
        told.append(f"{source.project_id}/{source.name}: {looked.error or news}")
        if looked.off:
            off_now.add(source.id)
        if looked.gone:
            withdrawn.setdefault(source.project_id, set()).add(source.id)
        if looked.error:
            context.log.warning(told[-1])
    wanted = {project: set(ids) - off_now for project, ids in due_sources(platform.engine, sources).items()}
    for project, ids in withdrawn.items():  # the search index has to hear of it
        wanted[project] = wanted.get(project, set()) | ids
    requests = [
        _request(project, context.sensor_name, sorted(source_ids))
        for project, source_ids in wanted.items()
        if source_ids
        and not under_way(
            context.instance, import_sources.name, {IMPORT_TAG: f"{project}:{context.sensor_name}"}
        )
    ]
    # For people: how far a source was read stands in the source itself.
    cursor = json.dumps({"looked_at": utc_now().isoformat(timespec="seconds"), "sources": told[:50]})
    if not requests:
        context.update_cursor(cursor)
        return SkipReason("; ".join(told)[:1000])
    return SensorResult(run_requests=requests, cursor=cursor)


def _request(project: str, sensor: str, source_ids: Sequence[str]) -> RunRequest:
    config = {"project": project, "source_ids": list(source_ids)}
    return RunRequest(
        # Not by what is to be imported: what a killed run left has to be asked for again.
        run_key=f"{project}:{sensor}:{utc_now():%Y-%m-%dT%H:%M:%S}",
        job_name=import_sources.name,
        run_config={"ops": {import_found_items.name: {"config": config}}},
        tags={IMPORT_TAG: f"{project}:{sensor}"},
    )
