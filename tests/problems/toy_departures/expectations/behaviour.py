"""What any sane model of late flights does, whatever its figures."""

from __future__ import annotations

import pandas as pd

from ratchet.problem import Case


def behaviour() -> list[Case]:
    """Two expectations of each kind and more, on flights of any season."""
    return [*_invariances(), *_directions(), *_minimum_functionality()]


def _invariances() -> list[Case]:
    return [
        Case(
            "another flight number",
            "invariance",
            "The number of a flight is a name, it moves nothing",
            change=lambda rows: rows.assign(flight=rows["flight"] % 9999 + 1),
        ),
        Case(
            "no tail number yet",
            "invariance",
            "The registration of the aircraft is a name, it moves nothing",
            change=lambda rows: rows.assign(tailnum=pd.Series(None, index=rows.index, dtype="str")),
        ),
        Case(
            "the same day 28 years on",
            "invariance",
            "The same weekday of another year with an aircraft as old moves nothing",
            change=lambda rows: rows.assign(year=rows["year"] + 28, plane_year=rows["plane_year"] + 28),
        ),
    ]


def _directions() -> list[Case]:
    return [
        Case(
            "ten hours later",
            "direction",
            "Delays pile up over the day: morning flights moved to the evening are late more often",
            where=lambda rows: rows["sched_dep_time"].between(600, 1000),
            change=lambda rows: rows.assign(
                sched_dep_time=rows["sched_dep_time"] + 1000, sched_arr_time=(rows["sched_arr_time"] + 1000) % 2400
            ),
            direction="rises",
            tolerance=0.05,
        ),
        Case(
            "fog",
            "direction",
            "Visibility of half a mile instead of ten makes more flights late",
            where=lambda rows: rows["visib"].eq(10) & rows["precip"].eq(0),
            change=lambda rows: rows.assign(visib=0.5),
            direction="rises",
            tolerance=0.02,
        ),
        Case(
            "gale",
            "direction",
            "A wind of 35 mph makes more flights late",
            where=lambda rows: rows["wind_speed"].lt(15),
            change=lambda rows: rows.assign(wind_speed=35.0),
            direction="rises",
            tolerance=0.005,
        ),
    ]


def _minimum_functionality() -> list[Case]:
    return [
        Case(
            "first flights of a fair day",
            "minimum",
            "Before 8 in fair weather few flights are late",
            where=lambda rows: rows["sched_dep_time"].lt(800) & rows["visib"].eq(10) & rows["wind_speed"].lt(15),
            high=0.25,
        ),
        Case(
            "wet evenings",
            "minimum",
            "After 5 in the afternoon with rain or snow many flights are late",
            where=lambda rows: rows["sched_dep_time"].ge(1700) & rows["precip"].gt(0),
            low=0.3,
        ),
    ]
