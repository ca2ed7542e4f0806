"""What is injected into flights is lawful, happens row by row, and keeps the index of what stays."""

from __future__ import annotations

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from flights.data.schema import SCHEMA
from flights.data.source import fetch
from flights.expectations.shifts import shifts
from ratchet.backtest.shifts import Shift

NAMES = {shift.name: shift for shift in shifts()}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Every tenth flight of March."""
    return fetch("2013-03").iloc[::10]


@pytest.mark.parametrize("shift", NAMES.values(), ids=NAMES)
def test_what_is_changed_is_still_a_flight(shift: Shift, rows: pd.DataFrame) -> None:
    """The schema accepts it: no check of single rows would see it."""
    changed = shift.apply(rows, 1.0)

    SCHEMA.validate(changed)
    assert not changed.equals(rows)


@pytest.mark.parametrize("strength", [0.4, 1.0])
@pytest.mark.parametrize("shift", NAMES.values(), ids=NAMES)
def test_the_shift_of_some_rows_is_some_rows_of_the_shift(shift: Shift, strength: float, rows: pd.DataFrame) -> None:
    """Their index stays, and the rows that were given are as they were."""
    before = rows.copy()
    some = rows.iloc[::3]

    whole, part = shift.apply(rows, strength), shift.apply(some, strength)

    assert_frame_equal(part, whole[whole.index.isin(some.index)])
    assert_frame_equal(rows, before)


@pytest.mark.parametrize("shift", NAMES.values(), ids=NAMES)
def test_without_strength_nothing_happens(shift: Shift, rows: pd.DataFrame) -> None:
    """Not one value differs."""
    assert_frame_equal(shift.apply(rows, 0.0), rows)


def test_each_does_what_it_says(rows: pd.DataFrame) -> None:
    """Kilometres, no carrier EV, the labels of MQ turned around where there are any, twenty degrees more."""
    done = {name: shift.apply(rows, 1.0) for name, shift in NAMES.items()}
    of_mq = rows["carrier"] == "MQ"

    assert done["column scaled"]["distance"].sum() == pytest.approx(1.609344 * rows["distance"].sum(), rel=1e-3)
    assert "EV" in set(rows["carrier"])
    assert set(done["category gone"]["carrier"]) == set(rows["carrier"]) - {"EV"}
    flipped = done["labels flipped"]["late"]
    assert flipped[~of_mq].equals(rows["late"][~of_mq])
    assert flipped[of_mq].mean() == pytest.approx(1 - rows["late"][of_mq].mean())
    assert flipped.isna().equals(rows["late"].isna())
    assert (done["slow slope"]["dewp"] - rows["dewp"]).dropna().round(6).eq(20).all()
    assert [name for name, shift in NAMES.items() if shift.gradual] == ["slow slope"]
