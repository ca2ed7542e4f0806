"""How far a period may be from the reference: as far as its own days would put it, with a stated error rate.

A fixed threshold knows nothing of the data: what is quiet for one column is a storm for another. So periods are
imagined in which nothing has changed, and the distances they come to are the yardstick. Of three the longest counts:

- *resampled*: blocks of neighbouring days drawn from the reference make a period and another reference (circular block
  bootstrap: Künsch 1989, Ann. Statist. 17; Politis and Romano 1992). Every column is measured on the same days, and the
  largest standardised distance over the columns gives one threshold for the family (the max-T of Westfall and Young
  1993, Resampling-Based Multiple Testing): any of them fires in about the stated share of such periods. Few blocks
  know little, so the thresholds are widened for it (see `_few`); `docs/drift.md` has the measured rates.
- *seen*: what windows of the reference as long as the period came to against the rest of it. Days change slowly, with
  the season, and that blocks cannot tell.
- *least*: with many rows a difference is certain long before it is of any consequence.

The rate holds for a world that stays as the reference's days were. Three months of winter do not know the summer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ratchet.drift.distance import jensen_shannon
from ratchet.drift.options import DriftOptions
from ratchet.drift.reference import Reference
from ratchet.drift.summary import Counts, Floats
from ratchet.errors import RatchetError

FEWEST = 6
"""Clusters of a reference: three blocks of two."""

_BATCH = 200  # resamples that are weighed at once


@lru_cache(maxsize=32)
def thresholds(reference: Reference, clusters: int, options: DriftOptions) -> Mapping[str, float]:
    """The threshold of everything tracked, by name, for a period of so many clusters (days)."""
    daily = {name: found.daily for name, found in reference.tracked.items()}
    compared = {name: found.compared for name, found in reference.tracked.items()}
    return {
        name: min(1.0, max(options.least, bound, seen(daily[name][-compared[name] :], clusters, options.block)))
        for name, bound in resampled(daily, clusters, options, compared).items()
    }


def resampled(
    daily: Mapping[str, Counts], clusters: int, options: DriftOptions, compared: Mapping[str, int] | None = None
) -> dict[str, float]:
    """Thresholds that any of the columns passes in a share `false_alarms` of periods of unchanged days.

    Args:
        daily: Name to rows by bin, shape (days, bins), days in order of time, the same for all.
        clusters: Days of the period.
        options: Rate, block, resamples and seed.
        compared: Name to how many days a period is held against; all of them where nothing is said.

    Raises:
        RatchetError: The days are too few to tell how days vary.
    """
    days = len(next(iter(daily.values())))
    if days < FEWEST:
        raise RatchetError(
            f"the reference has {days} clusters (days); how they vary can be told from {FEWEST} on\nadd periods to it"
        )
    lengths = {name: (compared or {}).get(name, days) for name in daily}
    rng = np.random.default_rng(options.seed)
    found: dict[str, list[Floats]] = {name: [] for name in daily}
    for start in range(0, options.resamples, _BATCH):
        count = min(_BATCH, options.resamples - start)
        periods = drawn(rng, count, clusters, days, options.block)
        references = {n: drawn(rng, count, n, days, options.block) for n in sorted({*lengths.values()}, reverse=True)}
        for name, rows in daily.items():
            found[name].append(jensen_shannon(periods @ rows, references[lengths[name]] @ rows))
    distances = np.stack([np.concatenate(parts) for parts in found.values()])
    mean, spread = distances.mean(axis=1), distances.std(axis=1)
    largest = np.max((distances - mean[:, None]) / np.where(spread > 0, spread, 1.0)[:, None], axis=0)
    reach = float(np.quantile(largest, 1 - options.false_alarms, method="higher"))
    shrunk, heavier = _few(days / _length(options.block, days), options.false_alarms / len(daily))
    return dict(zip(daily, ((mean + heavier * reach * spread) / shrunk).tolist(), strict=True))


def _few(blocks: float, level: float) -> tuple[float, float]:
    """What resamples of few blocks get wrong: how much too near their distances are, and how much too light the tail.

    Blocks vary about their own mean and not about the true one, so their variance is too small by 1 - 1/blocks; and it
    is known from so many blocks only: Student's t on blocks - 1 degrees of freedom takes the place of the normal tail.
    """
    from scipy.special import ndtri, stdtrit

    return float(np.sqrt(1 - 1 / blocks)), float(stdtrit(blocks - 1, 1 - level) / ndtri(1 - level))


def seen(daily: Counts, clusters: int, block: int) -> float:
    """The largest distance of a window of the reference from the rest of it; 0 when the rest would be shorter."""
    days = len(daily)
    whole = daily.sum(axis=0)
    if 2 * clusters > days:
        return 0.0
    sums = [daily[window].sum(axis=0) for window in windows(days, clusters, block)]
    return max(float(jensen_shannon(rows, whole - rows)) for rows in sums)


def windows(days: int, clusters: int, step: int) -> Iterator[slice]:
    """Windows of neighbouring days, one every `step` days, and the last one."""
    starts = {*range(0, days - clusters + 1, step), days - clusters}
    return (slice(start, start + clusters) for start in sorted(starts))


def drawn(rng: np.random.Generator, count: int, clusters: int, days: int, block: int) -> npt.NDArray[np.int64]:
    """How often each day stands in each of `count` resamples of so many clusters, shape (count, days)."""
    length = _length(block, days)
    starts = rng.integers(0, days, (count, -(-clusters // length)))
    chosen = (starts[..., None] + np.arange(length)) % days
    flat = chosen.reshape(count, -1)[:, :clusters] + days * np.arange(count)[:, None]
    return np.bincount(flat.ravel(), minlength=count * days).reshape(count, days).astype(np.int64)


def _length(block: int, days: int) -> int:
    """A block, or less, so that there are three of them: of fewer nothing can be learnt."""
    return max(1, min(block, days // 3))
