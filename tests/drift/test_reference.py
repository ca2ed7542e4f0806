"""The reference: two passes over partitions, small, and whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drift_example import COINS, scores, throws

from ratchet.drift import reference
from ratchet.errors import RatchetError
from ratchet.problem import Problem

FRAME = throws(20)


def parts(frame: pd.DataFrame, count: int) -> list[pd.DataFrame]:
    return [frame.iloc[at] for at in np.array_split(np.arange(len(frame)), count)]


def test_inputs_are_what_a_row_is_scored_with_but_for_the_time():
    """Not the label, not what metadata call no input, not the cluster, which always moves."""
    found = reference.inputs(Problem("toy_departures"))

    assert len(found) == 19
    assert not {"late", "weather_time", "year", "month", "day"} & set(found)


def test_partitions_make_no_difference():
    """Shuffled rows in seven parts are the same reference."""
    shuffled = parts(FRAME.sample(frac=1, random_state=0), 7)
    one = reference.build(COINS, [FRAME], [scores(FRAME)])
    other = reference.build(COINS, shuffled, [scores(part) for part in shuffled])

    assert other.clusters == one.clusters
    assert other.tracked.keys() == one.tracked.keys()
    for name, found in one.tracked.items():
        same = other.tracked[name]
        assert (same.total, same.bins, same.daily.tolist()) == (found.total, found.bins, found.daily.tolist())


def test_a_period_is_held_against_the_scores_of_the_holdout():
    """Of the rows that the champion was trained on they are too good: of these only the inputs are compared."""
    older, newer = FRAME.iloc[:1200], FRAME.iloc[1200:]
    found = reference.build(COINS, [older, newer], [scores(older) ** 2, scores(newer)], "2021-03-13")

    assert [found.tracked[name].compared for name in ("input:force", reference.SCORE)] == [20, 8]
    assert found.tracked["input:force"].rows.sum() == 2000
    assert found.tracked[reference.SCORE].rows.sum() == 800
    assert found.tracked[reference.SCORE].daily.sum(axis=1).tolist() == [100] * 20
    assert (
        found.tracked[reference.SCORE].total
        == reference.build(COINS, [newer], [scores(newer)]).tracked[reference.SCORE].total
    )


def test_every_row_is_counted_on_its_day():
    found = reference.build(COINS, [FRAME])

    assert found.clusters[0] == "2021-03-01"
    assert found.rows.tolist() == [100] * 20
    assert all(tracked.daily.sum(axis=1).tolist() == [100] * 20 for tracked in found.tracked.values())
    assert reference.SCORE not in found.tracked


@pytest.mark.parametrize(
    ("frames", "given", "said"),
    [
        (iter([FRAME]), None, "as a list, not as an iterator"),
        ([], None, "no rows"),
        ([FRAME.drop(columns="force")], None, "no column force"),
        ([FRAME], [scores(FRAME)[:-1]], r"\(1999,\); one per row would be \(2000,\)"),
        ([FRAME], [np.full(2000, np.nan)], "2000 of 2000 scores are not finite"),
        ([FRAME], [], "not as many arrays of scores as frames"),
    ],
)
def test_what_is_no_reference_is_said(frames, given, said):
    with pytest.raises(RatchetError, match=said):
        reference.build(COINS, frames, given)


def test_a_holdout_that_is_not_there_is_said():
    with pytest.raises(RatchetError, match="no rows of the holdout, which begins with 2021-04-01"):
        reference.build(COINS, [FRAME], [scores(FRAME)], "2021-04-01")
