"""A summary: exact while it can be, bounded always, and the same however the rows are cut."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from ratchet.drift import summary
from ratchet.drift.summary import EXACT, LIMIT

NUMBERS = st.lists(st.one_of(st.none(), st.floats(allow_nan=False), st.sampled_from([0.0, -0.0, 1.5])), max_size=60)
TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=60)


def of(values: list[object], dtype: str) -> summary.Column:
    return summary.of_values(pd.Series(values, dtype=dtype))


def together(first: summary.Column, second: summary.Column) -> summary.Column:
    return summary.merged({"x": first}, {"x": second})["x"]


def test_few_values_are_counted_exactly_and_nulls_apart():
    """Zeros of either sign are one value."""
    found = of([1.5, 1.5, 0.0, -0.0, None], "float64")

    assert found == summary.Column("number", rows=5, nulls=1, bits=EXACT, counts={1.5: 2, 0.0: 2})
    assert found.null_share == 0.2


@pytest.mark.parametrize(("values", "dtype"), [(NUMBERS, "float64"), (TEXTS, "str")], ids=["numbers", "texts"])
def test_the_cut_into_partitions_does_not_matter(values, dtype, monkeypatch):
    """Parts merged are the whole, whatever the cut and the order, also when values have to be given up."""
    monkeypatch.setattr(summary, "LIMIT", 8)

    @settings(deadline=None)
    @given(values, st.integers(0, 60))
    def holds(rows, cut):
        first, second = of(rows[:cut], dtype), of(rows[cut:], dtype)
        assert together(first, second) == of(rows, dtype) == together(second, first)

    holds()


def test_many_numbers_lose_bits_and_stay_near():
    """Memory is bounded, and no value moves by more than its last bit that is left."""
    values = np.random.default_rng(0).lognormal(size=50_000)
    found = summary.of_values(pd.Series(values))

    assert len(found.counts) <= LIMIT
    assert sum(found.counts.values()) == 50_000
    kept, rows = found.arrays()
    for share in (0.01, 0.5, 0.99):
        near = kept[np.searchsorted(np.cumsum(rows), share * 50_000)]
        assert near == pytest.approx(np.quantile(values, share), rel=2.0**-found.bits)


def test_many_texts_are_counted_by_hash():
    """The number of names is bounded; no row is lost."""
    found = summary.of_values(pd.Series([f"row {n}" for n in range(2 * LIMIT)], dtype="str"))

    assert len(found.counts) <= LIMIT
    assert sum(found.counts.values()) == 2 * LIMIT
    assert found.bits < EXACT


def test_a_column_that_is_text_in_one_partition_is_text():
    """An empty side says nothing about the kind."""
    assert together(of([None], "float64"), of(["a"], "str")).kind == "text"
    assert together(of([1.0], "float64"), of(["a"], "str")).counts == {"1.0": 1, "a": 1}


def test_what_looks_the_same_is_the_same_text():
    """No row is lost in a column of objects, and none is made up in one of categories."""
    assert of([1, "1", "2", None], "object").counts == {"1": 2, "2": 1}
    assert summary.of_values(pd.Series(pd.Categorical(["a"], categories=["a", "b"]))).counts == {"a": 1}
