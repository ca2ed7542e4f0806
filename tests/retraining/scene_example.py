"""A champion of the coins, which knows a winter of throws, and whatever the source has of the months after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from outputs_example import parameters
from ratchet import data, files
from ratchet.drift import Judged
from ratchet.errors import AbsentError
from ratchet.evidence import Champion
from ratchet.problem import Problem
from ratchet.retraining import facts

KNOWN = ["2013-01", "2013-02", "2013-03"]
DIGEST = "b" * 64

Source = Callable[[str], pd.DataFrame]


class Coins(Problem):
    """The coins; of the months after March the source has only what is given."""

    def __init__(self, **months: pd.DataFrame) -> None:
        super().__init__("toy_coins")
        self._months = {name.removeprefix("m").replace("_", "-"): frame for name, frame in months.items()}

    def fetch(self, period: str) -> pd.DataFrame:
        """The rows of a month."""
        if period in KNOWN:
            return super().fetch(period)
        if period not in self._months:
            raise AbsentError(f"there are no throws of {period}")
        return self._months[period]


def throws(period: str, **columns: Any) -> pd.DataFrame:
    """What the source of the coins has, with other columns."""
    return Problem("toy_coins").fetch(period).assign(**columns)


def scores(frame: pd.DataFrame) -> np.ndarray:
    """The champion: force and gold make heads."""
    strength = frame["force"].fillna(5.0) + 3 * (frame["metal"] == "gold").to_numpy() - 6
    return np.asarray(1 / (1 + np.exp(-strength / 1.2)), dtype=np.float64)


def scene(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    problem: Problem,
    blocked: Mapping[int, str] | None = None,
    **changes: Any,
) -> facts.Scene:
    """Main, checked out, and the champion; `changes` are those of `drift:` in params.yaml."""
    given = parameters(KNOWN)
    given = given.model_copy(update={"drift": given.drift.model_copy(update=changes)})
    for period in KNOWN:
        data.write(data.ingest(problem, period, given.data.checks), root / data.PERIODS / period)
    dataset = data.assemble(problem, given.data, root / data.PERIODS)
    monkeypatch.setattr(facts, "scored", lambda _, frame: scores(frame))
    monkeypatch.setattr(facts, "judged", judged)
    return facts.Scene(root, given, problem, Champion("model-v1", root), DIGEST, dataset, blocked or {})


def judged(given: facts.Scene) -> Judged:
    """The champion on March."""
    rows = files.read_parquet(given.root / data.PERIODS / KNOWN[-1] / data.ROWS).dropna(subset=["head"])
    return Judged(pd.DataFrame({"cluster": rows["day"], "label": rows["head"], "score": scores(rows)}), 0.5)
