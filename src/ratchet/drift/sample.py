"""A bounded sample of rows: each row of any number of partitions is in it with the same probability."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd


class Sample:
    """The rows with the smallest of random numbers (bottom-k sampling); all rows while there are few enough.

    Days are the sample of a figure's uncertainty, rows are not, so that beyond some thousands of rows a day the rest
    adds next to nothing.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._rng = size, np.random.default_rng(seed)
        self._parts: list[pd.DataFrame] = []
        self._drawn = np.empty(0)
        self._bound, self.rows = 1.0, 0

    def choose(self, count: int) -> npt.NDArray[np.bool_]:
        """Which of the next `count` rows enter, shape (count,); `add` must follow with these."""
        self.rows += count
        drawn = self._rng.random(count)
        both = np.concatenate([self._drawn, drawn[drawn < self._bound]])
        if len(both) > self._size:
            self._bound = float(np.partition(both, self._size)[self._size])
        chosen = drawn < self._bound
        self._drawn = np.concatenate([self._drawn, drawn[chosen]])
        return np.asarray(chosen)

    def add(self, rows: pd.DataFrame) -> None:
        """Take the rows that were chosen."""
        self._parts.append(rows)
        if len(self._drawn) > 2 * self._size:  # now and then, so that each row is moved a few times only
            self._trim()

    def frame(self) -> pd.DataFrame:
        """The sample, in the order in which its rows came."""
        self._trim()
        return self._parts[0] if self._parts else pd.DataFrame()

    def _trim(self) -> None:
        if self._parts:
            stays = self._drawn < self._bound
            self._parts = [pd.concat(self._parts, ignore_index=True)[stays].reset_index(drop=True)]
            self._drawn = self._drawn[stays]
