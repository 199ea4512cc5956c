"""`references` and `passages`: the project's folders and sources imported, and what search can find of them.

Both are partitioned by project and incremental inside: an unchanged document costs nothing.
"""

from typing import Any

from dagster import AssetExecutionContext, BackfillPolicy, MaterializeResult, MetadataValue, asset

from cryptocontent.assets import partitions
from cryptocontent.audit import Actor
from cryptocontent.knowledge.references import import_paths, registered_folders
from cryptocontent.knowledge.saving import ImportReport
from cryptocontent.knowledge.search import sync_index
from cryptocontent.knowledge.sources.importing import refresh_sources
from cryptocontent.resources.platform import PlatformResource

_SOURCES_SECONDS = 900.0
_BY_PROJECT: dict[str, Any] = {
    "partitions_def": partitions.projects,
    "backfill_policy": BackfillPolicy.multi_run(1),
}


@asset(group_name="knowledge", kinds={"markdown"}, **_BY_PROJECT)
def references(context: AssetExecutionContext, platform: PlatformResource) -> MaterializeResult:
    """Documents of the project's folders and sources: clean Markdown, images, provenance, revisions."""
    project, engine = context.partition_key, platform.engine
    folders = registered_folders(engine, project)
    report = import_paths(
        engine,
        platform.objects,
        project,
        folders,
        Actor("run", context.run.run_id),
        max_bytes=platform.settings.max_document_bytes,
    )
    looked, fetched = refresh_sources(
        engine,
        platform.objects,
        platform.settings,
        project,
        Actor("run", context.run.run_id),
        seconds=_SOURCES_SECONDS,
    )
    for name, look in looked.items():
        if look.error:
            context.log.warning(f"source {name}: {look.error}")
    report = report.joined(fetched)
    for path, reason in report.problems:
        context.log.warning(f"{path}: {reason}")
    return MaterializeResult(
        metadata=import_metadata(report)
        | {"folders": [str(folder) for folder in folders], "sources": list(looked)}
    )


def import_metadata(report: ImportReport) -> dict[str, Any]:
    """What people want to know of an import."""
    problems = "\n".join(f"- `{path}`: {reason}" for path, reason in report.problems[:50])
    return {
        "added": len(report.added),
        "revised": len(report.revised),
        "withdrawn": len(report.withdrawn),
        "unchanged": report.unchanged,
        "new passages": report.passages,
        "images": report.images,
        "refused files": len(report.problems),
        "problems": MetadataValue.md(problems or "none"),
    }


@asset(group_name="knowledge", kinds={"qdrant"}, deps=[references], **_BY_PROJECT)
def passages(context: AssetExecutionContext, platform: PlatformResource) -> MaterializeResult:
    """Pieces of the references, embedded and searchable (dense and BM25) in Qdrant."""
    report = sync_index(platform.engine, platform.settings, context.partition_key)
    return MaterializeResult(
        metadata={"embedded": report.embedded, "removed": report.removed, "dagster/row_count": report.total}
    )
