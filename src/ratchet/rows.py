"""Features of a row, written once: the same function takes one row (scalars) and many rows (NumPy columns).

A problem writes `features(row) -> dict` with arithmetic only. In training it runs on whole columns inside the
scikit-learn pipeline (`RowFeatures`); in the service it runs on one row of plain Python values, with neither pandas nor
scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

FeatureFunction = Callable[[Mapping[str, Any]], dict[str, Any]]


class RowFeatures(BaseEstimator, TransformerMixin):  # type: ignore[misc]  # scikit-learn is untyped
    """First step of a pipeline: raw rows to features by a function that works on a row and on columns alike."""

    def __init__(self, function: FeatureFunction) -> None:
        self.function = function

    def fit(self, X: pd.DataFrame, y: Any = None) -> RowFeatures:  # noqa: ARG002  # scikit-learn's signature
        """Learn nothing but the names, so that scikit-learn sees a fitted step."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Raw rows, shape (n, columns), to features (n, features); missing numbers are NaN, missing text None."""
        return pd.DataFrame(self.function(columns(X)), index=X.index)


def columns(frame: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    """Columns of a frame as NumPy arrays: float64 with NaN for numbers, objects with None for everything else."""
    return {str(name): _array(frame[name]) for name in frame.columns}


def _array(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    if pd.api.types.is_numeric_dtype(column):
        return np.asarray(column.to_numpy(dtype="float64", na_value=np.nan))
    values = column.to_numpy(dtype=object, copy=True)
    values[column.isna().to_numpy()] = None
    return values
