"""What a proposal touches: ci.yml runs the tests of that, and no others.

Only what is known to be the problem's or a document is left to few tests; every other file counts as the framework's,
so that a new file anywhere is tested by everything.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet import folders, yaml12
from ratchet.errors import RatchetError

PARAMS = "params.yaml"
WRITTEN = (PARAMS, "dvc.lock", "revisions.json")
OWN = ("tests/test_repository.py",)
"""Tests of the repository's own files, whatever they hold; they take seconds, and always run."""
DOCUMENTS = ("tests/test_docs.py",)
ALL = ("--ignore=tests/rehearsal",)
"""Every test but those of the rehearsal, which are a job of their own."""


@dataclass(frozen=True)
class Scope:
    """What ci.yml has to do.

    Attributes:
        framework: The framework's own tests run, too.
        tests: What `make test` is narrowed to in the job `tests`.
        skips: Jobs that may be skipped.
    """

    framework: bool
    tests: tuple[str, ...]

    @property
    def skips(self) -> tuple[str, ...]:
        """Names of the jobs that may be skipped."""
        return () if self.framework else ("rehearsal",)


def of(paths: Iterable[str] | None, problem: str | None, proposed: str | None = None) -> Scope:
    """What a change of these files is tested by.

    Args:
        paths: From the root of the repository; None when nobody knows, and everything may have changed.
        problem: The package in `src/` that holds the problem on the base; None when nobody knows.
        proposed: The one that the change would have instead.
    """
    if paths is None:
        return Scope(framework=True, tests=ALL)
    touched = {_owner(path, problem) for path in paths}
    if "framework" in touched:
        return Scope(framework=True, tests=ALL)
    problems = dict.fromkeys(name for name in (problem, proposed) if name)
    of_problem = tuple(f"tests/{name}" for name in problems) if "problem" in touched else ()
    return Scope(framework=False, tests=OWN + of_problem + (DOCUMENTS if "document" in touched else ()))


def _owner(path: str, problem: str | None) -> str:
    if path == "README.md" or path.startswith("docs/"):
        return "document"
    # What the loop itself writes is no reason to test the loop.
    if path in WRITTEN or (problem and path.startswith((f"src/{problem}/", f"tests/{problem}/"))):
        return "problem"
    return "framework"


def base_of(event: str, payload: Mapping[str, Any]) -> str | None:
    """The commit or branch that an event's commit is compared with; None for one on the default branch.

    Args:
        event: Its name, as in `on:`.
        payload: What GitHub says of it.
    """
    if event == "pull_request":
        return str(payload["pull_request"]["base"]["sha"])
    default = str(payload["repository"]["default_branch"])
    return None if payload.get("ref") == f"refs/heads/{default}" else f"origin/{default}"


def proposed(base: str, root: Path) -> Scope:
    """What the commit that is checked out in `root` has to be tested by.

    Args:
        base: The commit or branch that it goes to. Where the two part is what it is compared with.
        root: A checkout that knows the commits of both since then.
    """
    # A file that was renamed was removed from one place, which may be another's.
    listed = _git(root, "diff", "--name-only", "--no-renames", "-z", f"{base}...HEAD", "--")
    paths = None if listed is None else listed.split("\0")[:-1]
    found = of(paths, *(_problem(_git(root, "show", f"{commit}:{PARAMS}")) for commit in (base, "HEAD")))
    return Scope(found.framework, tuple(name for name in found.tests if name in ALL or (root / name).exists()))


def _problem(text: str | None) -> str | None:
    try:
        name = yaml12.read_as_dvc((text or "").encode(), PARAMS)["problem"]
    except (RatchetError, TypeError, KeyError):
        return None
    is_problems = isinstance(name, str) and name.isidentifier() and name not in {folders.LOOP, *folders.RESERVED}
    return name if is_problems else None


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", errors="replace", check=False)
    return done.stdout if done.returncode == 0 else None
