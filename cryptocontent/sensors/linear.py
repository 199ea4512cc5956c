"""Looks at the Linear teams that are watched: issues become briefs, and how far they are is told there."""

import json
import time

from dagster import DefaultSensorStatus, SensorEvaluationContext, SkipReason, sensor

from cryptocontent.audit import requested
from cryptocontent.integrations.linear_access import off
from cryptocontent.planning.linear_sources import active_sources
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading
from cryptocontent.storage.types import utc_now

_OFF = "no Linear team is watched: `cryptocontent linear add NAME team=… label=…` (docs/linear.md)"
_SECONDS = 40.0
_LONGEST_LOOK = 20.0


@sensor(minimum_interval_seconds=30, default_status=DefaultSensorStatus.RUNNING)
def linear(context: SensorEvaluationContext, platform: PlatformResource) -> SkipReason:
    """Asks for no run itself: new briefs are in the database, and so is the generation of those that ask for
    one, which the sensor `generations` starts."""
    with reading(platform.engine) as session:
        sources = active_sources(session)
    if not sources:
        return SkipReason(_OFF)
    if why := off(platform.settings):
        return SkipReason(why)
    from cryptocontent.planning.linear_sync import sync_source
    from cryptocontent.planning.webhooks import apply_deliveries, prune_deliveries

    deadline = time.monotonic() + _SECONDS
    with requested("sensor:linear"):
        delivered = apply_deliveries(platform.engine, platform.settings, most=2000)
        told = []
        for source in sources:
            left = deadline - time.monotonic()
            if left <= 0:
                told.append("others at the next tick")
                break
            seconds = min(left, _LONGEST_LOOK)
            synced = sync_source(platform.engine, platform.settings, source.id, seconds=seconds)
            told.append(f"{source.project_id}/{source.name}: {synced}")
            if synced.error:
                context.log.warning(told[-1])
        prune_deliveries(platform.engine)
    if delivered["applied"]:
        told.append(f"{delivered['applied']} deliveries applied")
    # For people: how far a team was read stands in its source.
    seen = {"looked_at": utc_now().isoformat(timespec="seconds"), "sources": told[:50]}
    context.update_cursor(json.dumps(seen))
    return SkipReason("; ".join(told)[:1000])
