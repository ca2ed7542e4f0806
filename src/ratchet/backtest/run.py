"""The whole backtest, as one function: from the names of the periods to what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet import metrics
from ratchet.backtest import grid, rates, results, shifts
from ratchet.backtest.engine import Engine
from ratchet.backtest.page import Backtest
from ratchet.backtest.replay import GROWING, Plan, Year
from ratchet.retraining.facts import options_of

if TYPE_CHECKING:
    from ratchet.params import Params
    from ratchet.problem import Problem

ROLLING = 3


@dataclass(frozen=True)
class Means:
    """How the work is done, of which no figure depends on but the seconds.

    Attributes:
        engine: joblib or dask.
        workers: How many processes.
        folder: What is computed is kept there.
    """

    engine: Engine = "joblib"
    workers: int = 1
    folder: Path = grid.FOLDER

    @property
    def spread(self) -> tuple[Engine, int]:
        """Engine and workers."""
        return self.engine, self.workers


def run(  # a question (four values) and how to work on it (two)
    problem: Problem,
    params: Params,
    periods: Sequence[str],
    replays: int,
    means: Means,
    echo: Callable[[str], None] = print,
) -> Backtest:
    """Replay the periods under every policy, with growing and with rolling windows, and measure error rates.

    Args:
        problem: What is predicted, from what; its module `shifts`, where there is one, says what is injected.
        params: Parameters of the model, bounds of ingestion, and the policy of the gate.
        periods: In order of time.
        replays: How many stationary years, and how many replays of each shift; 0 leaves error rates out.
        means: How the work is done.
        echo: Where lines about the progress go.

    Raises:
        RatchetError: There are too few periods, one of them is broken, or an estimator refuses its rows.
    """
    models, plans = computed(problem, params, periods, means, echo)
    options = options_of(params)
    found = results.table([Year(models, plan, options) for plan in plans])
    measured: list[rates.Rate] = []
    if replays:
        echo(f"models of stationary and of shifted years, {rates.prepare(models, periods, *means.spread)} of them new")
        measured = rates.measure(rates.Lab(models, options), replays, *means.spread)
    pair = (params.gate.metric, results.SECOND[problem.task])
    primary, second = (metrics.get(name, problem.task) for name in pair)
    return Backtest(found, measured, (primary, second), tuple(shifts.of(problem).values()))


def computed(
    problem: Problem, params: Params, periods: Sequence[str], means: Means, echo: Callable[[str], None] = print
) -> tuple[grid.Grid, list[Plan]]:
    """The grid of a year, every model in it, and the ways to walk through it; see `run`."""
    plans = [Plan(tuple(periods), window) for window in (GROWING, ROLLING)]
    found = grid.Grid(problem, params, means.folder)
    found.gather(periods, *means.spread)
    wishes = list(dict.fromkeys(wish for plan in plans for wish in plan.wishes))
    echo(f"{len(wishes)} models of the year, {found.compute(wishes, *means.spread)} of them new")
    return found, plans
