"""Looks at the Google Drive folders that are watched, and has imported what is new."""

from dagster import DefaultSensorStatus, SensorEvaluationContext, SensorResult, SkipReason, sensor

from cryptocontent.assets.sources import import_sources
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.sources import watch

_OFF = (
    "no Drive folder is watched: `cryptocontent source add google_drive NAME folder=…` (docs/google-drive.md)"
)


@sensor(job=import_sources, minimum_interval_seconds=60, default_status=DefaultSensorStatus.RUNNING)
def google_drive(context: SensorEvaluationContext, platform: PlatformResource) -> SensorResult | SkipReason:
    """One request per folder in which nothing has changed."""
    return watch(context, platform, ["google_drive"], off=_OFF)
