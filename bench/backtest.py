"""The backtest's engines side by side: one process, two of joblib, two workers of a Dask cluster; the same table?

    python bench/backtest.py                # five minutes on two free cores; needs `uv sync --group distributed`
    python bench/backtest.py --periods 7    # a shorter year

Each engine ingests, fits and scores in a folder of its own, from nothing; then the tables are compared, every figure
but the seconds of the fits. The time of an engine includes starting its processes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ratchet import params
from ratchet.backtest import run
from ratchet.problem import Problem

WAYS = (("joblib", 1), ("joblib", 2), ("dask", 2))


def played(periods: Sequence[str], engine: str, workers: int) -> tuple[float, list[dict[str, Any]]]:
    """Seconds of the grid, and the table that came out, without seconds."""
    given = params.load()
    with tempfile.TemporaryDirectory() as folder:
        means = run.Means(engine, workers, Path(folder))
        began = time.perf_counter()
        run.computed(Problem(given.problem), given, periods, means, lambda _: None)
        seconds = time.perf_counter() - began
        found = run.run(Problem(given.problem), given, periods, 0, means, lambda _: None)
    return seconds, [result | {"seconds": None} for result in found.plain()["results"]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--periods", type=int, default=12, help="months of 2013 (default: all)")
    count = parser.parse_args(arguments).periods
    periods = [f"2013-{month:02}" for month in range(1, count + 1)]
    first, alone = None, 0.0
    print("| engine | processes | seconds | speed-up | table |\n| --- | --- | --- | --- | --- |")
    for engine, workers in WAYS:
        seconds, table = played(periods, engine, workers)
        first, alone = first or table, alone or seconds
        if table != first:
            raise SystemExit(f"error: {workers} processes of {engine} find another table than one of joblib")
        print(f"| {engine} | {workers} | {seconds:.0f} | {alone / seconds:.2f} | the same |", flush=True)


if __name__ == "__main__":
    main()
