"""Error rates, which one year with few decisions cannot show: who cries wolf, and who sleeps.

A *stationary year* is made of a real one: weeks are drawn from all over it, so that no month differs from another but
by chance. Half of the weeks train models, a few weeks each, any of which is as good as another; from the other half
months are drawn, again and again. The champion stays and meets another challenger each month; whatever speaks up is a
false alarm. Then a shift is injected from one month on, into what is drawn and into what trains the challengers, month
by month; whatever speaks up from then on has found it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from ratchet import data, drift, files
from ratchet.backtest import evidence, policies, shifts
from ratchet.backtest.engine import Engine, spread
from ratchet.backtest.evidence import Month, Verdict
from ratchet.backtest.grid import Fit, Grid, Part, Wish
from ratchet.backtest.policies import Policy
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.backtest.shifts import Shift
    from ratchet.drift import DriftOptions, Findings, Reference
    from ratchet.problem import Problem

JUDGED = (policies.DEFAULT_DRIFT, policies.FALL, policies.DRIFT, policies.SAFE, policies.PROVEN)
"""Policies that look at anything."""

Ints = npt.NDArray[np.intp]

POOL = "weeks-drawn"
WEEK = 7
WEEKS = 4
"""Weeks of a drawn month."""

MONTHS = 6
"""Months made for training; a model is trained on `WINDOW` neighbours of their circle."""

WINDOW = 3
YEAR = 12
SHIFTED = 4
"""Months that are watched from the first one that an injected shift has changed."""

CHUNK = 5


@dataclass(frozen=True)
class World:
    """A run of months: in nothing different from each other, or under a shift from month 0 on.

    Attributes:
        shift: Its name; empty for none.
        gradual: The shift grows over the months that are watched.
    """

    shift: str = ""
    gradual: bool = False

    @property
    def months(self) -> int:
        """How many months are watched."""
        return SHIFTED if self.shift else YEAR

    @property
    def champions(self) -> int:
        """How many different first models take turns; under a shift each would need challengers of its own."""
        return 1 if self.shift else MONTHS

    def part(self, rows: str, month: int) -> Part:
        """Rows as they are in a month; before month 0 nothing has happened."""
        if not self.shift or month < 0:
            return Part(rows)
        return Part(rows, self.shift, (month + 1) / self.months if self.gradual else 1.0)

    def champion(self, turn: int) -> Fit:
        """The model in production, from before any shift."""
        return Fit(tuple(Part(_trained((turn + step) % MONTHS)) for step in range(WINDOW)))

    def challenger(self, turn: int, month: int) -> Fit:
        """Another model, trained on other weeks, which are as the months before this one were."""
        begin = turn + 1 + month % (MONTHS - 1)
        return Fit(tuple(self.part(_trained((begin + step) % MONTHS), month - WINDOW + step) for step in range(WINDOW)))

    def needs(self) -> Iterator[tuple[Fit, Part]]:
        """Every model of it, with what it has to score."""
        for turn in range(self.champions):
            yield self.champion(turn), Part(POOL)
            for month in range(self.months):
                yield self.champion(turn), self.part(POOL, month)
                yield self.challenger(turn, month), self.part(POOL, month)


def worlds(found: Mapping[str, Shift]) -> list[World]:
    """The stationary year, and one for each shift."""
    return [World(), *(World(shift.name, shift.gradual) for shift in found.values())]


def prepare(grid: Grid, periods: Sequence[str], engine: Engine = "joblib", workers: int = 1, seed: int = 0) -> int:
    """Deal the weeks of the periods out, and fit the models of every world; how many of them were not there yet.

    Raises:
        RatchetError: The periods have too few weeks, or the estimator refuses its rows.
    """
    rows = pd.concat([grid.rows(Part(period)) for period in periods], ignore_index=True)
    days = data.clusters(rows, grid.problem).to_numpy()
    for name, chosen in deal(sorted(set(days)), seed).items():
        grid.keep(name, rows[np.isin(days, chosen)].reset_index(drop=True))
    return grid.compute(wishes(grid.problem), engine, workers)


def wishes(problem: Problem) -> list[Wish]:
    """Every model of every world, with all that it has to score in any."""
    scored: dict[Fit, set[Part]] = {}
    for world in worlds(shifts.of(problem)):
        for fit, part in world.needs():
            scored.setdefault(fit, set()).add(part)
    return [Wish(fit, tuple(sorted(parts))) for fit, parts in scored.items()]


def deal(days: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Whole weeks of days dealt out at random: so many to each month that trains, the rest to be drawn from.

    Raises:
        RatchetError: There are too few weeks.
    """
    weeks = [list(days[at : at + WEEK]) for at in range(0, len(days) - WEEK + 1, WEEK)]
    needed = (MONTHS + 2) * WEEKS
    if len(weeks) < needed:
        raise RatchetError(f"stationary years are made of at least {needed} weeks; these periods have {len(weeks)}")
    order = np.random.default_rng(seed).permutation(len(weeks))
    dealt = {_trained(month): order[month * WEEKS : (month + 1) * WEEKS] for month in range(MONTHS)}
    dealt[POOL] = order[MONTHS * WEEKS :]
    return {name: sorted(day for week in chosen for day in weeks[week]) for name, chosen in dealt.items()}


def _trained(month: int) -> str:
    return f"weeks-{month + 1}"


JUDGING = (
    "backtest/evidence.py",
    "backtest/policies.py",
    "backtest/rates.py",
    "compare.py",
    "drift/*.py",
    "evaluation.py",
    "gate.py",
    "metrics.py",
    "policy.py",
)
"""Code that decides what an alarm is."""

Alarms = dict[str, list[bool]]
"""Policy to whether it spoke up, month by month."""


@dataclass(frozen=True)
class Lab:
    """What replays are made of.

    Attributes:
        grid: With the cells that `prepare` computed.
        options: The bounds of a check.
        seed: Of the draws.
    """

    grid: Grid
    options: DriftOptions
    seed: int = 0

    def play(self, order: tuple[World, Sequence[int], Path]) -> tuple[World, list[Alarms]]:
        """Replays of a world by their numbers, each the same whenever it is played, and where they are kept."""
        world, numbers, path = order
        if not path.exists():
            table = _Table(self, world)
            files.write_json(path, [table.replay(number) for number in numbers])
        found: list[Alarms] = files.read_json(path)
        return world, found

    def order(self, world: World, numbers: Sequence[int]) -> tuple[World, Sequence[int], Path]:
        """What `play` takes; replays are kept by what they depend on: options, policy, and the code that judges."""
        asked = [repr(self.options), self.grid.params.gate.model_dump(), self.seed, repr(world), list(numbers)]
        asked += [repr(wishes(self.grid.problem)), *map(self.grid.sha256, [POOL, *map(_trained, range(MONTHS))])]
        asked += [shifts.digest(self.grid.problem)] if world.shift else []
        digest = hashlib.sha256(json.dumps(asked).encode())
        ratchet = Path(__file__).parents[1]
        for name in JUDGING:
            for source in sorted(ratchet.glob(name)):
                digest.update(source.read_bytes())
        return world, numbers, self.grid.place / "replays" / f"{digest.hexdigest()[:24]}.json"


class _Table:
    """One world, its rows and scores at hand."""

    def __init__(self, lab: Lab, world: World) -> None:
        self._lab, self._world, self._grid, self._problem = lab, world, lab.grid, lab.grid.problem
        fits = {fit for fit, _ in world.needs()}
        self._grid.load([wish for wish in wishes(self._problem) if wish.fit in fits])
        pool = self._grid.rows(Part(POOL))
        days = data.clusters(pool, self._problem).to_numpy()
        names = sorted(set(days))
        self._pool = pool
        self._weeks = [np.flatnonzero(np.isin(days, names[at : at + WEEK])) for at in range(0, len(names), WEEK)]
        self._index = cache(lambda part: self._grid.rows(part).index)

    def replay(self, number: int) -> Alarms:
        rng = np.random.default_rng([self._lab.seed, number])
        turn = number % self._world.champions
        champion = self._world.champion(turn)
        known, later = self._split(rng)
        judged = self._drawn(known, Part(POOL), [champion])
        rows = [*(self._grid.rows(part) for part in champion.train), judged.rows]
        reference = drift.reference.build(self._problem, rows)
        alarms: Alarms = {policy.name: [] for policy in JUDGED}
        for month in range(self._world.months):
            challenger = self._world.challenger(turn, month)
            weeks = rng.choice(later, WEEKS, replace=False)
            drawn = self._drawn(weeks, self._world.part(POOL, month), [champion, challenger])
            seen = _Drawn(self._lab, reference, judged, drawn, (champion, challenger))
            for policy in JUDGED:
                alarms[policy.name].append(bool(policy.opens(seen)))
        return alarms

    def _split(self, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """The weeks that the champion was judged on, and those that its months are made of: no week is in both."""
        order = rng.permutation(len(self._weeks))
        return order[:WEEKS], order[WEEKS:]

    def _drawn(self, weeks: Ints, part: Part, fits: Sequence[Fit]) -> Month:
        rows = self._pool.iloc[np.sort(np.concatenate([self._weeks[week] for week in weeks]))]
        if part.shift:
            rows = shifts.of(self._problem)[part.shift].apply(rows, part.strength)
        places = self._index(part).get_indexer(rows.index)
        scores = {fit: self._grid.cell(fit).scores[part][places] for fit in fits}
        return Month(self._problem, POOL, rows.reset_index(drop=True), scores)


class _Drawn:
    """The evidence at the end of a drawn month."""

    def __init__(self, lab: Lab, reference: Reference, judged: Month, month: Month, models: tuple[Fit, Fit]) -> None:
        self._lab, self._reference, self._judged, self._month, self._models = lab, reference, judged, month, models

    @cached_property
    def findings(self) -> Findings:
        return evidence.findings(self._reference, self._judged, self._month, self._models[0], self._lab.options)

    @cached_property
    def verdict(self) -> Verdict:
        return evidence.verdict(self._lab.grid.params.gate, *self._models, self._month)


@dataclass(frozen=True)
class Rate:
    """How a policy fared in a world.

    Attributes:
        policy: Its name.
        shift: Name of the shift; empty in a stationary year.
        replays: How many there were.
        alarms: Stationary: alarms a year. Under a shift: share of replays in which it was found.
        low: Lower end of the 95 % interval over replays.
        high: Upper end.
        delay: Mean months from the first changed one to the alarm, 0 for the first, where it was found.
        delay_low: Lower end of its 95 % interval over replays.
        delay_high: Upper end.
    """

    policy: str
    shift: str
    replays: int
    alarms: float
    low: float
    high: float
    delay: float | None = None
    delay_low: float | None = None
    delay_high: float | None = None


def measure(lab: Lab, replays: int, engine: Engine = "joblib", workers: int = 1) -> list[Rate]:
    """Play every world so many times."""
    orders = [
        lab.order(world, range(at, min(at + CHUNK, replays)))
        for world in worlds(shifts.of(lab.grid.problem))
        for at in range(0, replays, CHUNK)
    ]
    played: dict[World, list[Alarms]] = {world: [] for world, *_ in orders}
    for world, alarms in spread(lab.play, orders, engine, workers, "replays"):
        played[world] += alarms
    return [rate(world, policy, alarms) for world, alarms in played.items() for policy in JUDGED]


def rate(world: World, policy: Policy, alarms: Sequence[Alarms]) -> Rate:
    """The rate of a policy in replays of a world."""
    spoke = np.array([found[policy.name] for found in alarms], dtype=bool)
    count = len(spoke)
    if not world.shift:
        a_year = spoke.sum(axis=1) * YEAR / world.months
        return Rate(policy.name, "", count, float(a_year.mean()), *counted(a_year))
    found = spoke.any(axis=1)
    low, high = shared(int(found.sum()), count)
    delays = spoke[found].argmax(axis=1).astype(np.float64)
    told = (None, None, None) if not len(delays) else (float(delays.mean()), *averaged(delays, world.months - 1))
    return Rate(policy.name, world.shift, count, float(found.mean()), low, high, *told)


def shared(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Clopper and Pearson 1934)."""
    from scipy.stats import binomtest

    found = binomtest(hits, count).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)


def counted(counts: np.ndarray) -> tuple[float, float]:
    """95 % interval of a mean count: Garwood's (1936) for Poisson counts, scaled where they vary more than these."""
    from scipy.stats import chi2

    total, count = float(counts.sum()), len(counts)
    excess = max(1.0, float(counts.var(ddof=1)) / float(counts.mean())) if total and count > 1 else 1.0
    events = total / excess
    low = chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    return float(low * excess / count), float(chi2.ppf(0.975, 2 * events + 2) / 2 * excess / count)


def averaged(values: np.ndarray, most: float) -> tuple[float, float]:
    """95 % interval of a mean (Student 1908) of values from 0 to `most`; the value itself where all are equal."""
    from scipy.stats import t

    if len(values) < 2:
        return float(values.min()), float(values.max())
    reach = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return max(0.0, float(values.mean()) - reach), min(most, float(values.mean()) + reach)
