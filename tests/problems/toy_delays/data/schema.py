"""What a train is."""

from __future__ import annotations

import pandera.pandas as pa

TARGET = "delay"
TASK = "regression"
KEY = ("day", "train")
CLUSTER = ("day",)

SCHEMA = pa.DataFrameSchema(
    {
        "day": pa.Column(
            str, pa.Check.str_matches(r"^\d{4}-\d\d-\d\d$"), description="Day", metadata={"example": "2021-03-09"}
        ),
        "train": pa.Column(int, pa.Check.ge(1), description="Number of the train", metadata={"example": 7}),
        "line": pa.Column(str, description="Line", metadata={"example": "north"}),
        "distance": pa.Column(float, pa.Check.gt(0), description="Distance, km", metadata={"example": 42.5}),
        "wind": pa.Column(
            float, pa.Check.ge(0), nullable=True, description="Wind speed, km/h", metadata={"example": 12.0}
        ),
        "delay": pa.Column(float, nullable=True, description="Delay, minutes", metadata={"example": 3.5}),
    },
    unique=list(KEY),
    strict=True,
)
