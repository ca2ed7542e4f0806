"""Copies of this repository in folders of their own: what git would commit now, edits included, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FROZEN = ROOT / "tests" / "problems"
PARAMS = FROZEN / "params.yaml"
"""The parameters that the template comes with, whatever a repository made of it says."""
PROBLEM = FROZEN / "toy_departures"
"""The problem that the template comes with, the flights, under a name of its own: one process can import both."""

NOT_NEEDED = ("tests/", "bench/", "docs/", "rehearsal/", ".ci/")
"""What a pipeline and its workflows do without."""
FEW_TESTS = tuple(
    f"tests/{name}.py"
    for name in ("conftest", "guard", "project", "test_repository", "rehearsal/test_runner_expressions")
)
"""Enough for ci.yml on the default branch to have something to run; all tests take the better part of an hour."""


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


def template(target: Path, without: Sequence[str] = (), but: Sequence[str] = ()) -> None:
    """Copy the same with the template's own parameters and problem in the place of the repository's; without a lock.

    Args:
        target: See `copy`.
        without: See `copy`.
        but: See `copy`.
    """
    own = [f"src/{path.name}/" for path in (ROOT / "src").iterdir() if path.name != "ratchet"]
    copy(target, [*without, *own, "params.yaml", "dvc.lock"], but)
    for name, content in example().items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)


def example() -> dict[str, bytes]:
    """Path to content of the files that the template has for whoever begins with it, as they come."""
    found = {"params.yaml": PARAMS.read_bytes()}
    for path in sorted(path for path in PROBLEM.rglob("*") if path.suffix in {".py", ".yaml"}):
        content = re.sub(rb"^(from|import) toy_departures\b", rb"\1 flights", path.read_bytes(), flags=re.MULTILINE)
        found[f"src/flights/{path.relative_to(PROBLEM).as_posix()}"] = content
    return found
