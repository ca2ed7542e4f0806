"""The checks that need no labels: the quality of the data, where inputs and scores are, how the service runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from ratchet import metrics
from ratchet.drift import distance, threshold
from ratchet.drift.findings import Check
from ratchet.drift.observation import Observation
from ratchet.drift.options import DriftOptions, Logged, Operations, Quality
from ratchet.drift.reference import INPUT, SCORE, Reference, Tracked
from ratchet.drift.summary import EXACT, Column, Floats
from ratchet.report.document import count, number, percent

NAMED = 3
"""Columns or values that a sentence names."""


def quality(reference: Reference, seen: Observation, given: Quality | None, options: DriftOptions) -> Iterator[Check]:
    """What makes the data wrong, so that nothing can be learnt from them: batch, columns, rows, nulls."""
    if given is not None:
        yield from _of_ingestion(given, options)
    if given is None or given.fault is None:
        yield _schema(reference, seen)
        yield _volume(reference, seen, options)
        if seen.rows:
            yield _nulls(reference, seen, options)


def moved(reference: Reference, seen: Observation, options: DriftOptions) -> Iterator[Check]:
    """How far each input, and the score, is from the reference; see `ratchet.drift.threshold` for the bounds."""
    bounds = threshold.thresholds(reference, len(seen.clusters), options) if seen.clusters else {}
    for name, bound in bounds.items():
        current = seen.summary.get(name.removeprefix(INPUT))
        if current is not None:
            yield _moved(name, reference.tracked[name], current, bound)


def operations(given: Operations, options: DriftOptions) -> Iterator[Check]:
    """What Prometheus and the prediction log know of the service. That they know nothing fires nothing."""
    if given.log is not None:
        yield _log(given.log)
    if given.fault is not None or given.requests == 0:
        sentence = given.fault or "Prometheus knows of no requests in the period."
        yield Check("operations:prometheus", "operations", None, None, fires=False, sentence=sentence)
    if given.p99_milliseconds is not None:
        value, most = given.p99_milliseconds, options.p99_milliseconds
        sentence = f"99 of 100 requests took at most {number(value)} ms, of {count(given.requests or 0)}."
        yield Check("operations:p99", "operations", value, f"at most {number(most)} ms", value > most, sentence)
    if given.error_rate is not None:
        value, most = given.error_rate, options.error_rate
        sentence = f"{percent(value)} of {count(given.requests or 0)} requests failed."
        yield Check("operations:errors", "operations", value, f"at most {percent(most)}", value > most, sentence)


def _log(given: Logged) -> Check:
    share = given.answered / given.rows if given.rows else 0.0
    said = f"The service has answered {count(given.answered)} of {count(given.rows)} rows"
    if given.fault is not None:
        sentence = f"The prediction log tells nothing, so the champion has scored the period anew: {given.fault}"
    elif given.counts:
        sentence = f"{said}: what it answered is checked, and the rest was scored anew."
    else:
        sentence = f"{said}: too few, so the champion has scored the period anew."
    torn = f" {count(given.unreadable)} lines of the log are no prediction of such rows." if given.unreadable else ""
    return Check("operations:log", "operations", metrics.rounded(share), None, fires=False, sentence=sentence + torn)


def _of_ingestion(given: Quality, options: DriftOptions) -> Iterator[Check]:
    if given.fault is not None:
        yield Check("quality:batch", "quality", None, "a whole batch", fires=True, sentence=given.fault)
        return
    for name, value, most in (
        ("quarantined", given.quarantined, options.quarantined),
        ("duplicated", given.duplicated, options.duplicated),
    ):
        sentence = f"{percent(value)} of the rows are {name}."
        bound = f"at most {percent(most)}"
        yield Check(f"quality:{name}", "quality", metrics.rounded(value), bound, value > most, sentence)
    if given.missing_clusters is not None:
        gap, allowed = given.missing_clusters, options.gap_days
        sentence = f"{gap} days are missing at one end of the period."
        yield Check("quality:freshness", "quality", float(gap), f"at most {allowed}", gap > allowed, sentence)


def _schema(reference: Reference, seen: Observation) -> Check:
    current = {name: seen.summary[name] for name in reference.inputs if name in seen.summary}
    other = [
        f"{name} holds {column.kind}s, not {expected}s"
        for name, column in current.items()
        for expected in [reference.tracked[INPUT + name].total.kind]
        if column.counts and column.kind != expected
    ]
    faults = [f"{name} is gone" for name in seen.missing] + other
    sentence = f"{_few(faults)}." if faults else "Every column is there and holds what it held."
    return Check("quality:schema", "quality", float(len(faults)), "0 columns", bool(faults), sentence)


def _volume(reference: Reference, seen: Observation, options: DriftOptions) -> Check:
    least, most = options.rows
    bound = f"{least:g} to {most:g} of the usual"
    if not seen.rows:
        return Check("quality:rows", "quality", 0.0, bound, fires=True, sentence="The period holds no rows.")
    if not seen.clusters:
        sentence = f"{count(seen.rows)} rows, of which days they are is not known."
        return Check("quality:rows", "quality", None, bound, fires=False, sentence=sentence)
    usual = float(reference.rows.mean())
    ratio = seen.rows / len(seen.clusters) / usual
    days = f"{count(seen.rows)} rows in {len(seen.clusters)} clusters"
    sentence = f"{days} are {ratio:.2f} of the reference's {count(usual)} a cluster."
    return Check("quality:rows", "quality", metrics.rounded(ratio), bound, not least <= ratio <= most, sentence)


def _nulls(reference: Reference, seen: Observation, options: DriftOptions) -> Check:
    rises = {
        name: seen.summary[name].null_share - _usual_nulls(reference.tracked[INPUT + name], len(seen.clusters))
        for name in reference.inputs
        if name in seen.summary
    }
    bound = f"a rise of at most {percent(options.nulls)}"
    beyond = sorted((name for name in rises if rises[name] > options.nulls), key=lambda name: -rises[name])
    worst = max(rises, key=lambda name: rises[name], default=None)
    said = [f"{name} is missing in {percent(seen.summary[name].null_share)} of the rows" for name in beyond]
    steady = "No column is missing much more often than in the reference."
    sentence = f"{_few(said)}." if said else steady
    value = None if worst is None else metrics.rounded(rises[worst])
    return Check("quality:nulls", "quality", value, bound, bool(beyond), sentence)


def _usual_nulls(found: Tracked, clusters: int) -> float:
    """The highest share of nulls in any window of the reference as long as the period."""
    length = min(clusters, len(found.daily)) or len(found.daily)
    sums = np.stack([found.daily[window].sum(axis=0) for window in threshold.windows(len(found.daily), length, 1)])
    return float(np.max(sums[:, -1] / np.maximum(sums.sum(axis=1), 1)))


def _moved(name: str, found: Tracked, current: Column, bound: float) -> Check:
    before, now = found.rows, found.bins.counts(current)
    value = float(distance.jensen_shannon(now, before))
    default = distance.default(found.total, current)
    short = "the score" if name == SCORE else name.removeprefix(INPUT)
    fires = value > bound
    if fires:
        sentence = f"{short} has moved by {number(value)}, beyond {number(bound)}"
        sentence += f": {_largest(found, before / before.sum(), now / now.sum())}.{_unseen(found, current)}"
    else:
        sentence = f"{short} is within {number(bound)} of the reference: {number(value)}.{_unseen(found, current)}"
    return Check(
        name=name,
        kind="prediction" if name == SCORE else "input",
        value=None if math.isnan(value) else metrics.rounded(value),
        bound=f"at most {number(bound)}",
        fires=fires,
        sentence=sentence,
        default_fires=None if default is None else default.drifts,
    )


def _largest(found: Tracked, before: Floats, now: Floats) -> str:
    at = int(np.argmax(np.abs(now - before)))
    label = "its largest bin" if found.private else found.bins.label(at)
    return f"{label} went from {percent(before[at])} to {percent(now[at])} of the rows"


def _unseen(found: Tracked, current: Column) -> str:
    """Texts that the reference does not have; that there are such is no alarm, how many rows they make may be."""
    if current.kind != "text" or found.total.kind != "text" or min(found.total.bits, current.bits) < EXACT:
        return ""
    new: Mapping[str, int] = {str(v): rows for v, rows in current.counts.items() if v not in found.total.counts}
    if not new:
        return ""
    named = "" if found.private else f", such as {_few(sorted(new, key=lambda text: (-new[text], text)))}"
    return f" {percent(sum(new.values()) / current.rows)} of the rows hold a value it has never seen{named}."


def _few(said: list[str]) -> str:
    rest = len(said) - NAMED
    return ", ".join(said[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
