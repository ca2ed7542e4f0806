"""Throws of coins, day by day, and a champion that scores them: what the tests of drift are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ratchet import drift
from ratchet.drift import DriftOptions, Judged
from ratchet.problem import Problem

COINS, DELAYS = Problem("toy_coins"), Problem("toy_delays")
OPTIONS = DriftOptions(resamples=200)


def throws(days: int, *, first: str = "2021-03-01", rows: int = 100, seed: int = 0) -> pd.DataFrame:
    """Throws of so many days, `rows` a day; heads come with the force."""
    rng = np.random.default_rng(seed)
    count = days * rows
    force = rng.uniform(0, 10, count)
    return pd.DataFrame(
        {
            "throw": rng.choice(1_000_000, count, replace=False),
            "day": np.repeat(pd.date_range(first, periods=days).strftime("%Y-%m-%d"), rows).astype("str"),
            "metal": pd.Series(rng.choice(["gold", "tin"], count), dtype="str"),
            "side": pd.Series(rng.choice(["up", "down"], count), dtype="str"),
            "force": force,
            "turns": pd.array(rng.integers(0, 10, count), dtype="Int64"),
            "head": (rng.random(count) < chances(force)).astype(float),
        }
    )


def chances(force: Any) -> np.ndarray:
    """The true chance of a head."""
    return np.asarray(1 / (1 + np.exp(-(np.asarray(force, dtype=np.float64) - 5) / 2)))


def scores(frame: pd.DataFrame) -> np.ndarray:
    """A champion that knows it; without force it says a half."""
    return chances(frame["force"].fillna(5.0))


def table(frame: pd.DataFrame, values: np.ndarray | None = None) -> pd.DataFrame:
    """The table of scores of a holdout."""
    return pd.DataFrame(
        {"cluster": frame["day"], "label": frame["head"], "score": scores(frame) if values is None else values}
    )


def reference(days: int = 60) -> drift.Reference:
    """What the champion's world was."""
    frame = throws(days, first="2021-01-01", seed=1)
    return drift.reference.build(COINS, [frame], [scores(frame)])


def judged() -> Judged:
    """The champion's holdout: the 28 days before the period."""
    return Judged(table(throws(28, first="2021-02-01", seed=2)), threshold=0.5)


def examined(frame: pd.DataFrame, **given: Any) -> drift.Findings:
    """The findings of a period, with everything known that is not given."""
    known = {"scores": [scores(frame)], "judged": judged(), "options": OPTIONS} | given
    return drift.examine(COINS, known.pop("reference", reference()), [frame], known.pop("scores"), **known)
