"""Requests and tokens per minute: paced, shared, and never for ever."""

import asyncio
from pathlib import Path

import pytest

from cryptocontent.llm.limits import RateLimits

MODEL = "openai:a"


@pytest.fixture(params=["sqlite", "redis"])
def cache_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cache.db'}"
    url: str = request.getfixturevalue("valkey_url")
    return url


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_minute_holds_as_many_requests_as_allowed(cache_url: str) -> None:
    clock = Clock()
    limits = RateLimits(cache_url, clock)
    gone, end = 0, clock.now + 600
    while clock.now < end:
        wait = await limits.wait_for(MODEL, 60, None, 10)
        gone += not wait
        clock.now += wait
    assert 600 <= gone <= 600 + 15 + 1, "ten minutes' worth, and a quarter of a minute's at once"


async def test_tokens_are_counted_as_well(cache_url: str) -> None:
    clock = Clock()
    limits = RateLimits(cache_url, clock)
    for _ in range(2):  # after the first, less than 10,000 are owed
        assert await limits.wait_for(MODEL, 1000, 40_000, 6_000) == 0
    wait = await limits.wait_for(MODEL, 1000, 40_000, 6_000)
    assert 2.9 < wait < 3.1  # 2,000 tokens too many, at 667 a second
    clock.now += wait
    assert await limits.wait_for(MODEL, 1000, 40_000, 6_000) == 0


async def test_a_request_larger_than_the_limit_goes_when_all_is_free(cache_url: str) -> None:
    clock = Clock()
    limits = RateLimits(cache_url, clock)
    assert await limits.wait_for(MODEL, None, 1000, 50_000) == 0
    wait = await limits.wait_for(MODEL, None, 1000, 50_000)
    assert 0 < wait <= 60
    clock.now += wait
    assert await limits.wait_for(MODEL, None, 1000, 50_000) == 0


async def test_models_do_not_take_from_each_other(cache_url: str) -> None:
    limits = RateLimits(cache_url, Clock())
    assert await limits.wait_for(MODEL, 4, None, 1) == 0
    assert await limits.wait_for(MODEL, 4, None, 1) > 0
    assert await limits.wait_for("openai:b", 4, None, 1) == 0


@pytest.mark.parametrize("tokens", [500, 12_000, 29_000])
async def test_long_requests_are_paced_as_short_ones(tmp_path: Path, tokens: int) -> None:
    clock = Clock()
    limits = RateLimits(f"sqlite:///{tmp_path / 'cache.db'}", clock)
    gone, end = 0, clock.now + 1200
    while clock.now < end:
        wait = await limits.wait_for(MODEL, None, 30_000, tokens)
        gone += 0 if wait else tokens
        clock.now += wait
    assert 20 * 30_000 <= gone <= 20 * 30_000 + 7_500 + tokens


async def test_a_long_request_is_not_kept_back_by_many_short_ones(tmp_path: Path) -> None:
    clock = Clock()
    limits = RateLimits(f"sqlite:///{tmp_path / 'cache.db'}", clock)
    waited = 0.0
    while wait := await limits.wait_for(MODEL, None, 30_000, 12_000):
        while not await limits.wait_for(MODEL, None, 30_000, 1_000):
            pass  # the others take all that they can get
        clock.now += wait
        waited += wait
    assert waited < 5


async def test_what_one_limit_refuses_is_not_counted_by_the_other(cache_url: str) -> None:
    clock = Clock()
    limits = RateLimits(cache_url, clock)
    assert await limits.wait_for(MODEL, 4, 40_000, 9_999) == 0
    for _ in range(10):
        assert await limits.wait_for(MODEL, 4, 40_000, 9_999) > 0  # one request per 15 s
    assert await limits.wait_for(MODEL, None, 40_000, 1) == 0
    for _ in range(10):
        assert await limits.wait_for(MODEL, None, 1, 1) > 0
    clock.now += 15
    assert await limits.wait_for(MODEL, 4, None, 1) == 0


async def test_processes_share_a_limit(cache_url: str) -> None:
    clock = Clock()
    some = [RateLimits(cache_url, clock) for _ in range(4)]
    waits = await asyncio.gather(*(some[number % 4].wait_for(MODEL, 40, None, 1) for number in range(40)))
    assert waits.count(0.0) == 10


async def test_without_records_calls_go(caplog: pytest.LogCaptureFixture) -> None:
    limits = RateLimits("redis://:hunter2@127.0.0.1:1/0")
    for _ in range(20):
        assert await limits.wait_for(MODEL, 1, 1, 10) == 0
    assert caplog.text.count("records are away") == 1 and "hunter2" not in caplog.text
