"""The code location under measurement: the real one, with agents that wait before they work.

`BENCHMARK_LATENCY` is in seconds per stage, as a model would take; 0 leaves the rules engine alone.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from cryptocontent.agents.agent import Agent
from cryptocontent.agents.pipeline import PIPELINE
from cryptocontent.agents.work import Work
from cryptocontent.definitions import build_defs
from cryptocontent.resources.platform import PipelineResource, PlatformResource


def slow_agents(latency: float) -> list[Agent]:
    """The pipeline's agents, each preceded by `latency` seconds in which others may work."""

    def slowed(run: Callable[[Work], Awaitable[Work]]) -> Callable[[Work], Awaitable[Work]]:
        async def wait_and_run(work: Work) -> Work:
            await asyncio.sleep(latency)
            return await run(work)

        return wait_and_run

    return [replace(agent, run=slowed(agent.run)) for agent in PIPELINE] if latency else list(PIPELINE)


class SlowPipeline(PipelineResource):
    """The pipeline under measurement."""

    def agents(self) -> Sequence[Agent]:
        """The agents with the latency that the environment names."""
        return slow_agents(float(os.environ.get("BENCHMARK_LATENCY", "0")))


defs = build_defs({"pipeline": SlowPipeline(platform=PlatformResource())})
