"""The grid holds what the pipeline would have made, goes on where it was, and answers no other question."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ratchet import training
from ratchet.backtest.grid import Fit, Grid, Part, Wish
from ratchet.backtest.replay import Plan
from ratchet.errors import RatchetError
from ratchet.params import Params
from ratchet.problem import Problem

PERIODS = ("2013-01", "2013-02", "2013-03", "2013-04", "2013-05")
WISHES = Plan(PERIODS).wishes


@pytest.fixture
def small(pots: Params, tmp_path: Path) -> Grid:
    """Five months, not yet computed."""
    found = Grid(Problem("toy_pots"), pots, tmp_path)
    found.gather(PERIODS)
    return found


def test_scores_are_those_of_the_pipelines_own_training(small: Grid) -> None:
    """January and February train; April is scored, rows without a label, too."""
    small.compute(WISHES)
    problem = small.problem
    rows = pd.concat([problem.fetch("2013-01"), problem.fetch("2013-02")], ignore_index=True)
    april = problem.fetch("2013-04").drop(columns="cracked")
    fitted = training.fit(problem.estimator({"C": 1.0}, 0), rows, problem)

    cell = small.cell(Fit((Part("2013-01"), Part("2013-02"))))

    assert cell.scores[Part("2013-04")] == pytest.approx(training.scores(fitted, april, "binary"), abs=1e-9)
    assert set(cell.scores) == {Part("2013-03"), Part("2013-04"), Part("2013-05")}
    assert cell.seconds > 0
    assert [(case["name"], case["passed"]) for case in cell.behaviour] == [("another number", True)]


def test_what_is_there_is_not_computed_again(small: Grid) -> None:
    """Of three models two are there after one was lost; the next run computes that one, to the same scores."""
    assert small.compute(WISHES) == 3
    before = small.cell(WISHES[0].fit).scores[Part("2013-05")]
    shutil.rmtree(small._paths(WISHES)[WISHES[0]])

    again = Grid(small.problem, small.params, small.folder)

    assert again.compute(WISHES) == 1
    assert np.array_equal(again.cell(WISHES[0].fit).scores[Part("2013-05")], before)
    assert again.compute(WISHES) == 0


def test_a_cell_that_was_not_finished_is_none(small: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped while it wrote, a run leaves nothing that the next one would take for a cell."""
    with monkeypatch.context() as broken:
        broken.setattr(np, "savez_compressed", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            small.compute(WISHES)

    assert small.compute(WISHES) == 3


def test_two_processes_compute_what_one_does(small: Grid, tmp_path: Path) -> None:
    """To the last bit."""
    other = Grid(small.problem, small.params, tmp_path / "other")
    other.gather(PERIODS, "joblib", 2)

    small.compute(WISHES)
    other.compute(WISHES, "joblib", 2)

    for wish in WISHES:
        for part in wish.scored:
            assert np.array_equal(small.cell(wish.fit).scores[part], other.cell(wish.fit).scores[part])


def test_another_question_has_another_place(small: Grid, pots: Params) -> None:
    """Another seed or other parameters of the model find nothing to go on with."""
    train = pots.train.model_copy(update={"seed": 1})

    places = {
        Grid(small.problem, asked, small.folder).place
        for asked in (
            pots,
            pots.model_copy(update={"train": train}),
            pots.model_copy(update={"model": {"C": 2.0}}),
            pots.model_copy(update={"gate": pots.gate.model_copy(update={"delta": 0.5})}),
        )
    }

    assert len(places) == 3  # the policy of the gate changes no model
    assert small.place in places


def test_other_rows_are_another_cell(small: Grid) -> None:
    """Rows that were kept anew under their name are trained on anew."""
    small.compute(WISHES)
    rows = small.rows(Part("2013-01"))
    small.keep("2013-01", rows.assign(heat=rows["heat"] + 1))

    again = Grid(small.problem, small.params, small.folder)

    assert again.compute(WISHES) == 3


def test_a_shifted_part_is_the_shift_of_its_rows(small: Grid) -> None:
    """For training and for scoring: on turned labels, the model says the opposite."""
    part = Part("2013-05")
    plain, turned = Fit((Part("2013-01"),)), Fit((Part("2013-01", "turned", 1.0),))

    small.compute([Wish(plain, (part,)), Wish(turned, (part, Part("2013-05", "no blue", 1.0)))])

    cell = small.cell(turned)
    assert cell.scores[part] == pytest.approx(1 - small.cell(plain).scores[part], abs=1e-6)
    assert len(cell.scores[Part("2013-05", "no blue", 1.0)]) == (small.rows(part)["glaze"] == "green").sum()


def test_a_model_that_was_never_computed_is_named(small: Grid) -> None:
    """By its first and its last period."""
    with pytest.raises(RatchetError, match="the grid has no model of 2013-01 to 2013-02"):
        small.cell(WISHES[0].fit)


def test_a_period_that_cannot_be_ingested_stops_the_backtest(small: Grid) -> None:
    """In the words of the source."""
    with pytest.raises(RatchetError, match="there are no throws of '2014-01'"):
        Grid(Problem("toy_coins"), small.params, small.folder).gather(["2013-12", "2014-01"])
