"""Metrics as records, and the one place where their uncertainty is computed.

A metric is a function of weighted rows. Its uncertainty comes from leaving out one cluster (a day) at a time: rows of
one cluster share what they do not show (the weather), so clusters are the sample and rows are not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ratchet.errors import RatchetError
from ratchet.problem import Task

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Direction = Literal["lower", "higher", "target"]
Loss = Callable[[Floats, Floats], Floats]
Value = Callable[[Floats, Floats, Floats], float]
Without = Callable[[Floats, Floats, Codes, int], Floats]

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Metric:
    """What is measured of labels and scores, shape (n,) each.

    Attributes:
        name: As in `params.yaml` and every JSON file.
        title: As people write it.
        direction: `lower` or `higher` is better, or the best is a `target`.
        unit: Of the value; empty when it has none.
        task: The kind of label it is made for.
        value: Labels, scores, weights (n,) >= 0 to the figure; NaN where there is none (AUC of one class).
        without: Labels, scores, cluster codes (n,) in 0..G-1, G to the figures (G,) without each cluster in turn.
        loss: Labels, scores to the loss of each row, when the figure is its weighted mean.
        target: The best value, when `direction` is `target`.
    """

    name: str
    title: str
    direction: Direction
    unit: str
    task: Task
    value: Value
    without: Without
    loss: Loss | None = None
    target: float = 0.0

    def improvement(self, champion: Any, challenger: Any) -> Any:
        """How much better the challenger's figure is: positive is better, whatever the direction. Figures or arrays."""
        if self.direction == "higher":
            return challenger - champion
        if self.direction == "lower":
            return champion - challenger
        return abs(champion - self.target) - abs(challenger - self.target)


def for_task(task: Task, threshold: float | None = None) -> tuple[Metric, ...]:
    """All metrics of a task, in the order people read them; precision, recall and F1 only at a `threshold`."""
    if task == "regression":
        return _REGRESSION
    return _BINARY if threshold is None else _BINARY + _at(threshold)


def get(name: str, task: Task, threshold: float | None = None) -> Metric:
    """One metric of a task.

    Raises:
        RatchetError: There is none of that name; lists those there are.
    """
    known = {metric.name: metric for metric in for_task(task, threshold)}
    if name not in known:
        raise RatchetError(f"there is no metric {name!r} for a {task} task; choose one of {', '.join(known)}")
    return known[name]


@dataclass(frozen=True)
class Jackknife:
    """A figure on all rows, and without each cluster.

    Attributes:
        value: The figure on all rows.
        without: The figures without each cluster, shape (G,), clusters in their order.
    """

    value: float
    without: Floats


def jackknife(metric: Metric, labels: npt.ArrayLike, scores: npt.ArrayLike, clusters: npt.ArrayLike) -> Jackknife:
    """Leave one cluster out at a time.

    Args:
        metric: What is measured.
        labels: Shape (n,).
        scores: Shape (n,).
        clusters: Shape (n,), the cluster of each row; their sorted order is their order in time.
    """
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    codes, names = pd.factorize(np.asarray(clusters), sort=True)
    return Jackknife(metric.value(y, s, np.ones(len(y))), metric.without(y, s, codes, len(names)))


def interval(value: float, without: npt.ArrayLike, level: float = 0.025) -> tuple[float, float]:
    """An interval each of whose ends is missed with probability `level`; (NaN, NaN) when it cannot be known.

    Args:
        value: The figure, or difference of figures, on all rows.
        without: The same without each cluster, shape (G,), clusters in order of time; fewer than 3 tell nothing.
        level: One-sided; 0.025 gives the usual 95 %.
    """
    low, high = intervals(np.asarray(value), without, level)
    return float(low), float(high)


def intervals(values: npt.ArrayLike, without: npt.ArrayLike, level: npt.ArrayLike = 0.025) -> tuple[Floats, Floats]:
    """Many intervals at once: values (...), without (..., G), level (...) to low and high (...); see `interval`.

    The cluster jackknife (Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans; Cameron and Miller 2015,
    A Practitioner's Guide to Cluster-Robust Inference), widened for what a month of days is:

    - neighbours resemble each other: the variance adds the autocovariances of the pseudo-values up to a week apart with
      Bartlett's weights (Newey and West 1987, Econometrica 55), each raised by the bias of its estimate, and is never
      below that of independent clusters;
    - that variance is estimated from few weeks: Student's t has 1.5 G / (lags + 1) degrees of freedom (Lazarus, Lewis,
      Stock and Watson 2018, HAR Inference: Recommendations for Practice, JBES 36);
    - days are skewed: Hall's cubic transformation of the t statistic (Hall 1992, On the removal of skewness by
      transformation, JRSS B 54) with `_SKEW` times the sample's skewness, only where it moves an end outwards, and by
      half of the straight reach at most.

    `docs/decisions.md` has the measured error rates that chose these.
    """
    from scipy.special import stdtrit

    spread = _spread(np.asarray(without, dtype=np.float64))
    quantile = np.asarray(stdtrit(spread.freedom, 1 - np.asarray(level)), dtype=np.float64)
    centre = np.asarray(values, dtype=np.float64)
    low, high = centre - spread.reach(quantile, -spread.skewness), centre + spread.reach(quantile, spread.skewness)
    return np.asarray(low), np.asarray(high)


def detectable(without: npt.ArrayLike, level: float, delta: float, power: float = 0.8) -> float:
    """The smallest true improvement that would be proven to exceed `delta` with probability `power`; NaN if unknown.

    `delta + (U - v) + t(power) s / sqrt(n)`: to promote, the improvement v must exceed `delta` by the reach of its
    interval, and it falls below the true one by more than the last term with probability 1 - power. The reach is that
    of a symmetric difference, as the skewness of another proposal is not known.
    """
    from scipy.special import stdtrit

    spread = _spread(np.asarray(without, dtype=np.float64))
    error = spread.deviation / np.sqrt(spread.effective)
    return float(delta + error * (stdtrit(spread.freedom, 1 - level) + stdtrit(spread.freedom, power)))


_LAGS = 6  # clusters of one week count as neighbours
_FURTHEST = 1.5  # times the straight reach: beyond it a cubic fitted to a month of days says nothing
_SKEW = 1.25  # a month of skewed days shows less than their skewness: the tail is what it has not seen


@dataclass(frozen=True)
class _Spread:
    """How a figure varies between clusters.

    Attributes:
        deviation: Standard deviation of the pseudo-values, shape (...).
        skewness: Theirs, shape (...).
        effective: How many independent clusters these are worth, shape (...).
        freedom: Degrees of freedom of Student's t.
    """

    deviation: Floats
    skewness: Floats
    effective: Floats
    freedom: float

    def reach(self, quantile: Floats, skewness: Floats) -> Floats:
        """Distance from the figure to the end that lies where a positive `skewness` has its long tail."""
        bend = _SKEW * np.maximum(skewness, 0.0)
        straight = quantile / np.sqrt(self.effective) + bend / (6 * self.effective)
        safe = np.where(bend > 1e-6, bend, 1.0)
        bent = np.where(bend > 1e-6, 3 / safe * (1 - np.cbrt(1 - safe * straight)), straight)
        return np.asarray(np.minimum(bent, _FURTHEST * straight) * self.deviation)


def _spread(without: Floats) -> _Spread:
    count = without.shape[-1]
    if count < 3:
        unknown = np.full(without.shape[:-1], np.nan)
        return _Spread(unknown, unknown, unknown, np.nan)
    moved = (count - 1) * (without.mean(axis=-1, keepdims=True) - without)  # pseudo-values about their mean
    squares = np.sum(moved**2, axis=-1)
    safe = np.where(squares > 0, squares, 1.0)
    lags = min(_LAGS, count - 2)
    inflation = np.ones_like(safe)
    for lag in range(1, lags + 1):
        correlation = np.sum(moved[..., lag:] * moved[..., :-lag], axis=-1) / safe + 1 / count
        inflation += 2 * (1 - lag / (lags + 1)) * correlation
    third = np.sum(moved**3, axis=-1) / count / (safe / count) ** 1.5
    return _Spread(
        deviation=np.asarray(np.sqrt(squares / (count - 1))),
        skewness=np.asarray(third * np.sqrt(count * (count - 1)) / (count - 2)),
        effective=np.asarray(count / np.maximum(inflation, 1.0)),
        freedom=min(max(1.5 * count / (lags + 1), 2.0), count - 1.0),
    )


def rounded(value: float | None) -> float | None:
    """A figure to 6 significant digits, the same on any CPU; None where there is none (NaN, infinity)."""
    if value is None or not np.isfinite(value):
        return None
    return float(f"{value:.6g}") + 0.0  # turns -0.0 into 0.0


def log_losses(labels: Floats, scores: Floats) -> Floats:
    """Negative log likelihood of each 0/1 label in nats; probabilities are kept off 0 and 1 as scikit-learn does."""
    p = np.clip(scores, EPSILON, 1 - EPSILON)
    return np.asarray(-np.log(np.where(labels == 1, p, 1 - p)))


def squared_errors(labels: Floats, scores: Floats) -> Floats:
    """Squared difference of each row."""
    return np.asarray((labels - scores) ** 2)


def absolute_errors(labels: Floats, scores: Floats) -> Floats:
    """Absolute difference of each row."""
    return np.asarray(np.abs(labels - scores))


# Three families of figures; each knows how to leave out a cluster cheaply.

Terms = Callable[[Floats, Floats], Floats]
OfSums = Callable[[Floats], Any]


def _sums(terms: Terms, of: OfSums) -> tuple[Value, Without]:
    """Figures that are a function `of` weighted sums of per-row `terms` (k, n): the other clusters' are added."""

    def value(labels: Floats, scores: Floats, weights: Floats) -> float:
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(of(terms(labels, scores) @ weights))

    def without(labels: Floats, scores: Floats, codes: Codes, count: int) -> Floats:
        rows = terms(labels, scores)
        clusters = np.asarray([np.bincount(codes, term, count) for term in rows], dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(of(_others(clusters)), dtype=np.float64)

    return value, without


def _others(sums: Floats) -> Floats:
    """Sums (k, G) over all clusters but each: of those before and those after it.

    The whole less the cluster would have no digits of what is small beside it, and could be below zero.
    """
    before = np.pad(np.cumsum(sums, axis=1), ((0, 0), (1, 0)))[:, :-1]
    after = np.pad(np.cumsum(sums[:, ::-1], axis=1), ((0, 0), (1, 0)))[:, -2::-1]
    return before + after


def _mean(loss: Loss) -> tuple[Value, Without]:
    return _sums(lambda y, s: np.stack([np.ones(len(y)), loss(y, s)]), lambda sums: sums[1] / sums[0])


OfCounts = Callable[[Floats, Floats], float]


def _ranks(of: OfCounts) -> tuple[Value, Without]:
    """Figures `of` the weight of positives and of negatives at each distinct score, ascending: sorted once."""

    def value(labels: Floats, scores: Floats, weights: Floats) -> float:
        distinct, rank = np.unique(scores, return_inverse=True)
        return of(*_counts(labels, rank, weights, len(distinct)))

    def without(labels: Floats, scores: Floats, codes: Codes, count: int) -> Floats:
        distinct, rank = np.unique(scores, return_inverse=True)
        positives, negatives = _counts(labels, rank, np.ones(len(labels)), len(distinct))
        figures = np.empty(count)
        for code, rows in enumerate(_rows_of(codes, count)):
            out = _counts(labels[rows], rank[rows], np.ones(len(rows)), len(distinct))
            figures[code] = of(positives - out[0], negatives - out[1])
        return figures

    return value, without


def _counts(labels: Floats, rank: Codes, weights: Floats, size: int) -> tuple[Floats, Floats]:
    positives = np.bincount(rank, weights * labels, size).astype(np.float64)
    return positives, np.bincount(rank, weights * (1 - labels), size).astype(np.float64)


def _rows_of(codes: Codes, count: int) -> list[Codes]:
    """Positions of each cluster's rows."""
    return np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=count))[:-1])


def _area(positives: Floats, negatives: Floats) -> float:
    """Probability that a positive scores above a negative, ties counting half (Mann and Whitney 1947)."""
    pairs = float(positives.sum() * negatives.sum())
    below = np.cumsum(negatives) - negatives / 2
    return float(positives @ below) / pairs if pairs > 0 else float("nan")


def _average_precision(positives: Floats, negatives: Floats) -> float:
    """Mean over positives of the precision at their own score: the step-wise area, as in scikit-learn."""
    total = float(positives.sum())
    if total <= 0:
        return float("nan")
    above = np.cumsum(positives[::-1])
    flagged = above + np.cumsum(negatives[::-1])
    precision = np.divide(above, flagged, out=np.zeros_like(above), where=flagged > 0)
    return float(positives[::-1] @ precision) / total


def _calibration(*, slope: bool) -> tuple[Value, Without]:
    """Coefficients of a logistic regression of the label on the logit of the score (Cox 1958).

    The slope is 1 when predictions are neither too extreme (< 1) nor too timid (> 1). The intercept, fitted with the
    slope fixed at 1, is 0 when they are right on average (Van Calster et al. 2019, Calibration: the Achilles heel).
    """

    def design(scores: Floats) -> tuple[Floats, Floats]:
        p = np.clip(scores, _CERTAIN, 1 - _CERTAIN)
        logit, one = np.log(p) - np.log1p(-p), np.ones(len(p))
        if not slope:
            return one[None], logit
        return np.stack([logit - logit.mean(), one]), np.zeros(len(p))  # centred: better conditioned, the same slope

    def value(labels: Floats, scores: Floats, weights: Floats) -> float:
        x, offset = design(scores)
        return float(_logistic(x, offset, labels, weights)[0])

    def without(labels: Floats, scores: Floats, codes: Codes, count: int) -> Floats:
        x, offset = design(scores)
        weights = np.ones(len(labels))
        start = _logistic(x, offset, labels, weights)  # a cluster moves it little: two steps from there
        figures = np.empty(count)
        for code, rows in enumerate(_rows_of(codes, count)):
            weights[rows] = 0.0
            figures[code] = _logistic(x, offset, labels, weights, start)[0]
            weights[rows] = 1.0
        return figures

    return value, without


def _logistic(x: Floats, offset: Floats, labels: Floats, weights: Floats, start: Floats | None = None) -> Floats:
    """Maximum likelihood of P(label) = expit(offset + coefficients @ x) by Newton steps; NaN when there is none.

    The last row of x is 1. Steps are halved while they do not bring the gradient nearer to zero. Separable labels have
    no maximum: the steps never become small.
    """
    from scipy.special import expit, logit

    def gradient_and_hessian(at: Floats) -> tuple[Floats, Floats]:
        p = expit(offset + at @ x)
        return x @ (weights * (labels - p)), (x * (weights * p * (1 - p))) @ x.T

    total = weights.sum()
    rate = weights @ labels / total if total > 0 else np.nan
    if not 0 < rate < 1:
        return np.full(len(x), np.nan)
    coefficients = np.zeros(len(x))
    coefficients[-1] = logit(rate) - logit(weights @ expit(offset) / total)
    if start is not None and np.isfinite(start).all():
        coefficients = start
    gradient, hessian = gradient_and_hessian(coefficients)
    for _ in range(_NEWTON_STEPS):
        if not np.linalg.cond(hessian) < _SINGULAR:
            break
        step = np.linalg.solve(hessian, gradient)
        step = step * min(1.0, _LARGEST_STEP / max(float(np.max(np.abs(step @ x))), EPSILON))
        if np.all(np.abs(step) <= 1e-9 * (1 + np.abs(coefficients))):
            return np.asarray(coefficients + step)
        ahead = gradient_and_hessian(coefficients + step)
        while np.linalg.norm(ahead[0]) >= np.linalg.norm(gradient) and np.max(np.abs(step)) > EPSILON:
            step = step / 2
            ahead = gradient_and_hessian(coefficients + step)
        coefficients, (gradient, hessian) = coefficients + step, ahead
    return np.full(len(x), np.nan)


_CERTAIN = 1e-6  # a prediction nearer to 0 or 1 counts as this: its logit would be a lever without end
_NEWTON_STEPS = 40
_LARGEST_STEP = 4.0  # of any row's logit: where all predictions are certain, the second derivative says nothing
_SINGULAR = 1e12  # scores that do not vary have no slope, though rounding lets the matrix look regular


def _confusion(threshold: float) -> Terms:
    """True positives, false positives, false negatives, when scores at or above the threshold are flagged."""

    def terms(labels: Floats, scores: Floats) -> Floats:
        flagged = (scores >= threshold).astype(np.float64)
        return np.stack([flagged * labels, flagged * (1 - labels), (1 - flagged) * labels])

    return terms


def _at(threshold: float) -> tuple[Metric, ...]:
    terms = _confusion(threshold)
    return (
        Metric("precision", "Precision", "higher", "", "binary", *_sums(terms, lambda n: n[0] / (n[0] + n[1]))),
        Metric("recall", "Recall", "higher", "", "binary", *_sums(terms, lambda n: n[0] / (n[0] + n[2]))),
        Metric("f1", "F1", "higher", "", "binary", *_sums(terms, lambda n: 2 * n[0] / (2 * n[0] + n[1] + n[2]))),
    )


def _variance_terms(labels: Floats, scores: Floats) -> Floats:
    # The sums of squares are taken about the mean label, or a large mean would swallow the digits of the variance.
    centred = labels - labels.mean()
    return np.stack([np.ones(len(labels)), centred, centred**2, squared_errors(labels, scores)])


def _explained(sums: Floats) -> Any:
    """Coefficient of determination, 1 - residual / total sum of squares; NaN when labels do not vary."""
    total = sums[2] - sums[1] ** 2 / sums[0]
    return np.where(total > 0, 1 - sums[3] / np.where(total > 0, total, 1.0), np.nan)


_BINARY = (
    Metric("log_loss", "Log loss", "lower", "nats", "binary", *_mean(log_losses), loss=log_losses),
    Metric("roc_auc", "ROC AUC", "higher", "", "binary", *_ranks(_area)),
    Metric("average_precision", "Average precision", "higher", "", "binary", *_ranks(_average_precision)),
    Metric("brier", "Brier score", "lower", "", "binary", *_mean(squared_errors), loss=squared_errors),
    Metric("calibration_slope", "Calibration slope", "target", "", "binary", *_calibration(slope=True), target=1.0),
    Metric("calibration_intercept", "Calibration intercept", "target", "logits", "binary", *_calibration(slope=False)),
)

_REGRESSION = (
    Metric(
        "mae", "Mean absolute error", "lower", "target", "regression", *_mean(absolute_errors), loss=absolute_errors
    ),
    Metric("mse", "Mean squared error", "lower", "target²", "regression", *_mean(squared_errors), loss=squared_errors),
    Metric(
        "rmse",
        "Root mean squared error",
        "lower",
        "target",
        "regression",
        *_sums(lambda y, s: np.stack([np.ones(len(y)), squared_errors(y, s)]), lambda sums: np.sqrt(sums[1] / sums[0])),
    ),
    Metric("r2", "R²", "higher", "", "regression", *_sums(_variance_terms, _explained)),
    Metric("bias", "Bias (predicted minus actual)", "target", "target", "regression", *_mean(lambda y, s: s - y)),
)
