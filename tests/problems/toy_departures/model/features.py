"""What the model sees of a flight: arithmetic that means the same on one row of plain values and on NumPy columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CATEGORIES = ("carrier", "origin", "dest", "plane_engine")
NUMBERS = (
    "departure",
    "arrival",
    "weekday",
    "distance",
    "pace",
    "plane_age",
    "plane_seats",
    "dewp",
    "wind_dir",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
)


def features(row: Mapping[str, Any]) -> dict[str, Any]:
    """Features of one raw row, or of n rows as columns of shape (n,); missing numbers are NaN, missing text None.

    Left out on purpose: month, temperature and relative humidity, which tell a tree of the season, and only of seasons
    it has seen (temperature and humidity cost 0.02 of log loss in April); flight and tail numbers, learnt by heart.
    """
    departure = minutes(row["sched_dep_time"])
    arrival = minutes(row["sched_arr_time"])
    return {
        "carrier": row["carrier"],
        "origin": row["origin"],
        "dest": row["dest"],
        "plane_engine": row["plane_engine"],
        "departure": departure,
        "arrival": arrival,
        "weekday": weekday(row["year"], row["month"], row["day"]),
        "distance": row["distance"],
        # miles a scheduled minute: how much slack the airline gave itself; an hour is added against short hops
        "pace": row["distance"] / ((arrival - departure) % 1440 + 60),
        "plane_age": row["year"] - row["plane_year"],
        "plane_seats": row["plane_seats"],
        "dewp": row["dewp"],
        "wind_dir": row["wind_dir"],
        "wind_speed": row["wind_speed"],
        "precip": row["precip"],
        "pressure": row["pressure"],
        "visib": row["visib"],
    }


def minutes(clock: Any) -> Any:
    """Minutes since midnight of a time written hhmm: 1345 is 825."""
    return clock // 100 * 60 + clock % 100


def weekday(year: Any, month: Any, day: Any) -> Any:
    """0 on Monday to 6 on Sunday, by counting days in years that begin in March (so that a leap day comes last)."""
    since_march = (month + 9) % 12
    years = year - since_march // 10
    days = 365 * years + years // 4 - years // 100 + years // 400 + (since_march * 306 + 5) // 10 + day - 1
    return (days + 2) % 7
