"""A verdict with every rule and picture, against one fit of the default model, in turns, in one process.

    python bench/verdict.py          # needs the outputs of `dvc repro`

The bound: at most twice the time of the fit, on a month of flights.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from ratchet import data, files, outputs, params, training
from ratchet.errors import told_to_the_user
from ratchet.problem import Problem

TURNS = 5


def main() -> None:
    """Judge the model against itself, all rows and rules, as often as it is fitted."""
    given = params.load()
    problem = Problem(given.problem)
    rows = data.load(files.read_json(data.DATASET), "train")
    found = outputs.find(Path())
    judged_on = outputs.holdout(found, None)

    def fit() -> None:
        training.fit(problem.estimator(given.model, given.train.seed), rows, problem)

    def judge() -> None:
        with TemporaryDirectory() as folder:
            outputs.compare(found, found, judged_on, given.gate, look=1).write(Path(folder, "report"))

    judge()  # the first one imports
    pairs = [(seconds(judge), seconds(fit)) for _ in range(TURNS)]
    print(f"verdict and report  {statistics.median(v for v, _ in pairs):6.2f} s on {len(judged_on.frame)} rows")
    print(f"one fit             {statistics.median(f for _, f in pairs):6.2f} s on {len(rows)} rows")
    print(f"ratio               {statistics.median(v / f for v, f in pairs):6.2f}")


def seconds(work: Callable[[], None]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    with told_to_the_user():
        main()
