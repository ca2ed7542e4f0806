"""What a flight is: one declaration that checks the data, and of which the service makes its request model.

Each column's metadata say, beside its description, an `example`, whether it is `private` (kept out of what others may
read), whether it is an `input` (a row is scored with it; the others may be absent then) and, where the values are a
closed list, its `categories`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pandera.pandas as pa

TARGET = "late"
TASK = "binary"
KEY = ("year", "month", "day", "carrier", "flight", "origin")
CLUSTER = ("year", "month", "day")

ORIGINS = ("EWR", "JFK", "LGA")


def _is_clock(values: pd.Series[Any]) -> pd.Series[bool]:
    return values.between(0, 2359) & (values % 100 < 60)


def _is_calendar_day(rows: pd.DataFrame) -> pd.Series[bool]:
    return pd.to_datetime(rows[["year", "month", "day"]], errors="coerce").notna()


def _is_before_departure(rows: pd.DataFrame) -> pd.Series[bool]:
    hours = ["year", "month", "day", "hour"]
    departure = rows.assign(hour=rows["sched_dep_time"] // 100)[hours]
    observed = rows["weather_time"].str.extract(r"^(\d{4})-(\d\d)-(\d\d)T(\d\d)").astype("float64")
    return observed[0].isna() | (_order(observed.set_axis(hours, axis=1)) < _order(departure))


def _order(hours: pd.DataFrame) -> pd.Series[Any]:
    """A number that grows with time and needs no valid calendar: 2013013104 for 4 o'clock on 31 January 2013."""
    return ((hours["year"] * 100 + hours["month"]) * 100 + hours["day"]) * 100 + hours["hour"]


def _column(  # noqa: PLR0913  # one line a column is the point
    kind: type,
    description: str,
    example: Any,
    *checks: pa.Check,
    nullable: bool = False,
    private: bool = False,
    is_input: bool = True,
    categories: tuple[str, ...] | None = None,
) -> pa.Column:
    metadata = {"example": example, "private": private, "input": is_input}
    if categories is None:
        return pa.Column(kind, list(checks), nullable=nullable, description=description, metadata=metadata)
    closed = [*checks, pa.Check.isin(categories)]
    metadata["categories"] = list(categories)
    return pa.Column(kind, closed, nullable=nullable, description=description, metadata=metadata)


SCHEMA = pa.DataFrameSchema(
    {
        "year": _column(int, "Year of the scheduled departure", 2013, pa.Check.in_range(2000, 2100)),
        "month": _column(int, "Month of the scheduled departure", 7, pa.Check.in_range(1, 12)),
        "day": _column(int, "Day of the scheduled departure", 4, pa.Check.in_range(1, 31)),
        "sched_dep_time": _column(
            int, "Scheduled departure, hhmm on the clock of New York", 1745, pa.Check(_is_clock, name="is_clock")
        ),
        "sched_arr_time": _column(
            int, "Scheduled arrival, hhmm on the clock of the destination", 2010, pa.Check(_is_clock, name="is_clock")
        ),
        "carrier": _column(str, "Airline, two-letter IATA code", "UA", pa.Check.str_matches(r"^[A-Z0-9]{2}$")),
        "flight": _column(int, "Flight number", 1545, pa.Check.in_range(1, 9999)),
        "tailnum": _column(
            str,
            "Registration of the aircraft; missing until one is assigned",
            "N14228",
            pa.Check.str_matches(r"^[A-Z0-9]{1,8}$"),
            nullable=True,
            private=True,
        ),
        "origin": _column(str, "Airport of departure", "EWR", categories=ORIGINS),
        "dest": _column(str, "Airport of arrival, three-letter code", "IAH", pa.Check.str_matches(r"^[A-Z]{3}$")),
        "distance": _column(int, "Distance between the airports, miles", 1400, pa.Check.in_range(1, 12000)),
        "plane_year": _column(
            float, "Year the aircraft was built", 1999.0, pa.Check.in_range(1930, 2100), nullable=True
        ),
        "plane_seats": _column(float, "Seats of the aircraft", 149.0, pa.Check.in_range(1, 900), nullable=True),
        "plane_engine": _column(
            str, "Kind of engine of the aircraft", "Turbo-fan", pa.Check.str_length(1, 40), nullable=True
        ),
        "weather_time": _column(
            str,
            "Hour of the weather observation at the origin, on the clock of New York; before the hour of departure",
            "2013-07-04T16:00",
            pa.Check.str_matches(r"^\d{4}-\d\d-\d\dT\d\d:00$"),
            nullable=True,
            is_input=False,
        ),
        "temp": _column(float, "Temperature, °F", 86.0, pa.Check.in_range(-60, 130), nullable=True),
        "dewp": _column(float, "Dew point, °F", 69.1, pa.Check.in_range(-70, 100), nullable=True),
        "humid": _column(float, "Relative humidity, %", 57.2, pa.Check.in_range(0, 100), nullable=True),
        "wind_dir": _column(
            float, "Direction the wind comes from, degrees", 210.0, pa.Check.in_range(0, 360), nullable=True
        ),
        "wind_speed": _column(float, "Wind speed, mph", 12.7, pa.Check.in_range(0, 150), nullable=True),
        "precip": _column(float, "Rain or snow in the hour, inches", 0.0, pa.Check.in_range(0, 10), nullable=True),
        "pressure": _column(
            float, "Air pressure at sea level, hPa", 1017.6, pa.Check.in_range(850, 1100), nullable=True
        ),
        "visib": _column(
            float, "Visibility, miles (10 is the most reported)", 10.0, pa.Check.in_range(0, 10), nullable=True
        ),
        "late": _column(
            float,
            "1 when it arrived more than 15 minutes after schedule, else 0; null when it was cancelled or diverted",
            1.0,
            pa.Check.isin((0, 1)),
            nullable=True,
            is_input=False,
        ),
    },
    checks=[
        pa.Check(lambda rows: rows["origin"] != rows["dest"], name="origin_is_not_dest"),
        pa.Check(_is_calendar_day, name="is_calendar_day"),
        pa.Check(_is_before_departure, name="weather_is_before_departure"),
        pa.Check(
            lambda rows: rows["plane_year"].isna() | (rows["plane_year"] <= rows["year"]),
            name="plane_is_not_from_the_future",
        ),
    ],
    unique=list(KEY),
    strict=True,
    ordered=False,
    name="flight",
    description="One scheduled flight from New York, as known before it departs",
)
