"""A copy of this repository in a folder of its own, on which tests and benchmarks run the real pipeline.

A copy holds what git would commit now, and is a git repository with a DVC cache inside. Its stages import its own
`src/`, so that a test may change code, too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet import bundle, files, lock, params
from rehearsal import project

DELAYS = project.ROOT / "tests" / "problems" / "toy_delays"
OUTPUTS = ("data", "environment", "model", "bundle", "evaluation", "card")


@dataclass(frozen=True)
class Done:
    """A command that has ended, and what it said on both of its streams."""

    code: int
    out: str

    @property
    def ran(self) -> list[str]:
        """The stages that `dvc repro` has run, in their order."""
        return re.findall(r"Running stage '([^']+)'", self.out)


@dataclass(frozen=True)
class Project:
    """A copy of the repository at `root`; see `flights` and `delays`, which make one."""

    root: Path

    def run(self, *command: str, **variables: str) -> Done:
        """Run a program in the copy, with more environment variables."""
        return self._ran(command, {**environment(self.root), **variables})

    def dvc(self, *arguments: str, **variables: str) -> Done:
        """Run `dvc`, whatever it answers."""
        return self.run(sys.executable, "-m", "dvc", *arguments, **variables)

    def bare(self, *arguments: str) -> Done:
        """Run `.venv/bin/dvc` where no environment is active: `python` is another there, `dvc` at most a link."""
        place = self.root / ".venv"
        if not place.exists():
            place.mkdir()
            shutil.copy(Path(sys.prefix, "pyvenv.cfg"), place)
            for name in ("bin", "lib"):
                (place / name).symlink_to(Path(sys.prefix, name))
        path = self.other_python()
        (Path(path.partition(os.pathsep)[0]) / "dvc").symlink_to(place / "bin" / "dvc")
        variables = {"HOME": os.environ["HOME"], "DVC_SITE_CACHE_DIR": environment(self.root)["DVC_SITE_CACHE_DIR"]}
        return self._ran([str(place / "bin" / "dvc"), *arguments], {"PATH": path, **variables})

    def other_python(self) -> str:
        """A PATH whose `python` has nothing that the pipeline needs."""
        folder = Path(tempfile.mkdtemp(dir=self.root.parent))
        (folder / "python").write_text("#!/bin/sh\nexit 1\n")
        (folder / "python").chmod(0o755)
        return os.pathsep.join([str(folder), "/usr/bin", "/bin"])

    def ratchet(self, *arguments: str) -> Done:
        """Run `ratchet`, whatever it answers."""
        return self.run(sys.executable, "-m", "ratchet", *arguments)

    def repro(self, *targets: str, **variables: str) -> list[str]:
        """`dvc repro`, up to some stages if they are named, which must succeed; the stages that ran."""
        done = self.dvc("repro", *targets, **variables)
        assert done.code == 0, done.out
        return done.ran

    def edit(self, **changes: Any) -> None:
        """Change values of params.yaml; two underscores stand for a dot: `data__periods`."""
        params.edit(self.root / "params.yaml", {name.replace("__", "."): value for name, value in changes.items()})

    def replace(self, name: str, old: str, new: str) -> None:
        """Change text that stands in a file exactly once."""
        path = self.root / name
        text = path.read_text()
        assert text.count(old) == 1, f"{name} has {text.count(old)} x {old!r}"
        path.write_text(text.replace(old, new))

    def commit(self, message: str) -> None:
        """Commit everything, as nobody in particular."""
        author = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"]
        self._git("add", "--all")
        self._git(*author, "commit", "--quiet", "--no-verify", "--message", message)

    def twin(self, target: Path) -> Project:
        """The same project in another folder, with its outputs and its cache."""
        shutil.copytree(self.root, target, symlinks=True)
        return Project(target)

    def forget(self) -> None:
        """Remove every output and empty DVC's cache; code, parameters and dvc.lock stay."""
        for name in (*OUTPUTS, ".dvc/cache", ".dvc/tmp"):
            shutil.rmtree(self.root / name, ignore_errors=True)

    @property
    def model_digest(self) -> str:
        """SHA-256 of the bundle's manifest."""
        return bundle.digest(self.root / "bundle")

    @property
    def lock_digest(self) -> str:
        """SHA-256 of what dvc.lock says of the live stages."""
        return lock.digest_of(self.root)

    def hashes(self, folders: Collection[str] = OUTPUTS) -> dict[str, str]:
        """SHA-256 of every file in the folders of outputs, by its path."""
        found = (path for name in folders for path in sorted((self.root / name).rglob("*")) if path.is_file())
        return {str(path.relative_to(self.root)): files.sha256(path) for path in found}

    def read(self, name: str) -> Any:
        """A JSON file of the project."""
        return files.read_json(self.root / name)

    def _ran(self, command: Sequence[str], variables: Mapping[str, str]) -> Done:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.root, check=True)


def flights(target: Path, **changes: Any) -> Project:
    """A copy of the repository with the template's problem; `changes` as in `Project.edit`."""
    project.template(target, without=project.NOT_NEEDED)
    copied = Project(target)
    copied.edit(**changes)
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main"], cwd=target, check=True)
    # As in a clone: git knows the default branch of origin, which has what main has.
    subprocess.run(["git", "symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/main"], cwd=target, check=True)
    copied.commit("A copy")
    return copied


def delays(target: Path, name: str = "delays", **changes: Any) -> Project:
    """A copy of the repository with the tiny regression problem of the tests in `src/`, under that name.

    What anybody does who brings a problem: a folder and params.yaml, nothing else is edited.
    """
    copied = flights(
        target,
        problem=name,
        data__periods=["2021-01", "2021-02", "2021-03"],
        gate__metric="mae",
        gate__slice_rows=50,
    )
    shutil.copytree(DELAYS, target / "src" / name, ignore=shutil.ignore_patterns("__pycache__"))
    parameters = target / "params.yaml"
    parameters.write_text(re.sub(r"(?ms)^model:.*?(?=^\w)", "model:\n  alpha: 1.0\n\n", parameters.read_text()))
    copied.edit(**changes)
    copied.commit("A problem of our own")
    return copied


def environment(root: Path) -> Mapping[str, str]:
    """Ours, without what would lead out of the copy, and with this interpreter's programs first."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "GIT_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**ours, "PATH": path, "PYTHONPATH": str(root / "src"), "DVC_SITE_CACHE_DIR": str(root / ".dvc/tmp/site")}
