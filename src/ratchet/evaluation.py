"""What a bundle is worth on the holdout: scores of every row, and every figure a reader is shown.

The scores table is all the judge needs; `evaluation.json` is everything the report and the model card print. Scoring is
handed in as a function, so that what is evaluated is the bundle that will be served, and nothing here knows its form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ratchet import files, metrics
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.metrics import Metric
    from ratchet.problem import Case, Problem

Floats = npt.NDArray[np.float64]
Score = Callable[[pd.DataFrame], Floats]
Record = dict[str, Any]

BASELINE, SLICE = "baseline:", "slice:"
MISSING = "(missing)"
DECIMALS = 10  # beyond these, another CPU gives other digits
BINS = 10
CURVE_POINTS = 50


def scores_table(problem: Problem, frame: pd.DataFrame, score: Score, baselines: Mapping[str, Floats]) -> pd.DataFrame:
    """One row per labelled row of the holdout: key, cluster, label, score, `baseline:<name>`, `slice:<name>`.

    Args:
        problem: Says which columns are the key, the cluster and the label, and how rows are sliced.
        frame: Raw rows, n of them, with the target.
        score: Raw rows to P(label = 1) (binary) or the prediction (regression), shape (n,).
        baselines: Name to scores of the same rows, shape (n,).

    Raises:
        RatchetError: No row has a label, or scores are not one finite number per row.
    """
    from ratchet import data

    known = frame[problem.target].notna().to_numpy()
    rows = frame[known].reset_index(drop=True)
    if rows.empty:
        raise RatchetError(f"none of the {len(frame)} holdout rows has a label ({problem.target}); nothing to evaluate")
    columns: dict[str, Any] = {name: rows[name] for name in problem.key}
    columns["cluster"] = data.clusters(rows, problem).astype(str).to_numpy()
    columns["label"] = rows[problem.target].to_numpy(dtype="float64")
    columns["score"] = _scored(score, rows, "the model")
    for name, scores in sorted(baselines.items()):
        columns[BASELINE + name] = _checked(np.asarray(scores)[known], len(rows), f"baseline {name!r}")
    for name, segment in sorted(problem.slices.items()):
        labels = segment(rows)
        columns[SLICE + name] = labels.astype(object).where(labels.notna(), MISSING).astype(str).to_numpy()
    return pd.DataFrame(columns)


@dataclass(frozen=True)
class Model:
    """What is evaluated.

    Attributes:
        score: Raw rows to scores, shape (n,).
        digest: The model digest.
        threshold: Operating threshold of a binary task; None where there is none.
    """

    score: Score
    digest: str
    threshold: float | None


def evaluate(problem: Problem, table: pd.DataFrame, frame: pd.DataFrame | None, model: Model) -> Record:
    """Every figure of `evaluation.json`, rounded; null where a figure does not exist, such as the AUC of one class.

    Args:
        problem: Names the task and the behavioural cases.
        table: What `scores_table` made of `frame`.
        frame: Raw rows of the holdout, for the behavioural cases; None leaves these out.
        model: What made the scores of `table`.
    """
    measured = metrics.for_task(problem.task, model.threshold)
    labels, scores = _floats(table, "label"), _floats(table, "score")
    return {
        "task": problem.task,
        "model_digest": model.digest,
        "rows": len(table),
        "clusters": int(table["cluster"].nunique()),
        "threshold": model.threshold,
        "label_mean": metrics.rounded(float(labels.mean())),
        "metrics": records(measured, table, "score"),
        "baselines": {
            name.removeprefix(BASELINE): records(measured, table, name) for name in _prefixed(table, BASELINE)
        },
        "slices": list(_slices(measured, table)),
        "calibration": calibration(labels, scores),
        "pr_curve": pr_curve(labels, scores) if problem.task == "binary" else [],
        "behaviour": [] if frame is None else [behave(case, frame, model.score) for case in problem.behaviour()],
    }


def records(measured: Sequence[Metric], table: pd.DataFrame, column: str) -> list[Record]:
    """Each metric of one column of scores, with its two-sided 95 % interval by cluster."""
    labels, scores = _floats(table, "label"), _floats(table, column)
    return [_record(metric, labels, scores, table["cluster"].to_numpy()) for metric in measured]


def calibration(labels: Floats, scores: Floats, bins: int = BINS) -> list[Record]:
    """Mean prediction and mean label in at most `bins` quantile bins of the scores; equal scores share a bin."""
    inner = np.unique(np.quantile(scores, np.arange(1, bins) / bins, method="lower"))
    bin_of = np.searchsorted(inner, scores, side="left")
    rows = np.bincount(bin_of)
    sums = zip(np.bincount(bin_of, scores), np.bincount(bin_of, labels), rows, strict=True)
    return [
        {"predicted": metrics.rounded(p / n), "observed": metrics.rounded(o / n), "rows": int(n)}
        for p, o, n in sums
        if n
    ]


def pr_curve(labels: Floats, scores: Floats, points: int = CURVE_POINTS) -> list[Record]:
    """Precision and recall when scores at or above a threshold are flagged, thinned evenly in recall; [] of one class.

    Points run from the highest threshold to the one that first finds every positive; both are always among them.
    """
    positives = float(labels.sum())
    if positives in (0.0, float(len(labels))):
        return []
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # the last row of each distinct score
    hits = np.cumsum(labels[order])[last]
    recall, precision = hits / positives, hits / (last + 1)
    chosen = np.unique(np.searchsorted(recall, np.linspace(recall[0], recall[-1], points), side="left"))
    return [
        {
            "recall": metrics.rounded(recall[i]),
            "precision": metrics.rounded(precision[i]),
            "threshold": metrics.rounded(scores[order][last[i]]),
        }
        for i in chosen
    ]


def behave(case: Case, frame: pd.DataFrame, score: Score) -> Record:
    """One behavioural case on the rows it selects; without any such row it holds, and says that it saw none."""
    rows = frame if case.where is None else frame[case.where(frame).to_numpy(dtype=bool)]
    rows = rows.reset_index(drop=True)
    value = _behaviour_value(case, rows, score) if len(rows) else None
    return {
        "name": case.name,
        "kind": case.kind,
        "sentence": case.sentence,
        "rows": len(rows),
        "value": metrics.rounded(value),
        "bound": _behaviour_bound(case),
        "passed": value is None or _behaves(case, value),
    }


def flat(evaluation: Mapping[str, Any]) -> Record:
    """`metrics.json`: the figures `dvc metrics diff` compares, by name."""
    return {
        "rows": evaluation["rows"],
        **_values(evaluation["metrics"]),
        "baseline": {name: _values(found) for name, found in evaluation["baselines"].items()},
    }


def write(folder: Path, table: pd.DataFrame, evaluation: Mapping[str, Any]) -> None:
    """Write scores.parquet, evaluation.json, metrics.json, calibration.csv and, where there is one, pr_curve.csv."""
    with files.directory(folder) as new:
        files.write_parquet(new / "scores.parquet", table)
        files.write_json(new / "evaluation.json", evaluation)
        files.write_json(new / "metrics.json", flat(evaluation))
        files.write_text(new / "calibration.csv", _csv(("predicted", "observed", "rows"), evaluation["calibration"]))
        if evaluation["task"] == "binary":
            files.write_text(new / "pr_curve.csv", _csv(("recall", "precision", "threshold"), evaluation["pr_curve"]))


def _record(metric: Metric, labels: Floats, scores: Floats, clusters: npt.NDArray[Any]) -> Record:
    found = metrics.jackknife(metric, labels, scores, clusters)
    low, high = metrics.interval(found.value, found.without)
    return {
        "name": metric.name,
        "title": metric.title,
        "direction": metric.direction,
        "unit": metric.unit,
        "value": metrics.rounded(found.value),
        "low": metrics.rounded(low),
        "high": metrics.rounded(high),
    }


def _slices(measured: Sequence[Metric], table: pd.DataFrame) -> Iterator[Record]:
    labels, scores = _floats(table, "label"), _floats(table, "score")
    for column in _prefixed(table, SLICE):
        for value, rows in sorted(table.groupby(column).indices.items()):
            y, s = labels[rows], scores[rows]
            yield {
                "slice": column.removeprefix(SLICE),
                "value": str(value),
                "rows": len(rows),
                "label_mean": metrics.rounded(float(y.mean())),
                "metrics": {m.name: metrics.rounded(m.value(y, s, np.ones(len(rows)))) for m in measured},
            }


def _behaviour_value(case: Case, rows: pd.DataFrame, score: Score) -> float:
    where = f"behaviour {case.name!r}"
    before = _scored(score, rows, where)
    if case.kind == "minimum":
        return float(before.mean())
    if case.change is None:
        raise RatchetError(f"{where}: a case of kind {case.kind} needs a `change`")
    changed = case.change(rows)
    if len(changed) != len(rows):
        raise RatchetError(f"{where}: its change made {len(changed)} rows of {len(rows)}; it must keep their number")
    moves = _scored(score, changed, where) - before
    return float(np.abs(moves).max() if case.kind == "invariance" else moves.mean())


def _behaves(case: Case, value: float) -> bool:
    if case.kind == "minimum":
        return case.low <= value <= case.high
    if case.kind == "invariance":
        return value <= case.tolerance
    return value > case.tolerance if case.direction == "rises" else value < -case.tolerance


def _behaviour_bound(case: Case) -> str:
    if case.kind == "invariance":
        return f"moves by at most {case.tolerance:g}"
    if case.kind == "direction":
        return f"{case.direction} by more than {case.tolerance:g}"
    if np.isinf(case.low):
        return f"at most {case.high:g}"
    return f"at least {case.low:g}" if np.isinf(case.high) else f"between {case.low:g} and {case.high:g}"


def _scored(score: Score, rows: pd.DataFrame, what: str) -> Floats:
    return _checked(score(rows), len(rows), what)


def _checked(scores: npt.ArrayLike, count: int, what: str) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (count,):
        raise RatchetError(f"{what}: scores have shape {values.shape}; one per row would be ({count},)")
    if not np.isfinite(values).all():
        raise RatchetError(f"{what}: {int((~np.isfinite(values)).sum())} of {count} scores are not finite numbers")
    return np.round(values, DECIMALS)


def _floats(table: pd.DataFrame, column: str) -> Floats:
    return table[column].to_numpy(dtype=np.float64)


def _prefixed(table: pd.DataFrame, prefix: str) -> list[str]:
    return [str(name) for name in table.columns if str(name).startswith(prefix)]


def _values(found: Sequence[Mapping[str, Any]]) -> Record:
    return {record["name"]: record["value"] for record in found}


def _csv(columns: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> str:
    return pd.DataFrame(list(rows), columns=list(columns)).to_csv(index=False, lineterminator="\n")
