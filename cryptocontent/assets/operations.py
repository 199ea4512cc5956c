"""Jobs that are no assets: scheduled publication, delivery to targets, recall of references."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dagster import Failure, Field, MetadataValue, OpExecutionContext, in_process_executor, job, op

from cryptocontent import audit
from cryptocontent.audit import Actor
from cryptocontent.content.review import publish_due
from cryptocontent.identity import Person
from cryptocontent.publishing.deliveries import deliver
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import writing
from cryptocontent.storage.models import Article
from cryptocontent.storage.types import utc_now

_BY = Field(str, description="who asks for it, for the audit trail")
_DELIVERY_SECONDS = 600.0
_DELIVERIES = 500


@op(config_schema={"article_ids": Field([str], description="scheduled articles whose time has come")})
def publish_due_articles(context: OpExecutionContext, platform: PlatformResource) -> None:
    """Publish what is due, each article in a transaction of its own, and deliver it to its targets; what is
    refused is named. What a target does not take now is delivered later."""
    refused: dict[str, str] = {}
    published: list[str] = []
    with audit.requested(f"dagster:{context.run_id}", context.run_id):
        for article_id in context.op_config["article_ids"]:
            with writing(platform.engine) as session:
                article = session.get(Article, article_id)
                decision = publish_due(session, article, utc_now()) if article else None
                if article is None or decision is None:
                    context.log.info(f"{article_id}: not due any more")
                    continue
                slug = f"{article.project_id}/{article.slug}"
            if decision.done:
                context.log.info(f"{slug}: published")
                published.append(article_id)
            else:
                refused[slug] = "; ".join(one.finding.message for one in decision.blockers)
        if published:
            _deliver(context, platform, published)
    if refused:
        raise Failure(
            f"{len(refused)} articles were not published: they go back for changes",
            metadata={
                "refused": MetadataValue.md("\n".join(f"- `{slug}`: {why}" for slug, why in refused.items()))
            },
            allow_retries=False,
        )


def _deliver(
    context: OpExecutionContext, platform: PlatformResource, article_ids: Sequence[str] | None = None
) -> None:
    """Deliver what waits (of these articles, or of all) and say in the run's log what came of it. What failed
    for good stands there, in the outbox and in an alert: the run did its work all the same."""
    outcomes = deliver(
        platform.engine,
        platform.objects,
        platform.settings,
        actor=Actor("run", context.run_id),
        article_ids=article_ids,
        seconds=_DELIVERY_SECONDS,
        limit=_DELIVERIES,
    )
    for one in outcomes:
        log = context.log.error if one.status == "failed" else context.log.info
        log(str(one))
    counts = Counter(one.status for one in outcomes)
    context.add_output_metadata({name: counts[name] for name in sorted(counts)})


@job(executor_def=in_process_executor)
def publish_scheduled() -> None:
    """Publishes scheduled articles, each checked again at this moment; started by its sensor."""
    publish_due_articles()


@op
def deliver_due_publications(context: OpExecutionContext, platform: PlatformResource) -> None:
    """Deliver and withdraw what the outbox holds and is due, of all projects."""
    with audit.requested(f"dagster:{context.run_id}", context.run_id):
        _deliver(context, platform)


@job(executor_def=in_process_executor)
def deliver_publications() -> None:
    """Delivers published articles to their targets, and takes archived ones back; started by the sensor
    `publications` where something waits."""
    deliver_due_publications()


@op(
    config_schema={
        "project": Field(str, description="the project's id"),
        "references": Field([str], description="names of references: file names or external ids"),
        "reason": Field(str, description="why they can't be trusted"),
        "by": _BY,
    }
)
def recall_named_references(context: OpExecutionContext, platform: PlatformResource) -> None:
    """Withdraw references; flag every version that cites them; reopen their articles."""
    from cryptocontent.knowledge.recall import recall

    asked: dict[str, Any] = context.op_config
    with audit.requested(f"dagster:{context.run_id}", context.run_id):
        report = recall(
            platform.engine,
            platform.settings,
            asked["project"],
            asked["references"],
            asked["reason"],
            Person(asked["by"], "admin"),
        )
    context.log.info(str(report))


@job(executor_def=in_process_executor)
def recall_references() -> None:
    """Recall bad references: every article version that cites them is found, flagged and reopened."""
    recall_named_references()
