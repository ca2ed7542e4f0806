"""Segments of flights."""

from __future__ import annotations

import pandas as pd
import pytest

from flights.expectations.slices import SLICES


@pytest.mark.parametrize(
    ("time", "band"),
    [(1, "00-09"), (859, "00-09"), (900, "09-13"), (1259, "09-13"), (1300, "13-17"), (1700, "17-24"), (2359, "17-24")],
)
def test_flights_belong_to_a_band_of_hours(time: int, band: str) -> None:
    """A band begins with its first hour and ends before its last."""
    assert SLICES["hour"](pd.DataFrame({"sched_dep_time": [time]})).tolist() == [band]


def test_weather_is_fair_foul_or_missing() -> None:
    """One of rain, poor sight and strong wind is enough to be foul."""
    rows = pd.DataFrame(
        {
            "precip": [0.0, 0.1, 0.0, 0.0, None],
            "visib": [10.0, 10.0, 2.0, 10.0, None],
            "wind_speed": [5.0, 5.0, 5.0, 30.0, None],
        }
    )

    assert SLICES["weather"](rows).tolist() == ["fair", "foul", "foul", "foul", "missing"]


def test_every_flight_has_its_carrier_and_origin() -> None:
    """Those are the airline's and the airport's codes."""
    rows = pd.DataFrame({"carrier": ["UA"], "origin": ["EWR"]})

    assert [SLICES["carrier"](rows)[0], SLICES["origin"](rows)[0]] == ["UA", "EWR"]
