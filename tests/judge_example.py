"""A repository whose main holds a model, and proposals of a better one with what their runs have left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evidence_example import evidence_of, lock_of, params_of
from forge_example import Desk
from ratchet import files, judge, release, schemas
from rehearsal.forge import Run as ServerRun
from release_example import MODELS

WEAK, GOOD = MODELS["weak"], MODELS["good"]


@dataclass
class Court:
    """A repository whose main holds the weak model, and proposals to it."""

    desk: Desk
    outputs: Path
    scratch: Path

    def propose(self, changes: Mapping[str, str], owner: str = "ada") -> ServerRun:
        """A pull request, and the run of report.yml for it, in progress."""
        name = self.desk.server.fork(self.desk.name, owner).full_name if owner != "ada" else self.desk.name
        sha = self.desk.commit("change", changes, name=name)
        head = "change" if owner == "ada" else f"{owner}:change"
        self.desk.client().create_pull("Try it", head, "main")
        return self.begun(self.desk.run(head_sha=sha, head_branch="change", head_repository=name))

    def begun(self, run: ServerRun) -> ServerRun:
        """A job of it has begun."""
        self.desk.server.begin_job(run, "report", {})
        return run

    def propose_good(self, **more: str) -> ServerRun:
        """The good model's parameters."""
        changed = yaml.safe_dump(params_of(self.outputs / "good", GOOD), sort_keys=False)
        return self.propose({"params.yaml": changed, **more})

    @property
    def good_lock(self) -> str:
        """The lock of the good model."""
        return lock_of(self.outputs / "good", params_of(self.outputs / "good", GOOD))

    def hand_in(self, run: ServerRun, locked: str = "", conclusion: str = "success", **said: Any) -> Path:
        """The good model as evidence of the run, which ends."""
        said = {"head_sha": run.head_sha, **said}
        folder = evidence_of(self.outputs / "good", locked or self.good_lock, self.scratch / "evidence", **said)
        return self.upload(run, folder, conclusion)

    def upload(self, run: ServerRun, folder: Path, conclusion: str = "success") -> Path:
        """A folder as evidence of the run, which ends."""
        self.desk.server.store_artifact(run, "evidence", folder)
        self.desk.server.close_run(run, conclusion)
        return folder

    def judge(self, run: ServerRun, attempt: int = 1) -> dict[str, Any]:
        """The judgement, which must be there and have its shape."""
        found = judge.judge(self.desk.client(tries=2), run.id, attempt, self.out, self.scratch / "cache")
        assert found is not None
        assert schemas.validated("judgement", files.read_json(self.out / "judgement.json")) == found
        return found

    def release(self, name: str) -> None:
        """One of the models is released as model-v1."""
        archive = self.scratch / "bundle.zip"
        release.pack(self.outputs / name / "bundle", archive)
        main = str(self.desk.git.branch("main"))
        self.desk.client().create_release("model-v1", main, "Model 1", "", [archive])

    @property
    def out(self) -> Path:
        """Where the judge writes."""
        return self.scratch / "judgement"
