"""The checks of articles as asset checks, one for each family of rules, by brief.

The last op of `articles` reports what was found at the end of its run. `article_checks` looks again
whenever it is asked to: what was true last week (a price, a link list, a source) may be so no longer.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckExecutionContext,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    multi_asset_check,
)
from sqlalchemy import select

from cryptocontent.assets import partitions
from cryptocontent.content.checking import Standing, check_version, standing_of
from cryptocontent.content.checks import CHECKS
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Article, Version

ARTICLES = AssetKey("articles")
SPECS = [
    AssetCheckSpec(
        check.name, asset=ARTICLES, description=check.description, partitions_def=partitions.briefs
    )
    for check in CHECKS
]
_FAMILY = {rule.id: check.name for check in CHECKS for rule in check.rules}
_OTHER = CHECKS[0].name if CHECKS else ""


def evaluations(platform: PlatformResource, brief_ids: Sequence[str]) -> Iterator[AssetCheckEvaluation]:
    """What the newest checks of the articles' current versions say, family by family."""
    with reading(platform.engine) as session:
        rows = session.execute(
            select(Article.brief_id, Article.id, Article.version_id).where(Article.brief_id.in_(brief_ids))
        ).all()
        standing = standing_of(session, [(article, version) for _, article, version in rows if version])
    for brief, article, _ in rows:
        yield from _of_article(brief, standing.get(article, []))


def _of_article(brief: str, standing: Sequence[Standing]) -> Iterator[AssetCheckEvaluation]:
    families: dict[str, list[Standing]] = {check.name: [] for check in CHECKS}
    for one in standing:
        families[family_of(one.finding.rule)].append(one)
    for name, found in families.items():
        grave = [one for one in found if one.finding.severity in ("block", "warn")]
        blocking = [one for one in found if one.blocks]
        metadata: dict[str, Any] = {"findings": len(found), "blocking": len(blocking)}
        if found:
            metadata["what"] = MetadataValue.md("\n".join(map(_line, found[:20])))
        yield AssetCheckEvaluation(
            asset_key=ARTICLES,
            check_name=name,
            passed=not any(one.waiver is None for one in grave),
            severity=AssetCheckSeverity.ERROR if blocking else AssetCheckSeverity.WARN,
            partition=brief,
            metadata=metadata,
        )


def family_of(rule: str) -> str:
    """The check that a rule belongs to; that of the rules' namesakes for one that a project made itself."""
    return _FAMILY.get(rule) or next(
        (family for known, family in _FAMILY.items() if known.split(".")[0] == rule.split(".")[0]), _OTHER
    )


def _line(one: Standing) -> str:
    waived = f" (waived by {one.waiver.author}: {one.waiver.reason})" if one.waiver else ""
    return f"- **{one.finding.severity}** `{one.finding.rule}` {one.finding.message}{waived}"


@multi_asset_check(
    name="article_checks",
    specs=SPECS,
    can_subset=True,
    description="Checks the current versions again, against what is known now.",
)
def article_checks(context: AssetCheckExecutionContext, platform: PlatformResource) -> Any:
    """One evaluation per article and check; the findings are kept with the version."""
    keys = context.op_execution_context.partition_keys
    for brief in keys:
        with writing(platform.engine) as session:
            row = session.execute(
                select(Article, Version)
                .join(Version, Version.id == Article.version_id)
                .where(Article.brief_id == brief)
            ).first()
            if row is not None:
                check_version(session, row[0], row[1], "request")
    wanted = {key.name for key in context.op_execution_context.selected_asset_check_keys}
    for evaluation in evaluations(platform, keys):
        if evaluation.check_name in wanted:
            yield evaluation
