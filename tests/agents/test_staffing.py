"""Stages done by models: what the pipeline keeps of them, and what happens when models fail."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine, select

from cryptocontent.agents.agent import Agent, ModelEngine
from cryptocontent.agents.desk import Desk
from cryptocontent.agents.inputs import chains
from cryptocontent.agents.pipeline import Pipeline, stage_keys
from cryptocontent.agents.staffing import Staffing
from cryptocontent.agents.work import Draft, Work
from cryptocontent.content.articles import conversation, versions_of
from cryptocontent.events import Live
from cryptocontent.identity import Person
from cryptocontent.llm.calls import AnswerPending, BudgetExceeded, ModelsFailed
from cryptocontent.llm.policies import read_policies, set_policies
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Article, Brief, Finding, StageResult
from tests.agents.by_model.desks import ScriptedModels
from tests.agents.world import make_world

POLICY = "default: {engine: model, candidates: [{model: 'local:scripted'}]}"


class Sentence(BaseModel):
    """A form of answer."""

    text: str


async def by_model(work: Work, desk: Desk) -> Work:
    answer = await desk.ask(Sentence, system="s", material="m", task="t")
    body = f"{answer.output.text} {work.research[0].text}[^1]"
    return work.model_copy(update={"draft": Draft(title="By a model", body=body)})


async def by_rules(work: Work) -> Work:
    return work.model_copy(update={"draft": Draft(title="By rules", body=f"{work.research[0].text}[^1]")})


def agents(version: str = "1") -> list[Agent]:
    return [Agent("writer", "1", "rules", by_rules, ModelEngine(version, by_model, prompts="p1"))]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(CRYPTOCONTENT_HOME=tmp_path)  # type: ignore[call-arg]


def use(engine: Engine, policy: str) -> None:
    with writing(engine) as session:
        set_policies(session, "p", read_policies(policy), Person("ada", "admin"))


class Scripted(ScriptedModels):
    """Answers, or raises what it is given; notes what is submitted."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(lambda asked: {"text": "Told by a model."})
        self.error = error
        self.submitted: list[str] = []

    def model(self, policy: Any, scope: Any, **more: Any) -> Any:
        if self.error is not None:
            raise self.error
        more["spent"].cost_usd += 0.25
        more["spent"].output_tokens += 7
        more["spent"].models.append("local:scripted")
        return super().model(policy, scope, **more)

    async def submit(self, project_id: str) -> int:
        self.submitted.append(project_id)
        return 1


def advance(
    engine: Engine, ids: Sequence[str], models: Any, lane: str = "live"
) -> tuple[Pipeline, dict[str, str | None]]:
    staffing = Staffing(engine, lambda: models, Live(engine, interval=60), "g", lane)
    pipeline = Pipeline(engine, "run-1", agents(), staffing=staffing)
    return pipeline, asyncio.run(pipeline.advance(ids, "writer"))


def test_a_model_does_the_stage_where_the_policy_says_so(engine: Engine, settings: Settings) -> None:
    (brief,) = make_world(engine, settings, 1)
    use(engine, POLICY)
    _, outcome = advance(engine, [brief], Scripted())
    assert outcome == {brief: None}
    with reading(engine) as session:
        article = session.scalars(select(Article)).one()
        (version,) = versions_of(session, article.id)
        result = session.scalars(select(StageResult)).one()
    assert version.title == "By a model" and "Told by a model." in version.markdown
    told = {"engine", "model", "prompt_version", "policy", "cost_usd"}
    assert {name: version.provenance[name] for name in told} == {
        "engine": "model",
        "model": "local:scripted",
        "prompt_version": "p1",
        "policy": 1,
        "cost_usd": 0.25,
    }
    assert (result.calls, result.output_tokens, result.cost_usd) == (1, 7, 0.25)


def test_a_stage_is_done_again_only_when_what_decides_on_it_changes(
    engine: Engine, settings: Settings
) -> None:
    ids = make_world(engine, settings, 1)

    def key() -> str:
        return stage_keys(agents(), chains(engine, ids, ["writer"])[ids[0]])[0]

    by_rules_key = key()
    use(engine, POLICY)
    first = key()
    assert first != by_rules_key
    use(engine, POLICY.replace("}]", ", concurrency: 3}], timeouts: {attempt: 9}, on_failure: rules"))
    assert key() == first, "limits and timeouts decide on nothing that is written"
    use(engine, POLICY.replace("scripted", "other"))
    second = key()
    assert second != first
    use(engine, POLICY.replace("scripted", "other") + "\nstyle: Short sentences.")
    assert key() not in (first, second)


@pytest.mark.parametrize("error", [ModelsFailed("nobody answers"), BudgetExceeded("$5 are spent")])
def test_a_stage_without_an_answer_fails_and_can_be_resumed(
    engine: Engine, settings: Settings, error: Exception
) -> None:
    (brief,) = make_world(engine, settings, 1)
    use(engine, POLICY)
    _, outcome = advance(engine, [brief], Scripted(error))
    assert outcome == {brief: f"writer: {error}"}
    with reading(engine) as session:
        assert session.get_one(Brief, brief).last_error == f"writer: {error}"
        assert not session.scalars(select(Article)).all()
    _, outcome = advance(engine, [brief], Scripted())
    assert outcome == {brief: None}


def test_the_rules_take_over_visibly_if_the_project_says_so(engine: Engine, settings: Settings) -> None:
    (brief,) = make_world(engine, settings, 1)
    use(engine, POLICY.replace("}]", "}], on_failure: rules"))
    _, outcome = advance(engine, [brief], Scripted(ModelsFailed("nobody answers")))
    assert outcome == {brief: None}
    with reading(engine) as session:
        article = session.scalars(select(Article)).one()
        (version,) = versions_of(session, article.id)
        said = [message.body for message in conversation(session, article.id)]
        rules = set(session.scalars(select(Finding.rule)))
    assert (version.title, version.provenance["engine"]) == ("By rules", "rules")
    assert version.provenance["instead_of"] == "model"
    assert any("nobody answers" in body for body in said) and "stage.by_rules" in rules


def test_a_budget_that_is_used_up_is_no_reason_for_the_rules_to_take_over(
    engine: Engine, settings: Settings
) -> None:
    (brief,) = make_world(engine, settings, 1)
    use(engine, POLICY.replace("}]", "}], on_failure: rules"))
    _, outcome = advance(engine, [brief], Scripted(BudgetExceeded("$5 are spent")))
    assert outcome == {brief: "writer: $5 are spent"}


def test_the_gate_looks_at_what_the_run_made(engine: Engine, settings: Settings) -> None:
    """Also when the project's policy has changed since the run began: then the keys of now are others."""
    (brief,) = make_world(engine, settings, 1)
    use(engine, POLICY)
    models = Scripted()
    models.reply = lambda asked: {"text": "It has 123,456 validators.[^1]"}
    pipeline, outcome = advance(engine, [brief], models)
    assert outcome == {brief: None}
    use(engine, POLICY.replace("scripted", "other"))
    assert "123,456" in pipeline.blocking_findings([brief])[brief]


def test_an_answer_that_waits_in_a_batch_is_no_failure(engine: Engine, settings: Settings) -> None:
    (brief,) = make_world(engine, settings, 1)
    use(engine, POLICY)
    models = Scripted(AnswerPending("waits for a batch"))
    pipeline, outcome = advance(engine, [brief], models, "batch")
    assert outcome == {brief: "writer: waits for a batch"} and pipeline.waiting == {brief}
    assert models.submitted == ["p"]
    with reading(engine) as session:
        assert session.get_one(Brief, brief).last_error is None
    _, outcome = advance(engine, [brief], Scripted(), "batch")
    assert outcome == {brief: None}


def test_a_process_without_models_says_so(engine: Engine, settings: Settings) -> None:
    (brief,) = make_world(engine, settings, 1)
    use(engine, POLICY)
    outcome = asyncio.run(Pipeline(engine, "run-1", agents()).advance([brief], "writer"))
    assert "has no models" in str(outcome[brief])


def test_an_agent_without_a_model_engine_works_by_its_rules(engine: Engine, settings: Settings) -> None:
    (brief,) = make_world(engine, settings, 1)
    use(engine, POLICY)
    only_rules = [Agent("writer", "1", "rules", by_rules)]
    assert asyncio.run(Pipeline(engine, "run-1", only_rules).advance([brief], "writer")) == {brief: None}
