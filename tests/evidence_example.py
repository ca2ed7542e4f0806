"""The evidence of a proposal of coins, and a pipeline of one stage that could have made it: no run, real files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from outputs_example import ROOT, parameters
from ratchet import bundle, export, files, intake, lock

CMD = "python make.py"
PIPELINE = f"""stages:
  export:
    cmd: {CMD}
    params: [data, train, model]
    outs: [bundle]
"""
SHA = "b" * 40


def params_of(outputs: Path, kind: str) -> dict[str, Any]:
    """What params.yaml holds for a folder of outputs."""
    dataset = files.read_json(outputs / "data/dataset.json")
    given: dict[str, Any] = parameters([*dataset["train"], *dataset["test"]], kind).model_dump(mode="json")
    return given


def lock_of(outputs: Path, given: Mapping[str, Any]) -> str:
    """The dvc.lock of a folder of outputs."""
    hashes = {path.name: lock.md5(path.read_bytes()) for path in (outputs / "bundle").iterdir()}
    out = {"path": "bundle", "hash": "md5", "md5": lock.directory_md5(hashes)}
    used = {"params.yaml": {name: given[name] for name in ("data", "train", "model")}}
    stage = {"cmd": CMD, "params": used, "outs": [out]}
    return lock.as_dvc_writes(yaml.safe_dump({"schema": "2.0", "stages": {"export": stage}}, sort_keys=False))


def repository_of(outputs: Path, kind: str) -> dict[str, str]:
    """The files of a repository whose pipeline has made the outputs."""
    given = params_of(outputs, kind)
    return {
        "params.yaml": yaml.safe_dump(given, sort_keys=False),
        "dvc.yaml": PIPELINE,
        "dvc.lock": lock_of(outputs, given),
    }


def code() -> dict[str, str]:
    """The files of a repository that bundles of coins run."""
    problems = ROOT / "tests/problems"
    coins = (path for path in sorted((problems / "toy_coins").rglob("*")) if path.suffix in {".py", ".yaml"})
    found = {f"src/{path.relative_to(problems).as_posix()}": path for path in coins}
    found |= {f"src/ratchet/{name}": ROOT / "src/ratchet" / name for name in export.RUNTIME}
    return {name: path.read_text() for name, path in found.items()}


def evidence_of(outputs: Path, locked: str, folder: Path, **run: Any) -> Path:
    """What `ratchet evidence` leaves for a folder of outputs; `run` changes run.json."""
    (folder / "scores").mkdir(parents=True)
    for here, there in intake.OUTPUTS.items():
        shutil.copy(outputs / there, folder / here)
    shutil.copytree(outputs / "bundle", folder / "bundle")
    files.write_text(folder / "dvc.lock", locked)
    files.write_json(folder / "diff.json", {"params": [], "metrics": []})
    said = {
        "version": 1,
        "head_sha": SHA,
        "base_sha": SHA,
        "outcome": "proposed",
        "model_digest": bundle.digest(outputs / "bundle"),
        "lock_digest": "d" * 64,
        "seconds": 4.5,
        "stages": [{"name": "export", "seconds": 4.1}],
        "failure": None,
        "champion": None,
    }
    files.write_json(folder / "run.json", {**said, **run})
    return summed(folder)


def told(folder: Path, outcome: str, **run: Any) -> Path:
    """Evidence without a model: "unchanged" or "failed"."""
    folder.mkdir(parents=True)
    nothing: dict[str, Any] = {"model_digest": None, "lock_digest": None, "seconds": 1.0, "stages": [], "failure": None}
    said = {"version": 1, "head_sha": SHA, "base_sha": SHA, "outcome": outcome, "champion": None, **nothing, **run}
    files.write_json(folder / "run.json", said)
    return summed(folder)


def summed(folder: Path) -> Path:
    """With the manifest of its files as they are."""
    (folder / "manifest.json").unlink(missing_ok=True)
    found = {path.relative_to(folder).as_posix(): files.sha256(path) for path in folder.rglob("*") if path.is_file()}
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "files": found}))
    return folder
