"""The Dagster code location: gathers what the rooms `assets`, `resources` and `sensors` hold."""

from collections.abc import Mapping
from typing import Any

from dagster import Definitions, in_process_executor

from cryptocontent.assets.articles import articles, research
from cryptocontent.assets.jobs import export_articles, generate_articles, import_references, regenerate_briefs
from cryptocontent.assets.knowledge import passages, references
from cryptocontent.assets.publications import exports
from cryptocontent.resources.platform import PipelineResource, PlatformResource
from cryptocontent.sensors.catalog import catalog
from cryptocontent.sensors.generations import generations


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> Definitions:
    """Every definition; tests and benchmarks replace resources by name."""
    platform = PlatformResource()
    resources = {"platform": platform, "pipeline": PipelineResource(platform=platform)}
    return Definitions(
        assets=[references, passages, research, articles, exports],
        jobs=[import_references, generate_articles, regenerate_briefs, export_articles],
        sensors=[catalog, generations],
        resources=resources | dict(resource_overrides or {}),
        # Ops of a run share one process: a process per op costs more than the work of the rules engine.
        executor=in_process_executor,
    )


defs = build_defs()
