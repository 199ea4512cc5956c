"""What a good table of references or passages looks like, as Great Expectations suites.

Great Expectations takes seconds to import, so it is imported only where a suite is run.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

REFERENCE_COLUMNS = (
    "id", "source", "external_id", "title", "url", "licence", "revision", "content_hash", "media_type",
    "characters", "fetched_at", "passages",
)  # fmt: skip
PASSAGE_COLUMNS = (
    "id", "reference_id", "kind", "characters", "indexed_in", "ordinal", "start", "end",
    "document_characters",
)  # fmt: skip
_KINDS = ["prose", "list", "table", "code"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One expectation's verdict: what was expected, whether it holds, how many rows it was not true of,
    and some of their values."""

    expectation: str
    success: bool
    unexpected: int
    examples: list[Any]


def validate(table: str, rows: Sequence[dict[str, Any]]) -> list[Outcome]:
    """Hold `rows` against the suite of `table` (`references` or `passages`)."""
    # No word of it leaves the house.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    import pandas as pd
    from great_expectations.data_context.types.base import ProgressBarsConfig

    columns = REFERENCE_COLUMNS if table == "references" else PASSAGE_COLUMNS
    frame = pd.DataFrame(list(rows), columns=list(columns))
    if table == "passages":
        frame["whole"] = (frame["end"] > frame["start"]) & (frame["end"] <= frame["document_characters"])
        frame["searchable"] = frame["indexed_in"].notna()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    batch = (
        context.data_sources.add_pandas(table)
        .add_dataframe_asset(table)
        .add_batch_definition_whole_dataframe(table)
        .get_batch({"dataframe": frame})
    )
    result = batch.validate(gx.ExpectationSuite(table, expectations=_suite(table)))
    return [_outcome(one) for one in result.results]


def _suite(table: str) -> list[Any]:
    from great_expectations import expectations as gxe

    if table == "references":
        return [
            gxe.ExpectTableRowCountToBeBetween(min_value=1),
            gxe.ExpectColumnValuesToBeUnique(column="id"),
            gxe.ExpectCompoundColumnsToBeUnique(column_list=["source", "external_id"]),
            gxe.ExpectColumnValuesToNotBeNull(column="title"),
            gxe.ExpectColumnValueLengthsToBeBetween(column="title", min_value=1, max_value=500),
            gxe.ExpectColumnValuesToMatchRegex(column="content_hash", regex="^[0-9a-f]{64}$"),
            gxe.ExpectColumnValuesToMatchRegex(column="url", regex="^https?://"),
            gxe.ExpectColumnValuesToBeBetween(column="characters", min_value=1),
            gxe.ExpectColumnValuesToBeBetween(column="passages", min_value=1),
            gxe.ExpectColumnValuesToBeBetween(column="revision", min_value=1),
        ]
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=_KINDS),
        gxe.ExpectColumnValuesToBeBetween(column="characters", min_value=1, max_value=20_000),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["reference_id", "ordinal"]),
        gxe.ExpectColumnValuesToBeInSet(column="whole", value_set=[True]),
        gxe.ExpectColumnValuesToBeInSet(column="searchable", value_set=[True]),
    ]


def _outcome(result: Any) -> Outcome:
    configuration = result.expectation_config
    columns = configuration.kwargs.get("column") or configuration.kwargs.get("column_list") or "table"
    found = result.result or {}
    return Outcome(
        expectation=f"{configuration.type} ({columns if isinstance(columns, str) else ', '.join(columns)})",
        success=bool(result.success),
        unexpected=int(found.get("unexpected_count") or 0),
        examples=list(found.get("partial_unexpected_list") or [])[:5],
    )
