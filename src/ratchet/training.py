"""Training: a fitted pipeline, its baselines, and the operating threshold, as a function of rows and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet import data, metrics
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.params import Params
    from ratchet.problem import Problem, Task

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Fold = tuple[Mask, Mask]


@dataclass(frozen=True)
class Trained:
    """What a training leaves.

    Attributes:
        pipeline: Fitted on every labelled row.
        baselines: Name to a fitted estimator.
        training_json: Threshold, cost ratio, figures of each fold, and the number of rows; see `train`.
    """

    pipeline: Any
    baselines: Mapping[str, Any]
    training_json: dict[str, Any]


@dataclass(frozen=True)
class Tested:
    """One fold: labels and scores, shape (n,) each, of rows later than all `train_rows` that the model has seen."""

    labels: Floats
    scores: Floats
    first: str
    last: str
    train_rows: int


def train(problem: Problem, params: Params, frame: pd.DataFrame) -> Trained:
    """Fit the estimator and the baselines on the labelled rows of raw rows, shape (n, columns of the schema).

    The operating threshold of a binary task is chosen on out-of-fold scores; a regression has none.

    Raises:
        RatchetError: No row is labelled, all labels are one class, there are fewer clusters than the folds need, or
            the estimator refuses its parameters.
    """
    rows = labelled(problem, frame)
    tested = out_of_fold(problem, params.model, params, rows)
    chosen = None
    if problem.task == "binary":
        chosen = threshold(*pooled(tested), params.train.cost_ratio)
    return Trained(
        pipeline=fit(problem.estimator(params.model, params.train.seed), rows, problem),
        baselines={name: fit(found, rows, problem) for name, found in sorted(problem.baselines().items())},
        training_json={
            "rows": len(rows),
            "threshold": chosen,
            "cost_ratio": params.train.cost_ratio if problem.task == "binary" else None,
            "folds": [_figures(fold, problem.task, chosen) for fold in tested],
        },
    )


def labelled(problem: Problem, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows whose label is known, in their order.

    Raises:
        RatchetError: There are none.
    """
    rows = frame[frame[problem.target].notna()].reset_index(drop=True)
    if rows.empty:
        raise RatchetError(
            f"none of the {len(frame)} training rows has a label ({problem.target}); nothing to train on"
        )
    return rows


def fit(estimator: Any, frame: pd.DataFrame, problem: Problem) -> Any:
    """Fit an estimator on the labelled rows of raw rows, and return it; the same bytes on any number of threads.

    Raises:
        RatchetError: No row is labelled, or all labels of a binary task are one class.
    """
    from threadpoolctl import threadpool_limits

    rows = labelled(problem, frame)
    labels = rows[problem.target].to_numpy(dtype="float64")
    if problem.task == "binary":
        labels = labels.astype("int64")
        if (labels == labels[0]).all():
            raise RatchetError(
                f"all {len(labels)} labels ({problem.target}) are {labels[0]}; a model needs both classes\n"
                "train on more periods, or check the source of the labels"
            )
    # Sums of floats depend on how BLAS splits them over threads; gradient boosting does not, and keeps all of its own.
    with threadpool_limits(limits=1, user_api="blas"):
        fitted = estimator.fit(rows.drop(columns=problem.target), labels)
    # Gradient boosting remembers with how many threads it binned its inputs, of which a model has no use.
    for part in _parts(fitted):
        if hasattr(part, "n_threads"):
            part.n_threads = 1
    return fitted


def scores(estimator: Any, frame: pd.DataFrame, task: Task) -> Floats:
    """Scores of raw rows, shape (n,): P(label = 1), or the prediction of a regression."""
    found = estimator.predict_proba(frame)[:, 1] if task == "binary" else estimator.predict(frame)
    return np.asarray(found, dtype=np.float64)


def folds(clusters: pd.Series[str], n: int) -> list[Fold]:
    """Row masks, shape (n rows,), of `n` folds in time: train on the clusters before, test on those after.

    scikit-learn's TimeSeriesSplit over the distinct clusters in sorted order, so that no cluster is torn apart.

    Raises:
        RatchetError: There are not more clusters than folds.
    """
    from sklearn.model_selection import TimeSeriesSplit

    values = clusters.to_numpy()
    distinct = np.unique(values)
    if len(distinct) <= n:
        raise RatchetError(
            f"{n} folds need at least {n + 1} clusters; the training rows have {len(distinct)}\n"
            "lower train.folds in params.yaml, or train on more periods"
        )
    splits = TimeSeriesSplit(n_splits=n).split(distinct)
    return [(np.isin(values, distinct[before]), np.isin(values, distinct[after])) for before, after in splits]


def out_of_fold(problem: Problem, model: Mapping[str, Any], params: Params, rows: pd.DataFrame) -> list[Tested]:
    """Fit the estimator with the parameters `model` on each fold of labelled rows, and score the rows after it."""
    clusters = data.clusters(rows, problem).astype(str)
    tested = []
    for number, (before, after) in enumerate(folds(clusters, params.train.folds), start=1):
        try:
            fitted = fit(problem.estimator(model, params.train.seed), rows[before], problem)
        except RatchetError as error:
            raise RatchetError(f"fold {number} of {params.train.folds}: {error}") from error
        test = rows[after]
        tested.append(
            Tested(
                labels=test[problem.target].to_numpy(dtype="float64"),
                scores=scores(fitted, test.drop(columns=problem.target), problem.task),
                first=str(clusters[after].min()),
                last=str(clusters[after].max()),
                train_rows=int(before.sum()),
            )
        )
    return tested


def pooled(tested: Sequence[Tested]) -> tuple[Floats, Floats]:
    """Labels and scores of all folds together."""
    return np.concatenate([fold.labels for fold in tested]), np.concatenate([fold.scores for fold in tested])


def threshold(labels: npt.ArrayLike, scores: npt.ArrayLike, cost_ratio: float) -> float:
    """The operating threshold in [0, 1] with the least cost: false positives + `cost_ratio` x false negatives.

    Rows with a score at or above the threshold are flagged. It lies in the middle between two scores, to 6 significant
    digits, so that another CPU finds the same; of equally good ones it is the highest, which flags least.

    Args:
        labels: 0 or 1, shape (n,).
        scores: P(label = 1), shape (n,).
        cost_ratio: Cost of a missed positive in false alarms.
    """
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    distinct = np.unique(s)
    middles = ((distinct[1:] + distinct[:-1]) / 2).tolist()
    candidates = np.unique([float(f"{value:.6g}") for value in (0.0, *middles, 1.0)])
    negatives, positives = np.sort(s[y == 0]), np.sort(s[y == 1])
    false_positives = len(negatives) - np.searchsorted(negatives, candidates)
    false_negatives = np.searchsorted(positives, candidates)
    cost = false_positives + cost_ratio * false_negatives
    return float(candidates[np.flatnonzero(cost == cost.min())[-1]])


def _parts(value: Any) -> Iterator[Any]:
    """An estimator and those inside it: steps of a pipeline, transformers, members of an ensemble."""
    from sklearn.base import BaseEstimator

    if isinstance(value, BaseEstimator):
        yield value
        value = vars(value)
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item)


def _figures(fold: Tested, task: Task, at: float | None) -> dict[str, Any]:
    weights = np.ones(len(fold.labels))
    measured = metrics.for_task(task, at)
    return {
        "first": fold.first,
        "last": fold.last,
        "train_rows": fold.train_rows,
        "rows": len(fold.labels),
        **{m.name: metrics.rounded(m.value(fold.labels, fold.scores, weights)) for m in measured},
    }
