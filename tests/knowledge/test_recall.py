"""Recall: every version that cites a bad reference is found and flagged, its article reopened, nothing
else is touched, and no import brings the reference back."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.orm import Session

from cryptocontent.audit import entries, verify
from cryptocontent.content.checking import standing_findings, waive
from cryptocontent.content.review import approve, publish, submit
from cryptocontent.content.versions import save_version
from cryptocontent.errors import NotAllowed, NotFound, Refused
from cryptocontent.knowledge import recall as module
from cryptocontent.knowledge.index import Hit, Query
from cryptocontent.knowledge.listing import describe_reference, list_references
from cryptocontent.knowledge.recall import RecallReport, readmit, recall
from cryptocontent.knowledge.research import freeze
from cryptocontent.knowledge.search import SyncReport
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import (
    Article,
    AuditEntry,
    Citation,
    Finding,
    Passage,
    Reference,
    ReferenceRevision,
    Research,
    RevisionPassage,
    Version,
    VersionCheck,
)
from tests.content.articles import ADA, BODY, ED, EVE, PASSAGES, WIL, make_article
from tests.knowledge.test_references import FEES, Base

OTHER = "Gas is the unit in which Ethereum counts work."


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(CRYPTOCONTENT_HOME=tmp_path)  # type: ignore[call-arg]


@pytest.fixture
def house(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An article that cites `fees.md` three times, and another reference that it does not cite. Its
    passages have readable ids, which no index takes; the tests at the end go all the way."""
    monkeypatch.setattr(module, "sync_index", lambda *given: SyncReport(0, 0, 0))
    make_article(engine)
    with writing(engine) as session:
        row = {"id": "r2", "project_id": "p", "source": "folder", "external_id": "notes/gas.md"}
        session.execute(insert(Reference), [row | {"title": "Gas"}])
        revision = {"id": "rev2", "reference_id": "r2", "number": 1, "content_hash": "d" * 64}
        session.execute(
            insert(ReferenceRevision), [revision | {"media_type": "text/markdown", "markdown": OTHER}]
        )
        session.get_one(Reference, "r2").revision_id = "rev2"
        passage = {"id": "gas", "project_id": "p", "reference_id": "r2", "kind": "prose", "text": OTHER}
        session.execute(insert(Passage), [passage])
        place = {"revision_id": "rev2", "ordinal": 1, "passage_id": "gas", "start": 0, "end": len(OTHER)}
        session.execute(insert(RevisionPassage), [place])
    return engine


def article(session: Session) -> Article:
    return session.get_one(Article, "a")


def edit(engine: Engine, body: str) -> None:
    with writing(engine) as session:
        found = article(session)
        save_version(session, found, found.version_id or "", f"# Fees\n\n{body}\n", WIL)


def move(engine: Engine, *, to: str) -> None:
    """Take the article's current version to `approved` or `published`; whatever blocks it is waived."""
    with writing(engine) as session:
        found = article(session)
        for one in standing_findings(session, "a", found.version_id or ""):
            if one.blocks:
                waive(session, found, one.finding.id, "good enough for this test", ED)
        submit(session, found, found.version_id or "", WIL)
        assert approve(session, found, found.version_id or "", ED).done
        if to == "published":
            assert publish(session, found, found.version_id or "", ED).done


def flags(engine: Engine) -> list[Finding]:
    with reading(engine) as session:
        query = select(Finding).filter_by(rule="source.recalled").order_by(Finding.version_id, Finding.start)
        return list(session.scalars(query))


def status(engine: Engine) -> str:
    with reading(engine) as session:
        return article(session).status


def go(engine: Engine, settings: Settings, *names: str) -> RecallReport:
    return recall(engine, settings, "p", names or ("fees.md",), "it was made up", EVE)


def test_a_current_version_is_flagged_and_its_article_reopened(house: Engine, settings: Settings) -> None:
    move(house, to="approved")
    report = go(house, settings)
    assert (report.recalled, report.already, report.twins) == (("fees.md",), (), ())
    (found,) = report.articles
    assert (found.slug, found.versions, found.reopened, found.live) == ("fees", (1,), True, False)
    assert status(house) == "changes_requested"
    with reading(house) as session:
        row = session.get_one(Reference, "r")
        assert (row.status, row.recall_reason) == ("recalled", "it was made up")
        standing = [
            one
            for one in standing_findings(session, "a", "v1")
            if one.finding.rule == "source.recalled" and one.blocks
        ]
        text = session.get_one(Version, "v1").markdown
        places = [text[one.finding.start : one.finding.end] for one in standing]
        causes = session.scalars(select(VersionCheck.cause).order_by(VersionCheck.id.desc()).limit(1)).all()
        assert verify(session, "p").broken_at is None
        actions = {one["action"]: one for one in entries(session, "p", actor="person:eve")}
    assert places == list(PASSAGES)
    assert causes == ["recall"]
    assert set(actions) == {"reference.recalled", "article.source_recalled", "article.reopened"}
    assert actions["reference.recalled"]["data"]["reason"] == "it was made up"
    assert actions["reference.recalled"]["data"]["articles"] == ["a"]
    assert "Fees" in actions["article.reopened"]["data"]["reason"]


def test_an_older_version_is_flagged_at_its_sentences(house: Engine, settings: Settings) -> None:
    edit(house, f"{OTHER}[^passage:gas]")
    with reading(house) as session:
        checks = session.scalar(select(func.count()).select_from(VersionCheck))
    before = status(house)
    report = go(house, settings)
    (found,) = report.articles
    assert (found.versions, found.reopened, found.live) == ((1,), False, False)
    assert status(house) == before
    rows = flags(house)
    assert [(row.version_id, row.check_id, row.severity) for row in rows] == [("v1", None, "block")] * 3
    with reading(house) as session:
        text = session.get_one(Version, "v1").markdown
        assert session.scalar(select(func.count()).select_from(VersionCheck)) == checks
    assert [text[row.start : row.end] for row in rows] == list(PASSAGES)
    assert [row.excerpt for row in rows] == list(PASSAGES)
    assert {row.evidence["reference"] for row in rows} == {"r"}


def test_what_only_readers_see_counts_too(house: Engine, settings: Settings) -> None:
    move(house, to="published")
    edit(house, f"{OTHER}[^passage:gas]")
    assert status(house) == "in_review"
    report = go(house, settings)
    assert [(one.versions, one.reopened, one.live) for one in report.articles] == [((1,), True, True)]
    assert status(house) == "changes_requested"
    with reading(house) as session:
        assert article(session).published_version_id == "v1"  # what is live is an editor's to take down
    assert "1 still live with it (fees)" in str(report)


def test_a_citation_outside_of_any_sentence_is_flagged_as_a_whole(house: Engine, settings: Settings) -> None:
    with writing(house) as session:
        version = {"id": "v0", "article_id": "a", "number": 7, "author_kind": "stage", "author": "seo"}
        version |= {"title": "Fees", "markdown": "# Fees\n\n## Blobs[^1]\n", "content_hash": "0"}
        session.execute(insert(Version), [version])
        cited = {"version_id": "v0", "number": 1, "passage_id": "passage-1", "reference_id": "r"}
        session.execute(insert(Citation), [cited | {"revision_id": "rev"}])
    go(house, settings)
    (row,) = [row for row in flags(house) if row.version_id == "v0"]
    assert (row.start, row.end, row.severity) == (None, None, "block")


def test_nothing_else_is_touched(house: Engine, settings: Settings) -> None:
    move(house, to="approved")
    report = go(house, settings, "gas.md")
    assert (report.recalled, report.articles) == (("notes/gas.md",), ())
    assert status(house) == "approved"
    assert flags(house) == []


def test_again_does_nothing_again(house: Engine, settings: Settings) -> None:
    edit(house, BODY.replace("burned", "burnt"))
    go(house, settings)
    with reading(house) as session:
        before = [session.scalar(select(func.count()).select_from(table)) for table in (Finding, AuditEntry)]
    report = go(house, settings)
    with reading(house) as session:
        after = [session.scalar(select(func.count()).select_from(table)) for table in (Finding, AuditEntry)]
    assert (report.recalled, report.already, report.flagged) == ((), ("fees.md",), 0)
    assert before == after


def test_an_article_that_was_waived_through_is_left_alone(house: Engine, settings: Settings) -> None:
    go(house, settings)
    with writing(house) as session:
        article(session).status = "draft"
    move(house, to="approved")
    report = go(house, settings)
    assert [one.reopened for one in report.articles] == [False]
    assert status(house) == "approved"


def test_a_recalled_reference_stops_approval(house: Engine, settings: Settings) -> None:
    go(house, settings)
    with writing(house) as session:
        article(session).status = "in_review"
    with writing(house) as session:
        decision = approve(session, article(session), "v1", ED)
    assert not decision.done
    assert {one.finding.rule for one in decision.blockers} >= {"source.recalled"}


def test_readmitted_it_may_be_cited_again(house: Engine, settings: Settings) -> None:
    move(house, to="approved")
    go(house, settings)
    with pytest.raises(NotAllowed):
        readmit(house, settings, "p", ["fees.md"], EVE)
    assert readmit(house, settings, "p", ["fees.md"], ADA) == ("fees.md",)
    assert readmit(house, settings, "p", ["fees.md"], ADA) == ()
    with reading(house) as session:
        row = session.get_one(Reference, "r")
        assert (row.status, row.recall_reason) == ("active", None)
        standing = standing_findings(session, "a", "v1")
        assert "source.recalled" not in {one.finding.rule for one in standing}
        assert verify(session, "p").broken_at is None
    assert status(house) == "changes_requested"
    report = go(house, settings)
    assert [one.versions for one in report.articles] == [(1,)]


def test_a_withdrawn_one_is_withdrawn_again_when_readmitted(house: Engine, settings: Settings) -> None:
    with writing(house) as session:
        session.get_one(Reference, "r2").status = "withdrawn"
    go(house, settings, "gas.md")
    readmit(house, settings, "p", ["gas.md"], ADA)
    with reading(house) as session:
        assert session.get_one(Reference, "r2").status == "withdrawn"


@pytest.mark.parametrize(
    ("names", "reason", "by", "error"),
    [
        (["fees.md"], "it was made up", WIL, NotAllowed),
        (["fees.md"], "  ", EVE, Refused),
        ([], "it was made up", EVE, Refused),
        (["fees.md", "no-such.md"], "it was made up", EVE, NotFound),
    ],
)
def test_a_bad_request_changes_nothing(house: Engine, settings: Settings, names, reason, by, error) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error):
        recall(house, settings, "p", names, reason, by)
    with reading(house) as session:
        assert set(session.scalars(select(Reference.status))) == {"active"}
    assert flags(house) == []


def test_research_takes_nothing_recalled_from_an_index_that_still_has_it(
    house: Engine, settings: Settings
) -> None:
    def search(queries: list[Query]) -> list[list[Hit]]:
        return [[Hit("passage-1", "r", 2.0), Hit("gas", "r2", 1.0)] for _ in queries]

    go(house, settings)
    frozen, missing = freeze(house, search, ["p--a"])
    assert (frozen["p--a"].passages, missing) == (1, {})
    with reading(house) as session:
        research = session.get_one(Research, frozen["p--a"].research_id)
        assert [one["passage_id"] for one in research.passages] == ["gas"]


def test_references_are_listed_and_described(house: Engine, settings: Settings) -> None:
    go(house, settings)
    with reading(house) as session:
        rows = list_references(session, "p")
        described = describe_reference(session, session.get_one(Reference, "r"))
        assert [row["external_id"] for row in list_references(session, "p", "recalled")] == ["fees.md"]
    assert [(row["external_id"], row["status"], row["passages"], row["articles"]) for row in rows] == [
        ("fees.md", "recalled", 3, 1),
        ("notes/gas.md", "active", 1, 0),
    ]
    assert described["recall_reason"] == "it was made up"
    assert [(one["number"], one["current"]) for one in described["revisions"]] == [(1, True)]
    assert [(one["slug"], one["versions"]) for one in described["articles"]] == [("fees", [1])]


@pytest.fixture
def base(engine: Engine, tmp_path: Path) -> Base:
    return Base(engine, tmp_path)


def test_no_import_brings_it_back(base: Base) -> None:
    path = base.write("fees.md", FEES)
    base.write("other.md", "# Gas\n\nGas is the unit of work.\n")
    base.ingest()
    base.sync()
    assert "notes/fees.md" in base.find("base fee burned")
    report = recall(base.engine, base.settings, "p", ["fees.md"], "made up", EVE)
    assert report.removed_passages > 0
    for change in (lambda: None, lambda: path.write_text(FEES + "\nMore.\n"), path.unlink):
        change()
        done = base.ingest()
        base.sync()
        assert (done.added, done.revised, done.restored, done.withdrawn) == ([], [], [], [])
        assert "notes/fees.md" not in base.find("base fee burned")
    path.write_text(FEES)
    base.write("copy.md", FEES)
    assert sorted(base.ingest().recalled) == ["notes/copy.md", "notes/fees.md"]
    readmit(base.engine, base.settings, "p", ["fees.md"], ADA)
    assert "notes/fees.md" in base.find("base fee burned")
    assert base.ingest().added == ["notes/copy.md"]


def test_a_twin_in_use_is_named(base: Base) -> None:
    base.write("fees.md", FEES)
    base.write("copy.md", FEES)
    base.ingest()
    report = recall(base.engine, base.settings, "p", ["fees.md"], "made up", EVE)
    assert report.twins == ("notes/copy.md",)


def test_a_recall_during_an_import_holds(base: Base) -> None:
    path = base.write("fees.md", FEES)
    base.ingest()
    path.write_text(FEES + "\nMore of it.\n")

    def meanwhile(done: int, total: int, name: str) -> None:
        if name == "notes/fees.md":
            recall(base.engine, base.settings, "p", ["fees.md"], "made up", EVE)

    report = base.ingest(on_progress=meanwhile)
    assert (report.revised, report.recalled) == ([], ["notes/fees.md"])
    assert base.all(select(Reference.status)) == ["recalled"]


def test_a_recall_of_what_just_vanished_holds(base: Base) -> None:
    path = base.write("fees.md", FEES)
    base.ingest()
    path.unlink()
    base.write("new.md", "# New\n\nSomething else.\n")

    def meanwhile(done: int, total: int, name: str) -> None:
        if name == "notes/new.md":
            recall(base.engine, base.settings, "p", ["fees.md"], "made up", EVE)

    base.ingest(on_progress=meanwhile)
    status = base.all(select(Reference.status).filter_by(external_id="notes/fees.md"))
    assert status == ["recalled"]
    with reading(base.engine) as session:
        assert verify(session, "p").broken_at is None
