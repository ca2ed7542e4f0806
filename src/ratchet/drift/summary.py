"""A summary of a table: for each column how many rows hold which value, built and merged partition by partition.

Values are counted exactly, up to `LIMIT` different ones in a column. Beyond that numbers lose bits of their mantissa
and texts are counted by hash, as few and as late as will do, so that memory is flat in the rows. What is lost depends
only on the values that were seen: any partition of the rows, in any order, makes the same summary, which sketches that
draw lots (KLL) or depend on the order (t-digest) do not. Collapsing numbers evenly bounds their relative error, as in
UDDSketch (Epicoco et al. 2020, UDDSketch: Accurate Tracking of Quantiles in Data Streams, IEEE Access 8).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Value = float | str
Kind = Literal["number", "text"]

LIMIT = 4096
"""Most different values of a column that are told apart."""

EXACT = 52
"""Bits of a number's mantissa."""

_HASHED = 12  # bits of the hash that stands for a text when there are too many


@dataclass(frozen=True)
class Column:
    """The values of one column.

    Attributes:
        kind: Numbers are ordered, texts are not.
        rows: All rows, with the nulls.
        nulls: Rows without a value; NaN is none.
        bits: Of a number's mantissa (or a text's hash) that are left; `EXACT` when nothing was lost.
        counts: Value to its rows.
    """

    kind: Kind
    rows: int
    nulls: int
    bits: int
    counts: Mapping[Value, int]

    @property
    def null_share(self) -> float:
        """Share of rows without a value; NaN without rows."""
        return self.nulls / self.rows if self.rows else float("nan")

    def arrays(self) -> tuple[npt.NDArray[Any], Counts]:
        """Different values in ascending order, shape (k,), and their rows, shape (k,)."""
        dtype: Any = np.float64 if self.kind == "number" else object
        ordered = sorted(self.counts)
        return np.array(ordered, dtype), np.array([self.counts[value] for value in ordered], np.int64)


Summary = Mapping[str, Column]


def of(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, Column]:
    """The summary of one partition: those of the columns that it has."""
    return {name: of_values(frame[name]) for name in columns if name in frame}


def of_values(values: pd.Series[Any]) -> Column:
    """One column of one partition."""
    found = values.value_counts(sort=False)  # leaves out nulls
    found = found[found > 0]  # a categorical column lists what it does not hold
    kind = kind_of(values)
    counts: Mapping[Value, int]
    bits = EXACT
    if kind == "number":
        numbers = np.asarray(found.index.to_numpy(np.float64) + 0.0, np.float64)  # turns -0.0 into 0.0
        bits, counts = _collapsed(numbers, np.asarray(found.to_numpy(np.int64), np.int64), EXACT)
    else:
        texts: Counter[str] = Counter()
        for value, rows in found.items():
            texts[str(value)] += int(rows)
        bits, counts = _hashed(texts, EXACT)
    return Column(kind, len(values), len(values) - int(found.sum()), bits, counts)


def kind_of(values: pd.Series[Any]) -> Kind:
    """Numbers (and booleans) are ordered; everything else is text."""
    return "number" if pd.api.types.is_numeric_dtype(values.dtype) else "text"


def merged(first: Summary, second: Summary) -> dict[str, Column]:
    """The summary of two partitions together."""
    both = dict(first)
    for name, found in second.items():
        both[name] = _merged(first[name], found) if name in first else found
    return both


def coarsened(values: Sequence[Value] | npt.NDArray[Any], kind: Kind, bits: int) -> npt.NDArray[Any]:
    """Values as a column of so many bits holds them, shape (k,)."""
    if kind == "number":
        return _cut(np.asarray(values, np.float64) + 0.0, bits)
    texts = [str(value) for value in values]
    return np.array(texts if bits == EXACT else [_hash(text) for text in texts], dtype=object)


def _merged(first: Column, second: Column) -> Column:
    kinds = {part.kind for part in (first, second) if part.counts} or {first.kind}
    kind: Kind = "text" if "text" in kinds else "number"
    first, second = (_as(part, kind) for part in (first, second))
    bits = min(first.bits, second.bits)
    sides = [coarse(part, bits) for part in (first, second)]
    small, large = sorted(sides, key=len)
    counts = Counter(large)
    counts.update(small)
    if kind == "text":
        bits, found = _hashed(counts, bits)
    elif len(counts) > LIMIT:
        bits, found = _collapsed(np.array(list(counts), np.float64), np.array(list(counts.values()), np.int64), bits)
    else:
        found = dict(counts)
    return Column(kind, first.rows + second.rows, first.nulls + second.nulls, bits, found)


def _as(part: Column, kind: Kind) -> Column:
    """Numbers among texts are texts: a column that holds both has no order."""
    if part.kind == kind:
        return part
    bits, counts = _hashed({str(value): count for value, count in part.counts.items()}, EXACT)
    return Column(kind, part.rows, part.nulls, bits, counts)


def coarse(part: Column, bits: int) -> dict[Value, int]:
    """Values and their rows, with as few bits as that."""
    if part.bits == bits:
        return dict(part.counts)
    counts: Counter[Value] = Counter()
    for value, rows in zip(coarsened(list(part.counts), part.kind, bits).tolist(), part.counts.values(), strict=True):
        counts[value] += rows
    return dict(counts)


def _collapsed(numbers: Floats, rows: Counts, bits: int) -> tuple[int, dict[Value, int]]:
    """The most bits, at most `bits`, with which few enough numbers differ; and their rows."""
    order = np.argsort(numbers, kind="stable")
    ordered, rows = numbers[order], rows[order]
    low, high = 0, bits
    while low < high:  # bisection: fewer bits, fewer values
        middle = (low + high + 1) // 2
        few = _different(_cut(ordered, middle)) <= LIMIT
        low, high = (middle, high) if few else (low, middle - 1)
    cut = _cut(ordered, low)  # towards zero, so the order stays
    starts = np.flatnonzero(np.diff(cut, prepend=np.nan) != 0)
    totals = np.add.reduceat(rows, starts) if len(cut) else rows
    return low, dict(zip(cut[starts].tolist(), totals.tolist(), strict=True))


def _different(ordered: Floats) -> int:
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + 1


def _cut(numbers: Floats, bits: int) -> Floats:
    mask = np.int64(-1) << np.int64(EXACT - bits)
    return (np.ascontiguousarray(numbers).view(np.int64) & mask).view(np.float64) + 0.0


def _hashed(counts: Mapping[Any, int], bits: int) -> tuple[int, dict[Value, int]]:
    if len(counts) <= LIMIT or bits < EXACT:
        return bits, dict(counts)
    hashed: Counter[Value] = Counter()
    for text, rows in counts.items():
        hashed[_hash(str(text))] += rows
    return _HASHED, dict(hashed)


def _hash(text: str) -> str:
    return f"#{crc32(text.encode('utf-8', 'surrogatepass')) % 2**_HASHED:03x}"
