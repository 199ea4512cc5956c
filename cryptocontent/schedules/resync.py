"""Every source from the beginning, daily, at an hour at which little else is done."""

from dagster import DefaultScheduleStatus, RunRequest, ScheduleEvaluationContext, SkipReason, schedule
from sqlalchemy import exists, select

from cryptocontent.assets.resync import resync_sources
from cryptocontent.knowledge.market_data import KIND as MARKET
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading
from cryptocontent.storage.models import Source


@schedule(
    name="resync",
    job=resync_sources,
    cron_schedule="17 3 * * *",  # UTC; not on the hour, when everybody asks everybody
    default_status=DefaultScheduleStatus.RUNNING,
)
def resync(context: ScheduleEvaluationContext, platform: PlatformResource) -> RunRequest | SkipReason:
    """One run a day, if anything is watched."""
    with reading(platform.engine) as session:
        watched = session.scalar(select(exists().where(Source.status == "active", Source.kind != MARKET)))
    if not watched:
        return SkipReason("no source is watched: `cryptocontent source add KIND NAME …`")
    return RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%d}")
