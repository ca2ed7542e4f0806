"""Estimators of every kind that a bundle can hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from ratchet.rows import RowFeatures
from toy_coins.model.features import features

KINDS = {
    "hist": lambda seed: HistGradientBoostingClassifier(categorical_features=[1, 3], random_state=seed, max_iter=20),
    "stump": lambda seed: HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=2, random_state=seed),
    "forest": lambda seed: RandomForestClassifier(10, random_state=seed),
    "extra": lambda seed: ExtraTreesClassifier(10, random_state=seed),
    "boosting": lambda seed: make_pipeline(SimpleImputer(), GradientBoostingClassifier(random_state=seed)),
    "logistic": lambda _: make_pipeline(SimpleImputer(), LogisticRegression()),
}


def estimator(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Numbers stand before and between the categories on purpose: their order must survive the export."""
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan, dtype=np.float64
    )
    encode = ColumnTransformer(
        [
            ("force", "passthrough", ["force"]),
            ("metal", encoder, ["metal"]),
            ("spin", "passthrough", ["spin"]),
            ("side", encoder, ["side"]),
        ]
    )
    return Pipeline([("features", RowFeatures(features)), ("encode", encode), ("model", KINDS[params["kind"]](seed))])


def baselines() -> Mapping[str, Any]:
    """The rate of heads."""
    return {"rate": DummyClassifier()}
