"""Thresholds: a stated rate of false alarms over all columns together, on days that depend on each other."""

from __future__ import annotations

from dataclasses import replace

import drift_example
import numpy as np
import pytest
from scipy import stats

from ratchet.drift import reference
from ratchet.drift.distance import jensen_shannon
from ratchet.drift.options import DriftOptions
from ratchet.drift.threshold import drawn, resampled, seen, thresholds, windows
from ratchet.errors import RatchetError

OPTIONS = DriftOptions(resamples=300, least=0.0)
DAYS, PERIOD, COLUMNS = 90, 30, 8


def days(rng: np.random.Generator, count: int, rho: float) -> dict[str, np.ndarray]:
    """Rows by bin of `COLUMNS` columns, 300 a day; each day has a mood, which lasts."""
    mood = rng.normal(size=(COLUMNS, count))
    for day in range(1, count):
        mood[:, day] = rho * mood[:, day - 1] + np.sqrt(1 - rho**2) * mood[:, day]
    share = 1 / (1 + np.exp(-0.5 * mood[..., None] - np.linspace(-1, 1, 4)))
    share /= share.sum(axis=-1, keepdims=True)
    return {f"c{n}": rng.multinomial(300, share[n]).astype(np.int64) for n in range(COLUMNS)}


@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_unchanged_days_fire_as_often_as_stated(rho):
    """5 % for the family of eight columns, on days of the same law that the reference has not seen."""
    rng, fired, worlds = np.random.default_rng(3), 0, 200
    for _ in range(worlds):
        world = days(rng, DAYS + PERIOD, rho)
        daily = {name: rows[:DAYS] for name, rows in world.items()}
        bounds = resampled(daily, PERIOD, OPTIONS)
        fired += any(
            jensen_shannon(world[name][DAYS:].sum(axis=0), rows.sum(axis=0)) > bounds[name]
            for name, rows in daily.items()
        )
    assert stats.binomtest(fired, worlds, OPTIONS.false_alarms, alternative="greater").pvalue > 0.01


def test_a_lower_rate_makes_higher_thresholds():
    """For every column."""
    daily = days(np.random.default_rng(0), DAYS, 0.3)
    some, few = (resampled(daily, PERIOD, replace(OPTIONS, false_alarms=rate)) for rate in (0.2, 0.01))
    assert all(few[name] > some[name] for name in daily)


def test_the_same_seed_makes_the_same_thresholds():
    daily = days(np.random.default_rng(0), DAYS, 0.3)
    assert resampled(daily, PERIOD, OPTIONS) == resampled(daily, PERIOD, OPTIONS)


def test_what_the_reference_did_itself_is_no_alarm():
    """A column that changes for good in the middle of the reference has seen it all."""
    steady, turned = np.tile([50, 50], (60, 1)), np.array([[90, 10]] * 30 + [[10, 90]] * 30)

    assert seen(steady, 30, 7) == 0.0
    assert seen(turned, 30, 7) == pytest.approx(float(jensen_shannon([90, 10], [10, 90])))
    assert seen(turned, 31, 7) == 0.0  # no rest as long as the window


def test_a_threshold_is_no_lower_than_what_was_seen():
    """The metal turns in the middle of the reference: resampled days do not know that it was for good."""
    frame = drift_example.throws(60, first="2021-01-01")
    metal = np.where(frame["day"] < "2021-01-31", "gold", "tin")
    of = reference.build(drift_example.COINS, [frame.assign(metal=metal)])
    often = replace(drift_example.OPTIONS, false_alarms=0.9)
    daily = {name: found.daily for name, found in of.tracked.items()}

    found, drawn_only = thresholds(of, 30, often), resampled(daily, 30, often)

    assert drawn_only["input:metal"] < 0.9
    assert found["input:metal"] == seen(daily["input:metal"], 30, often.block) == 1.0


def test_windows_step_and_end_at_the_end():
    assert [(w.start, w.stop) for w in windows(20, 10, 7)] == [(0, 10), (7, 17), (10, 20)]


def test_neighbouring_days_are_drawn_together():
    """Each resample has as many days as asked, in runs of the block."""
    found = drawn(np.random.default_rng(0), 50, 14, 70, 7)

    assert found.sum(axis=1).tolist() == [14] * 50
    for resample in found:
        once = np.flatnonzero(resample)
        assert min(len(once), 14) >= 7
        assert np.all(resample[once[0] : once[0] + 1] >= 1)
        gaps = np.diff(np.append(once, once[0] + 70))
        assert np.sum(gaps > 1) <= 2


def test_no_threshold_is_below_the_least():
    """However steady the reference was."""
    found = thresholds(drift_example.reference(), 28, replace(drift_example.OPTIONS, least=0.3))
    assert set(found) == {f"input:{n}" for n in ("throw", "metal", "side", "force", "turns")} | {"prediction:score"}
    assert min(found.values()) == 0.3


def test_a_reference_of_few_days_is_said_to_be_too_short():
    with pytest.raises(RatchetError, match=r"has 5 clusters \(days\); how they vary can be told from 6 on"):
        resampled({"c": np.ones((5, 2), dtype=np.int64)}, 3, OPTIONS)
