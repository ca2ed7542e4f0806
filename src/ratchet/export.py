"""From a fitted pipeline to the bundle, and the proof that both give the same answers."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import ensemble
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from wheel.wheelfile import WheelFile

from ratchet import bundle, files, folders, persistence, schema, training
from ratchet.errors import RatchetError
from ratchet.rows import RowFeatures

if TYPE_CHECKING:
    import pandas as pd
    from hypothesis.strategies import SearchStrategy

    from ratchet.problem import Problem

TOLERANCE = 1e-12
TREES = (
    ensemble.HistGradientBoostingClassifier,
    ensemble.HistGradientBoostingRegressor,
    ensemble.GradientBoostingClassifier,
    ensemble.GradientBoostingRegressor,
    ensemble.RandomForestClassifier,
    ensemble.RandomForestRegressor,
    ensemble.ExtraTreesClassifier,
    ensemble.ExtraTreesRegressor,
)
# What the bundle's wheel carries of the loop: enough to open a bundle and score rows, and nothing that changes with it.
RUNTIME = ("__init__.py", "bundle.py", "errors.py", "files.py", "persistence.py", "processor.py", "rows.py")


@dataclass(frozen=True)
class Origin:
    """What a bundle was made from, as its manifest records it.

    Attributes:
        trained_on: Period to the SHA-256 of its rows.
        params: The sections of `params.yaml` that shape the model.
        threshold: Operating threshold; None for a regression.
    """

    trained_on: Mapping[str, str]
    params: Mapping[str, Any]
    threshold: float | None


def build(problem: Problem, pipeline: Any, origin: Origin, requirements: Mapping[str, Path], folder: Path) -> None:
    """Fill an empty folder with the bundle of a fitted pipeline.

    Args:
        problem: The problem it answers.
        pipeline: Fitted; takes raw rows.
        origin: What it was made from.
        requirements: Kind of bundle (`treelite`, `skops`) to the locked requirements that it runs with.
        folder: Where to write.
    """
    function = _tree_function(pipeline)
    kind = "skops" if function is None else "treelite"
    if function is None:
        persistence.dump(pipeline, folder / bundle.ESTIMATOR)
    else:
        import treelite

        with np.errstate(invalid="ignore"):  # it casts the category "missing" to an integer and then leaves it out
            trees = treelite.sklearn.import_model(pipeline[-1])
        files.write_bytes(folder / bundle.TREES, trees.serialize_bytes())
        files.write_json(folder / bundle.ENCODERS, _encoders(pipeline[1]))
    files.write_json(folder / bundle.SCHEMA, schema.row_schema(problem), sort_keys=False)
    files.copy(requirements[kind], folder / bundle.REQUIREMENTS)
    code = _write_wheel(problem, folder)
    manifest = {
        "format": bundle.FORMAT,
        "problem": problem.name,
        "task": problem.task,
        "kind": kind,
        "features": function,
        "precision": None if function is None else _precision(pipeline),
        "target": problem.target,
        "key": list(problem.key),
        "cluster": list(problem.cluster),
        "threshold": origin.threshold,
        "trained_on": dict(origin.trained_on),
        "made_from": {"code": files.sha256(code), "params": dict(origin.params)},
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "files": {path.name: files.sha256(path) for path in sorted(folder.iterdir())},
    }
    files.write_json(folder / bundle.MANIFEST, manifest)


def check_parity(opened: bundle.Bundle, pipeline: Any, holdout: pd.DataFrame) -> float:
    """Compare a bundle with the pipeline it was made from, and return the largest difference seen (relative above 1).

    Every holdout row goes through the batch path; through the one-row path goes every row where that path is fast, and
    every hundredth where it is not. Then Hypothesis makes rows that no holdout has: missing values, unseen categories.

    Raises:
        RatchetError: Some answer differs by more than `TOLERANCE`; names the row.
    """
    inputs = holdout[list(opened.schema["properties"])]
    expected = training.scores(pipeline, inputs, opened.manifest["task"])
    rows = bundle.plain_rows(inputs)
    step = 1 if opened.manifest["kind"] == "treelite" else 100
    single = np.array([opened.score_row(row) for row in rows[::step]])
    differences = [
        _difference("batch", opened.score(inputs), expected, rows),
        _difference("one row", single, expected[::step], rows[::step]),
        _check_made_rows(opened, pipeline, inputs),
    ]
    return max(differences)


def row_strategy(row_schema: Mapping[str, Any], known: Mapping[str, list[Any]]) -> SearchStrategy[dict[str, Any]]:
    """Rows that a JSON Schema of one row allows, with the `known` categories of text columns and unseen ones.

    Columns may be missing even where the schema forbids it: a service must not answer differently from the pipeline.
    """
    from hypothesis import strategies as st

    columns = {name: _values(rule, known.get(name, [])) | st.none() for name, rule in row_schema["properties"].items()}
    return st.fixed_dictionaries(columns)


def _check_made_rows(opened: bundle.Bundle, pipeline: Any, holdout: pd.DataFrame) -> float:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    text = holdout.select_dtypes(exclude="number").columns
    known = {str(name): sorted(holdout[name].dropna().unique())[:200] for name in text}
    worst = [0.0]

    # Derandomised and without a database: the stage's outcome depends on its inputs alone.
    @settings(max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(row_strategy(opened.schema, known), min_size=1, max_size=8))
    def check(rows: list[dict[str, Any]]) -> None:
        frame = _frame(rows, holdout)
        expected = training.scores(pipeline, frame, opened.manifest["task"])
        single = np.array([opened.score_row(row) for row in rows])
        worst.append(_difference("one made row", single, expected, rows))
        worst.append(_difference("batch of made rows", opened.score_rows(rows), expected, rows))

    check()
    return max(worst)


def _frame(rows: list[dict[str, Any]], like: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=like.columns)
    types = {c: "float64" if pd.api.types.is_numeric_dtype(like[c]) else like[c].dtype for c in like.columns}
    return frame.astype(types)


def _values(rule: Mapping[str, Any], known: list[Any]) -> SearchStrategy[Any]:
    from hypothesis import strategies as st

    kind = rule["type"][0] if isinstance(rule["type"], list) else rule["type"]
    if kind == "string":
        return st.sampled_from([*known, *filter(None, rule.get("enum", [])), "", "never seen"])
    if "enum" in rule:
        return st.sampled_from([value for value in rule["enum"] if value is not None])
    low, high = rule.get("minimum", rule.get("exclusiveMinimum", -1e6)), rule.get("maximum", 1e6)
    if kind == "integer":
        return st.integers(int(low), int(high))
    return st.floats(low, max(low, high), allow_nan=False)


def _difference(path: str, got: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], rows: list[Any]) -> float:
    gaps = np.abs(got - expected) / np.maximum(1.0, np.abs(expected))  # of large predictions, the relative difference
    worst = int(np.argmax(np.where(np.isnan(gaps), np.inf, gaps)))
    if not gaps[worst] <= TOLERANCE:
        raise RatchetError(
            f"parity ({path}): the bundle says {got[worst]} where the pipeline says {expected[worst]}; "
            f"nothing was exported\nrow: {rows[worst]}"
        )
    return float(gaps[worst])


def _tree_function(pipeline: Any) -> str | None:
    """`module:function` of the row features when the pipeline is row features, encoders, trees; otherwise None."""
    is_trees = (
        isinstance(pipeline, Pipeline)
        and len(pipeline) == 3
        and isinstance(pipeline[0], RowFeatures)
        and isinstance(pipeline[1], ColumnTransformer)
        and all(_is_plain(step) for _, step, _ in pipeline[1].transformers)
        and pipeline[1].remainder == "drop"
        and isinstance(pipeline[2], TREES)
    )
    return f"{pipeline[0].function.__module__}:{pipeline[0].function.__qualname__}" if is_trees else None


def _precision(pipeline: Any) -> str:
    """Histogram boosting compares 64-bit floats; scikit-learn's other trees round their inputs to 32 bits first."""
    exact = (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor)
    return "float64" if isinstance(pipeline[-1], exact) else "float32"


def _is_plain(step: Any) -> bool:
    if isinstance(step, OrdinalEncoder):
        return bool(step.handle_unknown == "use_encoded_value" and step.min_frequency is None)
    return isinstance(step, str) and step == "passthrough"


def _encoders(transformer: ColumnTransformer) -> list[dict[str, Any]]:
    """The fitted encoders in the order of the model's inputs."""
    items: list[dict[str, Any]] = []
    for name, step, features in transformer.transformers:
        if isinstance(step, str):
            items += [{"feature": feature} for feature in features]
            continue
        fitted = transformer.named_transformers_[name]
        for feature, categories in zip(features, fitted.categories_, strict=True):
            items.append(
                {
                    "feature": feature,
                    "categories": [value for value in categories.tolist() if not _is_missing(value)],
                    "unknown": _number(fitted.unknown_value),
                    "missing": _number(fitted.encoded_missing_value),
                }
            )
    return items


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _write_wheel(problem: Problem, folder: Path) -> Path:
    """The code a bundle runs, as a wheel: the problem's model/ and the part of the loop that scores."""
    version = metadata.version("ratchet")
    path = folder / f"ratchet_runtime-{version}-py3-none-any.whl"
    # The standard switch for reproducible builds: RECORD would otherwise carry the time.
    os.environ["SOURCE_DATE_EPOCH"] = "315532800"
    with WheelFile(path, "w", zipfile.ZIP_STORED) as wheel:
        sources = _sources(problem)
        # Without an entry of its own a folder in an archive is no package; those of ours have an __init__.py, too.
        for inner in sorted({str(path) for name in sources for path in PurePosixPath(name).parents} - {"."}):
            wheel.mkdir(inner)
        for name, source in sources.items():
            wheel.writestr(zipfile.ZipInfo(name), source.read_bytes())
        info = wheel.dist_info_path
        wheel.writestr(
            zipfile.ZipInfo(f"{info}/METADATA"), f"Metadata-Version: 2.1\nName: ratchet-runtime\nVersion: {version}\n"
        )
        wheel.writestr(
            zipfile.ZipInfo(f"{info}/WHEEL"),
            "Wheel-Version: 1.0\nGenerator: ratchet\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
    return path


def _sources(problem: Problem) -> dict[str, Path]:
    """Files of the wheel to those of the tree, which are the same under `src/`."""
    ours = {f"ratchet/{name}": Path(__file__).parent / name for name in RUNTIME}
    names = (path.relative_to(problem.folder) for path in sorted((problem.folder / folders.MODEL).rglob("*.py")))
    return ours | {f"{problem.name}/{name.as_posix()}": problem.folder / name for name in names}
