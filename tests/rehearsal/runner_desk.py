"""A desk for small workflows that use the real ones' actions: a forge with one repository, its runner, a clone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rehearsal.forge import Forge, Run
from rehearsal.runner import Runner

CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"
UPLOAD = "actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a"
DOWNLOAD = "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c"
CACHE = "actions/cache@55cc8345863c7cc4c66a329aec7e433d2d1c52a9"
GREEN = "re-actors/alls-green@05ac9388f0aebcb5727afa17fcccfecd6f8ec5fe"
REPOSITORY = "ada/flights"
WITHIN = 60.0  # seconds for whatever follows from one event


@dataclass
class Desk:
    """A forge with one repository, its runner, and a clone."""

    forge: Forge
    runner: Runner
    work: Path
    token: str

    def push(
        self, files: Mapping[str, str], branch: str = "main", *, message: str = "A change", to: str = REPOSITORY
    ) -> str:
        """Commit files to a branch and push it; the commit."""
        exists = self.git("branch", "--list", branch)
        self.git("checkout", "--quiet", *([branch] if exists else ["-B", branch]))
        for name, text in files.items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_text(text)
        self.git("add", "--all")
        self.git("-c", "user.name=ada", "-c", "user.email=ada@x", "commit", "--quiet", "--allow-empty", "-m", message)
        url = f"{self.forge.url.replace('//', f'//x:{self.token}@')}/{to}.git"
        self.git("push", "--quiet", url, branch)
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """What git says in the clone."""
        done = subprocess.run(["git", *arguments], cwd=self.work, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def api(self, method: str, path: str, token: str = "", **body: Any) -> httpx.Response:
        """Ask the API about the repository."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        answer = httpx.request(
            method, f"{self.forge.api}/repos/{REPOSITORY}/{path}", headers=headers, json=body or None
        )
        assert answer.is_success, answer.text
        return answer

    def pull(self, head: str, token: str = "") -> int:
        """Open a pull request into main; its number."""
        return int(self.api("POST", "pulls", token, title="A proposal", head=head, base="main").json()["number"])

    def runs(self, name: str) -> list[Run]:
        """The runs of a workflow when nothing is left to do, oldest first."""
        self.runner.wait(WITHIN)
        return [run for run in self.forge.runs(REPOSITORY) if run.name == name]

    def run(self, name: str) -> Run:
        """The only run of a workflow."""
        (run,) = self.runs(name)
        return run


@contextmanager
def opened(folder: Path, environment: Path | None = Path(sys.prefix)) -> Iterator[Desk]:
    """One with an empty repository, whose runs share an environment, or each make their own."""
    work = folder / "work"
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(work)], check=True)
    with Forge(folder / "forge") as forge:
        forge.create_repository(REPOSITORY)
        with Runner(forge, environment=environment) as runner:
            yield Desk(forge, runner, work, forge.token("ada"))


def log(run: Run) -> str:
    """What the run said."""
    return Path(run.log).read_text()


def until(holds: Any) -> None:
    """Wait until something holds."""
    end = time.monotonic() + WITHIN
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def workflow(
    name: str, on: str, steps: str, *, top: str = "", job: str = "permissions: {contents: read}"
) -> dict[str, str]:
    """A workflow file with one job."""
    body = "\n".join(f"      {line}" for line in steps.strip("\n").split("\n"))
    head = f"name: {name}\non: {on}\npermissions: {{}}\n{top}\njobs:\n  job:\n    runs-on: ubuntu-24.04\n    {job}\n"
    return {f".github/workflows/{name}.yml": f"{head}    steps:\n{body}\n"}
