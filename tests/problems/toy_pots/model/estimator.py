"""A logistic regression on the heat."""

from collections.abc import Mapping
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline


def estimator(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Unfitted, on raw rows; its one parameter is `C`."""
    encode = ColumnTransformer([("heat", "passthrough", ["heat"])])
    return Pipeline([("encode", encode), ("model", LogisticRegression(C=params["C"], random_state=seed))])
