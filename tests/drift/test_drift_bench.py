"""The bench of drift: what it measures is the whole check, partition by partition."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def bench():
    """The script as a module; its neighbour is found beside it, and its name is taken by the package."""
    sys.path.insert(0, str(BENCH))
    spec = importlib.util.spec_from_file_location("drift_bench", BENCH / "drift.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(BENCH))
    return module


def test_a_stored_side_is_read_by_row_groups_and_again(bench, tmp_path, monkeypatch):
    frame = pd.DataFrame({"x": np.arange(10), "score": np.arange(10) / 10})
    frame.to_parquet(tmp_path / "period.parquet", row_group_size=4)
    rows = bench.Stored(tmp_path / "period.parquet", scores=False)
    scores = bench.Stored(tmp_path / "period.parquet", scores=True)

    for _ in range(2):
        assert [part["x"].tolist() for part in rows] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert [len(part) for part in scores] == [4, 4, 2]
    assert next(iter(rows)).columns.tolist() == ["x"]


def test_growth_is_the_slope_between_the_two_largest(bench):
    line = {1_000: (9.0, 900.0), 1_000_000: (1.0, 200.0), 3_000_000: (5.0, 210.0)}
    assert "cost 2.00 s and 5 MB, between 1,000,000 and 3,000,000 rows" in bench.growth(line)
    assert bench.growth({1_000: (9.0, 900.0)}) == ""


def test_a_world_without_change_rarely_fires(bench):
    fired = [bench.alarmed(0.0, 60, seed)[0] for seed in range(20)]
    assert sum(fired) <= 4
