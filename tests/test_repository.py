"""What is committed fits together."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_committed_lock_is_that_of_the_committed_pipeline(tmp_path: Path) -> None:
    """In a copy without outputs and cache, no stage's code, parameters or inputs differ from what dvc.lock says."""
    for name in ("dvc.yaml", "dvc.lock", "params.yaml", "pyproject.toml", "uv.lock", ".python-version", ".dvcignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("src", "pipelines"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "--quiet"], cwd=tmp_path, check=True)

    done = subprocess.run(
        [*dvc, "repro", "--dry", "--allow-missing"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert "Data and pipelines are up to date." in done.stdout + done.stderr, "run `dvc repro` and commit dvc.lock"
