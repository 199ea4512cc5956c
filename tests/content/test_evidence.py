"""The evidence bundle: any sentence leads to its author and its source, and the manifest's hashes hold."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, select, text

from cryptocontent.agents.pipeline import PIPELINE, Pipeline
from cryptocontent.audit import requested
from cryptocontent.content import comments, review
from cryptocontent.content.articles import find_version
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.checking import standing_findings, waive
from cryptocontent.content.evidence import bundle, evidence
from cryptocontent.content.generations import brief_ids
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import read_template, save_template
from cryptocontent.content.text import content_hash
from cryptocontent.content.versions import restore, save_version
from cryptocontent.errors import Refused
from cryptocontent.knowledge.market_facts import import_facts
from cryptocontent.knowledge.references import import_paths
from cryptocontent.knowledge.research import freeze
from cryptocontent.knowledge.search import search_index, sync_index
from cryptocontent.settings import Settings
from cryptocontent.storage import open_object_store, reading, writing
from cryptocontent.storage.models import Article, AuditEntry, MarketFact, ReferenceRevision, Version
from tests.agents.world import advance_all
from tests.content.articles import ADA, ED, EVE, PASSAGES, WHO, WIL, make_article, text_of

SAMPLE = Path(__file__).parents[2] / "cryptocontent" / "sample"
MINE = "Nobody gets the base fee, which lowers the supply."


@pytest.fixture
def written(engine: Engine) -> Engine:
    make_article(engine)
    return engine


def edit(engine: Engine, before: str, after: str, by: Any = WIL) -> None:
    """Replace a stretch of the current version, as a person."""
    with writing(engine) as session:
        article = session.get_one(Article, "a")
        markdown = find_version(session, article).markdown
        assert before in markdown
        save_version(session, article, article.version_id or "", markdown.replace(before, after), by)


def gathered(engine: Engine, article: str = "a") -> dict[str, Any]:
    with reading(engine) as session:
        data = evidence(session, session.get_one(Article, article))
    parsed: dict[str, Any] = json.loads(json.dumps(data))
    return parsed


def sentence(data: dict[str, Any], words: str) -> dict[str, Any]:
    (found,) = [one for one in data["sentences"] if words in one["text"]]
    return dict(found)


def test_an_agents_sentence_leads_to_its_source_and_its_agent(written: Engine) -> None:
    data = gathered(written)
    one = sentence(data, PASSAGES[1])
    assert (one["kind"], one["section"]) == ("sentence", "Blobs")
    assert text_of(written)[one["start"] : one["end"]] == PASSAGES[1]
    assert (one["written"]["author_kind"], one["written"]["author"]) == ("stage", "seo")
    (cited,) = one["citations"]
    assert (cited["number"], cited["text"]) == (2, PASSAGES[1])
    assert (cited["revision_hash"], cited["source"]) == ("c" * 64, "folder:fees.md")
    assert cited["status"] == "active"


def test_a_persons_sentence_leads_to_the_person(written: Engine) -> None:
    edit(written, f"{PASSAGES[0]}[^1]", f"{PASSAGES[0]}[^1] {MINE}[^2]")
    data = gathered(written)
    mine, kept = sentence(data, MINE), sentence(data, PASSAGES[0])
    assert (mine["written"]["author_kind"], mine["written"]["author"]) == ("person", "wil")
    assert (mine["written"]["version"], kept["written"]["version"]) == (2, 1)
    assert (mine["citations"][0]["text"], kept["written"]["author"]) == (PASSAGES[1], "seo")


def test_who_changes_a_word_is_the_author_and_who_changes_a_source_is_not(written: Engine) -> None:
    edit(written, "burned in every block.[^1]", "burnt in every block.[^1]")
    edit(written, f"{PASSAGES[1]}[^2]", f"{PASSAGES[1]}[^3]", by=ED)
    data = gathered(written)
    assert sentence(data, "burnt")["written"]["author"] == "wil"
    moved = sentence(data, PASSAGES[1])
    assert (moved["written"]["author"], moved["cited"]["author"]) == ("seo", "ed")
    assert moved["citations"][0]["text"] == PASSAGES[2]


def test_a_restored_sentence_is_its_first_authors(written: Engine) -> None:
    edit(written, f"\n\n{PASSAGES[1]}[^2]", f"\n\n{MINE}[^2]")
    with writing(written) as session:
        article = session.get_one(Article, "a")
        first = session.get_one(Version, "v1")
        restore(session, article, article.version_id or "", first, ED)
    assert sentence(gathered(written), PASSAGES[1])["written"]["author"] == "seo"


def test_an_accepted_suggestion_names_who_made_it(written: Engine) -> None:
    with writing(written) as session:
        article, version = session.get_one(Article, "a"), session.get_one(Version, "v1")
        start = version.markdown.index(PASSAGES[0])
        span = (start, start + len(PASSAGES[0]))
        made = comments.suggest(session, article, version, span, MINE, WIL, reason="shorter")
        comments.accept_suggestion(session, article, made.id, version.id, ED)
    one = sentence(gathered(written), MINE)
    assert {one["written"]["author"], *one["written"]["contributors"]} == {"ed", "wil"}


def test_a_market_fact_is_a_source(written: Engine) -> None:
    rows = (
        "asset_id,metric,value,unit,source,as_of\nbitcoin,price,67123.45,USD,CoinGecko,2026-11-24T00:00:00Z\n"
    )
    with writing(written) as session:
        (fact,) = import_facts(session, "p", rows.encode(), WHO).created
    claim = "One bitcoin cost 67,123.45 USD."
    edit(written, f"{PASSAGES[0]}[^1]", f"{PASSAGES[0]}[^1] {claim}[^fact:{fact}]")
    data = gathered(written)
    (cited,) = sentence(data, claim)["citations"]
    assert (cited["kind"], cited["market_fact"], cited["source"]) == ("market_fact", fact, "CoinGecko")
    assert "67,123.45 USD on 24 November 2026" in cited["statement"]
    (row,) = data["sources"]["market_facts"]
    assert (row["id"], row["value"], row["as_of"]) == (fact, 67123.45, "2026-11-24T00:00:00+00:00")


def test_headings_blocks_and_the_title_have_authors_too(written: Engine) -> None:
    table = "| Unit | Worth |\n|---|---|\n| gwei | 10^-9 ether |"
    edit(written, "## Blocks", f"{table}\n\n## Slots")
    kinds = {(one["kind"], one["written"]["author"]) for one in gathered(written)["sentences"]}
    assert {("title", "seo"), ("heading", "seo"), ("heading", "wil"), ("block", "wil")} <= kinds


def test_what_was_decided_is_in_it(written: Engine) -> None:
    edit(written, PASSAGES[0], f"{PASSAGES[0]} {MINE}")
    with requested("cli:desk", "r7"), writing(written) as session:
        article = session.get_one(Article, "a")
        version = find_version(session, article)
        comments.add_comment(session, article, version, "Is that so?", ED)
        for standing in standing_findings(session, "a", version.id):
            if standing.blocks and standing.finding.check_id:
                waive(session, article, standing.finding.id, "it is a matter of course", ED)
        if article.status == "draft":
            review.submit(session, article, version.id, WIL)
        decision = review.approve(session, article, version.id, EVE)
        assert decision.done, decision
        review.publish(session, article, version.id, ADA)
    data = gathered(written)
    assert {one["author"] for one in data["review"]["approvals"]} == {"eve"}
    assert [one["body"] for one in data["review"]["comments"]] == ["Is that so?"]
    assert [one["author"] for one in data["review"]["publications"]] == ["person:ada"]
    assert data["checks"]["checks"] and {one["cause"] for one in data["checks"]["checks"]} >= {"save"}
    actions = {one["action"]: one for one in data["audit"]["entries"]}
    assert {"version.created", "article.approved", "article.published"} <= set(actions)
    assert (actions["article.approved"]["origin"], actions["article.approved"]["request_id"]) == (
        "cli:desk",
        "r7",
    )
    assert data["audit"]["chain"] | {"entries": 0} == {
        "holds": True, "entries": 0, "broken_at": None, "problem": ""
    }  # fmt: skip
    summary = data["summary"]
    assert summary["reviewed_in_full"] and summary["live_version"] == 2
    assert {one["approved_by"] for one in summary["sections"]} == {"eve"}
    assert all(one["approved_at"] for one in summary["sections"])
    assert (summary["sentences"], summary["sentences_by_agents"], summary["people"]) == (4, 3, ["wil"])


def test_what_nobody_approved_is_said(written: Engine) -> None:
    summary = gathered(written)["summary"]
    assert not summary["reviewed_in_full"] and summary["live_version"] is None
    assert {one["approved_by"] for one in summary["sections"]} == {None}


def test_the_manifests_hashes_hold(written: Engine) -> None:
    edit(written, PASSAGES[0], MINE)
    data = gathered(written)
    with zipfile.ZipFile(io.BytesIO(bundle(data))) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["files"] == {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    assert {"article.json", "sentences.json", "sources.json", "audit.json", "summary.json"} <= set(files)
    assert files["versions/002-wil.md"].decode() == text_of(written)
    assert json.loads(files["sentences.json"]) == data["sentences"]


def test_a_broken_chain_and_a_changed_text_are_said(written: Engine) -> None:
    edit(written, PASSAGES[0], MINE)
    assert [one["hash_holds"] for one in gathered(written)["versions"]] == [False, True]  # v1's is made up
    with writing(written) as session:
        sqlite = session.get_bind().dialect.name == "sqlite"
        for table in ("audit_entries", "versions"):
            name = f"{table}_written_once_update" if sqlite else f"{table}_written_once ON {table}"
            session.execute(text(f"DROP TRIGGER {name}"))
        session.execute(text("UPDATE versions SET markdown = markdown || 'x' WHERE number = 2"))
        session.execute(text("UPDATE audit_entries SET actor = 'person:eve' WHERE seq = 2"))
    data = gathered(written)
    assert [one["hash_holds"] for one in data["versions"]] == [False, False]
    assert (data["audit"]["chain"]["holds"], data["audit"]["chain"]["broken_at"]) == (False, 2)


def test_only_this_articles_things_are_in_it(written: Engine) -> None:
    with writing(written) as session:
        create_project(session, "q", "", WHO)
    data = gathered(written)
    assert {one["project_id"] for one in data["audit"]["entries"]} == {"p"}
    assert {one["article_id"] for one in data["versions"]} == {"a"}


def test_an_article_without_a_version_has_no_evidence(written: Engine) -> None:
    with writing(written) as session:
        session.get_one(Article, "a").version_id = None
    with pytest.raises(Refused, match="no version yet"):
        gathered(written)


def test_the_number_of_queries_does_not_grow(written: Engine) -> None:
    def queries() -> int:
        seen: list[str] = []
        event.listen(written, "before_cursor_execute", note := lambda *args: seen.append(args[2]))
        gathered(written)
        event.remove(written, "before_cursor_execute", note)
        return len(seen)

    before = queries()
    for number in range(6):
        edit(written, f"{PASSAGES[2]}[^3]", f"{PASSAGES[2]}[^3] Remark {number}.[^1]")
    assert len(gathered(written)["versions"]) == 7
    assert queries() <= before + 1, "a part that was empty may take one query more"
    assert before < 40


def test_any_sentence_of_a_generated_article_is_traced(sqlite_engine: Engine, tmp_path: Path) -> None:
    settings = Settings(CRYPTOCONTENT_HOME=tmp_path)  # type: ignore[call-arg]
    engine = sqlite_engine
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
        save_template(session, "p", read_template(SAMPLE / "templates" / "explainer.yaml"), WHO)
        rows = b"template,topic,angle\nexplainer,Proof of work in Bitcoin,how blocks are found\n"
        assert import_briefs(session, "p", rows, WHO).problems == ()
    objects = open_object_store(settings.object_store_url)
    import_paths(engine, objects, "p", [SAMPLE / "references"], WHO, max_bytes=10_000_000)
    sync_index(engine, settings, "p")
    with reading(engine) as session:
        (brief,) = brief_ids(session, "p")
    freeze(engine, lambda queries: search_index(settings, queries), [brief])
    assert advance_all(Pipeline(engine, "run-1", PIPELINE), [brief]) == {brief: None}
    with reading(engine) as session:
        article = session.scalars(select(Article)).one()
        markdown = find_version(session, article).markdown
        hashes = set(session.scalars(select(ReferenceRevision.content_hash)))
        entries = session.scalars(select(AuditEntry).filter_by(subject=f"article:{article.id}")).all()
    data = gathered(engine, article.id)
    sentences = [one for one in data["sentences"] if one["kind"] == "sentence"]
    assert len(sentences) > 10
    stages = {agent.stage: agent for agent in PIPELINE}
    for one in sentences:
        made = one["written"]
        assert markdown[one["start"] : one["end"]].split()[:3] == one["text"].split()[:3]
        assert (made["engine"], made["run"]) == (stages[made["author"]].engine, "run-1")
        assert made["agent_version"] == stages[made["author"]].version
        for cited in one["citations"]:
            assert cited["revision_hash"] in hashes and cited["source"].startswith("folder:")
    assert sum(bool(one["citations"]) for one in sentences) > len(sentences) / 2
    assert {one["seq"] for one in data["audit"]["entries"]} >= {entry.seq for entry in entries}
    assert all(one["hash_holds"] for one in data["versions"])
    for version in data["versions"]:
        assert version["stage_result"]["output_hash"] and version["stage_result"]["run_id"] == "run-1"
        assert version["content_hash"] == content_hash(version["markdown"])


def test_facts_of_other_projects_stay_out(written: Engine) -> None:
    with writing(written) as session:
        create_project(session, "q", "", WHO)
        row = {"id": "f", "project_id": "q", "asset_id": "bitcoin", "metric": "price", "value": 1.0}
        row |= {"unit": "USD", "source": "X", "as_of": session.get_one(Version, "v1").created_at}
        session.execute(insert(MarketFact), [row])
    assert gathered(written)["sources"]["market_facts"] == []
