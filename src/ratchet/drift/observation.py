"""One pass over a period: everything its checks need, in memory that does not grow with its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratchet import data
from ratchet.compare import MISSING, SLICE
from ratchet.drift import reference, summary
from ratchet.drift.reference import SCORE
from ratchet.drift.sample import Sample
from ratchet.drift.summary import Floats, Summary

if TYPE_CHECKING:
    from ratchet.drift.options import DriftOptions
    from ratchet.problem import Problem


@dataclass(frozen=True)
class Observation:
    """What was seen of a period.

    Attributes:
        rows: How many there are.
        clusters: Cluster to its rows, in order of time; empty when its columns are missing.
        summary: Column to its values; the scores are `prediction:score`.
        missing: Columns that at least one partition does not have.
        labelled: Rows with a label.
        table: `cluster`, `label` (NaN where it has not come), `score` and `slice:<name>` of a bounded sample of the
            rows; empty when there are no scores.
    """

    rows: int
    clusters: Mapping[str, int]
    summary: Summary
    missing: tuple[str, ...]
    labelled: int
    table: pd.DataFrame

    @property
    def known(self) -> pd.DataFrame:
        """The rows of the table whose label has come."""
        return self.table[self.table["label"].notna()] if len(self.table) else self.table


def observe(
    problem: Problem, frames: Iterable[pd.DataFrame], scores: Iterable[Floats] | None, options: DriftOptions
) -> Observation:
    """Read a period once, partition by partition.

    Raises:
        RatchetError: Scores do not fit the rows.
    """
    names = reference.inputs(problem)
    wanted = (*names, *problem.cluster)
    rows = labelled = 0
    clusters: Counter[str] = Counter()
    found: Summary = {}
    missing: set[str] = set()
    sample = Sample(options.sample, options.seed)
    for frame in reference.scored(frames, scores):
        rows += len(frame)
        missing |= {name for name in wanted if name not in frame}
        found = summary.merged(found, summary.of(frame, [*names, SCORE]))
        if missing & set(problem.cluster):
            continue
        days = data.clusters(frame, problem)
        clusters.update({str(day): int(count) for day, count in days.value_counts().items()})
        labels = _labels(problem, frame)
        labelled += int(labels.notna().sum())
        if SCORE in frame:
            chosen = sample.choose(len(frame))
            sample.add(_table(problem, frame[chosen], days[chosen], labels[chosen]))
    ordered = {day: clusters[day] for day in sorted(clusters)}
    return Observation(rows, ordered, found, tuple(sorted(missing)), labelled, sample.frame())


def _labels(problem: Problem, frame: pd.DataFrame) -> pd.Series[float]:
    if problem.target not in frame:
        return pd.Series(np.nan, index=frame.index)
    return frame[problem.target].astype("float64")


def _table(problem: Problem, rows: pd.DataFrame, days: pd.Series[str], labels: pd.Series[float]) -> pd.DataFrame:
    columns: dict[str, Any] = {"cluster": days.to_numpy(), "label": labels.to_numpy(), "score": rows[SCORE].to_numpy()}
    for name, segment in problem.slices.items():
        try:
            values = segment(rows)
        except KeyError:  # the slice of a column that is gone; that it is gone is said by a check of its own
            continue
        text = values.astype(object).where(values.notna(), MISSING).astype(str)
        columns[SLICE + name] = pd.Categorical(text.to_numpy())
    return pd.DataFrame(columns)
