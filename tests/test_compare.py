"""The comparison: what makes it void, and the figures when it is not."""

import hashlib
import time

import numpy as np
import pandas as pd
import pytest

from ratchet import compare
from ratchet.compare import Scored
from ratchet.errors import RatchetError

HOLDOUT = {"2013-04": "d4"}


def table(scores=(0.2, 0.6, 0.3, 0.9, 0.4, 0.7), **columns):
    """Six rows over three days."""
    known = {
        "carrier": list("AABBCC"),
        "flight": [1, 2, 1, 2, 1, 2],
        "cluster": ["day-1", "day-1", "day-2", "day-2", "day-3", "day-3"],
        "label": [0.0, 1.0, 0.0, 1.0, 1.0, 0.0],
        "score": list(scores),
        "slice:side": ["east", "west"] * 3,
        "baseline:flat": [0.5] * 6,
    }
    return pd.DataFrame({**known, **columns})


def compared(champion, challenger, task="binary", metric="log_loss", trained_on=None):
    sides = [
        Scored(frame, (trained_on or {}).get(name, {"2013-01": "d1"}))
        for name, frame in (("champion", champion), ("challenger", challenger))
    ]
    return compare.compare(*sides, task, metric, HOLDOUT)


def failed(comparison):
    """The one check that failed."""
    assert comparison.is_void
    assert comparison.holdout is None
    assert comparison.differences == comparison.segments == ()
    (check,) = [check for check in comparison.checks if not check.passed]
    return check.name, check.value, check.sentence


def test_comparison_of_the_same_rows_is_not_void():
    """Every check says what it found."""
    comparison = compared(table(), table())
    assert not comparison.is_void
    assert [check.sentence for check in comparison.checks] == [
        "Neither model was trained on the rows that test it.",
        "Both tables of scores are complete and hold each row once.",
        "Both models scored the same 6 rows.",
        "Both models were scored against the same labels.",
    ]


def test_improvement_is_paired_and_oriented():
    """Lower losses are a positive improvement, on all rows and without each day."""
    better = table([0.1, 0.7, 0.3, 0.9, 0.4, 0.7])
    found = compared(table(), better).difference("brier")
    assert found.champion.value == pytest.approx((0.04 + 0.16 + 0.09 + 0.01 + 0.36 + 0.49) / 6)
    assert found.improvement.value == pytest.approx((0.04 - 0.01 + 0.16 - 0.09) / 6)
    assert found.improvement.without == pytest.approx([0.0, 0.1 / 4, 0.1 / 4])
    low, high = found.interval(0.05)
    assert low < found.improvement.value < high


def test_rows_are_paired_by_key_whatever_their_order():
    """A shuffled table and shuffled columns compare like the table itself."""
    better = table([0.1, 0.7, 0.3, 0.9, 0.4, 0.7])
    shuffled = better.sample(frac=1, random_state=1)[list(reversed(better.columns))]
    straight, mixed = compared(table(), better), compared(table(), shuffled)
    assert mixed.holdout == straight.holdout
    assert mixed.difference("log_loss").improvement.value == straight.difference("log_loss").improvement.value
    assert mixed.segments[0].difference.improvement.value == straight.segments[0].difference.improvement.value


def test_holdout_says_which_rows_were_judged():
    """Rows, clusters in order of time, and the digest of the sorted keys."""
    found = compared(table(), table()).holdout
    keys = "carrier,flight\nA,1\nA,2\nB,1\nB,2\nC,1\nC,2\n"
    assert found == compare.Holdout(6, 3, "day-1", "day-3", hashlib.sha256(keys.encode()).hexdigest())


def test_slices_are_compared_in_the_primary_metric():
    """Slices and clusters are those of the champion's table."""
    challenger = table([0.1] * 6).drop(columns="slice:side")
    found = compared(table(), challenger).segments
    assert [(s.slice, s.value, s.rows, s.clusters) for s in found] == [("side", "east", 3, 3), ("side", "west", 3, 3)]
    assert {s.difference.metric.name for s in found} == {"log_loss"}


def test_a_slice_that_knows_no_value_is_a_slice_of_its_own():
    """Rows without a value are not dropped."""
    found = compared(table(**{"slice:side": ["east", None] * 3}), table()).segments
    assert [(segment.value, segment.rows) for segment in found] == [("(missing)", 3), ("east", 3)]


def test_metrics_at_a_threshold_use_the_threshold_of_each_model():
    """And are left out when a model has none."""
    sides = [Scored(table(), {}, 0.5), Scored(table(), {}, 0.8)]
    found = compare.compare(*sides, "binary", "recall", HOLDOUT).difference("recall")
    assert (found.champion.value, found.challenger.value) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    alone = compare.compare(Scored(table(), {}), Scored(table(), {}, 0.8), "binary", "brier", HOLDOUT)
    assert [d.metric.name for d in alone.differences][-1] == "calibration_intercept"


def test_a_regression_is_compared_by_the_same_rules():
    """Labels and scores are any numbers."""
    champion = table([10.0, -20.0, 30.0, 0.0, 5.0, 7.0], label=[12.0, -20.0, 33.0, 1.0, 5.0, 2.0])
    challenger = champion.assign(score=champion["label"])
    found = compared(champion, challenger, task="regression", metric="mae")
    assert found.difference("mae").improvement.value == pytest.approx(11 / 6)
    assert [d.metric.name for d in found.differences] == ["mae", "mse", "rmse", "r2", "bias"]


@pytest.mark.parametrize(
    ("trained_on", "value", "sentence"),
    [
        ({"champion": {"2013-03": "d3", "2013-04": "other"}}, 1, "The champion was trained on 2013-04, of which"),
        ({"challenger": {"renamed": "d4"}}, 1, "The challenger was trained on renamed, of which"),
        (
            {"champion": {"2013-04": "d4"}, "challenger": {"2013-04": "d4"}},
            2,
            "The champion was trained on 2013-04 and the challenger was trained on 2013-04, of which",
        ),
    ],
)
def test_a_model_that_was_trained_on_the_holdout_makes_it_void(trained_on, value, sentence):
    """By the name of the period or by the digest of its rows."""
    name, found, told = failed(compared(table(), table(), trained_on=trained_on))
    assert (name, found) == ("unseen", value)
    assert told.startswith(sentence)


def test_missing_rows_make_it_void_and_are_counted_on_both_sides():
    """With a sample of their keys."""
    name, value, sentence = failed(compared(table().iloc[1:], table().iloc[:4]))
    assert (name, value) == ("same_rows", 3)
    assert sentence == (
        "2 rows of the champion are missing from the challenger's scores, such as (C, 1), (C, 2); "
        "1 rows of the challenger are missing from the champion's scores, such as (A, 1)."
    )


def test_rows_with_another_key_make_it_void():
    """Other columns identify the rows, or the same columns hold another type."""
    name, _, sentence = failed(compared(table(), table().rename(columns={"flight": "number"})))
    assert name == "same_rows"
    assert sentence == "The champion's rows are identified by carrier, flight, the challenger's by carrier, number."
    assert failed(compared(table(), table(flight=list("121212"))))[:2] == ("same_rows", 12)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"label": [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]}, "1 rows have another label or cluster"),
        ({"cluster": ["day-1"] * 6}, "4 rows have another label or cluster"),
    ],
)
def test_other_labels_or_clusters_make_it_void(changes, sentence):
    """The challenger is not scored against labels of its own, nor on days of its own."""
    name, _, told = failed(compared(table(), table(**changes)))
    assert name == "same_labels"
    assert told.startswith(sentence)


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (table().drop(columns=["label", "score"]), "have no column label, score"),
        (table().drop(columns=["carrier", "flight"]), "have no column for a key"),
        (table().iloc[:0], "hold no row"),
        (table(cluster=[None] * 6), "have rows without cluster"),
        (table(flight=[1] * 6), "hold 3 rows more than once, such as (A, 1), (B, 1), (C, 1)"),
        (table([0.1, 0.2, 0.3, np.nan, 0.5, 0.6]), "have a score that is not a number"),
        (table(["a"] * 6), "have a score that is not a number"),
        (table([0.1, 0.2, 0.3, 1.4, 0.5, 0.6]), "have a score outside 0 to 1, which is no probability"),
        (table(label=[np.inf] * 6), "have a label that is not a number"),
        (table(label=[0.5] * 6), "have a label other than 0 and 1"),
    ],
)
def test_an_unusable_table_of_scores_makes_it_void(broken, fault):
    """Whoever wrote it, the sentence says what is wrong with it."""
    assert failed(compared(table(), broken)) == ("usable", 1, f"The challenger's scores {fault}.")
    assert failed(compared(broken, table())) == ("usable", 1, f"The champion's scores {fault}.")


def test_two_unusable_tables_are_both_named():
    """One sentence tells of both."""
    _, value, sentence = failed(compared(table().iloc[:0], table(label=[0.5] * 6)))
    assert value == 2
    assert sentence == "The champion's scores hold no row; the challenger's scores have a label other than 0 and 1."


def test_an_unknown_primary_metric_is_an_error():
    """It is the policy's mistake, not the proposal's."""
    with pytest.raises(RatchetError, match="no metric 'rmse' for a binary task"):
        compared(table(), table(), metric="rmse")


def test_a_baseline_can_take_the_place_of_the_champion():
    """Its scores stand in the same table."""
    assert compare.baseline(table(), "flat")["score"].tolist() == [0.5] * 6
    with pytest.raises(RatchetError, match="the scores hold no baseline 'best'; there is flat"):
        compare.baseline(table(), "best")
    with pytest.raises(RatchetError, match="there is none"):
        compare.baseline(table().drop(columns="baseline:flat"), "flat")


def test_comparing_thirty_thousand_rows_costs_less_than_training():
    """All metrics and 40 slices, cluster by cluster: a fit of the default model takes about two seconds."""
    rng = np.random.default_rng(0)
    size, days = 30_000, 30
    day = rng.integers(0, days, size)
    champion = pd.DataFrame(
        {
            "row": np.arange(size),
            "cluster": np.char.add("day-", np.char.zfill(day.astype(str), 2)).astype(object),
            "label": rng.integers(0, 2, size).astype(float),
            "score": rng.random(size),
            **{f"slice:{name}": rng.integers(0, 10, size).astype(str) for name in "abcd"},
        }
    )
    challenger = champion.assign(score=rng.random(size))
    compared(champion, challenger)  # imports SciPy
    start = time.process_time()
    found = compared(champion, challenger)
    assert time.process_time() - start < 1.5
    assert len(found.segments) == 40
