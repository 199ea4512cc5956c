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


@schedule(
    cron_schedule="20 0 * * *",
    execution_timezone="UTC",
    job=collect_market_facts,
    default_status=DefaultScheduleStatus.RUNNING,
)
def market_facts_daily(context: ScheduleEvaluationContext, platform: PlatformResource) -> Any:
    """The facts of the day that has just ended."""
    if not configured_projects(platform.engine):
        return SkipReason(OFF)
    day = (context.scheduled_execution_time - timedelta(days=1)).strftime("%Y-%m-%d")
    return RunRequest(run_key=day, partition_key=day)


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
