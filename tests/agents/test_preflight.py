"""Before money is spent: what it would cost, by the history; what the references do not speak of."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select, update

from cryptocontent.agents.agent import Agent
from cryptocontent.agents.pipeline import PIPELINE, Pipeline
from cryptocontent.agents.preflight import (
    LEAST_HISTORY,
    Band,
    Preflight,
    estimate,
    missing_references,
    preflight,
)
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.generations import brief_ids
from cryptocontent.knowledge.references import import_paths
from cryptocontent.knowledge.search import sync_index
from cryptocontent.settings import Settings
from cryptocontent.storage import open_object_store, reading, writing
from cryptocontent.storage.models import AuditEntry, StageResult
from tests.agents.world import STAGES, WHO, Calls, advance_all, make_world


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(CRYPTOCONTENT_HOME=tmp_path)  # type: ignore[call-arg]


def agents(settings: Settings) -> list[Agent]:
    return Calls(settings.home / "calls").agents()


def look(engine: Engine, settings: Settings, ids: list[str]) -> Preflight:
    return preflight(engine, settings, "p", ids, agents(settings))


def write(engine: Engine, settings: Settings, ids: list[str], stages: int = 5) -> None:
    """Take the briefs up to a stage, in one run; what each stage cost is then set below."""
    import asyncio

    pipeline = Pipeline(engine, "run", agents(settings))
    if stages == len(STAGES):
        advance_all(pipeline, ids)
    else:
        asyncio.run(pipeline.advance(ids, STAGES[stages - 1]))


def price(engine: Engine, **values: float) -> None:
    with writing(engine) as session:
        session.execute(update(StageResult).values(**values))


def test_the_rules_engine_is_known_to_cost_nothing(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, 3)
    found = preflight(engine, settings, "p", ids).estimate
    assert (found.briefs, found.stages, found.unpriced, found.why) == (3, 15, 0, ())
    assert found.calls == found.input_tokens == found.output_tokens == found.usd == Band(0.0, 0.0)
    assert found.seconds is None, "how long it takes is not known before anything was written"


def test_too_little_history_is_said_and_no_number_made_up(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, LEAST_HISTORY + 1)
    write(engine, settings, ids[: LEAST_HISTORY - 1])
    found = look(engine, settings, ids).estimate
    assert (found.briefs, found.stages, found.usd, found.calls, found.unpriced) == (2, 10, None, None, 2)
    assert found.why[0].startswith(f"{LEAST_HISTORY - 1} of at least {LEAST_HISTORY} known passes")
    assert "writer (test)" in found.why[0] and found.totals()["usd"] is None


def test_only_missing_stages_are_paid_for(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, LEAST_HISTORY + 3)
    write(engine, settings, ids[:LEAST_HISTORY])
    write(engine, settings, ids[-1:], stages=3)
    price(engine, calls=2, input_tokens=1000, output_tokens=500, cost_usd=0.25, seconds=1.0)
    found = look(engine, settings, ids)
    # Two briefs through five stages, one through the last two; every pass cost the same.
    assert (found.estimate.briefs, found.estimate.stages, found.estimate.unpriced) == (3, 12, 0)
    assert found.estimate.usd == Band(3.0, 3.0) and found.estimate.calls == Band(24.0, 24.0)
    assert found.estimate.input_tokens == Band(12_000.0, 12_000.0)
    assert found.estimate.output_tokens == Band(6_000.0, 6_000.0)
    # Two of a kind wait together (5 s of each other's), the third alone (2 s).
    assert found.estimate.seconds == Band(7.0, 7.0)
    assert (found.stale, found.if_research_changes) == (0, None)
    assert look(engine, settings, ids[:LEAST_HISTORY]).estimate.briefs == 0


def test_the_band_is_of_the_total_and_holds_what_happens(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, 30)
    write(engine, settings, ids[:20])
    # Half of the articles cost a dollar, half cost three: 100 more cost about 200 dollars.
    with writing(engine) as session:
        for number, brief in enumerate(ids[:20]):
            cost = 1.0 if number % 2 else 3.0
            session.execute(
                update(StageResult).filter_by(brief_id=brief).values(cost_usd=cost / 5, calls=1, seconds=1.0)
            )
    band = look(engine, settings, ids).estimate.usd
    assert band and band.p50 == pytest.approx(20.0, abs=1.0) and 22.0 < band.p90 < 26.0
    truth = np.random.default_rng(1).choice([1.0, 3.0], size=(20_000, 10)).sum(axis=1)
    assert band.p50 == pytest.approx(float(np.percentile(truth, 50)), abs=1.01)
    assert band.p90 == pytest.approx(float(np.percentile(truth, 90)), abs=1.01)
    assert look(engine, settings, ids).estimate.usd == band, "the same question has the same answer"


def test_other_engines_history_does_not_count(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, LEAST_HISTORY + 1)
    write(engine, settings, ids[:LEAST_HISTORY])
    with writing(engine) as session:
        session.execute(update(StageResult).filter_by(stage="writer").values(engine="model:another"))
    found = look(engine, settings, ids[LEAST_HISTORY:]).estimate
    assert found.unpriced == 1 and found.why[0].startswith("0 of at least")


def test_changed_references_are_counted_apart(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, LEAST_HISTORY)
    write(engine, settings, ids)
    price(engine, cost_usd=0.2, seconds=1.0)
    (settings.home / "notes" / "more.md").write_text("# More\n\nA blob is kept for eighteen days.\n")
    objects = open_object_store(settings.object_store_url)
    import_paths(engine, objects, "p", [settings.home / "notes"], WHO, max_bytes=10_000)
    sync_index(engine, settings, "p")
    found = look(engine, settings, ids)
    assert (found.estimate.briefs, found.estimate.usd) == (0, Band(0.0, 0.0))
    assert found.stale == LEAST_HISTORY and found.if_research_changes
    assert found.if_research_changes.usd == Band(pytest.approx(5.0), pytest.approx(5.0))


def test_looking_writes_nothing_and_calls_no_agent(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, 2)

    def entries() -> tuple[int | None, int | None]:
        with reading(engine) as session:
            return (
                session.scalar(select(func.count()).select_from(AuditEntry)),
                session.scalar(select(func.count()).select_from(StageResult)),
            )

    before = entries()
    look(engine, settings, ids)
    assert entries() == before and not (settings.home / "calls").exists()


def test_briefs_that_the_references_do_not_speak_of_are_named(engine: Engine, settings: Settings) -> None:
    make_world(engine, settings, 1)
    titles = (
        "The base fee of Ethereum",
        "Blobs and field elements",
        "Zebra farming in Lapland",
        "Blobs on Mars",
    )
    rows = "\n".join(f"note,{title},{title}" for title in titles)
    with writing(engine) as session:
        report = import_briefs(session, "p", f"template,title,topic\n{rows}\n".encode(), WHO)
    assert not report.problems
    with reading(engine) as session:
        ids = brief_ids(session, "p")[1:]
    gaps = {gap.title: gap for gap in missing_references(engine, settings, "p", ids)}
    assert set(gaps) == {"Zebra farming in Lapland", "Blobs on Mars"}
    assert gaps["Zebra farming in Lapland"].words == ("Zebra", "farming", "Lapland")
    assert gaps["Zebra farming in Lapland"].refused
    assert gaps["Blobs on Mars"].words == ("Mars",) and not gaps["Blobs on Mars"].refused
    assert missing_references(engine, settings, "p", []) == []


def test_without_references_every_brief_is_named(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, 2)
    (settings.home / "notes" / "fees.md").unlink()
    objects = open_object_store(settings.object_store_url)
    import_paths(engine, objects, "p", [settings.home / "notes"], WHO, max_bytes=10_000)
    sync_index(engine, settings, "p")
    assert [
        (gap.brief_id, gap.hits, gap.refused) for gap in missing_references(engine, settings, "p", ids)
    ] == [(brief, 0, True) for brief in ids]


def _passes(costs: list[float]) -> dict[str, np.ndarray]:
    """One paid stage `seo`, the others by rules, for passes that cost so much."""
    table = np.zeros((len(costs), 5))
    history = {agent.stage: table.copy() for agent in PIPELINE}
    history["seo"][:, 3] = costs
    return history


@given(
    st.lists(st.floats(0, 100), min_size=LEAST_HISTORY, max_size=30),
    st.lists(st.integers(0, len(PIPELINE)), max_size=50),
)
def test_the_total_lies_between_the_cheapest_and_the_dearest(costs: list[float], first: list[int]) -> None:
    paid = [*PIPELINE[:-1], Agent("seo", "1", "model", PIPELINE[-1].run)]
    found = estimate(first, _passes(costs), paid)
    due = sum(index < len(PIPELINE) for index in first)
    assert found.briefs == due and found.stages == sum(len(PIPELINE) - index for index in first)
    assert found.usd is not None and found.unpriced == 0
    slack = 1e-6 * (1 + max(costs)) * (1 + due)
    assert due * min(costs) - slack <= found.usd.p50 <= found.usd.p90 <= due * max(costs) + slack
