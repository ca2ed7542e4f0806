"""What a check of one period found: plain values, small enough for the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ratchet.report.document import plain

Kind = Literal["quality", "input", "prediction", "performance", "calibration", "slice", "operations"]
Performance = Literal["fell", "holds", "unknown"]
Name = Literal[
    "healthy",
    "inputs moved, performance holds",
    "performance fell with stable inputs",
    "inputs moved and performance fell",
    "broken upstream",
    "too few labels",
]

MOST = 500
"""Checks that a record holds."""

_NAME, _SENTENCE = 200, 600


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: Unique: `input:temp`, `performance:log_loss`, `quality:rows`.
        kind: What it is about.
        value: The figure, None where there is none.
        bound: What the figure was held against, in words: `at most 0.12`.
        fires: The figure is beyond its bound.
        sentence: The same in one plain sentence.
        estimated: The figure was computed without labels, from the scores alone.
        default_fires: Evidently's default test at its own threshold would call the column drifted; None where it has
            nothing to say.
    """

    name: str
    kind: Kind
    value: float | None
    bound: str | None
    fires: bool
    sentence: str
    estimated: bool = False
    default_fires: bool | None = None


@dataclass(frozen=True)
class Diagnosis:
    """The checks in words."""

    name: Name
    sentence: str


@dataclass(frozen=True)
class Findings:
    """Everything a check of one period found.

    Attributes:
        first: The first cluster (day); empty when there are no rows.
        last: The last one.
        rows: Rows of the period.
        clusters: Clusters of the period.
        labelled: Rows whose label has come.
        sampled: Labelled rows that performance, calibration and slices were computed on: all, unless the period has
            more rows than `DriftOptions.sample`.
        checks: In the order a reader meets them.
        performance: Of the primary metric, once labels have come.
        diagnosis: In words.
        metrics: Every metric of the labelled rows (of the sample, if there is one) by name, rounded; empty without
            labels.
    """

    first: str
    last: str
    rows: int
    clusters: int
    labelled: int
    sampled: int
    checks: tuple[Check, ...]
    performance: Performance
    diagnosis: Diagnosis
    metrics: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def fired(self) -> tuple[Check, ...]:
        """The checks that are beyond their bounds."""
        return tuple(check for check in self.checks if check.fires)

    @property
    def broken(self) -> bool:
        """The data themselves are wrong, so nothing that is computed from them means anything."""
        return any(check.kind == "quality" for check in self.fired)

    @property
    def inputs_moved(self) -> bool:
        """An input moved by more than the reference's own days explain."""
        return any(check.kind == "input" for check in self.fired)

    @property
    def score_moved(self) -> bool:
        """The distribution of the scores moved: of what moved in the inputs, what the model takes notice of."""
        return any(check.kind == "prediction" for check in self.fired)

    @property
    def default_moved(self) -> bool:
        """Evidently's default preset would call the data set drifted: half of the columns or more."""
        told = [check.default_fires for check in self.checks if check.kind == "input"]
        return sum(map(bool, told)) >= len(told) / 2 and bool(told)

    def records(self) -> list[dict[str, Any]]:
        """JSON-able values for the ledger: at most `MOST` checks, those that fire first, their texts clipped."""
        ordered = sorted(self.checks, key=lambda check: not check.fires)[:MOST]
        return [
            {
                "name": plain(check.name, _NAME),
                "kind": check.kind,
                "value": check.value,
                "bound": check.bound,
                "fires": check.fires,
                "estimated": check.estimated,
                "sentence": plain(check.sentence, _SENTENCE),
            }
            for check in ordered
        ]
