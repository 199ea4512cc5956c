"""Market facts: every bad row is named and none is written; the same file twice makes nothing twice; a
brief's research takes the newest ones of its assets with it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from cryptocontent.audit import Actor, verify
from cryptocontent.content.projects import create_project
from cryptocontent.content.rules.files import Asset
from cryptocontent.errors import NotFound, Refused
from cryptocontent.knowledge.market_facts import (
    COLUMNS,
    FactsReport,
    import_facts,
    list_facts,
    newest,
    statement,
)
from cryptocontent.knowledge.research import freeze, stale
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import (
    AuditEntry,
    Brief,
    MarketFact,
    Project,
    Research,
    Template,
    TemplateVersion,
)

WHO = Actor("person", "anna")
NOW = datetime(2026, 11, 24, 13, tzinfo=UTC)
HEADER = ",".join(COLUMNS)
PRICE = "bitcoin,price,67123.45,USD,CoinGecko,2026-11-24T12:00:00Z"
BITCOIN = Asset(id="bitcoin", ticker="BTC", name="Bitcoin")


@pytest.fixture
def project(engine: Engine) -> Engine:
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
    return engine


def load(engine: Engine, *rows: str, header: str = HEADER) -> FactsReport:
    data = "\n".join([header, *rows, ""]).encode()
    with writing(engine) as session:
        return import_facts(session, "p", data, WHO, now=NOW)


def count(engine: Engine) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(MarketFact)) or 0


def test_the_same_file_twice_makes_nothing_twice(project: Engine) -> None:
    rows = (PRICE, "ethereum,tvl,5.1e10,USD,DefiLlama,2026-11-24T12:30:00+01:00", PRICE)
    first = load(project, *rows)
    assert (len(first.created), first.unchanged, first.problems) == (2, 1, ())
    with reading(project) as session:
        before = session.scalar(select(func.count()).select_from(AuditEntry))
        fact = session.get_one(MarketFact, first.created[1])
        assert (fact.value, fact.as_of) == (5.1e10, datetime(2026, 11, 24, 11, 30, tzinfo=UTC))
    again = load(project, *rows)
    assert (again.created, again.unchanged, again.problems) == ((), 3, ())
    with reading(project) as session:
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == before
        entry = session.scalars(select(AuditEntry).filter_by(action="market_facts.imported")).one()
        assert (entry.data["facts"], entry.data["assets"]) == (2, ["bitcoin", "ethereum"])
        assert verify(session, "p").broken_at is None


def test_the_same_instant_in_another_zone_is_the_same_fact(project: Engine) -> None:
    load(project, PRICE)
    assert load(project, PRICE.replace("12:00:00Z", "14:00:00+02:00")).unchanged == 1


BAD = {
    "asset_id": ("no-such-coin,price,1,USD,X,2026-11-24T12:00:00Z", "no-such-coin", "rules"),
    "metric": ("bitcoin,prize,1,USD,X,2026-11-24T12:00:00Z", "prize", "price, market_cap"),
    "value": ('bitcoin,price,"67,123",USD,X,2026-11-24T12:00:00Z', "67,123", "without separators"),
    "unit": ("bitcoin,price,1,,X,2026-11-24T12:00:00Z", "", "USD"),
    "source": ("bitcoin,price,1,USD, ,2026-11-24T12:00:00Z", "", "name who states it"),
    "as_of": ("bitcoin,price,1,USD,X,2026-11-24T12:00:00", "2026-11-24T12:00:00", "with zone"),
    "(beyond the header)": ("bitcoin,price,1,USD,X,2026-11-24T12:00:00Z,more", "more", "more cells"),
}


@pytest.mark.parametrize("column", BAD)
def test_a_bad_cell_is_named_and_nothing_is_written(project: Engine, column: str) -> None:
    row, value, reason = BAD[column]
    (problem,) = load(project, PRICE, row).problems
    assert (problem.line, problem.column, problem.value) == (3, column, value)
    assert reason in problem.reason and "line 3" in str(problem)
    assert count(project) == 0


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e999", "1_000", "0x10", "", "٣", "1,5"])
def test_only_plain_numbers_are_values(project: Engine, value: str) -> None:
    (problem,) = load(project, f'bitcoin,price,"{value}",USD,X,2026-11-24T12:00:00Z').problems
    assert problem.column == "value"


@pytest.mark.parametrize("value", ["0", "0.00000001", "21000000", "1e-9"])
def test_these_are_values(project: Engine, value: str) -> None:
    assert len(load(project, f"bitcoin,supply,{value},BTC,X,2026-11-24T12:00:00Z").created) == 1


def test_every_bad_row_is_reported(project: Engine) -> None:
    rows = ("no-such-coin,prize,x,!,,never", PRICE, "bitcoin,price,y,USD,X,2026-11-24T12:00:00Z")
    problems = load(project, *rows).problems
    assert [(one.line, one.column) for one in problems] == [
        *((2, name) for name in ("asset_id", "metric", "value", "unit", "source", "as_of")),
        (4, "value"),
    ]


def test_a_fact_from_the_future_is_refused(project: Engine) -> None:
    soon = (NOW + timedelta(minutes=9)).isoformat()
    later = (NOW + timedelta(minutes=11)).isoformat()
    assert load(project, f"bitcoin,price,1,USD,X,{soon}").created
    (problem,) = load(project, f"bitcoin,price,1,USD,X,{later}").problems
    assert "future" in problem.reason


def test_a_fact_never_changes(project: Engine) -> None:
    load(project, PRICE)
    (problem,) = load(project, PRICE.replace("67123.45", "99999")).problems
    assert (problem.line, problem.column) == (2, "value") and "67123.45" in problem.reason
    (problem,) = load(
        project, "bitcoin,tvl,1,USD,X,2026-11-24T12:00:00Z", PRICE, PRICE.replace("45", "46")
    ).problems
    assert (problem.line, problem.column) == (4, "value") and "line 3" in problem.reason
    with pytest.raises(DBAPIError, match="written once"), writing(project) as session:
        session.execute(update(MarketFact).values(value=1))
    with reading(project) as session:
        assert session.scalars(select(MarketFact.value)).all() == [67123.45]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "'asset_id' is missing"),
        (b"asset_id,metric,value,unit,source\n", "'as_of' is missing"),
        (f"{HEADER},note\n".encode(), "unknown or twice"),
        (f"{HEADER}\n".encode(), "no rows"),
        (f"{HEADER}\n".encode() + b"\xff\xfe", "not UTF-8"),
        (f'{HEADER}\nbitcoin,"price,1\n'.encode(), "line"),
    ],
)
def test_what_is_no_file_of_facts_is_refused(project: Engine, data: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words), writing(project) as session:
        import_facts(session, "p", data, WHO)


def test_columns_may_stand_in_any_order_after_a_mark_of_bytes(project: Engine) -> None:
    data = "\ufeffvalue,asset_id,as_of,unit,metric,source\r\n1,bitcoin,2026-11-24T12:00:00Z,USD,price,X\r\n"
    with writing(project) as session:
        assert len(import_facts(session, "p", data.encode(), WHO, now=NOW).created) == 1
        with pytest.raises(NotFound, match="no project 'q'"):
            import_facts(session, "q", data.encode(), WHO)


def test_the_newest_of_each_metric_and_unit_in_one_query(project: Engine) -> None:
    load(
        project,
        PRICE,
        "bitcoin,price,66000,USD,CoinGecko,2026-11-23T12:00:00Z",
        "bitcoin,price,61000,EUR,CoinGecko,2026-11-22T12:00:00Z",
        "bitcoin,price,67100,USD,Alpha,2026-11-24T12:00:00Z",
        "bitcoin,market_cap,1.3e12,USD,CoinGecko,2026-11-20T12:00:00Z",
        "ethereum,price,3000,USD,CoinGecko,2026-11-24T12:00:00Z",
    )
    statements: list[str] = []
    event.listen(project, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with writing(project) as session:
        facts = newest(session, "p", ["bitcoin", "bitcoin", "none"])
    assert sum("market_facts" in text for text in statements) == 1
    assert [(fact.metric, fact.unit, fact.value) for fact in facts] == [
        ("market_cap", "USD", 1.3e12),
        ("price", "EUR", 61000),
        ("price", "USD", 67100),
    ]
    with reading(project) as session:
        assert len(newest(session, "p")) == 4
        assert newest(session, "q") == []


def test_a_fact_in_words(project: Engine) -> None:
    load(project, PRICE)
    with reading(project) as session:
        (fact,) = newest(session, "p")
        (row,) = list_facts(session, "p", "bitcoin")
        assert list_facts(session, "p", "ethereum") == []
        with pytest.raises(NotFound, match="no-such-coin"):
            list_facts(session, "p", "no-such-coin")
    said = "The price of Bitcoin was 67,123.45 USD on 24 November 2026 at 12:00 UTC, according to CoinGecko."
    assert statement(fact, BITCOIN) == said == row["statement"]


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("price", "0.0000000012", "The price of Bitcoin was 0.0000000012 USD on"),
        ("price", "100", "The price of Bitcoin was 100 USD on"),
        ("market_cap", "1.3e12", "The market cap of Bitcoin was 1,300,000,000,000 USD on"),
        ("market_cap", "1e22", "was 10,000,000,000,000,000,000,000 USD on"),
        ("volume_24h", "0.5", "The volume over 24 hours of Bitcoin was 0.5 USD on"),
        ("tvl", "12.30", "The total value locked of Bitcoin was 12.3 USD on"),
    ],
)
def test_a_sentence_says_the_value_as_it_was_given(
    project: Engine, metric: str, value: str, said: str
) -> None:
    load(project, f"bitcoin,{metric},{value},USD,X,2026-11-24T12:00:00Z")
    with reading(project) as session:
        assert said in statement(newest(session, "p")[0], BITCOIN)


# Research

SPEC = {
    "name": "note",
    "title": "{{ coin }}",
    "words": {"min": 5, "max": 500},
    "variables": {"coin": {"type": "asset_id"}},
    "sections": [{"heading": "What", "query": "{{ coin }}", "words": {"min": 5, "max": 500}}],
}


@pytest.fixture
def briefs(project: Engine) -> Engine:
    """Briefs b1 (about bitcoin) and b2 (about ethereum)."""
    with writing(project) as session:
        session.add(Template(id="t", project_id="p", name="note", version_id="tv"))
        session.flush()
        session.execute(
            insert(TemplateVersion),
            [{"id": "tv", "template_id": "t", "number": 1, "content_hash": "h", "spec": SPEC}],
        )
        for brief, coin in (("b1", "bitcoin"), ("b2", "ethereum")):
            row = {
                "id": brief,
                "project_id": "p",
                "template_version_id": "tv",
                "title": coin,
                "origin": "test",
            }
            session.execute(insert(Brief), [row | {"variables": {"coin": coin}, "content_hash": brief}])
    return project


def freeze_both(engine: Engine, **options: bool) -> dict[str, Research]:
    frozen, missing = freeze(engine, lambda queries: [[] for _ in queries], ["b1", "b2"], **options)
    assert not missing
    with reading(engine) as session:
        return {brief: session.get_one(Research, one.research_id) for brief, one in frozen.items()}


def test_research_takes_the_newest_facts_of_its_assets(briefs: Engine) -> None:
    without = freeze_both(briefs)
    assert without["b1"].facts == []
    (old,) = load(briefs, PRICE).created
    assert stale(briefs, ["b1", "b2"]) == set(), "facts alone make nothing stale"
    assert freeze_both(briefs)["b1"].id == without["b1"].id
    assert stale(briefs, ["b1", "b2"], newest_facts=True) == {"b1"}
    taken = freeze_both(briefs, newest_facts=True)
    assert (taken["b1"].facts, taken["b2"].facts) == ([old], [])
    assert taken["b1"].content_hash != without["b1"].content_hash
    assert taken["b2"].id == without["b2"].id
    (new,) = load(briefs, PRICE.replace("12:00", "12:30")).created
    assert freeze_both(briefs)["b1"].facts == [old]
    assert freeze_both(briefs, newest_facts=True)["b1"].facts == [new]
    assert stale(briefs, ["b1", "b2"], newest_facts=True) == set()
    with reading(briefs) as session:
        stored = session.scalars(
            select(Research).filter_by(brief_id="b1").order_by(Research.created_at)
        ).all()
        assert [one.facts for one in stored] == [[], [old], [new]], "what was frozen stays"


def test_research_that_is_asked_again_takes_the_newest_facts(briefs: Engine) -> None:
    freeze_both(briefs)
    (fact,) = load(briefs, PRICE).created
    with writing(briefs) as session:
        session.execute(update(Project).values(knowledge_version=7))
    assert freeze_both(briefs)["b1"].facts == [fact]


def test_research_without_facts_hashes_as_ever(briefs: Engine) -> None:
    from cryptocontent.content.text import content_hash

    assert freeze_both(briefs)["b1"].content_hash == content_hash([])
