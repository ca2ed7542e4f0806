"""Batches: what is set aside, what is an error, what is written, and what is read back."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from ratchet import data, files
from ratchet.errors import AbsentError, RatchetError
from ratchet.params import Checks, Data
from ratchet.problem import Problem

CHECKS = Checks(quarantined=0.01, duplicated=0.001, rows=(0.7, 1.4), nulls=0.05, label_rate=0.15, gap_days=1)
LENIENT = CHECKS.model_copy(update={"quarantined": 1.0, "duplicated": 1.0})
JANUARY = "2021-01"

Change = Callable[[pd.DataFrame], pd.DataFrame]


class Revised(Problem):
    """A problem whose source, or whose schema, has changed."""

    def __init__(self, name: str, change: Change = lambda rows: rows, schema: pa.DataFrameSchema | None = None) -> None:
        super().__init__(name)
        self._change, self._schema = change, schema

    def fetch(self, period: str) -> pd.DataFrame:
        """The problem's own rows, changed."""
        return self._change(super().fetch(period))

    @property
    def schema(self) -> pa.DataFrameSchema:
        """The other schema, if there is one."""
        return self._schema or super().schema


class Coins(Problem):
    """The binary problem, with these rows for every period."""

    def __init__(self, **columns: Any) -> None:
        super().__init__("toy_coins")
        self._columns = columns

    def fetch(self, period: str) -> pd.DataFrame:
        """Twenty throws."""
        throws = {
            "throw": range(20),
            "day": ["monday", "tuesday"] * 10,
            "metal": ["gold", None] * 10,
            "side": ["up"] * 20,
            "force": [1.5] * 20,
            "turns": [3, None] * 10,
            "head": [0, 1] * 10,
        }
        return pd.DataFrame({**throws, **self._columns})


def trains(change: Change = lambda rows: rows, checks: Checks = CHECKS) -> data.Batch:
    return data.ingest(Revised("toy_delays", change), JANUARY, checks)


def with_cell(row: int, column: str, value: object) -> Change:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        cells = rows[column].astype(object)
        cells[row] = value
        return rows.assign(**{column: cells})

    return change


def reasons(batch: data.Batch) -> list[str]:
    return list(batch.quarantine["reason"])


# --- rows ---


def test_a_good_batch_is_counted() -> None:
    """Of 372 trains in January one has an impossible distance; the rest are rows in the schema's types."""
    batch = trains()

    assert {name: batch.figures[name] for name in ("period", "rows", "labelled", "quarantined", "duplicated")} == {
        "period": "2021-01",
        "rows": 371,
        "labelled": 365,
        "quarantined": 1,
        "duplicated": 0,
    }
    assert batch.figures["reasons"] == {"distance: greater_than(0)": 1}
    assert batch.figures["days"] == {
        "first": "2021-01-01",
        "last": "2021-01-31",
        "missing_before": 0,
        "missing_after": 0,
    }
    assert [str(dtype) for dtype in batch.rows.dtypes] == ["str", "int64", "str", "float64", "float64", "float64"]


def test_a_row_set_aside_keeps_what_it_held_as_text() -> None:
    """The quarantine shows the row as it came, and why."""
    assert trains().quarantine.drop(columns=["wind", "delay"]).to_dict("records") == [
        {
            "day": "2021-01-01",
            "train": "2",
            "line": "south",
            "distance": "-1.0",
            "reason": "distance: greater_than(0)",
        }
    ]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("distance", "far", "distance: is not a number"),
        ("distance", float("inf"), "distance: is not a number"),
        ("distance", None, "distance: not_nullable"),
        ("train", "seven", "train: is not a whole number"),
        ("train", 1.5, "train: is not a whole number"),
        ("train", None, "train: is not a whole number"),
        ("line", 7, "line: is not text"),
        ("day", "2021/01/02", r"day: str_matches('^\d{4}-\d\d-\d\d$')"),
        ("day", None, "day: not_nullable"),
        ("day", "2021-02-01", "day: is outside of the period"),
        ("day", "2020-12-31", "day: is outside of the period"),
    ],
)
def test_a_single_bad_cell_sets_its_row_aside(column: str, value: object, reason: str) -> None:
    """The other rows are kept as if nothing had happened."""
    batch = trains(with_cell(100, column, value))

    assert reasons(batch) == ["distance: greater_than(0)", reason]
    assert batch.figures["rows"] == 370
    pd.testing.assert_frame_equal(batch.rows, trains().rows.drop(index=99).reset_index(drop=True))


def test_a_row_that_breaks_two_rules_names_both() -> None:
    """One row, one line in the quarantine, two reasons."""
    batch = trains(with_cell(1, "wind", -5.0))

    assert reasons(batch) == ["distance: greater_than(0); wind: greater_than_or_equal_to(0)"]
    assert batch.figures["reasons"] == {"distance: greater_than(0)": 1, "wind: greater_than_or_equal_to(0)": 1}
    assert batch.figures["quarantined"] == 1


def test_numbers_written_as_text_are_read() -> None:
    """A column that can be read as its type is no error."""
    batch = trains(lambda rows: rows.assign(train=rows["train"].astype(str), distance=rows["distance"].astype(str)))

    pd.testing.assert_frame_equal(batch.rows, trains().rows)


def test_a_nullable_whole_number_may_be_null_but_not_a_fraction() -> None:
    """A schema may say `Int64` for a number that is not always known."""
    batch = data.ingest(Coins(turns=[3, None] * 9 + [1.5, 2]), "p1", LENIENT)

    assert str(batch.rows["turns"].dtype) == "Int64"
    assert reasons(batch) == ["turns: is not a whole number"]


def test_types_that_a_row_of_json_cannot_hold_are_left_to_the_schema() -> None:
    """A flag is read as the schema's own type says."""
    schema = Problem("toy_coins").schema.update_column("force", dtype=bool, checks=[], nullable=False)
    problem = Coins(force=[True] * 20)

    batch = data.ingest(_with_schema(problem, schema), "p1", CHECKS)

    assert batch.rows["force"].dtype == bool


def _with_schema(problem: Coins, schema: pa.DataFrameSchema) -> Problem:
    class Changed(Coins):
        @property
        def schema(self) -> pa.DataFrameSchema:
            """The other schema."""
            return schema

    return Changed(**problem._columns)


def test_the_first_of_rows_with_one_key_is_kept() -> None:
    """The later one is set aside and counted as a duplicate."""
    batch = trains(lambda rows: pd.concat([rows, rows.iloc[[50]].assign(distance=1.0)]), LENIENT)

    assert batch.figures["duplicated"] == 1
    assert reasons(batch) == ["distance: greater_than(0)", "key: stands in an earlier row"]
    pd.testing.assert_frame_equal(batch.rows, trains().rows)


def test_a_bad_row_takes_no_key_from_a_good_one() -> None:
    """When the first row with a key is set aside, the second is no duplicate."""
    batch = trains(lambda rows: pd.concat([rows, rows.iloc[[1]].assign(distance=9.0)]))

    assert batch.figures["duplicated"] == 0
    assert batch.rows["distance"].iloc[-1] == 9.0


def test_a_row_needs_its_key_whatever_the_schema_allows() -> None:
    """A nullable key column is no excuse."""
    schema = Problem("toy_delays").schema.update_column("day", nullable=True)

    batch = data.ingest(Revised("toy_delays", with_cell(100, "day", None), schema), JANUARY, CHECKS)

    assert reasons(batch) == ["distance: greater_than(0)", "day: is null"]


def test_a_relation_between_columns_names_the_key_of_the_row() -> None:
    """Its cells alone would not tell which row."""
    short = pa.Check(lambda rows: (rows["line"] != "west") | (rows["distance"] < 50), name="west_is_short")
    schema = Problem("toy_delays").schema.add_columns({})
    schema.checks = [short]

    with pytest.raises(RatchetError, match=r"2021-01: west_is_short \(\d\d rows, such as '2021-01-01 \d+'") as error:
        data.ingest(Revised("toy_delays", schema=schema), JANUARY, CHECKS)

    assert "wind" not in str(error.value)


def test_uniqueness_of_other_columns_stays_with_the_schema() -> None:
    """Only the key has a first row that is good."""
    schema = Problem("toy_delays").schema.add_columns({})
    schema.unique = ["day", "train", "line"]
    double = lambda rows: pd.concat([rows, rows.iloc[[50]]])  # noqa: E731

    batch = data.ingest(Revised("toy_delays", double, schema), JANUARY, LENIENT)

    assert reasons(batch) == ["distance: greater_than(0)", *["multiple_fields_uniqueness"] * 2]


# --- batches ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: rows.drop(columns="wind"),
            r"2021-01: wind: the column is missing, in all 372 rows\n.*day, train",
        ),
        (lambda rows: rows.assign(late=1), r"2021-01: late: the column is not in the schema, in all 372 rows"),
        (lambda rows: rows.head(0), r"2021-01: the batch is empty"),
        (
            lambda rows: rows.assign(distance="far"),
            r"distance: is not a number \(372 rows, such as 'far'\)\n372 of 372",
        ),
        (lambda rows: rows.assign(line=3), r"line: is not text \(372 rows, such as 3\)"),
        (lambda rows: rows.assign(train=rows["train"] / 7), r"train: is not a whole number \(341 rows, such as 0\.14"),
        (lambda rows: rows.assign(wind=-1), r"wind: greater_than_or_equal_to\(0\) \(37\d rows, such as -1\.0\)"),
        (lambda rows: pd.concat([rows, rows]), r"key: stands in an earlier row \(371 rows, such as '2021-01-01 1', "),
        (lambda rows: rows.assign(day="2021-02-01"), r"day: is outside of the period \(371 rows, such as '2021-02-01'"),
        (lambda rows: rows.iloc[24:], r"2021-01: days 2021-01-03 to 2021-01-31: 2 are missing before, at most 1"),
        (lambda rows: rows.iloc[:-36], r"2021-01: days 2021-01-01 to 2021-01-28: 3 are missing after, at most 1"),
        (lambda rows: rows.assign(delay=None), r"2021-01: delay: is null in all 371 rows"),
    ],
)
def test_a_bad_batch_is_an_error(change: Change, message: str) -> None:
    """It names the period, the column, the rule, how many rows and a sample, in at most three lines."""
    with pytest.raises(RatchetError, match=message) as error:
        trains(change)

    assert str(error.value).startswith("2021-01: ")
    assert len(str(error.value).splitlines()) <= 3


@pytest.mark.parametrize("change", [lambda rows: rows.head(0), lambda _: pd.DataFrame(), lambda rows: rows.iloc[:-36]])
def test_what_has_not_come_yet_is_told_from_what_is_wrong(change: Change) -> None:
    """No rows, or the last days missing: whoever waits for a period waits on."""
    with pytest.raises(AbsentError):
        trains(change)
    with pytest.raises(RatchetError) as error:
        trains(lambda rows: rows.iloc[24:])
    assert not isinstance(error.value, AbsentError)


@pytest.mark.parametrize("private", ["line", "train", "distance"])
@pytest.mark.parametrize(
    ("change", "secret"),
    [
        (lambda rows: rows.assign(line=777), "777"),
        (lambda rows: rows.assign(distance="far away"), "far away"),
        (lambda rows: rows.assign(distance=-777.0), "777"),
        (lambda rows: pd.concat([rows, rows]), "2021-01-01 1"),
        (lambda rows: rows.assign(train=-777), "777"),
    ],
)
def test_no_value_of_a_private_column_is_in_an_error(change: Change, secret: str, private: str) -> None:
    """It may end in a public issue; the rule that is broken and how often are said all the same."""
    schema = Problem("toy_delays").schema.update_column(private, metadata={"private": True})
    with pytest.raises(RatchetError, match=r"\(3\d\d rows") as shown:
        trains(change)
    with pytest.raises(RatchetError, match=r"\(3\d\d rows") as error:
        data.ingest(Revised("toy_delays", change, schema), JANUARY, CHECKS)

    assert secret in str(shown.value)
    rule = str(error.value).partition(": ")[2].partition(":")[0]
    assert (secret in str(error.value)) == (private not in {rule, "train"})  # the key stands beside other rules


def test_a_private_value_is_not_in_what_a_rule_raises() -> None:
    """Python quotes what it could not take; a rule over columns may quote any of them."""
    schema = Problem("toy_delays").schema.update_column("line", metadata={"private": True})
    failing = pa.Check(lambda rows: rows["line"].map(float) > 0, name="is_a_number")
    for level in ("table", "column"):
        broken = schema.add_columns({})
        if level == "table":
            broken.checks = [failing]
        else:
            broken = schema.update_column("line", checks=[pa.Check(lambda line: line.map(float) > 0)])
        with pytest.raises(RatchetError, match="fails on all 372 rows\n") as error:
            data.ingest(Revised("toy_delays", schema=broken), JANUARY, CHECKS)
        assert not {"north", "south", "west"} & set(re.findall(r"\w+", str(error.value)))


def test_a_private_label_is_not_in_an_error() -> None:
    """Neither is a class of it."""
    schema = Problem("toy_coins").schema.update_column("head", checks=[], metadata={"private": True})
    with pytest.raises(RatchetError, match="its 20 labels are of another kind; a binary task needs both 0 and 1"):
        data.ingest(_with_schema(Coins(head=[0, 7] * 10), schema), "p1", CHECKS)


def test_whoever_does_not_wait_for_labels_takes_them_as_they_are() -> None:
    """Those that came first may be of one class, or none may have come."""
    for labels in ([1, None] * 10, [None] * 20):
        assert len(data.ingest(Coins(head=labels), "p1", CHECKS, labelled=False).rows) == 20


def test_an_unknown_period_is_an_error_of_the_source() -> None:
    """It says which there are."""
    with pytest.raises(RatchetError, match="no trains of '2020-01'; the months are 2021-01 to 2021-12"):
        data.ingest(Problem("toy_delays"), "2020-01", CHECKS)


def test_days_missing_within_the_bound_are_only_counted() -> None:
    """A first day without trains may be a holiday."""
    assert trains(lambda rows: rows.iloc[12:]).figures["days"]["missing_before"] == 1


def test_a_batch_without_any_valid_row_is_an_error_under_any_bound() -> None:
    """Bounds of 100 % do not make an empty training set."""
    with pytest.raises(RatchetError, match=r"distance: greater_than\(0\) \(372 rows.*\nnone of 372 rows is left"):
        trains(lambda rows: rows.assign(distance=-1.0), LENIENT)


def test_a_rule_that_cannot_be_checked_is_an_error() -> None:
    """A check that fails on every row is a mistake in the schema, not in one row."""
    schema = Problem("toy_delays").schema.add_columns({})
    schema.checks = [pa.Check(lambda rows: rows["speed"] > 0, name="is_moving")]

    with pytest.raises(RatchetError, match=r"2021-01: .*fails on all 372 rows: KeyError.*speed"):
        data.ingest(Revised("toy_delays", schema=schema), JANUARY, CHECKS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1] * 20, r"p1: head: its 20 labels are 1\.0; a binary task needs both 0 and 1"),
        ([0, None] * 10, r"p1: head: its 10 labels are 0\.0;"),
        ([None] * 20, r"p1: head: is null in all 20 rows"),
        ([0, 2] * 10, r"p1: head: isin\(\[0, 1\]\) \(10 rows, such as 2\.0\)"),
    ],
)
def test_labels_that_teach_nothing_are_an_error(labels: list[object], message: str) -> None:
    """One class, none, or others than 0 and 1."""
    with pytest.raises(RatchetError, match=message):
        data.ingest(Coins(head=labels), "p1", CHECKS)


def test_a_third_class_is_an_error_even_where_the_schema_allows_it() -> None:
    """The task says what a label is."""
    schema = Problem("toy_coins").schema.update_column("head", checks=[])

    with pytest.raises(RatchetError, match=r"its 20 labels are 0\.0, 1\.0, 2\.0"):
        data.ingest(_with_schema(Coins(head=[0, 1, 2, 1] * 5), schema), "p1", CHECKS)


def test_a_regression_may_have_one_value_only() -> None:
    """Nothing assumes classes."""
    assert trains(lambda rows: rows.assign(delay=3.0)).figures["label_mean"] == 3.0


def test_periods_that_are_no_months_say_that_no_days_were_checked() -> None:
    """The check is left out visibly."""
    batch = data.ingest(Coins(), "p1", CHECKS)

    assert batch.figures["days"] == {
        "first": "monday",
        "last": "tuesday",
        "missing_before": None,
        "missing_after": None,
    }


# --- the source ---


def test_the_digest_of_the_source_is_that_of_its_comma_separated_values() -> None:
    """It can be made again by anyone, with any version of anything."""
    text = Problem("toy_delays").fetch(JANUARY).to_csv(index=False, lineterminator="\n")

    assert json.loads(trains().source) == {"rows": 372, "sha256": hashlib.sha256(text.encode()).hexdigest()}


# --- the history ---


def figures(period: str, **changes: Any) -> dict[str, Any]:
    return {
        "period": period,
        "rows": 1000,
        "labelled": 900,
        "label_mean": 0.2,
        "nulls": {"a": 0.1, "b": 0.0},
        **changes,
    }


def test_the_first_period_has_no_history() -> None:
    """Whatever it holds, there is nothing to compare it with."""
    data.check_history([figures("p1", rows=3, label_mean=0.9)], CHECKS, "binary")


def test_periods_like_those_before_pass() -> None:
    """Moves within the bounds are life."""
    history = [figures("p1"), figures("p2", rows=1399, nulls={"a": 0.149, "b": 0.05}, label_mean=0.34)]

    data.check_history(history, CHECKS, "binary")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 690}, r"p3: 690 rows are 0\.69 x the median of the periods before it, 1000; 0\.7 to 1\.4 is allowed"),
        ({"rows": 1500}, r"p3: 1500 rows are 1\.50 x the median"),
        (
            {"nulls": {"a": 0.1, "b": 0.06}},
            r"p3: b: is null in 60 of 1000 rows, 6\.0%, after at most 0\.0%; a rise of 5\.0%",
        ),
        ({"nulls": {"a": 0.1, "c": 0.5}}, r"p3: c: is null in 500 of 1000 rows"),
        (
            {"label_mean": 0.36},
            r"p3: the mean label of 900 rows is 0\.360, in the periods before it 0\.200; a move of 0\.15",
        ),
        ({"label_mean": 0.04}, r"p3: the mean label of 900 rows is 0\.040"),
    ],
)
def test_a_period_unlike_those_before_is_an_error(changes: dict[str, Any], message: str) -> None:
    """Its size, the nulls of a column or the label rate moved too far; the message says what was usual."""
    history = [figures("p1"), figures("p2"), figures("p3", **changes)]

    with pytest.raises(RatchetError, match=message) as error:
        data.check_history(history, CHECKS, "binary")

    assert "params.yaml" in str(error.value)


def test_nulls_are_compared_with_the_worst_period_seen() -> None:
    """A column that was once half null may be so again."""
    history = [figures("p1", nulls={"a": 0.5}), figures("p2", nulls={"a": 0.0}), figures("p3", nulls={"a": 0.52})]

    data.check_history(history, CHECKS, "binary")


def test_the_usual_label_rate_is_that_of_all_labelled_rows() -> None:
    """A small period before counts little."""
    history = [figures("p1", labelled=10, label_mean=0.35), figures("p2", labelled=990, label_mean=0.2)]

    with pytest.raises(RatchetError, match=r"p3: .* before it 0\.202"):
        data.check_history([*history, figures("p3", label_mean=0.36)], CHECKS, "binary")


def test_the_mean_of_a_regression_may_move() -> None:
    """A number of minutes has no known scale."""
    data.check_history([figures("p1"), figures("p2", label_mean=30.0)], CHECKS, "regression")


# --- files ---

LISTED = Data(periods=("2021-01", "2021-02", "2021-03"), holdout=1, checks=CHECKS)


@pytest.fixture
def periods(tmp_path: Path) -> Path:
    for period in LISTED.periods:
        data.write(data.ingest(Problem("toy_delays"), period, CHECKS), tmp_path / period)
    return tmp_path


def test_a_batch_is_written_as_one_folder_with_the_digest_of_its_rows(tmp_path: Path) -> None:
    """Written twice, it is the same bytes."""
    data.write(trains(), tmp_path / "a")
    data.write(trains(), tmp_path / "b")

    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "batch.json",
        "quarantine.parquet",
        "rows.parquet",
        "source.json",
    ]
    assert all(path.read_bytes() == (tmp_path / "b" / path.name).read_bytes() for path in (tmp_path / "a").iterdir())
    written = files.read_json(tmp_path / "a" / "batch.json")
    assert written["sha256"] == hashlib.sha256((tmp_path / "a" / "rows.parquet").read_bytes()).hexdigest()
    pd.testing.assert_frame_equal(files.read_parquet(tmp_path / "a" / "rows.parquet"), trains().rows)
    pd.testing.assert_frame_equal(files.read_parquet(tmp_path / "a" / "quarantine.parquet"), trains().quarantine)


FULL = """
import resource, signal, sys
from pathlib import Path
from ratchet import data
from ratchet.errors import told_to_the_user
from ratchet.params import Checks
from ratchet.problem import Problem

checks = Checks(quarantined=0.01, duplicated=0.001, rows=(0.7, 1.4), nulls=0.05, label_rate=0.15, gap_days=1)
batch = data.ingest(Problem("toy_delays", Path(sys.argv[2])), "2021-02", checks)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with told_to_the_user():
    data.write(batch, Path(sys.argv[1]))
"""


def test_a_full_disk_leaves_the_previous_batch_as_it_was(tmp_path: Path) -> None:
    """A file that cannot grow any more ends the run with one line, and leaves nothing half-written."""
    folder = tmp_path / "period"
    data.write(trains(), folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    command = [sys.executable, "-c", FULL, str(folder), str(Path(__file__).parent / "problems")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 2
    assert run.stderr.startswith("error: ")
    assert "File too large" in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["period"]


def test_a_data_set_lists_what_trains_and_what_tests(periods: Path) -> None:
    """By period, with counts and the digest of the rows."""
    dataset = data.assemble(Problem("toy_delays"), LISTED, periods)

    assert (dataset["task"], dataset["target"]) == ("regression", "delay")
    assert list(dataset["train"]) == ["2021-01", "2021-02"]
    nulls = dataset["test"]["2021-03"].pop("nulls")
    assert nulls == files.read_json(periods / "2021-03" / "batch.json")["nulls"]
    assert dataset["test"] == {
        "2021-03": {
            "rows": 371,
            "labelled": 364,
            "quarantined": 1,
            "label_mean": 8.50247,
            "sha256": files.sha256(periods / "2021-03" / "rows.parquet"),
        }
    }


def test_a_data_set_is_not_made_of_batches_that_do_not_fit(periods: Path) -> None:
    """The history is checked in the order of time."""
    listed = LISTED.model_copy(update={"checks": CHECKS.model_copy(update={"rows": (0.99, 1.01)})})

    with pytest.raises(RatchetError, match=r"2021-02: 335 rows are 0\.90 x the median of the periods before it, 371"):
        data.assemble(Problem("toy_delays"), listed, periods)


def test_a_period_that_was_never_ingested_is_an_error(periods: Path) -> None:
    """It says which file is not there."""
    listed = LISTED.model_copy(update={"periods": (*LISTED.periods, "2021-04")})

    with pytest.raises(RatchetError, match=r"2021-04.batch\.json: cannot be read"):
        data.assemble(Problem("toy_delays"), listed, periods)


def test_rows_are_read_of_the_listed_periods_only(periods: Path) -> None:
    """In the order of time, those with a label; the others on demand."""
    dataset = data.assemble(Problem("toy_delays"), LISTED, periods)
    data.write(data.ingest(Problem("toy_delays"), "2021-04", CHECKS), periods / "2021-04")

    rows = data.load(dataset, "train", periods)

    assert rows["day"].iloc[0] == "2021-01-01"
    assert rows["day"].iloc[-1] == "2021-02-28"
    assert rows["delay"].notna().all()
    assert list(rows.index) == list(range(len(rows)))
    assert len(data.load(dataset, "train", periods, labelled=False)) == 371 + 335


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is not a readable Parquet file"),
        (lambda path: path.unlink(), "does not exist"),
        (
            lambda path: files.write_parquet(path, files.read_parquet(path).assign(delay=0.0)),
            "is not the file that data/dataset.json lists",
        ),
    ],
)
def test_rows_that_were_harmed_are_not_read(periods: Path, harm: Callable[[Path], None], message: str) -> None:
    """Truncated, missing or changed: the error names the file."""
    dataset = data.assemble(Problem("toy_delays"), LISTED, periods)
    harm(periods / "2021-02" / "rows.parquet")

    with pytest.raises(RatchetError, match=rf"2021-02.rows\.parquet: {message}"):
        data.load(dataset, "train", periods)


def test_periods_no_longer_listed_are_forgotten(periods: Path) -> None:
    """So is what an interrupted run has left; files beside them are not touched."""
    (periods / ".2021-02-x1y2").mkdir()
    (periods / "note.txt").write_text("kept")

    data.forget(periods, ["2021-01", "2021-03"])

    assert sorted(path.name for path in periods.iterdir()) == ["2021-01", "2021-03", "note.txt"]


def test_there_may_be_nothing_to_forget(tmp_path: Path) -> None:
    """A fresh clone has no folder yet."""
    data.forget(tmp_path / "none", ["2021-01"])

    assert not (tmp_path / "none").exists()


def test_clusters_are_text_that_sorts_in_time() -> None:
    """Whole numbers are padded; the index of the rows is kept."""
    rows = pd.DataFrame({"year": [2013, 2013, 2013], "month": [10, 4, 4], "day": [1, 30, 2]}, index=[7, 8, 9])

    clusters = data.clusters(rows, Problem("toy_departures"))

    assert clusters.to_dict() == {7: "2013-10-01", 8: "2013-04-30", 9: "2013-04-02"}


def test_clusters_of_one_text_column_are_that_text() -> None:
    """Nothing assumes dates."""
    assert list(data.clusters(pd.DataFrame({"day": ["b", "a", "b"]}), Problem("toy_coins"))) == ["b", "a", "b"]


def test_clusters_of_no_rows_are_none() -> None:
    """An empty frame has none."""
    assert data.clusters(pd.DataFrame({"day": np.array([], dtype=str)}), Problem("toy_coins")).empty
