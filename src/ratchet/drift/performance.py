"""Performance on labels that have come: what the champion adds to a constant, then and now, by clusters.

A month with few ones has a low log loss whatever the model does, so periods are not compared by the loss itself but by
what the champion takes off the loss of the simplest thing there is: the mean label of the same period, for every row.
That constant knows the period's mean and the champion does not, so a champion that is wrong on average loses by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ratchet import metrics
from ratchet.compare import SLICE
from ratchet.drift.findings import Check, Performance
from ratchet.drift.options import DriftOptions, Judged
from ratchet.gate import PROPER_NAMES
from ratchet.metrics import Jackknife, Metric
from ratchet.problem import Task
from ratchet.report.document import between, count, number, percent

WORST = 3
"""Segments of a slice that its sentence names."""


@dataclass(frozen=True)
class Fall:
    """How much less the champion adds than it did: the figure and its interval, each end missed with one level."""

    value: float
    low: float
    high: float


def gain(metric: Metric, table: pd.DataFrame) -> Jackknife:
    """What the scores add to a constant, positive is better; `table` has `label`, `score`, `cluster`."""
    labels, clusters = table["label"].to_numpy(np.float64), table["cluster"].to_numpy()
    constant = metrics.jackknife(metric, labels, np.full(len(labels), labels.mean()), clusters)
    scored = metrics.jackknife(metric, labels, table["score"].to_numpy(np.float64), clusters)
    return Jackknife(
        float(metric.improvement(constant.value, scored.value)), metric.improvement(constant.without, scored.without)
    )


def fall(before: Jackknife, now: Jackknife, level: float) -> Fall:
    """The difference of two independent figures, its interval from theirs.

    Recovered from the two intervals, so that skewed ones stay so (MOVER: Zou and Donner 2008, Construction of
    Confidence Limits About Effect Measures, Statist. Med. 27).
    """
    (low_0, high_0), (low_1, high_1) = (metrics.interval(side.value, side.without, level) for side in (before, now))
    value = before.value - now.value
    below = np.hypot(before.value - low_0, high_1 - now.value)
    above = np.hypot(high_0 - before.value, now.value - low_1)
    return Fall(value, float(value - below), float(value + above))


def lacking(table: pd.DataFrame, rows: int, labelled: int, task: Task, options: DriftOptions) -> str | None:
    """Why the labels do not suffice, as a sentence; None when they do.

    Args:
        table: Labelled rows (a sample of them, if they are many).
        rows: All rows of the period.
        labelled: All labelled ones.
        task: A binary one needs both classes.
        options: The smallest share, the fewest clusters.
    """
    clusters = table["cluster"].nunique() if len(table) else 0
    if labelled < options.labelled * rows or not labelled:
        share = percent(labelled / rows if rows else 0.0)
        return (
            f"{count(labelled)} of {count(rows)} rows ({share}) have a label, {percent(options.labelled)} are needed."
        )
    if clusters < options.label_clusters:
        return f"Labels of {clusters} clusters have come, {options.label_clusters} are needed."
    if task == "binary" and table["label"].nunique() < 2:
        return f"All {count(labelled)} labels are {table['label'].iloc[0]:g}: of one class nothing can be told."
    return None


def called(metric: Metric) -> str:
    """A metric's title inside of a sentence."""
    first = metric.title.partition(" ")[0]
    return metric.title if first.isupper() or first in PROPER_NAMES else metric.title[:1].lower() + metric.title[1:]


def figures(table: pd.DataFrame, task: Task, threshold: float | None) -> dict[str, float | None]:
    """Every metric of the task, rounded; None where there is none."""
    labels, scores = (table[name].to_numpy(np.float64) for name in ("label", "score"))
    weights = np.ones(len(table))
    return {m.name: metrics.rounded(m.value(labels, scores, weights)) for m in metrics.for_task(task, threshold)}


def checks(table: pd.DataFrame, judged: Judged, task: Task, options: DriftOptions) -> Iterator[Check]:
    """The checks of labelled rows: the primary metric, the calibration, the slices.

    Args:
        table: Labelled rows of the period: `cluster`, `label`, `score`, `slice:<name>`.
        judged: The champion's judged holdout.
        task: Of the problem.
        options: The bounds.
    """
    metric = metrics.get(options.metric, task, judged.threshold)
    yield _primary(metric, table, judged, options)
    if task == "binary":
        yield from _calibration(table, options)
    yield from _slices(metric, table, judged, options)


def verdict(found: Sequence[Check]) -> Performance:
    """What the primary metric's check says; without it nothing is known."""
    told = [check for check in found if check.kind == "performance" and not check.estimated]
    if not told:
        return "unknown"
    return "fell" if any(check.fires for check in told) else "holds"


def _primary(metric: Metric, table: pd.DataFrame, judged: Judged, options: DriftOptions) -> Check:
    before, now = gain(metric, judged.table), gain(metric, table)
    found = fall(before, now, options.level)
    fires = found.low > options.fall
    said = "has fallen" if fires else "is not proven to have fallen"
    sentence = (
        f"What the champion adds to a constant in {called(metric)} {said} by more than {number(options.fall)}: "
        f"{number(now.value, signed=True)} after {number(before.value, signed=True)} on its judged holdout, a fall of "
        f"{number(found.value, signed=True)} ({between(found.low, found.high, signed=True)})."
    )
    bound = f"proven above {number(options.fall)}"
    return Check(f"performance:{metric.name}", "performance", metrics.rounded(found.value), bound, fires, sentence)


def _calibration(table: pd.DataFrame, options: DriftOptions) -> Iterator[Check]:
    size = options.calibration_intercept
    bounds = {"calibration_slope": options.calibration_slope, "calibration_intercept": (-size, size)}
    for name, (least, most) in bounds.items():
        metric = metrics.get(name, "binary")
        found = metrics.jackknife(metric, *(table[column].to_numpy() for column in ("label", "score", "cluster")))
        low, high = metrics.interval(found.value, found.without, options.level)
        fires = low > most or high < least
        said = "is" if fires else "is not proven to be"
        sentence = (
            f"{metric.title} {said} outside of {between(least, most)}: "
            f"{number(found.value)} ({between(low, high)}), where {number(metric.target)} is best."
        )
        bound = f"not proven outside {between(least, most)}"
        yield Check(f"calibration:{name}", "calibration", metrics.rounded(found.value), bound, fires, sentence)


def _slices(metric: Metric, table: pd.DataFrame, judged: Judged, options: DriftOptions) -> Iterator[Check]:
    """One check a slice; every segment has an equal part of the level (Bonferroni), over all slices."""
    falls = {
        name: {value: (old, new) for value, old, new in _segments(name, table, judged.table, options)}
        for name in sorted(str(column) for column in table.columns if str(column).startswith(SLICE))
        if name in judged.table
    }
    judged_segments = sum(map(len, falls.values()))
    for name, segments in falls.items():
        found = {
            value: fall(gain(metric, old), gain(metric, new), options.level / judged_segments)
            for value, (old, new) in segments.items()
        }
        yield _slice(name.removeprefix(SLICE), found, options)


def _segments(
    name: str, table: pd.DataFrame, judged: pd.DataFrame, options: DriftOptions
) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Segments of one slice with enough rows and labels of more than one kind, then and now."""
    before = dict(iter(judged.groupby(name)))
    for value, now in table.groupby(name):
        old = before.get(value)
        if old is not None and all(
            len(side) >= options.slice_rows and side["label"].nunique() > 1 and side["cluster"].nunique() > 2
            for side in (old, now)
        ):
            yield str(value), old, now


def _slice(name: str, falls: Mapping[str, Fall], options: DriftOptions) -> Check:
    worst = sorted(falls.items(), key=lambda item: -item[1].low)[:WORST]
    fallen = [value for value, found in falls.items() if found.low > options.slice_fall]
    said = [f"{value} {number(found.value, signed=True)} ({between(found.low, found.high)})" for value, found in worst]
    proven = f"{len(fallen)} of {len(falls)} segments of {name} fell by more than {number(options.slice_fall)}"
    sentence = (
        f"{proven}; the worst: {', '.join(said)}." if falls else f"No segment of {name} has enough rows to judge."
    )
    value = metrics.rounded(worst[0][1].value) if worst else None
    return Check(
        f"slice:{name}", "slice", value, f"none proven above {number(options.slice_fall)}", bool(fallen), sentence
    )
