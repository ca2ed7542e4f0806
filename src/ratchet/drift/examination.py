"""The examination of one period: one pass over its rows, then the checks, then the diagnosis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ratchet.drift import checks, estimate, performance
from ratchet.drift.diagnosis import diagnose
from ratchet.drift.findings import Check, Findings
from ratchet.drift.observation import Observation, observe
from ratchet.drift.options import DriftOptions, Judged, Operations, Quality
from ratchet.drift.reference import Reference
from ratchet.drift.summary import Floats

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.problem import Problem, Task

DEFAULTS = DriftOptions()


def examine(  # noqa: PLR0913  # each is a fact of its own
    problem: Problem,
    reference: Reference,
    frames: Iterable[pd.DataFrame],
    scores: Iterable[Floats] | None,
    *,
    judged: Judged | None = None,
    operations: Operations | None = None,
    quality: Quality | None = None,
    options: DriftOptions = DEFAULTS,
) -> Findings:
    """Check one period.

    An empty period, a column that is gone or holds another kind of value, and a batch that ingestion refused are
    findings (`broken upstream`) and no errors; labels that are missing or of one class leave performance `unknown`.

    Args:
        problem: Names inputs, clusters, the label and the slices.
        reference: What the period is held against.
        frames: Raw rows of the period in any number of partitions, each read once; the label is null (or its column
            absent) where it has not come.
        scores: The champion's scores of the same rows, one array a frame; None when it cannot score them.
        judged: The champion's judged holdout; None tells nothing about performance.
        operations: What is known of the service in the period.
        quality: What ingestion found out about the batch.
        options: The bounds.

    Raises:
        RatchetError: Scores do not fit the rows, or the metric is none of the task.
    """
    seen = observe(problem, frames, scores, options)
    known, lacking = seen.known, _lacking(seen, judged, problem.task, options)
    found = [*checks.quality(reference, seen, quality, options), *checks.moved(reference, seen, options)]
    found += (
        _performed(seen, judged, problem.task, options)
        if lacking is None
        else _estimated(seen, judged, problem, options)
    )
    found += checks.operations(operations, options) if operations else ()
    told = performance.verdict(found)
    days = list(seen.clusters)
    return Findings(
        first=days[0] if days else "",
        last=days[-1] if days else "",
        rows=seen.rows,
        clusters=len(days),
        labelled=seen.labelled,
        sampled=len(known),
        checks=tuple(found),
        performance=told,
        diagnosis=diagnose(found, told, lacking),
        metrics=performance.figures(known, problem.task, judged.threshold if judged else None) if len(known) else {},
    )


def _lacking(seen: Observation, judged: Judged | None, task: Task, options: DriftOptions) -> str | None:
    if judged is None:
        return "The champion's judged holdout is not at hand."
    if not len(seen.table):
        return "The champion has not scored the period."
    return performance.lacking(seen.known, seen.rows, seen.labelled, task, options)


def _performed(seen: Observation, judged: Judged | None, task: Task, options: DriftOptions) -> Iterator[Check]:
    if judged is not None:
        yield from performance.checks(seen.known, judged, task, options)


def _estimated(seen: Observation, judged: Judged | None, problem: Problem, options: DriftOptions) -> Iterator[Check]:
    """While labels are missing; there is no such estimate of a regression."""
    if judged is not None and len(seen.table) and problem.task == "binary":
        yield estimate.check(seen.table["score"].to_numpy(np.float64), judged, options)
