"""Looks at the vendors' batches of the batch lane, and lets the briefs go on whose answers came back."""

import asyncio

from dagster import DefaultSensorStatus, SensorEvaluationContext, SkipReason, sensor

from cryptocontent.assets.jobs import generate_articles
from cryptocontent.content.generations import answered
from cryptocontent.llm.batch_rows import ready, work
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading, writing

_BATCHES_PER_TICK = 20
_POLL_ALONE_SECONDS = 20
"""Then requests are submitted beside it: Dagster gives a tick 60 s, and a vendor that hangs takes 30."""


@sensor(job=generate_articles, minimum_interval_seconds=60, default_status=DefaultSensorStatus.RUNNING)
def model_batches(context: SensorEvaluationContext, platform: PlatformResource) -> SkipReason:
    """Asks for no run itself: the briefs are queued again, and the sensor `generations` starts them."""
    under_way, projects = work(platform.engine)
    try:
        if under_way or projects:
            _ask_vendors(platform, projects)
    finally:
        # Whatever became of this tick, and whoever collected the answers: what has them goes on.
        queued = _go_on(platform)
    if not under_way and not projects and not queued:
        return SkipReason("no request waits for a batch")
    return SkipReason(f"{under_way} batches under way; {queued} briefs go on")


def _ask_vendors(platform: PlatformResource, projects: list[str]) -> None:
    # The vendors' libraries take seconds to import: only a newsroom that uses batches pays for them.
    from cryptocontent.llm.batches import poll, submit_all
    from cryptocontent.llm.router import Router

    router = Router(platform.engine, platform.settings)

    async def tick() -> None:
        # First what was paid for already; each of both sees to it that one vendor does not stop the others.
        polling = asyncio.create_task(poll(router, most=_BATCHES_PER_TICK))
        await asyncio.wait([polling], timeout=_POLL_ALONE_SECONDS)
        try:
            await submit_all(router, projects)  # what a run put down and could not submit
        finally:
            await polling

    asyncio.run(tick())


def _go_on(platform: PlatformResource) -> int:
    """Queue the briefs that wait for nothing any more; returns how many."""
    with reading(platform.engine) as session:
        found = ready(session)
    queued = 0
    for generation_id, briefs in found.items():
        with writing(platform.engine) as session:
            queued += answered(session, generation_id, briefs)
    return queued
