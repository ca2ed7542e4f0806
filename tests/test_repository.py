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


def test_tests_that_share_what_is_costly_run_in_one_process(tmp_path: Path) -> None:
    """Groups work: with some versions of pytest they are ignored without a word, and everything is made twice."""
    text = "import os, pytest\n@pytest.mark.xdist_group('g')\n@pytest.mark.parametrize('n', range(8))\n"
    (tmp_path / "test_it.py").write_text(f"{text}def test_it(n):\n    print(f'pid {{os.getpid()}}')\n")
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-rP", "-p", "no:cacheprovider", "."]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert len({line for line in done.stdout.splitlines() if line.startswith("pid ")}) == 1, done.stdout
