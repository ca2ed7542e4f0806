"""A problem of one's own, by the real workflow files: a folder in src/ and params.yaml, and it is trained and judged.

Nothing else of the template was edited: the flights are still there, and dvc.yaml and pyproject.toml are as they came.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from scenario import found, gates, log, opened, runs, told, verdicts

pytestmark = pytest.mark.xdist_group("scenarios")

FEATURES, HELPER = "src/mine/model/features.py", "src/mine/model/units.py"
IMPORT = "from mine.model.units import KILOMETRES"


def helped(root: Path) -> None:
    """The features take a number from another module of model/."""
    path = root / FEATURES
    text = path.read_text().replace('row["distance"] / 100', 'row["distance"] / KILOMETRES')
    path.write_text(text.replace("from typing import Any\n", f"from typing import Any\n\n{IMPORT}\n"))
    (root / HELPER).write_text("KILOMETRES = 100\n")


def test_a_change_of_a_feature_and_of_a_helper_is_trained_and_judged(tmp_path: Path) -> None:
    """Each in a pull request of its own; neither is taken for a change of nothing, nor for one of the judge."""
    forge = found(tmp_path / "forge", helped, name="mine")
    with opened(forge, tmp_path / "desk") as desk:
        source = desk.file("main", FEATURES).decode()
        changes = {
            "feature": {FEATURES: source.replace('row["wind"]', 'row["wind"] * 2').encode()},
            "helper": {HELPER: b"KILOMETRES = 10\n"},
        }

        for branch, change in changes.items():
            number = desk.propose(f"Another {branch}", change, branch)
            desk.wait()

            (report,) = (run for run in runs(desk, "report.yml") if run.head_branch == branch)
            assert "Running stage 'train'" in log(report)
            (record,) = verdicts(desk, number)
            assert record["verdict"] in {"promote", "block", "hold"}
            assert record["judge_changed"] == []
            assert "othing to judge" not in told(desk, number)
            assert gates(desk, number)["model-gate"] == ("success" if record["verdict"] == "promote" else "failure")
