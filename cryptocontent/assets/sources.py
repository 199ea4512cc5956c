"""Jobs that import what was found at watched sources, and bring the search index in step."""

from typing import Any

from dagster import Field, OpExecutionContext, in_process_executor, job, op

from cryptocontent.assets.knowledge import import_metadata
from cryptocontent.audit import Actor
from cryptocontent.knowledge.search import sync_index
from cryptocontent.knowledge.sources.importing import import_items
from cryptocontent.resources.platform import PlatformResource

IMPORT_TAG = "cryptocontent/import"
"""On runs of `import_sources`: `project:sensor`, one under way at a time."""
_SECONDS = 900.0


@op(
    config_schema={
        "project": Field(str, description="the project's id"),
        "source_ids": Field([str], description="ids of its sources (`cryptocontent source list --json`)"),
    }
)
def import_found_items(context: OpExecutionContext, platform: PlatformResource) -> None:
    """Fetch what was found and save it as references; what is not done within 15 minutes is left to the next
    run. Problems with single items are logged, and stand in `cryptocontent source show`."""
    asked: dict[str, Any] = context.op_config
    report = import_items(
        platform.engine,
        platform.objects,
        platform.settings,
        asked["project"],
        asked["source_ids"],
        Actor("run", context.run_id),
        seconds=_SECONDS,
    )
    for name, reason in report.problems:
        context.log.warning(f"{name}: {reason}")
    for name, warning in report.warnings:
        context.log.info(f"{name}: {warning}")
    # Always: what a killed run had saved, and what a look had withdrawn, is brought in step as well.
    indexed = sync_index(platform.engine, platform.settings, asked["project"])
    context.log.info(f"search index: {indexed.embedded} passages embedded, {indexed.removed} removed")
    context.add_output_metadata(import_metadata(report))


@job(executor_def=in_process_executor)
def import_sources() -> None:
    """Imports what sensors found at a project's sources; started by them."""
    import_found_items()
