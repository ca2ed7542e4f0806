"""What is known when a period ends and its labels have come: all that a policy may look at, and nothing later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from ratchet import drift, evaluation, gate

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.backtest.grid import Fit
    from ratchet.drift import DriftOptions, Findings, Reference
    from ratchet.metrics import Floats
    from ratchet.params import Gate
    from ratchet.problem import Problem


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a challenger; `hold` tells why, when it holds."""

    word: Literal["promote", "hold", "block", "void"]
    hold: str | None = None


class Evidence(Protocol):
    """What a policy sees. Each is found out when it is first asked for, and a verdict costs a training."""

    @property
    def findings(self) -> Findings:
        """The check of the period that has just ended."""

    @property
    def verdict(self) -> Verdict:
        """The gate's verdict on a challenger that was trained on what came before that period, judged on it."""


@dataclass(frozen=True, eq=False)
class Month:
    """The rows of a period, and what the models of interest make of them.

    Attributes:
        problem: Says what is what in a row.
        name: Of the period.
        rows: Raw rows, shape (n, columns).
        scores: Model to its scores, shape (n,).
    """

    problem: Problem
    name: str
    rows: pd.DataFrame
    scores: Mapping[Fit, Floats]

    def table(self, fit: Fit) -> pd.DataFrame:
        """The labelled rows as the judge wants them: key, cluster, label, score, slices."""
        return self._blank.assign(score=self.scores[fit][self.rows[self.problem.target].notna().to_numpy()])

    @cached_property
    def _blank(self) -> pd.DataFrame:
        # The same for every model but for the scores.
        return evaluation.scores_table(self.problem, self.rows, lambda rows: np.zeros(len(rows)), {})


def findings(reference: Reference, judged: Month, month: Month, champion: Fit, options: DriftOptions) -> Findings:
    """The check of one period, its labels at hand."""
    return drift.examine(
        month.problem,
        reference,
        [month.rows],
        [month.scores[champion]],
        judged=drift.Judged(judged.table(champion)),
        options=options,
    )


def verdict(
    policy: Gate, champion: Fit, challenger: Fit, month: Month, behaviour: Sequence[Mapping[str, Any]] = ()
) -> Verdict:
    """The gate's verdict on two models, as a pull request would hear it at the first look at this month."""
    sides = [_side(fit, month, behaviour) for fit in (champion, challenger)]
    told = gate.verdict(sides[0], sides[1], {month.name: month.name}, policy, look=1)
    return Verdict(told["verdict"], told["hold"])


def _side(fit: Fit, month: Month, behaviour: Sequence[Mapping[str, Any]]) -> gate.Side:
    manifest = {
        "task": month.problem.task,
        "target": month.problem.target,
        "threshold": None,
        # Names stand for digests: a model that was trained on the month makes the comparison void.
        "trained_on": {part.rows: part.rows for part in fit.train},
    }
    return gate.Side(month.table(fit), {"behaviour": behaviour}, manifest, {"properties": {}}, 0, fit.name)
