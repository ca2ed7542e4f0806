"""Stand-ins for actions of others: which there are, and a folder for each where act finds it."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ratchet.errors import RatchetError

FOLDER = Path(__file__).parent / "actions"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class StandIns:
    """Where they are.

    Attributes:
        actions: `owner/name` in lower case to a folder.
        programs: A folder that comes first on PATH.
    """

    actions: Mapping[str, Path]
    programs: Path


def prepare(target: Path) -> StandIns:
    """Copy the stand-ins, each with the code they share.

    Args:
        target: A folder that is not there yet.
    """
    found = {}
    for place in sorted(FOLDER.glob("*__*")):
        owner, _, name = place.name.partition("__")
        shutil.copytree(place, target / place.name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(FOLDER / "runtime.py", target / place.name / "runtime.py")
        found[f"{owner}/{name}".lower()] = target / place.name
    programs = target / "programs"
    programs.mkdir()
    shutil.copyfile(FOLDER / "hash_files.py", programs / "hash_files.py")
    for name in ("node", "uv"):
        shutil.copy(FOLDER / f"{name}.sh", programs / name)
    docker(programs)
    return StandIns(found, programs)


def docker(programs: Path) -> Path:
    """Put a `docker` that runs what the registry at a desk holds into a folder for PATH; the program.

    It works outside the runner, too, where REHEARSAL_REGISTRY names the registry.
    """
    programs.mkdir(parents=True, exist_ok=True)
    for name in ("docker.py", "spdx.py"):
        shutil.copyfile(FOLDER / name, programs / name)
    words = [sys.executable, "-Es", str(programs / "docker.py")]
    program = programs / "docker"
    start = f'export REHEARSAL_ROOT={shlex.quote(str(ROOT))}\nexec {shlex.join(words)} "$@"\n'
    program.write_text(f"#!/bin/sh\n{start}", encoding="utf-8")
    program.chmod(0o755)
    return program


def choose(used: Iterable[str], known: Mapping[str, Path]) -> dict[str, Path]:
    """What act needs to find the stand-ins: `owner/name@ref` to a folder.

    Raises:
        RatchetError: An action has no stand-in, or cannot have one.
    """
    found = {}
    for one in used:
        if one.startswith("docker://") or "@" not in one:
            raise RatchetError(f"`uses: {one}` cannot be rehearsed: only actions of repositories can")
        place, ref = one.rsplit("@", 1)
        name = "/".join(place.split("/")[:2])
        if name.lower() not in known:
            folder = f"rehearsal/runner/actions/{name.replace('/', '__')}"
            raise RatchetError(
                f"`uses: {one}` has no stand-in\nwrite {folder}/action.yml, which does here what it does there"
            )
        found[f"{name}@{ref}"] = known[name.lower()]
    return found
