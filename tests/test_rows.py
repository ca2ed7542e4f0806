"""Features of a row: the same function takes one row of plain values and the columns of many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from ratchet.rows import RowFeatures, columns
from toy_coins.model.features import features

NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False))
ROW = st.fixed_dictionaries(
    {
        "metal": st.sampled_from(["gold", "iron", "", None]),
        "side": st.sampled_from(["up", "down"]),
        "force": NUMBERS,
        "turns": st.one_of(st.none(), st.integers(0, 9)),
    }
)


class TestColumns:
    """Frames to NumPy arrays."""

    @pytest.mark.parametrize(
        "values",
        [
            pd.Series([1, 2, None], dtype="Int64"),
            pd.Series([1, 2, None], dtype="Float64"),
            pd.Series([1, 2, None], dtype="Int8"),
            pd.Series([1, 2, None], dtype="float32"),
            pd.Series([1, 2, None], dtype="int64[pyarrow]"),
        ],
    )
    def test_numbers_of_any_type_become_floats_with_nan(self, values: pd.Series) -> None:
        """Whatever pandas calls the type and its gap."""
        found = columns(pd.DataFrame({"x": values}))["x"]

        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, [1.0, 2.0, np.nan])

    def test_whole_numbers_and_truths_become_floats(self) -> None:
        """They have no gaps, and are numbers all the same."""
        found = columns(pd.DataFrame({"count": [1, 2], "is_new": [True, False]}))

        assert found["count"].tolist() == [1.0, 2.0]
        assert found["is_new"].tolist() == [1.0, 0.0]
        assert {values.dtype for values in found.values()} == {np.dtype("float64")}

    @pytest.mark.parametrize("dtype", ["str", "object", "string[python]", "string[pyarrow]", "category"])
    def test_text_of_any_type_becomes_objects_with_none(self, dtype: str) -> None:
        """One kind of gap, so that a look-up finds it."""
        found = columns(pd.DataFrame({"x": pd.Series(["a", None, "b"], dtype=dtype)}))["x"]

        assert found.dtype == object
        assert found.tolist() == ["a", None, "b"]

    def test_gaps_of_every_kind_become_none(self) -> None:
        """None, NaN, NA and NaT in a column of mixed things."""
        values = pd.Series(["a", None, np.nan, pd.NA, pd.NaT], dtype=object)

        assert columns(pd.DataFrame({"x": values}))["x"].tolist() == ["a", None, None, None, None]

    def test_the_frame_stays_as_it_was(self) -> None:
        """The arrays of text are copies."""
        frame = pd.DataFrame({"x": pd.Series(["a", np.nan], dtype=object)})

        columns(frame)["x"][0] = "changed"

        assert frame["x"].tolist()[0] == "a"
        assert math.isnan(frame["x"].tolist()[1])

    def test_names_are_text_and_keep_their_order(self) -> None:
        """As a row of JSON has them."""
        assert list(columns(pd.DataFrame([[1, 2]], columns=[1, "a"]))) == ["1", "a"]


class TestRowFeatures:
    """The first step of a pipeline."""

    def test_features_keep_the_index_of_the_rows(self) -> None:
        """So that labels that were selected with the rows still fit."""
        rows = pd.DataFrame({"metal": "tin", "side": "up", "force": [1.0, 2.0], "turns": [3, 4]}, index=[7, 3])

        found = RowFeatures(features).fit_transform(rows)

        assert found.index.tolist() == [7, 3]
        assert found["spin"].tolist() == [3.0, 8.0]

    def test_it_takes_part_in_a_pipeline(self) -> None:
        """It is cloned, fitted, and knows the columns that it was fitted on."""
        rows = pd.DataFrame(
            {"metal": ["gold", "tin"] * 10, "side": "up", "force": np.linspace(0, 1, 20), "turns": 1, "other": "x"}
        )
        encode = ColumnTransformer([("metal", OneHotEncoder(), ["metal"]), ("spin", "passthrough", ["spin"])])
        pipeline = Pipeline([("features", RowFeatures(features)), ("encode", encode), ("model", LogisticRegression())])

        fitted = clone(pipeline).fit(rows, rows["metal"].eq("gold"))

        assert fitted.predict(rows).tolist() == [True, False] * 10
        assert fitted.feature_names_in_.tolist() == ["metal", "side", "force", "turns", "other"]

    @given(st.lists(ROW, min_size=1, max_size=8))
    def test_one_row_equals_many_rows(self, rows: list[dict[str, Any]]) -> None:
        """Each row by itself, in plain values as the service has them, gives what its line of the columns gives."""
        frame = pd.DataFrame(rows).astype({"metal": "str", "side": "str", "force": "float64", "turns": "Int64"})

        many = RowFeatures(features).fit(frame).transform(frame)

        for number, row in enumerate(rows):
            one = features(plain(row))
            assert list(one) == list(many.columns)
            assert all(same(value, many[name].iloc[number]) for name, value in one.items())


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as `Bundle.score_row` hands it on: missing numbers are NaN, missing text None."""
    return {name: math.nan if value is None and name in {"force", "turns"} else value for name, value in row.items()}


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit, or both missing."""
    return bool(one == other or (pd.isna(one) and pd.isna(other)))
