"""The bundle: a model in the form in which it is served, judged and released.

    manifest.json      what it is, what it was made from, the SHA-256 of every other file; its own is the *model digest*
    model.treelite     a tree ensemble as data, with encoders.json, the fitted encoders as plain data
    model.skops        or any other scikit-learn estimator, without pickle
    schema.json        JSON Schema of one raw row
    requirements.txt   the locked environment it runs in, and *.whl, the code it runs

This module is part of that wheel. It needs NumPy and treelite, and pandas and scikit-learn only for `model.skops`:

    python -m ratchet.bundle BUNDLE < rows.jsonl > scores.jsonl
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ratchet import files
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
MANIFEST, TREES, ESTIMATOR, ENCODERS = "manifest.json", "model.treelite", "model.skops", "encoders.json"
SCHEMA, REQUIREMENTS = "schema.json", "requirements.txt"

Row = Mapping[str, Any]
Vector = np.ndarray[Any, np.dtype[np.float64]]


class Model(Protocol):
    """What scores rows: one plain row, or columns of many."""

    def score_row(self, row: Row) -> float:
        """P(label = 1), or the prediction of a regression, for one row with every column present."""

    def score_columns(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> Vector:
        """The same for many rows, given as equally long columns."""


class Trees:
    """A tree ensemble behind a function of a row and plain encoders; no pandas, no scikit-learn."""

    def __init__(self, folder: Path, function: Callable[[Row], dict[str, Any]], precision: str) -> None:
        import treelite

        self._trees = treelite.Model.deserialize(str(folder / TREES))
        self._predict = treelite.gtil.predict
        self._features = function
        self._precision = np.dtype(precision)
        self._encoders = [_encoder(item) for item in files.read_json(folder / ENCODERS)]

    def score_row(self, row: Row) -> float:
        """See `Model`. One thread: starting more costs more than one row."""
        features = self._features(row)
        vector = [
            features[name] if codes is None else codes.get(features[name], unknown)
            for name, codes, unknown in self._encoders
        ]
        return float(self._output(np.array([vector], dtype=np.float64), threads=1)[0, -1])

    def score_columns(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> Vector:
        """See `Model`."""
        features = self._features(columns)
        matrix = np.column_stack([_encode(features[name], codes, other) for name, codes, other in self._encoders])
        return self._output(np.ascontiguousarray(matrix, dtype=np.float64), threads=-1)[:, -1]

    def _output(self, matrix: Vector, threads: int) -> Vector:
        if self._precision != matrix.dtype:  # the trees were grown on rounded inputs
            matrix = matrix.astype(self._precision).astype(np.float64)
        output: Vector = self._predict(self._trees, matrix, nthread=threads)
        return output.reshape(len(matrix), -1)


class Estimator:
    """A scikit-learn estimator that takes raw rows."""

    def __init__(self, folder: Path, problem: str, task: str) -> None:
        from ratchet import persistence

        self._estimator = persistence.load(folder / ESTIMATOR, (problem, "ratchet.rows"))
        self._is_classifier = task == "binary"

    def score_row(self, row: Row) -> float:
        """See `Model`."""
        return float(self.score_columns({name: np.array([value]) for name, value in row.items()})[0])

    def score_columns(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> Vector:
        """See `Model`."""
        import pandas as pd

        frame = pd.DataFrame(dict(columns))
        scores = self._estimator.predict_proba(frame)[:, 1] if self._is_classifier else self._estimator.predict(frame)
        return np.asarray(scores, dtype=np.float64)


class Bundle:
    """An opened bundle; see `load`."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any], digest: str) -> None:
        self.folder = folder
        self.manifest = manifest
        self.digest = digest
        self.schema: Mapping[str, Any] = files.read_json(folder / SCHEMA)
        self._missing = {name: _missing(rule) for name, rule in self.schema["properties"].items()}

    @cached_property
    def model(self) -> Model:
        """The model, opened when first needed."""
        if self.manifest["kind"] == "skops":
            return Estimator(self.folder, self.manifest["problem"], self.manifest["task"])
        module, _, name = self.manifest["features"].partition(":")
        return Trees(self.folder, getattr(importlib.import_module(module), name), self.manifest["precision"])

    def score_row(self, row: Row) -> float:
        """Score of one raw row; columns that are null or left out are missing, others than the schema's are ignored."""
        values = dict(self._missing)
        for name, value in row.items():
            if value is not None and name in values:
                values[name] = value
        return self.model.score_row(values)

    def score_rows(self, rows: Sequence[Row]) -> Vector:
        """Scores of many raw rows, shape (n,)."""
        if not rows:
            return np.empty(0)
        return self.model.score_columns({name: _column(name, gap, rows) for name, gap in self._missing.items()})

    def score(self, frame: pd.DataFrame) -> Vector:
        """Scores of the rows of a frame, shape (n,).

        Raises:
            RatchetError: A column of the schema that may not be null is not in the frame.
        """
        absent = [name for name in self.schema["required"] if name not in frame]
        if absent:
            raise RatchetError(f"the rows lack {', '.join(absent)}, which the model {self.digest[:12]} needs")
        known = [name for name in self._missing if name in frame]
        return self.score_rows(plain_rows(frame[known]))


def load(folder: Path) -> Bundle:
    """Open a bundle after checking every byte of it against its manifest.

    Raises:
        RatchetError: It is no bundle, of a format this code does not know, or was changed after it was made.
    """
    manifest = read_manifest(folder)
    for name, expected in manifest["files"].items():
        path = folder / name
        if Path(name).name != name or path.is_symlink() or not path.is_file() or files.sha256(path) != expected:
            raise RatchetError(f"{path}: is not the file its manifest names; the bundle was changed or is incomplete")
    surplus = {path.name for path in folder.iterdir()} - {MANIFEST, *manifest["files"]}
    if surplus:
        raise RatchetError(f"{folder}: holds {', '.join(sorted(surplus))}, which its manifest does not name")
    return Bundle(folder, manifest, digest(folder))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle, whose files are not looked at."""
    manifest = files.read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise RatchetError(f"{folder / MANIFEST}: is not the manifest of a bundle of format {FORMAT}")
    return manifest


def digest(folder: Path) -> str:
    """The model digest: the SHA-256 of the manifest's bytes."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def size(folder: Path) -> int:
    """Bytes of all files of a bundle."""
    return sum(path.stat().st_size for path in folder.iterdir())


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as JSON would carry them: numbers, text, and None for what is missing."""
    columns = {str(name): _plain_column(frame[name]) for name in frame}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Score rows of JSON lines from standard input, one score a line."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    rows = [json.loads(line) for line in sys.stdin]
    scores = load(Path(folder)).score_rows(rows)
    sys.stdout.write("".join(f"{json.dumps(score)}\n" for score in scores.tolist()))


def _encoder(item: Mapping[str, Any]) -> tuple[str, dict[Any, float] | None, float]:
    if "categories" not in item:
        return item["feature"], None, math.nan
    codes: dict[Any, float] = {value: float(code) for code, value in enumerate(item["categories"])}
    codes[None] = _number(item["missing"])
    return item["feature"], codes, _number(item["unknown"])


def _encode(values: Any, codes: Mapping[Any, float] | None, unknown: float) -> Vector:
    if codes is None:
        return np.asarray(values, dtype=np.float64)
    return np.array([codes.get(value, unknown) for value in values], dtype=np.float64)


def _column(name: str, missing: float | None, rows: Sequence[Row]) -> np.ndarray[Any, Any]:
    values = [row.get(name) for row in rows]
    if missing is None:
        return np.array(values, dtype=object)
    return np.array([missing if value is None else value for value in values], dtype=np.float64)


def _missing(rule: Mapping[str, Any]) -> float | None:
    return None if "string" in rule["type"] else math.nan


def _plain_column(column: pd.Series[Any]) -> list[Any]:
    return [None if gap else value for value, gap in zip(column.tolist(), column.isna().tolist(), strict=True)]


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


if __name__ == "__main__":
    main()
