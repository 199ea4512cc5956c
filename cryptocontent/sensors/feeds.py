"""Looks at pages, sitemaps and feeds, and asks for the import of what is new."""

from dagster import DefaultSensorStatus, SensorEvaluationContext, SensorResult, SkipReason, sensor

from cryptocontent.assets.sources import import_sources
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.sensors.sources import watch

_KINDS = ("web", "sitemap", "feed")
_OFF = (
    "no page, sitemap or feed is watched: `cryptocontent source add feed NAME url=https://…`, "
    "see docs/web-sources.md"
)
# The look that begins last makes two requests of 12 s (robots.txt, the feed) and may read for another 12:
# Dagster gives a tick 60 s.
_SECONDS = 20.0


@sensor(job=import_sources, minimum_interval_seconds=60, default_status=DefaultSensorStatus.RUNNING)
def feeds(context: SensorEvaluationContext, platform: PlatformResource) -> SensorResult | SkipReason:
    """Each source says itself when it is due: most ticks ask nobody."""
    return watch(context, platform, _KINDS, off=_OFF, seconds=_SECONDS)
