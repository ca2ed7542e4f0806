"""A repository on a local forge with models that were judged, and a checkout of its main where releases are made."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import report_example
from evidence_example import code, evidence_of, lock_of, params_of, repository_of
from forge_example import Desk
from outputs_example import COINS, build
from ratchet import bundle, folders, ledger, lock, release
from ratchet.forge import Forge
from ratchet.maintain import Deed
from ratchet.release.candidate import Candidate
from ratchet.release.publish import Built, publish
from ratchet.release.resolve import candidate

RUN = 700
MODELS = {"weak": "stump", "good": "hist"}
DEED = Deed("ada", "", RUN)
NOT_BUILT = Built()
WORDS = {"promote": None, "block": None, "safe": "safe", "cannot tell": "cannot tell"}


@dataclass
class Yard:
    """A repository, and a checkout of its main where releases are made."""

    desk: Desk
    outputs: Path
    scratch: Path
    job: Forge | None = None

    @property
    def client(self) -> Forge:
        """With the rights of the owner, or of a job."""
        return self.job or self.desk.client(tries=2)

    @property
    def root(self) -> Path:
        """The checkout."""
        return self.scratch / "root"

    def main(self, name: str, **more: str) -> None:
        """Main holds the lock of one of the models and the code that they run, and is checked out."""
        self.desk.commit("main", {**code(), **repository_of(self.outputs / name, MODELS[name]), **more})
        self.checkout()

    def checkout(self) -> None:
        """As release.yml does."""
        if self.root.exists():
            git(self.root, "pull", "--quiet", "--ff-only")
        else:
            git(self.scratch, "clone", "--quiet", f"{self.desk.server.url}/{self.desk.name}.git", str(self.root))

    def released(self, name: str) -> None:
        """A model is released and recorded as model-v1, with the lock that main has now."""
        archive = self.scratch / "first" / "bundle.zip"
        archive.parent.mkdir()
        release.pack(self.outputs / name / "bundle", archive)
        sha = str(self.desk.git.branch("main"))
        self.client.create_release("model-v1", sha, "Model 1", "", [archive])
        ledger.Ledger(self.client).append(
            ledger.record(
                "release",
                ledger.now(),
                tag="model-v1",
                sha=sha,
                run=1,
                model_digest=self.digest(name),
                lock_digest=lock.digest_of(self.root),
                pull_request=None,
                verdict=None,
            )
        )

    def judged(self, name: str, said: str = "promote", **more: Any) -> dict[str, Any]:
        """A run has left a model as its evidence, and the ledger has a verdict about it, as about main's lock."""
        run = self.desk.run()
        given = params_of(self.outputs / name, MODELS[name])
        folder = self.scratch / f"evidence-{run.id}"
        artifact = self.desk.server.store_artifact(
            run, "evidence", evidence_of(self.outputs / name, lock_of(self.outputs / name, given), folder)
        )
        self.desk.server.close_run(run, "success")
        word = said if WORDS[said] is None else "hold"
        judgement = report_example.judgement(
            {
                **report_example.verdict(),
                "verdict": word,
                "hold": WORDS[said],
                "sentence": f"{said.capitalize()}: as it was found.",
            },
            run={"id": run.id, "attempt": 1, "url": ""},
            head={"sha": run.head_sha, "repository": self.desk.name, "branch": "change", "is_fork": False},
            artifact={"id": artifact.id, "digest": artifact.digest},
            model_digest=self.digest(name),
            lock_digest=lock.digest_of(self.root),
        )
        return ledger.Ledger(self.client).append(ledger.verdict({**judgement, **more}, 3, ledger.now()))

    def digest(self, name: str) -> str:
        """The model digest of one of the models."""
        return bundle.digest(self.outputs / name / "bundle")

    @property
    def folder(self) -> Path:
        """Of the candidate."""
        return self.scratch / "candidate"

    def candidate(self) -> Candidate:
        """What the first job of release.yml does."""
        # One process imports one package of a name: that of tests/problems, of which the checkout has a copy.
        with mock.patch.object(folders, "find", return_value=COINS.folder):
            return candidate(self.client, self.root, self.folder)

    def publish(self, built: Built = NOT_BUILT) -> list[str]:
        """What its last job does."""
        return publish(self.client, self.folder, built, DEED, self.root)

    def release(self, built: Built = NOT_BUILT) -> list[str]:
        """What release.yml does; what it said, of which nothing is left when there was nothing to do."""
        found = self.candidate()
        return [found.sentence] if found.next == "nothing" else self.publish(built)

    def records(self) -> list[dict[str, Any]]:
        """The releases in the ledger, oldest first."""
        return ledger.Ledger(self.client).listing().releases()

    def tags(self) -> list[str]:
        """The releases that are published, oldest first."""
        return [found.tag for found in self.desk.server.releases(self.desk.name) if not found.draft]


def models(root: Path) -> Path:
    """A weak and a good model, tested on the same month."""
    build(root / "weak", ["2013-02", "2013-03"], MODELS["weak"])
    build(root / "good", ["2013-01", "2013-02", "2013-03"], MODELS["good"])
    return root


def git(folder: Path, *arguments: str) -> str:
    """Run git."""
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


COPY = """import shutil, sys
for name in ("data", "model", "bundle", "evaluation"):
    shutil.copytree(f"{sys.argv[1]}/{name}", name, dirs_exist_ok=True)
"""
