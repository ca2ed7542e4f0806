"""The comparison: two scores tables of the same rows to paired differences, their uncertainty by cluster.

Pure: tables and mappings in, values out. What must hold for a comparison to mean anything (neither model has seen the
rows, both scored the same ones, the labels agree) is checked first; when it does not, the comparison is void and says
why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ratchet import metrics
from ratchet.errors import RatchetError
from ratchet.metrics import Codes, Floats, Jackknife, Metric
from ratchet.problem import Task

BASELINE, SLICE = "baseline:", "slice:"
RESERVED = ("cluster", "label", "score")
SAMPLE = 3
MISSING = "(missing)"


@dataclass(frozen=True)
class Scored:
    """A model as far as a comparison needs it.

    Attributes:
        table: Key columns, `cluster`, `label`, `score`, and any `baseline:<name>`, `slice:<name>`; one line per row.
        trained_on: Period to the SHA-256 of its rows.
        threshold: Operating threshold of a binary task.
    """

    table: pd.DataFrame
    trained_on: Mapping[str, str] = field(default_factory=dict)
    threshold: float | None = None


@dataclass(frozen=True)
class Check:
    """One thing that must hold for the comparison to mean anything; `value` counts what breaks it."""

    name: str
    passed: bool
    value: int
    bound: str
    sentence: str


@dataclass(frozen=True)
class Difference:
    """One metric of both models on the same rows."""

    metric: Metric
    champion: Jackknife
    challenger: Jackknife

    @property
    def improvement(self) -> Jackknife:
        """How much better the challenger is (positive: better), on all rows and without each cluster."""
        return Jackknife(
            float(self.metric.improvement(self.champion.value, self.challenger.value)),
            self.metric.improvement(self.champion.without, self.challenger.without),
        )

    def interval(self, level: float) -> tuple[float, float]:
        """Interval of the improvement, each end missed with probability `level`."""
        found = self.improvement
        return metrics.interval(found.value, found.without, level)


@dataclass(frozen=True)
class Segment:
    """The primary metric on the rows of one value of a slice."""

    slice: str
    value: str
    rows: int
    clusters: int
    difference: Difference


@dataclass(frozen=True)
class Holdout:
    """The rows both models are judged on; `keys` is the SHA-256 of their sorted keys."""

    rows: int
    clusters: int
    first: str
    last: str
    keys: str


@dataclass(frozen=True)
class Comparison:
    """What the gate judges; without holdout, differences and segments when it is void."""

    task: Task
    primary: Metric
    checks: tuple[Check, ...]
    holdout: Holdout | None = None
    differences: tuple[Difference, ...] = ()
    segments: tuple[Segment, ...] = ()

    @property
    def is_void(self) -> bool:
        """A check failed: there is nothing to judge."""
        return not all(check.passed for check in self.checks)

    def difference(self, name: str) -> Difference:
        """The difference in one metric."""
        return next(found for found in self.differences if found.metric.name == name)


def compare(champion: Scored, challenger: Scored, task: Task, metric: str, holdout: Mapping[str, str]) -> Comparison:
    """Compare two models on the same rows.

    Args:
        champion: The model in production, or a baseline; clusters, slices and labels are taken from its table.
        challenger: The proposed model.
        task: Kind of the label.
        metric: Name of the primary metric, the one that is also compared by slice.
        holdout: Period to the SHA-256 of its rows, for the rows the tables hold.

    Raises:
        RatchetError: There is no such metric for this task.
    """
    primary = metrics.get(metric, task, challenger.threshold)
    checks = [_unseen(champion, challenger, holdout), _usable(champion.table, challenger.table, task)]
    if checks[-1].passed:
        checks.append(_same_rows(champion.table, challenger.table))
    if checks[-1].passed:
        order = _keys(challenger.table).get_indexer(_keys(champion.table))
        paired = challenger.table.iloc[order]
        checks.append(_same_labels(champion.table, paired))
    if not all(check.passed for check in checks):
        return Comparison(task, primary, tuple(checks))
    pair = _Pair.of(champion.table, paired)
    return Comparison(
        task=task,
        primary=primary,
        checks=tuple(checks),
        holdout=_holdout(champion.table),
        differences=tuple(pair.difference(*both) for both in _measured(task, champion.threshold, challenger.threshold)),
        segments=tuple(_segments(champion.table, pair, metrics.get(metric, task, champion.threshold), primary)),
    )


def baseline(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table with the scores of a baseline in the place of the model's.

    Raises:
        RatchetError: The table has no such baseline; lists those it has.
    """
    if BASELINE + name not in table:
        known = [str(c).removeprefix(BASELINE) for c in table.columns if str(c).startswith(BASELINE)]
        raise RatchetError(f"the scores hold no baseline {name!r}; there is {', '.join(known) or 'none'}")
    return table.assign(score=table[BASELINE + name])


def key_columns(table: pd.DataFrame) -> list[str]:
    """Columns that identify a row, in alphabetical order: all that are neither reserved nor a baseline or slice."""
    names = [str(column) for column in table.columns]
    return sorted(name for name in names if name not in RESERVED and not name.startswith((BASELINE, SLICE)))


def _unseen(champion: Scored, challenger: Scored, holdout: Mapping[str, str]) -> Check:
    digests = set(holdout.values())
    seen = {
        name: sorted(p for p, digest in side.trained_on.items() if p in holdout or digest in digests)
        for name, side in (("champion", champion), ("challenger", challenger))
    }
    found = [f"the {name} was trained on {', '.join(periods)}" for name, periods in seen.items() if periods]
    sentence = "Neither model was trained on the rows that test it."
    if found:
        sentence = (
            f"{_capital(' and '.join(found))}, of which the holdout is made; it can only be tested on other rows."
        )
    return Check("unseen", not found, sum(map(len, seen.values())), "0 periods", sentence)


def _usable(champion: pd.DataFrame, challenger: pd.DataFrame, task: Task) -> Check:
    faults = [
        f"the {name}'s scores {fault}"
        for name, table in (("champion", champion), ("challenger", challenger))
        for fault in [_fault(table, task)]
        if fault
    ]
    sentence = (
        f"{_capital('; '.join(faults))}." if faults else "Both tables of scores are complete and hold each row once."
    )
    return Check("usable", not faults, len(faults), "0 tables", sentence)


def _fault(table: pd.DataFrame, task: Task) -> str | None:
    """What makes a table of scores unusable, as the rest of a sentence."""
    absent = [name for name in RESERVED if name not in table]
    if absent or not key_columns(table):
        return f"have no column {', '.join(absent) or 'for a key'}"
    if table.empty:
        return "hold no row"
    if table["cluster"].isna().any():
        return "have rows without cluster"
    repeated = _keys(table).duplicated()
    if repeated.any():
        return f"hold {repeated.sum():,} rows more than once, such as {_sample(table, repeated)}"
    return _wrong_number(table, task)


def _wrong_number(table: pd.DataFrame, task: Task) -> str | None:
    for name in ("label", "score"):
        column = table[name]
        if not (pd.api.types.is_numeric_dtype(column) and np.isfinite(column.to_numpy(np.float64)).all()):
            return f"have a {name} that is not a number"
    if task == "binary" and not table["label"].isin((0, 1)).all():
        return "have a label other than 0 and 1"
    if task == "binary" and not table["score"].between(0, 1).all():
        return "have a score outside 0 to 1, which is no probability"
    return None


def _same_rows(champion: pd.DataFrame, challenger: pd.DataFrame) -> Check:
    ours, theirs = key_columns(champion), key_columns(challenger)
    if ours != theirs:
        sentence = f"The champion's rows are identified by {', '.join(ours)}, the challenger's by {', '.join(theirs)}."
        return Check("same_rows", passed=False, value=len(champion), bound="0 rows", sentence=sentence)
    of_champion, of_challenger = _keys(champion), _keys(challenger)
    only_challenger, only_champion = ~of_challenger.isin(of_champion), ~of_champion.isin(of_challenger)
    missing = [
        f"{lost.sum():,} rows of the {one} are missing from the {other}'s scores, such as {_sample(table, lost)}"
        for one, other, table, lost in (
            ("champion", "challenger", champion, only_champion),
            ("challenger", "champion", challenger, only_challenger),
        )
        if lost.any()
    ]
    sentence = f"{_capital('; '.join(missing))}." if missing else f"Both models scored the same {len(champion):,} rows."
    return Check("same_rows", not missing, int(only_champion.sum() + only_challenger.sum()), "0 rows", sentence)


def _same_labels(champion: pd.DataFrame, challenger: pd.DataFrame) -> Check:
    """Tables in the same order."""
    differs = np.zeros(len(champion), dtype=bool)
    for column in ("label", "cluster"):
        differs |= champion[column].to_numpy() != challenger[column].to_numpy()
    sentence = "Both models were scored against the same labels."
    if differs.any():
        sentence = (
            f"{differs.sum():,} rows have another label or cluster in the challenger's scores than in the champion's, "
            f"such as {_sample(champion, differs)}."
        )
    return Check("same_labels", not differs.any(), int(differs.sum()), "0 rows", sentence)


def _measured(task: Task, champion: float | None, challenger: float | None) -> list[tuple[Metric, Metric]]:
    """Metrics both models have, each with the threshold it would operate at."""
    ours = {metric.name: metric for metric in metrics.for_task(task, champion)}
    return [(ours[m.name], m) for m in metrics.for_task(task, challenger) if m.name in ours]


@dataclass(frozen=True)
class _Pair:
    """Labels and both scores, shape (n,), with the cluster codes of the rows in order of time."""

    labels: Floats
    champion: Floats
    challenger: Floats
    clusters: Codes

    @classmethod
    def of(cls, champion: pd.DataFrame, challenger: pd.DataFrame) -> _Pair:
        """Tables in the same order."""
        return cls(
            champion["label"].to_numpy(np.float64),
            champion["score"].to_numpy(np.float64),
            challenger["score"].to_numpy(np.float64),
            pd.factorize(champion["cluster"], sort=True)[0],
        )

    def difference(self, champion: Metric, challenger: Metric) -> Difference:
        return Difference(
            challenger,
            metrics.jackknife(champion, self.labels, self.champion, self.clusters),
            metrics.jackknife(challenger, self.labels, self.challenger, self.clusters),
        )

    def rows(self, at: Codes) -> _Pair:
        return _Pair(self.labels[at], self.champion[at], self.challenger[at], self.clusters[at])


def _segments(table: pd.DataFrame, pair: _Pair, champion: Metric, challenger: Metric) -> list[Segment]:
    segments = []
    for column in sorted(str(name) for name in table.columns if str(name).startswith(SLICE)):
        codes, values = pd.factorize(table[column].astype(str).fillna(MISSING), sort=True)
        for code, value in enumerate(values):
            rows = pair.rows(np.flatnonzero(codes == code))
            name, clusters = column.removeprefix(SLICE), len(np.unique(rows.clusters))
            segments.append(
                Segment(name, str(value), len(rows.labels), clusters, rows.difference(champion, challenger))
            )
    return segments


def _holdout(table: pd.DataFrame) -> Holdout:
    clusters = sorted(table["cluster"].astype(str).unique())
    names = key_columns(table)
    keys = table[names].sort_values(names, kind="stable").to_csv(index=False, lineterminator="\n")
    digest = hashlib.sha256(keys.encode()).hexdigest()
    return Holdout(len(table), len(clusters), clusters[0], clusters[-1], digest)


def _keys(table: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(table[key_columns(table)])


def _sample(table: pd.DataFrame, chosen: np.ndarray) -> str:
    """The keys of the first chosen rows."""
    rows = table.loc[chosen, key_columns(table)].head(SAMPLE)
    return ", ".join("(" + ", ".join(str(value)[:40] for value in row) + ")" for row in rows.itertuples(index=False))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
