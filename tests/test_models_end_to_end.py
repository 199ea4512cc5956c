"""Articles made by models from the first word to the last: the real router over the vendors' SDKs, the real
pipeline and checks, on the sample project. Only the vendors are fakes, and the models are scripts.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine, select

from cryptocontent.agents.pipeline import PIPELINE, Pipeline
from cryptocontent.agents.prompts import prompt_version
from cryptocontent.agents.staffing import Staffing
from cryptocontent.audit import Actor
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.documents import cited_numbers, split_article
from cryptocontent.content.generations import brief_ids
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import TemplateSpec, read_template, save_template
from cryptocontent.events import Live
from cryptocontent.identity import Person
from cryptocontent.knowledge.references import import_paths
from cryptocontent.knowledge.research import freeze
from cryptocontent.knowledge.search import search_index, sync_index
from cryptocontent.llm.policies import read_policies, set_policies
from cryptocontent.llm.router import Router
from cryptocontent.settings import Settings
from cryptocontent.storage import migrate, open_engine, open_object_store, reading, writing
from cryptocontent.storage.models import (
    Article,
    Citation,
    Event,
    Finding,
    Message,
    ModelCall,
    Research,
    StageResult,
    Version,
)
from tests.agents.world import STAGES
from tests.cli.homes import SAMPLE
from tests.fakes.authors import FIGURES, QUOTATION, SOURCE, honest, inventive
from tests.fakes.vendors import Asked, Reply, Vendors, vendors_server

TESTER = Actor("test", "models")
LIMITS = "attempts: 3, timeouts: {total: 20}"
MODELS = {
    "writer": "anthropic:claude-sonnet-5-5",
    "editor": "openai:gpt-5.6-luna",
    "proofreader": "google:gemini-3.8-flash",
    "analyst": "grok:grok-4.7",
    "seo": "openai-chat:gpt-5.6-luna",
}
EACH = "stages:\n" + "".join(
    f"  {stage}: {{candidates: [{{model: '{model}'}}], {LIMITS}}}\n" for stage, model in MODELS.items()
)
SHORT = TemplateSpec.model_validate(
    {
        "name": "note",
        "title": "{{ topic }}, in short",
        "words": {"min": 150, "max": 400},
        "variables": {"topic": {"type": "text"}},
        "sections": [
            {"heading": "What it is", "query": "what is {{ topic }}", "words": {"min": 60, "max": 140}},
            {"heading": "How it works", "query": "how {{ topic }} works", "words": {"min": 60, "max": 140}},
        ],
    }
)
BRIEFS = b"""template,topic,keywords
note,Rollups,
explainer,Stablecoins,peg;reserves
explainer,The Bitcoin halving,
"""


@dataclass(frozen=True)
class Made:
    """A database after a run, and how its briefs ended."""

    engine: Engine
    ids: list[str]
    outcome: dict[str, str | None]
    blocked: dict[str, str]

    def rows(self, table: type) -> list:  # type: ignore[type-arg]
        with reading(self.engine) as session:
            return list(session.scalars(select(table)))

    @property
    def final(self) -> list[Version]:
        return [one for one in self.rows(Version) if one.author == "seo"]


Make = Callable[..., Made]


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with vendors_server() as server:
        yield server


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, vendors: Vendors) -> Iterator[Make]:
    """Makes the articles of briefs by a policy and a script; the knowledge is imported once."""
    base = tmp_path_factory.mktemp("knowledge")
    settings = Settings(CRYPTOCONTENT_HOME=base)  # type: ignore[call-arg]
    engine = open_engine(settings.database_url)
    migrate(engine)
    with writing(engine) as session:
        create_project(session, "p", "", TESTER)
        save_template(session, "p", SHORT, TESTER)
        save_template(session, "p", read_template(SAMPLE / "templates" / "explainer.yaml"), TESTER)
        assert not import_briefs(session, "p", BRIEFS, TESTER).problems
    objects = open_object_store(settings.object_store_url)
    import_paths(engine, objects, "p", [SAMPLE / "references"], TESTER, max_bytes=10**7)
    sync_index(engine, settings, "p")
    with reading(engine) as session:
        ids = brief_ids(session, "p")
    freeze(engine, lambda queries: search_index(settings, queries), ids)
    engine.dispose()
    opened: list[Engine] = []

    def made(policy: str, script: Callable[[Asked], Reply], number: int = 1) -> Made:
        home = tmp_path_factory.mktemp("home")
        database = home / "cryptocontent.db"
        database.write_bytes((base / "cryptocontent.db").read_bytes())
        vendors.reset()
        vendors.script = script
        settings = vendors.settings(home)
        engine = open_engine(settings.database_url)
        opened.append(engine)
        with writing(engine) as session:
            set_policies(session, "p", read_policies(policy), Person("ada", "admin"))
        live = Live(engine, interval=60)
        staff = Staffing(engine, lambda: Router(engine, settings), live, "g")
        some = sorted(ids, key=lambda one: "in-short" not in one)[:number]
        pipeline = Pipeline(engine, "run", PIPELINE, staffing=staff)
        outcome = asyncio.run(pipeline.advance(some, "seo"))
        live.flush()
        return Made(engine, some, outcome, pipeline.blocking_findings(some))

    yield made
    for one in opened:
        one.dispose()


@pytest.fixture(scope="module")
def by_honest(make: Make) -> Made:
    return make(EACH, honest, 3)


@pytest.fixture(scope="module")
def by_inventive(make: Make) -> Made:
    return make(EACH, inventive, 2)


def test_five_models_of_four_vendors_make_articles_fit_for_review(by_honest: Made) -> None:
    assert set(by_honest.outcome.values()) == {None} and len(by_honest.ids) == 3
    assert [one.status for one in by_honest.rows(Article)] == ["in_review"] * 3
    assert not by_honest.blocked
    versions = by_honest.rows(Version)
    assert sorted(one.author for one in versions) == sorted(STAGES * 3)
    for one in versions:
        told = one.provenance
        assert (told["engine"], told["model"], told["policy"]) == ("model", MODELS[one.author], 1)
        assert told["prompt_version"] == prompt_version(one.author)
    assert all(one.details["seo"]["title"] for one in by_honest.final)


def test_every_citation_points_at_the_research(by_honest: Made) -> None:
    sizes = {one.brief_id: len(one.passages) for one in by_honest.rows(Research)}
    kept = {(one.version_id, one.number) for one in by_honest.rows(Citation)}
    for one in by_honest.rows(Version):
        cited = cited_numbers(split_article(one.markdown)[1])
        assert len(cited) >= 2 and max(cited) <= sizes[one.provenance["brief"]]
        assert cited == {number for version, number in kept if version == one.id}


def test_what_the_ledger_holds_is_what_articles_cost(by_honest: Made) -> None:
    calls = by_honest.rows(ModelCall)
    assert {one.outcome for one in calls} == {"ok"} and {one.generation_id for one in calls} == {"g"}
    for one in by_honest.final:
        mine = [call for call in calls if call.article_id == one.article_id]
        assert one.provenance["cost_usd"] == pytest.approx(sum(call.cost_usd for call in mine))
        assert one.provenance["cost_usd"] > 0 and one.provenance["calls"] == len(mine)
    results = by_honest.rows(StageResult)
    assert sum(one.cost_usd for one in results) == pytest.approx(sum(one.cost_usd for one in calls))


def test_edits_are_made_and_told(by_honest: Made) -> None:
    made = [one for one in by_honest.rows(Message) if one.kind == "edit"]
    assert {one.author for one in made} == {"editor", "proofreader"}
    assert not [one for one in by_honest.rows(Message) if one.data.get("rule") == "edit.refused"]


def test_nothing_invented_is_in_an_article(by_inventive: Made) -> None:
    assert set(by_inventive.outcome.values()) == {None}
    assert [one.status for one in by_inventive.rows(Article)] == ["in_review"] * 2
    for one in by_inventive.rows(Version):
        text = f"{one.title}\n{one.markdown}\n{one.details}"
        assert not [figure for figure in FIGURES if figure in text]
        assert QUOTATION not in text
        assert max(cited_numbers(one.markdown)) < SOURCE
        assert "quantum dividends" not in text


def test_people_are_told_what_went(by_inventive: Made) -> None:
    findings, messages = by_inventive.rows(Finding), by_inventive.rows(Message)
    told = " ".join(one.excerpt or "" for one in findings if one.rule == "citation.unsupported")
    assert QUOTATION in told and any(figure in told for figure in FIGURES)
    assert any(max(one.evidence.get("cited") or [0]) >= SOURCE for one in findings)
    summaries = {one.author: one.body for one in messages if one.kind == "summary"}
    assert re.search(r"\d+ sentences could not stand on the sources", summaries["writer"])
    assert any(one.data.get("rule") == "seo.left_out" and one.kind == "finding" for one in messages)
    assert any("did not count" in one.body for one in messages if one.author == "analyst")


def test_the_model_hears_of_its_faults_once(by_inventive: Made, make: Make, vendors: Vendors) -> None:
    make(EACH, inventive)
    first, second = (call.asked for call in vendors.calls["anthropic"])
    assert "has these problems" not in f"{first.text} {first.results}"
    told = f"{second.text} {second.results}"
    assert "has these problems" in told and any(
        one in told for one in (*FIGURES, QUOTATION, f"[^{SOURCE // 10}")
    )


def test_stages_by_rules_and_by_models_mix(make: Make) -> None:
    policy = f"stages:\n  editor: {{candidates: [{{model: '{MODELS['editor']}'}}], {LIMITS}}}\n"
    made = make(policy, honest)
    engines = {one.author: one.provenance["engine"] for one in made.rows(Version)}
    assert engines == dict.fromkeys(STAGES, "rules") | {"editor": "model"}
    assert [one.status for one in made.rows(Article)] == ["in_review"]
    assert {one.stage for one in made.rows(ModelCall)} == {"editor"}


def test_a_local_model_answers_in_text(make: Make, vendors: Vendors) -> None:
    policy = f"default: {{candidates: [{{model: 'local:llama'}}], output: text, {LIMITS}}}\n"
    made = make(policy, honest)
    assert [one.status for one in made.rows(Article)] == ["in_review"]
    asked = [call.asked for call in vendors.calls["local"]]
    assert {one.schema_from for one in asked} == {"prompt"} and not any(
        tool.name.startswith("final_result") for one in asked for tool in one.tools
    )
    assert {(one.pricing, one.cost_usd) for one in made.rows(ModelCall)} == {("own", 0.0)}


STREAMED = EACH.replace("attempts: 3", "attempts: 3, stream: true")


def test_tokens_are_shown_live_and_change_nothing(make: Make) -> None:
    plain, streamed = make(EACH, honest), make(STREAMED, honest)
    texts = [{one.author: one.markdown for one in made.rows(Version)} for made in (plain, streamed)]
    assert texts[0] == texts[1] and len(texts[0]) == 5
    assert not [one for one in plain.rows(Event) if one.kind == "token"]
    tokens = [one for one in streamed.rows(Event) if one.kind == "token"]
    assert {one.data["stage"] for one in tokens} >= set(STAGES) - {"proofreader"}
    (article,) = streamed.rows(Article)
    assert {one.subject for one in tokens} == {f"article:{article.id}"}
    written = "".join(one.data["text"] for one in tokens if one.data["stage"] == "writer")
    sentence = re.search(r"([A-Z][^.\n]{30,80})\.\[\^", texts[1]["writer"])
    assert sentence and sentence[1] in written


def test_the_research_is_read_from_the_vendors_cache(by_honest: Made) -> None:
    """The questions of one article begin with the same research: only the first pays for it in full."""
    calls = [
        one for one in by_honest.rows(ModelCall) if one.stage == "writer" and one.model.startswith("claude")
    ]
    read, cached = sum(one.input_tokens for one in calls), sum(one.cache_read_tokens for one in calls)
    assert cached > 0.5 * read


def test_tokens_of_google_are_shown_too(make: Make) -> None:
    streamed = make(STREAMED, honest)
    assert "proofreader" in {one.data["stage"] for one in streamed.rows(Event) if one.kind == "token"}
