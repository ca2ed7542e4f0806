"""One row: the bundle against the scikit-learn pipeline it was made from, in turns, in one process.

    python bench/scoring.py          # needs the outputs of `dvc repro`

Prints the median time of one row for both, their ratio, where the bundle's time goes, and the largest difference of the
answers. The bound: at least 50 times faster, answers equal within 1e-12.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ratchet import bundle, data, files, persistence
from ratchet.errors import told_to_the_user

ROWS = 300
REPEATS = 20


def main() -> None:
    """Measure on the first rows of the holdout."""
    opened = bundle.load(Path("bundle"))
    manifest = opened.manifest
    pipeline = persistence.load(Path("model/pipeline.skops"), (manifest["problem"], "ratchet.rows"))
    holdout = data.load(files.read_json(data.DATASET), "test").head(ROWS)
    frames = [holdout.iloc[[i]].drop(columns=manifest["target"]) for i in range(ROWS)]
    rows = bundle.plain_rows(holdout[list(opened.schema["properties"])])

    def by_pipeline(i: int) -> float:
        return float(pipeline.predict_proba(frames[i])[0, 1])

    def by_bundle(i: int) -> float:
        return opened.score_row(rows[i])

    difference = max(abs(by_pipeline(i) - by_bundle(i)) for i in range(ROWS))
    slow, fast = [], []
    for i in range(ROWS):  # in turns: whatever else the machine does hits both
        slow.append(seconds(by_pipeline, i, 1))
        fast.append(seconds(by_bundle, i, REPEATS))
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    print(f"scikit-learn pipeline  {statistics.median(slow) * 1e6:8.1f} µs a row")
    print(f"bundle                 {statistics.median(fast) * 1e6:8.1f} µs a row")
    print(f"ratio                  {statistics.median(ratios):8.1f} (quartiles {quartiles(ratios)})")
    print(f"largest difference     {difference:8.1e}")


def seconds(work: Callable[[int], float], i: int, repeats: int) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    for _ in range(repeats):
        work(i)
    return (time.perf_counter() - began) / repeats


def quartiles(values: list[float]) -> str:
    """First and third."""
    low, high = np.percentile(values, [25, 75])
    return f"{low:.0f} to {high:.0f}"


if __name__ == "__main__":
    with told_to_the_user():
        main()
