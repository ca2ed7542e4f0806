"""Rows of the holdout with the scores that were judged, for the smoke test of what will run.

smoke.jsonl    {"row": {"origin": "EWR", …}, "score": 0.31}    inputs as JSON carries them, null where missing
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from ratchet import bundle, data, files
from ratchet.release.refusal import Refusal, Refused

if TYPE_CHECKING:
    from ratchet.params import Checks
    from ratchet.problem import Problem

MOST = 200
"""Rows that are kept: spread over the holdout, few enough to ask for one by one."""


def fetched(problem: Problem, dataset: Mapping[str, Any], checks: Checks) -> pd.DataFrame:
    """The rows that tested a model, as main's code ingests them now.

    Args:
        problem: Main's.
        dataset: The model's `dataset.json`.
        checks: Of main's params.yaml.

    Raises:
        Refused: The source gives other rows than those that were judged.
    """
    frames = []
    with TemporaryDirectory() as scratch:
        for period, facts in dataset["test"].items():
            data.write(data.ingest(problem, period, checks), Path(scratch, period))
            path = Path(scratch, period, data.ROWS)
            if (found := files.sha256(path)) != facts["sha256"]:
                raise Refused(
                    Refusal(
                        "the source of the data was revised",
                        f"rows with the SHA-256 {facts['sha256'][:12]}…, on which the model was judged",
                        f"{found[:12]}…",
                        f"period {period}",
                        "find out why; `ratchet accept-revision --all` in a pull request takes the new rows in",
                    )
                )
            frames.append(files.read_parquet(path))
    return pd.concat(frames, ignore_index=True)


def lines(problem: Problem, rows: pd.DataFrame, scores: pd.DataFrame, schema: Mapping[str, Any]) -> str:
    """Content of `smoke.jsonl`.

    Args:
        problem: Names the key and the target.
        rows: Raw rows of the holdout, n of them.
        scores: Of its labelled rows: the key columns and `score`.
        schema: JSON Schema of one row, from the bundle.
    """
    key = list(problem.key)
    labelled = rows[rows[problem.target].notna()]
    both = labelled.merge(scores[[*key, "score"]], on=key, how="inner", validate="one_to_one").sort_values(key)
    step = max(1, -(-len(both) // MOST))
    chosen = both.iloc[::step]
    inputs = [name for name in schema["properties"] if name in chosen]
    whole = {name for name in inputs if "integer" in schema["properties"][name]["type"]}
    plain = bundle.plain_rows(chosen[inputs])
    told = [
        {"row": {name: _whole(value) if name in whole else value for name, value in row.items()}, "score": score}
        for row, score in zip(plain, chosen["score"].tolist(), strict=True)
    ]
    return "".join(f"{json.dumps(line, allow_nan=False)}\n" for line in told)


def _whole(value: Any) -> Any:
    """A column of whole numbers that may be missing holds floats, which no JSON integer is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
