"""kill -9 in any stage: no model call that was finished is paid twice."""

import asyncio
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine, select

from cryptocontent.agents.agent import Agent, ModelEngine
from cryptocontent.agents.desk import Desk
from cryptocontent.agents.pipeline import Pipeline
from cryptocontent.agents.staffing import Staffing
from cryptocontent.agents.work import Draft, SeoPackage, Work
from cryptocontent.events import Live
from cryptocontent.identity import Person
from cryptocontent.llm.policies import read_policies, set_policies
from cryptocontent.llm.router import Router
from cryptocontent.settings import Settings
from cryptocontent.storage import open_engine, reading, writing
from cryptocontent.storage.models import Article, ModelCall, Spending, Version
from tests.agents.world import STAGES, make_world, own_words
from tests.fakes.vendors import Reply, Vendors, vendors_server

POLICY = "default: {engine: model, candidates: [{model: 'openai-chat:gpt-5-mini'}]}"


class Sentence(BaseModel):
    """A form of answer."""

    text: str


async def _rules(work: Work) -> Work:
    raise AssertionError("a model is to do this")


def _engine(stage: str, kill_in: str) -> ModelEngine:
    async def run(work: Work, desk: Desk) -> Work:
        said = []
        for question in ("first", "second"):
            prompt = f"{question} question of {stage}, brief {work.brief.id}"
            answer = await desk.ask(Sentence, system="s", material="m", task=prompt)
            said.append(answer.output.text)
            if f"{stage}:{question}" == kill_in:
                os.kill(os.getpid(), signal.SIGKILL)
        body = f"{own_words(work.brief.id)} {work.research[0].text}[^1] {' '.join(said)}"
        seo = SeoPackage(title="T", description="D", slug="slug", keywords=(), json_ld={})
        return work.model_copy(update={"draft": Draft(title="T", body=body), "seo": seo})

    return ModelEngine("1", run, prompts="p")


def _advance(
    database_url: str, home: str, environment: dict[str, str], ids: Sequence[str], kill_in: str
) -> None:
    engine = open_engine(database_url)
    values = {name.lower(): value for name, value in environment.items()}
    settings = Settings(CRYPTOCONTENT_HOME=home, database_url=database_url, **values)  # type: ignore[arg-type,call-arg]
    staffing = Staffing(engine, lambda: Router(engine, settings), Live(engine), "g")
    agents = [Agent(stage, "1", "rules", _rules, _engine(stage, kill_in)) for stage in STAGES]
    pipeline = Pipeline(engine, "run", agents, staffing=staffing)
    for stage in STAGES:
        outcome = asyncio.run(pipeline.advance(ids, stage))
    assert set(outcome.values()) == {None}, outcome


@pytest.fixture(scope="module")
def vendors() -> Any:
    with vendors_server() as server:
        yield server


@pytest.mark.parametrize("kill_in", ["writer:first", "editor:second", "analyst:first", "seo:second"])
def test_a_killed_process_costs_nothing_twice(
    sqlite_engine: Engine, tmp_path: Path, vendors: Vendors, kill_in: str
) -> None:
    vendors.reset()
    vendors.script = lambda asked: Reply(json={"text": "Said by a model."})
    settings = Settings(CRYPTOCONTENT_HOME=tmp_path)  # type: ignore[call-arg]
    ids = make_world(sqlite_engine, settings, 1)
    with writing(sqlite_engine) as session:
        set_policies(session, "p", read_policies(POLICY), Person("ada", "admin"))
    url = sqlite_engine.url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("spawn")
    for expected, kill in ((-signal.SIGKILL, kill_in), (0, "")):
        arguments = (url, str(tmp_path), vendors.environment(), ids, kill)
        process = context.Process(target=_advance, args=arguments)
        process.start()
        process.join(60)
        assert process.exitcode == expected
    asked = Counter(call.asked.messages[-1].text for call in vendors.calls["openai"])
    assert len(asked) == 2 * len(STAGES) and set(asked.values()) == {1}
    with reading(sqlite_engine) as session:
        calls = session.scalars(select(ModelCall)).all()
        spent = session.scalars(select(Spending).filter_by(period="g")).one()
        article = session.scalars(select(Article)).one()
        assert session.get_one(Version, article.version_id).author == "seo"
    assert {call.outcome for call in calls} == {"ok"} and spent.reserved_usd == 0
    assert spent.spent_usd == pytest.approx(sum(call.cost_usd for call in calls)) and spent.spent_usd > 0
