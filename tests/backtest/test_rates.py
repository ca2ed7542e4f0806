"""Error rates: years without a change, and years with an injected one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ratchet import files
from ratchet.backtest import rates, shifts
from ratchet.backtest.grid import Grid, Part
from ratchet.backtest.policies import FALL, PROVEN
from ratchet.backtest.rates import POOL, Lab, Rate, World
from ratchet.drift import DriftOptions
from ratchet.errors import RatchetError

PERIODS = tuple(f"2013-{month:02}" for month in range(1, 7))  # until the clay changes
DAYS = [f"day {number:03}" for number in range(364)]


@pytest.fixture(scope="module")
def lab(grid: Grid, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Worlds of pots made of the old clay: twelve days a week, so that half a year has the weeks that are needed."""
    found = Grid(grid.problem, grid.params, tmp_path_factory.mktemp("rates"))
    found.gather(PERIODS)
    found.keep("twice", _stretched(found))
    rates.prepare(found, ["twice"])
    return Lab(found, DriftOptions(resamples=200))


def _stretched(grid: Grid):
    """Half a year of pots on twice as many days."""
    import pandas as pd

    rows = pd.concat([grid.rows(Part(period)) for period in PERIODS], ignore_index=True)
    return rows.assign(day=rows["day"] + np.where(rows["pot"] % 2 == 0, "a", "b"))


@pytest.fixture(scope="module")
def measured(lab: Lab) -> list[Rate]:
    """Four replays of each world."""
    return rates.measure(lab, 4)


def of(measured: Sequence[Rate], policy: str, shift: str) -> Rate:
    return next(found for found in measured if (found.policy, found.shift) == (policy, shift))


def test_weeks_are_dealt_out_whole_and_once() -> None:
    """Six months of four weeks, the rest to be drawn from; another seed deals others."""
    dealt = rates.deal(DAYS, seed=0)

    assert sorted(day for days in dealt.values() for day in days) == DAYS
    assert [len(dealt[f"weeks-{month}"]) for month in range(1, 7)] == [28] * 6
    assert len(dealt[POOL]) == 28 * 7
    for days in dealt.values():
        places = [DAYS.index(day) for day in days]
        assert all(places[at] % 7 == 0 and places[at + 6] == places[at] + 6 for at in range(0, len(places), 7))
    assert rates.deal(DAYS, seed=1) != dealt


def test_too_few_weeks_are_refused() -> None:
    """With how many there must be."""
    with pytest.raises(RatchetError, match="at least 32 weeks; these periods have 31"):
        rates.deal(DAYS[: 31 * 7], seed=0)


@pytest.mark.parametrize("turn", range(6))
def test_in_a_stationary_year_nothing_differs_but_the_weeks(turn: int) -> None:
    """Twelve months; no challenger is the champion, and nobody was trained on what is drawn."""
    world = World()

    assert world.months == 12
    for month in range(12):
        assert world.part(POOL, month) == Part(POOL)
        assert world.challenger(turn, month) != world.champion(turn)
        assert all(part.rows != POOL and not part.shift for part in world.challenger(turn, month).train)


def test_a_shift_reaches_the_challengers_month_by_month() -> None:
    """In the first changed month they have seen nothing of it, in the second one month of three."""
    sudden, slow = World("turned"), World("hotter", gradual=True)

    assert [[part.strength for part in sudden.challenger(0, month).train] for month in range(4)] == [
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 1],
        [1, 1, 1],
    ]
    assert [slow.part(POOL, month).strength for month in range(-1, 4)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [part.strength for part in slow.challenger(0, 3).train] == [0.25, 0.5, 0.75]
    assert all(not part.shift for part in sudden.champion(0).train)


def test_in_a_year_without_a_change_the_proof_is_quiet(measured: list[Rate]) -> None:
    """At a level of 3 % for each of twelve months, two alarms in four years are many; likewise for a fall."""
    for policy in (PROVEN.name, FALL.name):
        found = of(measured, policy, "")
        assert found.replays == 4
        assert found.low <= found.alarms <= 0.5
        assert found.high < 3


def test_labels_that_turn_are_found(measured: list[Rate]) -> None:
    """The fall at once; the proof as soon as challengers have seen enough of it, and never in the first month."""
    fall, proof = of(measured, FALL.name, "turned"), of(measured, PROVEN.name, "turned")

    assert (fall.alarms, fall.delay) == (1.0, 0.0)
    assert proof.alarms == 1.0
    assert proof.delay is not None
    assert 1.0 <= proof.delay <= 2.0
    assert (proof.low, proof.high) == (pytest.approx(0.3976, abs=1e-4), 1.0)


def test_a_category_that_vanishes_is_seen_in_the_inputs_alone(measured: list[Rate]) -> None:
    """The model takes no notice of the glaze, so nothing falls; of sixteen proofs at 3 % chance may pass one."""
    assert of(measured, "calibrated drift", "no blue").alarms == 1.0
    assert of(measured, FALL.name, "no blue").alarms == 0.0
    assert of(measured, PROVEN.name, "no blue").alarms <= 0.25


def test_a_slow_slope_is_found_late(measured: list[Rate]) -> None:
    """Later than what is there at once."""
    sudden, slow = of(measured, FALL.name, "turned"), of(measured, "calibrated drift", "hotter")

    assert slow.alarms > 0.5
    assert slow.delay is not None
    assert sudden.delay is not None
    assert slow.delay > sudden.delay


def test_replays_are_the_same_whenever_they_are_played(lab: Lab, measured: list[Rate]) -> None:
    """Alone, or among others as they are kept."""
    world = World("hotter", gradual=True)
    kept = lab.play(lab.order(world, range(4)))[1]

    assert rates._Table(lab, world).replay(2) == kept[2]
    assert len({str(found) for found in kept}) > 1


def test_what_was_played_is_read(lab: Lab, measured: list[Rate]) -> None:
    """A chunk that is there is not played again; other options are another chunk."""
    order = world, numbers, path = lab.order(World(), range(4))
    kept = files.read_json(path)
    try:
        files.write_json(path, [{name: [True] * 12 for name in kept[0]}] * 4)
        assert all(all(found["fall"]) for found in lab.play(order)[1])
    finally:
        files.write_json(path, kept)
    assert replace(lab, options=DriftOptions(resamples=200, fall=0.5)).order(world, numbers) != order
    assert replace(lab, seed=1).order(world, numbers) != order


def test_a_problem_without_shifts_has_a_stationary_year_alone() -> None:
    """The module is optional."""
    from ratchet.problem import Problem

    assert rates.worlds(shifts.of(Problem("toy_coins"))) == [World()]
    assert [world.shift for world in rates.worlds(shifts.of(Problem("toy_pots")))] == [
        "",
        "turned",
        "no blue",
        "hotter",
    ]


def test_rates_are_counted() -> None:
    """Two stationary years with one and with three alarms; two of three shifts found, after no and after two months."""
    quiet, loud = [False] * 9, [True]
    stationary = [{"fall": quiet + loud + [False] * 2}, {"fall": quiet + loud * 3}]
    shifted = [{"fall": [True, True, False, False]}, {"fall": [False] * 4}, {"fall": [False, False, True, True]}]

    a_year = rates.rate(World(), FALL, stationary)
    found = rates.rate(World("turned"), FALL, shifted)

    assert (a_year.alarms, a_year.delay) == (2.0, None)
    assert (found.alarms, found.delay) == (pytest.approx(2 / 3), 1.0)


def test_intervals_are_those_of_the_textbooks() -> None:
    """Clopper and Pearson: 0 and 5 of 10. Garwood: none and ten events in ten years; wider where years differ more."""
    assert rates.shared(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert rates.shared(5, 10) == pytest.approx((0.1871, 0.8129), abs=1e-4)
    assert rates.counted(np.zeros(10)) == pytest.approx((0.0, 0.3689), abs=1e-4)
    assert rates.counted(np.ones(10)) == pytest.approx((0.4795, 1.8390), abs=1e-4)
    low, high = rates.counted(np.array([10.0, *[0.0] * 9]))
    assert low < 0.4
    assert high > 3
    assert rates.averaged(np.array([1.0, 2.0, 3.0]), 9) == pytest.approx((0.0, 4.4841), abs=1e-4)
    assert rates.averaged(np.array([1.0, 2.0, 3.0]), 3) == pytest.approx((0.0, 3.0))
    assert rates.averaged(np.array([2.0, 2.0]), 3) == (2.0, 2.0)
    assert rates.averaged(np.array([2.0]), 3) == (2.0, 2.0)
