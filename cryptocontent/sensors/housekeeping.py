"""Forgets what is kept for a while only: events, and models' answers that served their stage long ago."""

from datetime import timedelta

from dagster import DefaultSensorStatus, SensorEvaluationContext, SkipReason, sensor

from cryptocontent.assets.jobs import export_articles
from cryptocontent.events import prune
from cryptocontent.llm.batch_rows import prune_batches
from cryptocontent.llm.bookings import prune_kept
from cryptocontent.resources.platform import PlatformResource

ANSWERS_KEPT = timedelta(days=30)
"""A stage's answers, and what it asked in the batch lane, serve it while it is done; its result is kept
for good."""


@sensor(job=export_articles, minimum_interval_seconds=3600, default_status=DefaultSensorStatus.RUNNING)
def housekeeping(context: SensorEvaluationContext, platform: PlatformResource) -> SkipReason:
    """Starts no run."""
    events, answers = prune(platform.engine), prune_kept(platform.engine, ANSWERS_KEPT)
    requests = prune_batches(platform.engine, ANSWERS_KEPT)
    return SkipReason(
        f"forgot {events} events and {answers} answers of models; {requests} requests of the batch lane"
    )
