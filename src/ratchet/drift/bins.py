"""Bins of a column, made from the reference: a number's quantiles or the most frequent texts, and one for nulls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ratchet.drift import summary
from ratchet.drift.summary import EXACT, Column, Counts, Kind

BINS = 20
"""Bins of numbers, of as equal a number of the reference's rows as its ties allow."""

TEXTS = 50
"""Texts with a bin of their own; the rest, and those the reference has never seen, share one."""

_PART = 2**17  # rows that are counted at once: what a processor's cache holds


@dataclass(frozen=True)
class Bins:
    """How a column is binned.

    Attributes:
        kind: Of the column.
        bits: With which values are compared; see `ratchet.drift.summary.Column`.
        edges: Of numbers: upper ends of all bins but the last, ascending; they belong to the bin.
        texts: The texts that have a bin of their own, most frequent first.
    """

    kind: Kind
    bits: int
    edges: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()

    @classmethod
    def of(cls, column: Column) -> Bins:
        """Bins from the values of the reference."""
        values, rows = column.arrays()
        if column.kind == "text":
            frequent = sorted(zip(-rows, values, strict=True))[:TEXTS]
            return cls("text", column.bits, texts=tuple(str(text) for _, text in frequent))
        if not len(values):
            return cls("number", column.bits)
        below = np.cumsum(rows) / rows.sum()
        at = np.searchsorted(below, np.arange(1, BINS) / BINS - 1e-12)
        return cls("number", column.bits, edges=tuple(np.unique(values[at[at < len(values) - 1]]).tolist()))

    @property
    def count(self) -> int:
        """How many bins there are; the last is that of nulls."""
        return len(self.edges) + len(self.texts) + 2

    def counts(self, column: Column) -> Counts:
        """Rows of each bin, shape (count,). Numbers in a column of texts, and texts in one of numbers, are unknown."""
        values, rows = column.arrays()
        found = np.zeros(self.count, dtype=np.int64)
        np.add.at(found, self._at(values, column.kind, column.bits), rows)
        found[-1] = column.nulls
        return found

    def by_group(self, values: pd.Series[Any], groups: npt.NDArray[np.intp], count: int) -> Counts:
        """Rows of each bin in each of `count` groups, shape (groups, bins); values and their group, shape (n,)."""
        found = np.zeros(count * self.count, dtype=np.int64)
        kind = summary.kind_of(values)
        for start in range(0, len(values), _PART):
            codes, different = pd.factorize(values.iloc[start : start + _PART])
            at = np.append(
                self._at(np.asarray(different), kind, EXACT), self.count - 1
            )  # code -1, null, takes the last
            bins = groups[start : start + _PART] * self.count + at[codes]
            found += np.bincount(bins, minlength=len(found))
        return found.reshape(count, self.count)

    def label(self, at: int) -> str:
        """A bin in words."""
        if at == self.count - 1:
            return "missing"
        if self.kind == "text":
            return self.texts[at] if at < len(self.texts) else "other values"
        if not self.edges:
            return "any value"
        if at == 0:
            return f"up to {self.edges[0]:g}"
        if at == len(self.edges):
            return f"above {self.edges[-1]:g}"
        return f"{self.edges[at - 1]:g} to {self.edges[at]:g}"

    def _at(self, values: npt.NDArray[Any], kind: Kind, bits: int) -> npt.NDArray[np.intp]:
        """The bin of each different value, shape (k,), of a column of that kind with so many bits left."""
        if self.kind == "text":
            known = {text: at for at, text in enumerate(self.texts)}
            # A column that was hashed already, where the reference was not, has no name that is known.
            same = summary.coarsened(values, "text", self.bits if bits == EXACT else EXACT)
            return np.array([known.get(text, len(self.texts)) for text in same], dtype=np.intp)
        if kind == "text":
            return np.full(len(values), len(self.edges), dtype=np.intp)
        return np.searchsorted(self.edges, summary.coarsened(values, "number", self.bits), side="left")
