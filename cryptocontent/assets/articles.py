"""`research` and `articles`: what is frozen for each brief, and the five agents that write from it.

Both are partitioned by brief. One run takes up to 100 briefs through each op at once. Resuming lives
in the domain: an op makes sure that its briefs are done up to its stage, works for what is missing
and never raises for one brief; the last op names the bad ones and materializes the good ones.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from dagster import (
    AllPartitionMapping,
    AssetDep,
    AssetExecutionContext,
    AssetIn,
    AssetKey,
    AssetMaterialization,
    Failure,
    Field,
    In,
    MetadataValue,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    Out,
    asset,
    graph_asset,
    op,
)
from sqlalchemy import select

from cryptocontent.agents.pipeline import PIPELINE, Pipeline
from cryptocontent.agents.store import article_id_of
from cryptocontent.assets import partitions
from cryptocontent.assets.checks.articles import evaluations
from cryptocontent.assets.knowledge import passages
from cryptocontent.content.articles import list_articles
from cryptocontent.content.generations import give_back, held_back, set_outcomes, wanting_newest_facts
from cryptocontent.content.quality import MEASURES
from cryptocontent.knowledge.research import Frozen, freeze
from cryptocontent.knowledge.search import search_index
from cryptocontent.llm.costs import totals
from cryptocontent.resources.platform import PipelineResource, PlatformResource
from cryptocontent.storage import reading, writing
from cryptocontent.storage.database import pairs
from cryptocontent.storage.models import Article, Version

ARTICLES, RESEARCH = AssetKey("articles"), AssetKey("research")
GENERATION_TAG = "cryptocontent/generation"
BATCH_TAG = "cryptocontent/batch"
_BRIEF_IDS = {"brief_ids": Field([str], default_value=[], description="for runs that are not partitioned")}


def _freeze(context: Any, platform: PlatformResource, brief_ids: Sequence[str]) -> dict[str, Frozen]:
    settings, engine = platform.settings, platform.engine
    wanting: set[str] = set()
    if generation := context.run.tags.get(GENERATION_TAG):
        with reading(engine) as session:
            wanting = wanting_newest_facts(session, generation, brief_ids)
    found: dict[str, Frozen] = {}
    for newest in (True, False):
        some = [brief for brief in brief_ids if (brief in wanting) is newest]
        if some:
            frozen, missing = freeze(
                engine, lambda queries: search_index(settings, queries), some, newest_facts=newest
            )
            found |= frozen
            for brief, reason in missing.items():
                context.log.warning(f"{brief}: {reason}")
    return found


def _research_metadata(frozen: Sequence[Frozen]) -> dict[str, Any]:
    return {
        "briefs": len(frozen),
        "briefs with new research": sum(item.changed for item in frozen),
        "passages per brief": round(sum(item.passages for item in frozen) / max(1, len(frozen)), 1),
        "references per brief": round(sum(item.references for item in frozen) / max(1, len(frozen)), 1),
    }


@asset(
    group_name="articles",
    kinds={"qdrant"},
    deps=[AssetDep(passages, partition_mapping=AllPartitionMapping())],
    partitions_def=partitions.briefs,
    backfill_policy=partitions.BATCHES,
)
def research(context: AssetExecutionContext, platform: PlatformResource) -> None:
    """The passages frozen for each brief: searched for as a whole and per section of its outline."""
    frozen = _freeze(context, platform, context.partition_keys)
    # Of the run, not of each brief: Dagster looks every partition up again to attach metadata to it.
    context.add_output_metadata(_research_metadata(list(frozen.values())))


def _brief_ids(context: OpExecutionContext, platform: PlatformResource) -> Sequence[str]:
    """The run's briefs with which it may go on. Asked before each stage: those of a generation that was
    paused since are given back, those of a cancelled one left alone."""
    brief_ids: Sequence[str] = context.op_config["brief_ids"] or context.partition_keys
    generation = context.run.tags.get(GENERATION_TAG)
    if generation is None:
        return brief_ids
    tag = context.run.tags.get(BATCH_TAG, "")
    batch = int(tag) if tag.isdigit() else None
    with reading(platform.engine) as session:
        held = held_back(session, generation, brief_ids, batch)
    if held:
        with writing(platform.engine) as session:
            give_back(session, generation, held, batch)
        why = ", ".join(sorted(set(held.values())))
        context.log.warning(f"the generation does not go on with {len(held)} briefs: {why}")
    return [brief for brief in brief_ids if brief not in held]


def _first_op(stage: str) -> OpDefinition:
    @op(
        name=stage,
        description=f"Every brief done up to the {stage}; research that is missing or stale is made first.",
        ins={"start": In(Nothing)},
        out=Out(Nothing),
        pool="agents",
        config_schema=_BRIEF_IDS,
    )
    async def run_first(
        context: OpExecutionContext, pipeline: PipelineResource, platform: PlatformResource
    ) -> None:
        brief_ids = _brief_ids(context, platform)
        for brief, item in _freeze(context, platform, brief_ids).items():
            if item.changed:
                metadata = _research_metadata([item])
                context.log_event(AssetMaterialization(RESEARCH, partition=brief, metadata=metadata))
        _log(context, stage, await _open(context, pipeline).advance(brief_ids, stage))

    return run_first


def _stage_op(stage: str) -> OpDefinition:
    @op(
        name=stage,
        description=f"Every brief done up to the {stage}; what is stored already is not done again.",
        ins={"start": In(Nothing)},
        out=Out(Nothing),
        pool="agents",
        config_schema=_BRIEF_IDS,
    )
    async def run_stage(
        context: OpExecutionContext, pipeline: PipelineResource, platform: PlatformResource
    ) -> None:
        brief_ids = _brief_ids(context, platform)
        _log(context, stage, await _open(context, pipeline).advance(brief_ids, stage))

    return run_stage


def _open(context: OpExecutionContext, pipeline: PipelineResource) -> Pipeline:
    return pipeline.open(context.run_id, context.run.tags.get(GENERATION_TAG, ""))


def _log(context: OpExecutionContext, stage: str, outcome: dict[str, str | None]) -> None:
    failed = {brief: reason for brief, reason in outcome.items() if reason}
    context.log.info(f"{stage}: {len(outcome) - len(failed)} of {len(outcome)} briefs are through")
    for brief, reason in failed.items():
        context.log.warning(f"{brief}: {reason}")


def _last_op(stage: str) -> OpDefinition:
    @op(
        name=stage,
        description=f"Every brief done up to the {stage}; good articles are materialized, bad briefs named.",
        ins={"start": In(Nothing)},
        # Not required: the run materializes each good partition itself, and none of the bad ones.
        out=Out(Nothing, is_required=False),
        pool="agents",
        config_schema=_BRIEF_IDS,
    )
    async def run_last(
        context: OpExecutionContext, pipeline: PipelineResource, platform: PlatformResource
    ) -> Any:
        brief_ids = _brief_ids(context, platform)
        opened = _open(context, pipeline)
        outcome = await opened.advance(brief_ids, stage)
        done = [brief for brief, reason in outcome.items() if not reason]
        outcome |= {
            brief: f"not publishable: {reason}" for brief, reason in opened.blocking_findings(done).items()
        }
        _log(context, stage, outcome)
        if generation := context.run.tags.get(GENERATION_TAG):
            with writing(platform.engine) as session:
                set_outcomes(session, generation, outcome, context.run_id, opened.waiting)
        good = [brief for brief, reason in outcome.items() if not reason]
        for event in materializations(platform, good):
            yield event
        for evaluation in evaluations(platform, done):
            yield evaluation
        bad = {
            brief: reason
            for brief, reason in outcome.items()
            if reason and not (generation and brief in opened.waiting)
        }
        if bad:
            raise Failure(
                f"{len(bad)} of {len(outcome)} briefs failed; the others are done",
                metadata={
                    "failed": MetadataValue.md("\n".join(f"- `{brief}`: {why}" for brief, why in bad.items()))
                },
                allow_retries=False,
            )

    return run_last


def materializations(platform: PlatformResource, brief_ids: Sequence[str]) -> Iterator[AssetMaterialization]:
    """One materialization per finished article, with the numbers and a preview."""
    if not brief_ids:
        return
    with reading(platform.engine) as session:
        rows = {row["brief"]: row for row in list_articles(session, brief_ids=brief_ids)}
        query = select(Article.brief_id, Version.markdown).join(Version, Version.id == Article.version_id)
        texts = pairs(session.execute(query.where(Article.brief_id.in_(brief_ids))))
        spent = totals(session, "article", [article_id_of(brief) for brief in brief_ids])
    for brief in brief_ids:
        row = rows[brief]
        yield AssetMaterialization(
            ARTICLES,
            partition=brief,
            description=row["title"],
            metadata={
                "title": row["title"],
                "words": row["words"],
                "citations": row["citations"],
                "readability (FRE)": row["readability"],
                "findings": row["findings"],
                "blocking findings": row["blocking"],
                **{MEASURES[name]: value for name, value in row["quality"].items() if name != "words"},
                "cost (USD)": row["cost_usd"],
                **_model_metadata(spent[article_id_of(brief)]),
                "version": row["version"],
                "article": f"{row['project']}/{row['slug']}",
                "export": MetadataValue.path(
                    str(platform.settings.exports_dir / row["project"] / f"{row['slug']}.md")
                ),
                "preview": MetadataValue.md(texts[brief][:4000]),
            },
        )


def _model_metadata(spent: dict[str, Any]) -> dict[str, Any]:
    """What the ledger says of an article's calls, from whatever run: attempts that failed are in it."""
    if not spent["calls"]:
        return {}
    return {
        "model calls": spent["calls"],
        "model calls that failed": spent["failed"],
        "model tokens (in)": spent["input_tokens"],
        "model tokens (out)": spent["output_tokens"],
        "model cost, all attempts (USD)": spent["cost_usd"],
    }


_FIRST, *_MIDDLE, _LAST = [agent.stage for agent in PIPELINE]
STAGE_OPS = [_first_op(_FIRST), *map(_stage_op, _MIDDLE), _last_op(_LAST)]


@graph_asset(
    group_name="articles",
    kinds={"markdown"},
    ins={"research": AssetIn(dagster_type=Nothing)},
    partitions_def=partitions.briefs,
    backfill_policy=partitions.BATCHES,
)
def articles(research: Any) -> Any:
    """Cited articles, by writer, editor, proofreader, analyst and seo; every stage is a version."""
    previous = research
    for stage in STAGE_OPS:
        previous = stage(start=previous)
    return previous
