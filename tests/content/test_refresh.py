"""Articles that are behind their sources are proposed for a refresh, each newer state once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event, insert, select

from cryptocontent.audit import verify
from cryptocontent.content import refresh
from cryptocontent.content.articles import find_article
from cryptocontent.content.generations import cancel_generation, set_outcomes, wanting_newest_facts
from cryptocontent.content.refresh import accept, decide, dismiss, list_proposals, look
from cryptocontent.content.rules import current_rules, set_rules
from cryptocontent.content.staleness import Reason
from cryptocontent.content.versions import save_version
from cryptocontent.errors import NotAllowed, NotFound, Refused
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import (
    Article,
    AuditEntry,
    Brief,
    Citation,
    Event,
    Generation,
    MarketFact,
    Passage,
    Reference,
    ReferenceRevision,
    RefreshProposal,
    RevisionPassage,
    Version,
)
from tests.content.articles import ADA, ED, PASSAGES, VIC, WIL, make_article

T0 = datetime(2026, 11, 24, 12, tzinfo=UTC)
SOON = T0 + timedelta(hours=1)


class Newsroom:
    """One article that cites three passages; what a test adds to it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        make_article(engine)

    def look(self, now: datetime = SOON) -> refresh.Looked:
        return look(self.engine, seconds=60, now=now)

    def proposals(self, status: str | None = "open") -> list[dict[str, Any]]:
        with reading(self.engine) as session:
            return list_proposals(session, "p", status)

    def kinds(self) -> list[str]:
        return [reason["kind"] for row in self.proposals() for reason in row["reasons"]]

    def revise(self, *kept: str, number: int = 2) -> None:
        """A new revision of the reference `r`, which has only these of its passages, and a new one."""
        revision = {"id": f"rev{number}", "reference_id": "r", "number": number, "content_hash": "d" * 64}
        passage = {
            "id": f"new-{number}",
            "project_id": "p",
            "reference_id": "r",
            "kind": "prose",
            "text": "New.",
        }
        with writing(self.engine) as session:
            session.execute(
                insert(ReferenceRevision), [revision | {"media_type": "text/markdown", "markdown": "…"}]
            )
            session.execute(insert(Passage), [passage | {"text": "New."}])
            places = [
                {"revision_id": f"rev{number}", "ordinal": n, "passage_id": one, "start": 0, "end": 1}
                for n, one in enumerate([*kept, f"new-{number}"], 1)
            ]
            session.execute(insert(RevisionPassage), places)
            session.get_one(Reference, "r").revision_id = f"rev{number}"

    def fact(self, value: float, at: datetime = T0, metric: str = "price", source: str = "CoinGecko") -> str:
        fact_id = f"{metric.replace('_', '-')}-{value}-{at:%d%H%M}"
        row = {"id": fact_id, "project_id": "p", "asset_id": "bitcoin", "metric": metric, "value": value}
        with writing(self.engine) as session:
            session.execute(insert(MarketFact), [row | {"unit": "USD", "source": source, "as_of": at}])
        return fact_id

    def cite(self, fact_id: str, sentence: str) -> None:
        """A new version with a sentence that cites the fact."""
        with writing(self.engine) as session:
            text = session.get_one(Version, "v1").markdown
            text = text.replace("\n\n## Blobs", f"\n\n{sentence}[^fact:{fact_id}]\n\n## Blobs")
            save_version(session, find_article(session, "fees"), "v1", text, WIL)

    def accept(self, person: Any = WIL) -> str:
        (row,) = self.proposals()
        with writing(self.engine) as session:
            return accept(session, "p", row["id"], person)[0]

    def dismiss(self, person: Any = ED) -> None:
        (row,) = self.proposals()
        with writing(self.engine) as session:
            dismiss(session, "p", row["id"], "It is history.", person)

    def actions(self) -> list[str]:
        with reading(self.engine) as session:
            query = select(AuditEntry.action).where(AuditEntry.action.startswith("refresh."))
            return list(session.scalars(query.order_by(AuditEntry.seq)))


@pytest.fixture
def room(engine: Engine) -> Newsroom:
    return Newsroom(engine)


def test_nothing_newer_nothing_proposed(room: Newsroom) -> None:
    room.revise("passage-1", "passage-2", "passage-3")
    room.cite(room.fact(67_000), "Bitcoin trades at 67,000 USD.")
    room.fact(67_100, SOON)
    looked = room.look()
    assert (looked.articles, looked.proposed, looked.cursor) == (1, {}, "")


def test_a_passage_that_is_gone_is_proposed_once_with_what_it_said(room: Newsroom) -> None:
    room.revise("passage-1", "passage-3")
    assert room.look().proposed == {"p": ["fees"]}
    assert room.look().proposed == {}
    (row,) = room.proposals()
    (reason,) = row["reasons"]
    assert (reason["kind"], reason["source"], reason["numbers"]) == ("source_changed", "Fees", [2])
    assert reason["then"] == PASSAGES[1] and "revision 2" in reason["now"] and reason["since"]
    with reading(room.engine) as session:
        assert session.scalars(select(Event.kind)).all() == ["refresh_proposed"]
        assert verify(session, "p").broken_at is None
    assert room.actions() == ["refresh.proposed"]


def test_a_withdrawn_source_is_a_reason_and_a_recalled_one_is_not_ours(room: Newsroom) -> None:
    with writing(room.engine) as session:
        session.get_one(Reference, "r").status = "recalled"
    room.look()
    assert room.kinds() == []
    with writing(room.engine) as session:
        session.get_one(Reference, "r").status = "withdrawn"
    room.look()
    assert room.kinds() == ["source_withdrawn"]


@pytest.mark.parametrize(
    "metric,newer,hours,kinds",
    [
        ("price", 70_000, 1, []),  # 4.5 %: within the tolerance of `price.stale`
        ("price", 72_000, 1, ["fact_moved"]),
        ("price", 60_000, 1, ["fact_moved"]),
        ("price", 67_100, 30, ["fact_old"]),
        ("tvl", 67_100, 30, []),  # only prices age
        ("tvl", 80_000, 30, ["fact_moved"]),
    ],
)
def test_facts_go_by_the_rule_of_the_check(
    room: Newsroom, metric: str, newer: float, hours: int, kinds: list[str]
) -> None:
    room.cite(room.fact(67_000, metric=metric), "It stands at 67,000 USD.")
    at = T0 + timedelta(hours=hours)
    room.fact(newer, at, metric=metric)
    room.look(at)
    assert room.kinds() == kinds


def test_the_projects_own_tolerance_counts(room: Newsroom) -> None:
    room.cite(room.fact(67_000), "Bitcoin trades at 67,000 USD.")
    room.fact(70_000, SOON)
    with writing(room.engine) as session:
        limits = current_rules(session, "p", "limits")[1]
        set_rules(session, "p", "limits", limits | {"price_max_drift": 0.01}, ADA)
    room.look()
    (row,) = room.proposals()
    assert row["reasons"][0]["then"].startswith("67,000 USD on 24 November 2026")
    assert row["reasons"][0]["now"].startswith("70,000 USD")


def test_two_sources_that_differ_are_no_movement(room: Newsroom) -> None:
    room.cite(room.fact(100_000), "Bitcoin trades at 100,000 USD.")
    for minute in range(1, 6):
        room.fact(100_100, T0 + timedelta(minutes=2 * minute))
        room.fact(107_000, T0 + timedelta(minutes=2 * minute + 1), source="DefiLlama")
        assert room.look().proposed == {}
    room.fact(108_000, SOON)
    assert room.look().proposed == {"p": ["fees"]}


def test_an_old_price_without_a_newer_one_is_no_reason(room: Newsroom) -> None:
    room.cite(room.fact(67_000), "Bitcoin trades at 67,000 USD.")
    room.look(T0 + timedelta(days=9))
    assert room.kinds() == []


def test_history_does_not_become_stale(room: Newsroom) -> None:
    room.cite(room.fact(67_000), "Bitcoin traded at 67,000 USD on 24 November 2026.")
    room.fact(99_000, SOON)
    room.look()
    assert room.kinds() == []


def test_the_ticks_of_a_market_make_no_new_proposals_but_a_doubled_distance_does(room: Newsroom) -> None:
    room.cite(room.fact(100_000), "Bitcoin trades at 100,000 USD.")
    room.fact(106_000, T0 + timedelta(minutes=1))
    room.look()
    room.dismiss()
    room.fact(109_000, T0 + timedelta(minutes=2))
    assert room.look().proposed == {}, "dismissed at 6 %: 9 % is no other news"
    room.fact(111_000, T0 + timedelta(minutes=3))
    assert room.look().proposed == {"p": ["fees"]}
    assert len(room.proposals(None)) == 2


def test_a_proposal_whose_cause_is_gone_is_outdated_and_comes_back_with_it(room: Newsroom) -> None:
    room.revise("passage-1", "passage-3")
    room.look()
    room.revise("passage-1", "passage-2", "passage-3", number=3)
    assert room.look().outdated == 1
    assert room.proposals() == []
    with writing(room.engine) as session:
        session.get_one(Reference, "r").revision_id = "rev2"
    assert room.look().proposed == {"p": ["fees"]}
    assert len(room.proposals(None)) == 1, "the same state is the same proposal"
    assert room.actions() == ["refresh.proposed", "refresh.outdated", "refresh.proposed"]


def test_an_open_proposal_follows_the_newest_state(room: Newsroom) -> None:
    room.revise("passage-1", "passage-3")
    room.look()
    room.revise("passage-1", number=3)
    assert room.look().proposed == {}
    (row,) = room.proposals()
    assert row["reasons"][0]["numbers"] == [2, 3] and "revision 3" in row["reasons"][0]["now"]


def test_a_newer_version_takes_over_or_outdates(room: Newsroom) -> None:
    room.revise("passage-1", "passage-3")
    room.look()
    with writing(room.engine) as session:
        article = find_article(session, "fees")
        markdown = session.get_one(Version, "v1").markdown
        save_version(session, article, "v1", markdown.replace("## Blobs", "## Of blobs"), WIL)
    (row,) = room.proposals()
    with writing(room.engine) as session, pytest.raises(Refused, match="newer version"):
        accept(session, "p", row["id"], WIL)
    room.look()
    (row,) = room.proposals()
    assert row["by_person"]
    with writing(room.engine) as session:
        article = find_article(session, "fees")
        current = session.get_one(Version, article.version_id)
        sentence = f"{PASSAGES[1]}[^2]"
        assert sentence in current.markdown
        save_version(session, article, current.id, current.markdown.replace(sentence, "It holds."), WIL)
    room.look()
    assert room.proposals() == [] and room.proposals("outdated")


def test_an_archived_article_needs_no_refresh(room: Newsroom) -> None:
    room.revise("passage-1")
    room.look()
    with writing(room.engine) as session:
        session.get_one(Article, "a").status = "archived"
    assert room.look().outdated == 1


def test_accepting_asks_for_a_generation_with_the_newest_facts(room: Newsroom) -> None:
    room.revise("passage-1")
    room.look()
    with pytest.raises(NotAllowed):
        room.accept(VIC)
    generation = room.accept(WIL)
    with reading(room.engine) as session:
        asked = session.get_one(Generation, generation)
        assert (asked.newest_facts, asked.requested_by, asked.runner) == (True, "person:wil", "dagster")
        (row,) = session.scalars(select(RefreshProposal)).all()
        assert (row.status, row.decided_by, row.generation_id) == ("accepted", "wil", generation)
        assert wanting_newest_facts(session, generation, ["p--a"]) == {"p--a"}
        (entry,) = session.scalars(select(AuditEntry).filter_by(action="refresh.accepted"))
        assert entry.data["generation"] == generation
    room.revise(number=3)
    assert room.look().proposed == {}, "a generation is at work on it"
    with pytest.raises(Refused, match="only an open one"), writing(room.engine) as session:
        accept(session, "p", row.id, WIL)


def test_a_refresh_that_came_to_nothing_is_proposed_again(room: Newsroom) -> None:
    room.revise("passage-1")
    room.look()
    first = room.accept()
    with writing(room.engine) as session:
        set_outcomes(session, first, {"p--a": "the writer failed"}, "run")
    assert room.look().proposed == {"p": ["fees"]}
    second = room.accept()
    with writing(room.engine) as session:
        cancel_generation(session, second, ED)
    assert room.look().proposed == {"p": ["fees"]}
    third = room.accept()
    with writing(room.engine) as session:
        set_outcomes(session, third, {"p--a": None}, "run")
    assert room.look().proposed == {}, "done: what it wrote stands beside a person's text, say"


def test_dismissing_needs_an_editor_and_a_reason(room: Newsroom) -> None:
    room.revise("passage-1")
    room.look()
    (row,) = room.proposals()
    with pytest.raises(NotAllowed):
        room.dismiss(WIL)
    with pytest.raises(Refused), writing(room.engine) as session:
        dismiss(session, "p", row["id"], " ", ED)
    with pytest.raises(NotFound), writing(room.engine) as session:
        dismiss(session, "q", row["id"], "Not here.", ED)
    room.dismiss()
    assert room.look().proposed == {}
    with reading(room.engine) as session:
        (entry,) = session.scalars(select(AuditEntry).filter_by(action="refresh.dismissed"))
        assert entry.data["reason"] == "It is history." and entry.actor == "person:ed"
        with pytest.raises(Refused, match="open, accepted"):
            list_proposals(session, "p", "closed")


def many(engine: Engine, count: int, published: int) -> None:
    """`count` more articles that cite a fact and a passage; the first `published` are live."""
    with writing(engine) as session:
        brief = session.get_one(Brief, "p--a")
        ids = [f"b{n:05}" for n in range(count)]
        shared = {"project_id": "p", "template_version_id": brief.template_version_id, "title": "T"}
        shared |= {"variables": {}, "origin": "test", "content_hash": "h"}
        session.execute(insert(Brief), [shared | {"id": f"p--{one}"} for one in ids])
        session.execute(
            insert(Article),
            [
                {"id": one, "project_id": "p", "brief_id": f"p--{one}", "slug": one, "title": "T"}
                | {"version_id": f"v{one}", "published_version_id": f"v{one}" if n < published else None}
                for n, one in enumerate(ids)
            ],
        )
        version = {"number": 1, "author_kind": "stage", "author": "seo", "title": "T", "content_hash": "1"}
        text = "# T\n\nBitcoin trades at 67,000 USD.[^1]\n\nMore of it.[^2]\n"
        session.execute(
            insert(Version),
            [version | {"id": f"v{one}", "article_id": one, "markdown": text} for one in ids],
        )
        fact = [{"version_id": f"v{one}", "number": 1, "market_fact_id": "price-67000-241200"} for one in ids]
        cited = {"number": 2, "passage_id": "passage-2", "reference_id": "r", "revision_id": "rev"}
        session.execute(insert(Citation), fact)
        session.execute(insert(Citation), [cited | {"version_id": f"v{one}"} for one in ids])


def queries(engine: Engine) -> Iterator[list[str]]:
    said: list[str] = []

    def listen(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        said.append(statement)

    event.listen(engine, "before_cursor_execute", listen)
    yield said
    event.remove(engine, "before_cursor_execute", listen)


def test_published_articles_come_first_and_a_look_goes_on_where_it_stopped(room: Newsroom) -> None:
    room.fact(67_000)
    many(room.engine, 700, published=10)
    room.revise("passage-1", "passage-3")
    first = look(room.engine, seconds=0, now=SOON)
    assert first.proposed["p"] == [f"b{n:05}" for n in range(10)] and first.cursor
    found, cursor, rounds = list(first.proposed["p"]), first.cursor, 1
    while cursor:
        looked = look(room.engine, cursor, seconds=0, now=SOON)
        found += looked.proposed.get("p", [])
        cursor, rounds = looked.cursor, rounds + 1
    assert sorted(found) == sorted(["fees", *(f"b{n:05}" for n in range(700))]) and rounds > 2


def test_the_number_of_queries_does_not_grow_with_the_articles(room: Newsroom) -> None:
    room.fact(67_000)
    many(room.engine, refresh.ARTICLES_AT_ONCE - 1, published=0)
    for minute in range(60):
        room.fact(67_000 + minute, T0 + timedelta(minutes=minute + 1))
    listening = queries(room.engine)
    said = next(listening)
    assert room.look().articles == refresh.ARTICLES_AT_ONCE
    next(listening, None)
    assert len(said) < 25, said


_REASONS = {
    key: Reason("fact_moved", "x", "1", "2", "2026-11-24", (1,), keys)
    for key, keys in {"a1": ("a1",), "a2": ("a1", "a2"), "b": ("b",), "c": ("c",)}.items()
}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["look", "dismiss", "accept", "fail"]),
            st.sets(st.sampled_from(sorted(_REASONS))),
            st.sampled_from(["v1", "v2"]),
        ),
        max_size=12,
    )
)
def test_whatever_happens_at_most_one_is_open_and_nothing_settled_is_proposed(
    story: list[tuple[str, set[str], str]],
) -> None:
    rows: list[RefreshProposal] = []
    in_vain: set[str] = set()
    for what, names, version in story:
        reasons = [_REASONS[name] for name in sorted(names)]
        open_ones = [row for row in rows if row.status == "open"]
        if what == "dismiss" and open_ones:
            open_ones[0].status = "dismissed"
        if what == "accept" and open_ones:
            open_ones[0].status, open_ones[0].generation_id = "accepted", f"g{len(rows)}"
        if what == "fail":
            in_vain |= {str(row.generation_id) for row in rows if row.status == "accepted"}
        keys = refresh._keys(one.as_json() for one in reasons)
        for step in decide(reasons, version, rows, in_vain):
            row = step.row or RefreshProposal(generation_id=None)
            if step.row is None:
                rows.append(row)
            row.status = "outdated" if step.do == "outdate" else "open"
            if step.do != "outdate":
                row.reasons = [one.as_json() for one in reasons]
                row.version_id, row.fingerprint = version, refresh._fingerprint(keys)
        assert decide(reasons, version, rows, in_vain) == [], "once decided, nothing is left to do"
        standing = [row for row in rows if row.status == "open"]
        assert len(standing) <= 1 and len({row.fingerprint for row in rows}) == len(rows)
        settled = refresh._keys(
            reason
            for row in rows
            if row.status == "dismissed" or (row.status == "accepted" and row.generation_id not in in_vain)
            for reason in row.reasons
        )
        assert bool(standing) == bool(keys - settled)
        assert all(refresh._keys(row.reasons) == keys for row in standing)
