"""Runs through Dagster, on an instance of the test's own: what is materialized, what fails, what is
started once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRunStatus, Definitions, build_sensor_context
from sqlalchemy import Engine, delete, update

from cryptocontent.agents.agent import Agent
from cryptocontent.content.generations import (
    approve_generation,
    cancel_generation,
    failures,
    give_back,
    pause_generation,
    request_generation,
    resume_generation,
    state_counts,
)
from cryptocontent.content.projects import create_project
from cryptocontent.definitions import build_defs
from cryptocontent.identity import Person
from cryptocontent.resources import platform as resource_module
from cryptocontent.resources.platform import PipelineResource, PlatformResource
from cryptocontent.sensors.catalog import catalog
from cryptocontent.sensors.generations import all_over, generations, plan
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Brief, Generation, Research
from cryptocontent.storage.types import utc_now
from tests.agents.world import WHO, Calls, make_world

ED = Person("ed", "editor")
ARTICLES, RESEARCH = AssetKey("articles"), AssetKey("research")
_calls: dict[str, Calls] = {}


class CountingPipeline(PipelineResource):
    """The pipeline with the agents of the test."""

    def agents(self) -> list[Agent]:
        return _calls["now"].agents()


class House:
    """Definitions, instance and database of one test."""

    def __init__(self, engine: Engine, settings: Settings, instance: DagsterInstance) -> None:
        self.engine, self.settings, self.instance = engine, settings, instance
        self.platform = PlatformResource()
        self.defs: Definitions = build_defs({"pipeline": CountingPipeline(platform=self.platform)})
        self.use(Calls(settings.home / "calls"))

    def use(self, calls: Calls) -> Calls:
        _calls["now"] = calls
        return calls

    def run(self, job: str, *, run_config: Any = None, **options: Any) -> Any:
        found = self.defs.resolve_job_def(job)
        return found.execute_in_process(
            instance=self.instance, run_config=run_config, raise_on_error=False, **options
        )

    def request(self, ids: list[str], batch_size: int = 100) -> str:
        with writing(self.engine) as session:
            return request_generation(session, "p", ids, WHO, batch_size=batch_size)

    def carry_out(self, generation: str) -> list[Any]:
        return [
            self.run(str(request.job_name), run_config=request.run_config or None, tags=request.tags)
            for request in plan(self.engine, self.instance, generation)
        ]

    def tick(self, sensor: Any, cursor: str | None = None) -> Any:
        context = build_sensor_context(
            self.instance, cursor=cursor, resources={"platform": self.platform}, definitions=self.defs
        )
        return sensor(context)

    def status(self, generation: str) -> str:
        with reading(self.engine) as session:
            return session.get_one(Generation, generation).status


@pytest.fixture
def house(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("CRYPTOCONTENT_HOME", str(tmp_path))
    resource_module._settings.cache_clear()
    resource_module._pipelines.clear()
    with DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield House(sqlite_engine, Settings(), instance)
    resource_module._settings.cache_clear()


def test_a_generation_materializes_research_and_articles(house: House) -> None:
    ids = make_world(house.engine, house.settings, 3)
    generation = house.request(ids)
    (result,) = house.carry_out(generation)
    assert result.success
    assert house.instance.get_materialized_partitions(ARTICLES) == set(ids)
    assert house.instance.get_materialized_partitions(RESEARCH) == set(ids)
    event = house.instance.get_latest_materialization_event(ARTICLES)
    assert event and event.asset_materialization
    metadata = event.asset_materialization.metadata
    assert metadata["title"].value and metadata["words"].value == 110
    assert str(metadata["preview"].value).startswith("# Topic")
    assert house.status(generation) == "done"


def test_one_bad_brief_is_named_and_the_others_are_done(house: House) -> None:
    ids = make_world(house.engine, house.settings, 5)
    calls = house.use(Calls(house.settings.home / "calls", permanent=[ids[1]], blocked=[ids[3]]))
    generation = house.request(ids)
    (result,) = house.carry_out(generation)
    assert not result.success
    assert house.instance.get_materialized_partitions(ARTICLES) == {ids[0], ids[2], ids[4]}
    with reading(house.engine) as session:
        reasons = {item["brief"]: item["error"] for item in failures(session, generation)}
    assert reasons == {
        ids[1]: "editor: this brief cannot be edited",
        ids[3]: "not publishable: not fit to print",
    }
    assert house.status(generation) == "failed"

    # Retried alone: only what is missing is done, and the others are left alone.
    calls.permanent.clear()
    before = sum(calls.counts().values())
    again = house.request([ids[1]])
    (result,) = house.carry_out(again)
    assert result.success
    assert sum(calls.counts().values()) - before == 4, "the writer's stage was kept"
    assert ids[1] in house.instance.get_materialized_partitions(ARTICLES)


def test_articles_alone_can_be_materialized_for_a_brief_without_research(house: House) -> None:
    (brief,) = make_world(house.engine, house.settings, 1)
    with writing(house.engine) as session:
        session.execute(update(Brief).values(research_id=None))
        session.execute(delete(Research))
    house.instance.add_dynamic_partitions("briefs", [brief])
    result = house.run("generate_articles", partition_key=brief, asset_selection=[ARTICLES])
    assert result.success
    assert house.instance.get_materialized_partitions(ARTICLES) == {brief}
    assert house.instance.get_materialized_partitions(RESEARCH) == {brief}


def test_scattered_briefs_are_one_run(house: House) -> None:
    ids = make_world(house.engine, house.settings, 6)
    generation = house.request([ids[0], ids[2], ids[5]])
    (result,) = house.carry_out(generation)
    assert result.success and result.job_def.name == "regenerate_briefs"
    assert house.instance.get_materialized_partitions(ARTICLES) == {ids[0], ids[2], ids[5]}
    assert house.status(generation) == "done"


def test_a_brief_without_references_fails_with_the_reason(house: House) -> None:
    ids = make_world(house.engine, house.settings, 1)
    (house.settings.home / "notes" / "fees.md").unlink()
    house.tick(catalog)
    assert house.run("import_references", partition_key=_with_project(house)).success
    generation = house.request(ids)
    (result,) = house.carry_out(generation)
    assert not result.success
    with reading(house.engine) as session:
        assert "import references on this subject first" in failures(session, generation)[0]["error"]


def _with_project(house: House) -> str:
    house.instance.add_dynamic_partitions("projects", ["p"])
    return "p"


def test_knowledge_and_exports_run_by_project(house: House) -> None:
    ids = make_world(house.engine, house.settings, 2)
    _with_project(house)
    (house.settings.home / "notes" / "more.md").write_text("# More\n\nA blob is kept for eighteen days.\n")
    assert house.run("import_references", partition_key="p").success
    event = house.instance.get_latest_materialization_event(AssetKey("references"))
    assert event and event.asset_materialization and event.asset_materialization.metadata["added"].value == 1
    house.carry_out(house.request(ids))
    assert house.run("export_articles", partition_key="p").success
    folder = house.settings.exports_dir / "p"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{slug}.{kind}" for slug in ("same-slug-2", "same-slug") for kind in ("html", "json", "md")
    ]


def test_the_catalog_adds_partitions_and_reports_imports_once(house: House) -> None:
    ids = make_world(house.engine, house.settings, 3)
    first = house.tick(catalog)
    assert {
        request.partitions_def_name: request.partition_keys for request in first.dynamic_partitions_requests
    } == {
        "projects": ["p"],
        "briefs": ids,
    }
    assert [(event.asset_key.to_user_string(), event.partition) for event in first.asset_events] == [
        ("references", "p"),
        ("passages", "p"),
    ]
    for request in first.dynamic_partitions_requests:
        house.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    assert "no new projects" in house.tick(catalog, first.cursor).skip_message


def test_a_generation_is_started_once_and_settled(house: House) -> None:
    ids = make_world(house.engine, house.settings, 5)
    generation = house.request(ids, batch_size=2)
    first, repeated = house.tick(generations), house.tick(generations)
    keys = [request.run_key for request in first.run_requests]
    assert keys == [f"{generation}:{n}" for n in range(3)]
    assert [request.run_key for request in repeated.run_requests] == keys, "`run_key` drops the repeats"
    assert house.status(generation) == "running"
    for request in first.run_requests:
        house.run(str(request.job_name), run_config=request.run_config or None, tags=request.tags)
    assert house.status(generation) == "done"
    with reading(house.engine) as session:
        assert state_counts(session, generation) == {"done": 5}
    (export,) = house.tick(generations).run_requests
    assert (export.run_key, export.partition_key) == (f"{generation}:exports", "p")
    with writing(house.engine) as session:
        long_ago = utc_now() - timedelta(hours=1)
        session.execute(update(Generation).filter_by(id=generation).values(finished_at=long_ago))
    assert "no generation is waiting" in house.tick(generations).skip_message


def test_briefs_of_a_run_that_died_are_failed_and_exports_follow(house: House) -> None:
    ids = make_world(house.engine, house.settings, 1)
    generation = house.request(ids)
    house.tick(generations)
    (request,) = plan(house.engine, house.instance, generation)
    job = house.defs.resolve_job_def(str(request.job_name))
    run = house.instance.create_run_for_job(job, tags=request.tags, status=DagsterRunStatus.STARTED)
    assert house.tick(generations).run_requests == [], "the run is on its way"
    house.instance.report_run_failed(run)
    (export,) = house.tick(generations).run_requests
    assert (export.job_name, export.partition_key) == ("export_articles", "p")
    with reading(house.engine) as session:
        assert run.run_id in failures(session, generation)[0]["error"]


def test_a_run_that_will_be_retried_is_not_over(house: House) -> None:
    job = house.defs.resolve_job_def("import_references")
    run = house.instance.create_run_for_job(job, tags={"dagster/will_retry": "true"})
    house.instance.report_run_failed(run)
    failed = house.instance.get_runs()
    assert not all_over(failed)
    house.instance.create_run_for_job(job, parent_run_id=run.run_id, root_run_id=run.run_id)
    assert not all_over(house.instance.get_runs())


def test_generations_of_a_local_runner_are_left_alone(house: House) -> None:
    ids = make_world(house.engine, house.settings, 1)
    generation = house.request(ids)
    with writing(house.engine) as session:
        session.execute(update(Generation).filter_by(id=generation).values(runner="local"))
    assert "no generation is waiting" in house.tick(generations).skip_message


def test_projects_without_references_have_partitions_too(house: House) -> None:
    with writing(house.engine) as session:
        create_project(session, "empty", "", WHO)
    result = house.tick(catalog)
    assert result.dynamic_partitions_requests[0].partition_keys == ["empty"]
    assert not result.asset_events


def test_a_paused_generation_stops_before_the_next_stage_and_resumes_where_it_was(house: House) -> None:
    ids = make_world(house.engine, house.settings, 3)

    class Pausing(Calls):
        """Somebody pauses the generation while the editor is at work."""

        def _result(self, stage: str, work: Any) -> Any:
            if stage == "editor" and work.brief.id == ids[0]:
                with writing(house.engine) as session:
                    pause_generation(session, generation, ED)
            return super()._result(stage, work)

    calls = house.use(Pausing(house.settings.home / "calls"))
    generation = house.request(ids)
    (result,) = house.carry_out(generation)
    assert result.success, "a pause fails no run"
    assert {stage for stage, _ in calls.counts()} == {"writer", "editor"}
    assert plan(house.engine, house.instance, generation) == []
    assert house.tick(generations).run_requests == [], "nothing starts while it is paused"
    with writing(house.engine) as session:
        resume_generation(session, generation, ED)
    house.use(Calls(house.settings.home / "calls"))
    (again,) = house.carry_out(generation)
    assert again.success and set(calls.counts().values()) == {1}, "no finished stage is done again"
    assert house.status(generation) == "done"


def test_a_cancelled_generation_leaves_what_is_finished(house: House) -> None:
    ids = make_world(house.engine, house.settings, 4)
    generation = house.request(ids, batch_size=2)
    first, second = plan(house.engine, house.instance, generation)
    assert house.run(str(first.job_name), run_config=first.run_config or None, tags=first.tags).success
    with writing(house.engine) as session:
        cancel_generation(session, generation, ED)
    assert house.run(str(second.job_name), run_config=second.run_config or None, tags=second.tags).success
    with reading(house.engine) as session:
        assert state_counts(session, generation) == {"done": 2, "cancelled": 2}
    assert house.status(generation) == "cancelled"


def test_batches_stay_what_they_are_and_urgent_generations_go_first(house: House) -> None:
    ids = make_world(house.engine, house.settings, 4)
    with writing(house.engine) as session:
        late = request_generation(session, "p", ids[:2], WHO, batch_size=1)
        urgent = request_generation(session, "p", ids[2:], WHO, batch_size=2, priority="high")
    requests = house.tick(generations).run_requests
    assert [request.run_key for request in requests] == [f"{urgent}:0", f"{late}:0", f"{late}:1"]
    assert [request.tags["dagster/priority"] for request in requests] == ["10", "0", "0"]
    again = house.tick(generations).run_requests
    assert [request.run_key for request in again] == [request.run_key for request in requests]


def test_the_canary_runs_alone_until_it_is_approved(house: House) -> None:
    ids = make_world(house.engine, house.settings, 3)
    with writing(house.engine) as session:
        generation = request_generation(session, "p", ids, WHO, batch_size=100, canary=1)
    house.carry_out(generation)
    assert house.status(generation) == "awaiting_approval"
    assert house.instance.get_materialized_partitions(ARTICLES) == {ids[0]}
    assert plan(house.engine, house.instance, generation) == []
    with writing(house.engine) as session:
        approve_generation(session, generation, ED)
    house.carry_out(generation)
    assert house.instance.get_materialized_partitions(ARTICLES) == set(ids)
    assert house.status(generation) == "done"


def test_a_run_that_was_only_written_down_is_asked_for_again(house: House) -> None:
    ids = make_world(house.engine, house.settings, 1)
    generation = house.request(ids)
    (request,) = house.tick(generations).run_requests
    job = house.defs.resolve_job_def(str(request.job_name))
    # The daemon died between the making of the run and its launch; it finds the run by its `run_key`.
    house.instance.create_run_for_job(job, tags=request.tags)
    (again,) = house.tick(generations).run_requests
    assert again.run_key == request.run_key
    assert house.status(generation) == "running"


def test_batches_do_not_change_when_the_order_of_partitions_does(house: House) -> None:
    ids = make_world(house.engine, house.settings, 6)
    generation = house.request(ids, batch_size=3)
    first = {request.run_key: _briefs_of(request, ids) for request in plan_of(house, generation)}
    for brief in (ids[1], ids[4]):
        house.instance.delete_dynamic_partition("briefs", brief)
    second = plan_of(house, generation)
    assert house.instance.get_dynamic_partitions("briefs") != ids, "two briefs stand at the end now"
    assert {request.run_key: _briefs_of(request, ids) for request in second} == first
    assert {request.job_name for request in second} == {"regenerate_briefs"}, "no range holds them any more"


def plan_of(house: House, generation: str) -> list[Any]:
    return plan(house.engine, house.instance, generation)


def _briefs_of(request: Any, ids: list[str]) -> set[str]:
    if request.run_config:
        return set(request.run_config["brief_ids"])
    start = ids.index(request.tags["dagster/asset_partition_range_start"])
    return set(ids[start : ids.index(request.tags["dagster/asset_partition_range_end"]) + 1])


def test_a_crash_while_paused_waits_for_the_resumption(house: House) -> None:
    ids = make_world(house.engine, house.settings, 2)
    generation = house.request(ids)
    (request,) = house.tick(generations).run_requests
    job = house.defs.resolve_job_def(str(request.job_name))
    run = house.instance.create_run_for_job(job, tags=request.tags, status=DagsterRunStatus.STARTED)
    with writing(house.engine) as session:
        pause_generation(session, generation, ED)
    house.instance.report_run_failed(run)
    assert house.tick(generations).run_requests == []
    with writing(house.engine) as session:
        assert state_counts(session, generation) == {"queued": 2}, "a pause fails nobody"
        resume_generation(session, generation, ED)
    (again,) = house.tick(generations).run_requests
    assert again.run_key != request.run_key, "Dagster would take it for the run that crashed"
    assert house.run(str(again.job_name), run_config=again.run_config or None, tags=again.tags).success
    assert house.status(generation) == "done"


def test_a_run_lets_go_of_briefs_that_another_run_was_given_since(house: House) -> None:
    ids = make_world(house.engine, house.settings, 2)
    generation = house.request(ids)
    (old,) = plan_of(house, generation)
    with writing(house.engine) as session:
        give_back(session, generation, ids, 0)
    (new,) = plan_of(house, generation)
    calls = house.use(Calls(house.settings.home / "calls"))
    assert house.run(str(old.job_name), run_config=old.run_config or None, tags=old.tags).success
    assert not calls.counts() and not house.instance.get_materialized_partitions(ARTICLES)
    assert house.run(str(new.job_name), run_config=new.run_config or None, tags=new.tags).success
    assert set(calls.counts().values()) == {1} and house.status(generation) == "done"


def test_a_generation_is_cancelled_while_an_agent_is_at_work(house: House) -> None:
    ids = make_world(house.engine, house.settings, 3)

    class Cancelling(Calls):
        def _result(self, stage: str, work: Any) -> Any:
            if stage == "proofreader" and work.brief.id == ids[0]:
                with writing(house.engine) as session:
                    cancel_generation(session, generation, ED, "wrong template")
            return super()._result(stage, work)

    calls = house.use(Cancelling(house.settings.home / "calls", permanent=[ids[2]]))
    generation = house.request(ids)
    (result,) = house.carry_out(generation)
    assert result.success, "what was given up is no failure"
    assert {stage for stage, _ in calls.counts()} == {"writer", "editor", "proofreader"}
    with reading(house.engine) as session:
        assert state_counts(session, generation) == {"cancelled": 3} and not failures(session, generation)
    assert house.status(generation) == "cancelled"
    (export,) = house.tick(generations).run_requests
    assert export.job_name == "export_articles" and plan_of(house, generation) == []


def test_the_rest_of_a_canary_is_not_run_by_ticks_before_the_approval(house: House) -> None:
    ids = make_world(house.engine, house.settings, 5)
    with writing(house.engine) as session:
        session.execute(update(Brief).where(Brief.id == ids[4]).values(priority="high"))
        generation = request_generation(session, "p", ids, WHO, batch_size=2, canary=2)
    requests = house.tick(generations).run_requests
    assert [_briefs_of(request, ids) for request in requests] == [{ids[4]}, {ids[0]}]
    for request in requests:
        house.run(str(request.job_name), run_config=request.run_config or None, tags=request.tags)
    assert house.status(generation) == "awaiting_approval"
    assert "no generation is waiting" in house.tick(generations).skip_message
    with writing(house.engine) as session:
        approve_generation(session, generation, ED)
    rest = house.tick(generations).run_requests
    assert [request.run_key for request in rest] == [f"{generation}:{number}" for number in (2, 3)]
    assert set().union(*(_briefs_of(request, ids) for request in rest)) == set(ids[1:4])
