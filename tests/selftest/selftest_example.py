"""A repository that the self-test can ask about, on a forge of its own, and the self-test's two jobs on it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from forge_example import Desk
from ratchet.forge import Forge as Client
from ratchet.selftest.answers import Answers
from ratchet.selftest.ask import ask, comment
from ratchet.selftest.scene import WORKFLOW, Wait
from rehearsal.forge import BotRuns, Run
from rehearsal.forge import Forge as Server
from rehearsal.runner import Runner, workflow

ROOT = Path(__file__).resolve().parents[2]
NAME = "ada/flights"
WAIT = Wait(seconds=0.6, pause=0.05)
LISTENING = (
    "name: {0}\non: [pull_request, push]\njobs:\n  {0}:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: date\n"
)
CI = ".github/workflows/ci.yml"
FILES = {
    CI: LISTENING.format("ci"),
    ".github/workflows/report.yml": LISTENING.format("report").replace(", push", ""),
    WORKFLOW: (ROOT / WORKFLOW).read_text("utf-8"),
    "params.yaml": "problem: flights\n",
}
JOBS = workflow.parse(WORKFLOW, FILES[WORKFLOW]).jobs


@dataclass
class World(Desk):
    """The repository, and what the self-test finds there."""

    def selftest(self) -> Answers:
        """Both jobs, one after the other, each with the permissions that its file gives it."""
        run = self.begin()
        found = ask(self.job_of(run, "ask"), run.id, WAIT)
        return self.end(run, comment(self.job_of(run, "comment"), run.id, WAIT, found))

    def begin(self) -> Run:
        """A run that has uploaded its artifact."""
        run = self.run(WORKFLOW, event="workflow_dispatch")
        self.server.store_artifact(run, "selftest-probe", Path("params.yaml"))
        return run

    def job_of(self, run: Run, name: str) -> Client:
        """The client of one of its jobs, which ends the one before it."""
        for job in run.jobs:
            self.server.end_job(job, "success")
        self.server.begin_job(run, name, JOBS[name].permissions or {})
        return self.client(self.server.mint(run), tries=2)

    def end(self, run: Run, found: Answers) -> Answers:
        """The run is over."""
        self.server.close_run(run, "success")
        return found

    @property
    def older(self) -> str:
        """The commit before the last change of a workflow file."""
        return str(self.git.commit(str(self.git.branch("main"))).parents[0])

    def branches(self) -> list[str]:
        """Names of all branches."""
        return sorted(name.removeprefix("refs/heads/") for name in self.git.refs("refs/heads/"))

    def runs(self) -> list[Run]:
        """The runs that are not the self-test's own."""
        return [run for run in self.server.runs(self.name) if run.head_branch != "main"]


@contextmanager
def world(
    folder: Path, bot_runs: BotRuns = "held", *, without: str = "", executes: bool = True, new: bool = False
) -> Iterator[World]:
    """A repository that is set up as on the first day; the working directory is a checkout of it.

    Args:
        folder: Of it all.
        bot_runs: What becomes of what a workflow's token causes.
        without: A file that it lacks.
        executes: Something runs its workflows.
        new: It is as step 1 of the first day leaves it: one commit, no ruleset.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    with Server(folder / "forge", bot_runs=bot_runs) as server:
        server.create_repository(NAME)
        made = World(server, NAME)
        made.commit("main", {path: text for path, text in FILES.items() if path != without}, "Begin")
        server.repository(NAME).settings.actions_may_open_pulls = True
        if not new:
            made.commit("main", {CI: f"{FILES[CI]}# changed\n"}, "Change a workflow")
            ruleset = json.loads((ROOT / ".github/rulesets/main.json").read_text("utf-8"))
            server.repository(NAME).rulesets.append({"id": 1, **ruleset})
        (folder / "params.yaml").write_text(FILES["params.yaml"])
        os.chdir(folder)
        try:
            with Runner(server, workers=1) if executes else nullcontext():
                yield made
        finally:
            os.chdir(before)
