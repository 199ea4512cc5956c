"""Jobs that are no assets: scheduled publication, recall of references."""

from typing import Any

from dagster import Failure, Field, MetadataValue, OpExecutionContext, in_process_executor, job, op

from cryptocontent import audit
from cryptocontent.content.review import publish_due
from cryptocontent.identity import Person
from cryptocontent.publishing import export_project
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import writing
from cryptocontent.storage.models import Article
from cryptocontent.storage.types import utc_now

_BY = Field(str, description="who asks for it, for the audit trail")


@op(config_schema={"article_ids": Field([str], description="scheduled articles whose time has come")})
def publish_due_articles(context: OpExecutionContext, platform: PlatformResource) -> None:
    """Publish what is due, each article in a transaction of its own; what is refused is named."""
    refused: dict[str, str] = {}
    published: set[str] = set()
    with audit.requested(f"dagster:{context.run_id}", context.run_id):
        for article_id in context.op_config["article_ids"]:
            with writing(platform.engine) as session:
                article = session.get(Article, article_id)
                decision = publish_due(session, article, utc_now()) if article else None
                if article is None or decision is None:
                    context.log.info(f"{article_id}: not due any more")
                    continue
                slug, project = f"{article.project_id}/{article.slug}", article.project_id
            if decision.done:
                context.log.info(f"{slug}: published")
                published.add(project)
            else:
                refused[slug] = "; ".join(one.finding.message for one in decision.blockers)
    for project in sorted(published):
        export_project(platform.engine, platform.objects, project, platform.settings.exports_dir / project)
    if refused:
        raise Failure(
            f"{len(refused)} articles were not published: they go back for changes",
            metadata={
                "refused": MetadataValue.md("\n".join(f"- `{slug}`: {why}" for slug, why in refused.items()))
            },
            allow_retries=False,
        )


@job(executor_def=in_process_executor)
def publish_scheduled() -> None:
    """Publishes scheduled articles, each checked again at this moment; started by its sensor."""
    publish_due_articles()


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
