"""A repository on the local forge with something in it, and git as its client."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from rehearsal.forge import Comment, Forge, Run

NAME = "ada/flights"
WORKFLOW = """\
name: report
on:
  pull_request:
  workflow_dispatch:
    inputs:
      reason:
        type: string
        required: true
      look:
        type: choice
        options: [first, second]
        default: first
permissions: {}
jobs:
  report:
    runs-on: ubuntu-24.04
    steps:
      - run: echo report
"""
UNDISPATCHED = """\
name: ci
on: push
permissions: {}
jobs:
  ci:
    runs-on: ubuntu-24.04
    steps:
      - run: echo ci
"""
SEED: Mapping[str, str] = {
    ".github/workflows/report.yml": WORKFLOW,
    ".github/workflows/ci.yml": UNDISPATCHED,
    "README.md": "# Flights\n",
    "params.yaml": "seed: 1\n\n\n\ntrees: 100\n",
    "src/model.py": "TREES = 100\n",
}
PERSON = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
          {"NAME": "Ada", "EMAIL": "ada@example.org"}.items()}  # fmt: skip
ALONE = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


def attempt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git, whatever comes of it."""
    command = ["git", "-c", "credential.helper=", *arguments]
    environment = {**os.environ, **PERSON, **ALONE}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def git(folder: Path, *arguments: str) -> str:
    """What git prints; an error if it fails."""
    done = attempt(folder, *arguments)
    assert done.returncode == 0, f"git {' '.join(arguments)}\n{done.stderr}"
    return done.stdout.strip()


def address(forge: Forge, token: str | None = None, name: str = NAME) -> str:
    """Where git finds a repository, with a token as the password."""
    parts = urlsplit(forge.url)
    return f"{parts.scheme}://{f'x-access-token:{token}@' if token else ''}{parts.netloc}/{name}.git"


def write(clone: Path, files: Mapping[str, str], message: str) -> str:
    """Commit files to the branch that is checked out; the commit's SHA."""
    for name, text in files.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text, encoding="utf-8")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", message)
    return git(clone, "rev-parse", "HEAD")


def branch(clone: Path, name: str, files: Mapping[str, str], message: str, start: str = "main") -> str:
    """Push a new branch with one commit; the commit's SHA."""
    git(clone, "switch", "--quiet", "--create", name, start)
    sha = write(clone, files, message)
    git(clone, "push", "--quiet", "origin", name)
    return sha


def seeded(forge: Forge, folder: Path) -> Path:
    """Create `ada/flights` with one commit on main; a clone of it whose origin accepts Ada's pushes."""
    forge.create_repository(NAME)
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "remote", "add", "origin", address(forge, forge.token("ada")))
    write(folder, SEED, "Begin")
    git(folder, "push", "--quiet", "origin", "main")
    return folder


def say(forge: Forge, number: int, words: Sequence[str]) -> None:
    """Put comments on an issue, faster than by asking."""
    with forge.changing() as state:
        state.comments += [Comment(state.new_id(), NAME, number, "eve", word) for word in words]


def run_of(sha: str, head_repository: str = NAME, head_branch: str = "more-trees") -> Run:
    """A run of the report for a commit, not yet known to the forge."""
    return Run(NAME, ".github/workflows/report.yml", "report", "pull_request", head_branch, sha, head_repository, "ada")
