"""The clients of market data services, against fakes in their documented formats."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from cryptocontent.errors import Refused
from cryptocontent.integrations.market_data import CoinGecko, DefiLlama, Quote, Trouble
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.settings import Settings
from tests.fakes.market import KEY, Coin, Fault, Market, environment, market_server
from tests.fakes.serving import serving

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOURS = [NOON - timedelta(hours=hour) for hour in range(72, -1, -1)]


@pytest.fixture(scope="module")
def _server() -> Iterator[Market]:
    with market_server() as market:
        yield market


@pytest.fixture
def market(_server: Market) -> Market:
    fresh = Market()
    fresh.url = _server.url
    vars(_server).update(vars(fresh))
    _server.coins["bitcoin"] = Coin([(at, 60000.0 + number) for number, at in enumerate(HOURS)])
    _server.llama["bitcoin"] = [(at, 60010.0 + number) for number, at in enumerate(HOURS)]
    _server.chains["Ethereum"] = [(datetime(2026, 11, day, tzinfo=UTC), day * 1e9) for day in range(1, 25)]
    _server.protocols["aave"] = [(datetime(2026, 11, day, tzinfo=UTC), day * 1e8) for day in range(1, 25)]
    return _server


@pytest.fixture
def settings(market: Market, tmp_path: Path) -> Settings:
    values = {name.lower(): value for name, value in environment(market.url).items()}
    return Settings(_env_file=None, CRYPTOCONTENT_HOME=tmp_path, **values)  # type: ignore[call-arg,arg-type]


def test_the_newest_numbers_of_all_assets_are_one_request(market: Market, settings: Settings) -> None:
    market.coins["ethereum"] = Coin([(NOON, 3500.5)], volume=None)
    market.needs_key = True
    quotes = list(CoinGecko(settings).current(["bitcoin", "ethereum", "nocoin"], ["usd", "eur"]))
    assert len(market.asked) == 1
    assert {(one.id, one.metric, one.unit) for one in quotes} == {
        (coin, metric, unit)
        for coin in ("bitcoin", "ethereum")
        for metric in ("price", "market_cap", "volume_24h")
        for unit in ("USD", "EUR")
        if (coin, metric) != ("ethereum", "volume_24h")
    }
    price = next(one for one in quotes if (one.id, one.metric, one.unit) == ("bitcoin", "price", "USD"))
    assert (price.value, price.as_of) == (60072.0, NOON)


def test_the_last_number_of_a_day_may_be_of_the_midnight_that_ends_it(
    market: Market, settings: Settings
) -> None:
    days = [date(2026, 11, 22), date(2026, 11, 23)]
    quotes = list(CoinGecko(settings).days(["bitcoin"], ["usd"], days))
    prices = {one.as_of: one.value for one in quotes if one.metric == "price"}
    midnights = [datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)]
    assert prices == {at: 60000.0 + HOURS.index(at) for at in midnights}
    assert len(quotes) == 6 and len(market.asked) == 1


def test_defillama_states_prices_and_values_locked(market: Market, settings: Settings) -> None:
    llama = DefiLlama(settings)
    stated = llama.current(["bitcoin", "chain:Ethereum", "protocol:aave"], ["usd"])
    newest = {(one.id, one.metric): one for one in stated if isinstance(one, Quote)}
    assert newest["bitcoin", "price"].value == 60082.0
    assert newest["chain:Ethereum", "tvl"].value == 24e9
    assert newest["protocol:aave", "tvl"].as_of == datetime(2026, 11, 24, tzinfo=UTC)
    days = [date(2026, 11, 22), date(2026, 11, 23)]
    past = {
        (one.id, one.as_of.day): one.value for one in llama.days(["bitcoin", "chain:Ethereum"], ["usd"], days)
    }
    assert past == {
        ("bitcoin", 22): 60010.0 + HOURS.index(datetime(2026, 11, 23, tzinfo=UTC)),
        ("bitcoin", 23): 60010.0 + HOURS.index(datetime(2026, 11, 24, tzinfo=UTC)),
        ("chain:Ethereum", 23): 23e9,
        ("chain:Ethereum", 24): 24e9,
    }


@pytest.mark.parametrize(
    "fault", [Fault("status", 503), Fault("broken"), Fault("truncated"), Fault("limited", seconds=1)]
)
def test_what_a_second_try_mends_is_tried_again(market: Market, settings: Settings, fault: Fault) -> None:
    market.next("coingecko", fault)
    assert list(CoinGecko(settings).current(["bitcoin"], ["usd"]))
    assert len(market.asked) == 2


def test_a_service_that_stays_down_or_asks_for_patience_says_so(market: Market, settings: Settings) -> None:
    market.next("coingecko", *[Fault("status", 502)] * 3)
    with pytest.raises(Unavailable, match="CoinGecko answered 502"):
        list(CoinGecko(settings).current(["bitcoin"], ["usd"]))
    market.next("coingecko", Fault("limited", seconds=90))
    with pytest.raises(Unavailable) as limited:
        list(CoinGecko(settings).current(["bitcoin"], ["usd"]))
    assert limited.value.seconds == 90
    nobody = settings.model_copy(update={"coingecko_url": "http://127.0.0.1:9/api/v3"})
    with pytest.raises(Unavailable, match="can't be reached"):
        list(CoinGecko(nobody).current(["bitcoin"], ["usd"]))


def test_a_refusal_is_told_in_the_services_words_and_without_the_key(
    market: Market, settings: Settings
) -> None:
    market.needs_key = True
    wrong = settings.model_copy(update={"coingecko_api_key": type(settings.coingecko_api_key)("CG-oth3r")})
    with pytest.raises(Refused, match=r"401.*check your API key") as refused:
        list(CoinGecko(wrong).current(["bitcoin"], ["usd"]))
    assert "CG-oth3r" not in str(refused.value) and KEY not in str(refused.value)
    quotes = list(CoinGecko(settings).days(["nocoin", "bitcoin"], ["usd"], [date(2026, 11, 23)]))
    # One unknown id is its own trouble.
    assert isinstance(quotes[0], Trouble) and "coin not found" in quotes[0].reason
    assert len(quotes) == 4


def test_a_service_that_repeats_the_key_does_not_spread_it(settings: Settings) -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        key = dict(scope["headers"])[b"x-cg-demo-api-key"].decode()
        await JSONResponse({"error": f"the key {key} is not known"}, 401)(scope, receive, send)

    with serving(echo) as url, pytest.raises(Refused, match="is not known") as refused:
        list(CoinGecko(settings.model_copy(update={"coingecko_url": url})).current(["bitcoin"], ["usd"]))
    assert KEY not in str(refused.value)


def test_what_came_before_a_service_breaks_off_stands(market: Market, settings: Settings) -> None:
    market.coins["ethereum"] = market.coins["bitcoin"]
    stated = CoinGecko(settings).days(["bitcoin", "ethereum"], ["usd"], [date(2026, 11, 23)])
    came = [next(stated) for _ in range(3)]
    market.next("coingecko", *[Fault("status", 500)] * 3)
    with pytest.raises(Unavailable):
        next(stated)
    assert {one.id for one in came} == {"bitcoin"}


@pytest.mark.parametrize("answer", ["[]", "null", '{"coins": []}', '{"coins": {"coingecko:bitcoin": {}}}'])
def test_an_answer_of_another_shape_states_nothing(answer: str, settings: Settings) -> None:
    async def odd(scope: Any, receive: Any, send: Any) -> None:
        await Response(answer, media_type="application/json")(scope, receive, send)

    with serving(odd) as url:
        there = {"defillama_coins_url": url, "defillama_url": url, "coingecko_url": url}
        odd_settings = settings.model_copy(update=there)
        for provider in (CoinGecko(odd_settings), DefiLlama(odd_settings)):
            ids = ["bitcoin", "chain:X"] if isinstance(provider, DefiLlama) else ["bitcoin"]
            assert list(provider.current(ids, ["usd"])) == []
            assert list(provider.days(ids, ["usd"], [date(2026, 11, 23)])) == []
