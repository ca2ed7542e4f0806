"""What came of each policy, with intervals by day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ratchet import metrics
from ratchet.backtest import results
from ratchet.backtest.policies import POLICIES
from ratchet.backtest.replay import Year
from ratchet.backtest.results import Figure, Opened, Result


@pytest.fixture(scope="module")
def table(growing: Year, rolling: Year) -> list[Result]:
    """Both windows."""
    return results.table([growing, rolling])


def of(table: list[Result], policy: str, window: int) -> Result:
    return next(found for found in table if (found.policy, found.window) == (policy, window))


def test_every_policy_and_the_oracle_stand_in_the_table(table: list[Result]) -> None:
    """Once for each window, in the order of their simplicity."""
    names = [*(policy.name for policy in POLICIES), "oracle"]
    assert [(found.window, found.policy) for found in table] == [(w, name) for w in (0, 3) for name in names]


def test_a_model_that_stays_is_wrong_after_the_change(table: list[Result]) -> None:
    """From July on hot kilns crack nothing: its loss is far above that of a coin, a window of three months learns."""
    never, monthly = of(table, "never", 0), of(table, "every month", 3)

    assert list(never.months) == [f"2013-{month:02}" for month in range(5, 13)]
    assert never.months["2013-06"] < 0.6
    assert never.months["2013-07"] > 0.9
    assert monthly.months["2013-12"] < 0.6
    assert (never.trained, never.seconds, never.opened) == (0, 0.0, ())
    assert monthly.trained == 8
    assert len(monthly.opened) == 8


def test_figures_are_those_of_all_rows_served(table: list[Result], rolling: Year) -> None:
    """The log loss of the first model, made again by hand from May to December."""
    tables = [rolling.month(period + 1).table(rolling.plan.champion) for period in rolling.plan.decided]
    labels, scores = (np.concatenate([rows[name] for rows in tables]) for name in ("label", "score"))

    found = of(table, "never", 3)

    assert found.primary.value == pytest.approx(metrics.log_losses(labels, scores).mean(), rel=1e-12)
    assert found.primary.low < found.primary.value < found.primary.high
    assert found.second.value < 0.5


def test_regret_is_against_the_oracle_of_the_same_window(table: list[Result]) -> None:
    """Nobody is better than it; it has none; the difference of two losses is the regret."""
    for window in (0, 3):
        oracle = of(table, "oracle", window)
        assert oracle.regret == Figure(0.0, 0.0, 0.0)
        for found in table:
            if found.window == window:
                assert found.regret.value == pytest.approx(found.primary.value - oracle.primary.value, abs=1e-12)
                assert found.regret.value >= 0


def test_a_pull_request_helped_when_its_interval_says_so(table: list[Result]) -> None:
    """The first retraining that saw the new clay helped for sure; retraining on more of the old clay is unclear."""
    monthly = {found.period: found for found in of(table, "every month", 3).opened}

    assert monthly["2013-05"].effect == "unclear"
    assert monthly["2013-09"].effect == "helped"
    assert monthly["2013-09"].serves == "2013-10"
    assert of(table, "every month", 3).count("helped") >= 2


@pytest.mark.parametrize(
    ("low", "high", "effect"),
    [(0.1, 0.3, "helped"), (-0.3, -0.1, "harmed"), (-0.1, 0.3, "unclear"), (np.nan, np.nan, "unclear")],
)
def test_effects(low: float, high: float, effect: str) -> None:
    """Both ends on one side of zero; without an interval nothing is known."""
    assert Opened("a", "b", Figure(0.2, low, high)).effect == effect


def test_candidates_are_those_that_the_year_cannot_tell_from_the_best(table: list[Result]) -> None:
    """Their intervals hold zero; neither the oracle nor whoever has nothing judged is one."""
    worse, same, zero = Figure(0.2, 0.1, 0.3), Figure(0.2, -0.1, 0.5), Figure(0.0, 0.0, 0.0)
    ways = [("never", worse), ("every month", same), ("every month, unproven", zero), ("fall", zero), ("oracle", zero)]
    listed = [replace(table[0], policy=name, behind=at) for name, at in ways]

    assert [found.policy for found in results.candidates(listed)] == ["every month", "fall"]
    assert results.best(listed).policy == "fall"
    assert results.best(table).window == 3
    assert "never" not in {found.policy for found in results.candidates(table)}
