"""Features mean the same on one row of plain values and on columns."""

from __future__ import annotations

import datetime
import math
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flights.data import source
from flights.model.features import CATEGORIES, NUMBERS, features, minutes, weekday
from ratchet.rows import columns

ROW = {
    "year": 2013,
    "month": 7,
    "day": 4,
    "sched_dep_time": 2345,
    "sched_arr_time": 130,
    "carrier": "UA",
    "flight": 1545,
    "tailnum": None,
    "origin": "EWR",
    "dest": "IAH",
    "distance": 1400,
    "plane_year": math.nan,
    "plane_seats": 149.0,
    "plane_engine": None,
    "temp": 86.0,
    "dewp": 69.1,
    "humid": 57.2,
    "wind_dir": 210.0,
    "wind_speed": 12.7,
    "precip": 0.0,
    "pressure": math.nan,
    "visib": 10.0,
}


def test_features_of_one_flight() -> None:
    """A Thursday, a flight over midnight that takes 105 minutes on the clock, an aircraft of unknown age."""
    found = features(ROW)

    assert {name: found[name] for name in ("departure", "arrival", "weekday", "plane_seats", "carrier")} == {
        "departure": 1425,
        "arrival": 90,
        "weekday": 3,
        "plane_seats": 149.0,
        "carrier": "UA",
    }
    assert found["pace"] == 1400 / 165
    assert math.isnan(found["plane_age"])
    assert found["plane_engine"] is None


def test_every_feature_is_a_category_or_a_number() -> None:
    """In this order the model takes them."""
    assert tuple(features(ROW)) == CATEGORIES + NUMBERS


def test_features_of_a_row_are_those_of_its_column() -> None:
    """On 500 flights, missing values and all, bit for bit."""
    flights = source.fetch("2013-12").drop(columns=["late", "weather_time"]).tail(500)
    together = pd.DataFrame(features(columns(flights)))

    for number, row in enumerate(flights.astype(object).where(flights.notna(), None).to_dict("records")):
        plain = {name: math.nan if value is None and name not in TEXT else value for name, value in row.items()}
        alone = features(plain)
        for name in NUMBERS:
            assert alone[name] == together[name][number] or (
                math.isnan(alone[name]) and math.isnan(together[name][number])
            )
        for name in CATEGORIES:
            assert alone[name] == together[name][number] or (alone[name] is None and pd.isna(together[name][number]))


TEXT = {"carrier", "tailnum", "origin", "dest", "plane_engine"}


@given(st.dates(min_value=datetime.date(1600, 3, 1)))
def test_weekdays_are_those_of_the_calendar(date: datetime.date) -> None:
    """By arithmetic alone, on any day."""
    assert weekday(date.year, date.month, date.day) == date.weekday()


@pytest.mark.parametrize(("clock", "expected"), [(0, 0), (59, 59), (100, 60), (1345, 825), (2359, 1439)])
def test_minutes_count_from_midnight(clock: int, expected: int) -> None:
    """Hours and minutes stand in one number, hhmm."""
    assert minutes(clock) == expected


def test_the_module_needs_nothing_that_the_service_has_not() -> None:
    """Neither pandas nor scikit-learn is imported with it."""
    heavy = "sorted({'pandas', 'sklearn', 'pandera', 'numpy'} & set(sys.modules))"
    program = f"import sys, flights.model.features; print({heavy})"

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
