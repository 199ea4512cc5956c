"""What an attempt holds, pays and loses when something is wrong on our side of the line."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelResponse, TextPart
from sqlalchemy import Engine, func, select, update

from cryptocontent.agents.desk import Desk
from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.content.rules import shipped_rules
from cryptocontent.identity import Person
from cryptocontent.llm.budgets import set_budget
from cryptocontent.llm.calls import ModelsFailed, Settlement
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import KeptResponse, ModelCall, Spending
from tests.llm.scripted import SCOPE, Vendors, answered, ask, make_router, policy, text

DEAR = {"model": "openai:a", "price": {"input": 1.0, "output": 1000.0}}


class Answer(BaseModel):
    """A form of answer."""

    number: int


def calls(engine: Engine) -> list[ModelCall]:
    with reading(engine) as session:
        return list(session.scalars(select(ModelCall)))


def count(engine: Engine, table: type) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


async def test_a_mistake_of_ours_is_no_fault_of_the_models(sqlite_engine: Engine, tmp_path: Path) -> None:
    def script(name: str, number: int) -> ModelResponse:
        raise UserError("this model does not support that")

    vendors = Vendors(script)
    router = make_router(sqlite_engine, tmp_path, vendors)
    with pytest.raises(ModelsFailed, match="does not support that"):
        await ask(router, policy(DEAR, "anthropic:b"))
    assert vendors.calls == {"openai:a": 1, "anthropic:b": 1}
    assert [(one.outcome, one.cost_usd) for one in calls(sqlite_engine)] == [("rejected", 0.0)] * 2
    states = await router.shared.circuits.states(["openai:a", "anthropic:b"])
    assert {state.failures for state in states.values()} == {0}


async def test_an_answer_that_can_not_be_kept_is_settled_with_its_cost(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    lone_surrogate = json.loads('"half of \\ud83d"')
    vendors = Vendors(lambda name, number: text(lone_surrogate if name == "openai:a" else "well"))
    router = make_router(sqlite_engine, tmp_path, vendors)
    answer, _ = await ask(router, policy(DEAR, "anthropic:b", tries=1))
    assert answer == "well"
    bad, _ = calls(sqlite_engine)
    assert bad.outcome == "malformed" and bad.cost_usd > 0
    with reading(sqlite_engine) as session:
        assert session.scalars(select(Spending).filter_by(period="g")).one().reserved_usd == 0


async def test_who_waits_for_a_budget_is_in_nobodys_way(sqlite_engine: Engine, tmp_path: Path) -> None:
    router = make_router(sqlite_engine, tmp_path, Vendors(lambda name, number: text("well")))
    with writing(sqlite_engine) as session:
        create_project(session, "q", "", Actor("test", "t"))
        set_budget(session, "p", "month", 0.15, Person("ada", "admin"))
    ledger = router.shared.ledger
    held = await ledger.reserve(SCOPE, "another", "openai", "a", 1, 0.1)
    chosen = policy(DEAR | {"concurrency": 1}, max_tokens=100)
    waiting = asyncio.create_task(ask(router, chosen, "of p"))
    model = router.model(chosen, replace(SCOPE, project_id="q"))
    result = await asyncio.wait_for(Agent().run("of q", model=model), 5)
    assert result.output == "well" and not waiting.done()
    await ledger.settle(held, Settlement("ok", cost_usd=0.01))
    assert (await asyncio.wait_for(waiting, 5))[0] == "well"


async def test_a_failed_question_forgets_its_own_answers_only(sqlite_engine: Engine, tmp_path: Path) -> None:
    def script(name: str, number: int) -> ModelResponse:
        if number <= 3:
            return answered(number=number)
        return ModelResponse(parts=[TextPart("")], finish_reason="content_filter")

    router = make_router(sqlite_engine, tmp_path, Vendors(script))
    desk = Desk("writer", router, policy("openai:a"), SCOPE, shipped_rules())
    for number in range(3):
        await desk.ask(Answer, system="s", material="m", task=f"question {number}")
    with pytest.raises(ModelsFailed):
        await desk.ask(Answer, system="s", material="m", task="the fourth")
    assert count(sqlite_engine, KeptResponse) == 3 and desk.spent.calls == 4


async def test_a_kept_answer_that_nobody_can_read_is_asked_for_again(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    vendors = Vendors(lambda name, number: text(f"answer {number}"))
    router = make_router(sqlite_engine, tmp_path, vendors)
    await ask(router, policy("openai:a"))
    with writing(sqlite_engine) as session:
        session.execute(
            update(KeptResponse).values(response='{"kind": "response", "parts": [{"part_kind": "?"}]}')
        )
    assert (await ask(router, policy("openai:a")))[0] == "answer 2"
    assert (await ask(router, policy("openai:a")))[0] == "answer 2" and vendors.calls["openai:a"] == 2


async def test_a_kept_answer_is_charged_to_the_stage_that_uses_it(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    router = make_router(sqlite_engine, tmp_path, Vendors(lambda name, number: text("well said")))
    _, first = await ask(router, policy(DEAR))
    _, again = await ask(router, policy(DEAR))
    told: Any = [(one.input_tokens, one.output_tokens, one.cost_usd, one.models) for one in (first, again)]
    assert told[0] == told[1] and first.cost_usd > 0
    assert (first.calls, first.kept, again.calls, again.kept) == (1, 0, 0, 1)
    assert len(calls(sqlite_engine)) == 1, "it was paid once"


async def test_a_watcher_that_fails_disturbs_nobody(
    sqlite_engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def watch(kind: str, data: Any) -> None:
        raise RuntimeError("the screen is broken")

    router = make_router(sqlite_engine, tmp_path, Vendors(lambda name, number: text("well")))
    assert (await ask(router, policy("openai:a"), watch=watch))[0] == "well"
    assert "not told" in caplog.text


async def test_what_was_paid_is_kept_before_any_record_is_waited_for(
    sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A circuit's record may take seconds, where Redis is slow: a process may be killed in them."""
    router = make_router(sqlite_engine, tmp_path, Vendors(lambda name, number: text("well")))
    noting, go_on = asyncio.Event(), asyncio.Event()
    shared = router.shared
    note = shared.circuits.note

    async def slow(*told: Any) -> None:
        noting.set()
        await go_on.wait()
        await note(*told)

    monkeypatch.setattr(shared.circuits, "note", slow)
    asked = asyncio.create_task(ask(router, policy("openai:a")))
    await asyncio.wait_for(noting.wait(), 5)
    assert count(sqlite_engine, KeptResponse) == 1 and calls(sqlite_engine)[0].outcome == "ok"
    go_on.set()
    assert (await asked)[0] == "well"
