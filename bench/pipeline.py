"""What the pipeline costs: a period more, rows more, DVC around it, and having nothing to do.

    python bench/pipeline.py            # about four minutes on two idle cores
    python bench/pipeline.py --quick    # the tiny problem of the tests instead of the flights: does the benchmark work?

Works in copies of the repository in a temporary folder, on one thread, and prints Markdown. "Work" is seconds of
processors, which other programs on the machine hardly change; "seconds" are those of the clock. Bounds: the n-th period
costs what the first did, training is linear in rows, and a `dvc repro` with nothing to do costs at most three times
`dvc version`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import project
from project import Project

BOUND = 3.0
ROUNDS = 2
# With more, threads that wait spin, and on a busy machine that is most of what would be measured.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        make: Makes a copy with the problem.
        periods: Months to ingest; the last of those used is the holdout.
        trained_on: How many months to train on.
        whole: How many months the pipeline as a whole is run on.
        repeats: How often what takes seconds is repeated.
    """

    make: Callable[[Path], Project]
    periods: Sequence[str]
    trained_on: Sequence[int]
    whole: int
    repeats: int


FULL = Size(project.flights, [f"2013-{month:02}" for month in range(1, 10)], (1, 2, 4, 8), 4, 7)
QUICK = Size(project.delays, [f"2021-{month:02}" for month in range(1, 6)], (1, 2, 4), 3, 3)


@dataclass(frozen=True)
class Cost:
    """Of one process with its children.

    Attributes:
        seconds: On the clock.
        work: Seconds of processors, user and system: nearly the same on a busy machine as on an idle one.
        memory: The largest resident memory of one of the processes, bytes.
    """

    seconds: float
    work: float
    memory: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="use the tiny problem of the tests")
    size = QUICK if parser.parse_args().quick else FULL
    with tempfile.TemporaryDirectory(prefix="bench-pipeline-") as scratch:
        growth(size.make(Path(scratch, "growth")), size)
        overhead(Path(scratch), size)
        nothing_to_do(Project(Path(scratch, "dvc-0")), size.repeats)


def growth(made: Project, size: Size) -> None:
    """Ingest month after month, then train on ever fewer of them (`assemble` forgets what is not listed)."""
    ingested = [script(made, "ingest", period) for period in size.periods]
    work = [cost.work for cost in ingested]
    slope = float(np.polyfit(range(len(work)), work, 1)[0])
    table(
        "The n-th period: `pipelines/ingest.py`",
        ("period", "seconds", "work", "peak memory"),
        [(p, f"{c.seconds:.2f}", f"{c.work:.2f}", megabytes(c)) for p, c in zip(size.periods, ingested, strict=True)],
    )
    print(f"Slope of the work: {slope:+.3f} s a period, {slope / statistics.mean(work):+.1%} of the mean.")

    lines, rows, costs = [], [], []
    for months in sorted(size.trained_on, reverse=True):
        made.edit(data__periods=list(size.periods[: months + 1]))
        script(made, "assemble")
        cost = script(made, "train")
        trained = sum(batch["labelled"] for batch in made.read("data/dataset.json")["train"].values())
        rows.append(trained)
        costs.append(cost.work)
        times = (cost.seconds, cost.work, cost.work / trained * 1e5)
        lines.append((str(months), f"{trained:,}", *(f"{took:.1f}" for took in times), megabytes(cost)))
    table(
        "Rows: `pipelines/train.py`, with its folds and baselines",
        ("months", "rows", "seconds", "work", "work per 100,000 rows", "peak memory"),
        reversed(lines),
    )
    slope, start = np.polyfit(rows, costs, 1)
    fit = np.corrcoef(rows, costs)[0, 1] ** 2
    print(f"A straight line explains {fit:.1%}: {slope * 1e5:.1f} s per 100,000 rows, and {start:.1f} s to begin with.")


def overhead(scratch: Path, size: Size) -> None:
    """`dvc repro` from scratch against the same scripts one by one, in turns; of each the run least disturbed."""
    periods = list(size.periods[: size.whole])
    whole: list[Cost] = []
    bare: list[dict[str, Cost]] = []
    for turn in range(ROUNDS):
        copies = [size.make(scratch / f"{name}-{turn}") for name in ("dvc", "bare")]
        for made in copies:
            made.edit(data__periods=periods)
        whole.append(measured(copies[0], "dvc", "repro"))
        bare.append(stages(copies[1], periods))
    costs = {stage: min((turn[stage] for turn in bare), key=lambda cost: cost.seconds) for stage in bare[0]}
    table(
        f"The stages without DVC, {len(periods)} periods",
        ("stage", "seconds", "work", "peak memory"),
        [(stage, f"{cost.seconds:.1f}", f"{cost.work:.1f}", megabytes(cost)) for stage, cost in costs.items()],
    )
    alone = [sum(cost.seconds for cost in costs.values()), sum(cost.work for cost in costs.values())]
    inside = [min(cost.seconds for cost in whole), min(cost.work for cost in whole)]
    table(
        "What DVC adds",
        ("", "seconds", "work"),
        [
            ("the scripts one by one", *(f"{took:.1f}" for took in alone)),
            ("`dvc repro` from scratch", *(f"{took:.1f}" for took in inside)),
            ("ratio", *(f"{b / a:.2f}" for a, b in zip(alone, inside, strict=True))),
        ],
    )


def stages(made: Project, periods: Sequence[str]) -> dict[str, Cost]:
    """Run the scripts of all stages one by one, without DVC."""
    costs = {"pin": script(made, "pin")}
    costs |= {f"ingest {period}": script(made, "ingest", period) for period in periods}
    after = ("assemble", "train", "export", "evaluate", "card", "track")
    return costs | {stage: script(made, stage) for stage in after}


def nothing_to_do(made: Project, repeats: int) -> None:
    """`dvc repro` when all is up to date against `dvc version`, in turns."""
    made.commit("Reproduced")
    turns = [(measured(made, "dvc", "version"), measured(made, "dvc", "repro")) for _ in range(repeats)]
    version, nothing = (statistics.median(cost.seconds for cost in column) for column in zip(*turns, strict=True))
    ratio = statistics.median(b.seconds / a.seconds for a, b in turns)
    table(
        f"Nothing to do, median of {repeats} turns",
        ("", "seconds"),
        [("`dvc version`", f"{version:.2f}"), ("`dvc repro`", f"{nothing:.2f}")],
    )
    print(f"Ratio: {ratio:.2f}; the bound is {BOUND:.0f}, {'kept' if ratio <= BOUND else 'BROKEN'}.")


def script(made: Project, stage: str, *arguments: str) -> Cost:
    """Run one stage's script."""
    return measured(made, sys.executable, f"pipelines/{stage}.py", *arguments)


def measured(made: Project, *command: str) -> Cost:
    """Run a program that must not fail."""
    log = made.root.parent / "log"
    began = time.perf_counter()
    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            cwd=made.root,
            env={**project.environment(made.root), **ONE_THREAD},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"`{' '.join(command)}` failed:\n{log.read_text()}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def megabytes(cost: Cost) -> str:
    """Peak memory for a table."""
    return f"{cost.memory / 1e6:.0f} MB"


def table(title: str, header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table under a heading; all columns but the first to the right."""
    print(f"\n### {title}\n")
    for cells in (header, ["---", *["---:"] * (len(header) - 1)], *lines):
        print(f"| {' | '.join(cells)} |")
    print(flush=True)


if __name__ == "__main__":
    main()
