"""Segments of flights that the model must serve well, each on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd


def _hour(rows: pd.DataFrame) -> pd.Series[Any]:
    bands = pd.cut(
        rows["sched_dep_time"], [0, 900, 1300, 1700, 2400], right=False, labels=["00-09", "09-13", "13-17", "17-24"]
    )
    return bands.astype(str)


def _weather(rows: pd.DataFrame) -> pd.Series[Any]:
    missing = rows["visib"].isna()
    foul = rows["precip"].gt(0) | rows["visib"].lt(5) | rows["wind_speed"].gt(20)
    return pd.Series(np.select([missing, foul], ["missing", "foul"], "fair"), index=rows.index)


SLICES: dict[str, Callable[[pd.DataFrame], pd.Series[Any]]] = {
    "carrier": lambda rows: rows["carrier"],
    "origin": lambda rows: rows["origin"],
    "hour": _hour,
    "weather": _weather,
}
