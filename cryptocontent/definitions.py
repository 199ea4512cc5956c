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
from cryptocontent.assets.operations import publish_scheduled, recall_references
from cryptocontent.assets.publications import exports
from cryptocontent.resources.platform import PipelineResource, PlatformResource
from cryptocontent.sensors.catalog import catalog
from cryptocontent.sensors.generations import generations
from cryptocontent.sensors.housekeeping import housekeeping
from cryptocontent.sensors.knowledge_checks import knowledge_checks_sensor
from cryptocontent.sensors.model_batches import model_batches
from cryptocontent.sensors.publications import publications


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> Definitions:
    """Every definition; tests and benchmarks replace resources by name."""
    platform = PlatformResource()
    resources = {"platform": platform, "pipeline": PipelineResource(platform=platform)}
    return Definitions(
        assets=[references, passages, research, articles, exports],
        asset_checks=[article_checks, knowledge_checks],
        jobs=[
            import_references,
            check_knowledge,
            generate_articles,
            regenerate_briefs,
            check_articles,
            export_articles,
            publish_scheduled,
            recall_references,
        ],
        sensors=[catalog, generations, housekeeping, knowledge_checks_sensor, model_batches, publications],
        resources=resources | dict(resource_overrides or {}),
        # Ops of a run share one process: a process per op costs more than the work of the rules engine.
        executor=in_process_executor,
    )


defs = build_defs()
