"""The short way through treelite: bit for bit what the long one says."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_example import FLIGHT, plain

from ratchet import bundle
from ratchet.serving import fast

pytestmark = pytest.mark.xdist_group("service")


def test_rows_score_as_before(flights_bundle: Path) -> None:
    """One by one, in a batch, and one again: the buffers of the short way leave nothing behind."""
    slow, quick = bundle.load(flights_bundle), bundle.load(flights_bundle)
    assert fast.quicken(quick)
    rows = plain("toy_departures", 300, flights_bundle)
    assert [quick.score_row(row) for row in rows] == [slow.score_row(row) for row in rows]
    assert quick.score_rows(rows).tolist() == slow.score_rows(rows).tolist()
    assert quick.score_row(FLIGHT) == slow.score_row(FLIGHT)


def test_any_numbers_score_as_before(flights_bundle: Path) -> None:
    """Missing, infinite and far beyond what any row holds."""
    trees = bundle.load(flights_bundle).model
    assert isinstance(trees, bundle.Trees)
    quick = fast.predictor(trees._trees, trees._predict)
    number = st.floats() | st.integers(-5, 20).map(float)

    @given(st.lists(number, min_size=trees._trees.num_feature, max_size=trees._trees.num_feature))
    def agree(values: list[float]) -> None:
        row = np.array([values])
        assert quick(trees._trees, row, nthread=1) == trees._predict(trees._trees, row, nthread=1)

    agree()


def test_what_is_no_ensemble_of_trees_is_left_alone(delays_bundle: Path) -> None:
    """There is no short way for it."""
    assert not fast.quicken(bundle.load(delays_bundle))


def test_a_bundle_whose_code_is_another_is_left_alone(flights_bundle: Path) -> None:
    """A judged bundle brings its own code; where that has no such parts, it scores as it always did."""
    opened = bundle.load(flights_bundle)
    del opened.model._predict  # type: ignore[attr-defined]
    assert not fast.quicken(opened)
