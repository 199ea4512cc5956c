"""Publishes scheduled articles when their time has come.

The sensor only asks; the job publishes under the project's lock, and only what is still scheduled and
due, so that a repeated run publishes nothing twice.
"""

from dagster import DefaultSensorStatus, RunRequest, SensorEvaluationContext, SkipReason, sensor

from cryptocontent.assets.operations import publish_due_articles, publish_scheduled
from cryptocontent.content.review import due
from cryptocontent.content.text import content_hash
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading
from cryptocontent.storage.types import utc_now

_ARTICLES_PER_RUN = 100


@sensor(job=publish_scheduled, minimum_interval_seconds=10, default_status=DefaultSensorStatus.RUNNING)
def publications(context: SensorEvaluationContext, platform: PlatformResource) -> RunRequest | SkipReason:
    """Starts `publish_scheduled` for the articles that are due."""
    with reading(platform.engine) as session:
        waiting = due(session, utc_now())[:_ARTICLES_PER_RUN]
    if not waiting:
        return SkipReason("no scheduled article is due")
    config = {"ops": {publish_due_articles.name: {"config": {"article_ids": waiting}}}}
    # The same articles again, after a while: the run that was to publish them may have died.
    minute = utc_now().strftime("%Y-%m-%dT%H:%M")
    return RunRequest(run_key=content_hash([waiting, minute])[:32], run_config=config)
