"""`exports`: the project's articles as files."""

from dagster import (
    AllPartitionMapping,
    AssetDep,
    AssetExecutionContext,
    BackfillPolicy,
    MaterializeResult,
    MetadataValue,
    asset,
)

from cryptocontent.assets import partitions
from cryptocontent.assets.articles import articles
from cryptocontent.publishing import export_project
from cryptocontent.resources.platform import PlatformResource


@asset(
    group_name="publications",
    kinds={"html"},
    deps=[AssetDep(articles, partition_mapping=AllPartitionMapping())],
    partitions_def=partitions.projects,
    backfill_policy=BackfillPolicy.multi_run(1),
)
def exports(context: AssetExecutionContext, platform: PlatformResource) -> MaterializeResult:
    """Markdown with front matter, clean HTML and JSON of every article, with its images."""
    folder = platform.settings.exports_dir / context.partition_key
    report = export_project(platform.engine, platform.objects, context.partition_key, folder)
    return MaterializeResult(
        metadata={
            "articles": report.articles,
            "files written": report.written,
            "files unchanged": report.unchanged,
            "folder": MetadataValue.path(str(folder)),
        }
    )
