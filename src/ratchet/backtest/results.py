"""What came of a policy: its pull requests and whether they helped, the loss on the following months, the regret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from ratchet import metrics
from ratchet.backtest import replay
from ratchet.backtest.policies import POLICIES
from ratchet.compare import Difference
from ratchet.metrics import Jackknife, Metric

if TYPE_CHECKING:
    from ratchet.backtest.replay import Step, Year
    from ratchet.problem import Task

Effect = Literal["helped", "harmed", "unclear"]
ORACLE = "oracle"
JUDGED = tuple(policy.name for policy in POLICIES if not policy.blind)
"""Policies whose models are judged before they serve, from the simplest on."""

SECOND: Mapping[Task, str] = {"binary": "roc_auc", "regression": "r2"}


@dataclass(frozen=True)
class Figure:
    """A value with its two-sided 95 % interval by cluster."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, found: Jackknife) -> Figure:
        """From leaving out a cluster at a time."""
        return cls(found.value, *metrics.interval(found.value, found.without))


@dataclass(frozen=True)
class Opened:
    """A pull request, and what it did to the primary metric of the following period.

    Attributes:
        period: At whose end it was opened.
        serves: The next period, the first that it serves.
        gain: Improvement on the next period over the model that it replaced.
        effect: `helped` or `harmed` where the interval of the gain leaves no doubt.
    """

    period: str
    serves: str
    gain: Figure

    @property
    def effect(self) -> Effect:
        """What the interval says."""
        return "helped" if self.gain.low > 0 else "harmed" if self.gain.high < 0 else "unclear"


@dataclass(frozen=True)
class Result:
    """A policy on a year.

    Attributes:
        policy: Its name.
        window: Periods that train a model, 0 for all.
        opened: Its pull requests, in order of time.
        trained: How many models were trained for it.
        seconds: How long that took, all fits together.
        primary: The primary metric of what served, on all rows of the following periods.
        second: Another metric, likewise.
        regret: How much better the oracle with the same window is in the primary metric.
        behind: How much better the best policy is, of those whose models are judged.
        months: The primary metric of each following period.
    """

    policy: str
    window: int
    opened: tuple[Opened, ...]
    trained: int
    seconds: float
    primary: Figure
    second: Figure
    regret: Figure
    behind: Figure
    months: Mapping[str, float]

    def count(self, effect: Effect) -> int:
        """How many pull requests had this effect."""
        return sum(found.effect == effect for found in self.opened)


@dataclass(frozen=True)
class Served:
    """Labels, scores and clusters of all rows of the following periods, shape (n,) each, under one policy."""

    labels: metrics.Floats
    scores: metrics.Floats
    clusters: metrics.Codes

    @classmethod
    def of(cls, year: Year, steps: Sequence[Step]) -> Served:
        """What served after each step."""
        tables = [year.month(step.period + 1).table(step.serving) for step in steps]
        rows = pd.concat(tables, ignore_index=True)
        return cls(
            rows["label"].to_numpy(np.float64),
            rows["score"].to_numpy(np.float64),
            pd.factorize(rows["cluster"], sort=True)[0],
        )

    def figure(self, metric: Metric) -> Jackknife:
        """A metric of them all."""
        return metrics.jackknife(metric, self.labels, self.scores, self.clusters)


def table(years: Sequence[Year]) -> list[Result]:
    """Every policy with each kind of window, and after them the oracle, which knows the future."""
    task, gate = years[0].grid.problem.task, years[0].grid.params.gate
    primary, second = (metrics.get(name, task) for name in (gate.metric, SECOND[task]))
    walks = {
        (year, name): steps
        for year in years
        for name, steps in [
            *((policy.name, replay.walk(year, policy)) for policy in POLICIES),
            (ORACLE, replay.oracle(year)),
        ]
    }
    served = {key: Served.of(key[0], steps) for key, steps in walks.items()}
    figures = {key: found.figure(primary) for key, found in served.items()}
    judged = [key for key in walks if key[1] in JUDGED]
    best = max(judged, key=lambda key: primary.improvement(0.0, figures[key].value))
    return [
        Result(
            policy=name,
            window=year.plan.window,
            opened=tuple(_opened(year, primary, step) for step in steps if step.opened),
            trained=sum(step.trained for step in steps),
            seconds=sum(year.seconds(step.challenger) for step in steps if step.trained),
            primary=Figure.of(figures[year, name]),
            second=Figure.of(served[year, name].figure(second)),
            regret=_better(primary, figures[year, name], figures[year, ORACLE]),
            behind=_better(primary, figures[year, name], figures[best]),
            months={year.plan.periods[step.period + 1]: year.value(step.serving, step.period + 1) for step in steps},
        )
        for (year, name), steps in walks.items()
    ]


def best(results: Sequence[Result]) -> Result:
    """The one that the others are behind."""
    return next(found for found in results if found.policy in JUDGED and found.behind == Figure(0.0, 0.0, 0.0))


def candidates(results: Sequence[Result]) -> list[Result]:
    """Policies that are not distinguishably worse than the best, from the simplest on; all are judged."""
    return [found for found in results if found.policy in JUDGED and not found.behind.low > 0]


def _opened(year: Year, metric: Metric, step: Step) -> Opened:
    periods, month = year.plan.periods, year.month(step.period + 1)
    before, after = (
        metrics.jackknife(metric, rows["label"], rows["score"], rows["cluster"])
        for rows in (month.table(step.champion), month.table(step.challenger))
    )
    return Opened(periods[step.period], periods[step.period + 1], _better(metric, before, after))


def _better(metric: Metric, one: Jackknife, other: Jackknife) -> Figure:
    """How much better the other is on the same rows."""
    return Figure.of(Difference(metric, one, other).improvement)
