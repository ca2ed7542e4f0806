"""A policy walks through a year, month by month, and sees of it what was known at the time.

When period t has ended and its labels have come, the challenger is what a pull request would hold then: trained on the
periods before t, judged on t. What is opened is taken as merged, and serves from the next period on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from ratchet import drift, metrics
from ratchet.backtest import evidence
from ratchet.backtest.evidence import Month, Verdict
from ratchet.backtest.grid import Fit, Grid, Part, Wish
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.backtest.policies import Policy
    from ratchet.drift import DriftOptions, Findings, Reference

GROWING = 0


@dataclass(frozen=True)
class Plan:
    """How a year is walked through.

    Attributes:
        periods: In order of time.
        window: The last so many periods train a model; 0 takes all of them.
        first: So many periods train the first model; the next one judges it, and it serves from the one after that.
    """

    periods: tuple[str, ...]
    window: int = GROWING
    first: int = 2

    def __post_init__(self) -> None:
        if len(self.periods) < self.first + 3 or list(self.periods) != sorted(set(self.periods)):
            raise RatchetError(
                f"a backtest needs at least {self.first + 3} periods in order of time, each once: {self.first} train "
                f"the first model, one judges it, one is decided on, one follows; here are {', '.join(self.periods)}"
            )

    @property
    def decided(self) -> range:
        """Numbers of the periods at whose end there is something to decide; the next period shows what it was worth."""
        return range(self.first + 1, len(self.periods) - 1)

    def trained_to(self, last: int) -> Fit:
        """The model whose last period of training is number `last`."""
        begin = max(0, last + 1 - self.window) if self.window else 0
        return Fit(tuple(map(Part, self.periods[begin : last + 1])))

    def challenger(self, period: int, *, blind: bool = False) -> Fit:
        """What would be proposed at the end of a period: judged on it, unless it was trained on it, blind."""
        return self.trained_to(period if blind else period - 1)

    @property
    def champion(self) -> Fit:
        """The first model."""
        return self.trained_to(self.first - 1)

    @property
    def wishes(self) -> list[Wish]:
        """Every model that a policy could come to, with its scores of all later periods; the next one proves it."""
        later = [tuple(map(Part, self.periods[last + 1 :])) for last in range(len(self.periods))]
        lasts = range(self.first - 1, len(self.periods) - 1)
        return [Wish(self.trained_to(last), later[last], later[last][0]) for last in lasts]


class Year:
    """What is known of a year; each thing is computed when it is first asked for."""

    def __init__(self, grid: Grid, plan: Plan, options: DriftOptions) -> None:
        self.grid, self.plan, self.options = grid, plan, options
        self.metric = metrics.get(grid.params.gate.metric, grid.problem.task)
        self.month = cache(self._month)
        self.findings = cache(self._findings)
        self.verdict = cache(self._verdict)
        self.value = cache(self._value)
        self._references = cache(self._reference)

    def seconds(self, fit: Fit) -> float:
        """How long a model took to be fitted."""
        return self.grid.cell(fit).seconds

    def _month(self, period: int) -> Month:
        part = Part(self.plan.periods[period])
        cells = {wish.fit: self.grid.cell(wish.fit) for wish in self.plan.wishes}
        scores = {fit: cell.scores[part] for fit, cell in cells.items() if part in cell.scores}
        return Month(self.grid.problem, part.rows, self.grid.rows(part), scores)

    def _reference(self, champion: Fit, judged: int) -> Reference:
        """What the champion was trained and judged on; without scores, for of what it was trained on they flatter."""
        parts = [*champion.train, Part(self.plan.periods[judged])]
        return drift.reference.build(self.grid.problem, [self.grid.rows(part) for part in parts])

    def _findings(self, champion: Fit, judged: int, period: int) -> Findings:
        reference = self._references(champion, judged)
        return evidence.findings(reference, self.month(judged), self.month(period), champion, self.options)

    def _verdict(self, champion: Fit, challenger: Fit, period: int) -> Verdict:
        behaviour = self.grid.cell(challenger).behaviour
        return evidence.verdict(self.grid.params.gate, champion, challenger, self.month(period), behaviour)

    def cost(self, fit: Fit, period: int) -> float:
        """The primary metric of a model on a period, times its rows, so that the least is the best."""
        labelled = int(self.month(period).rows[self.grid.problem.target].notna().sum())
        return -labelled * float(self.metric.improvement(0.0, self.value(fit, period)))

    def _value(self, fit: Fit, period: int) -> float:
        """The primary metric of a model on a period."""
        table = self.month(period).table(fit)
        labels, scores = table["label"].to_numpy(np.float64), table["score"].to_numpy(np.float64)
        return self.metric.value(labels, scores, np.ones(len(table)))


@dataclass(frozen=True)
class Step:
    """A decision.

    Attributes:
        period: Number of the period at whose end it was taken.
        champion: What served until then.
        challenger: What was, or would have been, proposed.
        trained: It was trained, to be proposed or to be judged.
        opened: It was proposed, and serves from the next period on.
    """

    period: int
    champion: Fit
    challenger: Fit
    trained: bool
    opened: bool

    @property
    def serving(self) -> Fit:
        """What serves the next period."""
        return self.challenger if self.opened else self.champion


class _Known:
    """The evidence at the end of one period."""

    def __init__(self, year: Year, champion: tuple[Fit, int], challenger: Fit, period: int) -> None:
        self._year, self._champion, self._challenger, self._period = year, champion, challenger, period
        self.proved = False

    @cached_property
    def findings(self) -> Findings:
        return self._year.findings(*self._champion, self._period)

    @cached_property
    def verdict(self) -> Verdict:
        self.proved = True
        return self._year.verdict(self._champion[0], self._challenger, self._period)


def walk(year: Year, policy: Policy) -> list[Step]:
    """What a policy does with a year."""
    champion, judged = year.plan.champion, year.plan.first
    steps = []
    for period in year.plan.decided:
        challenger = year.plan.challenger(period, blind=policy.blind)
        known = _Known(year, (champion, judged), challenger, period)
        opened = challenger != champion and policy.opens(known)
        steps.append(Step(period, champion, challenger, trained=opened or known.proved, opened=opened))
        if opened:
            champion, judged = challenger, period
    return steps


def oracle(year: Year) -> list[Step]:
    """The decisions with the best primary metric over all following periods; of equals, those with fewer proposals.

    Whatever any policy could propose, it can, with the newest period in it or without.
    """

    @cache
    def best(at: int, champion: Fit) -> tuple[float, int, tuple[Step, ...]]:
        if at not in year.plan.decided:
            return 0.0, 0, ()
        ways = []
        for serving in (champion, year.plan.challenger(at), year.plan.challenger(at, blind=True)):
            opened = serving != champion
            cost, proposals, rest = best(at + 1, serving)
            step = Step(at, champion, serving, trained=opened, opened=opened)
            ways.append((cost + year.cost(serving, at + 1), proposals + opened, (step, *rest)))
        return min(ways, key=lambda way: way[:2])

    return list(best(year.plan.decided[0], year.plan.champion)[2])
