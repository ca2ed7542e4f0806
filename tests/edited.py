"""A copy of the repository in which somebody has changed every value of params.yaml that is theirs to change.

    python tests/edited.py build/edited
    make -C build/edited test

The framework's tests pass there as they do here: they read nothing of it. The problem's pass for any ordinary value.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from ratchet import params
from rehearsal import project

VALUES: dict[str, Any] = {
    "data.periods": ["2013-01", "2013-02", "2013-03", "2013-04", "2013-05"],
    "data.holdout": 2,
    "data.checks.quarantined": 0.02,
    "data.checks.duplicated": 0.002,
    "data.checks.rows": [0.6, 1.5],
    "data.checks.nulls": 0.2,
    "data.checks.label_rate": 0.3,
    "data.checks.gap_days": 2,
    "train.seed": 1,
    "train.folds": 4,
    "train.cost_ratio": 3.0,
    "model.learning_rate": 0.03,
    "model.max_iter": 120,
    "model.max_leaf_nodes": 6,
    "model.min_samples_leaf": 80,
    "model.l2_regularization": 2.0,
    "model.max_features": 0.8,
    "gate.metric": "roc_auc",
    "gate.delta": 0.002,
    "gate.margin": 0.006,
    "gate.level": 0.1,
    "gate.slice_margin": 0.03,
    "gate.slice_rows": 400,
    "gate.calibration_slope": [0.6, 1.5],
    "gate.bundle_megabytes": 40,
    "drift.false_alarms": 0.1,
    "drift.least": 0.2,
    "drift.fall": 0.02,
    "drift.slice_fall": 0.06,
    "drift.labelled": 0.8,
    "drift.p99_milliseconds": 300,
    "drift.error_rate": 0.02,
    "drift.log": "predictions",
    "drift.prometheus": "http://localhost:9090",
    "tracking.experiment": "ours",
    "tracking.timeout": 30,
}


def copy(target: Path) -> None:
    """Make the copy, a git repository of its own."""
    project.copy(target)
    params.edit(target / "params.yaml", VALUES)
    subprocess.run(["git", "init", "--quiet"], cwd=target, check=True)
    subprocess.run(["git", "add", "--all"], cwd=target, check=True)


if __name__ == "__main__":
    copy(Path(sys.argv[1]))
