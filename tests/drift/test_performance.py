"""Performance: a fall is proven by days, and only where the labels can tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drift_example import OPTIONS, judged, scores, table, throws

from ratchet import metrics
from ratchet.drift import estimate, performance
from ratchet.drift.options import Judged
from ratchet.metrics import Jackknife
from ratchet.report.document import between

LOG_LOSS = metrics.get("log_loss", "binary")
NOW = throws(28, seed=5)


def found(frame: pd.DataFrame, values: np.ndarray | None = None, before: Judged | None = None) -> dict:
    checks = performance.checks(table(frame, values), before or judged(), "binary", OPTIONS)
    return {check.name: check for check in checks}


def test_the_gain_is_what_the_loss_of_the_mean_label_loses():
    """A champion that knows no more than the mean adds nothing."""
    rows = table(NOW)
    rate = rows["label"].mean()
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    loss = -np.log(np.where(rows["label"] == 1, rows["score"], 1 - rows["score"])).mean()

    assert performance.gain(LOG_LOSS, rows).value == pytest.approx(entropy - loss)
    assert performance.gain(LOG_LOSS, rows.assign(score=rate)).value == pytest.approx(0.0)


def test_the_interval_of_a_fall_holds_the_truth_as_often_as_stated():
    """Two periods of the same world, each end missed with 2.5 %."""
    outside = 0
    for seed in range(200):
        frames = [throws(20, rows=20, seed=1000 + 2 * seed + side) for side in (0, 1)]
        fall = performance.fall(*(performance.gain(LOG_LOSS, table(frame)) for frame in frames), 0.025)
        outside += not fall.low <= 0 <= fall.high
    assert outside <= 18  # of 200 at 5 %: more has a chance below 1 %


def test_skewed_days_make_a_skewed_interval():
    """Against a figure that is certain, the fall reaches down as far as the new figure reaches up."""
    days = np.exp(np.random.default_rng(0).normal(size=28))
    now = Jackknife(float(days.mean()), (days.sum() - days) / 27)
    low, high = metrics.interval(now.value, now.without, 0.025)

    fall = performance.fall(Jackknife(5.0, np.full(28, 5.0)), now, 0.025)

    assert high - now.value > 1.2 * (now.value - low)
    assert (fall.low, fall.value, fall.high) == pytest.approx((5.0 - high, 5.0 - now.value, 5.0 - low))


def test_a_champion_that_serves_as_before_holds():
    checks = found(NOW)

    assert not any(check.fires for check in checks.values())
    assert performance.verdict(list(checks.values())) == "holds"
    assert "is not proven to have fallen" in checks["performance:log_loss"].sentence


def test_labels_that_came_to_mean_something_else_are_a_fall():
    """The same inputs, turned labels: the metric, the calibration and each slice say so."""
    checks = found(NOW.assign(head=1 - NOW["head"]))

    assert performance.verdict(list(checks.values())) == "fell"
    assert checks["performance:log_loss"].value > 0.3
    assert checks["calibration:calibration_slope"].fires


def test_a_month_with_another_rate_of_labels_is_no_fall():
    """Few throws of great force make the loss itself smaller or larger; what the champion adds to it may not fall."""
    rare = NOW[(NOW["force"] < 5) | (np.arange(len(NOW)) % 3 == 0)]
    assert not found(rare)["performance:log_loss"].fires


def test_a_slice_that_fell_is_named():
    """Labels turned for one metal only."""
    gold = NOW["metal"] == "gold"
    rows = table(NOW.assign(head=NOW["head"].where(~gold, 1 - NOW["head"]))).assign(**{"slice:metal": NOW["metal"]})
    before = throws(28, first="2021-02-01", seed=2)
    old = Judged(table(before).assign(**{"slice:metal": before["metal"]}))

    checks = {check.name: check for check in performance.checks(rows, old, "binary", OPTIONS)}

    sides = [side[side["slice:metal"] == "gold"] for side in (old.table, rows)]
    fall = performance.fall(*(performance.gain(LOG_LOSS, side) for side in sides), OPTIONS.level / 2)  # two segments

    assert checks["slice:metal"].fires
    assert f"({between(fall.low, fall.high)})" in checks["slice:metal"].sentence
    assert "1 of 2 segments of metal fell by more than 0.0500; the worst: gold" in checks["slice:metal"].sentence


def test_a_slice_with_few_rows_is_not_judged():
    rows, few = table(NOW).assign(**{"slice:side": NOW["side"]}), replace(OPTIONS, slice_rows=5_000)
    old = Judged(rows)

    check = list(performance.checks(rows, old, "binary", few))[-1]

    assert (check.name, check.fires, check.value) == ("slice:side", False, None)
    assert check.sentence == "No segment of side has enough rows to judge."


@pytest.mark.parametrize(
    ("labelled", "rows", "said"),
    [
        (NOW.iloc[:0], 2800, "0 of 2,800 rows (0.0 %) have a label, 90.0 % are needed."),
        (NOW.iloc[:1000], 2800, "1,000 of 2,800 rows (35.7 %) have a label, 90.0 % are needed."),
        (NOW.iloc[:600], 600, "Labels of 6 clusters have come, 7 are needed."),
        (NOW[NOW["head"] == 1], int((NOW["head"] == 1).sum()), "of one class nothing can be told."),
        (NOW, 2800, None),
    ],
)
def test_too_few_labels_are_said(labelled, rows, said):
    lacking = performance.lacking(table(labelled), rows, len(labelled), "binary", OPTIONS)
    assert lacking == said or said in lacking


def test_the_estimate_is_near_to_the_truth_while_the_world_stays():
    """Inputs moved to where the model is less sure: the estimate sees the fall without one label."""
    unsure = NOW[NOW["force"].between(3, 7)]
    check = estimate.check(scores(unsure), judged(), OPTIONS)
    truth = performance.gain(LOG_LOSS, judged().table).value - performance.gain(LOG_LOSS, table(unsure)).value

    assert (check.fires, check.estimated) == (True, True)
    assert check.value == pytest.approx(truth, abs=0.02)


def test_the_estimate_cannot_see_what_labels_mean():
    """Turned labels leave it as it is: that is why it is marked."""
    assert not estimate.check(scores(NOW), judged(), OPTIONS).fires
    assert not estimate.check(scores(NOW.assign(head=1 - NOW["head"])), judged(), OPTIONS).fires


def test_the_expected_metric_is_the_mean_over_worlds():
    """Against labels drawn by the chances themselves."""
    chances = scores(NOW)
    rng, auc = np.random.default_rng(0), metrics.get("roc_auc", "binary")
    drawn = [
        auc.value((rng.random(len(chances)) < chances).astype(float), chances, np.ones(len(chances)))
        for _ in range(100)
    ]
    assert estimate.expected(auc, chances, chances) == pytest.approx(np.mean(drawn), abs=0.002)
