"""Made-up throws of the months of 2013: the same rows whenever they are asked for."""

from calendar import monthrange

import numpy as np
import pandas as pd

from ratchet.errors import RatchetError

THROWS = 20
"""A day."""


def fetch(period: str) -> pd.DataFrame:
    """Throws of one month, `2013-01` to `2013-12`; gold and force make heads."""
    if period not in {f"2013-{month:02}" for month in range(1, 13)}:
        raise RatchetError(f"there are no throws of {period!r}; the months are 2013-01 to 2013-12")
    month = int(period[-2:])
    days = monthrange(2013, month)[1]
    n = days * THROWS
    random = np.random.default_rng(month)
    force = random.uniform(0, 10, n).round(2)
    metal = random.choice(["gold", "iron", "tin"], n)
    head = force + 3 * (metal == "gold") + random.normal(0, 2, n) > 6
    return pd.DataFrame(
        {
            "throw": np.arange(n) + month * 1000,
            "day": np.repeat([f"{period}-{day:02}" for day in range(1, days + 1)], THROWS),
            "metal": pd.Series(metal, dtype="str").where(random.random(n) > 0.05),
            "side": pd.Series(random.choice(["up", "down"], n), dtype="str"),
            "force": np.where(random.random(n) > 0.05, force, np.nan),
            "turns": pd.array(random.integers(0, 10, n), dtype="Int64"),
            "head": np.where(random.random(n) > 0.02, head, np.nan),
        }
    )
