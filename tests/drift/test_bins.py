"""Bins: made from the reference, exact for every row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ratchet.drift import summary
from ratchet.drift.bins import BINS, TEXTS, Bins

NUMBERS = pd.Series([*np.random.default_rng(0).normal(size=5_000), np.nan, np.nan])
NAMES = pd.Series([f"n{n % 80}" for n in range(1_000)] + [None] * 5, dtype="str")


def test_numbers_fall_into_quantiles():
    """Each bin holds an equal part of the reference; nulls have the last one."""
    bins = Bins.of(summary.of_values(NUMBERS))
    counts = bins.counts(summary.of_values(NUMBERS))

    assert len(counts) == BINS + 1
    assert counts[:-1] == pytest.approx(np.full(BINS, 250), abs=20)
    assert counts[-1] == 2


def test_a_value_with_many_rows_has_a_bin_of_its_own():
    """Ties are not torn apart."""
    column = summary.of_values(pd.Series([0.0] * 950 + [1.0] * 30 + [2.0] * 20))
    bins = Bins.of(column)

    assert bins.counts(column).tolist() == [950, 50, 0]
    assert [bins.label(at) for at in range(3)] == ["up to 0", "above 0", "missing"]


def test_the_largest_value_ends_no_bin():
    """What is beyond it falls into the last one."""
    bins = Bins.of(summary.of_values(pd.Series([0.0] * 500 + [1.0] * 500)))
    assert bins.edges == (0.0,)
    assert bins.counts(summary.of_values(pd.Series([1.0, 9.0]))).tolist() == [0, 2, 0]


def test_rare_and_unknown_texts_share_a_bin():
    """The most frequent have one each."""
    bins = Bins.of(summary.of_values(NAMES))
    counts = bins.counts(summary.of_values(pd.Series(["n0", "never seen", None], dtype="str")))

    assert bins.count == TEXTS + 2
    assert counts[bins.texts.index("n0")] == 1
    assert counts[-2:].tolist() == [1, 1]
    assert bins.label(TEXTS) == "other values"


@pytest.mark.parametrize("values", [NUMBERS, NAMES], ids=["numbers", "texts"])
def test_groups_together_are_the_whole(values):
    """Counting row by row gives what the summary gives, also beyond the limit of exact values."""
    column = summary.of_values(values)
    bins = Bins.of(column)
    groups = np.arange(len(values)) % 7

    found = bins.by_group(values, groups, 7)

    assert found.sum(axis=0).tolist() == bins.counts(column).tolist()
    assert found.sum(axis=1).tolist() == np.bincount(groups).tolist()


def test_texts_in_a_column_of_numbers_are_no_number():
    """They do not stop the check, which says elsewhere that the kind has changed."""
    bins = Bins.of(summary.of_values(NUMBERS))
    column = summary.of_values(pd.Series(["1.0", "x"], dtype="str"))

    assert bins.counts(column).sum() == 2
