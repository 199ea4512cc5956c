"""Publishes scheduled articles when their time has come, sees to it that what waits is delivered, and asks
what has become of deliveries that people still decide about.

The sensor only asks for runs; the jobs publish under the project's lock and deliver under leases, so that a
repeated run does nothing twice. Questions to targets take a few seconds at most in each tick.
"""

from datetime import datetime

from dagster import (
    DefaultSensorStatus,
    RunRequest,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from cryptocontent.assets.operations import deliver_publications, publish_due_articles, publish_scheduled
from cryptocontent.audit import Actor, requested
from cryptocontent.content.review import due
from cryptocontent.content.text import content_hash
from cryptocontent.publishing.deliveries import some_due
from cryptocontent.publishing.following import follow
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.under_way import under_way
from cryptocontent.storage import reading
from cryptocontent.storage.types import utc_now

_ARTICLES_PER_RUN = 100
_FOLLOW_SECONDS = 15.0


@sensor(
    jobs=[publish_scheduled, deliver_publications],
    minimum_interval_seconds=10,
    default_status=DefaultSensorStatus.RUNNING,
)
def publications(context: SensorEvaluationContext, platform: PlatformResource) -> SensorResult | SkipReason:
    """Starts `publish_scheduled` for the articles that are due, and `deliver_publications` where something
    waits and no run is at it."""
    with reading(platform.engine) as session:
        waiting = due(session, utc_now())[:_ARTICLES_PER_RUN]
    delivering = some_due(platform.engine, platform.settings) and not under_way(
        context.instance, deliver_publications.name
    )
    requests = run_requests(waiting, delivering, utc_now())
    with requested("sensor:publications"):
        changed = follow(
            platform.engine,
            platform.settings,
            actor=Actor("sensor", "publications"),
            seconds=_FOLLOW_SECONDS,
        )
    for outcome in changed:
        context.log.info(str(outcome))
    if requests:
        return SensorResult(run_requests=requests)
    if changed:
        return SkipReason("; ".join(map(str, changed))[:1000])
    return SkipReason(
        "no scheduled article is due, and nothing waits for delivery (targets: `cryptocontent target list`, "
        "see docs/publishing.md)"
    )


def run_requests(article_ids: list[str], delivering: bool, now: datetime) -> list[RunRequest]:
    """The runs to ask for. Their keys hold the minute: the same articles again, after a while, since the run
    that was to publish them may have died."""
    minute = now.strftime("%Y-%m-%dT%H:%M")
    requests = []
    if article_ids:
        config = {"ops": {publish_due_articles.name: {"config": {"article_ids": article_ids}}}}
        key = content_hash([article_ids, minute])[:32]
        requests.append(RunRequest(key, config, job_name=publish_scheduled.name))
    if delivering:
        requests.append(RunRequest(f"deliver:{minute}", job_name=deliver_publications.name))
    return requests
