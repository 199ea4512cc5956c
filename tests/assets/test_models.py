"""Stages by models, through Dagster: what a materialization says of them, and the batch lane."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import select, update

from cryptocontent.agents.agent import Agent, ModelEngine
from cryptocontent.agents.desk import Desk
from cryptocontent.agents.work import Draft, SeoPackage, Work
from cryptocontent.content.generations import (
    cancel_generation,
    request_generation,
    set_outcomes,
    state_counts,
)
from cryptocontent.identity import Person
from cryptocontent.llm.policies import read_policies, set_policies
from cryptocontent.resources import platform as resource_module
from cryptocontent.sensors.generations import settle
from cryptocontent.sensors.housekeeping import housekeeping
from cryptocontent.sensors.model_batches import model_batches
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import (
    BatchedRequest,
    Event,
    GenerationBrief,
    KeptResponse,
    ModelCall,
    Spending,
)
from cryptocontent.storage.types import utc_now
from tests.agents.world import STAGES, WHO, make_world, own_words
from tests.assets.test_runs import ARTICLES, ED, House, house
from tests.fakes.vendors import Fault, Reply, Vendors, vendors_server

__all__ = ["house"]
POLICY = "default: {engine: model, candidates: [{model: 'anthropic:claude-sonnet-5-5'}]}"


class Sentence(BaseModel):
    """A form of answer."""

    text: str


async def by_model(work: Work, desk: Desk) -> Work:
    answer = await desk.ask(Sentence, system="s", material="m", task=f"{desk.stage} {work.brief.id}")
    body = f"{own_words(work.brief.id)} {work.research[0].text}[^1] {answer.output.text}"
    seo = SeoPackage(title="T", description="D", slug="slug", keywords=(), json_ld={})
    return work.model_copy(update={"draft": Draft(title="T", body=body), "seo": seo})


async def by_rules(work: Work) -> Work:
    raise AssertionError("a model is to do this")


class Agents:
    """Five agents that work by a model."""

    def agents(self) -> list[Agent]:
        return [Agent(stage, "1", "rules", by_rules, ModelEngine("1", by_model, "p")) for stage in STAGES]


@pytest.fixture(scope="module")
def running() -> Iterator[Vendors]:
    with vendors_server() as server:
        yield server


@pytest.fixture
def modelled(house: House, running: Vendors, monkeypatch: pytest.MonkeyPatch) -> Any:
    running.reset()
    running.script = lambda asked: Reply(json={"text": "Told by a model."})
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    resource_module._settings.cache_clear()
    house.use(Agents())  # type: ignore[arg-type]
    ids = make_world(house.engine, house.settings, 2)
    with writing(house.engine) as session:
        set_policies(session, "p", read_policies(POLICY), Person("ada", "admin"))
    return house, running, ids


def counts(house: House, generation: str) -> dict[str, int]:
    with reading(house.engine) as session:
        return dict(state_counts(session, generation))


def test_a_materialization_says_what_the_models_cost(modelled: Any) -> None:
    house, vendors, ids = modelled
    generation = house.request(ids)
    (result,) = house.carry_out(generation)
    assert result.success and vendors.counts["anthropic"] == 2 * len(STAGES)
    event = house.instance.get_latest_materialization_event(ARTICLES)
    metadata = event.asset_materialization.metadata
    assert metadata["model calls"].value == len(STAGES) and metadata["model calls that failed"].value == 0
    assert metadata["model cost, all attempts (USD)"].value == pytest.approx(metadata["cost (USD)"].value)
    assert metadata["model cost, all attempts (USD)"].value > 0


def test_briefs_of_the_batch_lane_wait_and_go_on(modelled: Any) -> None:
    house, vendors, ids = modelled
    with writing(house.engine) as session:
        generation = request_generation(session, "p", ids, WHO, batch_size=100, lane="batch")
    for stage in STAGES:
        (result,) = house.carry_out(generation)
        assert result.success, "to wait is no failure"
        assert counts(house, generation) == {"waiting": 2} and house.status(generation) == "requested"
        assert house.carry_out(generation) == [], f"{stage} waits: nothing is to be run"
        house.tick(model_batches)
        assert counts(house, generation) == {"waiting": 2}
        vendors.batches.end("anthropic")
        assert "2 briefs go on" in str(house.tick(model_batches).skip_message)
        assert counts(house, generation) == {"queued": 2}
    (result,) = house.carry_out(generation)
    assert result.success and house.status(generation) == "done"
    assert house.instance.get_materialized_partitions(ARTICLES) == set(ids)
    assert vendors.counts["anthropic"] == 0, "nothing was asked live"
    assert len(vendors.batches.all) == len(STAGES), "one batch a stage, however many briefs"


def test_a_generation_is_cancelled_while_it_waits(modelled: Any) -> None:
    house, vendors, ids = modelled
    with writing(house.engine) as session:
        generation = request_generation(session, "p", ids, WHO, batch_size=100, lane="batch")
    vendors.next("anthropic", Fault(status=503), batch=True)  # so they are put down, but not submitted
    house.carry_out(generation)
    assert settle(house.engine, generation, {}) == "requested", "what waits is not over"
    with writing(house.engine) as session:
        cancel_generation(session, generation, ED)
    house.tick(model_batches)
    assert counts(house, generation) == {"cancelled": 2} and house.carry_out(generation) == []
    assert vendors.batches.all == [], "nobody wants them: they were withdrawn"
    with reading(house.engine) as session:
        assert session.scalars(select(BatchedRequest)).all() == []
        assert set(session.scalars(select(ModelCall.outcome))) == {"cancelled"}
        assert set(session.scalars(select(Spending.reserved_usd + Spending.spent_usd))) == {0}


def test_an_answer_that_comes_before_its_run_is_over_wakes_the_briefs(modelled: Any) -> None:
    house, vendors, ids = modelled
    with writing(house.engine) as session:
        generation = request_generation(session, "p", ids, WHO, batch_size=100, lane="batch")
    house.carry_out(generation)
    with writing(house.engine) as session:  # as it is while the run's later ops are under way
        session.execute(update(GenerationBrief).values(status="queued", batch=0))
    vendors.batches.end("anthropic")
    assert "0 briefs go on" in str(house.tick(model_batches).skip_message)
    with writing(house.engine) as session:
        set_outcomes(session, generation, dict.fromkeys(ids, "waits"), "run", ids)
    assert counts(house, generation) == {"waiting": 2}
    assert "2 briefs go on" in str(house.tick(model_batches).skip_message), "by the state, at any later tick"
    assert counts(house, generation) == {"queued": 2}
    assert "no request waits" in str(house.tick(model_batches).skip_message)


def test_two_generations_that_wait_for_the_same_requests_both_go_on(modelled: Any) -> None:
    house, vendors, ids = modelled
    with writing(house.engine) as session:
        both = [
            request_generation(session, "p", ids, WHO, batch_size=100, lane="batch", runner=runner)
            for runner in ("dagster", "dagster")
        ]
    for generation in both:
        house.carry_out(generation)
        assert counts(house, generation) == {"waiting": 2}
    assert len(vendors.batches.all) == 1 and len(vendors.batches.all[0].requests) == 2
    house.tick(model_batches)
    assert counts(house, both[1]) == {"waiting": 2}, (
        "its requests are under way, though put down by the other"
    )
    vendors.batches.end("anthropic")
    assert "4 briefs go on" in str(house.tick(model_batches).skip_message)
    assert [counts(house, generation) for generation in both] == [{"queued": 2}] * 2


def test_a_vendor_that_hangs_when_polled_does_not_keep_requests_from_leaving(
    modelled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, vendors, ids = modelled
    monkeypatch.setattr("cryptocontent.sensors.model_batches._POLL_ALONE_SECONDS", 0.05)
    monkeypatch.setattr("cryptocontent.llm.batch_rows.PAUSE", timedelta(0))
    with writing(house.engine) as session:
        generation = request_generation(session, "p", ids, WHO, batch_size=100, lane="batch")
    house.carry_out(generation)
    with writing(house.engine) as session:
        session.execute(update(BatchedRequest).values(status="queued", batch_id=None))
    order: list[str] = []

    async def hangs(router: Any, most: int) -> int:
        while len(vendors.batches.all) < 2:
            await asyncio.sleep(0.01)
        order.append("polled")
        return 0

    monkeypatch.setattr("cryptocontent.llm.batches.poll", hangs)
    house.tick(model_batches)
    assert order == ["polled"] and len(vendors.batches.all) == 2


def test_briefs_go_on_even_if_the_tick_fails(modelled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    house, _, ids = modelled
    with writing(house.engine) as session:
        generation = request_generation(session, "p", ids, WHO, batch_size=100, lane="batch")
    house.carry_out(generation)
    with writing(house.engine) as session:
        session.execute(update(BatchedRequest).values(status="failed"))

    async def fails(*args: Any, **more: Any) -> int:
        raise RuntimeError("broken")

    monkeypatch.setattr("cryptocontent.llm.batches.poll", fails)
    with pytest.raises(RuntimeError, match="broken"):
        house.tick(model_batches)
    assert counts(house, generation) == {"queued": 2}


def test_what_is_kept_for_a_while_is_forgotten(modelled: Any) -> None:
    house, _, ids = modelled
    house.carry_out(house.request(ids))
    with writing(house.engine) as session:
        long_ago = utc_now() - timedelta(days=31)
        session.execute(update(Event).values(created_at=long_ago))
        session.execute(update(KeptResponse).values(created_at=long_ago))
    told = f"forgot {2 * len(STAGES) * 2} events and {2 * len(STAGES)} answers of models"
    assert told in str(house.tick(housekeeping).skip_message)
    assert "forgot 0 events and 0 answers of models; 0 requests of the batch lane" in str(
        house.tick(housekeeping).skip_message
    )
