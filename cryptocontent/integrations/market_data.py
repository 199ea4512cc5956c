"""Clients of market data services: CoinGecko-compatible and DefiLlama-compatible APIs over HTTP.

Formats: docs.coingecko.com (v3: `/simple/price`, `/coins/{id}/market_chart/range`) and api-docs.defillama.com
(`/prices/current/{coins}`, `/chart/{coins}`, `/v2/historicalChainTvl/{chain}`, `/protocol/{slug}`).
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import httpx

from cryptocontent.errors import Refused
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.settings import Settings

_SECONDS = 20.0
_TRIES = 3
_LONGEST_WAIT = 65.0  # the free plans count requests by the minute
_MOST_WAITS = 10
_IDS_PER_REQUEST = 100
_DAYS_PER_REQUEST = 90  # more, and CoinGecko states midnights where it stated hours: other facts of a day
_DAY, _HALF_AN_HOUR = timedelta(days=1), timedelta(minutes=30)
_POINTS_PER_REQUEST = 500  # of DefiLlama's charts


@dataclass(frozen=True, slots=True)
class Quote:
    """A number that a service states: of which of its ids, what (`price`, `market_cap`, `volume_24h`, `tvl`),
    in which unit (`USD`), as of when by the service's own clock."""

    id: str
    metric: str
    value: float
    unit: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """The service does not answer for one of its ids, and why; others are not concerned."""

    id: str
    reason: str


Stated = Iterator[Quote | Trouble]
"""What a service states, request by request: what came before it broke off (`Unavailable`) stands."""


class Provider(Protocol):
    """A service. Ids are its own; `metrics` are those that it states of an asset. What it leaves out is left
    out of the answer."""

    name: str
    metrics: tuple[str, ...]

    def current(self, ids: Sequence[str], currencies: Sequence[str]) -> Stated:
        """The newest numbers."""

    def days(self, ids: Sequence[str], currencies: Sequence[str], days: Sequence[date]) -> Stated:
        """The last numbers of each of these days (UTC): stated within it, or at the midnight that ends it."""


class CoinGecko:
    """CoinGecko's API, or one like it. A key is sent as that of the demo plan, or of a paid one where the
    host begins with `pro-`."""

    name = "CoinGecko"
    metrics = ("price", "market_cap", "volume_24h")

    def __init__(self, settings: Settings) -> None:
        key = settings.coingecko_api_key.get_secret_value()
        plan = "pro" if (urlsplit(settings.coingecko_url).hostname or "").startswith("pro-") else "demo"
        headers = {f"x-cg-{plan}-api-key": key} if key else {}
        self._http = _Http(self.name, settings.coingecko_url, headers, key)

    def current(self, ids: Sequence[str], currencies: Sequence[str]) -> Stated:
        for some in _batches(ids, _IDS_PER_REQUEST):
            answer = self._http.get(
                "/simple/price",
                {
                    "ids": ",".join(some),
                    "vs_currencies": ",".join(currencies),
                    "include_market_cap": "true",
                    "include_24hr_vol": "true",
                    "include_last_updated_at": "true",
                    "precision": "full",
                },
            )
            for id_, stated in _items(answer):
                at = _instant(stated.get("last_updated_at"))
                for currency in currencies:
                    fields = {
                        "price": currency,
                        "market_cap": f"{currency}_market_cap",
                        "volume_24h": f"{currency}_24h_vol",
                    }
                    yield from _quotes(id_, {m: stated.get(f) for m, f in fields.items()}, currency, at)

    def days(self, ids: Sequence[str], currencies: Sequence[str], days: Sequence[date]) -> Stated:
        for id_ in ids:
            try:
                for currency in currencies:
                    for some in _windows(days):
                        yield from self._range(id_, currency, some)
            except Refused as error:
                yield Trouble(id_, str(error))

    def _range(self, id_: str, currency: str, days: Sequence[date]) -> list[Quote]:
        begin, end = _span(days)
        answer = self._http.get(
            f"/coins/{quote(id_, safe='')}/market_chart/range",
            {
                "vs_currency": currency,
                "from": int(begin.timestamp()),
                "to": int(end.timestamp()),
                "precision": "full",
            },
        )
        names = {"price": "prices", "market_cap": "market_caps", "volume_24h": "total_volumes"}
        quotes = []
        for metric, name in names.items():
            points = [(_instant(at / 1000), value) for at, value in _pairs(answer, name)]
            quotes += _last_of_days(id_, metric, currency, points, days)
        return quotes


class DefiLlama:
    """DefiLlama's APIs, or ones like them: prices by CoinGecko's ids, total value locked by chain
    (`chain:Ethereum`) or protocol (`protocol:aave`). It states everything in USD."""

    name = "DefiLlama"
    metrics = ("price", "tvl")

    def __init__(self, settings: Settings) -> None:
        self._http = _Http(self.name, settings.defillama_url, {})
        self._coins = _Http(self.name, settings.defillama_coins_url, {})

    def current(self, ids: Sequence[str], currencies: Sequence[str]) -> Stated:
        coins = [id_ for id_ in ids if not _is_tvl(id_)] if "usd" in currencies else []
        for some in _batches(coins, _IDS_PER_REQUEST):
            answer = self._coins.get(f"/prices/current/{_coins(some)}", {})
            for id_, stated in _items(_named(answer, "coins")):
                at = _instant(stated.get("timestamp"))
                name = id_.removeprefix("coingecko:")
                yield from _quotes(name, {"price": stated.get("price")}, "usd", at)
        for id_ in filter(_is_tvl, ids):
            # The last point of today is still moving; the one before is of a midnight that has passed.
            midnight = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)
            try:
                points = [one for one in self._locked(id_) if one[0] is not None and one[0] <= midnight]
            except Refused as error:
                yield Trouble(id_, str(error))
            else:
                yield from _quotes(id_, {"tvl": points[-1][1]}, "usd", points[-1][0]) if points else ()

    def days(self, ids: Sequence[str], currencies: Sequence[str], days: Sequence[date]) -> Stated:
        coins = [id_ for id_ in ids if not _is_tvl(id_)] if "usd" in currencies else []
        for window in _windows(days):
            begin, end = _span(window)
            for some in _batches(coins, max(1, _POINTS_PER_REQUEST // (end - begin).days)):
                answer = self._coins.get(
                    f"/chart/{_coins(some)}",
                    {
                        # The point nearest to half an hour before the midnight that ends the day, and not
                        # further from it than that: what comes is of the day.
                        "start": int((begin + _DAY - _HALF_AN_HOUR).timestamp()),
                        "span": (end - begin).days,
                        "period": "1d",
                        "searchWidth": "30m",
                    },
                )
                for id_, stated in _items(_named(answer, "coins")):
                    points = [
                        (_instant(point.get("timestamp")), point.get("price"))
                        for point in _rows(stated.get("prices"))
                    ]
                    name = id_.removeprefix("coingecko:")
                    yield from _last_of_days(name, "price", "usd", points, window)
        for id_ in filter(_is_tvl, ids):
            try:
                yield from _last_of_days(id_, "tvl", "usd", self._locked(id_), days)
            except Refused as error:
                yield Trouble(id_, str(error))

    def _locked(self, id_: str) -> "list[tuple[datetime | None, Any]]":
        kind, _, name = id_.partition(":")
        if kind == "chain":
            answer = self._http.get(f"/v2/historicalChainTvl/{quote(name, safe='')}", {})
            return [(_instant(one.get("date")), one.get("tvl")) for one in _rows(answer)]
        answer = self._http.get(f"/protocol/{quote(name, safe='')}", {})
        rows = _rows(_named(answer, "tvl"))
        return [(_instant(one.get("date")), one.get("totalLiquidityUSD")) for one in rows]


PROVIDERS: dict[str, type[CoinGecko] | type[DefiLlama]] = {"coingecko": CoinGecko, "defillama": DefiLlama}
"""By the names that configurations use."""


class _Http:
    """GETs of JSON, tried again for a while where that may help."""

    def __init__(self, name: str, base_url: str, headers: Mapping[str, str], secret: str = "") -> None:
        self._name, self._base_url, self._secret = name, base_url.rstrip("/"), secret
        self._client = httpx.Client(timeout=_SECONDS, headers={"accept": "application/json", **headers})

    def get(self, path: str, params: Mapping[str, Any]) -> Any:
        """The answer's JSON; `Unavailable`, or `Refused` where no later try helps."""
        waits, tries = 0, 0
        while True:
            try:
                response = self._client.get(f"{self._base_url}{path}", params=dict(params))
            except httpx.HTTPError as error:
                problem, wait = f"{self._name} can't be reached ({type(error).__name__})", 1.0
            else:
                problem, wait = f"{self._name} answered {response.status_code}", _retry_after(response) or 1.0
                if response.status_code == 200:
                    try:
                        return response.json()
                    except ValueError:
                        problem = f"{self._name} answered with broken JSON"
                elif response.status_code == 429:
                    asked = _retry_after(response) or 60.0
                    waits += 1
                    if asked > _LONGEST_WAIT or waits > _MOST_WAITS:
                        raise Unavailable(f"{problem}: too many requests", asked)
                    time.sleep(asked)
                    continue  # to wait as one was told is no failed try
                elif response.status_code < 500:
                    said = _said(response, self._secret)
                    raise Refused(f"{self._name} answered {response.status_code} to {path}{said}")
            tries += 1
            if tries == _TRIES:
                break
            time.sleep(min(wait, _LONGEST_WAIT))
        raise Unavailable(problem)


def _said(response: httpx.Response, secret: str) -> str:
    """The service's own words, cut short, without the key, should it repeat that."""
    try:
        data = response.json()
    except ValueError:
        return ""
    words: Any = data
    for name in ("error", "status", "error_message", "message"):
        if isinstance(words, dict) and words.get(name):
            words = words[name]
    if not isinstance(words, str) or not words:
        return ""
    return f": {(words.replace(secret, '…') if secret else words)[:300]}"


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _batches(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _coins(ids: Iterable[str]) -> str:
    return ",".join(f"coingecko:{quote(id_, safe='')}" for id_ in ids)


def _is_tvl(id_: str) -> bool:
    return id_.startswith(("chain:", "protocol:"))


def _items(answer: Any) -> list[tuple[str, dict[str, Any]]]:
    pairs = answer.items() if isinstance(answer, dict) else ()
    return [(str(key), value) for key, value in pairs if isinstance(value, dict)]


def _named(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, dict) else None


def _rows(answer: Any) -> list[dict[str, Any]]:
    return [one for one in answer if isinstance(one, dict)] if isinstance(answer, list) else []


def _pairs(answer: Any, name: str) -> list[tuple[float, Any]]:
    rows = _named(answer, name)
    listed = rows if isinstance(rows, list) else ()
    pairs = [one for one in listed if isinstance(one, list) and len(one) == 2]
    return [(float(at), value) for at, value in pairs if isinstance(at, int | float)]


def _instant(seconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(seconds), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _quotes(id_: str, values: Mapping[str, Any], currency: str, at: datetime | None) -> list[Quote]:
    """What is a number of at least 0 with a time; zero of market cap or volume is how a service says that it
    does not know."""
    if at is None:
        return []
    return [
        Quote(id_, metric, float(value), currency.upper(), at)
        for metric, value in values.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value > 0
    ]


def _windows(days: Sequence[date]) -> Iterator[list[date]]:
    """The days in stretches of at most `_DAYS_PER_REQUEST` from the first to the last."""
    window: list[date] = []
    for day in sorted(set(days)):
        if window and (day - window[0]).days >= _DAYS_PER_REQUEST:
            yield window
            window = []
        window.append(day)
    if window:
        yield window


def _span(days: Sequence[date]) -> tuple[datetime, datetime]:
    begin = datetime.combine(min(days), datetime.min.time(), UTC)
    return begin, datetime.combine(max(days), datetime.min.time(), UTC) + _DAY


def _last_of_days(
    id_: str,
    metric: str,
    currency: str,
    points: Iterable[tuple[datetime | None, Any]],
    days: Sequence[date],
) -> list[Quote]:
    """The last point of each day: its own, or the midnight that ends it."""
    wanted, last = set(days), dict[date, Quote]()
    for at, value in points:
        if at is None:
            continue
        day = (at - timedelta(microseconds=1)).date()
        if day in wanted and (day not in last or at > last[day].as_of):
            for quoted in _quotes(id_, {metric: value}, currency, at):
                last[day] = quoted
    return [last[day] for day in sorted(last)]
