"""The check of a period beside Evidently's default on the same frames, its memory, and how often it is wrong.

    python bench/drift.py --out docs/drift.md          # about half an hour on two cores, most of it Evidently's
    python bench/drift.py --rows 30000 300000          # printed, in some minutes

The bound: at 3 M rows at least 20 times as fast as Evidently, the same columns flagged at equal thresholds, memory
flat.

Frames are real flights drawn again: the reference from January to March, the period from June, as many rows each. Every
measurement is a process of its own on one thread, and its seconds are those of the processor, so that a busy machine
changes little. Imports are not counted, nor is reading where frames are in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from decisions import autocorrelated, inserted, rate
from ratchet import drift, evaluation, files, params, policy, training
from ratchet.drift import distance, reference, threshold
from ratchet.errors import told_to_the_user
from ratchet.problem import Problem

ROWS = (30_000, 300_000, 3_000_000)
BEFORE, JUDGED, NOW = ("2013-01", "2013-02", "2013-03"), "2013-04", "2013-06"
LATER = tuple(f"2013-{month:02}" for month in range(5, 13))
GROUP = 100_000
"""Rows of a row group of the Parquet files, one partition of the check each."""

TURNS = 3
BOUND, AT = 20, 3_000_000
SIDES = ("reference", "period")
SCORE = "score"


# --- frames ----------------------------------------------------------------------------------------------------------


def world() -> dict[str, pd.DataFrame]:
    """The months of the year that are used, with the scores of a champion that was trained on the first three."""
    given = params.load()
    problem = Problem(given.problem)
    months = {period: problem.fetch(period) for period in (*BEFORE, JUDGED, *LATER)}
    rows = training.labelled(problem, pd.concat([months[period] for period in BEFORE], ignore_index=True))
    champion = training.fit(problem.estimator(given.model, given.train.seed), rows, problem)
    return {name: frame.assign(**{SCORE: champion.predict_proba(frame)[:, 1]}) for name, frame in months.items()}


def write(months: dict[str, pd.DataFrame], rows: int, folder: Path) -> None:
    """Both sides with so many rows, drawn with replacement, in row groups."""
    rng = np.random.default_rng(rows)
    pools = {"reference": pd.concat([months[period] for period in BEFORE], ignore_index=True), "period": months[NOW]}
    for side, pool in pools.items():
        drawn = pool.iloc[rng.integers(0, len(pool), rows)].reset_index(drop=True)
        drawn.to_parquet(folder / f"{side}.parquet", row_group_size=GROUP)
    months[JUDGED].to_parquet(folder / "judged.parquet")


class Stored:
    """A Parquet file as partitions, one row group at a time; it can be read again."""

    def __init__(self, path: Path, *, scores: bool) -> None:
        self._path, self._scores = path, scores

    def __iter__(self) -> Iterator[Any]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._path, memory_map=False, pre_buffer=False) as file:
            for group in range(file.num_row_groups):
                columns = [SCORE] if self._scores else [name for name in file.schema_arrow.names if name != SCORE]
                frame = file.read_row_group(group, columns=columns, use_threads=False).to_pandas()
                yield frame[SCORE].to_numpy() if self._scores else frame


# --- one measurement, in a process of its own ------------------------------------------------------------------------


def ours(folder: Path) -> dict[str, Any]:
    """The whole check, frames in memory: reference, then the period with its labels against the judged holdout."""
    problem = Problem(params.load().problem)
    sides = {side: pd.read_parquet(folder / f"{side}.parquet") for side in SIDES}
    judged = holdout(problem, folder)
    inputs = {side: ([frame.drop(columns=SCORE)], [frame[SCORE].to_numpy()]) for side, frame in sides.items()}
    return checked(problem, inputs, judged)


def streamed(folder: Path) -> dict[str, Any]:
    """The same from disk, row group by row group; reading counts."""
    problem = Problem(params.load().problem)
    inputs = {
        side: tuple(Stored(folder / f"{side}.parquet", scores=scores) for scores in (False, True)) for side in SIDES
    }
    return checked(problem, inputs, holdout(problem, folder))


def evidently(folder: Path) -> dict[str, Any]:
    """Evidently's preset as it comes, on the inputs of the same frames in memory."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    names = reference.inputs(Problem(params.load().problem))
    before, now = (pd.read_parquet(folder / f"{side}.parquet", columns=names) for side in SIDES)
    began = time.process_time()
    found = Report([DataDriftPreset()]).run(now, before).dict()["metrics"]
    seconds = time.process_time() - began
    values = {m["config"]["column"]: float(m["value"]) for m in found if "column" in m["config"]}
    return {"seconds": seconds, "flagged": sorted(n for n, value in values.items() if value >= distance.DEFAULT_BOUND)}


def holdout(problem: Problem, folder: Path) -> drift.Judged:
    """The champion's judged holdout."""
    frame = pd.read_parquet(folder / "judged.parquet")
    return drift.Judged(evaluation.scores_table(problem, frame, lambda rows: rows[SCORE].to_numpy(), {}))


def checked(problem: Problem, inputs: dict[str, Any], judged: drift.Judged) -> dict[str, Any]:
    """Seconds of both halves of the check, and the columns that Evidently's default would flag."""
    began = time.process_time()
    known = reference.build(problem, *inputs["reference"])
    built = time.process_time()
    found = drift.examine(problem, known, *inputs["period"], judged=judged)
    ended = time.process_time()
    flagged = [c.name.removeprefix(reference.INPUT) for c in found.checks if c.kind == "input" and c.default_fires]
    return {"seconds": ended - began, "period": ended - built, "flagged": sorted(flagged)}


MEASURED = {"ours": ours, "streamed": streamed, "evidently": evidently}


def measured(name: str, folder: Path) -> dict[str, Any]:
    """One measurement in a new process, with its peak resident size in MB."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure", name, str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(name: str, folder: Path) -> None:
    """What `measured` starts."""
    found = MEASURED[name](folder)
    # Linux; the figure of getrusage would be that of the process which started this one, were that larger.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    print(json.dumps({**found, "megabytes": int(peak[1]) / 1024 if peak else None}))


# --- tables ----------------------------------------------------------------------------------------------------------


def speed(months: dict[str, pd.DataFrame], sizes: Sequence[int]) -> str:
    """Time and memory by rows; the smaller sizes are measured several times in turns, and the median counts."""
    rows, line = [], {}
    for size in sizes:
        with TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write(months, size, folder)
            turns = TURNS if size < AT else 1
            found = {name: [measured(name, folder) for _ in range(turns)] for name in MEASURED}
        mine, theirs, disk = (found[name] for name in ("ours", "evidently", "streamed"))
        same = mine[0]["flagged"] == theirs[0]["flagged"] == disk[0]["flagged"]
        seconds = {name: median(turn["seconds"] for turn in turns) for name, turns in found.items()}
        ratio = seconds["evidently"] / seconds["ours"]
        line[size] = (seconds["streamed"], disk[0]["megabytes"])
        rows.append(
            (
                f"{size:,}",
                f"{seconds['evidently']:.1f} s",
                f"{seconds['ours']:.2f} s",
                f"{median(turn['period'] for turn in mine):.2f} s",
                f"{ratio:.0f} times",
                f"{len(theirs[0]['flagged'])}, {'the same' if same else 'others'}",
                f"{seconds['streamed']:.2f} s",
                f"{disk[0]['megabytes']:.0f} MB",
                f"{theirs[0]['megabytes']:.0f} MB",
            )
        )
        print(" | ".join(rows[-1]), file=sys.stderr)
        if size == AT and (ratio < BOUND or not same):
            raise SystemExit(f"error: {ratio:.1f} times as fast at {size:,} rows, flagged the same: {same}")
    heads = (
        "rows a side",
        "Evidently",
        "the whole check",
        "of it the period",
        "faster",
        "columns flagged",
        "from disk",
        "peak memory, from disk",
        "Evidently's",
    )
    return f"{table(heads, rows)}\n\n{growth(line)}"


def growth(line: dict[int, tuple[float, float]]) -> str:
    """What a million rows a side cost, from the two largest sizes."""
    if len(line) < 2:
        return ""
    (few, (less, small)), (many, (more, large)) = sorted(line.items())[-2:]
    million = (many - few) / 1e6
    return (
        f"From disk a million rows a side cost {(more - less) / million:.2f} s and "
        f"{max(large - small, 0) / million:.0f} MB, between {few:,} and {many:,} rows."
    )


def false_alarms(worlds: int) -> str:
    """Share of unchanged periods of 30 days in which any of eight columns fires; stated is 5 %."""
    rows = []
    for rho in (0.0, 0.4, 0.6):
        for days in (60, 90, 180):
            fired = np.array(Parallel(n_jobs=-1)(delayed(alarmed)(rho, days, seed) for seed in range(worlds)))
            rows.append((f"{rho:g}", days, rate(fired[:, 0]), rate(fired[:, 1])))
    heads = ("autocorrelation of days", "days of reference", "calibrated", "Evidently's default")
    return table(heads, rows)


COLUMNS, PERIOD, A_DAY = 8, 30, 300


def alarmed(rho: float, days: int, seed: int) -> tuple[bool, bool]:
    """One world without change: eight columns of four categories whose shares swing, from hardly to stormily."""
    rng = np.random.default_rng([seed, days])
    mood = autocorrelated(rng, (COLUMNS, days + PERIOD), rho)
    swing = np.geomspace(0.1, 3, COLUMNS)[:, None, None]
    share = 1 / (1 + np.exp(-swing * mood[..., None] - np.linspace(-1, 1, 4)))
    counts = rng.multinomial(A_DAY, share / share.sum(axis=-1, keepdims=True))
    daily = {str(name): counts[name, :days] for name in range(COLUMNS)}
    bounds = threshold.resampled(daily, PERIOD, replace(drift.DriftOptions(), resamples=500))
    found = {n: float(distance.jensen_shannon(counts[int(n), days:].sum(0), rows.sum(0))) for n, rows in daily.items()}
    default = any(value * np.sqrt(np.log(2)) >= distance.DEFAULT_BOUND for value in found.values())
    return any(found[name] > bounds[name] for name in daily), default


def year(months: dict[str, pd.DataFrame]) -> str:
    """What the check says of each later month, held against January to April."""
    problem = Problem(params.load().problem)
    score = {name: frame[SCORE].to_numpy() for name, frame in months.items()}
    frame = {name: rows.drop(columns=SCORE) for name, rows in months.items()}
    table_of_scores = evaluation.scores_table(problem, months[JUDGED], lambda rows: rows[SCORE].to_numpy(), {})
    past = (*BEFORE, JUDGED)
    known = reference.build(problem, [frame[m] for m in past], [score[m] for m in past], judged_from=f"{JUDGED}-01")
    rows = []
    for month in LATER:
        found = drift.examine(problem, known, [frame[month]], [score[month]], judged=drift.Judged(table_of_scores))
        late = drift.examine(
            problem,
            known,
            [frame[month].assign(**{problem.target: np.nan})],
            [score[month]],
            judged=drift.Judged(table_of_scores),
        )
        moved = [c.name.removeprefix(reference.INPUT) for c in found.fired if c.kind == "input"]
        default = sum(bool(c.default_fires) for c in found.checks if c.kind == "input")
        fall = next(c for c in found.checks if c.name == "performance:log_loss")
        estimate = next(c for c in late.checks if c.estimated)
        rows.append(
            (
                month,
                default,
                f"{len(moved)}: {', '.join(moved)}" if moved else "0",
                "yes" if found.score_moved else "no",
                f"{fall.value:+.3f}",
                f"{estimate.value:+.3f}",
                found.diagnosis.name,
                policy.decide(found, proof=None).state,
            )
        )
    heads = (
        "month",
        "drifted by Evidently's default, of 19",
        "inputs that moved, calibrated",
        "scores moved",
        "fall in log loss over a constant",
        "the same, estimated without labels",
        "diagnosis",
        "state",
    )
    return table(heads, rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def median(values: Iterable[float]) -> float:
    """The median."""
    return float(np.median(list(values)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print or rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", type=int, default=ROWS, help="rows of either side")
    parser.add_argument("--worlds", type=int, default=1_000, help="simulated worlds for each false alarm rate")
    parser.add_argument("--only", choices=("speed", "false alarms", "year"), help="one table")
    parser.add_argument("--out", type=Path, help="the page whose tables are rewritten (default: print them)")
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        measure(options.measure[0], Path(options.measure[1]))
        return
    months = world() if options.only != "false alarms" else {}
    makers = {
        "year": lambda: year(months),
        "false alarms": lambda: false_alarms(options.worlds),
        "speed": lambda: speed(months, options.rows),
    }
    tables = {name: make() for name, make in makers.items() if options.only in (None, name)}
    if options.out:
        files.write_text(options.out, inserted(options.out.read_text(encoding="utf-8"), tables))
    else:
        print("\n\n".join(f"## {name}\n\n{text}" for name, text in tables.items()))


if __name__ == "__main__":
    with told_to_the_user():
        main()
