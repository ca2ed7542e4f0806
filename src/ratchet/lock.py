"""`dvc.lock`: what it says, without what its history has left in it.

The file's text depends on the order in which stages were first run, keeps stages that are gone, and changes with DVC's
version. The *lock digest* is the SHA-256 of what remains when that is taken away: for each live stage its command, the
paths and content hashes of its dependencies and outputs, and its parameters.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from ratchet import files
from ratchet.errors import RatchetError

NOISE = frozenset({"hash", "size", "nfiles", "isexec"})
"""Keys of a dependency or output that follow from its content hash, from DVC's version or from the file system."""

Stages = Mapping[str, Mapping[str, Any]]


def read(path: Path) -> Stages:
    """The stages of a lock file, by name (`ingest@2013-01`); none when there is no such file yet.

    Raises:
        RatchetError: It is not YAML, or not a lock file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise RatchetError(f"{path}: cannot be read: {error}") from error
    return parse(text, str(path))


def parse(text: str, name: str = "dvc.lock") -> Stages:
    """The same of a lock file's text; `name` stands in errors."""
    try:
        content = yaml.load(text, Loader=_Loader) or {}  # noqa: S506  # a safe loader
    except yaml.YAMLError as error:
        raise RatchetError(f"{name}: is not valid YAML: {' '.join(str(error).split())}\n{_REMEDY}") from error
    stages = content.get("stages", {}) if isinstance(content, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) for stage in stages.values()):
        raise RatchetError(f"{name}: is not a lock file of DVC: it has no mapping `stages`\n{_REMEDY}")
    return stages


def live_stages(root: Path) -> tuple[str, ...]:
    """Names of the stages that `dvc.yaml` defines with the parameters as they are now and that have outputs, sorted.

    A stage without outputs (one that only tells others) makes nothing that could be identified.

    Raises:
        RatchetError: There is no `dvc.yaml` in `root`, or it cannot be resolved.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    root = root.resolve()
    if not (root / "dvc.yaml").is_file():
        raise RatchetError(f"{root}: has no dvc.yaml, so it is not the root of a pipeline")
    try:
        # Uninitialized: the pipeline is only read, so a plain copy of a project without its cache or git will do.
        with Repo(str(root), uninitialized=True) as repo:
            return tuple(sorted(s.name for s in repo.index.stages if s.path_in_repo == "dvc.yaml" and s.outs))
    except DvcException as error:
        raise RatchetError(f"{root}: DVC cannot read the pipeline: {' '.join(str(error).split())}") from error


def digest(stages: Stages, live: Collection[str]) -> str:
    """The lock digest: hex SHA-256 of the canonical form of the live stages; a stage that never ran counts as null."""
    form = {name: _canonical(stages[name]) if name in stages else None for name in live}
    text = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(root: Path) -> str:
    """The lock digest of the project in `root`."""
    return digest(read(root / "dvc.lock"), live_stages(root))


def locked_md5(path: Path, stage: str, out: str) -> str | None:
    """The content hash that a lock file holds for one output of one stage; None when it does not know it."""
    for item in read(path).get(stage, {}).get("outs", []):
        if item.get("path") == out:
            md5 = item.get("md5")
            return None if md5 is None else str(md5)
    return None


def forget(path: Path, stage: str) -> None:
    """Remove one stage's entry from a lock file, so that DVC runs it again; the other entries stay as they are.

    Raises:
        RatchetError: The file has no such stage; names those it has.
    """
    from ruamel.yaml import YAML

    known = read(path)
    if stage not in known:
        raise RatchetError(f"{path}: has no stage {stage!r}; it has {', '.join(sorted(known)) or 'none'}")
    editor = YAML()  # as DVC writes the file itself
    content = editor.load(path.read_text(encoding="utf-8"))
    del content["stages"][stage]
    text = io.StringIO()
    editor.dump(content, text)
    files.write_text(path, text.getvalue())


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REMEDY = "restore it: `git checkout -- dvc.lock`"


def _canonical(stage: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's entry with lists sorted by path and without noise."""
    items = {name: sorted(map(_item, stage.get(name, [])), key=lambda item: str(item["path"])) for name in _LISTS}
    return {"cmd": stage.get("cmd"), "params": stage.get("params", {}), **items}


_LISTS = ("deps", "outs")


def _item(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in NOISE}
