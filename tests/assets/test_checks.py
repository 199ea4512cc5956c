"""Asset checks through Dagster: findings by article, suites over tables; scheduled publication."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetCheckKey, AssetKey, DagsterInstance, SkipReason
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from sqlalchemy import Engine, select, update

from cryptocontent.assets.checks.articles import OVERALL, family_of
from cryptocontent.assets.checks.expectations import PASSAGE_COLUMNS, REFERENCE_COLUMNS, validate
from cryptocontent.content import review
from cryptocontent.content.checks import CHECKS
from cryptocontent.identity import Person
from cryptocontent.knowledge.tables import passage_table, reference_table
from cryptocontent.resources import platform as resource_module
from cryptocontent.sensors.knowledge_checks import knowledge_checks_sensor
from cryptocontent.sensors.publications import publications
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Article, Passage, Reference, VersionCheck
from cryptocontent.storage.types import utc_now
from tests.agents.world import Calls, make_world
from tests.assets.test_runs import House

ED = Person("ed", "editor")


@pytest.fixture
def house(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("CRYPTOCONTENT_HOME", str(tmp_path))
    resource_module._settings.cache_clear()
    resource_module._pipelines.clear()
    with DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield House(sqlite_engine, Settings(), instance)
    resource_module._settings.cache_clear()


def verdicts(house: House, asset: str = "articles") -> dict[tuple[str, str | None], Any]:
    """The newest evaluation of each check and partition of an asset."""
    found: dict[tuple[str, str | None], Any] = {}
    names = [OVERALL, *(check.name for check in CHECKS)] if asset == "articles" else ["great_expectations"]
    for name in names:
        key = AssetCheckKey(AssetKey(asset), name)
        for record in house.instance.event_log_storage.get_asset_check_execution_history(key, 100):
            event = record.event and record.event.dagster_event
            if event is not None and event.event_type_value == "ASSET_CHECK_EVALUATION":
                evaluation = event.asset_check_evaluation_data
                found.setdefault((name, evaluation.partition), evaluation)
    return found


def test_every_check_is_reported_for_every_article_of_a_run(house: House) -> None:
    ids = make_world(house.engine, house.settings, 3)
    house.use(Calls(house.settings.home / "calls", blocked=[ids[1]]))
    house.carry_out(house.request(ids))
    found = verdicts(house)
    names = [OVERALL, *(check.name for check in CHECKS)]
    assert set(found) == {(name, brief) for name in names for brief in ids}
    assert not found[OVERALL, ids[1]].passed and found[OVERALL, ids[0]].passed
    failed = {brief for (_, brief), evaluation in found.items() if evaluation.metadata["blocking"].value}
    assert failed == {ids[1]}


def test_in_a_large_run_a_family_is_reported_once_it_had_something_to_say(house: House) -> None:
    ids = make_world(house.engine, house.settings, 7)
    house.carry_out(house.request(ids))
    assert {brief for name, brief in verdicts(house) if name == OVERALL} == set(ids)
    assert not [name for name, _ in verdicts(house) if name != OVERALL], "nothing to say"
    tags = {ASSET_PARTITION_RANGE_START_TAG: ids[0], ASSET_PARTITION_RANGE_END_TAG: ids[6]}
    with writing(house.engine) as session:
        session.execute(update(Reference).values(status="recalled"))
    assert house.run("check_articles", tags=tags).success
    with writing(house.engine) as session:
        session.execute(update(Reference).values(status="active"))
    house.use(Calls(house.settings.home / "calls", version="2"))
    assert house.run("generate_articles", tags=tags).success
    again = verdicts(house)
    assert again["citations", ids[0]].passed, "a family that spoke before is told when it is silent"


def test_checking_again_sees_what_went_stale(house: House) -> None:
    ids = make_world(house.engine, house.settings, 2)
    house.carry_out(house.request(ids))
    assert verdicts(house)["citations", ids[0]].passed
    with writing(house.engine) as session:
        session.execute(update(Reference).values(status="recalled"))
    tags = {ASSET_PARTITION_RANGE_START_TAG: ids[0], ASSET_PARTITION_RANGE_END_TAG: ids[1]}
    assert house.run("check_articles", tags=tags).success
    again = verdicts(house)["citations", ids[0]]
    assert not again.passed and "was recalled" in str(again.metadata["what"].value)
    with reading(house.engine) as session:
        assert "request" in session.scalars(select(VersionCheck.cause)).all()


def test_references_and_passages_are_held_against_their_suites(house: House) -> None:
    make_world(house.engine, house.settings, 1)
    house.instance.add_dynamic_partitions("projects", ["p"])
    (request,) = house.tick(knowledge_checks_sensor).run_requests
    assert house.run("check_knowledge", tags=request.tags).success
    assert verdicts(house, "references")["great_expectations", "p"].passed
    assert verdicts(house, "passages")["great_expectations", "p"].passed
    with writing(house.engine) as session:
        session.execute(update(Passage).values(indexed_in=None))
    assert house.run("check_knowledge", tags=request.tags).success
    wrong = verdicts(house, "passages")["great_expectations", "p"]
    assert not wrong.passed and "searchable" in str(wrong.metadata["suite"].value)
    assert request.run_key == "p:1"


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("references", {"title": None}),
        ("references", {"content_hash": "short"}),
        ("references", {"url": "ftp://x"}),
        ("references", {"passages": 0}),
        ("references", {"characters": 0}),
        ("passages", {"kind": "poem"}),
        ("passages", {"characters": 0}),
        ("passages", {"end": 10_000}),
        ("passages", {"indexed_in": None}),
    ],
)
def test_each_expectation_finds_a_bad_row(house: House, table: str, change: dict[str, Any]) -> None:
    make_world(house.engine, house.settings, 1)
    with reading(house.engine) as session:
        rows = (reference_table if table == "references" else passage_table)(session, "p")
    assert set(rows[0]) == set(REFERENCE_COLUMNS if table == "references" else PASSAGE_COLUMNS)
    assert all(one.success for one in validate(table, rows))
    bad = validate(table, [rows[0] | change, *rows[1:]])
    assert [one.unexpected for one in bad if not one.success] == [1]


def test_every_rule_has_a_family() -> None:
    for check in CHECKS:
        for rule in check.rules:
            assert family_of(rule.id) == check.name
    assert len({rule.id for check in CHECKS for rule in check.rules}) == sum(
        len(check.rules) for check in CHECKS
    )


def test_scheduled_articles_are_published_when_due_and_once(house: House) -> None:
    ids = make_world(house.engine, house.settings, 2)
    house.carry_out(house.request(ids))
    with writing(house.engine) as session:
        for article in session.scalars(select(Article)).all():
            assert review.approve(session, article, article.version_id or "", ED).done
            later = utc_now() + timedelta(hours=1)
            review.schedule(session, article, article.version_id or "", later, ED)
    assert isinstance(house.tick(publications), SkipReason)
    with writing(house.engine) as session:
        session.execute(update(Article).values(scheduled_at=utc_now() - timedelta(seconds=1)))
    (request,) = house.tick(publications).run_requests
    assert house.run("publish_scheduled", run_config=request.run_config).success
    assert house.run("publish_scheduled", run_config=request.run_config).success
    with reading(house.engine) as session:
        assert set(session.scalars(select(Article.status))) == {"published"}
    assert isinstance(house.tick(publications), SkipReason)
    assert len(list((house.settings.exports_dir / "p" / "published").glob("*.md"))) == 2


def test_what_can_not_be_published_fails_the_run_and_goes_back(house: House) -> None:
    (one,) = make_world(house.engine, house.settings, 1)
    house.carry_out(house.request([one]))
    with writing(house.engine) as session:
        article = session.scalars(select(Article)).one()
        assert review.approve(session, article, article.version_id or "", ED).done
        later = utc_now() + timedelta(hours=1)
        review.schedule(session, article, article.version_id or "", later, ED)
    with writing(house.engine) as session:
        session.execute(update(Article).values(scheduled_at=utc_now() - timedelta(seconds=1)))
        session.execute(update(Reference).values(status="recalled"))
    (request,) = house.tick(publications).run_requests
    assert not house.run("publish_scheduled", run_config=request.run_config).success
    with reading(house.engine) as session:
        assert session.scalars(select(Article.status)).one() == "changes_requested"


def test_a_recall_runs_as_a_job(house: House) -> None:
    ids = make_world(house.engine, house.settings, 2)
    house.carry_out(house.request(ids))
    with reading(house.engine) as session:
        cited = session.scalars(select(Reference.external_id)).one()
    asked = {"project": "p", "references": [cited], "reason": "it was made up", "by": "ada"}
    config = {"ops": {"recall_named_references": {"config": asked}}}
    assert house.run("recall_references", run_config=config).success
    with reading(house.engine) as session:
        assert session.scalars(select(Reference.status)).one() == "recalled"
        assert set(session.scalars(select(Article.status))) == {"changes_requested"}
