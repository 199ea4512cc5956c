"""What an estimate makes of a history: bands, what is unknown, and the agents' time."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from cryptocontent.agents.agent import Agent
from cryptocontent.agents.pipeline import PIPELINE
from cryptocontent.agents.preflight import LEAST_HISTORY, Band, estimate
from cryptocontent.agents.work import Work
from tests.agents.world import STAGES


async def _unchanged(work: Work) -> Work:
    return work


MIXED = tuple(
    Agent(stage, "1", "some-model" if stage in ("writer", "editor") else "rules", _unchanged)
    for stage in STAGES
)
NOTHING = Band(0.0, 0.0)


def _history(passes: int, seed: int = 1) -> dict[str, NDArray[np.float64]]:
    """Passes through all stages; what the two paid ones cost is skewed, as prices of real calls are."""
    random = np.random.default_rng(seed)
    history = {stage: np.zeros((passes, 5)) for stage in STAGES}
    for table in history.values():
        table[:, 4] = 2.0  # seconds
    for stage in ("writer", "editor"):
        table = history[stage]
        table[:, 0] = random.integers(1, 4, passes)
        table[:, 1] = random.lognormal(8, 0.5, passes)
        table[:, 2] = random.lognormal(7, 0.5, passes)
        table[:, 3] = random.lognormal(-3, 0.8, passes)
    return history


def _true_mean(history: Mapping[str, NDArray[np.float64]], column: int) -> float:
    return float(sum(table[:, column] for table in history.values()).mean())


def test_rules_cost_nothing_and_need_no_history() -> None:
    empty = {stage: np.empty((0, 5)) for stage in STAGES}
    found = estimate([0] * 7, empty, PIPELINE)
    assert (found.briefs, found.stages, found.unpriced, found.why) == (7, 35, 0, ())
    assert found.calls == found.input_tokens == found.output_tokens == found.usd == NOTHING
    assert found.seconds is None, "how long they take is known from history alone"


@pytest.mark.parametrize("count", [1, 10, 400])
def test_the_band_is_about_the_true_mean_of_a_skewed_history(count: int) -> None:
    history = _history(60)
    found = estimate([0] * count, history, MIXED)
    assert (found.unpriced, found.why) == (0, ())
    for column, band in enumerate((found.calls, found.input_tokens, found.output_tokens, found.usd)):
        assert band is not None and 0 < band.p50 <= band.p90
        true = count * _true_mean(history, column)
        # The median of a skewed sum lies somewhat below its mean: never above it by more than chance.
        assert band.p50 <= true * (1 + 0.2 / count**0.5), (column, band, true)
        assert true <= band.p90, (column, band, true)


def test_the_band_covers_what_new_passes_cost() -> None:
    """Half of the totals of other articles lie below P50, nine in ten below P90."""
    history, random, count = _history(2000), np.random.default_rng(2), 25
    costs = sum(table[:, 3] for table in _history(40_000, seed=3).values())
    totals = random.choice(costs, (2000, count)).sum(axis=1)
    band = estimate([0] * count, history, MIXED).usd
    assert band is not None
    assert (totals < band.p50).mean() == pytest.approx(0.5, abs=0.07)
    assert (totals < band.p90).mean() == pytest.approx(0.9, abs=0.04)


def test_the_same_question_has_the_same_answer() -> None:
    assert estimate([0, 0, 1], _history(9), MIXED) == estimate([1, 0, 0], _history(9), MIXED)


def test_too_little_history_is_said_and_no_number_made_up() -> None:
    found = estimate([0] * 3, _history(LEAST_HISTORY - 1), MIXED)
    assert found.usd is found.calls is found.input_tokens is found.output_tokens is found.seconds is None
    assert found.unpriced == 3
    assert found.why == ("4 of at least 5 known passes through writer (some-model), editor (some-model)",)
    assert estimate([0] * 3, _history(LEAST_HISTORY), MIXED).unpriced == 0


def test_a_pass_that_lacks_a_stage_is_no_pass_through_it() -> None:
    history = _history(LEAST_HISTORY)
    history["editor"][0] = np.nan
    found = estimate([0, 0, 1, 2, 5], history, MIXED)
    # From the proofreader on all is by rules; from the editor on one pass is missing as well.
    assert (found.briefs, found.stages, found.unpriced) == (4, 5 + 5 + 4 + 3, 3)
    assert [why.partition(" ")[0] for why in found.why] == ["4", "4"]
    assert found.usd == NOTHING, "what is known of the one that can be priced"


def test_briefs_that_are_done_cost_nothing() -> None:
    found = estimate([5, 5, 5], _history(9), MIXED)
    assert (found.briefs, found.stages, found.unpriced, found.usd) == (0, 0, 0, NOTHING)
    assert estimate([], _history(9), MIXED).usd == NOTHING


def test_model_calls_wait_together_and_rules_take_turns() -> None:
    found = estimate([0] * 10, _history(LEAST_HISTORY), MIXED, calls_in_flight=4)
    assert found.seconds is not None
    # Ten briefs, 2 s a stage: three stages in turns, two with four calls at once.
    assert found.seconds.p50 == pytest.approx(10 * (3 * 2 + 2 * 2 / 4))
