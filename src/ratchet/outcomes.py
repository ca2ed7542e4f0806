"""Outcomes: what was predicted, joined with what became of it.

The prediction log knows no labels: they come days or months later, from the source or from a file, and are found by the
problem's KEY. The newest prediction of a key counts, for each model by itself: in shadow and A/B two have answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec  # type: ignore[import-untyped]
import numpy as np
import orjson
import pandas as pd

from ratchet import files, metrics
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.problem import Problem

TABLES = {".parquet", ".csv", ".jsonl", ".ndjson"}
ANSWER = ("model", "at", "score", "decision")
CHUNK = 100_000  # lines that are held as Python objects at a time
_SHOWN = {"binary": ("log_loss", "roc_auc"), "regression": ("mae", "rmse")}


@dataclass(frozen=True)
class Log:
    """Predictions as they were logged.

    Attributes:
        frame: The key's columns, `id`, `model`, `at` (UTC), `score`, `decision`; shape (n, key + 5).
        unreadable: Lines that are no prediction: torn by a crash, of another program, or with a key or a score of
            another type than the problem's.
        keyless: Predictions that lack a column of the key, which cannot be joined with anything.
    """

    frame: pd.DataFrame
    unreadable: int
    keyless: int


@dataclass(frozen=True)
class Outcomes:
    """Predictions and what became of them.

    Attributes:
        predictions: The newest of each key and model: the key's columns, `model`, `at`, `score`, `decision`, and
            `label`, which is null while there is none; ordered by model and key.
        repeated: Predictions that a newer one of the same key and model replaced.
        log: What they were taken from.
    """

    predictions: pd.DataFrame
    repeated: int
    log: Log

    @property
    def joined(self) -> pd.DataFrame:
        """Those with a label."""
        return self.predictions[self.predictions["label"].notna()].reset_index(drop=True)


def read(url: str, problem: Problem) -> Log:
    """Read a prediction log: all files below a folder whose name ends in `.jsonl`, or one file.

    Args:
        url: A path, or a URL that fsspec knows.
        problem: Whose key is looked for.

    Raises:
        RatchetError: The key can never be found in a log, or there is no log.
    """
    _check_key(problem)
    try:
        system, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise RatchetError(f"{url}: cannot be read: {error}") from error
    paths = [path for path in sorted(system.find(root)) if path.endswith((".jsonl", ".ndjson"))]
    if not paths:
        raise RatchetError(f"{url}: holds no predictions\nname what the service has in RATCHET_LOG: a folder or a URL")
    reader = _Reader(problem)
    lines = (line for path in paths for line in _lines(system, path))
    frames = []
    while chunk := list(islice(lines, CHUNK)):
        frames.append(reader.frame(chunk))
    return Log(pd.concat(frames or [reader.frame([])], ignore_index=True), reader.unreadable, reader.keyless)


def known(sources: Sequence[str], problem: Problem) -> pd.DataFrame:
    """Known labels: the key's columns and `label`; of several with one key the first counts.

    Args:
        sources: Periods, fetched by the problem, or files (.parquet, .csv, .jsonl) with the key and the target.
        problem: Whose they are.

    Raises:
        RatchetError: There is no such period or file, or it has not the columns or values of labels.
    """
    frames = [_labels(source, problem) for source in sources]
    return pd.concat(frames).dropna().drop_duplicates(list(problem.key), ignore_index=True)


def newest(log: Log, problem: Problem) -> pd.DataFrame:
    """The newest prediction of each key and model, by when it was asked and then by its id."""
    ordered = log.frame.sort_values(["at", "id"], kind="stable")
    return ordered.drop_duplicates([*problem.key, "model"], keep="last")


def join(log: Log, labels: pd.DataFrame, problem: Problem) -> Outcomes:
    """The newest prediction of each key and model, with its label where it is known."""
    key, found = list(problem.key), newest(log, problem)
    labelled = found.merge(labels, on=key, how="left", validate="many_to_one")
    rows = labelled.sort_values(["model", *key], ignore_index=True)[[*key, *ANSWER, "label"]]
    return Outcomes(rows, len(log.frame) - len(found), log)


def told(found: Outcomes, problem: Problem) -> str:
    """What was found, for people: sentences, and a line for each model."""
    rows, joined = found.predictions, found.joined
    said = [
        f"{len(joined):,} of {len(rows):,} predictions have a label, {len(rows) - len(joined):,} wait for one.",
        *_aside("replaced by a newer prediction of the same key and model", found.repeated),
        *_aside(f"left out, for a column of the key is missing ({', '.join(problem.key)})", found.log.keyless),
        *_aside("lines that are no prediction, such as the last one before a crash", found.log.unreadable),
    ]
    shown = [metrics.get(name, problem.task) for name in _SHOWN[problem.task]]
    label = "label rate" if problem.task == "binary" else "mean label"
    lines = [("model", "predictions", "joined", "mean score", label, *(metric.title for metric in shown))]
    lines += [_line(str(model), group, shown) for model, group in rows.groupby("model", sort=True)]
    return "\n".join([*said, *_aligned(lines)])


class _Reader:
    """Turns lines into frames, and counts what is none."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._kinds = {name: _kind(problem, name) for name in problem.key}
        self.unreadable = self.keyless = 0

    def frame(self, lines: Sequence[bytes]) -> pd.DataFrame:
        """Those of the lines that can be joined; the columns of `Log.frame`."""
        entries = [entry for entry in map(self._entry, lines) if entry is not None]
        key = self._problem.key
        columns: list[list[Any]] = [list(column) for column in zip(*entries, strict=True)]
        columns = columns or [[] for _ in range(len(key) + 5)]
        identifier, model, at, score, decision = columns[len(key) :]
        keys = zip(key, columns[: len(key)], strict=True)
        return pd.DataFrame({name: _typed(self._problem, name, values, "the log") for name, values in keys}).assign(
            id=pd.array(identifier, dtype="str"),
            model=pd.array(model, dtype="str"),
            at=pd.Series(at, dtype="datetime64[us, UTC]"),
            score=np.array(score, dtype="float64"),
            decision=pd.array(decision, dtype="boolean"),
        )

    def _entry(self, line: bytes) -> tuple[Any, ...] | None:
        try:
            entry = orjson.loads(line)
            answer = _answer(entry)
            key = [_cell(entry["inputs"].get(name), kind) for name, kind in self._kinds.items()]
        except (ValueError, KeyError, TypeError, AttributeError):
            self.unreadable += 1
            return None
        if None in key:
            self.keyless += 1
            return None
        return (*key, *answer)


def _answer(entry: Any) -> tuple[str, str, datetime, float, bool | None]:
    at = datetime.fromisoformat(entry["at"])
    score = _cell(entry["score"], "float64")
    if at.tzinfo is None or score is None or not isinstance(entry["decision"], bool | None):
        raise ValueError
    return str(entry["id"]), str(entry["model"]), at, float(score), entry["decision"]


def _cell(value: Any, kind: str) -> Any:
    """A value of a log in the type of its column; null stays null.

    Raises:
        ValueError: It is of another type.
    """
    if value is None or (kind == "str" and isinstance(value, str)):
        return value
    if kind == "str" or isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError
    if kind == "float64":
        return float(value)
    if value != int(value) or not -(2**63) <= value < 2**63:
        raise ValueError
    return int(value)


def _lines(system: fsspec.AbstractFileSystem, path: str) -> Iterator[bytes]:
    with system.open(path, "rb") as file:
        yield from file


def _check_key(problem: Problem) -> None:
    """A key of columns that are logged as they are."""
    for name in problem.key:
        metadata = problem.schema.columns[name].metadata or {}
        if metadata.get("private") or not metadata.get("input", True):
            what = "private, so no log holds it" if metadata.get("private") else "no input, so no prediction has it"
            raise RatchetError(
                f"src/{problem.name}/data/schema.py: KEY: {name} is {what}\n"
                "predictions can be joined with labels by columns only that every request has, and that are logged"
            )


def _kind(problem: Problem, name: str) -> str:
    dtype = str(problem.schema.columns[name].dtype)
    return "str" if dtype.startswith("str") else "Int64" if dtype.lower().startswith("int") else "float64"


def _typed(problem: Problem, name: str, values: list[Any], where: str) -> pd.Series[Any]:
    """A column of the key in one type, so that 7 of a CSV file is 7 of a log; whole numbers of any size stay exact."""
    kind = _kind(problem, name)
    try:
        return pd.Series(values, dtype=kind)
    except (ValueError, TypeError) as error:
        raise RatchetError(f"{where}: {name}: holds a value that is no {kind}: {error}") from error


def _labels(source: str, problem: Problem) -> pd.DataFrame:
    text = [name for name in problem.key if _kind(problem, name) == "str"]
    is_table = Path(source).suffix in TABLES
    frame = files.read_rows(Path(source), text) if is_table else problem.fetch(source)
    for name in (*problem.key, problem.target):
        if name not in frame:
            needed = ", ".join([*problem.key, problem.target])
            raise RatchetError(f"{source}: has no column {name}\nlabels are rows with the columns {needed}")
    columns = {name: _typed(problem, name, frame[name].tolist(), source) for name in problem.key}
    return pd.DataFrame(columns).assign(label=_label(frame[problem.target], problem, source).to_numpy())


def _label(values: pd.Series[Any], problem: Problem, source: str) -> pd.Series[Any]:
    try:
        found = pd.to_numeric(values).astype("float64")
    except (ValueError, TypeError) as error:
        raise RatchetError(f"{source}: {problem.target}: holds a label that is no number: {error}") from error
    allowed = found.isin((0, 1)) if problem.task == "binary" else np.isfinite(found)
    wrong = found[found.notna() & ~allowed]
    if not wrong.empty:
        what = "0 or 1" if problem.task == "binary" else "finite"
        raise RatchetError(
            f"{source}: {problem.target}: labels are {what}, and row {wrong.index[0]} has {wrong.iloc[0]}"
        )
    return found


def _aside(what: str, count: int) -> list[str]:
    return [f"  {what}: {count:,}"] if count else []


def _line(model: str, rows: pd.DataFrame, shown: Sequence[metrics.Metric]) -> tuple[str, ...]:
    joined = rows.dropna(subset=["label"])
    label, score = joined["label"].to_numpy(), joined["score"].to_numpy()
    values = [metric.value(label, score, np.ones(len(label))) if len(label) else np.nan for metric in shown]
    figures = [rows["score"].mean(), joined["label"].mean(), *values]
    return (model[:12], f"{len(rows):,}", f"{len(joined):,}", *map(_figure, figures))


def _figure(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4g}"


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(text.ljust(width) if at == 0 else text.rjust(width) for at, (text, width) in enumerate(cells))
        for cells in (list(zip(line, widths, strict=True)) for line in lines)
    ]
