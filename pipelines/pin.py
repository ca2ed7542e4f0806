"""Write the locked requirements that models are trained and served with: `python pipelines/pin.py`.

A bump of a linter changes uv.lock, but none of these files, so nothing after this stage runs.
"""

import subprocess
from pathlib import Path

from ratchet import files, params, programs
from ratchet.errors import RatchetError, told_to_the_user
from ratchet.problem import Problem

GROUPS = ("pipeline", "scoring", "scoring-sklearn")


def main() -> None:
    """One file for each group; before anything else the problem must be as it has to be."""
    Problem(params.load().problem)
    with files.directory(Path("environment")) as folder:
        for group in GROUPS:
            (folder / f"{group}.txt").write_text(export(group))


def export(group: str) -> str:
    """Requirements of one group with hashes, and nothing that depends on who exports them."""
    quiet = ["--frozen", "--quiet", "--no-emit-project", "--no-header", "--no-annotate"]
    done = subprocess.run(
        [programs.uv(), "export", *quiet, "--only-group", group], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RatchetError(f"uv.lock: cannot be exported for the group {group!r}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    with told_to_the_user():
        main()
