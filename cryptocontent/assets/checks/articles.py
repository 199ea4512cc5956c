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
from sqlalchemy.orm import Session

from cryptocontent.assets import partitions
from cryptocontent.content.checking import Standing, check_version, standing_of
from cryptocontent.content.checks import CHECKS
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading, writing
from cryptocontent.storage.database import batched
from cryptocontent.storage.models import Article, Finding, Version

ARTICLES = AssetKey("articles")
OVERALL = "publishable"
SPECS = [
    AssetCheckSpec(
        OVERALL,
        asset=ARTICLES,
        description="No finding that blocks publication; the metadata has every family's verdict",
        partitions_def=partitions.briefs,
    ),
    *(
        AssetCheckSpec(
            check.name, asset=ARTICLES, description=check.description, partitions_def=partitions.briefs
        )
        for check in CHECKS
    ),
]
_FAMILY = {rule.id: check.name for check in CHECKS for rule in check.rules}
_OTHER = CHECKS[0].name
_FEW = 5
"""Up to so many articles a run reports every family of each; see `evaluations`."""


def evaluations(
    platform: PlatformResource, brief_ids: Sequence[str], every: bool | None = None
) -> Iterator[AssetCheckEvaluation]:
    """What the newest checks of the articles' current versions say: for each article whether it is
    publishable, and family by family.

    To store one evaluation takes Dagster about 8 ms of CPU, more than all checks of the article. So in a
    run of many articles, unless `every`, a family is reported where it has, or in an earlier version had,
    something to say; what is silent is in the metadata of `publishable`.
    """
    every = len(brief_ids) <= _FEW if every is None else every
    with reading(platform.engine) as session:
        rows = session.execute(
            select(Article.brief_id, Article.id, Article.version_id).where(Article.brief_id.in_(brief_ids))
        ).all()
        standing = standing_of(session, [(article, version) for _, article, version in rows if version])
        spoken = _families_that_spoke(session, [article for _, article, _ in rows])
    for brief, article, _ in rows:
        wanted = None if every else spoken.get(article, set())
        yield from _of_article(brief, standing.get(article, []), wanted)


def _families_that_spoke(session: Session, article_ids: Sequence[str]) -> dict[str, set[str]]:
    """The families that ever found something grave in an article."""
    found: dict[str, set[str]] = {}
    for some in batched(article_ids, 500):
        rows = session.execute(
            select(Version.article_id, Finding.rule)
            .join(Version, Version.id == Finding.version_id)
            .where(Version.article_id.in_(some), Finding.severity.in_(("block", "warn")))
            .distinct()
        )
        for article, rule in rows:
            found.setdefault(article, set()).add(family_of(rule))
    return found


def _of_article(
    brief: str, standing: Sequence[Standing], wanted: set[str] | None
) -> Iterator[AssetCheckEvaluation]:
    families: dict[str, list[Standing]] = {check.name: [] for check in CHECKS}
    for one in standing:
        families[family_of(one.finding.rule)].append(one)
    verdicts = "\n".join(f"- {'✓' if _passes(found) else '✗'} {name}" for name, found in families.items())
    blocking = [one for one in standing if one.blocks]
    yield AssetCheckEvaluation(
        asset_key=ARTICLES,
        check_name=OVERALL,
        passed=not blocking,
        severity=AssetCheckSeverity.ERROR,
        partition=brief,
        metadata={"blocking": len(blocking), "families": MetadataValue.md(verdicts)},
    )
    for name, found in families.items():
        if wanted is not None and name not in wanted:
            continue
        blocked = [one for one in found if one.blocks]
        metadata: dict[str, Any] = {"findings": len(found), "blocking": len(blocked)}
        if found:
            metadata["what"] = MetadataValue.md("\n".join(map(_line, found[:20])))
        yield AssetCheckEvaluation(
            asset_key=ARTICLES,
            check_name=name,
            passed=_passes(found),
            severity=AssetCheckSeverity.ERROR if blocked else AssetCheckSeverity.WARN,
            partition=brief,
            metadata=metadata,
        )


def _passes(found: Sequence[Standing]) -> bool:
    return not any(one.waiver is None and one.finding.severity in ("block", "warn") for one in found)


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
    for evaluation in evaluations(platform, keys, every=True):
        if evaluation.check_name in wanted:
            yield evaluation
