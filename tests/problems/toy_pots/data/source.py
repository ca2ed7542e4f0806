"""Made-up pots of the months of 2013: the same rows whenever they are asked for."""

from calendar import monthrange

import numpy as np
import pandas as pd

POTS = 12
"""A day."""

NEW_CLAY = 7
"""The month from which on cold kilns crack pots, and no longer hot ones."""


def fetch(period: str) -> pd.DataFrame:
    """Pots of one month, `2013-01` to `2013-12`; one has no label."""
    month = int(period[-2:])
    days = monthrange(2013, month)[1]
    n = days * POTS
    random = np.random.default_rng(month)
    heat = random.normal(size=n).round(3)
    sign = -1 if month >= NEW_CLAY else 1
    cracked = (sign * heat + random.normal(size=n) > 0).astype("float64")
    cracked[0] = np.nan
    return pd.DataFrame(
        {
            "day": np.repeat([f"{period}-{day:02}" for day in range(1, days + 1)], POTS),
            "pot": np.tile(np.arange(POTS), days),
            "heat": heat,
            "glaze": pd.Series(random.choice(["blue", "green"], n), dtype="str"),
            "cracked": cracked,
        }
    )
