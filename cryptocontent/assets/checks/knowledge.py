"""`references` and `passages` as tables, held against their Great Expectations suites, by project."""

from collections.abc import Callable, Sequence
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckExecutionContext,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    multi_asset_check,
)
from sqlalchemy.orm import Session

from cryptocontent.assets import partitions
from cryptocontent.assets.checks.expectations import Outcome, validate
from cryptocontent.knowledge.tables import passage_table, reference_table
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading

NAME = "great_expectations"
_TABLES: dict[str, Callable[[Session, str], list[dict[str, Any]]]] = {
    "references": reference_table,
    "passages": passage_table,
}


@multi_asset_check(
    name="knowledge_checks",
    specs=[
        AssetCheckSpec(
            NAME,
            asset=table,
            description=f"The project's {table}, held as a table against a Great Expectations suite.",
            partitions_def=partitions.projects,
        )
        for table in _TABLES
    ],
    can_subset=True,
)
def knowledge_checks(context: AssetCheckExecutionContext, platform: PlatformResource) -> Any:
    """One evaluation per table and project."""
    wanted = [key.asset_key for key in context.op_execution_context.selected_asset_check_keys]
    for project in context.op_execution_context.partition_keys:
        for table, read in _TABLES.items():
            if AssetKey(table) in wanted:
                with reading(platform.engine) as session:
                    rows = read(session, project)
                yield _evaluation(table, project, len(rows), validate(table, rows))


def _evaluation(table: str, project: str, rows: int, outcomes: Sequence[Outcome]) -> AssetCheckEvaluation:
    failed = [one for one in outcomes if not one.success]
    lines = [
        f"- {'✓' if one.success else '✗'} `{one.expectation}`"
        + (f": {one.unexpected} rows, such as {one.examples}" if not one.success else "")
        for one in outcomes
    ]
    return AssetCheckEvaluation(
        asset_key=AssetKey(table),
        check_name=NAME,
        passed=not failed,
        partition=project,
        metadata={
            "rows": rows,
            "expectations": len(outcomes),
            "failed": len(failed),
            "suite": MetadataValue.md("\n".join(lines)),
        },
    )
