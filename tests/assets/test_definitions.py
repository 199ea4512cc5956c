"""The code location: what is there, and how it hangs together."""

import subprocess
import sys

from dagster import AssetKey, DailyPartitionsDefinition
from hypothesis import given
from hypothesis import strategies as st

from cryptocontent.definitions import defs
from cryptocontent.sensors.generations import cut

STAGES = ["writer", "editor", "proofreader", "analyst", "seo"]


def test_the_lineage_is_complete() -> None:
    graph = defs.resolve_asset_graph()
    parents = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents == {
        "references": set(),
        "passages": {"references"},
        "market_facts": set(),
        "research": {"passages"},
        "articles": {"research"},
        "exports": {"articles"},
    }


def test_assets_are_cut_by_project_by_brief_and_by_day() -> None:
    graph = defs.resolve_asset_graph()
    cut = {key.to_user_string(): graph.get(key).partitions_def for key in graph.get_all_asset_keys()}
    assert isinstance(cut.pop("market_facts"), DailyPartitionsDefinition)
    names = {key: partitions.name for key, partitions in cut.items()}
    assert names == dict.fromkeys(["references", "passages", "exports"], "projects") | dict.fromkeys(
        ["research", "articles"], "briefs"
    )
    policy = graph.get(AssetKey("articles")).backfill_policy
    assert policy is not None and policy.max_partitions_per_run == 100


def test_the_five_agents_are_ops_in_their_order_and_in_the_pool() -> None:
    job = defs.resolve_job_def("generate_articles")
    nodes = [handle.name for handle in job.nodes_in_topological_order]
    assert nodes == ["research", "articles"]
    graph = job.graph.node_named("articles").definition
    inner = graph.nodes_in_topological_order  # type: ignore[attr-defined]
    assert [node.name for node in inner] == STAGES
    assert {node.definition.pool for node in inner} == {"agents"}


def test_jobs_and_sensors_for_the_common_requests() -> None:
    names = {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")}
    assert names == {
        "import_references",
        "import_sources",
        "collect_market_facts",
        "fetch_market_facts",
        "check_knowledge",
        "generate_articles",
        "regenerate_briefs",
        "check_articles",
        "export_articles",
        "publish_scheduled",
        "deliver_publications",
        "recall_references",
        "resync_sources",
    }
    names = {sensor.name for sensor in defs.sensors or ()}
    assert names == {
        "alerts",
        "catalog",
        "feeds",
        "generations",
        "google_drive",
        "housekeeping",
        "knowledge_checks",
        "linear",
        "model_batches",
        "publications",
        "run_failures",
        "stale_content",
    }
    assert {one.name for one in defs.schedules or ()} == {
        "market_facts_daily",
        "market_facts_hourly",
        "resync",
    }


def test_loading_the_code_location_imports_nothing_heavy() -> None:
    heavy = (
        "qdrant_edge",
        "qdrant_client",
        "wordllama",
        "trafilatura",
        "mammoth",
        "pypdf",
        "PIL",
        "pandas",
        "minio",
        "pydantic_ai",
        "openai",
        "anthropic",
        "google.genai",
        "genai_prices",
        "redis",
        "googleapiclient",
        "google_auth_httplib2",
        "gql",
        "github",
        "matplotlib",
        "feedparser",
        "httpcore",
        "lxml",
        "protego",
        "fastapi",
    )
    program = f"import sys, cryptocontent.definitions; print([m for m in {heavy!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip().splitlines()[-1] == "[]"


@given(
    st.integers(1, 60).flatmap(
        lambda n: st.tuples(
            st.just([f"b{i}" for i in range(n)]), st.sets(st.integers(0, n - 1)), st.integers(1, 20)
        )
    )
)
def test_batches_hold_every_brief_once_and_ranges_hold_no_other(
    case: tuple[list[str], set[int], int],
) -> None:
    order, chosen, size = case
    wanted = [order[index] for index in chosen]
    batches = cut(wanted, order, size)
    assert sorted(brief for batch in batches for brief in batch.brief_ids) == sorted(wanted)
    assert all(0 < len(batch.brief_ids) <= size for batch in batches)
    for batch in batches:
        if batch.contiguous:
            first = order.index(batch.brief_ids[0])
            assert tuple(order[first : first + len(batch.brief_ids)]) == batch.brief_ids
    whole = sum(batch.contiguous and len(batch.brief_ids) == size for batch in batches)
    assert len(batches) <= whole + -(-(len(wanted) - whole * size) // size) + 1
