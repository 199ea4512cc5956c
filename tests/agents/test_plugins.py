"""Agents of other packages: the one of docs/custom-agents.md, installed and run; what is refused."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from cryptocontent.agents import plugins
from cryptocontent.agents.agent import Agent, ModelEngine, engaged
from cryptocontent.agents.pipeline import Pipeline
from cryptocontent.agents.plugins import GROUP, with_plugins
from cryptocontent.agents.staffing import Staffing
from cryptocontent.agents.store import article_id_of
from cryptocontent.agents.work import Work
from cryptocontent.content.articles import conversation
from cryptocontent.errors import Refused
from cryptocontent.events import Live
from cryptocontent.identity import Person
from cryptocontent.llm.policies import Policies, read_policies, set_policies
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from tests.agents.by_model.desks import Asked, ScriptedModels
from tests.agents.world import STAGES, Calls, make_world

PAGE = Path(__file__).parents[2] / "docs" / "custom-agents.md"
POLICY = "stages: {titles: {candidates: [{model: 'local:scripted'}]}}"
LONG = "A title that goes on and on until nobody who reads it knows any more how it began"


def block(language: str) -> str:
    """The page's code block of that language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return str(found)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The page's two files as pip would have installed them."""
    project = tomllib.loads(block("toml"))["project"]
    code = block("python")
    name = code.splitlines()[0].removeprefix("# ")
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(code)
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = [
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in some.items())
        for group, some in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points))
    return tmp_path


@pytest.fixture
def titles(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.syspath_prepend(str(package))
    (found,) = (one for one in with_plugins(own()) if one.stage == "titles")
    yield found
    sys.modules.pop("newsroom_titles", None)


async def nothing(work: Work) -> Work:
    return work


def own() -> list[Agent]:
    return [Agent(stage, "1", "test", nothing) for stage in STAGES]


def stages(agents: Any) -> list[str]:
    return [agent.stage for agent in agents]


def point(name: str, agent: Any, monkeypatch: pytest.MonkeyPatch) -> EntryPoint:
    """An entry point that names the agent."""
    monkeypatch.setattr(plugins, f"_{name}", agent, raising=False)
    return EntryPoint(name, f"cryptocontent.agents.plugins:_{name}", GROUP)


def test_the_page_shows_a_stage_of_thirty_lines() -> None:
    lines = [line for line in block("python").splitlines()[1:] if line.strip()]
    assert len(lines) <= 30


def test_installed_it_stands_where_it_says(titles: Agent) -> None:
    assert stages(with_plugins(own())) == ["writer", "editor", "titles", "proofreader", "analyst", "seo"]
    assert titles.model is not None and titles.after == "editor"


def test_every_process_finds_it(package: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from cryptocontent.agents.pipeline import PIPELINE;"
        "print([agent.stage for agent in PIPELINE]); print('pydantic_ai' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        "['writer', 'editor', 'titles', 'proofreader', 'analyst', 'seo']",
        "False",
    ], done.stderr


async def generate(
    engine: Engine, settings: Settings, titles: Agent, answers: list[list[str]]
) -> tuple[list[str], list[Asked]]:
    """What the stage leaves in the conversation of an article that goes through the whole pipeline, and what
    its model was asked."""
    (brief,) = make_world(engine, settings, 1)
    with writing(engine) as session:
        set_policies(session, "p", read_policies(POLICY), Person("ada", "admin"))
    left = iter(answers)
    models = ScriptedModels(lambda asked: {"titles": next(left)})
    agents = Calls(settings.home / "calls").agents()
    agents.insert(2, titles)
    pipeline = Pipeline(engine, "run", agents, staffing=Staffing(engine, lambda: models, Live(engine)))
    assert await pipeline.advance([brief], "seo") == {brief: None}
    with reading(engine) as session:
        messages = conversation(session, article_id_of(brief))
    return [one.body for one in messages if one.author == "titles"], models.asked


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(CRYPTOCONTENT_HOME=tmp_path / "home")  # type: ignore[call-arg]


async def test_it_works_within_the_pipeline(sqlite_engine: Engine, settings: Settings, titles: Agent) -> None:
    left, asked = await generate(sqlite_engine, settings, titles, [["Fees", "Gas", "Blobs"]])
    assert left == ["Other titles: Fees; Gas; Blobs"]
    (question,) = asked
    assert question.form == "Titles" and "three other titles" in question.task
    assert "A blob holds 4096 field elements." in question.material


async def test_its_check_is_told_to_the_model_once(
    sqlite_engine: Engine, settings: Settings, titles: Agent
) -> None:
    answers = [[LONG, "Gas", "Blobs"], ["Fees", LONG, "Blobs"]]
    left, asked = await generate(sqlite_engine, settings, titles, answers)
    assert left == ["Other titles: Fees; Blobs"], "what is still wrong is left out"
    assert len(asked) == 2 and f"“{LONG}” has {len(LONG)} characters" in asked[1].problems


async def test_by_rules_it_adds_nothing(titles: Agent) -> None:
    (one,) = engaged([titles], Policies())
    assert (one.engine, one.by_model) == ("rules", None)
    work = Work.model_construct()
    assert await one.run(work) is work


# What does not fit


def test_without_packages_nothing_changes() -> None:
    assert with_plugins(own(), []) == tuple(own())


def test_the_order_of_installation_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        point("b_second", Agent("second", "1", "rules", nothing, after="first"), monkeypatch),
        point("a_first", Agent("first", "1", "rules", nothing, after="seo"), monkeypatch),
        point("c_third", Agent("third", "1", "rules", nothing, after="writer"), monkeypatch),
    ]
    expected = ["writer", "third", "editor", "proofreader", "analyst", "seo", "first", "second"]
    assert stages(with_plugins(own(), points)) == stages(with_plugins(own(), points[::-1])) == expected


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("not an agent", ["'odd'", "is no cryptocontent Agent", "not an agent"]),
        (Agent("seo", "1", "rules", nothing, after="writer"), ["'odd'", "already", "'seo'"]),
        (Agent("x", "1", "rules", nothing), ["'odd'", "after=''", "writer, editor, proofreader"]),
        (Agent("x", "1", "rules", nothing, after="nobody"), ["after='nobody' is no stage"]),
    ],
)
def test_what_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch, agent: Any, words: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        with_plugins(own(), [point("odd", agent, monkeypatch)])
    for word in words:
        assert word in str(refused.value)


# How a policy has agents work


async def asking(work: Work, desk: Any) -> Work:
    return work


def by(policy: str, agent: Agent) -> Any:
    (one,) = engaged([agent], read_policies(policy))
    return one


def test_the_policy_decides_which_engine_works() -> None:
    agent = Agent("titles", "1", "rules", nothing, ModelEngine("7", asking, prompts="p1"))
    rules, model = by("stages: {titles: {engine: rules}}", agent), by(POLICY, agent)
    assert (rules.engine, rules.version, rules.by_model, rules.identity) == ("rules", "1", None, "")
    assert (model.engine, model.version, model.prompts) == ("model", "7", "p1")
    assert model.by_model is agent.model and model.identity.startswith("p1:")
    alone = Agent("titles", "1", "rules", nothing)
    assert by(POLICY, alone).engine == "rules", "a stage without a model engine works by its rules"


def test_the_identity_changes_with_prompts_and_models() -> None:
    def identity(prompts: str, model: str) -> str:
        agent = Agent("titles", "1", "rules", nothing, ModelEngine("7", asking, prompts=prompts))
        return str(by(POLICY.replace("scripted", model), agent).identity)

    assert identity("p1", "a") == identity("p1", "a")
    assert len({identity("p1", "a"), identity("p2", "a"), identity("p1", "b")}) == 3


def test_prompts_of_the_house_are_found_by_the_stage() -> None:
    agent = Agent("editor", "1", "rules", nothing, ModelEngine("7", asking))
    model = by(POLICY.replace("titles", "editor"), agent)
    assert re.fullmatch(r"[0-9a-f]{12}", model.prompts) and model.identity.startswith(model.prompts)
