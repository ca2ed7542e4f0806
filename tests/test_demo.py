"""The story that a newcomer sees first."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
STAGE = ROOT / "build" / "demo"


def status() -> str:
    """What git sees of the working tree, ignored files left out."""
    return subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_demo_releases_judges_refuses_and_merges_and_leaves_the_tree_alone(tmp_path: Path) -> None:
    """A first release, a block, a safe hold, a promotion, a merge released without training; what was there is gone."""
    stale = STAGE / "forge"
    stale.mkdir(parents=True, exist_ok=True)
    (stale / "state.json").write_text("left by a run that was killed")
    before = status()

    command = [sys.executable, "-m", "rehearsal.demo", "--no-serve", "--export", str(tmp_path / "pages")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=880, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    said = re.findall(r"^  model-gate +(\w+) +(\w+)", done.stdout, flags=re.MULTILINE)
    assert said == [("failure", "Block"), ("failure", "Hold"), ("success", "Promote")]
    assert re.findall(r"^  ci-gate +(\w+)", done.stdout, flags=re.MULTILINE) == ["success"] * 3
    assert "Merging #1 is refused" in done.stdout
    assert "newest release: model-v2, nothing was trained for it" in done.stdout
    page = (tmp_path / "pages" / "ada" / "flights" / "pull" / "3" / "index.html").read_text()
    assert "Promote: log loss falls" in page
    assert status() == before
    assert subprocess.run(["pgrep", "--full", str(STAGE)], capture_output=True, check=False).stdout == b""
