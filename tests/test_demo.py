"""The story that a newcomer sees first."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def status() -> str:
    """What git sees of the working tree, ignored files left out."""
    return subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_demo_tells_better_from_worse_from_noise_and_leaves_the_tree_alone() -> None:
    """Three changes, three verdicts with reports; what an earlier run left is in nobody's way."""
    stale = ROOT / "build" / "demo" / "champion"
    stale.mkdir(parents=True, exist_ok=True)
    (stale / "params.yaml").write_text("left by a run that was killed")
    before = status()

    done = subprocess.run(
        [sys.executable, "rehearsal/demo.py"], cwd=ROOT, capture_output=True, text=True, timeout=840, check=False
    )

    assert done.returncode == 0, done.stderr
    reports = {path.parent.name: path for path in (ROOT / "build" / "demo" / "reports").glob("*/report.html")}
    found = {name: json.loads((path.parent / "verdict.json").read_text()) for name, path in reports.items()}
    assert {name: verdict["verdict"] for name, verdict in found.items()} == {
        "more-data": "promote",
        "crippled": "block",
        "another-seed": "hold",
    }
    assert all(verdict["sentence"] in done.stdout for verdict in found.values())
    assert status() == before
