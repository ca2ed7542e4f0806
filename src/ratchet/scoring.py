"""Scoring with a bundle in its own environment: its own code and locked requirements, whatever ours have become."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet import bundle, files, programs
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandas as pd

# Runs the wheel as it is, from the archive; -I keeps out everything of the caller's: paths, variables, user packages.
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ratchet.bundle import main; main()"


def score(folder: Path, frame: pd.DataFrame, cache: Path | None = None) -> np.ndarray[Any, Any]:
    """Scores of raw rows by the bundle in `folder`, shape (n,), computed in the bundle's own environment.

    Args:
        folder: The bundle.
        frame: Raw rows; columns the bundle's schema does not know are ignored.
        cache: Where environments are kept; by default in the user's cache folder.

    Raises:
        RatchetError: The bundle was changed, the rows lack a column, or the environment cannot be made or fails.
    """
    opened = bundle.load(folder)
    absent = [name for name in opened.schema["required"] if name not in frame]
    if absent:
        raise RatchetError(f"the rows lack {', '.join(absent)}, which the model {opened.digest[:12]} needs")
    known = [name for name in opened.schema["properties"] if name in frame]
    rows = "".join(f"{json.dumps(row)}\n" for row in bundle.plain_rows(frame[known]))
    (wheel,) = folder.glob("*.whl")
    python = environment(folder, opened.manifest["python"], cache or default_cache())
    command = [str(python), "-I", "-c", _START, str(wheel), str(folder)]
    scores = np.array([json.loads(line) for line in _run(command, rows).splitlines()], dtype=np.float64)
    if len(scores) != len(frame) or not np.isfinite(scores).all():
        raise RatchetError(f"{folder}: gave {len(scores)} scores for {len(frame)} rows, or some that are not finite")
    return scores


def environment(folder: Path, python: str, cache: Path) -> Path:
    """The interpreter of the environment that a bundle's requirements describe; made once, shared by equal ones."""
    requirements = folder / bundle.REQUIREMENTS
    place = cache / f"{files.sha256(requirements)[:16]}-py{python}"
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".new-", dir=cache) as scratch:
            fresh = Path(scratch, "environment")
            _run([programs.uv(), "venv", "--quiet", "--relocatable", "--python", python, str(fresh)])
            options = ["--quiet", "--require-hashes", "--no-deps", "--python", str(fresh / "bin" / "python")]
            _run([programs.uv(), "pip", "install", *options, "--requirements", str(requirements)])
            try:
                fresh.rename(place)
            except OSError:
                if not place.exists():  # otherwise another process made the same meanwhile, and may be using it
                    raise
    return place / "bin" / "python"


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/ratchet/environments`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "ratchet", "environments")


def _run(command: list[str], text: str | None = None) -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        raise RatchetError(f"{Path(command[0]).name} failed in the bundle's environment: {lines[-1]}") from error
    return done.stdout
