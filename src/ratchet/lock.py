"""`dvc.lock`: what it says, without what its history has left in it.

The file's text depends on the order in which stages were first run, keeps stages that are gone, and changes with DVC's
version. The *lock digest* is the SHA-256 of what remains when that is taken away: for each live stage its command, the
paths and content hashes of its dependencies and outputs, and its parameters.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet import files, yaml12
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

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
        content = yaml12.read_as_dvc(text.encode(), name) or {}
    except RatchetError as error:
        raise RatchetError(f"{error}\n{_REMEDY}") from error
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
    root = root.resolve()
    if not (root / "dvc.yaml").is_file():
        raise RatchetError(f"{root}: has no dvc.yaml, so it is not the root of a pipeline")
    with _opened(root) as repo:
        return tuple(sorted(stage.name for stage in _stages(repo) if stage.outs))


def digest(stages: Stages, live: Collection[str]) -> str:
    """The lock digest: hex SHA-256 of the canonical form of the live stages; a stage that never ran counts as null."""
    form = {name: _canonical(stages[name]) if name in stages else None for name in live}
    text = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(root: Path) -> str:
    """The lock digest of the project in `root`."""
    return digest(read(root / "dvc.lock"), live_stages(root))


def out_md5(stages: Stages, stage: str, path: str) -> str | None:
    """The content hash that a lock file holds for one output of one stage; None when it does not know it."""
    found = [out.get("md5") for out in stages.get(stage, {}).get("outs", []) if out.get("path") == path]
    return str(found[0]) if found and found[0] else None


def cached(root: Path, md5: str) -> Path | None:
    """The file with this hash in the DVC cache of the project in `root`; None when it is not there."""
    with _opened(root.resolve()) as repo:
        path = Path(repo.cache.local.oid_to_path(md5))
    return path if path.is_file() else None


def changed_dependencies(root: Path, entry: Mapping[str, Any], prefix: str) -> list[str]:
    """Dependencies of a lock's entry below a path whose content in `root` is another than the one that was read."""
    deps = [item for item in entry.get("deps", []) if str(item["path"]).startswith(prefix)]
    return [item["path"] for item in deps if _md5_of(root / item["path"]) != item["md5"]]


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


@dataclass(frozen=True)
class Definition:
    """What `dvc.yaml` says of one stage, with the values of its parameters.

    Attributes:
        cmd: The command, or several.
        deps: Paths it reads, without parameter files.
        outs: Paths it makes; none for a stage that only tells others.
        params: Parameter file to dotted key to value.
    """

    cmd: str | list[str]
    deps: frozenset[str]
    outs: frozenset[str]
    params: Mapping[str, Mapping[str, Any]]


def live_of(dvc_yaml: bytes, params_yaml: bytes) -> dict[str, Definition]:
    """Every stage that the two files define, by name; they are read as data, nothing of them runs.

    Raises:
        RatchetError: DVC cannot resolve them, or they want to read files other than each other.
    """
    _refuse_other_files(yaml12.read(dvc_yaml, "dvc.yaml"))
    yaml12.read(params_yaml, "params.yaml")
    with TemporaryDirectory(prefix="ratchet-") as scratch:
        root = Path(scratch).resolve()
        (root / "dvc.yaml").write_bytes(dvc_yaml)
        (root / "params.yaml").write_bytes(params_yaml)
        try:
            with _opened(root) as repo:
                return {stage.name: _definition(stage) for stage in _stages(repo)}
        except Exception as error:  # a stranger's pipeline may fail DVC in ways that it has no name for
            said = re.sub(rf"\S*{root.name}(/(?=\w))?", "", " ".join(str(error).split()))
            raise RatchetError(f"dvc.yaml: {said.removeprefix(': ') or type(error).__name__}") from error


def faults(
    stages: Stages, live: Mapping[str, Definition], read: Callable[[str], bytes | None], listing: Iterable[str]
) -> list[str]:
    """Where a lock does not fit a tree, one plain sentence each; [] when it fits.

    What a stage makes is compared with what the stages after it say they have read; whether the stage really makes it,
    only a run can tell.

    Args:
        stages: The lock, in the shape that `as_dvc_writes` lets through.
        live: What the tree's dvc.yaml and params.yaml define, see `live_of`.
        read: Path to the content of a file of the tree, or of an output that is known; None where there is none.
        listing: Every file of the tree.
    """
    outs = {item["path"]: item["md5"] for name in live for item in stages.get(name, {}).get("outs", [])}
    tree = _Tree(tuple(listing), read, outs)
    made = {path for definition in live.values() for path in definition.outs}
    found = [f"{path} is committed, but the pipeline makes it" for path in committed(tree.names, made)]
    for name, definition in sorted(live.items()):
        found += [f"{name}: {fault}" for fault in _stage_faults(stages.get(name), definition, tree)]
    return found


def committed(listing: Iterable[str], outs: Collection[str]) -> list[str]:
    """The files of a tree that stand where the pipeline writes, sorted."""
    return sorted(name for name in listing if any(name == out or name.startswith(f"{out}/") for out in outs))


def strangers(stages: Stages, live: Collection[str], base: Stages) -> list[str]:
    """Names of the entries that no live stage has, and that do not stand in the base's lock as they are; sorted."""
    return sorted(name for name, stage in stages.items() if name not in live and base.get(name) != stage)


def as_dvc_writes(text: str, name: str = "dvc.lock") -> str:
    """The same lock in the very bytes in which DVC would write it: no comment, no other way to write a value.

    What a stranger's lock says in it is all that it says, so it can be committed.

    Raises:
        RatchetError: It is no YAML, or has tags or such nesting as DVC never writes.
    """
    from ruamel.yaml import YAML

    written = io.StringIO()
    YAML().dump(yaml12.read_as_dvc(text.encode(), name) or {}, written)
    return written.getvalue()


def md5(content: bytes) -> str:
    """The hash by which DVC knows a file."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def directory_md5(hashes: Mapping[str, str]) -> str:
    """The hash by which DVC knows a directory, from those of its files by their path in it."""
    items = [{"md5": hashes[path], "relpath": path} for path in sorted(hashes)]
    return f"{md5(json.dumps(items, sort_keys=True).encode())}.dir"


_REMEDY = "restore it: `git checkout -- dvc.lock`"


def _canonical(stage: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's entry with lists sorted by path and without noise."""
    items = {name: sorted(map(_item, stage.get(name, [])), key=lambda item: str(item["path"])) for name in _LISTS}
    return {"cmd": stage.get("cmd"), "params": stage.get("params", {}), **items}


_LISTS = ("deps", "outs")


def _item(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in NOISE}


def _md5_of(path: Path) -> str | None:
    """Hash of a file or a folder of sources as DVC computes it; None when there is no such thing."""
    if path.is_dir():
        inside = [found for found in path.rglob("*") if found.is_file() and "__pycache__" not in found.parts]
        return directory_md5({found.relative_to(path).as_posix(): md5(found.read_bytes()) for found in inside})
    content = files.read_bytes(path)
    return None if content is None else md5(content)


# --- a lock against a tree -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tree:
    """The files of a tree and the outputs that a lock names, and their hashes as DVC computes them."""

    names: tuple[str, ...]
    read: Callable[[str], bytes | None]
    outs: Mapping[str, str]

    def md5(self, path: str) -> str | None:
        """Hash of a file or a directory of the tree, of an output, or of a directory with outputs in it.

        "" when there is no such thing, None when there is but its content is not known here.
        """
        if path in self.outs:
            return self.outs[path]
        content = self.read(path)
        if content is not None:
            return md5(content)
        if any(path.startswith(f"{out}/") for out in self.outs):
            return None
        made = {name[len(path) + 1 :]: found for name, found in self.outs.items() if name.startswith(f"{path}/")}
        if any(found.endswith(".dir") for found in made.values()):
            return None
        inside = {name: self.read(name) for name in self.tracked if name.startswith(f"{path}/")}
        hashes = {name[len(path) + 1 :]: md5(found) for name, found in inside.items() if found is not None}
        return directory_md5(hashes | made) if hashes or made else ""

    @cached_property
    def tracked(self) -> tuple[str, ...]:
        """The files that DVC does not ignore; by its own code, which reads every .dvcignore."""
        with TemporaryDirectory(prefix="ratchet-") as scratch:
            root = Path(scratch).resolve()
            for name in self.names:
                if PurePosixPath(name).name == ".dvcignore" and (root / name).resolve().is_relative_to(root):
                    (root / name).parent.mkdir(parents=True, exist_ok=True)
                    (root / name).write_bytes(self.read(name) or b"")
            with _opened(root) as repo:
                return tuple(name for name in self.names if not repo.dvcignore.is_ignored_file(str(root / name)))


def _stage_faults(entry: Mapping[str, Any] | None, defined: Definition, tree: _Tree) -> Iterator[str]:
    if entry is None:
        yield "is not in dvc.lock"
        return
    if entry.get("cmd") != defined.cmd:
        yield "its command is not the one in dvc.yaml"
    for key in _unequal(entry.get("params", {}), defined.params):
        yield f"{key} is not what params.yaml says"
    for kind, paths in (("deps", defined.deps), ("outs", defined.outs)):
        if sorted(item["path"] for item in entry.get(kind, [])) != sorted(paths):
            yield f"its {kind} are not those in dvc.yaml"
    yield from _content_faults(entry, tree)


def _content_faults(entry: Mapping[str, Any], tree: _Tree) -> Iterator[str]:
    for item in entry.get("deps", []):
        expected = tree.md5(item["path"])
        if expected == "":
            yield f"{item['path']} is neither in the tree nor made by a stage"
        elif expected not in (None, item["md5"]):
            yield f"{item['path']} is not the one that it read"
    for item in entry.get("outs", []):
        content = tree.read(item["path"])
        if content is not None and md5(content) != item["md5"]:
            yield f"{item['path']} is not the one that it made"


def _unequal(locked: Mapping[str, Any], defined: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Keys of parameters that are not in both with the same value."""
    old, new = (
        {(file, key): value for file, values in found.items() for key, value in values.items()}
        for found in (locked, defined)
    )
    return sorted(
        {
            key
            for file, key in old.keys() | new.keys()
            if (file, key) not in old or (file, key) not in new or not _same(old[file, key], new[file, key])
        }
    )


def _same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of one kind, for which Python has true and 1 equal."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


# --- DVC -------------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(root: Path) -> Iterator[Repo]:
    """The project in `root` as DVC sees it; a plain copy of its text files will do, without cache or git."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root), uninitialized=True) as repo:
            yield repo
    except DvcException as error:
        raise RatchetError(f"{root}: DVC cannot read the pipeline: {' '.join(str(error).split())}") from error


def _stages(repo: Repo) -> list[PipelineStage]:
    return [stage for stage in repo.index.stages if stage.path_in_repo == "dvc.yaml"]


def _definition(stage: PipelineStage) -> Definition:
    from dvc.stage.utils import split_params_deps

    params, deps = split_params_deps(stage)
    return Definition(
        cmd=stage.cmd,
        deps=frozenset(dep.def_path for dep in deps),
        outs=frozenset(out.def_path for out in stage.outs),
        params={dep.def_path: dep.read_params() for dep in params},
    )


def _refuse_other_files(content: Any) -> None:
    """A pipeline may name more files to read values from, wherever they lie; one that is judged may not."""
    stages = content.get("stages") if isinstance(content, dict) else None
    for name, stage in [("dvc.yaml", content), *(stages.items() if isinstance(stages, dict) else [])]:
        inner = stage.get("do", stage) if isinstance(stage, dict) else {}
        for key in ("vars", "wdir"):
            if isinstance(inner, dict) and key in inner:
                raise RatchetError(f"dvc.yaml: {name}: `{key}` is not supported here; values come from params.yaml")
        for item in inner.get("params") or [] if isinstance(inner, dict) else []:
            if isinstance(item, dict) and set(item) - {"params.yaml"}:
                raise RatchetError(
                    f"dvc.yaml: {name}: reads parameters of {', '.join(map(str, item))}; only params.yaml may hold them"
                )
