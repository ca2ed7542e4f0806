"""A ridge regression, which is no ensemble of trees, and the mean as its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from ratchet.errors import RatchetError
from ratchet.rows import RowFeatures

from .features import CATEGORIES, NUMBERS, features


def estimator(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Unfitted, on raw rows; its one parameter is `alpha`."""
    if set(params) != {"alpha"}:
        raise RatchetError(f"params.yaml: model: {', '.join(map(str, params))}: the parameters of the model are alpha")
    encode = ColumnTransformer(
        [
            ("category", OneHotEncoder(handle_unknown="ignore"), list(CATEGORIES)),
            ("number", SimpleImputer(strategy="median"), list(NUMBERS)),
        ],
        sparse_threshold=0,
    )
    model = Ridge(alpha=params["alpha"], solver="svd", random_state=seed)
    return Pipeline([("features", RowFeatures(features)), ("encode", encode), ("model", model)])


def baselines() -> dict[str, Any]:
    """The mean of all delays."""
    return {"mean": DummyRegressor()}


def search_space() -> dict[str, list[Any]]:
    """Few values, so that a search over them is quick."""
    return {"alpha": [0.1, 1.0, 10.0, 100.0]}
