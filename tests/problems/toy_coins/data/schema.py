"""What a throw is."""

import pandera.pandas as pa

KEY = ("throw",)
CLUSTER = ("day",)
TARGET = "head"
TASK = "binary"
SCHEMA = pa.DataFrameSchema(
    {
        "throw": pa.Column("int64", pa.Check.ge(0)),
        "day": pa.Column("str"),
        "metal": pa.Column("str", nullable=True, metadata={"example": "gold"}),
        "side": pa.Column("str", pa.Check.isin(["up", "down"])),
        "force": pa.Column("float64", pa.Check.in_range(0, 10), nullable=True, description="newton"),
        "turns": pa.Column("Int64", [pa.Check.ge(0), pa.Check.le(9)], nullable=True),
        "head": pa.Column("float64", pa.Check.isin([0, 1]), nullable=True),
    },
    strict=True,
    unique=["throw"],
)
