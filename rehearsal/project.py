"""A copy of this repository in a folder of its own: what git would commit now, edits included, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = Path(__file__).parent / "example"
PARAMS = EXAMPLE / "params.yaml"
"""The parameters that the template came with, whatever a repository made of it says."""
NOT_NEEDED = ("tests/", "bench/", "docs/", "rehearsal/", ".ci/")
"""What a pipeline and its workflows do without."""
LONG = ("tests/", "bench/", "docs/")
FEW_TESTS = ("tests/conftest.py", "tests/test_params.py", "tests/rehearsal/test_runner_expressions.py")
"""Enough for ci.yml to have something to run; all tests take minutes."""


def copy(target: Path, without: Sequence[str] = (), but: Sequence[str] = ()) -> None:
    """Copy the working tree's files that git knows or would add.

    Args:
        target: The folder, which may exist.
        without: Beginnings of paths that stay behind.
        but: Beginnings of those among them that come along.
    """
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in listed:
        stays = name.startswith(tuple(without)) and not name.startswith(tuple(but))
        if name and not stays and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
