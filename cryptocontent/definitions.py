"""The Dagster code location: gathers what the rooms `assets`, `resources` and `sensors` hold."""

from collections.abc import Mapping
from typing import Any

from dagster import Definitions, in_process_executor

from cryptocontent.assets.articles import articles, research
from cryptocontent.assets.checks.articles import article_checks
from cryptocontent.assets.checks.knowledge import knowledge_checks
from cryptocontent.assets.jobs import (
    check_articles,
    check_knowledge,
    export_articles,
    generate_articles,
    import_references,
    regenerate_briefs,
)
from cryptocontent.assets.knowledge import passages, references
from cryptocontent.assets.market import fetch_market_facts, market_divergence, market_facts
from cryptocontent.assets.operations import deliver_publications, publish_scheduled, recall_references
from cryptocontent.assets.publications import exports
from cryptocontent.assets.resync import resync_sources
from cryptocontent.assets.sources import import_sources
from cryptocontent.resources.platform import PipelineResource, PlatformResource
from cryptocontent.schedules.market_facts import collect_market_facts, market_facts_daily, market_facts_hourly
from cryptocontent.schedules.resync import resync
from cryptocontent.sensors.alerts import alerts
from cryptocontent.sensors.catalog import catalog
from cryptocontent.sensors.feeds import feeds
from cryptocontent.sensors.generations import generations
from cryptocontent.sensors.google_drive import google_drive
from cryptocontent.sensors.housekeeping import housekeeping
from cryptocontent.sensors.knowledge_checks import knowledge_checks_sensor
from cryptocontent.sensors.linear import linear
from cryptocontent.sensors.model_batches import model_batches
from cryptocontent.sensors.publications import publications
from cryptocontent.sensors.run_failures import run_failures
from cryptocontent.sensors.stale_content import stale_content


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> Definitions:
    """Every definition; tests and benchmarks replace resources by name."""
    platform = PlatformResource()
    resources = {"platform": platform, "pipeline": PipelineResource(platform=platform)}
    return Definitions(
        assets=[references, passages, market_facts, research, articles, exports],
        asset_checks=[article_checks, knowledge_checks, market_divergence],
        jobs=[
            import_references,
            import_sources,
            collect_market_facts,
            fetch_market_facts,
            check_knowledge,
            generate_articles,
            regenerate_briefs,
            check_articles,
            export_articles,
            publish_scheduled,
            deliver_publications,
            recall_references,
            resync_sources,
        ],
        sensors=[
            alerts,
            catalog,
            feeds,
            generations,
            google_drive,
            housekeeping,
            knowledge_checks_sensor,
            linear,
            model_batches,
            publications,
            run_failures,
            stale_content,
        ],
        schedules=[market_facts_daily, market_facts_hourly, resync],
        resources=resources | dict(resource_overrides or {}),
        # Ops of a run share one process: a process per op costs more than the work of the rules engine.
        executor=in_process_executor,
    )


defs = build_defs()
