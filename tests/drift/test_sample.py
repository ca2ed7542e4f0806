"""A sample of rows: all while they are few, bounded and fair when they are many."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ratchet.drift.sample import Sample


def sampled(parts: list[int], size: int, seed: int = 0) -> tuple[list[int], Sample]:
    sample, start = Sample(size, seed), 0
    for count in parts:
        rows = pd.DataFrame({"row": np.arange(start, start + count)})
        sample.add(rows[sample.choose(count)])
        start += count
    frame = sample.frame()
    return (frame["row"].tolist() if len(frame) else []), sample


def test_few_rows_are_all_there_in_their_order():
    assert sampled([3, 0, 4], 10)[0] == list(range(7))
    assert sampled([], 10)[0] == []


def test_many_rows_are_bounded_and_the_same_for_one_seed():
    rows, sample = sampled([500] * 20, 100)

    assert len(rows) == 100
    assert sample.rows == 10_000
    assert rows == sorted(rows) == sampled([500] * 20, 100)[0]
    assert rows != sampled([500] * 20, 100, seed=1)[0]


def test_early_and_late_rows_are_as_likely():
    """Over many seeds the mean row is the middle one, to within four standard errors."""
    means = [np.mean(sampled([50] * 8, 20, seed)[0]) for seed in range(300)]
    assert abs(np.mean(means) - 199.5) < 4 * 400 / np.sqrt(12 * 20 * 300)
