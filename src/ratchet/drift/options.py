"""What a check is told: bounds and rates, and the facts that are not in the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Range = tuple[float, float]


@dataclass(frozen=True)
class DriftOptions:
    """The bounds of a check.

    Attributes:
        false_alarms: Chance that any input (or the score) of a period fires although nothing has changed.
        least: No distance below this fires, however steady the column was: what is certain need not matter. 0.1 is a
            share of 50 % that becomes 62 %, or one of 1 % that becomes 5 %.
        metric: The primary metric; its fall is what a retraining has to repair.
        fall: Smallest loss in what the champion adds to a constant, against the judged holdout, that counts as a fall,
            when it is proven; in the metric's unit.
        level: One-sided level of every interval.
        labelled: Smallest share of rows whose labels must have come before performance is told.
        label_clusters: Fewest clusters (days) with labels, likewise.
        slice_fall: Smallest proven loss that counts in a slice.
        slice_rows: Smaller slices are not judged.
        calibration_slope: Range outside of which a proven slope fires (binary tasks).
        calibration_intercept: Largest size of the intercept in logits, likewise.
        rows: Range of rows a cluster, relative to the reference's mean; in a check that of data.checks.rows.
        nulls: Largest rise of a column's share of nulls above the highest of any of the reference's windows.
        quarantined: Largest share of rows set aside.
        duplicated: Largest share of repeated rows.
        gap_days: Most clusters that may be missing at either end of the period.
        p99_milliseconds: Largest latency of the service at the 99th percentile.
        error_rate: Largest share of requests that failed.
        block: Neighbouring clusters (days) that are resampled together.
        resamples: How many periods are imagined to find the thresholds.
        sample: Most rows that are kept for what needs rows (ranks, Evidently's page).
        seed: Of the resamples and the sample.
    """

    false_alarms: float = 0.05
    least: float = 0.1
    metric: str = "log_loss"
    fall: float = 0.01
    level: float = 0.025
    labelled: float = 0.9
    label_clusters: int = 7
    slice_fall: float = 0.05
    slice_rows: int = 500
    calibration_slope: Range = (0.7, 1.4)
    calibration_intercept: float = 0.5
    rows: Range = (0.5, 2.0)
    nulls: float = 0.15
    quarantined: float = 0.01
    duplicated: float = 0.001
    gap_days: int = 1
    p99_milliseconds: float = 250.0
    error_rate: float = 0.01
    block: int = 10
    resamples: int = 1000
    sample: int = 50_000
    seed: int = 0


@dataclass(frozen=True)
class Judged:
    """The champion as it was judged: the table of scores of its holdout, and its operating threshold.

    Attributes:
        table: `evaluation/scores.parquet`: `cluster`, `label`, `score`, and `slice:<name>` where there are slices.
        threshold: Operating threshold of a binary task.
    """

    table: pd.DataFrame
    threshold: float | None = None


@dataclass(frozen=True)
class Logged:
    """What the service's prediction log has of the period.

    Attributes:
        rows: Rows of the period.
        answered: Those of them that the champion has answered.
        counts: What was answered is checked, not what would be: there is enough of it.
        unreadable: Lines of the log, of whatever period, that are no prediction of the problem's rows.
        fault: Why the log tells nothing, in words.
    """

    rows: int
    answered: int = 0
    counts: bool = False
    unreadable: int = 0
    fault: str | None = None


@dataclass(frozen=True)
class Operations:
    """What is known of the service in the period.

    Attributes:
        requests: That Prometheus has counted; None where none is asked.
        p99_milliseconds: Latency at the 99th percentile; None where Prometheus knows none.
        error_rate: Share of requests that failed, likewise.
        fault: Why Prometheus tells nothing, in words.
        log: What the prediction log has; None where none is read.
    """

    requests: int | None = None
    p99_milliseconds: float | None = None
    error_rate: float | None = None
    fault: str | None = None
    log: Logged | None = None


@dataclass(frozen=True)
class Quality:
    """What ingestion found out about the batch as a whole.

    Attributes:
        quarantined: Share of fetched rows that were set aside.
        duplicated: Share of fetched rows that repeat a key.
        missing_clusters: Clusters (days) missing at the worse end of the period; None when that is not known.
        fault: Why there is no batch at all, in words.
    """

    quarantined: float = 0.0
    duplicated: float = 0.0
    missing_clusters: int | None = None
    fault: str | None = None

    @classmethod
    def of_batch(cls, figures: Mapping[str, Any]) -> Quality:
        """From the content of `batch.json`."""
        fetched = max(figures["rows"] + figures["quarantined"], 1)
        gaps = [figures["days"][name] for name in ("missing_before", "missing_after")]
        known = [gap for gap in gaps if gap is not None]
        broken = figures["quarantined"] - figures["duplicated"]
        return cls(broken / fetched, figures["duplicated"] / fetched, max(known) if known else None)
