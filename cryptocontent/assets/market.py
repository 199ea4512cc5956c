"""`market_facts`: what services state of the projects' assets, by day; the job that fetches the newest."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    BackfillPolicy,
    DailyPartitionsDefinition,
    Failure,
    MaterializeResult,
    MetadataValue,
    OpExecutionContext,
    asset,
    asset_check,
    in_process_executor,
    job,
    op,
)

from cryptocontent.audit import Actor
from cryptocontent.errors import Explained
from cryptocontent.knowledge.divergence import divergences, raise_divergences
from cryptocontent.knowledge.market_data import OFF, Fetched, configured_projects, fetch_facts, load_config
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading, writing
from cryptocontent.storage.types import utc_now

DAYS = DailyPartitionsDefinition("2024-01-01")
"""Days in UTC; the newest partition is yesterday."""
# Services give ranges: a request for ninety days costs what one for a day costs.
_DAYS_PER_RUN = 90


@asset(
    group_name="market",
    kinds={"python"},
    partitions_def=DAYS,
    backfill_policy=BackfillPolicy.multi_run(_DAYS_PER_RUN),
)
def market_facts(context: AssetExecutionContext, platform: PlatformResource) -> MaterializeResult:
    """The last prices, market caps, volumes and values locked of each day, of every project that asks for
    them. A day fetched again makes nothing twice."""
    days = [date.fromisoformat(key) for key in context.partition_keys]
    return MaterializeResult(metadata=_fetch(context, platform, days))


@op
def fetch_newest_facts(context: OpExecutionContext, platform: PlatformResource) -> None:
    """The newest facts, and an alert where sources differ."""
    context.add_output_metadata(_fetch(context, platform, ()))
    for project in configured_projects(platform.engine):
        with writing(platform.engine) as session:
            if config := load_config(session, project):
                new = raise_divergences(session, project, divergences(session, project, config, utc_now()))
                context.log.info(f"{project}: {new} new divergences")


@job(executor_def=in_process_executor)
def fetch_market_facts() -> None:
    """Fetches the newest market facts of every project that asks for them."""
    fetch_newest_facts()


def _fetch(context: Any, platform: PlatformResource, days: Sequence[date]) -> dict[str, Any]:
    projects = configured_projects(platform.engine)
    if not projects:
        context.log.info(OFF)
        return {"projects": 0, "off": OFF}
    total = Fetched()
    actor = Actor("run", context.run.run_id)
    for project in projects:
        try:
            one = fetch_facts(platform.engine, platform.settings, project, actor, days)
        except Explained as error:  # of one project's settings: the others go on
            total.problems.append((project, str(error)))
            continue
        total.answered += one.answered
        total.created, total.known = total.created + one.created, total.known + one.known
        total.problems += [(f"{project}: {service}", reason) for service, reason in one.problems]
        total.gaps += one.gaps
    for service, reason in total.problems:
        context.log.warning(f"{service}: {reason}")
    # The newest facts are asked for again in an hour; of a day that is to be complete nobody would know.
    if total.problems and (days or not total.answered):
        message = "what came is saved; fetch again for the rest" if total.answered else "no service answered"
        raise Failure(message, metadata={"problems": _listed(total.problems)})
    if days and not total.answered:
        raise Failure(f"nothing is stated of {min(days)} to {max(days)}")
    return {
        "projects": len(projects),
        "new facts": total.created,
        "known facts": total.known,
        "not stated": MetadataValue.md("\n".join(f"- {' '.join(gap)}" for gap in total.gaps[:50]) or "none"),
        "problems": _listed(total.problems),
    }


def _listed(problems: Sequence[tuple[str, str]]) -> Any:
    return MetadataValue.md("\n".join(f"- {service}: {reason}" for service, reason in problems) or "none")


@asset_check(asset=market_facts)
def market_divergence(platform: PlatformResource) -> AssetCheckResult:
    """Two services agree on every number that both have stated lately."""
    rows = []
    with reading(platform.engine) as session:
        for project in configured_projects(platform.engine):
            if config := load_config(session, project):
                found = divergences(session, project, config, utc_now())
                rows += [{"project": project, **one.row()} for one in found]
    table = "".join(_line(row) for row in rows[:50])
    heading = "| project | asset | metric | % | low | high |\n|---|---|---|---|---|---|\n"
    return AssetCheckResult(
        passed=not rows,
        severity=AssetCheckSeverity.WARN,
        metadata={
            "divergences": len(rows),
            "table": MetadataValue.md(heading + table if rows else "none"),
        },
    )


def _line(row: dict[str, Any]) -> str:
    low, high = (f"{row[side]:,} {row['unit']} ({row[f'{side}_source']})" for side in ("low", "high"))
    return f"| {row['project']} | {row['asset_id']} | {row['metric']} | {row['percent']} | {low} | {high} |\n"
