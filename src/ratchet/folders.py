"""The folders of a problem: how its package is found, and what may import what.

    src/<problem>/data/           source, schema               imports data
    src/<problem>/model/          estimator, features          imports model
    src/<problem>/expectations/   slices, behaviour, shifts    imports data and expectations
    src/<problem>/card.yaml       what only a person knows

Each folder may hold more modules. A folder is what `dvc.yaml` names, so a module that stands in none of them would be
code that no stage depends on; and `model/` is free to change and ships in the bundle, so what judges never imports it,
and it imports nothing that the bundle lacks.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import util
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from keyword import iskeyword
from pathlib import Path

from ratchet import yaml12
from ratchet.errors import RatchetError

DATA, MODEL, EXPECTATIONS, CARD = "data", "model", "expectations", "card.yaml"
FOLDERS = (DATA, MODEL, EXPECTATIONS)
SRC = Path("src")
LOOP = "ratchet"
RESERVED = frozenset(
    ("backtest", "deploy", "drift", "fixtures", "operate", "problems", "rehearsal", "retraining", "selftest", "serving")
)
"""Folders of the framework's own tests. What is in `tests/<problem>` passes for the problem's."""


@dataclass(frozen=True)
class Rule:
    """What the modules of a folder may import, beside installed libraries.

    Attributes:
        folders: Folders of the problem.
        loop: Modules of `ratchet`.
    """

    folders: frozenset[str]
    loop: frozenset[str]


RULES: Mapping[str, Rule] = {
    DATA: Rule(frozenset({DATA}), frozenset({"errors", "files"})),
    # What the bundle's wheel carries, see `ratchet.export.RUNTIME`, and training depends on.
    MODEL: Rule(frozenset({MODEL}), frozenset({"errors", "files", "persistence", "processor", "rows"})),
    EXPECTATIONS: Rule(frozenset({DATA, EXPECTATIONS}), frozenset({"backtest.shifts", "errors", "problem"})),
}


class Finder(MetaPathFinder):
    """Finds the package of one problem in its folder, before anything else can answer to the name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """The package itself, which is no more than its folder; what is in it is found as usual, if it may be there."""
        name, _, inner = fullname.partition(".")
        if name != self.folder.name:
            return None
        if not inner:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(self.folder)]
            return spec
        if inner.partition(".")[0] not in FOLDERS:
            raise ModuleNotFoundError(f"no module named {fullname!r}: a problem has {_listed(FOLDERS)}", name=fullname)
        return None


def find(name: str, src: Path = SRC) -> Path:
    """Make the package of a problem importable, and return its folder; what is found already stays as it is.

    Args:
        name: Of the package.
        src: The folder in which it stands: `src/` beside `dvc.yaml`.

    Raises:
        RatchetError: There is none, another package has the name, or its folders or `dvc.yaml` are not as they must be.
    """
    for finder in sys.meta_path:
        if isinstance(finder, Finder) and finder.folder.name == name:
            meant = src.resolve() / name
            if meant.is_dir() and meant != finder.folder:
                raise RatchetError(f"the package {name!r} is that of {finder.folder} already, and cannot be {meant}")
            return finder.folder
    folder = check(name, src.resolve())
    places = [str(folder)] if name not in sys.modules else list(getattr(sys.modules[name], "__path__", []))
    if places != [str(folder)]:
        raise RatchetError(
            f"the package {name!r} was imported from {_listed(places or ['elsewhere'])}, not from {folder}"
        )
    sys.meta_path.insert(0, Finder(folder))
    return folder


@cache
def check(name: str, src: Path) -> Path:
    """Check that the folders of a problem are there, import what they may, and are those that `dvc.yaml` names.

    Returns:
        The folder that holds them.

    Raises:
        RatchetError: They are not, or another package has the name; says what to do.
    """
    _check_name(name)
    folder = src / name
    if not folder.is_dir():
        raise RatchetError(f"params.yaml: problem: there is no folder src/{name}/; it holds {_contents()}")
    missing = [f"{part}/" for part in FOLDERS if not (folder / part).is_dir()]
    if not (folder / CARD).is_file():
        missing.append(CARD)
    if missing:
        raise RatchetError(f"src/{name}/ lacks {_listed(missing)}; it holds {_contents()}")
    _check_seen(folder)
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder)
        if inside.parts[0] not in FOLDERS:
            raise RatchetError(
                f"src/{name}/{inside} stands in none of {_listed(FOLDERS)}, so no stage would depend on it\n"
                "move it to the folder whose modules import it"
            )
        _check_imports(folder, inside)
    _check_pipeline(folder)
    return folder


def _check_name(name: str) -> None:
    if not name.isidentifier() or iskeyword(name) or name.startswith("__"):
        raise RatchetError(f"params.yaml: problem: {name!r} is no name of a Python package")
    taken = f"params.yaml: problem: {name!r} is the name of {{}}; give src/{name}/ another"
    if name in {*sys.stdlib_module_names, "test"}:
        raise RatchetError(taken.format("a module of Python itself"))
    if name in RESERVED:
        raise RatchetError(taken.format("a folder of the framework's tests"))
    installed = [sysconfig.get_path(place) for place in ("purelib", "platlib")]
    if name == LOOP or PathFinder.find_spec(name, installed) is not None:
        raise RatchetError(taken.format("an installed package"))


def _check_seen(folder: Path) -> None:
    """Refuse what Python would import and DVC does not look at: links, and what a .dvcignore leaves out."""
    for path in (folder, *sorted(folder.rglob("*"))):
        is_cached = "__pycache__" in path.relative_to(folder).parts
        if (
            path.is_symlink()
            or path.name == ".dvcignore"
            or (path.suffix, is_cached) in ((".py", True), (".pyc", False))
        ):
            raise RatchetError(
                f"src/{path.relative_to(folder.parent)} hides code from DVC, so no stage would depend on it\n"
                f"put modules, as files and not as links, into {_listed(FOLDERS)}"
            )


def _check_imports(folder: Path, inside: Path) -> None:
    """Refuse what a module imports against the rule of its folder; as it is written, for nothing is run."""
    place, rule = f"src/{folder.name}/{inside}", RULES[inside.parts[0]]
    try:
        tree = ast.parse((folder / inside).read_bytes(), place)
    except (SyntaxError, ValueError) as error:
        raise RatchetError(f"{place}: is no valid Python: {error}") from error
    package = ".".join((folder.name, *inside.parts[:-1]))
    for node in ast.walk(tree):
        for name in _imported(node, package):
            may = _refusal(name, folder, rule)
            if may:
                line = getattr(node, "lineno", 1)
                raise RatchetError(f"{place}:{line}: imports {name}; {inside.parts[0]}/ may import {_listed(may)}")


def _refusal(name: str, folder: Path, rule: Rule) -> list[str]:
    """What may be imported instead of a module; [] when that itself may be."""
    top, _, rest = name.partition(".")
    if top == folder.name:
        return [] if rest.partition(".")[0] in rule.folders else [f"{top}.{part}" for part in sorted(rule.folders)]
    if top == LOOP:
        is_meant = any(rest == one or rest.startswith(f"{one}.") for one in rule.loop)
        return [] if is_meant else [f"{LOOP}.{one}" for one in sorted(rule.loop)]
    beside = folder.parent / top
    return ["what is installed"] if beside.is_dir() or beside.with_suffix(".py").is_file() else []


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    """Full names of the modules that a statement imports; of `from a import b`, a.b, which may be one."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        try:
            base = util.resolve_name("." * node.level + (node.module or ""), package)
        except ImportError as error:
            raise RatchetError(f"{package}: line {node.lineno}: {error}") from error
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _check_pipeline(folder: Path) -> None:
    """Refuse a `dvc.yaml` that depends on another package in `src/` than the problem's and the loop's."""
    path = folder.parent.parent / "dvc.yaml"
    if not path.is_file():
        return
    stages = yaml12.read_as_dvc(path.read_bytes(), "dvc.yaml")
    try:
        deps = {
            stage: list(defined.get("do", defined).get("deps") or []) for stage, defined in stages["stages"].items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise RatchetError("dvc.yaml: is no pipeline: it has no stages with what each depends on") from error
    for stage, named in deps.items():
        for dep in named:
            first, _, rest = str(dep).partition("/")
            top = rest.partition("/")[0]
            if first == "src" and top not in {LOOP, "${problem}", folder.name}:
                raise RatchetError(
                    f"dvc.yaml: {stage}: depends on {dep}, but the problem of params.yaml is {folder.name!r}\n"
                    f"write src/${{problem}}/ instead of src/{top}/"
                )


def _contents() -> str:
    return _listed((*(f"{part}/" for part in FOLDERS), CARD))


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
