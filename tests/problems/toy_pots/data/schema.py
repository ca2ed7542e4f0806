"""What a pot is."""

import pandera.pandas as pa

KEY = ("day", "pot")
CLUSTER = ("day",)
TARGET = "cracked"
TASK = "binary"
SCHEMA = pa.DataFrameSchema(
    {
        "day": pa.Column("str"),
        "pot": pa.Column("int64", metadata={"input": False}),
        "heat": pa.Column("float64"),
        "glaze": pa.Column("str"),
        "cracked": pa.Column("float64", pa.Check.isin([0, 1]), nullable=True),
    },
    strict=True,
    unique=["day", "pot"],
)
