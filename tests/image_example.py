"""Candidates as `ratchet candidate` makes them, of small models, and their Bentos."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from outputs_example import COINS, build
from ratchet import bundle, data, files, image
from ratchet.release import holdout
from ratchet.release.candidate import SMOKE, Candidate

ROOT = Path(__file__).parents[1]
SHA = "c" * 40
VERDICT = "verdicts/12-345-1.json"
COMMITTED = 1764000000


def outputs(folder: Path, kind: str = "hist") -> Path:
    """A trained and evaluated model of the coins, of any kind."""
    return build(folder, ["2013-01", "2013-02"], kind)


def candidate(made: Path, folder: Path, **changes: Any) -> Path:
    """The candidate of a folder of outputs; `changes` are of candidate.json."""
    shutil.copytree(made / "bundle", folder / "bundle")
    for name in (made / data.DATASET, made / "evaluation" / "evaluation.json"):
        shutil.copyfile(name, folder / name.name)
    facts = {
        "next": "ship",
        "sentence": "Better.",
        "tag": "model-v2",
        "sha": SHA,
        "committed": COMMITTED,
        "lock_digest": "d" * 64,
        "model_digest": bundle.digest(folder / "bundle"),
        "pull_request": 12,
        "verdict": VERDICT,
        "artifact": {"id": 7, "digest": None},
    }
    Candidate(**{**facts, **changes}).write(folder)
    frame, scored = rows(made)
    files.write_text(folder / SMOKE, holdout.lines(COINS, frame, scored, bundle.load(folder / "bundle").schema))
    return folder


def rows(made: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Raw rows of the holdout, and their judged scores."""
    dataset = files.read_json(made / data.DATASET)
    return data.load(dataset, "test", made / data.PERIODS), files.read_parquet(made / "evaluation" / "scores.parquet")


def bento(folder: Path, out: Path) -> tuple[str, Path]:
    """The Bento of a candidate, with the serving code of this repository."""
    return image.build(image.read(folder), ROOT, out)
