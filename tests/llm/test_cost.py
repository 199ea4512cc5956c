"""What calls cost."""

import socket
from datetime import date
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from genai_prices.types import Tier, TieredPrices

from cryptocontent.llm.calls import TokenUse
from cryptocontent.llm.cost import _listed, _tiered, price_of, worst_case
from cryptocontent.llm.policies import Candidate

USE = TokenUse(input_tokens=10_000, output_tokens=1_000, cache_read_tokens=4_000)
OWN = {"input": 2.0, "output": 10.0}


@pytest.mark.parametrize(
    ("candidate", "cost", "pricing"),
    [
        # By hand from the vendors' lists: input, cached input and output, in dollars per million tokens.
        ({"model": "anthropic:claude-sonnet-4-5"}, (6_000 * 3 + 4_000 * 0.3 + 1_000 * 15) / 1e6, "listed"),
        ({"model": "openai:gpt-5-mini"}, (6_000 * 0.25 + 4_000 * 0.025 + 1_000 * 2) / 1e6, "listed"),
        ({"model": "openai-chat:gpt-5-mini"}, (6_000 * 0.25 + 4_000 * 0.025 + 1_000 * 2) / 1e6, "listed"),
        ({"model": "openai:unheard-of"}, 0.0, "unknown"),
        ({"model": "openai:unheard-of", "price": OWN}, (10_000 * 2 + 1_000 * 10) / 1e6, "own"),
        ({"model": "openai:x", "price": OWN | {"cache_read": 0.5}}, (12_000 + 2_000 + 10_000) / 1e6, "own"),
        ({"model": "copilot:gpt-5"}, 0.0, "subscription"),
        ({"model": "local:smollm2"}, 0.0, "own"),
    ],
)
def test_prices(candidate: dict[str, object], cost: float, pricing: str) -> None:
    found = price_of(Candidate.model_validate(candidate), USE)
    assert found == (pytest.approx(cost), pricing)


def test_a_batch_costs_half() -> None:
    candidate = Candidate(model="openai:gpt-5-mini")
    assert price_of(candidate, USE, batch=True)[0] == pytest.approx(price_of(candidate, USE)[0] / 2)


@pytest.mark.parametrize(
    "model", ["anthropic:claude-sonnet-4-5", "openai:gpt-5-mini", "google:gemini-2.5-pro"]
)
@pytest.mark.parametrize(
    "use", [TokenUse(9000, 500), TokenUse(9000, 500, 9000), TokenUse(9000, 500, 0, 9000)]
)
def test_the_worst_case_is_never_exceeded(model: str, use: TokenUse) -> None:
    candidate = Candidate(model=model)
    assert price_of(candidate, use)[0] <= worst_case(candidate, 9000, 500)[0] + 1e-12


def _everything_listed() -> list[tuple[str, str, str]]:
    from genai_prices.data import providers

    ours = {"openai": "openai", "anthropic": "anthropic", "google": "google", "x-ai": "grok"}
    found = [(ours[one.id], one.id, model.id) for one in providers if one.id in ours for model in one.models]
    assert len(found) > 200
    return found


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("use", [USE, TokenUse(300_000, 2_000, 100_000, 50_000)])
def test_every_listed_model_costs_what_the_list_says(use: TokenUse) -> None:
    usage = Usage(**{key: getattr(use, key) for key in TokenUse.__slots__})
    compared = 0
    for provider, vendor, model in _everything_listed():
        cost, pricing = price_of(Candidate(model=f"{provider}:{model}"), use)
        if pricing == "unknown":
            continue
        listed = calc_price(usage, model, provider_id=vendor)
        prices = [key for key, price in vars(listed.model_price).items() if price is not None]
        if any(key.startswith(("input_mtok", "output_mtok")) for key in prices):
            assert cost == pytest.approx(float(listed.total_price)), model
            compared += 1
    assert compared > 200


def test_the_highest_tier_that_is_passed_counts() -> None:
    tiered = TieredPrices(Decimal(1), [Tier(100, Decimal(2)), Tier(200, Decimal(3))])
    prices = _tiered(tiered)
    assert [prices.at(tokens) for tokens in (100, 101, 200, 201)] == [1, 2, 2, 3]


def test_prices_change_on_their_day() -> None:
    before, after = (_listed("openai", "o3", date(2025, 6, day)) for day in (9, 10))
    assert before is not None and after is not None
    assert before.cost(USE) > after.cost(USE)


def test_counts_that_do_not_add_up_cost_something_all_the_same() -> None:
    candidate = Candidate(model="anthropic:claude-sonnet-4-5")
    cost, pricing = price_of(candidate, TokenUse(100, 10, 80, 80))
    assert cost == pytest.approx((80 * 0.3 + 80 * 3.75 + 10 * 15) / 1e6) and pricing == "listed"


def test_what_is_written_to_a_cache_counts_in_the_worst_case() -> None:
    cost, _ = worst_case(Candidate(model="anthropic:claude-sonnet-4-5"), 1000, 100)
    assert cost == pytest.approx((1000 * 3.75 + 100 * 15) / 1e6)
    cost, _ = worst_case(Candidate(model="openai:gpt-5-mini"), 1000, 100)
    assert cost == pytest.approx((1000 * 0.25 + 100 * 2) / 1e6)


def test_no_price_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert price_of(Candidate(model="openai:gpt-4.1-nano"), USE)[1] == "listed"
