"""How a stage is worked by a model: its desk, what it is charged, and who takes over when models fail."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from cryptocontent.agents.agent import Engaged
from cryptocontent.agents.desk import Desk, Models
from cryptocontent.agents.inputs import Inputs
from cryptocontent.agents.store import article_id_of
from cryptocontent.agents.tools import desk_tools
from cryptocontent.agents.work import Work, WorkMessage
from cryptocontent.content.findings import NewFinding
from cryptocontent.events import Live
from cryptocontent.llm.calls import CallScope, ModelsFailed, Spent


@dataclass(frozen=True, slots=True)
class Worked:
    """A stage that is done: the work, the engine and version that did it, and for the version's provenance
    what it was made by."""

    work: Work
    engine: str
    version: str
    made_by: dict[str, Any]


@dataclass(slots=True)
class Staffing:
    """A run's models. `models` is made on first use: it takes a second that a run by rules never spends."""

    engine: Engine
    open_models: Callable[[], Models]
    live: Live
    generation_id: str = ""
    lane: str = "live"
    _models: Models | None = None

    async def work(self, agent: Engaged, item: Inputs, work: Work, run_id: str) -> Worked:
        """Have the agent's model engine do the stage. When no model answers, the stage fails (and can be
        resumed), or its rules take over, visibly, if the policy says so."""
        if agent.by_model is None:
            raise ValueError(f"{agent.stage} has no model engine")
        if self._models is None:
            self._models = self.open_models()
        policies = item.chain.policies
        policy = policies.of(agent.stage)
        spent = Spent()
        brief, article = work.brief, article_id_of(work.brief.id)
        desk = Desk(
            stage=agent.stage,
            models=self._models,
            policy=policy,
            scope=CallScope(
                brief.project_id,
                agent.stage,
                generation_id=self.generation_id,
                brief_id=brief.id,
                article_id=article,
                run_id=run_id,
                lane="batch" if self.lane == "batch" else "live",
            ),
            rules=item.rules,
            style=policies.style,
            tools=desk_tools(self.engine, work, item.rules),
            watch=self.live.watcher(brief.project_id, f"article:{article}", agent.stage),
            spent=spent,
        )
        made_by: dict[str, Any] = {"prompt_version": agent.prompts, "policy": policies.number}
        try:
            done = await agent.by_model.run(work, desk)
        except ModelsFailed as error:
            if policy.on_failure != "rules":
                raise
            done, engine, version = _taken_over(await agent.run(work), agent, error), "rules", agent.version
            made_by["instead_of"] = "model"
        else:
            engine, version = "model", agent.version
            made_by["model"] = ", ".join(dict.fromkeys(spent.models))
        return Worked(_charged(done, spent), engine, version, made_by)

    async def submit(self, project_ids: Iterable[str]) -> None:
        """Hand the vendors what stages put down for the batch lane."""
        if self._models is not None:
            for project_id in project_ids:
                await self._models.submit(project_id)


def _charged(work: Work, spent: Spent) -> Work:
    return work.model_copy(
        update={
            "calls": work.calls + spent.calls,
            "input_tokens": work.input_tokens + spent.input_tokens,
            "output_tokens": work.output_tokens + spent.output_tokens,
            "cost_usd": work.cost_usd + spent.cost_usd,
        }
    )


def _taken_over(work: Work, agent: Engaged, error: ModelsFailed) -> Work:
    """The work of the rules engine, with everybody told why it is theirs."""
    told = f"No model answered, so the rules engine did the {agent.stage}'s work: {error}"
    message = WorkMessage(author=agent.stage, kind="finding", body=told, data={"instead_of": "model"})
    finding = NewFinding(rule="stage.by_rules", severity="warn", message=told, excerpt="")
    return work.model_copy(
        update={"messages": (*work.messages, message), "findings": (*work.findings, finding)}
    )
