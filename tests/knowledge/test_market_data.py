"""Market facts from services: configuration, fetches, days, divergences, and articles that cite them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select

from cryptocontent.audit import Actor, verify
from cryptocontent.content.projects import create_project
from cryptocontent.content.rules.files import Asset
from cryptocontent.errors import NotAllowed, Refused
from cryptocontent.identity import Person
from cryptocontent.knowledge.divergence import divergences, raise_divergences
from cryptocontent.knowledge.market_data import (
    MarketConfig,
    configured_projects,
    fetch_facts,
    load_config,
    set_config,
    shown_config,
)
from cryptocontent.knowledge.market_facts import newest, statement
from cryptocontent.knowledge.research import freeze
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import (
    Alert,
    Brief,
    MarketFact,
    Research,
    Source,
    Template,
    TemplateVersion,
)
from cryptocontent.storage.types import utc_now
from tests.fakes.market import Coin, Fault, Market, environment, market_server

ADMIN, RUN = Person("ada", "admin"), Actor("run", "r")
BITCOIN = Asset(id="bitcoin", ticker="BTC", name="Bitcoin")
CONFIG = """
providers: [coingecko, defillama]
assets: [bitcoin, ethereum]
tvl: {ethereum: "chain:Ethereum"}
"""


@pytest.fixture(scope="module")
def _server() -> Iterator[Market]:
    with market_server() as market:
        yield market


@pytest.fixture
def market(_server: Market) -> Market:
    fresh = Market()
    fresh.url = _server.url
    vars(_server).update(vars(fresh))
    now = utc_now().replace(minute=0, second=0, microsecond=0)
    hours = [now - timedelta(hours=hour) for hour in range(24 * 9, -1, -1)]
    for name, base in (("bitcoin", 60000.0), ("ethereum", 3000.0)):
        _server.coins[name] = Coin([(at, base + number) for number, at in enumerate(hours)])
        _server.llama[name] = [(at, base + number + 1) for number, at in enumerate(hours)]
    days = [now.replace(hour=0) - timedelta(days=day) for day in range(9, -1, -1)]
    _server.chains["Ethereum"] = [(day, 60e9) for day in days]
    return _server


@pytest.fixture
def settings(market: Market, tmp_path: Path) -> Settings:
    values = {name.lower(): value for name, value in environment(market.url).items()}
    return Settings(_env_file=None, CRYPTOCONTENT_HOME=tmp_path, **values)  # type: ignore[call-arg,arg-type]


@pytest.fixture
def project(engine: Engine) -> Iterator[Engine]:
    with writing(engine) as session:
        create_project(session, "p", "P", ADMIN.actor)
        set_config(session, "p", CONFIG, ADMIN)
    yield engine
    with reading(engine) as session:
        assert verify(session, "p").broken_at is None


def count(engine: Engine) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(MarketFact)) or 0


def test_the_newest_facts_are_fetched_once(project: Engine, settings: Settings) -> None:
    first = fetch_facts(project, settings, "p", RUN)
    # CoinGecko: three metrics of two assets; DefiLlama: two prices and a value locked.
    assert (first.created, first.known, first.gaps, first.problems) == (9, 0, [], [])
    again = fetch_facts(project, settings, "p", RUN)
    assert (again.created, again.known) == (0, 9) and count(project) == 9
    with reading(project) as session:
        facts = {(one.asset_id, one.metric): one for one in newest(session, "p")}
    assert facts["bitcoin", "price"].source == "CoinGecko"  # the first in the alphabet, of one instant
    assert facts["ethereum", "tvl"].value == 60e9 and facts["ethereum", "tvl"].source == "DefiLlama"


def test_past_days_are_one_request_for_all_and_nothing_is_made_twice(
    project: Engine, settings: Settings, market: Market
) -> None:
    days = [utc_now().date() - timedelta(days=day) for day in range(1, 8)]
    fetched = fetch_facts(project, settings, "p", RUN, days)
    assert fetched.created == 7 * 9 and fetched.problems == []
    # One range per asset at CoinGecko; prices of all and one chain at DefiLlama.
    assert len(market.asked) == 4
    assert fetch_facts(project, settings, "p", RUN, days[2:4]).created == 0
    with pytest.raises(Refused, match="not over"):
        fetch_facts(project, settings, "p", RUN, [utc_now().date()])


def test_what_is_not_stated_is_a_gap_and_a_service_that_is_down_a_problem(
    project: Engine, settings: Settings, market: Market
) -> None:
    market.coins["ethereum"].volume = None
    market.next("defillama", *[Fault("status", 500)] * 3)
    fetched = fetch_facts(project, settings, "p", RUN)
    assert fetched.created == 5
    assert fetched.gaps == [("CoinGecko", "ethereum", "volume_24h")]
    assert fetched.problems == [("DefiLlama", "DefiLlama answered 500")]
    with reading(project) as session:
        assert shown_config(session, "p")["problem"] == "DefiLlama: DefiLlama answered 500"


def test_days_of_which_a_service_states_nothing_are_told(
    project: Engine, settings: Settings, market: Market
) -> None:
    market.coins["bitcoin"].prices = market.coins["bitcoin"].prices[-60:]
    days = [utc_now().date() - timedelta(days=number) for number in range(1, 8)]
    fetched = fetch_facts(project, settings, "p", RUN, days)
    told = {(service, asset): what for service, asset, what in fetched.gaps if what.startswith("price")}
    assert list(told) == [("CoinGecko", "bitcoin")]
    assert told["CoinGecko", "bitcoin"] in ("price of 4 of 7 days", "price of 5 of 7 days")


def test_one_unknown_id_costs_the_others_nothing(project: Engine, settings: Settings, market: Market) -> None:
    del market.coins["bitcoin"]
    yesterday = utc_now().date() - timedelta(days=1)
    fetched = fetch_facts(project, settings, "p", RUN, [yesterday])
    assert fetched.problems[0][1].startswith("bitcoin: ") and "coin not found" in fetched.problems[0][1]
    assert fetched.created == 3 + 2 + 1 and fetched.answered == 2


def test_a_number_that_is_restated_later_is_not_believed(
    project: Engine, settings: Settings, market: Market
) -> None:
    fetch_facts(project, settings, "p", RUN)
    at, value = market.coins["bitcoin"].prices[-1]
    market.coins["bitcoin"].prices[-1] = (at, value * 2)
    assert fetch_facts(project, settings, "p", RUN).created == 0
    with reading(project) as session:
        assert newest(session, "p", ["bitcoin"])[1].value == value


def test_a_configuration_names_all_that_is_wrong(engine: Engine) -> None:
    with writing(engine) as session:
        create_project(session, "p", "P", ADMIN.actor)
    for text, wrong in (
        ("providers: [coindesk]\nassets: []\n", "providers.0: .*; assets: "),
        ("providers: [coingecko]\nassets: [nocoin, bitcoin]\n", "'nocoin'"),
        ("providers: [coingecko]\nassets: [bitcoin]\ntvl: {bitcoin: 'chain:B'}\n", "only defillama"),
        ("providers: [defillama]\nassets: [bitcoin]\ntvl: {aave: 'protocol:aave'}\n", "none of assets"),
        ("providers: [", "market data"),
        ("providers: [defillama]\nassets: [bitcoin]\ncurrencies: [eur]\n", "usd only"),
        (
            "providers: [coingecko]\nassets: [bitcoin, ethereum]\nids: {ethereum: {coingecko: bitcoin}}\n",
            "two assets are 'bitcoin'",
        ),
        ("providers: [coingecko]\nassets: [bitcoin]\nkey: x\n", "key: "),
        ("- coingecko\n", "file: "),
        (
            "providers: [coingecko, coingecko]\nassets: [bitcoin, nocoin]\ntvl: {aave: 'chain:B'}\n",
            "'coingecko' stands twice; tvl: 'aave' is none of assets; tvl: only defillama.*'nocoin'",
        ),
        ("providers: [coingecko]\nassets: [nocoin]\ncurrencies: [US]\n", "currencies.0: .*'nocoin'"),
    ):
        with writing(engine) as session, pytest.raises(Refused, match=wrong):
            set_config(session, "p", text, ADMIN)
    with writing(engine) as session, pytest.raises(NotAllowed):
        set_config(session, "p", CONFIG, Person("eve", "editor"))
    assert configured_projects(engine) == []
    with reading(engine) as session:
        assert load_config(session, "p") is None
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    with pytest.raises(Refused, match="market set"):
        fetch_facts(engine, settings, "p", RUN)


def test_an_asset_may_have_another_id_at_a_service(
    engine: Engine, settings: Settings, market: Market
) -> None:
    market.coins["btc-1"] = market.coins.pop("bitcoin")
    with writing(engine) as session:
        create_project(session, "p", "P", ADMIN.actor)
        text = "providers: [coingecko]\nassets: [bitcoin]\nids: {bitcoin: {coingecko: btc-1}}\n"
        set_config(session, "p", text, ADMIN)
    assert fetch_facts(engine, settings, "p", RUN).created == 3
    with reading(engine) as session:
        assert {one.asset_id for one in newest(session, "p")} == {"bitcoin"}


def test_sources_that_differ_are_named_and_people_told_once_a_day(
    project: Engine, settings: Settings, market: Market
) -> None:
    at, value = market.llama["bitcoin"][-1]
    market.llama["bitcoin"][-1] = (at, value * 1.05)
    fetch_facts(project, settings, "p", RUN)
    now = utc_now()
    with writing(project) as session:
        config = load_config(session, "p")
        assert config is not None
        (found,) = divergences(session, "p", config, now)
        assert (found.asset_id, found.metric, round(found.percent)) == ("bitcoin", "price", 5)
        assert (found.low.source, found.high.source) == ("CoinGecko", "DefiLlama")
        assert raise_divergences(session, "p", [found]) == 1
        assert raise_divergences(session, "p", [found]) == 0
        wider = config.model_copy(update={"divergence_percent": 6.0})
        assert divergences(session, "p", wider, now) == []
    with reading(project) as session:
        alert = session.scalars(select(Alert)).one()
    assert "5.0 %" in alert.title and "DefiLlama" in alert.body


def test_only_facts_of_about_the_same_time_are_compared(engine: Engine) -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    config = MarketConfig(providers=("coingecko",), assets=("bitcoin",))
    with writing(engine) as session:
        create_project(session, "p", "P", ADMIN.actor)
        for source, minutes, value in (("A", 0, 100.0), ("B", 61, 200.0), ("C", 59, 101.0)):
            session.add(
                MarketFact(
                    id=source, project_id="p", asset_id="bitcoin", metric="price", unit="USD",
                    source=source, as_of=noon + timedelta(minutes=minutes), value=value,
                )
            )  # fmt: skip
        session.flush()
        # A with C are close; B with C are near in time and far apart; A with B are not of one time.
        (found,) = divergences(session, "p", config, noon + timedelta(hours=2))
        assert (found.low.source, found.high.source) == ("C", "B")
        assert divergences(session, "p", config, noon + timedelta(days=3)) == []


def test_who_paused_it_is_told_how_to_go_on(project: Engine, settings: Settings) -> None:
    with writing(project) as session:
        session.scalars(select(Source)).one().status = "paused"
    with pytest.raises(Refused, match="paused: `cryptocontent source resume market`"):
        fetch_facts(project, settings, "p", RUN)


SPEC = {
    "name": "note",
    "title": "{{ coin }}",
    "words": {"min": 5, "max": 500},
    "variables": {"coin": {"type": "asset_id"}},
    "sections": [{"heading": "What", "query": "{{ coin }}", "words": {"min": 5, "max": 500}}],
}


def test_a_brief_about_an_asset_has_fetched_facts_in_its_research(
    project: Engine, settings: Settings, market: Market
) -> None:
    at, value = market.coins["bitcoin"].prices[-1]
    fetch_facts(project, settings, "p", RUN)
    with writing(project) as session:
        session.add(Template(id="t", project_id="p", name="note", version_id="tv"))
        session.flush()
        version = {"id": "tv", "template_id": "t", "number": 1, "content_hash": "h", "spec": SPEC}
        session.execute(insert(TemplateVersion), [version])
        brief = {"id": "b", "project_id": "p", "template_version_id": "tv", "title": "T", "origin": "test"}
        session.execute(insert(Brief), [brief | {"variables": {"coin": "bitcoin"}, "content_hash": "b"}])
    frozen, missing = freeze(project, lambda queries: [[] for _ in queries], ["b"])
    assert not missing
    with reading(project) as session:
        ids = session.get_one(Research, frozen["b"].research_id).facts
        cited = {one.metric: one for one in session.scalars(select(MarketFact).where(MarketFact.id.in_(ids)))}
        assert set(cited) == {"price", "market_cap", "volume_24h"}
        price = cited["price"]
        assert (price.value, price.as_of, price.source) == (value, at, "CoinGecko")
        assert statement(price, BITCOIN).startswith(f"The price of Bitcoin was {value:,.0f} USD on ")


def test_days_of_the_past_are_dates(project: Engine) -> None:
    with pytest.raises(Refused, match="2999-01-01"):
        fetch_facts(project, Settings(_env_file=None), "p", RUN, [date(2999, 1, 1)])  # type: ignore[call-arg]
