"""A generation that asks for the newest market facts, carried out by Dagster."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, select

from cryptocontent.assets.articles import GENERATION_TAG
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.generations import (
    answered,
    request_generation,
    set_outcomes,
    wanting_newest_facts,
)
from cryptocontent.content.templates import TemplateSpec, save_template
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Brief, MarketFact, Research
from tests.agents.world import SPEC, WHO, make_world
from tests.assets.test_runs import House, _calls, house

__all__ = ["house"]

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
COIN = SPEC.model_dump(mode="json", exclude_defaults=True) | {
    "name": "coin",
    "variables": {"topic": {"type": "text"}, "coin": {"type": "asset_id"}},
}


def fact(engine: Engine, hour: int) -> str:
    row = {
        "id": f"f{hour}",
        "project_id": "p",
        "asset_id": "bitcoin",
        "metric": "price",
        "value": 60_000.0 + hour,
    }
    row |= {"unit": "USD", "source": "CoinGecko", "as_of": NOON + timedelta(hours=hour)}
    with writing(engine) as session:
        session.execute(insert(MarketFact), [row])
    return f"f{hour}"


def frozen(engine: Engine, brief: str) -> list[str]:
    with reading(engine) as session:
        return session.get_one(Research, session.get_one(Brief, brief).research_id).facts


def coin_brief(house: House) -> str:
    make_world(house.engine, house.settings, 0)
    with writing(house.engine) as session:
        save_template(session, "p", TemplateSpec.model_validate(COIN), WHO)
        report = import_briefs(session, "p", b"template,topic,coin\ncoin,Fees of Ethereum,bitcoin\n", WHO)
        assert not report.problems
        return session.scalars(select(Brief.id)).one()


@pytest.mark.parametrize("job", ["generate_articles", "regenerate_briefs"])
def test_research_is_frozen_anew_only_where_it_is_asked_for(house: House, job: str) -> None:
    brief = coin_brief(house)

    def generate(newest_facts: bool) -> None:
        with writing(house.engine) as session:
            generation = request_generation(
                session, "p", [brief], WHO, batch_size=1, newest_facts=newest_facts
            )
        if job == "generate_articles":
            (result,) = house.carry_out(generation)
        else:
            tags = {GENERATION_TAG: generation}
            result = house.run(job, run_config={"brief_ids": [brief]}, tags=tags)
        assert result.success and house.status(generation) == "done"

    first = fact(house.engine, 0)
    generate(newest_facts=False)
    assert frozen(house.engine, brief) == [first]
    counts = _calls["now"].counts
    assert counts()["writer", brief] == 1

    second = fact(house.engine, 1)
    generate(newest_facts=False)
    assert frozen(house.engine, brief) == [first] and counts()["writer", brief] == 1

    generate(newest_facts=True)
    assert frozen(house.engine, brief) == [second] and counts()["writer", brief] == 2
    generate(newest_facts=True)
    assert counts()["writer", brief] == 2, "nothing newer came: nothing is paid for twice"
    generate(newest_facts=False)
    assert frozen(house.engine, brief) == [second], "it stays the brief's research"


def test_a_brief_that_waited_for_a_batch_goes_on_from_the_same_facts(house: House) -> None:
    brief = coin_brief(house)
    with writing(house.engine) as session:
        generation = request_generation(
            session, "p", [brief], WHO, batch_size=1, lane="batch", newest_facts=True
        )
    with reading(house.engine) as session:
        assert wanting_newest_facts(session, generation, [brief, "other"]) == {brief}
    with writing(house.engine) as session:
        set_outcomes(session, generation, {brief: "it waits"}, "run-1", pending=[brief])
        assert answered(session, generation, [brief]) == 1
    with reading(house.engine) as session:
        assert wanting_newest_facts(session, generation, [brief]) == set()
