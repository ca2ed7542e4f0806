"""Evaluation: the scores table, the figures under it, and the files they are written to."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve

from problem_example import written
from ratchet import evaluation
from ratchet.errors import RatchetError
from ratchet.problem import Case, Problem

SCHEMA = """
KEY, CLUSTER, TARGET, TASK = ("id",), ("year", "month", "day"), "y", "{task}"
"""
SLICES = """
SLICES = {"colour": lambda rows: rows["colour"], "all": lambda rows: rows["id"].map(lambda _: "everything")}
"""
BEHAVIOUR = """
from ratchet.problem import Case

def behaviour():
    return [Case("twice", "direction", "More x, more y.", change=lambda r: r.assign(x=r["x"] + 0.1), direction="rises")]
"""


@pytest.fixture
def make_problem(tmp_path: Path) -> Callable[[str], Problem]:
    """A problem package of the given task, written to disk and importable."""
    numbers = itertools.count()

    def make(task: str) -> Problem:
        name = f"made_{task}_{abs(hash(tmp_path))}_{next(numbers)}"
        expectations = {"expectations__slices": SLICES, "expectations__behaviour": BEHAVIOUR}
        return written(tmp_path / "packages", name, data__schema=SCHEMA.format(task=task), **expectations)

    return make


def frame() -> pd.DataFrame:
    """Six rows of three days; the fifth has no label."""
    return pd.DataFrame(
        {
            "id": [10, 11, 12, 13, 14, 15],
            "year": 2013,
            "month": 4,
            "day": [1, 1, 2, 2, 3, 3],
            "colour": ["red", "blue", None, "blue", "red", "blue"],
            "x": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
            "y": [0.0, 1.0, 0.0, 1.0, None, 1.0],
        }
    )


def score(rows: pd.DataFrame) -> np.ndarray:
    """The score is x."""
    return rows["x"].to_numpy()


def evaluated(problem: Problem, threshold: float | None = None) -> tuple[pd.DataFrame, dict]:
    """Table and evaluation of `frame`, with one baseline that always says 0.5."""
    table = evaluation.scores_table(problem, frame(), score, {"half": np.full(6, 0.5)})
    return table, evaluation.evaluate(problem, table, frame(), evaluation.Model(score, "d1", threshold))


class TestScoresTable:
    """One row per labelled row."""

    def test_has_one_row_per_labelled_row_with_key_cluster_scores_and_slices(self, make_problem):
        """A row without a label is left out, a missing slice is named, baselines stand on the same rows."""
        table = evaluation.scores_table(make_problem("binary"), frame(), score, {"b": np.arange(6) / 10})

        assert list(table.columns) == ["id", "cluster", "label", "score", "baseline:b", "slice:all", "slice:colour"]
        assert table["id"].tolist() == [10, 11, 12, 13, 15]
        assert table["cluster"].tolist() == ["2013-04-01", "2013-04-01", "2013-04-02", "2013-04-02", "2013-04-03"]
        assert table["label"].tolist() == [0.0, 1.0, 0.0, 1.0, 1.0]
        assert table["score"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.6]
        assert table["baseline:b"].tolist() == [0.0, 0.1, 0.2, 0.3, 0.5]
        assert table["slice:colour"].tolist() == ["red", "blue", "(missing)", "blue", "blue"]

    def test_scores_are_rounded_to_ten_decimals(self, make_problem):
        """Digits that another CPU would give differently are not kept."""
        table = evaluation.scores_table(make_problem("binary"), frame(), lambda r: score(r) + 1e-12, {})

        assert table["score"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.6]

    def test_without_any_label_there_is_nothing_to_evaluate(self, make_problem):
        """A holdout whose outcomes are not known yet is an error that names the label."""
        with pytest.raises(RatchetError, match=r"none of the 6 holdout rows has a label \(y\)"):
            evaluation.scores_table(make_problem("binary"), frame().assign(y=np.nan), score, {})

    def test_a_score_that_is_no_number_is_refused(self, make_problem):
        """NaN from a model or a baseline stops the evaluation and says whose it is."""
        with pytest.raises(RatchetError, match="the model: 5 of 5 scores are not finite"):
            evaluation.scores_table(make_problem("binary"), frame(), lambda r: score(r) * np.nan, {})
        with pytest.raises(RatchetError, match="baseline 'b': 1 of 5 scores are not finite"):
            evaluation.scores_table(make_problem("binary"), frame(), score, {"b": np.array([0, 0, 0, np.inf, 0, 0])})

    def test_scores_of_another_shape_are_refused(self, make_problem):
        """One column of two classes' probabilities is a common mistake."""
        with pytest.raises(RatchetError, match=r"shape \(5, 2\); one per row would be \(5,\)"):
            evaluation.scores_table(make_problem("binary"), frame(), lambda r: np.zeros((len(r), 2)), {})


class TestEvaluate:
    """Every figure of evaluation.json."""

    def test_a_binary_task_has_every_figure(self, make_problem):
        """Literal figures of five rows."""
        _, found = evaluated(make_problem("binary"), threshold=0.35)

        assert (found["task"], found["model_digest"], found["threshold"]) == ("binary", "d1", 0.35)
        assert (found["rows"], found["clusters"], found["label_mean"]) == (5, 3, 0.6)
        by_name = {record["name"]: record["value"] for record in found["metrics"]}
        assert by_name["roc_auc"] == 0.833333
        assert by_name["brier"] == 0.252
        assert (by_name["precision"], by_name["recall"], by_name["f1"]) == (1.0, 0.666667, 0.8)
        baseline = {record["name"]: record["value"] for record in found["baselines"]["half"]}
        assert (baseline["roc_auc"], baseline["brier"]) == (0.5, 0.25)

    def test_a_regression_has_no_threshold_and_no_curve(self, make_problem):
        """Nothing outside the metrics assumes two classes."""
        _, found = evaluated(make_problem("regression"))

        by_name = {record["name"]: record["value"] for record in found["metrics"]}
        assert by_name["mae"] == 0.44
        assert by_name["bias"] == -0.28
        assert found["pr_curve"] == []
        assert len(found["calibration"]) == 5

    def test_a_figure_that_does_not_exist_is_null(self, make_problem):
        """The AUC of a slice with one class is null, and its rows are counted."""
        _, found = evaluated(make_problem("binary"))

        blue = next(one for one in found["slices"] if one["value"] == "blue")
        assert (blue["slice"], blue["rows"], blue["label_mean"]) == ("colour", 3, 1.0)
        assert blue["metrics"]["roc_auc"] is None
        assert blue["metrics"]["brier"] == 0.386667
        json.dumps(found, allow_nan=False)

    def test_behaviour_is_measured_on_all_rows(self, make_problem):
        """A row needs no label to be scored."""
        _, found = evaluated(make_problem("binary"))

        assert found["behaviour"] == [
            {
                "name": "twice",
                "kind": "direction",
                "sentence": "More x, more y.",
                "rows": 6,
                "value": 0.1,
                "bound": "rises by more than 0",
                "passed": True,
            }
        ]


class TestBehave:
    """Behavioural cases."""

    @pytest.mark.parametrize(("tolerance", "passed"), [(0.2, True), (0.19, False)])
    def test_an_invariance_holds_when_no_score_moves_further(self, tolerance, passed):
        """The largest move counts, whatever its sign."""
        case = Case("c", "invariance", "s", change=lambda r: r.assign(x=r["x"] - 0.2), tolerance=tolerance)

        found = evaluation.behave(case, frame(), score)

        assert (found["value"], found["bound"], found["passed"]) == (0.2, f"moves by at most {tolerance}", passed)

    @pytest.mark.parametrize(
        ("direction", "step", "passed"),
        [("rises", 0.2, True), ("rises", 0.05, False), ("falls", -0.2, True), ("falls", 0.2, False)],
    )
    def test_a_direction_holds_when_the_mean_moves_that_way_by_more_than_the_tolerance(self, direction, step, passed):
        """A step smaller than the tolerance, or the wrong way, breaks it."""
        change = lambda rows: rows.assign(x=rows["x"] + step)  # noqa: E731
        case = Case("c", "direction", "s", change=change, direction=direction, tolerance=0.1)

        found = evaluation.behave(case, frame(), score)

        assert (found["value"], found["passed"]) == (step, passed)
        assert found["bound"] == f"{direction} by more than 0.1"

    @pytest.mark.parametrize(
        ("low", "high", "bound", "passed"),
        [
            (0.3, 0.5, "between 0.3 and 0.5", True),
            (0.4, float("inf"), "at least 0.4", False),
            (float("-inf"), 0.3, "at most 0.3", False),
        ],
    )
    def test_a_minimum_bounds_the_mean_score(self, low, high, bound, passed):
        """The mean of the six scores is 0.35."""
        found = evaluation.behave(Case("c", "minimum", "s", low=low, high=high), frame(), score)

        assert (found["value"], found["bound"], found["passed"]) == (0.35, bound, passed)

    def test_a_case_sees_only_the_rows_it_selects(self):
        """`where` is a mask; without any row the case holds and has no value."""
        some = evaluation.behave(Case("c", "minimum", "s", where=lambda r: r["x"] > 0.45), frame(), score)
        none = evaluation.behave(Case("c", "minimum", "s", where=lambda r: r["x"] > 9, low=1), frame(), score)

        assert (some["rows"], some["value"]) == (2, 0.55)
        assert (none["rows"], none["value"], none["passed"]) == (0, None, True)

    def test_a_change_that_loses_rows_is_refused(self):
        """Scores before and after could not be paired."""
        case = Case("c", "invariance", "s", change=lambda r: r.head(2))

        with pytest.raises(RatchetError, match="behaviour 'c': its change made 2 rows of 6"):
            evaluation.behave(case, frame(), score)

    def test_a_case_that_changes_nothing_is_refused(self):
        """Invariance and direction need a change."""
        with pytest.raises(RatchetError, match="a case of kind direction needs a `change`"):
            evaluation.behave(Case("c", "direction", "s", direction="rises"), frame(), score)


class TestCalibration:
    """Bins of a reliability diagram."""

    def test_bins_are_quantiles(self):
        """Twenty scores in ten bins of two."""
        scores = np.arange(20) / 20

        found = evaluation.calibration((np.arange(20) % 2).astype(float), scores)

        assert [one["rows"] for one in found] == [2] * 10
        assert found[0] == {"predicted": 0.025, "observed": 0.5, "rows": 2}
        assert found[-1] == {"predicted": 0.925, "observed": 0.5, "rows": 2}

    @given(st.lists(st.tuples(st.sampled_from([0.1, 0.25, 0.5, 0.9]), st.sampled_from([0.0, 1.0])), min_size=1))
    def test_equal_scores_share_a_bin_and_no_row_is_lost(self, rows):
        """At most as many bins as distinct scores, ascending; their means give back the mean."""
        scores, labels = (np.array(column) for column in zip(*rows, strict=True))

        found = evaluation.calibration(labels, scores)

        assert len(found) <= len(set(scores))
        assert sum(one["rows"] for one in found) == len(rows)
        assert [one["predicted"] for one in found] == sorted(one["predicted"] for one in found)
        observed = sum(one["observed"] * one["rows"] for one in found) / len(rows)
        assert observed == pytest.approx(labels.mean(), abs=1e-5)


class TestPrecisionRecall:
    """Points of the curve."""

    def test_points_are_those_of_scikit_learn(self):
        """Every point of a short curve, from the highest threshold down."""
        labels = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])
        scores = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.6])

        found = evaluation.pr_curve(labels, scores)

        precision, recall, thresholds = precision_recall_curve(labels, scores)
        known = {(round(r, 6), round(p, 6), t) for p, r, t in zip(precision, recall, thresholds, strict=False)}
        assert {(round(o["recall"], 6), round(o["precision"], 6), o["threshold"]) for o in found} <= known
        assert [one["recall"] for one in found] == [0.333333, 0.666667, 1.0]
        assert found[0] == {"recall": 0.333333, "precision": 0.5, "threshold": 0.6}

    def test_a_long_curve_is_thinned_and_keeps_its_ends(self):
        """At most fifty points, recall rising to 1."""
        draw = np.random.default_rng(0)
        scores = draw.random(5000)
        labels = (draw.random(5000) < scores).astype(float)

        found = evaluation.pr_curve(labels, scores)

        assert 40 <= len(found) <= 50
        assert found[0]["threshold"] > 0.99
        assert found[-1]["recall"] == 1.0

    @pytest.mark.parametrize("label", [0.0, 1.0])
    def test_one_class_has_no_curve(self, label):
        """Neither all late nor none late can be ranked."""
        assert evaluation.pr_curve(np.full(4, label), np.arange(4.0)) == []


class TestWrite:
    """Files of the evaluation folder."""

    def test_files_are_what_dvc_and_the_judge_read(self, make_problem, tmp_path):
        """A flat metrics.json, two curves as CSV, the table as Parquet."""
        table, found = evaluated(make_problem("binary"))

        evaluation.write(tmp_path / "evaluation", table, found)

        names = sorted(path.name for path in (tmp_path / "evaluation").iterdir())
        assert names == ["calibration.csv", "evaluation.json", "metrics.json", "pr_curve.csv", "scores.parquet"]
        flat = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
        assert flat["rows"] == 5
        assert flat["roc_auc"] == 0.833333
        assert flat["baseline"]["half"]["roc_auc"] == 0.5
        lines = (tmp_path / "evaluation" / "calibration.csv").read_text().splitlines()
        assert lines[:2] == ["predicted,observed,rows", "0.1,0.0,1"]
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "evaluation" / "scores.parquet"), table)

    def test_the_same_input_gives_the_same_bytes(self, make_problem, tmp_path):
        """Written twice, nothing differs."""
        table, found = evaluated(make_problem("binary"))

        evaluation.write(tmp_path / "a", table, found)
        evaluation.write(tmp_path / "b", table, found)

        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()

    def test_a_regression_leaves_no_curve_of_an_earlier_binary_task(self, make_problem, tmp_path):
        """The folder is replaced whole."""
        evaluation.write(tmp_path / "evaluation", *evaluated(make_problem("binary")))

        evaluation.write(tmp_path / "evaluation", *evaluated(make_problem("regression")))

        assert not (tmp_path / "evaluation" / "pr_curve.csv").exists()

    def test_what_cannot_be_written_leaves_the_previous_outputs(self, make_problem, tmp_path):
        """NaN is no JSON: the old files stay as they were."""
        table, found = evaluated(make_problem("binary"))
        evaluation.write(tmp_path / "evaluation", table, found)
        before = (tmp_path / "evaluation" / "evaluation.json").read_bytes()

        with pytest.raises(ValueError, match="not JSON compliant"):
            evaluation.write(tmp_path / "evaluation", table, {**found, "label_mean": float("nan")})

        assert (tmp_path / "evaluation" / "evaluation.json").read_bytes() == before
