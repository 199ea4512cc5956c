"""Market facts by the clock: those of yesterday once a day, the newest once an hour."""

from datetime import timedelta
from typing import Any

from dagster import (
    AssetSelection,
    DefaultScheduleStatus,
    RunRequest,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    schedule,
)

from cryptocontent.assets.market import fetch_market_facts, market_facts
from cryptocontent.knowledge.market_data import OFF, configured_projects
from cryptocontent.resources.platform import PlatformResource

collect_market_facts = define_asset_job(
    "collect_market_facts",
    AssetSelection.assets(market_facts),
    description="Fetch the market facts of past days. Ranges and backfills ask for ninety days at once.",
)


_DAYS_LOOKED_BACK = 7


@schedule(
    cron_schedule="20 0 * * *",
    execution_timezone="UTC",
    job=collect_market_facts,
    default_status=DefaultScheduleStatus.RUNNING,
)
def market_facts_daily(context: ScheduleEvaluationContext, platform: PlatformResource) -> Any:
    """The facts of the day that has just ended, and of those of the week before it that are missing."""
    if not configured_projects(platform.engine):
        return SkipReason(OFF)
    today = context.scheduled_execution_time
    there = context.instance.get_materialized_partitions(market_facts.key)
    days = [(today - timedelta(days=ago)).strftime("%Y-%m-%d") for ago in range(1, _DAYS_LOOKED_BACK + 1)]
    return [
        RunRequest(run_key=f"{day}:{today:%Y-%m-%d}", partition_key=day) for day in days if day not in there
    ]


@schedule(
    cron_schedule="5 * * * *",
    execution_timezone="UTC",
    job=fetch_market_facts,
    default_status=DefaultScheduleStatus.RUNNING,
)
def market_facts_hourly(context: ScheduleEvaluationContext, platform: PlatformResource) -> Any:
    """The newest facts."""
    if not configured_projects(platform.engine):
        return SkipReason(OFF)
    return RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H}")
