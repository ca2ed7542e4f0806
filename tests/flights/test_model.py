"""The model of late flights, its baselines, and what is expected of it.

How good it is, and whether it behaves as expected, is asked by the verdict and not by a test: a feature that helps or
harms changes these figures, and is to be judged for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flights.data import source
from flights.expectations.behaviour import behaviour
from flights.model.estimator import HistoricalRate, baselines, estimator, search_space
from ratchet import persistence
from ratchet.errors import RatchetError
from ratchet.problem import Case

ROOT = Path(__file__).parents[2]
# Not those of params.yaml, which anybody may change.
PARAMS = {
    "learning_rate": 0.05,
    "max_iter": 150,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 100,
    "l2_regularization": 1.0,
    "max_features": 0.5,
}


def labelled(period: str) -> pd.DataFrame:
    rows = source.fetch(period)
    return rows[rows["late"].notna()].reset_index(drop=True)


@pytest.fixture(scope="module")
def april() -> pd.DataFrame:
    return labelled("2013-04")


@pytest.fixture(scope="module")
def july() -> pd.DataFrame:
    return labelled("2013-07")


def fitted(model: Any, rows: pd.DataFrame) -> Any:
    return model.fit(rows.drop(columns="late"), rows["late"])


def scores(model: Any, rows: pd.DataFrame) -> np.ndarray:
    return np.asarray(model.predict_proba(rows.drop(columns="late"))[:, 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rat": 0.1}, "model.learning_rat: Extra inputs are not permitted"),
        ({"learning_rate": 0}, "model.learning_rate: Input should be greater than 0"),
        ({"max_iter": "many"}, "model.max_iter: Input should be a valid integer"),
        ({"max_features": 1.5}, "model.max_features: Input should be less than or equal to 1"),
    ],
)
def test_a_parameter_that_cannot_be_is_an_error_that_names_those_there_are(
    changes: dict[str, Any], message: str
) -> None:
    """A typo fails at once instead of being ignored."""
    with pytest.raises(RatchetError, match=message) as error:
        estimator({**PARAMS, **changes}, 0)

    assert "learning_rate, max_iter, max_leaf_nodes, min_samples_leaf, l2_regularization, max_features" in str(
        error.value
    )


def test_a_missing_parameter_is_an_error() -> None:
    """What is not written in params.yaml cannot be reviewed there."""
    with pytest.raises(RatchetError, match=r"model\.max_iter: Field required"):
        estimator({name: value for name, value in PARAMS.items() if name != "max_iter"}, 0)


def test_the_search_space_holds_parameters_of_the_model() -> None:
    """Every value of it makes an estimator."""
    assert set(search_space()) == set(PARAMS)
    for name, values in search_space().items():
        for value in values:
            estimator({**PARAMS, name: value}, 0)


def test_what_was_never_seen_is_scored_as_missing(april: pd.DataFrame) -> None:
    """A new carrier, destination or engine is no error."""
    model = fitted(estimator({**PARAMS, "max_iter": 20}, 0), april.head(5000))
    rows = april.head(50)

    new = rows.assign(carrier="ZZ", dest="XXX", plane_engine="Warp")
    missing = rows.assign(carrier=None, dest=None, plane_engine=None)

    assert np.array_equal(scores(model, new), scores(model, missing))


THREADS = f"""
import hashlib, sys
from flights.data import source
from flights.model.estimator import baselines, estimator

rows = source.fetch("2013-02").dropna(subset="late").head(8000)
models = [estimator({PARAMS}, 0), *baselines().values()]
scores = [model.fit(rows.drop(columns="late"), rows["late"]).predict_proba(rows) for model in models]
print(*[hashlib.sha256(score.tobytes()).hexdigest() for score in scores])
"""


def test_the_number_of_threads_changes_no_bit() -> None:
    """Neither of the model nor of the baselines."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", THREADS],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }

    assert len(digests) == 1


# --- baselines ---


def test_the_historical_rate_is_that_of_carrier_and_hour() -> None:
    """Drawn towards the rate of all by so many flights' worth of belief; what was never seen gets the rate of all."""
    rows = pd.DataFrame({"carrier": ["UA", "UA", "UA", "B6"], "sched_dep_time": [1700, 1745, 1759, 600]})

    model = HistoricalRate(weight=1.0).fit(rows, [1, 1, 0, 0])
    asked = pd.DataFrame({"carrier": ["UA", "B6", "UA"], "sched_dep_time": [1730, 659, 600]})

    assert model.predict_proba(asked)[:, 1].tolist() == [(2 + 0.5) / 4, 0.5 / 2, 0.5]
    assert model.predict(asked).tolist() == [1.0, 0.0, 0.0]


def test_baselines_survive_being_kept(tmp_path: Path, april: pd.DataFrame) -> None:
    """Loaded again they answer the same, bit for bit."""
    rows = april.head(5000)
    models = {name: fitted(model, rows) for name, model in baselines().items()}

    persistence.dump(models, tmp_path / "baselines.skops")
    loaded = persistence.load(tmp_path / "baselines.skops", ("flights", "ratchet.rows"))

    for name, model in models.items():
        assert np.array_equal(scores(loaded[name], april), scores(model, april))


# --- behaviour ---


@pytest.mark.parametrize("case", behaviour(), ids=lambda case: case.name)
def test_an_expectation_is_of_enough_flights(april: pd.DataFrame, july: pd.DataFrame, case: Case) -> None:
    """In spring and in summer; whether a model meets it is asked by the verdict."""
    for rows in (april, july):
        assert case.where is None or case.where(rows).sum() >= 100


def test_changed_rows_are_still_flights(april: pd.DataFrame) -> None:
    """A behavioural case asks about flights that the schema allows."""
    from flights.data.schema import SCHEMA

    for case in behaviour():
        if case.change is not None:
            chosen = april if case.where is None else april[case.where(april)]
            SCHEMA.validate(case.change(chosen))


def test_there_are_two_expectations_of_each_kind() -> None:
    """Names are unique."""
    kinds = [case.kind for case in behaviour()]

    assert all(kinds.count(kind) >= 2 for kind in ("invariance", "direction", "minimum"))
    assert len({case.name for case in behaviour()}) == len(kinds)
