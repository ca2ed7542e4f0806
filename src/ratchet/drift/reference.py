"""The reference: what a period is held against. For each input its values in all, and its bins cluster by cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ratchet import data
from ratchet.drift import summary
from ratchet.drift.bins import Bins
from ratchet.drift.summary import Column, Counts, Floats
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.problem import Problem

SCORE = "prediction:score"
INPUT = "input:"


@dataclass(frozen=True)
class Tracked:
    """One thing that can move.

    Attributes:
        total: The values that a period is held against: all, of the scores those of the champion's holdout.
        bins: How they are binned.
        daily: Rows of each bin in each cluster, shape (clusters, bins), clusters in order of time.
        compared: How many of the clusters, the last ones, `total` is made of.
        private: Its values must not be named to others.
    """

    total: Column
    bins: Bins
    daily: Counts
    compared: int
    private: bool = False

    @property
    def rows(self) -> Counts:
        """Rows of each bin that a period is held against, shape (bins,)."""
        return np.asarray(self.daily[-self.compared :].sum(axis=0))


@dataclass(frozen=True, eq=False)
class Reference:
    """What the champion's world was.

    Attributes:
        clusters: Their names in order of time.
        rows: Rows of each cluster, shape (clusters,).
        tracked: `input:<column>`, and `prediction:score` where there are scores, to what is known of it.
    """

    clusters: tuple[str, ...]
    rows: Counts
    tracked: Mapping[str, Tracked]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that are inputs."""
        return tuple(name.removeprefix(INPUT) for name in self.tracked if name.startswith(INPUT))


def build(
    problem: Problem,
    frames: Iterable[pd.DataFrame],
    scores: Iterable[Floats] | None = None,
    judged_from: str = "",
) -> Reference:
    """Summarise the reference, in two passes: the values in all make the bins, then the bins are counted by cluster.

    Args:
        problem: Says which columns are inputs and which are the clusters.
        frames: Raw rows in any number of partitions; read twice, so no iterator.
        scores: The champion's scores of the same rows, one array a frame, also read twice. None leaves them out.
        judged_from: The first cluster of its holdout; by default all of the frames are. Scores of rows that it was
            trained on are more extreme than those of any other, so those of a period are held against the holdout's.
            How much they vary from day to day is still taken from all: a holdout has too few days to tell.

    Raises:
        RatchetError: There are no rows, a column is missing, scores do not fit the rows, or an iterator was given.
    """
    for given in (frames, scores):
        if isinstance(given, Iterator):
            raise RatchetError("the reference is read twice: give its partitions as a list, not as an iterator")
    names = inputs(problem)
    total: summary.Summary = {}
    for frame in scored(frames, scores):
        _check(frame, [*names, *problem.cluster])
        total = summary.merged(total, summary.of(frame, names))
        if SCORE in frame:
            held = frame[[SCORE]]
            if judged_from:  # naming the cluster of each row takes its time
                held = held[data.clusters(frame, problem) >= judged_from]
            total = summary.merged(total, summary.of(held, [SCORE]))
    if not total:
        raise RatchetError("the reference has no rows; there is nothing to hold a period against")
    bins = {name: Bins.of(column) for name, column in total.items()}
    clusters, daily = _daily(problem, scored(frames, scores), bins)
    judged = sum(cluster >= judged_from for cluster in clusters)
    if not judged:
        raise RatchetError(f"the reference has no rows of the holdout, which begins with {judged_from}")
    tracked = {
        name if name == SCORE else INPUT + name: Tracked(
            total[name], bins[name], daily[name], judged if name == SCORE else len(clusters), is_private(problem, name)
        )
        for name in bins
    }
    return Reference(clusters, next(iter(daily.values())).sum(axis=1), tracked)


def _daily(
    problem: Problem, frames: Iterable[pd.DataFrame], bins: Mapping[str, Bins]
) -> tuple[tuple[str, ...], dict[str, Counts]]:
    """The clusters in order of time, and rows by cluster and bin of every column."""
    days: dict[str, dict[str, Counts]] = {}
    for frame in frames:
        groups, names = pd.factorize(data.clusters(frame, problem))
        for column, found in bins.items():
            for day, rows in zip(names, found.by_group(frame[column], groups, len(names)), strict=True):
                held = days.setdefault(str(day), {})
                held[column] = held[column] + rows if column in held else rows
    clusters = tuple(sorted(days))
    return clusters, {column: np.stack([days[day][column] for day in clusters]) for column in bins}


def inputs(problem: Problem) -> list[str]:
    """Columns a row is scored with, but for those of the cluster: time always moves."""
    return [
        str(name)
        for name, column in problem.schema.columns.items()
        if name != problem.target and name not in problem.cluster and (column.metadata or {}).get("input", True)
    ]


def scored(frames: Iterable[pd.DataFrame], scores: Iterable[Floats] | None) -> Iterator[pd.DataFrame]:
    """Frames that are not empty, each with its scores in the column `prediction:score`.

    Raises:
        RatchetError: There are not as many scores as rows, or one is not a finite number.
    """
    if scores is None:
        yield from (frame for frame in frames if len(frame))
        return
    try:
        for frame, values in zip(frames, scores, strict=True):
            found = np.asarray(values, dtype=np.float64)
            if found.shape != (len(frame),):
                raise RatchetError(f"scores have shape {found.shape}; one per row would be ({len(frame)},)")
            if not np.isfinite(found).all():
                raise RatchetError(f"{int((~np.isfinite(found)).sum())} of {len(found)} scores are not finite numbers")
            if len(frame):
                yield frame.assign(**{SCORE: found})
    except ValueError as error:
        raise RatchetError("there are not as many arrays of scores as frames") from error


def _check(frame: pd.DataFrame, names: list[str]) -> None:
    missing = [name for name in names if name not in frame]
    if missing:
        raise RatchetError(f"the reference has no column {', '.join(missing)}; it must be whole")


def is_private(problem: Problem, name: str) -> bool:
    """Whether the values of a column must not be named to others."""
    return name != SCORE and bool((problem.schema.columns[name].metadata or {}).get("private", False))
