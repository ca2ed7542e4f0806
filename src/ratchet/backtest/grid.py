"""The grid: every model that any policy could have had, and its scores of every row that it could have met.

Fitting is the only dear part of a backtest, so it is done once, in parallel, and kept on disk: a cell is written whole
or not at all, and a run that was killed goes on where it was. Everything after it is arithmetic on scores.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet import data, evaluation, files, training
from ratchet.backtest import shifts
from ratchet.backtest.engine import Engine, spread
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.metrics import Floats
    from ratchet.params import Params
    from ratchet.problem import Problem

FOLDER = Path(".ratchet/backtest")


@dataclass(frozen=True, order=True)
class Part:
    """Rows that train or that are scored: a file of rows, and what was done to them."""

    rows: str
    shift: str = ""
    strength: float = 0.0


@dataclass(frozen=True)
class Fit:
    """A model by what made it: the parts it was trained on, in order of time."""

    train: tuple[Part, ...]

    @property
    def name(self) -> str:
        """The first and the last part, for people."""
        return f"{self.train[0].rows} to {self.train[-1].rows}"


@dataclass(frozen=True)
class Wish:
    """A cell to be computed: a model, the parts it scores, and the one on which its behaviour is checked."""

    fit: Fit
    scored: tuple[Part, ...]
    proof: Part | None = None  # one of the scored


@dataclass(frozen=True)
class Cell:
    """What a model left.

    Attributes:
        scores: Part to the scores of its rows, shape (n,).
        seconds: How long the fit took, on the machine and beside the neighbours that it had.
        behaviour: Records of the behavioural cases on the part they were checked on, as in `evaluation.json`.
    """

    scores: Mapping[Part, Floats]
    seconds: float
    behaviour: Sequence[Mapping[str, Any]]


class Grid:
    """Models and their scores, kept in a folder of their own for each question; sent to a process, it goes empty."""

    def __init__(self, problem: Problem, params: Params, folder: Path = FOLDER, place: Path | None = None) -> None:
        self.problem, self.params, self.folder = problem, params, folder
        self.place = place or self._place()
        self._cells: dict[Fit, Cell] = {}
        self._known: dict[str, pd.DataFrame] = {}

    def __reduce__(self) -> tuple[type[Grid], tuple[Any, ...]]:
        # With its place: code that is edited while processes run must not send each of them elsewhere.
        return Grid, (self.problem, self.params, self.folder, self.place)

    def _place(self) -> Path:
        """The folder of this question: a digest of the problem's code, the parameters and the bounds of ingestion."""
        asked = [dict(self.params.model), self.params.train.seed, self.params.data.checks.model_dump()]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
        for path in sorted(self.problem.folder.rglob("*.py")):
            digest.update(b"" if path == shifts.module(self.problem) else path.read_bytes())
        return self.folder / digest.hexdigest()[:16]

    def gather(self, periods: Sequence[str], engine: Engine = "joblib", workers: int = 1) -> None:
        """Ingest the periods that are not there yet, as the pipeline does: bad rows are set aside.

        Raises:
            RatchetError: A batch is wrong as a whole.
        """
        missing = [period for period in periods if not self._file(period).exists()]
        for _ in spread(self.ingest, missing, engine, workers, "period"):
            pass

    def ingest(self, period: str) -> None:
        """Ingest one period."""
        self.keep(period, data.ingest(self.problem, period, self.params.data.checks).rows)

    def keep(self, name: str, rows: pd.DataFrame) -> None:
        """Keep rows under a name of their own; parts are made of them."""
        files.write_parquet(self._file(name), rows)

    def sha256(self, name: str) -> str:
        """Digest of the rows that are kept under a name."""
        return files.sha256(self._file(name))

    def rows(self, part: Part) -> pd.DataFrame:
        """The rows of a part, not to be changed."""
        if part.rows not in self._known:
            self._known[part.rows] = files.read_parquet(self._file(part.rows))
        found = self._known[part.rows]
        return shifts.of(self.problem)[part.shift].apply(found, part.strength) if part.shift else found

    def compute(self, wishes: Sequence[Wish], engine: Engine = "joblib", workers: int = 1) -> int:
        """Compute the cells that are not there yet; how many these were.

        Raises:
            RatchetError: The estimator refuses its parameters or its rows.
        """
        missing = [(wish, path) for wish, path in self._paths(wishes).items() if not path.exists()]
        missing.sort(key=lambda found: -len(found[0].fit.train))  # the longest first: nobody waits for a last long one
        for _ in spread(self.fit, missing, engine, workers, "fit"):
            pass
        self.load(wishes)
        return len(missing)

    def load(self, wishes: Sequence[Wish]) -> None:
        """Read cells that were computed."""
        self._cells.update({wish.fit: _read(wish, path) for wish, path in self._paths(wishes).items()})

    def fit(self, order: tuple[Wish, Path]) -> None:
        """Fit one model as the pipeline does, score what is wished, and write the cell."""
        import pandas as pd

        (wish, path), task, target = order, self.problem.task, self.problem.target
        rows = pd.concat([self.rows(part) for part in wish.fit.train], ignore_index=True)
        estimator = self.problem.estimator(self.params.model, self.params.train.seed)
        began = time.perf_counter()
        fitted = training.fit(estimator, rows, self.problem)
        seconds = time.perf_counter() - began

        def score(frame: pd.DataFrame) -> Floats:
            return training.scores(fitted, frame, task)

        scores = {
            str(number): np.round(score(self.rows(part).drop(columns=target)), evaluation.DECIMALS)
            for number, part in enumerate(wish.scored)
        }
        told = {"seconds": seconds, "behaviour": self._behaviour(wish.proof, score)}
        with files.directory(path) as new:
            np.savez_compressed(new / "scores.npz", allow_pickle=False, **scores)
            files.write_json(new / "cell.json", told)

    def cell(self, fit: Fit) -> Cell:
        """What a model left.

        Raises:
            RatchetError: It was never computed.
        """
        if fit not in self._cells:
            raise RatchetError(f"the grid has no model of {fit.name}")
        return self._cells[fit]

    def _behaviour(self, proof: Part | None, score: evaluation.Score) -> list[dict[str, Any]]:
        """The problem's expectations on the labelled rows of a part."""
        if proof is None:
            return []
        rows = training.labelled(self.problem, self.rows(proof))
        return [evaluation.behave(case, rows, score) for case in self.problem.behaviour()]

    def _file(self, name: str) -> Path:
        return self.place / "rows" / f"{name}.parquet"

    def _paths(self, wishes: Sequence[Wish]) -> dict[Wish, Path]:
        """Folders of cells: their names are digests of all that they depend on, the bytes of the rows included."""
        read = {part.rows for wish in wishes for part in (*wish.fit.train, *wish.scored)}
        digests = {name: self.sha256(name) for name in read}
        paths = {}
        for wish in wishes:
            parts = (*wish.fit.train, *wish.scored)
            used = {part.rows: digests[part.rows] for part in parts}
            used |= {part.shift: shifts.digest(self.problem) for part in parts if part.shift}
            known = json.dumps([asdict(wish), used], sort_keys=True)
            paths[wish] = self.place / "cells" / hashlib.sha256(known.encode()).hexdigest()[:24]
        return paths


def _read(wish: Wish, path: Path) -> Cell:
    told = files.read_json(path / "cell.json")
    with np.load(path / "scores.npz") as arrays:
        scores = {part: arrays[str(number)] for number, part in enumerate(wish.scored)}
    return Cell(scores, told["seconds"], told["behaviour"])
