"""A problem of one's own, by the real workflow files: a folder in src/ and params.yaml, and it is trained and judged.

Nothing else of the template was edited: the flights are still there, and dvc.yaml and pyproject.toml are as they came.
Only release.yml is left out, for nothing here is released: what is proposed is held against the baseline.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from scenario import CHECKS, gates, log, runs, told, verdicts

import project
from rehearsal.desk import Desk

pytestmark = pytest.mark.xdist_group("scenarios")

FEATURES, HELPER = "src/mine/model/features.py", "src/mine/model/units.py"
IMPORT = "from mine.model.units import KILOMETRES"


def made(folder: Path) -> Path:
    """A repository in which the problem was reproduced and its lock committed; its features use a helper."""
    mine = project.delays(folder, "mine", model__alpha=100.0)
    mine.replace(FEATURES, 'row["distance"] / 100', 'row["distance"] / KILOMETRES')
    mine.replace(FEATURES, "from typing import Any\n", f"from typing import Any\n\n{IMPORT}\n")
    (folder / HELPER).write_text("KILOMETRES = 100\n")
    (folder / "Makefile").write_text(CHECKS)
    (folder / ".github/workflows/release.yml").unlink()
    mine.repro()
    mine.commit("A problem of our own, reproduced")
    return folder


def test_a_change_of_a_feature_and_of_a_helper_is_trained_and_judged(tmp_path: Path) -> None:
    """Each in a pull request of its own; neither is taken for a change of nothing, nor for one of the judge."""
    source = made(tmp_path / "project")
    features = (source / FEATURES).read_text()
    changes = {
        "feature": {FEATURES: features.replace('row["wind"]', 'row["wind"] * 2').encode()},
        "helper": {HELPER: b"KILOMETRES = 10\n"},
    }
    with Desk(tmp_path / "desk") as desk:
        desk.found(source)
        desk.wait()

        proposed = {name: desk.propose(f"Another {name}", change, name) for name, change in changes.items()}
        desk.wait()

        for name, number in proposed.items():
            (report,) = (run for run in runs(desk, "report.yml") if run.head_branch == name)
            assert "Running stage 'train'" in log(report)
            (record,) = verdicts(desk, number)
            assert record["verdict"] in {"promote", "block", "hold"}
            assert record["judge_changed"] == []
            assert "othing to judge" not in told(desk, number)
            assert gates(desk, number)["model-gate"] == ("success" if record["verdict"] == "promote" else "failure")
