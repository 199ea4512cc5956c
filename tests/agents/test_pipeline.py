"""Resuming, retrying, killing, racing: no finished stage is done again, no version is made twice."""

import asyncio
import multiprocessing
import re
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from cryptocontent.agents import leases
from cryptocontent.agents.inputs import Chain, chains, load_inputs
from cryptocontent.agents.pipeline import Pipeline, stage_keys, unfinished
from cryptocontent.agents.work import Work
from cryptocontent.audit import verify
from cryptocontent.content.articles import conversation, diff, list_articles, versions_of
from cryptocontent.content.versions import save_version
from cryptocontent.identity import Person
from cryptocontent.settings import Settings
from cryptocontent.storage import DatabaseUnavailable, open_engine, reading, writing
from cryptocontent.storage.models import Article, Brief, Citation, Finding, Instruction, StageResult, Version
from tests.agents.world import STAGES, Calls, advance_all, make_world

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(CRYPTOCONTENT_HOME=tmp_path)  # type: ignore[call-arg]


def count(engine: Engine, table: type) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_every_stage_is_a_version_with_parent_and_provenance(engine: Engine, settings: Settings) -> None:
    (brief,) = make_world(engine, settings, 1)
    pipeline = Pipeline(engine, "run-1", Calls(settings.home / "calls").agents())
    assert advance_all(pipeline, [brief]) == {brief: None}
    with reading(engine) as session:
        article = session.scalars(select(Article)).one()
        versions = versions_of(session, article.id)
        assert [version.author for version in versions] == list(STAGES)
        assert [version.parent_id for version in versions] == [
            None,
            *(version.id for version in versions[:-1]),
        ]
        assert (article.version_id, article.status) == (versions[-1].id, "in_review")
        provenance = versions[-1].provenance
        assert (
            provenance["run"] == "run-1"
            and provenance["cost_usd"] == 2.5
            and provenance["template_version"] == 1
        )
        assert [message.author for message in conversation(session, article.id)] == list(STAGES)
        assert session.scalar(select(func.count()).select_from(Citation)) == 5
        assert "+" in diff(versions[0], versions[1])
        assert verify(session, "p").broken_at is None


def test_what_is_done_is_not_done_again(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, 3)
    calls = Calls(settings.home / "calls")
    advance_all(Pipeline(engine, "run-1", calls.agents()), ids)
    assert unfinished(engine, ids, calls.agents()) == set()
    assert advance_all(Pipeline(engine, "run-2", calls.agents()), ids) == dict.fromkeys(ids)
    assert set(calls.counts().values()) == {1}
    assert count(engine, Version) == 15


def test_a_new_agent_version_runs_its_stage_and_those_after_it(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, 1)
    old, new = Calls(settings.home / "old"), Calls(settings.home / "new", version="2")
    advance_all(Pipeline(engine, "run-1", old.agents()), ids)
    mixed = [*old.agents()[:3], *new.agents()[3:]]
    advance_all(Pipeline(engine, "run-2", mixed), ids)
    assert {stage for stage, _ in new.counts()} == {"analyst", "seo"}
    assert set(old.counts().values()) == {1}
    assert count(engine, Version) == 7


def test_a_transient_failure_is_made_good_by_the_next_op(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, 6)
    calls = Calls(settings.home / "calls", transient=[ids[2]], permanent=[ids[4]])
    pipeline = Pipeline(engine, "run-1", calls.agents())
    outcome = advance_all(pipeline, ids)
    assert {brief for brief, reason in outcome.items() if reason} == {ids[4]}
    assert outcome[ids[4]] == "editor: this brief cannot be edited"
    counts = calls.counts()
    assert counts["editor", ids[2]] == 2, "once in vain, once for good"
    assert counts["editor", ids[4]] == 1, "trying again in the same run mends nothing"
    assert sum(counts.values()) == 6 * 5 - 3 + 1
    with reading(engine) as session:
        errors = dict(session.execute(select(Brief.id, Brief.last_error)).all())
    assert [brief for brief, error in errors.items() if error] == [ids[4]]
    assert unfinished(engine, ids, calls.agents()) == {ids[4]}

    calls.permanent.clear()
    assert advance_all(Pipeline(engine, "run-2", calls.agents()), ids) == dict.fromkeys(ids)
    assert sum(calls.counts().values()) == 6 * 5 + 2
    with reading(engine) as session:
        assert session.scalars(select(Brief.last_error).where(Brief.last_error.is_not(None))).all() == []


def test_a_blocking_finding_keeps_an_article_from_review(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, 2)
    agents = Calls(settings.home / "calls", blocked=[ids[0]]).agents()
    pipeline = Pipeline(engine, "run-1", agents)
    advance_all(pipeline, ids)
    assert pipeline.blocking_findings(ids) == {ids[0]: "not fit to print"}
    with reading(engine) as session:
        states = dict(session.execute(select(Article.brief_id, Article.status)).all())
        finding = session.scalars(select(Finding).limit(1)).one()
        markdown = session.get_one(Version, finding.version_id).markdown
    assert states == {ids[0]: "draft", ids[1]: "in_review"}
    assert finding.start is not None and markdown[finding.start : finding.end] == finding.excerpt


def test_hashes_alone_are_those_of_the_inputs(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, 3)
    with writing(engine) as session:
        for stage, body in (("editor", "shorter"), ("seo", "")):
            session.add(Instruction(brief_id=ids[1], stage=stage, body=body, author="anna"))
    inputs, _ = load_inputs(engine, ids, STAGES)
    assert chains(engine, ids, STAGES) == {brief: item.chain for brief, item in inputs.items()}
    assert inputs[ids[1]].chain.asked == {"editor": ("shorter",), "seo": ("",)}


def test_slugs_are_unique_in_a_project(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, 3)
    advance_all(Pipeline(engine, "run-1", Calls(settings.home / "calls").agents()), ids)
    with reading(engine) as session:
        assert sorted(row["slug"] for row in list_articles(session)) == [
            "same-slug",
            "same-slug-2",
            "same-slug-3",
        ]


def test_a_persons_version_stays_current(engine: Engine, settings: Settings) -> None:
    (brief,) = make_world(engine, settings, 1)
    advance_all(Pipeline(engine, "run-1", Calls(settings.home / "a").agents()), [brief])
    with writing(engine) as session:
        article = session.scalars(select(Article)).one()
        text = session.get_one(Version, article.version_id).markdown.replace("# Topic", "# My topic")
        save_version(session, article, article.version_id or "", text, Person("anna", "writer"))
    advance_all(Pipeline(engine, "run-2", Calls(settings.home / "b", version="2").agents()), [brief])
    with reading(engine) as session:
        article = session.scalars(select(Article)).one()
        assert session.get_one(Version, article.version_id).author == "anna"
        assert session.scalar(select(func.count()).select_from(Version)) == 11


def test_keys_depend_on_all_that_goes_in(tmp_path: Path) -> None:
    old, new = Calls(tmp_path / "a").agents(), Calls(tmp_path / "b", version="2").agents()
    same = Chain("input")
    keys = stage_keys(old, same)
    assert len(set(keys)) == 5
    assert stage_keys(old, same) == keys
    assert not set(stage_keys(old, Chain("other input"))) & set(keys)
    assert stage_keys([*old[:2], *new[2:]], same)[:2] == keys[:2]
    assert not set(stage_keys([*old[:2], *new[2:]], same)[2:]) & set(keys)
    asked = stage_keys(old, Chain("input", {"proofreader": ("again",)}))
    assert asked[:2] == keys[:2] and not set(asked[2:]) & set(keys)


def _run(url: str, calls: Calls, ids: list[str]) -> None:
    open_engine.cache_clear()  # connections of the parent process are not the child's
    advance_all(Pipeline(open_engine(url), "run", calls.agents(), calls_in_flight=2), ids)


def _in_child(url: str, calls: Calls, ids: list[str]) -> "multiprocessing.process.BaseProcess":
    process = FORK.Process(target=_run, args=(url, calls, ids))
    process.start()
    return process


@pytest.mark.parametrize("stage", STAGES)
def test_kill_9_in_any_stage_loses_nothing_and_repeats_nothing(
    engine: Engine, settings: Settings, stage: str
) -> None:
    ids = make_world(engine, settings, 4)
    url = engine.url.render_as_string(hide_password=False)
    engine.dispose()
    doomed = Calls(settings.home / "calls", kill_at=(stage, 3))
    process = _in_child(url, doomed, ids)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with reading(engine) as session:
        stored = set(session.execute(select(StageResult.stage, StageResult.brief_id)).tuples())
        torn = session.scalar(select(func.count()).select_from(Version).where(Version.article_id.is_(None)))
    assert not torn
    assert count(engine, Version) == len(stored), "a result and its version are one transaction"
    before = doomed.counts()

    calm = Calls(settings.home / "calls")
    assert advance_all(Pipeline(engine, "again", calm.agents()), ids) == dict.fromkeys(ids)
    after = calm.counts()
    assert all(after[key] == before[key] == 1 for key in stored), "no finished stage is done again"
    assert count(engine, Version) == 20 and count(engine, Article) == 4
    with reading(engine) as session:
        assert verify(session, "p").broken_at is None


def test_two_processes_on_the_same_briefs_do_the_work_once(engine: Engine, settings: Settings) -> None:
    ids = make_world(engine, settings, 5)
    url = engine.url.render_as_string(hide_password=False)
    engine.dispose()
    calls = Calls(settings.home / "calls", latency=0.02)
    processes = [_in_child(url, calls, ids) for _ in range(3)]
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert set(calls.counts().values()) == {1}
    assert (count(engine, Version), count(engine, Article), count(engine, StageResult)) == (25, 5, 25)


def test_articles_that_end_at_once_in_several_places_get_slugs_of_their_own(
    engine: Engine, settings: Settings
) -> None:
    ids = make_world(engine, settings, 8)
    agents = Calls(settings.home / "calls").agents()
    for stage in STAGES[:-1]:
        assert asyncio.run(Pipeline(engine, "run", agents).advance(ids, stage)) == dict.fromkeys(ids)
    together = threading.Barrier(len(ids))

    async def meet(work: Work) -> Work:
        together.wait(30)
        return await agents[-1].run(work)

    meeting = [*agents[:-1], replace(agents[-1], run=meet)]
    with ThreadPoolExecutor(len(ids)) as pool:
        outcomes = pool.map(
            lambda one: asyncio.run(Pipeline(engine, "run", meeting).advance([one], "seo")), ids
        )
        assert [list(outcome.values()) for outcome in outcomes] == [[None]] * len(ids)
    with reading(engine) as session:
        slugs = session.scalars(select(Article.slug)).all()
        assert verify(session, "p").broken_at is None
    assert sorted(slugs) == sorted(["same-slug", *(f"same-slug-{number}" for number in range(2, 9))])


def test_a_lease_holds_until_it_is_released_or_expires(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = make_world(engine, settings, 2)
    me, other = leases.new_owner(), leases.new_owner()
    assert leases.acquire(engine, [one, two], me) == {one, two}
    assert leases.acquire(engine, [one], other) == set()
    leases.release(engine, me, [one])
    assert leases.acquire(engine, [one, two], other) == {one}
    monkeypatch.setattr(leases, "LEASE_SECONDS", -1)
    leases.renew(engine, other)
    monkeypatch.undo()
    assert leases.acquire(engine, [one], me) == {one}, "an expired lease is free"


def _run_on_a_full_disk(url: str, calls: Calls, ids: list[str], said: Path) -> None:
    open_engine.cache_clear()
    engine = open_engine(url)
    # No file of this process may grow beyond what the database has now: writes fail as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    try:
        advance_all(Pipeline(engine, "run", calls.agents()), ids)
    except DatabaseUnavailable as error:
        said.write_text(str(error))


def test_a_full_disk_is_an_error_and_leaves_no_half_article(
    sqlite_engine: Engine, settings: Settings
) -> None:
    ids = make_world(sqlite_engine, settings, 2)
    sqlite_engine.dispose()
    calls, said = Calls(settings.home / "calls"), settings.home / "said"
    process = FORK.Process(target=_run_on_a_full_disk, args=(str(sqlite_engine.url), calls, ids, said))
    process.start()
    process.join(60)
    assert re.search(r"cryptocontent\.db: (database or disk is full|disk I/O error)", said.read_text())
    assert count(sqlite_engine, Article) == count(sqlite_engine, Version) == 0
    assert advance_all(Pipeline(sqlite_engine, "run-2", calls.agents()), ids) == dict.fromkeys(ids)
