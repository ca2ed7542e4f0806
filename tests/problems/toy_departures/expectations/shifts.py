"""What could happen to flights, to measure who would find it, and when: `make backtest` injects these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ratchet.backtest.shifts import Shift

if TYPE_CHECKING:
    import pandas as pd

KILOMETRES = 1.609344
GONE, FLIPPED = "EV", "MQ"
WARMER = 20.0


def shifts() -> Sequence[Shift]:
    """One of each kind: a unit, a category, a meaning, a climate."""
    return (
        Shift("column scaled", "distances come in kilometres instead of miles", _kilometres),
        Shift("category gone", f"the flights of carrier {GONE}, one in six, are no longer there", _without_a_carrier),
        Shift(
            "labels flipped", f"carrier {FLIPPED}, one flight in twelve, is late when it used to be on time", _flipped
        ),
        Shift("slow slope", f"the dew point rises month by month, by {WARMER:g} °F in the end", _warmer, gradual=True),
    )


def _kilometres(rows: pd.DataFrame, strength: float) -> pd.DataFrame:
    factor = 1 + strength * (KILOMETRES - 1)
    return rows.assign(distance=(rows["distance"] * factor).round().astype("int64"))


def _without_a_carrier(rows: pd.DataFrame, strength: float) -> pd.DataFrame:
    # Flight numbers are spread evenly: at half of the strength, half of its flights are gone.
    return rows[(rows["carrier"] != GONE) | (rows["flight"] % 100 >= 100 * strength)]


def _flipped(rows: pd.DataFrame, strength: float) -> pd.DataFrame:
    hit = (rows["carrier"] == FLIPPED) & (rows["flight"] % 100 < 100 * strength)
    return rows.assign(late=rows["late"].where(~hit, 1 - rows["late"]))


def _warmer(rows: pd.DataFrame, strength: float) -> pd.DataFrame:
    return rows.assign(dewp=(rows["dewp"] + WARMER * strength).clip(upper=100))
