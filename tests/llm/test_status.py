"""How a project's models do, and whether they answer when they are asked."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from cryptocontent.llm.calls import CallScope, Settlement, TokenUse
from cryptocontent.llm.circuit import Circuits
from cryptocontent.llm.ledger import Ledger
from cryptocontent.llm.policies import Candidate, Policies, StagePolicy, read_policies, set_policies
from cryptocontent.llm.records import open_records
from cryptocontent.llm.status import ask_each, candidates_of, price_notes, status, under_way
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import ModelCall
from tests.fakes.vendors import Fault, Vendors
from tests.llm.money import ADA, make_project

POLICY = """
default: {candidates: [{model: 'openai:gpt-5.6-luna'}, {model: 'anthropic:claude-haiku-5-5'}]}
stages:
  seo: {candidates: [{model: 'openai:gpt-5.6-luna'}]}
  editor: {engine: rules, candidates: [{model: 'grok:grok-4.7'}]}
"""
SCOPE = CallScope("p", "writer")


@pytest.fixture
def settings(tmp_path: Path, vendors: Vendors) -> Settings:
    return vendors.settings(tmp_path)


def test_candidates_are_those_that_may_be_asked() -> None:
    found = candidates_of(read_policies(POLICY))
    assert {model: stages for model, (_, stages) in found.items()} == {
        "openai:gpt-5.6-luna": ["default", "seo"],
        "anthropic:claude-haiku-5-5": ["default"],
    }


async def test_status(engine: Engine, tmp_path: Path) -> None:
    settings = Settings(CRYPTOCONTENT_HOME=tmp_path, openai_api_key="sk-5ecret")  # type: ignore[call-arg, arg-type]
    make_project(engine, month=10, generation=2)
    with writing(engine) as session:
        set_policies(session, "p", read_policies(POLICY), ADA)
    ledger = Ledger(engine)
    for settlement in (
        Settlement("ok", TokenUse(10, 5), 0.5, seconds=2),
        Settlement("ok", TokenUse(10, 5), 0.25, seconds=4),
        Settlement("timeout", cost_usd=0.125, seconds=100),
        None,
    ):
        call = await ledger.reserve(SCOPE, "k" * 64, "openai", "gpt-5.6-luna", 1, 1.0)
        if settlement:
            await ledger.settle(call, settlement)
    batched = await ledger.reserve(SCOPE, "b" * 64, "openai", "gpt-5.6-luna", 1, 1.0, lane="batch")
    await ledger.settle(batched, Settlement("ok", TokenUse(10, 5)))  # nobody waited for it
    circuits = Circuits(open_records(settings.cache_url))
    await circuits.note("openai:gpt-5.6-luna", await circuits.admit("openai:gpt-5.6-luna"), "quota")

    found = status(engine, settings, "p")
    openai, anthropic = found["candidates"]
    assert (openai["model"], openai["configured"]) == ("openai:gpt-5.6-luna", True)
    assert (anthropic["model"], anthropic["configured"]) == ("anthropic:claude-haiku-5-5", False)
    assert (openai["calls"], openai["failed"], openai["cost_usd"], openai["seconds"]) == (4, 1, 0.875, 3.0)
    assert (anthropic["calls"], anthropic["seconds"]) == (0, None)
    assert openai["circuit"] == "open" and openai["since"] < openai["retry_at"]
    assert anthropic["circuit"] == "closed" and anthropic["retry_at"] is None
    month, generation = found["budgets"]
    assert (month["cap"], month["spent"], month["reserved"], month["left"]) == (10, 0.875, 1, 8.125)
    assert (generation["cap"], generation["left"]) == (2, None)
    assert (found["under_way"]["calls"], found["under_way"]["reserved_usd"]) == (1, 1)
    assert "5ecret" not in repr(found)


async def test_prices_that_nobody_pays_per_call(sqlite_engine: Engine) -> None:
    make_project(sqlite_engine)
    ledger = Ledger(sqlite_engine)
    for provider, pricing in (("copilot", "subscription"), ("openai", "unknown"), ("openai", "listed")):
        call = await ledger.reserve(SCOPE, "k" * 64, provider, "m", 1, 0.0)
        await ledger.settle(call, Settlement("ok", pricing=pricing))  # type: ignore[arg-type]
    with reading(sqlite_engine) as session:
        assert price_notes(session, "p") == {"unknown": {"openai:m": 1}, "subscription": {"copilot:m": 1}}
        assert under_way(session, "p")["calls"] == 0


def asked(*models: str, **policy: Any) -> list[tuple[Candidate, StagePolicy]]:
    candidates = [Candidate(model=model) for model in models]
    return [(one, StagePolicy(candidates=(one,), **policy)) for one in candidates]


EVERY = (
    "openai:gpt-5.6-luna", "openai-chat:gpt-5.6-luna", "anthropic:claude-haiku-5-5",
    "google:gemini-3.5-flash-lite", "grok:grok-4.7", "copilot:gpt-5.6-luna", "local:qwen3:8b",
)  # fmt: skip


@pytest.mark.parametrize("policy", [{}, {"output": "text", "stream": True}])
async def test_every_provider_is_asked_and_paid_for(
    sqlite_engine: Engine, settings: Settings, vendors: Vendors, policy: dict[str, Any]
) -> None:
    make_project(sqlite_engine, month=1)
    rows = await ask_each(sqlite_engine, settings, "p", asked(*EVERY, **policy))
    assert [(row["model"], row["error"]) for row in rows] == [(model, None) for model in EVERY]
    assert all(row["seconds"] > 0 and row["input_tokens"] > 0 and row["output_tokens"] > 0 for row in rows)
    assert {row["model"] for row in rows if not row["cost_usd"]} == {"copilot:gpt-5.6-luna", "local:qwen3:8b"}
    calls = [call.asked for some in vendors.calls.values() for call in some]
    assert len(calls) == len(EVERY)
    assert all(0 < (call.max_tokens or 0) <= 1000 for call in calls)
    assert all(call.stream == bool(policy) for call in calls)
    with reading(sqlite_engine) as session:
        stages = session.execute(select(ModelCall.stage, func.count()).group_by(ModelCall.stage)).all()
    assert [tuple(row) for row in stages] == [("test", len(EVERY))]


async def test_again_is_asked_again_whatever_its_circuit_says(
    sqlite_engine: Engine, settings: Settings, vendors: Vendors
) -> None:
    make_project(sqlite_engine)
    circuits = Circuits(open_records(settings.cache_url))
    await circuits.note("openai:gpt-5.6-luna", await circuits.admit("openai:gpt-5.6-luna"), "quota")
    for _ in range(2):
        (row,) = await ask_each(sqlite_engine, settings, "p", asked("openai:gpt-5.6-luna"))
        assert row["error"] is None
    assert vendors.counts["openai"] == 2


async def test_each_failure_is_told_and_the_others_answer(
    sqlite_engine: Engine, settings: Settings, vendors: Vendors
) -> None:
    make_project(sqlite_engine)
    settings = settings.model_copy(update={"xai_api_key": type(settings.xai_api_key)("")})
    vendors.next("openai", Fault(status=401))
    vendors.next("anthropic", Fault(status=500))
    models = (
        "openai:gpt-5.6-luna",
        "anthropic:claude-haiku-5-5",
        "grok:grok-4.7",
        "google:gemini-3.5-flash-lite",
    )
    rows = {row["model"]: row for row in await ask_each(sqlite_engine, settings, "p", asked(*models))}
    assert (
        "401" in rows["openai:gpt-5.6-luna"]["error"] and rows["openai:gpt-5.6-luna"]["outcome"] == "rejected"
    )
    assert rows["anthropic:claude-haiku-5-5"]["outcome"] == "server_error"
    assert "XAI_API_KEY" in rows["grok:grok-4.7"]["error"] and rows["grok:grok-4.7"]["outcome"] == "not_sent"
    assert rows["google:gemini-3.5-flash-lite"]["error"] is None
    assert vendors.counts["anthropic"] == 1, "asked once"
    assert "5ecret" not in repr(rows)


async def test_a_budget_holds_for_tests_too(
    sqlite_engine: Engine, settings: Settings, vendors: Vendors
) -> None:
    make_project(sqlite_engine, month=0.0001)
    (row,) = await ask_each(sqlite_engine, settings, "p", asked("openai:gpt-5.6-luna"))
    assert "budget of month" in row["error"] and row["outcome"] == "not_sent"
    assert vendors.total() == 0


def test_no_policy_no_candidates(sqlite_engine: Engine, tmp_path: Path) -> None:
    make_project(sqlite_engine)
    found = status(sqlite_engine, Settings(CRYPTOCONTENT_HOME=tmp_path), "p")  # type: ignore[call-arg]
    assert found["candidates"] == [] and found["policy"] == Policies().number == 0
