"""Jobs for the common requests."""

from typing import Any

from dagster import AssetSelection, Field, config_mapping, define_asset_job, graph, in_process_executor

from cryptocontent.assets.articles import STAGE_OPS, articles, research
from cryptocontent.assets.checks.articles import article_checks
from cryptocontent.assets.checks.knowledge import knowledge_checks
from cryptocontent.assets.knowledge import passages, references
from cryptocontent.assets.publications import exports

import_references = define_asset_job(
    "import_references",
    # Without its checks, which take longer than the import of a few documents: they follow by a sensor.
    AssetSelection.assets(references, passages).without_checks(),
    description="Import a project's folders again and bring its search index in step.",
)
generate_articles = define_asset_job(
    "generate_articles",
    # The last op of `articles` reports the checks itself.
    AssetSelection.assets(research, articles).without_checks(),
    executor_def=in_process_executor,
    description="Take briefs through the five agents. A range of partitions is one run.",
)
check_knowledge = define_asset_job(
    "check_knowledge",
    AssetSelection.checks(knowledge_checks),
    executor_def=in_process_executor,
    description="Hold a project's references and passages, as tables, against their suites.",
)
check_articles = define_asset_job(
    "check_articles",
    AssetSelection.checks(article_checks),
    executor_def=in_process_executor,
    description="Check articles again, against the prices, links, rules and sources of now.",
)
export_articles = define_asset_job(
    "export_articles",
    AssetSelection.assets(exports),
    description="Write a project's articles as Markdown, HTML and JSON.",
)


@config_mapping(
    config_schema={"brief_ids": Field([str], description="the briefs to take through the agents")}
)
def _for_all_ops(value: dict[str, Any]) -> dict[str, Any]:
    return {"ops": {stage.name: {"config": {"brief_ids": value["brief_ids"]}} for stage in STAGE_OPS}}


@graph(name="regenerate_briefs")
def _regenerate() -> None:
    first, *others = STAGE_OPS
    previous = first()
    for stage in others:
        previous = stage(start=previous)


regenerate_briefs = _regenerate.to_job(
    config=_for_all_ops,
    executor_def=in_process_executor,
    description="Any set of briefs in one run: Dagster runs partitions by contiguous range only.",
)
