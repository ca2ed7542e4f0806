"""How far two distributions are apart: effect sizes, which do not grow with the number of rows as p-values do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratchet.drift import summary
from ratchet.drift.summary import Column, Floats

DEFAULT_BOUND = 0.1
"""Evidently's own threshold of both of its default tests."""

_FEW_ROWS = 1000  # of the reference; up to here Evidently's defaults are p-values
_FEW_VALUES = 5  # up to here it takes a number for a category


def jensen_shannon(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    """Jensen-Shannon distance of rows by bin, (..., k) and (..., k) to (...): 0 when alike, 1 when disjoint.

    The root of the divergence in bits, a metric (Endres and Schindelin 2003, A New Metric for Probability
    Distributions, IEEE Trans. Inf. Theory 49). Without rows on one side there is no distance: NaN.
    """
    p, q = _shares(first), _shares(second)
    middle = (p + q) / 2
    divergence = (_entropy_to(p, middle) + _entropy_to(q, middle)) / 2
    return np.asarray(np.sqrt(np.clip(divergence, 0.0, 1.0)))


@dataclass(frozen=True)
class Default:
    """What Evidently's default test says of a column: its name, its value; it drifts from `DEFAULT_BOUND` on."""

    test: str
    value: float

    @property
    def drifts(self) -> bool:
        """Evidently would call the column drifted."""
        return self.value >= DEFAULT_BOUND


def default(reference: Column, current: Column) -> Default | None:
    """Evidently's default test of a column at its default threshold, from the summaries alone.

    The normed Wasserstein distance of numbers, the Jensen-Shannon distance (in nats) of categories; None where
    Evidently takes a p-value (at most 1,000 rows of reference), where a side has no values, or where the kinds differ.
    Exact where the summaries are, and near to it otherwise.
    """
    kinds = {reference.kind, current.kind}
    if len(kinds) > 1 or reference.rows <= _FEW_ROWS or not reference.counts or not current.counts:
        return None
    bits = min(reference.bits, current.bits)
    first, second = (summary.coarse(side, bits) for side in (reference, current))
    if reference.kind == "text" or len(first.keys() | second.keys()) <= _FEW_VALUES:
        both = sorted(first.keys() | second.keys())
        p, q = ([side.get(value, 0) for value in both] for side in (first, second))
        return Default("Jensen-Shannon", float(jensen_shannon(p, q) * np.sqrt(np.log(2))))
    return Default("Wasserstein (normed)", _wasserstein(*_weighted(first), *_weighted(second)))


def _wasserstein(first: Floats, p: Floats, second: Floats, q: Floats) -> float:
    """Area between the two cumulative distributions, in standard deviations of the first (at least 0.001)."""
    both = np.union1d(first, second)
    at = [np.append(0.0, np.cumsum(w))[np.searchsorted(v, both, side="right")] for v, w in ((first, p), (second, q))]
    area = float(np.abs(at[0] - at[1])[:-1] @ np.diff(both))
    spread = float(np.sqrt(p @ (first - p @ first) ** 2))
    return area / max(spread, 0.001)


def _weighted(counts: dict[summary.Value, int]) -> tuple[Floats, Floats]:
    values = np.array(sorted(counts), dtype=np.float64)
    rows = np.array([counts[value] for value in values.tolist()], dtype=np.float64)
    return values, rows / rows.sum()


def _shares(rows: npt.ArrayLike) -> Floats:
    counted = np.asarray(rows, dtype=np.float64)
    total = counted.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(counted, total, out=np.full_like(counted, np.nan), where=total > 0))


def _entropy_to(p: Floats, middle: Floats) -> Floats:
    """Kullback-Leibler divergence in bits; 0 log 0 is 0."""
    ratio = np.divide(p, middle, out=np.ones_like(p), where=(p > 0) & (middle > 0))
    return np.asarray(np.sum(p * np.log2(ratio), axis=-1))
