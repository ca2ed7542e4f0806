"""Training: folds that respect time and clusters, a threshold that costs least, and the same bytes everywhere."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from problem_example import written
from ratchet import params, training
from ratchet.errors import RatchetError
from ratchet.problem import Problem

ROOT = Path(__file__).parents[1]
PARAMS = ROOT / "tests" / "problems" / "params.yaml"
SCHEMA = 'KEY, CLUSTER, TARGET, TASK = ("id",), ("year", "month", "day"), "y", "{task}"\n'
BINARY = """
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from ratchet.errors import RatchetError


def estimator(params, seed):
    if unknown := set(params) - {"learning_rate"}:
        raise RatchetError(f"model: unknown parameter {', '.join(sorted(unknown))}")
    boosting = HistGradientBoostingClassifier(random_state=seed, max_iter=20, early_stopping=False, **params)
    return make_pipeline(FunctionTransformer(), boosting)


def baselines():
    return {"linear": LogisticRegression()}
"""
REGRESSION = """
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge


def estimator(params, seed):
    return Ridge(alpha=params["learning_rate"])


def baselines():
    return {"mean": DummyRegressor()}
"""
HASH = """
import hashlib, sys
from pathlib import Path

sys.path.insert(0, sys.argv[2])
import test_training as here
from ratchet import persistence, training
from ratchet.problem import Problem

trained = training.train(Problem("toy_waves", Path(sys.argv[1])), here.parameters(), here.rows())
for name, value in (("pipeline", trained.pipeline), ("baselines", dict(trained.baselines))):
    persistence.dump(value, Path(sys.argv[3], name))
    print(hashlib.sha256(Path(sys.argv[3], name).read_bytes()).hexdigest())
print(trained.training_json)
"""


def rows(days: int = 12, per_day: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(5)
    count = days * per_day
    day = np.repeat(np.arange(days), per_day)
    a, b = random.normal(size=count), random.normal(size=count)
    return pd.DataFrame(
        {
            "id": np.arange(count),
            "year": 2013,
            "month": 1 + day // 6,
            "day": 1 + day % 6,
            "a": a,
            "b": b,
            "y": (a + b + random.normal(size=count) > 0.5).astype(float),
        }
    )


def parameters(**train: float) -> params.Params:
    found = params.load(PARAMS)
    changed = found.train.model_copy(update=train)
    return found.model_copy(update={"train": changed, "model": {"learning_rate": 0.1}})


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny problems: `toy_waves` is binary, `toy_tides` is a regression."""
    folder = tmp_path_factory.mktemp("problems")
    for name, task, model in (("toy_waves", "binary", BINARY), ("toy_tides", "regression", REGRESSION)):
        written(folder, name, data__schema=SCHEMA.format(task=task), model__estimator=model)
    return folder


def test_folds_train_on_the_clusters_before_those_they_test() -> None:
    """Five days in two folds: days are whole, in order of time, whatever the order of the rows."""
    clusters = pd.Series(["d3", "d1", "d2", "d1", "d5", "d4", "d3"])

    found = training.folds(clusters, 2)

    chosen = [(sorted(set(clusters[before])), sorted(set(clusters[after]))) for before, after in found]
    assert chosen == [(["d1", "d2", "d3"], ["d4"]), (["d1", "d2", "d3", "d4"], ["d5"])]
    assert found[0][0].tolist() == [True, True, True, True, False, False, True]


@given(st.lists(st.integers(10, 40), min_size=1, max_size=60), st.integers(2, 5))
def test_no_cluster_is_on_both_sides_of_a_fold(days: list[int], n: int) -> None:
    """Every test cluster is later than every training cluster of its fold, and each is tested at most once."""
    clusters = pd.Series([f"2013-01-{day}" for day in days])
    if clusters.nunique() <= n:
        with pytest.raises(RatchetError, match=rf"{n} folds need at least {n + 1} clusters"):
            training.folds(clusters, n)
        return

    tested: list[str] = []
    for before, after in training.folds(clusters, n):
        assert clusters[before].max() < clusters[after].min()
        tested += clusters[after].unique().tolist()

    assert len(tested) == len(set(tested))


def test_the_threshold_costs_least() -> None:
    """Worked by hand: at a ratio of 2 a miss outweighs a false alarm, at a ratio of 0.4 it does not."""
    labels, scores = [0, 0, 1, 0, 1], [0.1, 0.2, 0.4, 0.6, 0.8]

    assert training.threshold(labels, scores, 2.0) == 0.3
    assert training.threshold(labels, scores, 0.4) == 0.7


def test_of_equally_good_thresholds_the_highest_is_taken() -> None:
    """A miss costs a false alarm: flagging three rows or one costs the same, so one is flagged."""
    assert training.threshold([0, 0, 1, 0, 1], [0.1, 0.2, 0.4, 0.6, 0.8], 1.0) == 0.7


def test_a_threshold_may_flag_everything_or_nothing() -> None:
    """0 flags every row, 1 flags none below certainty."""
    assert training.threshold([1, 1], [0.2, 0.3], 1.0) == 0.0 + 0.0
    assert training.threshold([0, 0], [0.2, 0.3], 1.0) == 1.0


def cost(labels: list[int], scores: list[float], ratio: float, at: float) -> float:
    pairs = list(zip(labels, scores, strict=True))
    return sum(s >= at and y == 0 for y, s in pairs) + ratio * sum(s < at and y == 1 for y, s in pairs)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 999)), min_size=1, max_size=40),
    st.sampled_from([0.25, 1.0, 2.0, 5.0]),
)
def test_no_other_threshold_costs_less(pairs: list[tuple[int, int]], ratio: float) -> None:
    """Against every threshold that tells two rows apart."""
    labels, scores = [y for y, _ in pairs], [s / 1000 for _, s in pairs]

    found = training.threshold(labels, scores, ratio)

    best = min(cost(labels, scores, ratio, at) for at in [0.0, *scores, 1.0])
    assert cost(labels, scores, ratio, found) == best


def test_a_binary_training_leaves_threshold_folds_and_baselines(problems: Path) -> None:
    """Fitted on every labelled row; figures of the folds are those of rows later than what they trained on."""
    frame = rows()
    frame.loc[::20, "y"] = np.nan

    trained = training.train(Problem("toy_waves"), parameters(), frame)

    told = trained.training_json
    assert (told["rows"], told["cost_ratio"], len(told["folds"])) == (684, 2.0, 3)
    assert 0 < told["threshold"] < 0.5
    assert [(f["first"], f["last"], f["train_rows"], f["rows"]) for f in told["folds"]] == [
        ("2013-01-04", "2013-01-06", 171, 171),
        ("2013-02-01", "2013-02-03", 342, 171),
        ("2013-02-04", "2013-02-06", 513, 171),
    ]
    assert {"log_loss", "roc_auc", "precision", "recall", "f1"} < set(told["folds"][0])
    assert set(trained.baselines) == {"linear"}


def test_the_figures_of_a_fold_are_those_of_scikit_learn(problems: Path) -> None:
    """The last fold, made again by hand."""
    frame, problem = rows(), Problem("toy_waves")
    before = frame["month"].eq(1) | frame["day"].le(3)
    x = frame.drop(columns="y")
    model = problem.estimator({"learning_rate": 0.1}, 0).fit(x[before], frame["y"][before].astype(int))

    trained = training.train(problem, parameters(), frame)

    expected = log_loss(frame["y"][~before], model.predict_proba(x[~before])[:, 1])
    assert trained.training_json["folds"][-1]["log_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_regression_has_no_threshold(problems: Path) -> None:
    """The same contract: no threshold, no cost, the figures of its own task."""
    frame = rows().assign(y=lambda f: 3 * f["a"] - f["b"])

    trained = training.train(Problem("toy_tides"), parameters(), frame)

    told = trained.training_json
    assert (told["threshold"], told["cost_ratio"]) == (None, None)
    assert set(told["folds"][0]) == {"first", "last", "train_rows", "rows", "mae", "mse", "rmse", "r2", "bias"}
    scores = training.scores(trained.pipeline, frame.drop(columns="y"), "regression")
    assert np.abs(scores - frame["y"]).max() < 0.05


def test_labels_of_one_class_are_refused(problems: Path) -> None:
    """A model that has seen one class is none; the error says so before anything is written."""
    with pytest.raises(RatchetError, match=r"fold 1 of 3: all 180 labels \(y\) are 1; a model needs both classes"):
        training.train(Problem("toy_waves"), parameters(), rows().assign(y=1.0))


def test_rows_without_labels_are_refused(problems: Path) -> None:
    """Nothing to train on is named as that."""
    with pytest.raises(RatchetError, match=r"none of the 720 training rows has a label \(y\)"):
        training.train(Problem("toy_waves"), parameters(), rows().assign(y=np.nan))


def test_more_folds_than_days_are_refused(problems: Path) -> None:
    """The error names the parameter to change."""
    with pytest.raises(RatchetError, match=r"12 folds need at least 13 clusters; .* have 12\nlower train\.folds"):
        training.train(Problem("toy_waves"), parameters(folds=12), rows())


def test_an_unknown_parameter_of_the_model_is_refused(problems: Path) -> None:
    """The problem's own check reaches the person."""
    wrong = parameters().model_copy(update={"model": {"learning_rat": 0.1}})

    with pytest.raises(RatchetError, match="unknown parameter learning_rat"):
        training.train(Problem("toy_waves"), wrong, rows())


def test_the_bytes_do_not_depend_on_the_number_of_threads(problems: Path, tmp_path: Path) -> None:
    """One thread or two: the same model, the same baselines, the same figures."""
    outputs = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", HASH, str(problems), str(ROOT / "tests"), str(tmp_path)]
        outputs.add(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)

    assert len(outputs) == 1
    assert outputs.pop().count("\n") == 3


def test_rows_are_left_as_they_were(problems: Path) -> None:
    """Training changes nothing in the frame it is given."""
    frame = rows()
    before = hashlib.sha256(frame.to_csv().encode()).hexdigest()

    training.train(Problem("toy_waves"), parameters(), frame)

    assert hashlib.sha256(frame.to_csv().encode()).hexdigest() == before
