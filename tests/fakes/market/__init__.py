"""CoinGecko and DefiLlama over real HTTP, in their documented formats: `market_server()` in tests,
`app(Market())` for people (`sample(market)` fills it, `environment(url)` leads to it)."""

import asyncio
import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.serving import serving

KEY = "CG-fake-5ecretkey"
JITTER = timedelta(seconds=31)
"""DefiLlama's records bear times of their own, near the full hours and not at them."""


@dataclass(frozen=True)
class Fault:
    """`kind`: status, limited (429 with `Retry-After`), truncated, slow, broken (no JSON)."""

    kind: str = "status"
    status: int = 500
    seconds: float = 1


@dataclass
class Coin:
    """A coin; each list is (instant, number), oldest first."""

    prices: list[tuple[datetime, float]] = field(default_factory=list)
    cap_of_price: float = 19_000_000.0
    volume: float | None = 21e9


class Market:
    """Both services. `coins` by CoinGecko's id; `llama` are other prices of DefiLlama for the same ids;
    `chains` and `protocols` hold values locked; `next(service, fault)`; `asked` is what was asked for."""

    def __init__(self) -> None:
        self.coins: dict[str, Coin] = {}
        self.llama: dict[str, list[tuple[datetime, float]]] = {}
        self.chains: dict[str, list[tuple[datetime, float]]] = {}
        self.protocols: dict[str, list[tuple[datetime, float]]] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.faults: dict[str, deque[Fault]] = {"coingecko": deque(), "defillama": deque()}
        self.needs_key = False
        self.url = ""

    def next(self, service: str, *faults: Fault) -> None:
        self.faults[service].extend(faults)


def environment(url: str) -> dict[str, str]:
    """Settings that lead to the fake."""
    return {
        "COINGECKO_URL": f"{url}/coingecko/api/v3",
        "COINGECKO_API_KEY": KEY,
        "DEFILLAMA_URL": f"{url}/llama",
        "DEFILLAMA_COINS_URL": f"{url}/coins",
    }


@contextmanager
def market_server(market: Market | None = None) -> Iterator[Market]:
    """Both services, at `market.url`."""
    market = market or Market()
    with serving(app(market)) as url:
        market.url = url
        yield market


def sample(market: Market) -> None:
    """A year of made-up prices up to now, of four coins; DefiLlama is 5 % off on one of them."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for number, (name, base) in enumerate(
        {"bitcoin": 67000.0, "ethereum": 3500.0, "solana": 160.0, "aave": 110.0}.items()
    ):
        points = [
            (now - timedelta(hours=hours), round(base * (1 + 0.1 * math.sin(hours / (190 + number))), 4))
            for hours in range(365 * 24, -1, -1)
        ]
        market.coins[name] = Coin(points)
        factor = 1.05 if name == "solana" else 1.001
        market.llama[name] = [(at, round(value * factor, 4)) for at, value in points]
    days = [now.replace(hour=0) - timedelta(days=day) for day in range(365, -1, -1)]
    market.chains["Ethereum"] = [(day, 60e9 + 1e9 * (day.day % 9)) for day in days]
    market.protocols["aave"] = [(day, 12e9 + 1e8 * (day.day % 7)) for day in days]


def app(market: Market) -> Any:
    """The ASGI application."""

    def route(path: str, service: str, answer: Any) -> Route:
        async def serve(request: Request) -> Response:
            query, headers = dict(request.query_params), dict(request.headers)
            market.asked.append((request.url.path, query, headers))
            fault = market.faults[service].popleft() if market.faults[service] else None
            if fault and fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
            elif fault and fault.kind == "limited":
                after = {"retry-after": f"{fault.seconds:g}"} if fault.seconds else {}
                error = {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}}
                return JSONResponse(error, 429, after)
            elif fault and fault.kind == "broken":
                return Response("<html>gateway</html>", 200, media_type="application/json")
            elif fault and fault.kind == "status":
                return JSONResponse({"error": "internal"}, fault.status)
            found = answer(market, request)
            response = found if isinstance(found, Response) else JSONResponse(found)
            if fault and fault.kind == "truncated":
                response.body = bytes(response.body)[: len(response.body) // 2]
            return response

        return Route(path, serve)

    return Starlette(
        routes=[
            route("/coingecko/api/v3/simple/price", "coingecko", _simple_price),
            route("/coingecko/api/v3/coins/{id}/market_chart/range", "coingecko", _range),
            route("/coins/prices/current/{coins}", "defillama", _current),
            route("/coins/chart/{coins}", "defillama", _chart),
            route("/llama/v2/historicalChainTvl/{chain}", "defillama", _chain),
            route("/llama/protocol/{slug}", "defillama", _protocol),
        ]
    )


def _refused(market: Market, request: Request) -> Response | None:
    if market.needs_key and request.headers.get("x-cg-demo-api-key") != KEY:
        words = "This request is limited to authorized users. Please check your API key."
        return JSONResponse({"error": {"status": {"error_code": 10002, "error_message": words}}}, 401)
    return None


def _simple_price(market: Market, request: Request) -> Any:
    if refused := _refused(market, request):
        return refused
    query = request.query_params
    if not query.get("ids") or not query.get("vs_currencies"):
        return JSONResponse({"error": "Missing parameter vs_currencies"}, 422)
    answer: dict[str, Any] = {}
    for name in query["ids"].split(","):
        if not (coin := market.coins.get(name)):
            continue  # as CoinGecko does
        at, price = coin.prices[-1]
        stated = answer.setdefault(name, {})
        for currency in query["vs_currencies"].split(","):
            stated[currency] = price
            if query.get("include_market_cap") == "true":
                stated[f"{currency}_market_cap"] = price * coin.cap_of_price
            if query.get("include_24hr_vol") == "true":
                stated[f"{currency}_24h_vol"] = coin.volume
        if query.get("include_last_updated_at") == "true":
            stated["last_updated_at"] = int(at.timestamp())
    return answer


def _range(market: Market, request: Request) -> Any:
    if refused := _refused(market, request):
        return refused
    coin = market.coins.get(request.path_params["id"])
    if coin is None:
        return JSONResponse({"error": "coin not found"}, 404)
    begin, end = float(request.query_params["from"]), float(request.query_params["to"])
    points = [(at, value) for at, value in coin.prices if begin <= at.timestamp() <= end]
    if end - begin > 90 * 86400:
        points = [one for one in points if one[0].hour == 0]
    stamped = [(int(at.timestamp() * 1000), value) for at, value in points]
    return {
        "prices": [[at, value] for at, value in stamped],
        "market_caps": [[at, value * coin.cap_of_price] for at, value in stamped],
        "total_volumes": [[at, coin.volume] for at, _ in stamped],
    }


def _names(request: Request) -> list[str]:
    return [str(name) for name in request.path_params["coins"].split(",")]


def _prices(market: Market, coin: str) -> list[tuple[datetime, float]]:
    points = market.llama.get(coin.removeprefix("coingecko:"), []) if coin.startswith("coingecko:") else []
    return [(at - JITTER, value) for at, value in points]


def _current(market: Market, request: Request) -> Any:
    coins = {name: points[-1] for name in _names(request) if (points := _prices(market, name))}
    return {
        "coins": {
            name: {"price": price, "symbol": "X", "timestamp": int(at.timestamp()), "confidence": 0.99}
            for name, (at, price) in coins.items()
        }
    }


def _chart(market: Market, request: Request) -> Any:
    query = request.query_params
    start, span = int(query["start"]), int(query.get("span", "0"))
    width = query.get("searchWidth", "")
    if query.get("period") != "1d" or not width.endswith("m") or len(_names(request)) * span > 500:
        return JSONResponse({"message": "period, searchWidth or too many points"}, 400)
    answer: dict[str, Any] = {}
    for name in _names(request):
        points = [(int(at.timestamp()), value) for at, value in _prices(market, name)]
        found = []
        for wanted in (start + day * 86400 for day in range(span)):
            # The record nearest to the instant, with its own time, if it is near enough.
            near = [one for one in points if abs(one[0] - wanted) <= int(width[:-1]) * 60]
            if near:
                at, price = min(near, key=lambda one: abs(one[0] - wanted))
                found.append({"timestamp": at, "price": price})
        if found:
            answer[name] = {"symbol": "X", "confidence": 0.99, "prices": found}
    return {"coins": answer}


def _chain(market: Market, request: Request) -> Any:
    points = market.chains.get(request.path_params["chain"])
    if points is None:
        return Response("Chain not found", 404)
    return [{"date": int(at.timestamp()), "tvl": value} for at, value in points]


def _protocol(market: Market, request: Request) -> Any:
    points = market.protocols.get(request.path_params["slug"])
    if points is None:
        return JSONResponse({"message": "Protocol not found"}, 400)
    rows = [{"date": int(at.timestamp()), "totalLiquidityUSD": value} for at, value in points]
    return {"name": request.path_params["slug"], "tvl": rows, "currentChainTvls": {}}
