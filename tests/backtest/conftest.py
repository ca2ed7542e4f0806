"""A year of pots, played once for all tests: the clay changes in July."""

from __future__ import annotations

import pytest

from ratchet import params
from ratchet.backtest.grid import Grid
from ratchet.backtest.replay import Plan, Year
from ratchet.drift import DriftOptions
from ratchet.params import Params
from ratchet.problem import Problem
from rehearsal.project import PARAMS

PERIODS = tuple(f"2013-{month:02}" for month in range(1, 13))
OPTIONS = DriftOptions(resamples=200)


@pytest.fixture(scope="session")
def pots() -> Params:
    """The parameters of the template, for pots: their days are as many as ours, their slices small."""
    found = params.load(PARAMS)
    return found.model_copy(update={"problem": "toy_pots", "model": {"C": 1.0}})


@pytest.fixture(scope="session")
def grid(pots: Params, tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """Every model of the year, with growing and with rolling windows."""
    found = Grid(Problem("toy_pots"), pots, tmp_path_factory.mktemp("backtest"))
    found.gather(PERIODS)
    found.compute([wish for window in (0, 3) for wish in Plan(PERIODS, window).wishes])
    return found


@pytest.fixture(scope="session")
def growing(grid: Grid) -> Year:
    """The year with a growing window."""
    return Year(grid, Plan(PERIODS), OPTIONS)


@pytest.fixture(scope="session")
def rolling(grid: Grid) -> Year:
    """The year with a window of three months."""
    return Year(grid, Plan(PERIODS, 3), OPTIONS)
