"""Made-up trains of the months of 2021: the same rows whenever they are asked for."""

from __future__ import annotations

from calendar import monthrange

import numpy as np
import pandas as pd

from ratchet.errors import AbsentError

TRAINS = 12
"""A day."""

LINES = ("north", "south", "west")


def fetch(period: str) -> pd.DataFrame:
    """Trains of one month, `2021-01` to `2021-12`; one has a distance that cannot be, and some were cancelled."""
    if period not in {f"2021-{month:02}" for month in range(1, 13)}:
        raise AbsentError(f"there are no trains of {period!r}; the months are 2021-01 to 2021-12")
    month = int(period[-2:])
    days = monthrange(2021, month)[1]
    random = np.random.default_rng(month)
    n = days * TRAINS
    line, distance, wind = random.integers(0, 3, n), random.uniform(5, 120, n), random.gamma(2, 5, n)
    bad_day = np.repeat(random.normal(0, 1, days), TRAINS)
    delay = 0.05 * distance + 0.3 * wind + 2 * line + bad_day + random.normal(0, 2, n)
    rows = pd.DataFrame(
        {
            "day": np.repeat([f"{period}-{day:02}" for day in range(1, days + 1)], TRAINS),
            "train": np.tile(np.arange(1, TRAINS + 1), days),
            "line": np.asarray(LINES)[line],
            "distance": distance.round(1),
            "wind": np.where(random.random(n) < 0.05, np.nan, wind.round(1)),
            "delay": np.where(random.random(n) < 0.02, np.nan, delay.round(1)),
        }
    )
    rows.loc[month, "distance"] = -1.0
    return rows
