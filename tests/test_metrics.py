"""Metrics against scikit-learn, intervals against SciPy and their own symmetries."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import optimize, special, stats
from sklearn import linear_model
from sklearn import metrics as sklearn_metrics

from ratchet import metrics
from ratchet.errors import RatchetError

THRESHOLD = 0.4
BINARY = [metric.name for metric in metrics.for_task("binary", THRESHOLD)]
REGRESSION = [metric.name for metric in metrics.for_task("regression")]


CLASSES = st.sampled_from([0.0, 1.0])
PROBABILITIES = st.integers(0, 20).map(lambda k: k / 20)
UNCERTAIN = st.integers(1, 19).map(lambda k: k / 20)


@st.composite
def scored(draw, scores=PROBABILITIES, labels=CLASSES):
    """Labels, scores with ties, weights of which some are zero, and clusters."""
    size = draw(st.integers(4, 40))

    def column(values):
        return np.array(draw(st.lists(values, min_size=size, max_size=size)))

    weights = column(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.25]))
    return column(labels), column(scores), weights, column(st.integers(0, 4))


def numbers():
    return st.floats(-1e3, 1e3).map(lambda value: round(value, 3))


def both_classes(labels, weights):
    return 0 < (weights * labels).sum() < weights.sum()


def value(name, labels, scores, weights=None, task="binary", threshold=THRESHOLD):
    weights = np.ones(len(labels)) if weights is None else weights
    metric = metrics.get(name, task, threshold)
    return metric.value(np.asarray(labels, float), np.asarray(scores, float), np.asarray(weights, float))


@given(scored())
def test_weighted_binary_metrics_equal_those_of_scikit_learn(rows):
    """Log loss, AUC, average precision, Brier, precision, recall, F1 on ties, zero weights and certain predictions."""
    labels, scores, weights, _ = rows
    assume(both_classes(labels, weights))
    flagged = (scores >= THRESHOLD).astype(float)
    zero = {"sample_weight": weights, "zero_division": np.nan}
    expected = {
        "log_loss": sklearn_metrics.log_loss(labels, scores, sample_weight=weights),
        "roc_auc": sklearn_metrics.roc_auc_score(labels, scores, sample_weight=weights),
        "average_precision": sklearn_metrics.average_precision_score(labels, scores, sample_weight=weights),
        "brier": sklearn_metrics.brier_score_loss(labels, scores, sample_weight=weights),
        "precision": sklearn_metrics.precision_score(labels, flagged, **zero),
        "recall": sklearn_metrics.recall_score(labels, flagged, **zero),
        "f1": sklearn_metrics.f1_score(labels, flagged, **zero),
    }
    found = {name: value(name, labels, scores, weights) for name in expected}
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


@given(scored(scores=numbers(), labels=numbers()))
def test_weighted_regression_metrics_equal_those_of_scikit_learn(rows):
    """MAE, MSE, RMSE, R² and bias."""
    labels, scores, weights, _ = rows
    assume(weights.sum() > 0)
    given_weights = {"sample_weight": weights}
    expected = {
        "mae": sklearn_metrics.mean_absolute_error(labels, scores, **given_weights),
        "mse": sklearn_metrics.mean_squared_error(labels, scores, **given_weights),
        "rmse": sklearn_metrics.root_mean_squared_error(labels, scores, **given_weights),
        "bias": np.average(scores - labels, weights=weights),
    }
    found = {name: value(name, labels, scores, weights, task="regression") for name in expected}
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    if np.ptp(labels[weights > 0]) > 0.01:
        explained = sklearn_metrics.r2_score(labels, scores, **given_weights)
        assert value("r2", labels, scores, weights, task="regression") == pytest.approx(explained, rel=1e-6, abs=1e-6)


def test_r2_keeps_its_digits_when_labels_are_large():
    """A mean of a billion does not swallow a variance of one."""
    labels = 1e9 + np.array([1.0, 2.0, 3.0, 4.0])
    assert value("r2", labels, labels + 0.5, task="regression") == pytest.approx(0.8, abs=1e-9)


def test_r2_of_labels_that_do_not_vary_does_not_exist():
    """There is nothing to explain."""
    assert math.isnan(value("r2", [2.0, 2.0, 2.0], [1.0, 2.0, 3.0], task="regression"))


@given(scored(scores=UNCERTAIN))
def test_calibration_equals_a_logistic_regression_on_the_logit(rows):
    """Slope by scikit-learn without penalty, intercept as the root of its score equation with slope 1 (SciPy)."""
    labels, scores, weights, _ = rows
    assume(both_classes(labels, weights))
    logit = special.logit(scores)
    intercept = optimize.brentq(lambda a: weights @ (labels - special.expit(a + logit)), -50, 50, xtol=1e-12)
    assert value("calibration_intercept", labels, scores, weights) == pytest.approx(intercept, abs=1e-6)
    slope = value("calibration_slope", labels, scores, weights)
    positives, negatives = (logit[(weights > 0) & (labels == label)] for label in (1, 0))
    if positives.min() >= negatives.max() or negatives.min() >= positives.max():
        assert math.isnan(slope)
        return
    model = linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    model.fit(logit[:, None], labels, sample_weight=weights)
    assert slope == pytest.approx(model.coef_[0, 0], rel=1e-3, abs=1e-3)


def test_calibration_survives_predictions_that_were_certain_and_wrong():
    """They count as one in a million; long Newton steps are shortened until they help."""
    labels = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    scores = np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.0, 0.0])
    logit = special.logit(np.clip(scores, 1e-6, 1 - 1e-6))

    def equations(at):
        residual = labels - special.expit(at[0] + at[1] * logit)
        return residual.sum(), logit @ residual

    slope = optimize.root(equations, [0.0, 0.0], tol=1e-12).x[1]
    assert value("calibration_slope", labels, scores) == pytest.approx(slope, abs=1e-6)
    assert equations([value("calibration_intercept", labels, scores), 1.0])[0] == pytest.approx(0, abs=1e-6)


def test_calibration_slope_does_not_exist_without_overlap_or_variation():
    """Separated classes have no maximum likelihood; equal scores have no slope."""
    assert math.isnan(value("calibration_slope", [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]))
    assert math.isnan(value("calibration_slope", [0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3]))
    assert math.isnan(value("calibration_intercept", [1, 1, 1, 1], [0.3, 0.4, 0.5, 0.6]))


def test_metrics_of_one_class_do_not_exist():
    """No AUC without both, no precision figures without positives; the losses remain."""
    scores = [0.1, 0.2, 0.3]
    missing = [name for name in BINARY if math.isnan(value(name, [0, 0, 0], scores))]
    assert missing == [
        "roc_auc",
        "average_precision",
        "calibration_slope",
        "calibration_intercept",
        "precision",
        "recall",
        "f1",
    ]


def without_by_hand(metric, labels, scores, clusters):
    kept = [clusters != cluster for cluster in np.unique(clusters)]
    return np.array([metric.value(labels[rows], scores[rows], np.ones(rows.sum())) for rows in kept])


@given(scored())
@example((np.array([1.0, 0, 1, 0]), np.array([0.2, 0.3, 0.2, 0.9]), np.ones(4), np.array([0, 0, 1, 1])))
def test_leaving_a_cluster_out_equals_computing_without_its_rows_for_binary_metrics(rows):
    """The shortcuts of each family change nothing, NaN included."""
    labels, scores, _, clusters = rows
    assume(len(np.unique(clusters)) > 1)
    for metric in metrics.for_task("binary", THRESHOLD):
        found = metrics.jackknife(metric, labels, scores, clusters)
        expected = without_by_hand(metric, labels, scores, clusters)
        np.testing.assert_allclose(found.without, expected, rtol=1e-6, atol=1e-6, err_msg=metric.name)
        np.testing.assert_equal(found.value, metric.value(labels, scores, np.ones(len(labels))))


# one cluster without any error beside one whose squares do not add up alike in two orders
_BESIDE_LARGE_ERRORS = np.array([98.6, 32.8, 29.4, 55.3, 98.7, 83.2, 71.6, 14.0, 72.6, 0.0])


@given(scored(scores=numbers(), labels=numbers()))
@example((np.zeros(10), _BESIDE_LARGE_ERRORS, np.ones(10), np.array([0] * 9 + [1])))
def test_leaving_a_cluster_out_equals_computing_without_its_rows_for_regression_metrics(rows):
    """The same for regression."""
    labels, scores, _, clusters = rows
    assume(len(np.unique(clusters)) > 1)
    kept = [labels[clusters != cluster] for cluster in np.unique(clusters)]
    for metric in metrics.for_task("regression"):
        if metric.name == "r2" and min(map(np.ptp, kept)) < 1:
            continue  # a variance near zero is a figure without digits, by either way
        found = metrics.jackknife(metric, labels, scores, clusters).without
        expected = without_by_hand(metric, labels, scores, clusters)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=metric.name)


def test_clusters_are_left_out_in_order_of_their_names():
    """Rows may come in any order; time is the order of the names."""
    mae = metrics.get("mae", "regression")
    found = metrics.jackknife(mae, [0, 0, 0], [3, 1, 2], ["day-3", "day-1", "day-2"])
    assert found.without.tolist() == [2.5, 2.0, 1.5]
    assert found.value == 2.0


@pytest.mark.parametrize(
    ("name", "task", "champion", "challenger", "expected"),
    [
        ("log_loss", "binary", 0.5, 0.4, 0.1),
        ("roc_auc", "binary", 0.7, 0.6, -0.1),
        ("calibration_slope", "binary", 0.7, 1.1, 0.2),
        ("bias", "regression", -1.0, 3.0, -2.0),
    ],
)
def test_improvement_is_positive_when_the_challenger_is_better(name, task, champion, challenger, expected):
    """Whatever the direction of the metric."""
    assert metrics.get(name, task).improvement(champion, challenger) == pytest.approx(expected)


def test_metrics_at_a_threshold_need_one():
    """Precision, recall and F1 exist where a model has an operating threshold."""
    assert BINARY[-3:] == ["precision", "recall", "f1"]
    with pytest.raises(RatchetError, match="no metric 'f1' for a binary task; choose one of log_loss, roc_auc"):
        metrics.get("f1", "binary")


def test_additive_metrics_offer_their_loss_per_row():
    """The mean of the loss is the figure."""
    with_loss = [m.name for task in ("binary", "regression") for m in metrics.for_task(task) if m.loss]
    assert with_loss == ["log_loss", "brier", "mae", "mse"]
    assert metrics.get("mae", "regression").loss(np.array([1.0, 2.0]), np.array([3.0, 2.5])).tolist() == [2.0, 0.5]


@pytest.mark.parametrize(
    ("figure", "expected"),
    [(0.12345678, 0.123457), (1234567.8, 1234570.0), (-1e-300, -1e-300), (None, None), (math.nan, None)],
)
def test_rounded_keeps_six_significant_digits_and_has_null_for_nothing(figure, expected):
    """The same figure on any CPU."""
    assert metrics.rounded(figure) == expected


def test_rounded_has_no_infinity_and_no_negative_zero():
    """JSON has no infinity, and -0.0 would differ from 0.0 in a file."""
    assert metrics.rounded(math.inf) is None
    assert math.copysign(1, metrics.rounded(-0.0)) == 1


# Intervals. The mean of clusters of one row each: the figure without a cluster is the mean of the others.


def left_out(days):
    days = np.asarray(days, float)
    return (days.sum(axis=-1, keepdims=True) - days) / (days.shape[-1] - 1)


def interval_of(days, level=0.025):
    return metrics.interval(float(np.mean(days)), left_out(days), level)


ALTERNATING = [1.0, -1.0] * 14  # symmetric, and neighbours differ: neither skewness nor correlation widens


def test_interval_of_symmetric_uncorrelated_days_is_students_t():
    """With 1.5 G / 7 degrees of freedom."""
    error = stats.sem(ALTERNATING)
    assert interval_of(ALTERNATING, 0.03) == pytest.approx(stats.t.interval(0.94, 6, 0.0, error), abs=1e-12)


def test_interval_is_wider_when_neighbours_resemble_each_other():
    """The same days, sorted: two long spells instead of 28 days."""
    low, high = interval_of(sorted(ALTERNATING))
    assert high - low > 2 * np.ptp(interval_of(ALTERNATING))


def test_skewness_moves_the_end_on_its_side_outwards_and_leaves_the_other():
    """One day in fourteen is much worse: the lower end cannot trust the month, the upper end is as it was."""
    days = np.array(([0.0, 1.0] * 6 + [1.0, -9.0]) * 2)
    spread = interval_of(days)
    skewness = stats.skew(days)
    assert skewness < -2
    below, above = days.mean() - spread[0], spread[1] - days.mean()
    assert below > 1.3 * above
    mirrored = interval_of(-days)
    assert (-mirrored[1], -mirrored[0]) == pytest.approx(spread)


def test_one_terrible_day_widens_its_side_by_half_and_no_more():
    """A month whose only news is one day says little of the tail: a cubic without bound would double the reach."""
    days = np.zeros(28)
    days[13] = -28.0
    low, high = interval_of(days, 0.03)
    below, above = days.mean() - low, high - days.mean()
    assert 1.5 * above < below < 1.7 * above


@given(st.lists(st.integers(-50, 50), min_size=3, max_size=40), st.integers(-5, 5), st.integers(1, 9))
def test_intervals_move_and_stretch_with_the_days(days, shift, factor):
    """Units do not matter, the figure lies inside, and a smaller level is wider."""
    days = np.array(days, float)
    low, high = interval_of(days)
    assert low <= days.mean() <= high
    assert interval_of(shift + factor * days) == pytest.approx((shift + factor * low, shift + factor * high), abs=1e-6)
    wider = interval_of(days, 0.005)
    assert wider[0] <= low <= high <= wider[1]


@given(st.lists(st.integers(-50, 50), min_size=3, max_size=40))
def test_interval_is_never_narrower_than_that_of_independent_symmetric_days(days):
    """Correlation and skewness only ever widen it."""
    low, high = interval_of(np.array(days, float))
    reach = stats.t.ppf(0.975, len(days) - 1) * stats.sem(days)
    assert low <= np.mean(days) - reach + 1e-9
    assert high >= np.mean(days) + reach - 1e-9


def test_many_intervals_at_once_are_those_of_each():
    """Leading axes are pairs; levels go along."""
    rng = np.random.default_rng(0)
    days, levels = rng.normal(size=(5, 30)), np.array([0.1, 0.05, 0.03, 0.01, 0.001])
    low, high = metrics.intervals(days.mean(axis=1), left_out(days), levels)
    one_by_one = [interval_of(row, level) for row, level in zip(days, levels, strict=True)]
    np.testing.assert_allclose(np.stack([low, high], axis=1), one_by_one)


def test_days_that_do_not_differ_leave_no_doubt():
    """Two equal models differ by nothing, for sure."""
    assert interval_of([0.0] * 30) == (0.0, 0.0)


@pytest.mark.parametrize("without", [[], [1.0], [1.0, 2.0], [1.0, math.nan, 2.0, 3.0]])
def test_an_interval_that_cannot_be_known_is_nan(without):
    """Fewer than three clusters, or no figure without one of them."""
    assert all(math.isnan(end) for end in metrics.interval(1.0, without))
    assert math.isnan(metrics.detectable(without, 0.03, 0.001))


def test_detectable_gain_exceeds_delta_by_two_quantiles():
    """It is delta + (t(1 - level) + t(0.8)) * s / sqrt(G)."""
    expected = 0.5 + stats.sem(ALTERNATING) * (stats.t.ppf(0.97, 6) + stats.t.ppf(0.8, 6))
    assert metrics.detectable(left_out(ALTERNATING), 0.03, 0.5) == pytest.approx(expected)
