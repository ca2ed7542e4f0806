"""The model of late flights, and the baselines that it must beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from toy_departures.model.features import CATEGORIES, NUMBERS, features
from ratchet.errors import RatchetError
from ratchet.rows import RowFeatures


class ModelParams(BaseModel):
    """`params.yaml: model`, by the names of scikit-learn's HistGradientBoostingClassifier."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: Annotated[float, Field(gt=0, le=1)]
    max_iter: Annotated[int, Field(ge=1, le=2000)]
    max_leaf_nodes: Annotated[int, Field(ge=2, le=255)]
    min_samples_leaf: Annotated[int, Field(ge=1)]
    l2_regularization: Annotated[float, Field(ge=0)]
    max_features: Annotated[float, Field(gt=0, le=1)]


def estimator(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Gradient-boosted trees on raw rows, unfitted; the same bits at any number of threads.

    Raises:
        RatchetError: A parameter is unknown, missing or impossible; names it and those there are.
    """
    boosting = HistGradientBoostingClassifier(
        # Stopping early would hold out random rows, of days that the model also trains on.
        early_stopping=False,
        categorical_features=list(range(len(CATEGORIES))),
        random_state=seed,
        **_checked(params).model_dump(),
    )
    # Values not seen in training are as good as missing.
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan)
    encode = ColumnTransformer(
        [("category", codes, list(CATEGORIES)), ("number", "passthrough", list(NUMBERS))],
        verbose_feature_names_out=False,
    )
    return Pipeline([("features", RowFeatures(features)), ("encode", encode), ("model", boosting)])


def baselines() -> dict[str, BaseEstimator]:
    """What one would do without a model, and with a plain one."""
    return {"rate": HistoricalRate(), "logistic": _logistic()}


def search_space() -> dict[str, list[Any]]:
    """Values worth trying, round enough to be read in a diff."""
    return {
        "learning_rate": [0.02, 0.03, 0.05, 0.08, 0.12],
        "max_iter": [80, 120, 160, 240, 360],
        "max_leaf_nodes": [4, 6, 8, 12, 16, 31],
        "min_samples_leaf": [20, 50, 100, 200, 400],
        "l2_regularization": [0.0, 1.0, 10.0, 50.0],
        "max_features": [0.3, 0.5, 0.8, 1.0],
    }


class HistoricalRate(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """The share of late flights so far of the same carrier in the same hour of the day.

    Args:
        weight: Flights' worth of belief in the rate of all flights, which is what an unseen carrier or hour gets.
    """

    def __init__(self, weight: float = 50.0) -> None:
        self.weight = weight

    def fit(self, X: pd.DataFrame, y: npt.ArrayLike) -> HistoricalRate:
        """Count raw rows (n, columns) and their labels (n,), 0 or 1."""
        labels = pd.Series(np.asarray(y, dtype=float), index=X.index)
        counts = labels.groupby(_carrier_and_hour(X)).agg(["sum", "count"])
        rates = (counts["sum"] + self.weight * labels.mean()) / (counts["count"] + self.weight)
        self.classes_ = np.array([0.0, 1.0])
        self.overall_ = float(labels.mean())
        self.rates_ = {str(group): float(rate) for group, rate in rates.items()}
        return self

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Probabilities of both classes, shape (n, 2)."""
        late = _carrier_and_hour(X).map(self.rates_).fillna(self.overall_).to_numpy(dtype="float64")
        return np.column_stack([1 - late, late])

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """The likelier class, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def _carrier_and_hour(rows: pd.DataFrame) -> pd.Series[str]:
    return rows["carrier"].astype(str) + " " + (rows["sched_dep_time"] // 100).astype(str)


def _logistic() -> Pipeline:
    numbers = Pipeline([("impute", SimpleImputer(strategy="median", add_indicator=True)), ("scale", StandardScaler())])
    names = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=50)
    encode = ColumnTransformer(
        [("category", names, list(CATEGORIES)), ("number", numbers, list(NUMBERS))],
        # Sparse always: SciPy's sparse products run on one thread, so the fit is the same bits on any number of them.
        sparse_threshold=1.0,
    )
    model = LogisticRegression(C=0.1, max_iter=500)
    return Pipeline([("features", RowFeatures(features)), ("encode", encode), ("model", model)])


def _checked(params: Mapping[str, Any]) -> ModelParams:
    try:
        return ModelParams.model_validate(dict(params))
    except ValidationError as error:
        wrong = "; ".join(f"model.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        known = ", ".join(ModelParams.model_fields)
        raise RatchetError(f"params.yaml: {wrong}\nthe parameters of the model are {known}") from error
