"""Distances: known values, and Evidently's own figures from summaries alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import distance as scipy_distance

from ratchet.drift import distance, summary


def test_the_distance_is_0_of_the_same_and_1_of_the_disjoint():
    """It does not depend on how many rows there are."""
    assert distance.jensen_shannon([1, 3], [100, 300]) == pytest.approx(0.0, abs=1e-8)
    assert distance.jensen_shannon([5, 0], [0, 7]) == pytest.approx(1.0)
    assert distance.jensen_shannon([[50, 50], [1, 99]], [[62, 38], [5, 95]]) == pytest.approx(
        [0.1028, 0.1039], abs=1e-4
    )


def test_the_distance_is_scipys():
    """In bits."""
    p, q = np.random.default_rng(0).integers(0, 50, (2, 30))
    assert distance.jensen_shannon(p, q) == pytest.approx(scipy_distance.jensenshannon(p, q, base=2))


def test_there_is_no_distance_to_nothing():
    """NaN, and no warning."""
    assert np.isnan(distance.jensen_shannon([0, 0], [1, 2]))


def test_evidently_is_repeated_from_the_summaries():
    """Its own preset on the same frames: the same test, the same value, the same columns flagged."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    rng = np.random.default_rng(0)

    def frame(rows: int, shift: float) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "number": np.round(rng.normal(shift, 2, rows), 1),
                "tied": rng.poisson(0.3 + shift, rows).astype(float),
                "few": rng.integers(0, 3, rows),
                "name": pd.Series(rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3 - shift, 0.2 + shift]), dtype="str"),
            }
        ).mask(rng.random((rows, 4)) < 0.05)

    before, now = frame(3_000, 0.0), frame(2_000, 0.25)
    said = Report([DataDriftPreset()]).run(now, before).dict()["metrics"]
    theirs = {m["config"]["column"]: float(m["value"]) for m in said if "column" in m["config"]}

    ours = {
        name: distance.default(summary.of_values(before[name]), summary.of_values(now[name])) for name in before.columns
    }

    assert {name: found.value for name, found in ours.items() if found} == pytest.approx(theirs, abs=1e-9)
    assert {name: found.drifts for name, found in ours.items() if found} == {n: v >= 0.1 for n, v in theirs.items()}
    assert {found.test for found in ours.values() if found} == {"Wasserstein (normed)", "Jensen-Shannon"}


def test_a_small_reference_has_no_default_of_a_distance():
    """Evidently takes p-values there."""
    few = summary.of_values(pd.Series(np.arange(1000.0)))
    assert distance.default(few, few) is None
