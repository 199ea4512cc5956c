"""The daily look at everything from the beginning: what notices and cursors may have missed is found."""

import time

from dagster import Failure, MetadataValue, OpExecutionContext, in_process_executor, job, op

from cryptocontent.audit import Actor, requested
from cryptocontent.knowledge.search import sync_index
from cryptocontent.knowledge.sources import KINDS
from cryptocontent.knowledge.sources.importing import refresh_sources
from cryptocontent.knowledge.sources.store import watched
from cryptocontent.planning.linear_sources import active_sources
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading

_SECONDS = 2 * 3600.0


@op
def list_sources_anew(context: OpExecutionContext, platform: PlatformResource) -> None:
    """List every active source anew, import what is new, bring search in step; read Linear anew. About two
    hours in all: what is left then is done by the sensors. A source that cannot be read does not stop the
    others; the run fails at its end and names it."""
    engine, settings = platform.engine, platform.settings
    deadline = time.monotonic() + _SECONDS
    problems: list[str] = []
    for project in sorted({source.project_id for source in watched(engine, list(KINDS))}):
        looked, report = refresh_sources(
            engine,
            platform.objects,
            settings,
            project,
            Actor("run", context.run_id),
            seconds=max(1.0, deadline - time.monotonic()),
            full=True,
        )
        for name, one in looked.items():
            context.log.info(f"{project}/{name}: {one.found} new or changed, {one.gone} gone")
            if one.error:
                problems.append(f"{project}/{name}: {one.error}")
        for name, reason in report.problems:
            context.log.warning(f"{project}: {name}: {reason}")
        indexed = sync_index(engine, settings, project)
        context.log.info(
            f"{project}: {indexed.embedded} passages embedded, {indexed.removed} removed from search"
        )
    problems += _read_linear(context, platform, deadline)
    if problems:
        raise Failure(
            f"{len(problems)} sources could not be read",
            metadata={"problems": MetadataValue.md("\n".join(f"- {one}" for one in problems))},
            allow_retries=False,
        )


def _read_linear(context: OpExecutionContext, platform: PlatformResource, deadline: float) -> list[str]:
    """Every watched team from its first issue; returns what could not be read, and why."""
    with reading(platform.engine) as session:
        sources = active_sources(session)
    if not sources:
        return []
    from cryptocontent.planning.linear_sync import sync_source

    problems = []
    with requested(f"dagster:{context.run_id}", context.run_id):
        for source in sources:
            left = max(1.0, deadline - time.monotonic())
            synced = sync_source(
                platform.engine, platform.settings, source.id, seconds=left, full=True, patience=60.0
            )
            context.log.info(f"{source.project_id}/{source.name}: {synced}")
            if synced.error:
                problems.append(f"{source.project_id}/{source.name}: {synced.error}")
    return problems


@job(executor_def=in_process_executor)
def resync_sources() -> None:
    """Looks at every source from the beginning; started daily by its schedule."""
    list_sources_anew()
