"""The story that a newcomer sees first."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGE = ROOT / "build" / "demo"


def status() -> str:
    """What git sees of the working tree, ignored files left out."""
    return subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _asked(line: str) -> dict[str, int]:
    """Shares of the releases in percent, and how many failed."""
    shares = {tag: int(share) for tag, share in re.findall(r"(model-v\d+) (\d+)%", line)}
    (failed,) = re.findall(r"(\d+) failed", line)
    return {**shares, "failed": int(failed)}


@pytest.mark.timeout(1800)
def test_the_demo_releases_judges_refuses_and_merges_and_leaves_the_tree_alone(tmp_path: Path) -> None:
    """Released, blocked, held, promoted, merged without training; canary, all of it, fault, rollback, audit.

    What an earlier run has left is gone.
    """
    stale = STAGE / "forge"
    stale.mkdir(parents=True, exist_ok=True)
    (stale / "state.json").write_text("left by a run that was killed")
    before = status()

    command = [sys.executable, "-m", "rehearsal.demo", "--no-serve", "--export", str(tmp_path / "pages")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1700, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    losses = re.search(r"^  model-v1: Log loss is ([\d.]+), that of the best baseline ([\d.]+)\.$", done.stdout, re.M)
    assert losses is not None, done.stdout
    assert [float(loss) for loss in losses.groups()] == pytest.approx([0.569, 0.5785], abs=0.003)
    said = re.findall(r"^  model-gate +(\w+) +(\w+)", done.stdout, flags=re.MULTILINE)
    assert said == [("failure", "Block"), ("failure", "Hold"), ("success", "Promote")]
    assert re.findall(r"^  ci-gate +(\w+)", done.stdout, flags=re.MULTILINE) == ["success"] * 3
    assert "Merging #1 is refused" in done.stdout
    assert "newest release: model-v2, nothing was trained for it" in done.stdout
    canary, everything, fault, back = map(_asked, re.findall(r"^  \d+ flights asked: .*", done.stdout, re.MULTILINE))
    assert canary["model-v1"] > canary["model-v2"] > 0
    assert (everything["model-v2"], back["model-v1"]) == (100, 100)
    assert (canary["failed"], everything["failed"], back["failed"]) == (0, 0, 0)
    assert fault["model-v1"] > 0
    assert re.search(r"^Rolled back, \d+\.\d s from the click", done.stdout, re.MULTILINE)
    assert done.stdout.count("the chain is complete") == 2
    page = (tmp_path / "pages" / "ada" / "flights" / "pull" / "3" / "index.html").read_text()
    assert "Promote: log loss falls" in page
    assert status() == before
    assert subprocess.run(["pgrep", "--full", str(STAGE)], capture_output=True, check=False).stdout == b""
