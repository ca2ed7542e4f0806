"""Data: one batch per period, checked row by row and as a whole, and the data set that params.yaml makes of them.

A row that breaks the schema is set aside with its reason and counted. A batch that is wrong as a whole (too many such
rows, a column missing, no labels, a size or a mean that the history does not know) is an error, and nothing is written.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import shutil
from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratchet import files
from ratchet.errors import AbsentError, RatchetError

if TYPE_CHECKING:
    import pandera.pandas as pa

    from ratchet.params import Checks, Data
    from ratchet.problem import Problem, Task

PERIODS = Path("data/periods")
DATASET = Path("data/dataset.json")

ROWS = "rows.parquet"
QUARANTINE = "quarantine.parquet"
BATCH = "batch.json"
SOURCE = "source.json"

REASON = "reason"
REPEATED = "key: stands in an earlier row"

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """One period, checked.

    Attributes:
        period: Its name.
        rows: Valid rows, columns in the order and of the types of the schema.
        quarantine: Rows set aside, as they came but as text, with the column `reason`.
        figures: Content of `batch.json`: counts, reasons, share of nulls by column, mean label, days covered.
        source: Bytes of `source.json`: number and digest of the rows as they were fetched.
    """

    period: str
    rows: pd.DataFrame
    quarantine: pd.DataFrame
    figures: Figures
    source: bytes


def ingest(problem: Problem, period: str, checks: Checks, *, labelled: bool = True) -> Batch:
    """Fetch one period and check it.

    Args:
        problem: Whose source and schema.
        period: Its name.
        checks: The bounds.
        labelled: Whether labels must have come, and be those of the task; what looks at drift does not wait for them.

    Raises:
        AbsentError: The source has no rows yet, or its last days are missing.
        RatchetError: The batch is wrong as a whole; names the column, the rule, how many rows, and a sample, but
            never a value of a private column.
    """
    schema, key = problem.schema, list(problem.key)
    fetched = problem.fetch(period).reset_index(drop=True)
    if fetched.empty:
        raise AbsentError(
            f"{period}: the batch is empty: the source gave no rows\n"
            "wait for them, or correct data.periods in params.yaml"
        )
    _check_shape(period, fetched, schema)
    unreadable = _unreadable(fetched, schema)
    rows = _typed(_without(fetched, unreadable), schema)
    faults = [unreadable]
    for check in (
        partial(_unlawful, schema=schema, key=key, period=period),
        partial(_nameless, columns=[*key, *problem.cluster]),
        partial(_outside, problem=problem, period=period),
        partial(_repeated, key=key),
    ):
        found = check(rows)
        rows = _without(rows, found)
        faults.append(found)
    broken = pd.concat(faults, ignore_index=True)
    _check_faults(period, len(fetched), broken, checks, problem)
    days = _days(period, clusters(rows, problem))
    _check_days(period, days, checks.gap_days)
    if labelled:
        check_labels(period, rows[problem.target], problem)
    figures = _figures(period, rows, problem.target, broken) | {"days": days}
    return Batch(period, rows.reset_index(drop=True), _quarantine(fetched, broken), figures, _source(fetched))


def check_history(batches: Sequence[Figures], checks: Checks, task: Task) -> None:
    """Compare each batch with those before it, in order of time; the first has none to be compared with.

    Args:
        batches: Contents of `batch.json`.
        checks: The bounds.
        task: Mean labels are compared in binary tasks only, where a share has a known scale.

    Raises:
        RatchetError: A batch has far fewer or more rows, more nulls in a column, or another label rate than before.
    """
    for number, batch in enumerate(batches):
        before = batches[:number]
        if before:
            _check_row_count(batch, before, checks.rows)
            _check_nulls(batch, before, checks.nulls)
            if task == "binary" and batch["labelled"]:
                _check_label_rate(batch, before, checks.label_rate)


def check_labels(period: str, labels: pd.Series[Any], problem: Problem) -> None:
    """Check the labels of a period, null where there is none.

    Raises:
        RatchetError: There are none at all, or those of a binary task are not both 0 and 1.
    """
    known = labels.dropna()
    if known.empty:
        raise RatchetError(
            f"{period}: {problem.target}: is null in all {len(labels)} rows\n"
            "labels come later: wait for them, or correct data.periods in params.yaml"
        )
    if problem.task == "regression":
        return
    values = sorted(float(value) for value in known.unique())
    if values != [0.0, 1.0]:
        is_private = _is_private(problem.schema, [problem.target])
        shown = "of another kind" if is_private else ", ".join(map(str, values[:5]))
        raise RatchetError(
            f"{period}: {problem.target}: its {len(known)} labels are {shown}; a binary task needs both 0 and 1\n"
            "correct the source, or TASK in the schema"
        )


def write(batch: Batch, folder: Path) -> None:
    """Write a batch as one folder, whole or not at all: `rows.parquet`, `quarantine.parquet` and their figures.

    Raises:
        OSError: The disk is full or the folder cannot be written; what was there before stays.
    """
    with files.directory(folder) as new:
        files.write_parquet(new / ROWS, batch.rows)
        files.write_parquet(new / QUARANTINE, batch.quarantine)
        files.write_json(new / BATCH, {**batch.figures, "sha256": files.sha256(new / ROWS)})
        files.write_bytes(new / SOURCE, batch.source)


def assemble(problem: Problem, data: Data, folder: Path = PERIODS) -> dict[str, Any]:
    """Content of `data/dataset.json`: the task, and the batches that train and test, by period.

    Args:
        problem: Says the task and the target.
        data: Which periods train and test, and the bounds for comparing them.
        folder: Where the periods lie, one folder each.

    Raises:
        RatchetError: A batch does not fit its history, or a period was never ingested.
    """
    batches = {period: files.read_json(folder / period / BATCH) for period in data.periods}
    check_history(list(batches.values()), data.checks, problem.task)
    listed = ("rows", "labelled", "quarantined", "label_mean", "nulls", "sha256")
    entries = {period: {name: batch[name] for name in listed} for period, batch in batches.items()}
    return {
        "task": problem.task,
        "target": problem.target,
        "train": {period: entries[period] for period in data.train},
        "test": {period: entries[period] for period in data.test},
    }


def load(dataset: Figures, part: str, folder: Path = PERIODS, *, labelled: bool = True) -> pd.DataFrame:
    """Rows of the periods that a data set lists, in order of time, and of no others.

    Args:
        dataset: What `assemble` made.
        part: `train` or `test`.
        folder: Where the periods lie, one folder each.
        labelled: Leave out rows without a label.

    Raises:
        RatchetError: A file is missing, truncated, or not the one that was ingested.
    """
    periods = dataset[part]
    rows = pd.concat([_verified(folder / period / ROWS, periods[period]["sha256"]) for period in sorted(periods)])
    return (rows[rows[dataset["target"]].notna()] if labelled else rows).reset_index(drop=True)


def clusters(frame: pd.DataFrame, problem: Problem) -> pd.Series[str]:
    """The cluster of each row as text that sorts in time, shape (n,): `2013-04-01`.

    The cluster columns joined by `-`, whole numbers padded to two digits.
    """
    columns = list(problem.cluster)
    distinct = frame[columns].drop_duplicates()
    names = np.array(["-".join(map(_part, row)) for row in distinct.itertuples(index=False)], dtype=object)
    numbers = frame.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()
    return pd.Series(names[numbers], index=frame.index, dtype="str", name="cluster")


def forget(folder: Path, periods: Sequence[str]) -> None:
    """Remove the folders of periods that are no longer listed, and what an interrupted run may have left."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir() and path.name not in periods:
            shutil.rmtree(path)


# --- rows ------------------------------------------------------------------------------------------------------------
# A check of rows gives its *faults*: one line for each row and rule, with the columns `row` (its label in the index),
# `rule` and `value` (what stands there).


def _faults(rule: str, values: pd.Series[Any]) -> pd.DataFrame:
    """Faults of the rows in the index of `values`."""
    return pd.DataFrame({"row": values.index, "rule": rule, "value": values.astype(object).array}).astype(
        {"row": "int64", "rule": "str"}
    )


def _without(rows: pd.DataFrame, faults: pd.DataFrame) -> pd.DataFrame:
    return rows[~rows.index.isin(faults["row"])]


def _unreadable(fetched: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Cells that cannot be read as the type of their column."""
    found = [_faults(f"{name}: is not {noun}", fetched[name][bad]) for name, noun, bad in _misread(fetched, schema)]
    return pd.concat(found, ignore_index=True)


def _misread(fetched: pd.DataFrame, schema: pa.DataFrameSchema) -> Iterator[tuple[str, str, pd.Series[bool]]]:
    for name, column in schema.columns.items():
        values, kind = fetched[name], _kind(column)
        if kind == "str":
            yield name, "text", values.notna() & ~_is_text(values)
        elif kind.startswith("float"):
            yield name, "a number", values.notna() & ~_is_finite(values)
        elif kind.startswith(("int", "Int")):  # pandas' Int64 may be null, NumPy's int64 not
            whole = _is_finite(values) & (_numbers(values) % 1 == 0)
            yield name, "a whole number", ~whole & (values.notna() | kind.startswith("int"))


def _kind(column: pa.Column) -> str:
    """A column's type by the name that pandas knows; text is always pandas' own `str`, however it is stored."""
    kind = str(column.dtype)
    return "str" if kind.startswith("str") else kind


def _is_text(values: pd.Series[Any]) -> pd.Series[bool]:
    if isinstance(values.dtype, pd.StringDtype):
        return values.notna()
    return values.map(lambda value: isinstance(value, str)).astype(bool)


def _numbers(values: pd.Series[Any]) -> pd.Series[float]:
    return pd.to_numeric(values, errors="coerce").astype("float64")


def _is_finite(values: pd.Series[Any]) -> pd.Series[bool]:
    return _numbers(values).between(-_LARGEST, _LARGEST)


_LARGEST = float(np.finfo("float64").max)


def _typed(readable: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Readable rows in the types and the order of columns of the schema."""
    columns = {}
    for name, column in schema.columns.items():
        kind, values = _kind(column), readable[name]
        columns[name] = (pd.to_numeric(values) if kind.startswith(("int", "Int", "float")) else values).astype(kind)
    return pd.DataFrame(columns, index=readable.index)


def _unlawful(rows: pd.DataFrame, schema: pa.DataFrameSchema, key: Sequence[str], period: str) -> pd.DataFrame:
    """Rows that break a rule of the schema; a rule that could not be tried on rows is an error."""
    from pandera.errors import SchemaErrors

    rules = copy.copy(schema)
    if set(rules.unique or ()) == set(key):
        rules.unique = None  # the first row with a key is good, see `_repeated`
    try:
        rules.validate(rows, lazy=True)
    except SchemaErrors as error:
        cases: pd.DataFrame = error.failure_cases
    else:
        return _faults("", pd.Series(dtype=object))
    untried = cases[cases["index"].isna()]
    if not untried.empty:
        case = untried.iloc[0]
        # What a rule raises may quote what it was tried on: a cell of its column, or any where it compares columns.
        seen = [case["column"]] if case["schema_context"] == "Column" else schema.columns
        why = "" if _is_private(schema, seen) else f": {case['failure_case']}"
        raise RatchetError(
            f"{period}: {case['column']}: {case['check']}: fails on all {len(rows)} rows{why}\n"
            "correct the schema, or the source"
        )
    on_column, check = cases["schema_context"] == "Column", cases["check"].astype(str)
    rule = check.where(~on_column, cases["column"].astype(str) + ": " + check)
    faults = pd.DataFrame({"row": cases["index"].astype("int64"), "rule": rule, "value": cases["failure_case"]})
    # A relation between columns comes with every cell of its row: one line will do, with the key to find it by.
    relations = faults[~on_column].drop_duplicates(["row", "rule"])
    relations = relations.assign(value=_names(rows.loc[relations["row"], list(key)]).array)
    return pd.concat([faults[on_column], relations], ignore_index=True)


def _nameless(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Rows without key or cluster, whatever the schema allows."""
    found = [_faults(f"{name}: is null", rows[name][rows[name].isna()]) for name in dict.fromkeys(columns)]
    return pd.concat(found, ignore_index=True)


def _outside(rows: pd.DataFrame, problem: Problem, period: str) -> pd.DataFrame:
    """Rows of days before or after the period."""
    days = clusters(rows, problem)
    first, last = _month(period, days) or (days, days)
    return _faults(f"{' '.join(problem.cluster)}: is outside of the period", days[(days < first) | (days > last)])


def _repeated(rows: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Rows with the key of an earlier one."""
    return _faults(REPEATED, _names(rows.loc[rows.duplicated(list(key)), list(key)]))


def _names(keys: pd.DataFrame) -> pd.Series[Any]:
    """The keys of rows, each as one text to find it by."""
    return pd.Series([" ".join(map(str, key)) for key in keys.itertuples(index=False)], index=keys.index, dtype=object)


def _quarantine(fetched: pd.DataFrame, faults: pd.DataFrame) -> pd.DataFrame:
    reasons = faults.groupby("row")["rule"].agg("; ".join)
    # As text: a column that holds the wrong kind of value has no type of its own.
    text = {
        name: values.map(str, na_action="ignore").astype("str") for name, values in fetched.loc[reasons.index].items()
    }
    return pd.DataFrame({**text, REASON: reasons.astype("str")}).reset_index(drop=True)


# --- batches ---------------------------------------------------------------------------------------------------------


def _check_shape(period: str, fetched: pd.DataFrame, schema: pa.DataFrameSchema) -> None:
    missing = [str(name) for name in schema.columns if name not in fetched.columns]
    extra = [str(name) for name in fetched.columns if name not in schema.columns]
    for name in missing or extra:
        what = "is missing" if missing else "is not in the schema"
        raise RatchetError(
            f"{period}: {name}: the column {what}, in all {len(fetched)} rows\n"
            f"the source gave {', '.join(map(str, fetched.columns))}\ncorrect the source, or the schema"
        )


def _check_faults(period: str, fetched: int, faults: pd.DataFrame, checks: Checks, problem: Problem) -> None:
    repeated = faults["rule"] == REPEATED
    for found, name in ((faults[~repeated], "quarantined"), (faults[repeated], "duplicated")):
        count, bound = found["row"].nunique(), getattr(checks, name)
        if count > bound * fetched:
            raise RatchetError(
                f"{period}: {_worst(found, problem)}\n"
                f"{count} of {fetched} rows are {name}, at most {bound:.2%} may be: "
                f"correct the source, the schema, or data.checks.{name} in params.yaml"
            )
    if faults["row"].nunique() == fetched:
        raise RatchetError(
            f"{period}: {_worst(faults, problem)}\nnone of {fetched} rows is left: correct the source or the schema"
        )


def _worst(faults: pd.DataFrame, problem: Problem) -> str:
    """The rule that most rows break, how many they are, and a sample where none of it is private."""
    counts = faults["rule"].value_counts()
    rule, rows = str(counts.index[0]), counts.iloc[0]
    # What stands beside a rule is a cell of its column, or the key or the cluster of the row.
    if _is_private(problem.schema, [rule.partition(": ")[0], *problem.key, *problem.cluster]):
        return f"{rule} ({rows} rows)"
    values = faults.loc[faults["rule"] == rule, "value"]
    sample = ", ".join(dict.fromkeys(f"{value!r:.60}" for value in values.head(100)[:3]))
    return f"{rule} ({rows} rows, such as {sample})"


def _is_private(schema: pa.DataFrameSchema, names: Iterable[str]) -> bool:
    """Whether values of any of these columns must not be shown; an error may end in a public log or issue."""
    columns = schema.columns
    return any((columns[name].metadata or {}).get("private", False) for name in names if name in columns)


def _month(period: str, days: pd.Series[str]) -> tuple[str, str] | None:
    """First and last day of a period that is a month of clusters that are days, else None."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", period) or not days.str.fullmatch(r"\d{4}-\d\d-\d\d").all():
        return None
    year, month = map(int, period.split("-"))
    return f"{period}-01", f"{period}-{monthrange(year, month)[1]:02}"


def _days(period: str, days: pd.Series[str]) -> dict[str, Any]:
    """First and last cluster, and how many days before and after them the period has (null when it has none)."""
    first, last = str(days.min()), str(days.max())
    month = _month(period, days)
    return {
        "first": first,
        "last": last,
        "missing_before": int(first[-2:]) - int(month[0][-2:]) if month else None,
        "missing_after": int(month[1][-2:]) - int(last[-2:]) if month else None,
    }


def _check_days(period: str, days: Figures, bound: int) -> None:
    for name, error in (("missing_before", RatchetError), ("missing_after", AbsentError)):  # the last days may yet come
        if days[name] is not None and days[name] > bound:
            raise error(
                f"{period}: days {days['first']} to {days['last']}: {days[name]} are {name.replace('_', ' ')}, at most "
                f"{bound} may be\nwait until the period is complete, or correct data.checks.gap_days in params.yaml"
            )


def _figures(period: str, rows: pd.DataFrame, target: str, faults: pd.DataFrame) -> dict[str, Any]:
    labels = rows[target].dropna()
    return {
        "period": period,
        "rows": len(rows),
        "labelled": len(labels),
        "label_mean": float(f"{labels.mean():.6g}") if len(labels) else None,
        "quarantined": int(faults["row"].nunique()),
        "duplicated": int((faults["rule"] == REPEATED).sum()),
        "reasons": {str(rule): int(count) for rule, count in faults["rule"].value_counts().items()},
        "nulls": {str(name): float(f"{share:.6g}") for name, share in rows.isna().mean().items()},
    }


def _source(fetched: pd.DataFrame) -> bytes:
    """Digest of the rows as comma-separated values, which no version of Parquet or pandas writes in another way."""
    text = fetched.to_csv(index=False, lineterminator="\n")
    return _json({"rows": len(fetched), "sha256": hashlib.sha256(text.encode()).hexdigest()})


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


# --- history ---------------------------------------------------------------------------------------------------------


def _check_row_count(batch: Figures, before: Sequence[Figures], bounds: tuple[float, float]) -> None:
    usual = median(earlier["rows"] for earlier in before)
    ratio = batch["rows"] / usual
    if not bounds[0] <= ratio <= bounds[1]:
        raise RatchetError(
            f"{batch['period']}: {batch['rows']} rows are {ratio:.2f} x the median of the periods before it, "
            f"{usual:.0f}; {bounds[0]} to {bounds[1]} is allowed\n"
            "look at the source, or correct data.checks.rows in params.yaml"
        )


def _check_nulls(batch: Figures, before: Sequence[Figures], bound: float) -> None:
    # The highest share, not the usual one: what a column was once seen to be is no news.
    rises = {name: share - max(e["nulls"].get(name, 0.0) for e in before) for name, share in batch["nulls"].items()}
    name = max(rises, key=lambda name: rises[name])
    if rises[name] > bound:
        share, count = batch["nulls"][name], round(batch["nulls"][name] * batch["rows"])
        raise RatchetError(
            f"{batch['period']}: {name}: is null in {count} of {batch['rows']} rows, {share:.1%}, after at most "
            f"{share - rises[name]:.1%}; a rise of {bound:.1%} is allowed\n"
            "look at the source, or correct data.checks.nulls in params.yaml"
        )


def _check_label_rate(batch: Figures, before: Sequence[Figures], bound: float) -> None:
    labelled = sum(earlier["labelled"] for earlier in before)
    usual = sum(earlier["labelled"] * earlier["label_mean"] for earlier in before) / labelled
    mean = batch["label_mean"]
    if abs(mean - usual) > bound:
        raise RatchetError(
            f"{batch['period']}: the mean label of {batch['labelled']} rows is {mean:.3f}, in the periods before it "
            f"{usual:.3f}; a move of {bound} is allowed\n"
            "look at the source, or correct data.checks.label_rate in params.yaml"
        )


# --- files -----------------------------------------------------------------------------------------------------------


def _verified(path: Path, sha256: str) -> pd.DataFrame:
    rows = files.read_parquet(path)
    if files.sha256(path) != sha256:
        raise RatchetError(
            f"{path}: is not the file that data/dataset.json lists; it was changed after it was ingested\n"
            "`dvc checkout` brings it back, `dvc repro` makes it again"
        )
    return rows


def _part(value: Any) -> str:
    return f"{value:02d}" if isinstance(value, Integral) else str(value)
