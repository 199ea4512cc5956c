"""Agents of other packages: an entry point of the group `cryptocontent.agents` names an `Agent`.

A package that has `[project.entry-points."cryptocontent.agents"]` with `glossary = "newsroom.glossary:AGENT"`
adds its stage to every pipeline of the installation, behind the stage that the agent's `after` names
(`docs/custom-agents.md` shows one).
"""

from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points

from cryptocontent.agents.agent import Agent
from cryptocontent.errors import Refused

GROUP = "cryptocontent.agents"


def with_plugins(own: Sequence[Agent], found: Iterable[EntryPoint] | None = None) -> tuple[Agent, ...]:
    """The agents with those of installed packages put in; `Refused` names a package whose agent does not
    fit. Agents are put in by name, so that their order does not depend on the order of installation."""
    agents = list(own)
    points = entry_points(group=GROUP) if found is None else found
    for point in sorted(points, key=lambda one: one.name):
        try:
            agent = point.load()
        except Exception as error:
            raise Refused(f"entry point {point.name!r} ({point.value}) can't be loaded: {error}") from error
        if not isinstance(agent, Agent):
            raise Refused(f"entry point {point.name!r} ({point.value}) is no cryptocontent Agent: {agent!r}")
        stages = [one.stage for one in agents]
        if agent.stage in stages:
            raise Refused(f"entry point {point.name!r}: there is a stage {agent.stage!r} already")
        if agent.after not in stages:
            known = ", ".join(stages)
            raise Refused(
                f"entry point {point.name!r}: after={agent.after!r} is no stage; there are: {known}"
            )
        agents.insert(stages.index(agent.after) + 1, agent)
    return tuple(agents)
