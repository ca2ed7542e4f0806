"""What a person reads of a check: our own pages from the findings, and Evidently's page from a sample of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ratchet.drift import reference
from ratchet.drift.findings import Check, Findings
from ratchet.drift.options import DriftOptions
from ratchet.drift.sample import Sample
from ratchet.errors import RatchetError
from ratchet.report.document import (
    DASH,
    Banner,
    Code,
    Column,
    Document,
    Paragraph,
    Section,
    Strong,
    Table,
    Text,
    Tone,
    count,
    document,
    number,
    percent,
)

if TYPE_CHECKING:
    from ratchet.policy import Decision
    from ratchet.problem import Problem

TONES: dict[str, Tone] = {"healthy": "good", "watch": "wait", "retrain": "busy", "broken": "bad", "failed": "bad"}

MOST = 60
"""Checks that a table shows; those that fire come first."""

_KINDS = {
    "Data": ("quality",),
    "Inputs and scores": ("input", "prediction"),
    "Performance": ("performance", "calibration", "slice"),
    "Service": ("operations",),
}


def report(period: str, findings: Findings, decision: Decision, options: DriftOptions) -> Document:
    """The report of one check: what is done, why, every check with its figure and bound, how the bounds were made."""
    sections = [
        Section(
            "Decision", (Banner(TONES[decision.state], decision.state, decision.sentence), Paragraph(decision.why))
        ),
        Section("What fired", _sentences(findings.fired)),
        *(_section(title, kinds, findings.checks) for title, kinds in _KINDS.items()),
        Section("Performance on the period", _metrics(findings)),
        Section("How to read this", (Paragraph(_method(findings, options)),), folded=True),
    ]
    return document(f"Drift check of {period}", sections)


def evidently(
    problem: Problem, before: Iterable[pd.DataFrame], now: Iterable[pd.DataFrame], options: DriftOptions
) -> str:
    """Evidently's own page of the inputs, as HTML, on at most `options.sample` rows of either side; it says so itself.

    Columns that are private are left out: the page shows their values. A column that a side lacks is, too.

    Args:
        problem: Names the inputs.
        before: Raw rows of the reference, in any number of partitions.
        now: Raw rows of the period.
        options: Size and seed of the samples.

    Raises:
        RatchetError: A side has no rows, or they share no column.
    """
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = [name for name in reference.inputs(problem) if not reference.is_private(problem, name)]
    (old, of_old), (new, of_new) = (_sampled(frames, names, options) for frames in (before, now))
    shared = [name for name in names if name in old and name in new]
    if not shared or not of_old or not of_new:
        raise RatchetError("there is nothing to compare: a side has no rows, or the two share no column")
    numbers = [name for name in shared if pd.api.types.is_numeric_dtype(new[name])]
    texts = [name for name in shared if name not in numbers]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    plain = dict.fromkeys(numbers, "float64")  # it fails on pandas' own integers
    sides = [Dataset.from_pandas(side[shared].astype(plain), data_definition=definition) for side in (new, old)]
    page = Report([DataDriftPreset()]).run(*sides).get_html_str(as_iframe=False)
    note = (
        f"A sample: {count(len(new))} of {count(of_new)} rows of the period, {count(len(old))} of {count(of_old)} rows "
        f"of the reference, drawn with seed {options.seed}. The decision rests on all rows, not on this page."
    )
    return str(page).replace("<body>", f"<body><p><strong>{note}</strong></p>", 1)


def _section(title: str, kinds: Sequence[str], checks: Sequence[Check]) -> Section:
    chosen = sorted((check for check in checks if check.kind in kinds), key=lambda check: not check.fires)
    if not chosen:
        return Section(title)
    default = any(check.default_fires is not None for check in chosen)
    columns = (Column("Check"), Column("Figure", numeric=True), Column("Bound"), Column("Fires"))
    rows = tuple(_row(check, default=default) for check in chosen[:MOST])
    table = Table((*columns, Column("Evidently's default")) if default else columns, rows)
    rest = len(chosen) - MOST
    more = (Paragraph(f"{rest} more did not fire, or are beyond what a page holds."),) if rest > 0 else ()
    # Of the service also what fires nothing is said: where scores come from, and what could not be asked.
    told = _sentences([check for check in chosen if check.kind == "operations" and not check.fires])
    return Section(title, (table, *more, *told), folded=not any(check.fires for check in chosen))


def _row(check: Check, *, default: bool) -> tuple[Text, ...]:
    fires: Text = Strong("fires") if check.fires else "no"
    estimated = " (estimated)" if check.estimated else ""
    cells: tuple[Text, ...] = (Code(check.name), number(check.value) + estimated, check.bound or DASH, fires)
    if not default:
        return cells
    return (*cells, DASH if check.default_fires is None else "drifts" if check.default_fires else "no")


def _sentences(checks: Sequence[Check]) -> tuple[Paragraph, ...]:
    return tuple(Paragraph((Code(check.name), f" {check.sentence}")) for check in checks[:MOST])


def _metrics(findings: Findings) -> tuple[Table, ...]:
    rows = tuple((Code(name), number(value)) for name, value in findings.metrics.items())
    return (Table((Column("Metric"), Column("Value", numeric=True)), rows),) if rows else ()


def _method(findings: Findings, options: DriftOptions) -> str:
    sample = (
        f"Performance and its estimate, the metrics, calibration and slices rest on a seeded sample of "
        f"{count(options.sample)} of {count(findings.rows)} rows, {count(findings.sampled)} of them with a label; "
        "quality, inputs and the distance of the scores on all rows. "
        if findings.rows > options.sample
        else "All figures rest on all rows. "
    )
    return (
        f"{sample}An input fires when its Jensen-Shannon distance from the reference is beyond what blocks of "
        f"{options.block} of the reference's own days come to in all but {percent(options.false_alarms)} of "
        f"{count(options.resamples)} imagined periods without a change, counted over all inputs and the scores "
        f"together; beyond what any window of the reference came to; and beyond {number(options.least)}. That rate "
        "holds while days stay as the reference's were: a season that it has not seen is drift. Performance is what "
        "the champion adds to a constant, with an interval by clusters. Evidently's default is what its preset would "
        "say of the same column at its own threshold of 0.1; it decides nothing."
    )


def _sampled(frames: Iterable[pd.DataFrame], names: list[str], options: DriftOptions) -> tuple[pd.DataFrame, int]:
    """A sample of the rows, and how many there are."""
    sample = Sample(options.sample, options.seed)
    for frame in frames:
        chosen = sample.choose(len(frame))
        sample.add(frame.loc[chosen, [name for name in names if name in frame]])
    return sample.frame(), sample.rows
