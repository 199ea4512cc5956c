"""What a call costs, in US dollars, by the public price list of `genai-prices` (which travels with its
package: no price is fetched)."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from cryptocontent.llm.calls import Pricing, TokenUse
from cryptocontent.llm.policies import Candidate, Price

_LISTED = {
    "openai": "openai",
    "openai-chat": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "grok": "x-ai",
}
BATCH_SHARE = 0.5
"""The batch APIs of OpenAI, Anthropic and Google cost half of the list price."""


def price_of(candidate: Candidate, use: TokenUse, *, batch: bool = False) -> tuple[float, Pricing]:
    """What the tokens cost, and where the price is from."""
    rates, pricing = _rates_of(candidate)
    if rates is None:
        return 0.0, pricing
    return rates.cost(use) * (BATCH_SHARE if batch else 1.0), pricing


def worst_case(candidate: Candidate, input_tokens: int, max_tokens: int) -> tuple[float, Pricing]:
    """The most that one attempt can cost: nothing is read from the vendor's cache, and all is written to it
    where that costs more than plain input (Anthropic, some of OpenAI's)."""
    rates, pricing = _rates_of(candidate)
    if rates is None:
        return 0.0, pricing
    plain = TokenUse(input_tokens, max_tokens)
    written = TokenUse(input_tokens, max_tokens, cache_write_tokens=input_tokens)
    return max(rates.cost(plain), rates.cost(written)), pricing


@dataclass(frozen=True, slots=True)
class _Tiered:
    """Dollars per million tokens; those of the highest tier whose `start` the whole input is above."""

    base: float
    tiers: tuple[tuple[int, float], ...] = ()  # (start, price), highest start first

    def at(self, input_tokens: int) -> float:
        for start, price in self.tiers:
            if input_tokens > start:
                return price
        return self.base


@dataclass(frozen=True, slots=True)
class _Rates:
    input: _Tiered
    output: _Tiered
    cache_read: _Tiered
    cache_write: _Tiered

    def cost(self, use: TokenUse) -> float:
        # Vendors' counts need not add up (a read cache larger than the input): nothing is then negative.
        total = use.input_tokens
        plain = max(0, total - use.cache_read_tokens - use.cache_write_tokens)
        return (
            plain * self.input.at(total)
            + use.cache_read_tokens * self.cache_read.at(total)
            + use.cache_write_tokens * self.cache_write.at(total)
            + use.output_tokens * self.output.at(total)
        ) / 1_000_000


def _rates_of(candidate: Candidate) -> tuple[_Rates | None, Pricing]:
    if candidate.price is not None:
        return _own(candidate.price), "own"
    if candidate.provider == "copilot":
        return None, "subscription"
    if candidate.provider == "local":
        return None, "own"
    rates = _listed(_LISTED[candidate.provider], candidate.name, datetime.now(UTC).date())
    return rates, "listed" if rates else "unknown"


@lru_cache(maxsize=256)
def _own(price: Price) -> _Rates:
    read = price.input if price.cache_read is None else price.cache_read
    return _Rates(_Tiered(price.input), _Tiered(price.output), _Tiered(read), _Tiered(price.input))


@lru_cache(maxsize=256)
def _listed(provider: str, model: str, day: date) -> _Rates | None:
    """What the list says of the model on a day (UTC), or none. To ask the list for each call would cost
    0.2 ms; prices have a day on which they change."""
    from genai_prices import Usage, calc_price

    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    try:
        found = calc_price(
            Usage(input_tokens=1, output_tokens=1), model, provider_id=provider, genai_request_timestamp=noon
        ).model_price
    except LookupError:
        return None
    if found.input_mtok is None and found.output_mtok is None:
        return None  # priced by something else than text: a voice by the hour
    plain = _tiered(found.input_mtok)
    read, write = found.cache_read_mtok, found.cache_write_mtok
    return _Rates(
        plain,
        _tiered(found.output_mtok),
        plain if read is None else _tiered(read),
        plain if write is None else _tiered(write),
    )


def _tiered(price: Any) -> _Tiered:
    from genai_prices.types import TieredPrices

    if isinstance(price, TieredPrices):
        tiers = [(tier.start, float(tier.price)) for tier in price.tiers]
        return _Tiered(float(price.base), tuple(sorted(tiers, reverse=True)))
    return _Tiered(float(price or 0))
