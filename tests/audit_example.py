"""Two released models of coins on a local forge: the first trained there, the second judged and merged; both run.

Every hash is true: the pipeline's own steps have made the models, in this process, and the lock says so.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import report_example
from evidence_example import code, evidence_of
from forge_example import Desk, desk, server
from outputs_example import build, parameters
from ratchet import bundle, files, ledger, lock, release
from ratchet.deploy import branch
from ratchet.deploy.branch import Why, Wish
from ratchet.deploy.state import Environment
from ratchet.forge import Forge
from rehearsal.forge import Forge as Server
from rehearsal.forge import Pull
from rehearsal.forge.state import Review

PERIODS = ["2013-01", "2013-02", "2013-03"]
MODELS = {"model-v1": "stump", "model-v2": "hist"}
IMAGES = {tag: f"ghcr.io/ada/coins@sha256:{digit * 64}" for tag, digit in (("model-v1", "1"), ("model-v2", "2"))}
SENTENCE = "Promote: log loss falls."
PIPELINE = """\
stages:
  ingest:
    foreach: ${data.periods}
    do:
      cmd: python ingest.py ${item}
      outs:
        - data/periods/${item}/rows.parquet
  assemble:
    cmd: python assemble.py
    params: [data]
    deps: [data/periods]
    outs: [data/dataset.json]
  export:
    cmd: python export.py
    params: [train, model]
    deps: [data/dataset.json, src/toy_coins, src/ratchet/bundle.py]
    outs: [bundle]
"""


@dataclass
class Shop:
    """The repository, and where the models lie."""

    desk: Desk
    outputs: Path
    scratch: Path

    @property
    def client(self) -> Forge:
        """With the rights of the owner."""
        return self.desk.client(tries=2)

    @property
    def listing(self) -> ledger.Listing:
        """The ledger."""
        return ledger.Ledger(self.client).listing()

    def digest(self, tag: str) -> str:
        """The model digest of a release."""
        return bundle.digest(self.outputs / MODELS[tag] / "bundle")

    def record(self, tag: str) -> dict[str, Any]:
        """The release in the ledger."""
        found = self.listing.read(f"releases/{tag}.json")
        assert found is not None
        return found

    def publish(self, tag: str, **fields: Any) -> None:
        """A GitHub Release of main as it is, and its record."""
        outputs, folder = self.outputs / MODELS[tag], self.scratch / tag
        folder.mkdir()
        release.pack(outputs / "bundle", folder / "bundle.zip")
        files.copy(outputs / "data/dataset.json", folder / "dataset.json")
        if path := fields.get("verdict"):
            files.write_json(folder / "verdict.json", self.listing.read(path))
        sha = str(self.desk.git.branch("main"))
        tree = {"params.yaml": self.desk.git.read(sha, "params.yaml"), "dvc.lock": self.desk.git.read(sha, "dvc.lock")}
        said = {
            "tag": tag,
            "sha": sha,
            "model_digest": self.digest(tag),
            "lock_digest": locked(tree["dvc.lock"], tree["params.yaml"]),
            "image": IMAGES[tag],
            "pull_request": None,
            "verdict": None,
            **fields,
        }
        files.write_json(folder / "release.json", said)
        files.write_json(folder / "smoke.json", {"image": said["image"], "model": said["model_digest"], "rows": 182})
        assets = sorted(folder.iterdir())
        self.client.create_release(tag, sha, f"Model {tag[-1]}", "", assets)
        sums = {path.name: files.sha256(path) for path in assets}
        ledger.Ledger(self.client).append(ledger.record("release", ledger.now(), run=int(tag[-1]), assets=sums, **said))

    def merged(self, tag: str) -> Pull:
        """A pull request with that model, judged, approved by bob, and merged."""
        change = repository_of(self.outputs / MODELS[tag], MODELS[tag])
        self.desk.commit("better", change, "A better model")
        number = self.client.create_pull("A better model", "better", "main").number
        running, pull = self.desk.server, self.desk.server.pull(self.desk.name, number)
        with running.changing() as state:
            for word, login in (("COMMENTED", "eve"), ("CHANGES_REQUESTED", "bob"), ("APPROVED", "bob")):
                state.reviews.append(Review(state.new_id(), self.desk.name, number, login, word, "", pull.head_sha))
        self.judged(pull, tag, change)
        running.merge(pull, "merge", running.owner(self.desk.name))
        return pull

    def judged(self, pull: Pull, tag: str, change: Mapping[str, str]) -> None:
        """A run has left the evidence of that model, and the ledger has a verdict about it."""
        run = self.desk.run(head_sha=pull.head_sha, head_branch=pull.head_ref)
        folder = self.scratch / f"evidence-{run.id}"
        evidence = evidence_of(self.outputs / MODELS[tag], change["dvc.lock"], folder)
        artifact = self.desk.server.store_artifact(run, "evidence", evidence)
        self.desk.server.close_run(run, "success")
        judgement = report_example.judgement(
            {**report_example.verdict(), "verdict": "promote", "hold": None, "sentence": SENTENCE},
            pull_request=pull.number,
            run={"id": run.id, "attempt": 1, "url": ""},
            head={"sha": run.head_sha, "repository": self.desk.name, "branch": "better", "is_fork": False},
            artifact={"id": artifact.id, "digest": artifact.digest},
            champion={"tag": "model-v1", "digest": self.digest("model-v1")},
            model_digest=self.digest(tag),
            lock_digest=locked(change["dvc.lock"].encode(), change["params.yaml"].encode()),
            lock=None,
        )
        look = judgement["first_look"]
        ledger.Ledger(self.client).append(ledger.verdict(judgement, look, ledger.now()))

    def deploy(self, environment: Environment, wish: Wish, run: int, reason: str = "as planned") -> None:
        """What promote.yml does."""
        branch.promote(self.client, environment, wish, Why("ada", reason, run), self.scratch)

    def rollback(self, run: int, reason: str) -> None:
        """What rollback.yml does."""
        branch.rollback(self.client, "production", None, Why("bob", reason, run))


def models(root: Path) -> Path:
    """Both models, trained and tested on the same months."""
    for kind in MODELS.values():
        build(root / kind, PERIODS, kind)
    return root


def shop(forge: Server, outputs: Path, scratch: Path) -> Shop:
    """A repository with both releases; model-v1 answers in production, model-v2 is a canary there."""
    made = Shop(desk(forge), outputs, scratch)
    made.desk.commit("main", repository_of(outputs / "stump", "stump"), "The project")
    made.publish("model-v1")
    made.deploy("staging", Wish("blue-green", "model-v1"), 11)
    made.deploy("production", Wish("all-at-once", "model-v1"), 12, "The first one")
    pull = made.merged("model-v2")
    (verdict,) = made.listing.verdicts(pull.number)
    judged = {"verdict": ledger.path_of(verdict), "artifact": verdict["artifact"]}
    made.publish("model-v2", pull_request=pull.number, **judged)
    made.deploy("staging", Wish("blue-green", "model-v2"), 13)
    made.deploy("production", Wish("canary", "model-v2"), 14, "A tenth, to begin with")
    return made


@contextmanager
def copied(original: Shop, scratch: Path) -> Iterator[Shop]:
    """The same shop on a forge of its own, to be tampered with."""
    folder, there = original.desk.server.folder, scratch / "forge"
    shutil.copytree(folder, there)
    state = there / "state.json"
    content = json.loads(state.read_text().replace(str(folder), str(there)))
    state.write_text(json.dumps({**content, "port": 0}))  # the original's is in use
    with server(there) as running:
        yield Shop(Desk(running, original.desk.name), original.outputs, scratch)


def repository_of(outputs: Path, kind: str) -> dict[str, str]:
    """The files of a repository whose pipeline has made the outputs."""
    given: dict[str, Any] = parameters(PERIODS, kind).model_dump(mode="json")
    tree = code()
    return {
        **tree,
        "params.yaml": yaml.safe_dump(given, sort_keys=False),
        "dvc.yaml": PIPELINE,
        "dvc.lock": lock_of(outputs, given, tree),
    }


def lock_of(outputs: Path, given: Mapping[str, Any], tree: Mapping[str, str]) -> str:
    """The dvc.lock of that pipeline."""
    rows = {period: _md5(outputs / f"data/periods/{period}/rows.parquet") for period in PERIODS}
    coins = {
        path.removeprefix("src/toy_coins/"): text for path, text in tree.items() if path.startswith("src/toy_coins/")
    }
    held = {path.name: _md5(path) for path in (outputs / "bundle").iterdir()}
    dataset = _item("data/dataset.json", _md5(outputs / "data/dataset.json"))
    stages: dict[str, Any] = {
        f"ingest@{period}": {
            "cmd": f"python ingest.py {period}",
            "outs": [_item(f"data/periods/{period}/rows.parquet", md5)],
        }
        for period, md5 in rows.items()
    }
    periods = lock.directory_md5({f"{period}/rows.parquet": md5 for period, md5 in rows.items()})
    stages["assemble"] = {
        "cmd": "python assemble.py",
        "deps": [_item("data/periods", periods)],
        "params": {"params.yaml": {"data": given["data"]}},
        "outs": [dataset],
    }
    package = lock.directory_md5({name: lock.md5(text.encode()) for name, text in coins.items()})
    scores = _item("src/ratchet/bundle.py", lock.md5(tree["src/ratchet/bundle.py"].encode()))
    stages["export"] = {
        "cmd": "python export.py",
        "deps": [dataset, _item("src/toy_coins", package), scores],
        "params": {"params.yaml": {name: given[name] for name in ("train", "model")}},
        "outs": [_item("bundle", lock.directory_md5(held))],
    }
    plain = json.loads(json.dumps({"schema": "2.0", "stages": stages}))  # without YAML's anchors
    return lock.as_dvc_writes(yaml.safe_dump(plain, sort_keys=False))


def locked(content: bytes | None, parameters_: bytes | None) -> str:
    """The lock digest of a dvc.lock of that pipeline."""
    live = lock.live_of(PIPELINE.encode(), parameters_ or b"")
    return lock.digest(lock.parse((content or b"").decode()), list(live))


def _item(path: str, md5: str) -> dict[str, str]:
    return {"path": path, "hash": "md5", "md5": md5}


def _md5(path: Path) -> str:
    return lock.md5(path.read_bytes())
