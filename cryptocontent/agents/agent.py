"""What an agent is: the code behind a stage, by rules and (if it has one) by a model."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from cryptocontent.agents.desk import Desk
from cryptocontent.agents.prompts import prompt_version
from cryptocontent.agents.work import Work
from cryptocontent.llm.policies import Policies


@dataclass(frozen=True, slots=True)
class ModelEngine:
    """A stage's engine that asks a model. `prompts` is the version of what it tells the model; left empty,
    it is that of the folder `agents/prompts/<stage>`."""

    version: str
    run: Callable[[Work, Desk], Awaitable[Work]]
    prompts: str = ""


@dataclass(frozen=True, slots=True)
class Agent:
    """The code behind a stage. A new `version` or `engine` makes new keys, so the stage runs again.
    `model` is the stage's other engine, which works where a project's policy says so. `after` names the
    stage behind which an agent of another package stands."""

    stage: str
    version: str
    engine: str
    run: Callable[[Work], Awaitable[Work]]
    model: ModelEngine | None = None
    after: str = ""


@dataclass(frozen=True, slots=True)
class Engaged:
    """An agent as a project's policy has it work: by `run`, or by `by_model` if that is given. `identity`
    changes whenever what a model is told, or which model, does."""

    stage: str
    version: str
    engine: str
    run: Callable[[Work], Awaitable[Work]]
    by_model: ModelEngine | None = None
    identity: str = ""
    prompts: str = field(default="", compare=False)


def engaged(agents: Sequence[Agent], policies: Policies) -> list[Engaged]:
    """The agents as the policies have them work. A stage that has no model engine works by its rules."""
    found = []
    for agent in agents:
        if agent.model is None or policies.of(agent.stage).engine != "model":
            found.append(Engaged(agent.stage, agent.version, agent.engine, agent.run))
            continue
        prompts = agent.model.prompts or prompt_version(agent.stage)
        identity = f"{prompts}:{policies.identity(agent.stage)}"
        found.append(
            Engaged(agent.stage, agent.model.version, "model", agent.run, agent.model, identity, prompts)
        )
    return found
