"""The folders of a problem: a package is found where it stands, and refused where DVC or the judge would not see it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from ratchet import export, folders
from ratchet.errors import RatchetError

ROOT = Path(__file__).parents[1]
CONTENTS = "it holds data/, model/, expectations/ and card.yaml"
WHOLE = {
    "data/schema.py": "TASK = 'binary'",
    "model/estimator.py": "",
    "expectations/slices.py": "",
    "card.yaml": "",
}


@pytest.fixture
def placed(tmp_path: Path) -> Callable[..., Path]:
    """The folder of a problem with these files, beside those of `WHOLE`; None leaves one out."""

    def place(more: Mapping[str, str | None] | None = None, name: str = "throws") -> Path:
        folder = tmp_path / "src" / name
        for path, text in {**WHOLE, **(more or {})}.items():
            if text is not None:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text)
        return folder

    return place


def said(folder: Path) -> str:
    """Why a problem is refused."""
    with pytest.raises(RatchetError) as caught:
        folders.find(folder.name, folder.parent)
    return str(caught.value)


def test_a_package_is_found_where_it_stands_without_any_path(placed: Callable[..., Path]) -> None:
    """Its modules come from its folders, although neither `src/` nor the folder is on Python's path."""
    folder = placed({"data/helper.py": "from throws.data.schema import TASK"})
    program = (
        "import sys, pathlib; from ratchet import folders; folders.find('throws', pathlib.Path(sys.argv[1]));"
        "import throws.data.helper as helper; print(helper.TASK, helper.__file__)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(folder.parent)], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["binary", str(folder / "data" / "helper.py")]


def test_it_comes_before_a_package_of_that_name_on_the_path(placed: Callable[..., Path], tmp_path: Path) -> None:
    """What else may be called so, in the working folder say, is not imported."""
    folder = placed()
    (tmp_path / "throws" / "data").mkdir(parents=True)
    (tmp_path / "throws" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    program = (
        "import sys, pathlib; from ratchet import folders; folders.find('throws', pathlib.Path(sys.argv[1]));"
        "from throws.data.schema import TASK; print(TASK)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(folder.parent)], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "binary\n")


def test_a_package_that_was_imported_from_elsewhere_is_refused(
    placed: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code would not be the code that DVC looks at."""
    folder = placed(name="elsewhere")
    monkeypatch.setitem(sys.modules, "elsewhere", type(sys)("elsewhere"))
    monkeypatch.setattr(sys.modules["elsewhere"], "__path__", ["/opt/elsewhere"], raising=False)

    assert said(folder) == f"the package 'elsewhere' was imported from /opt/elsewhere, not from {folder}"


def test_a_package_that_is_found_elsewhere_already_is_refused(
    placed: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the one would be run, or tested, in the place of the other; the same folder is found again."""
    folder, other = placed(), tmp_path / "other"
    shutil.copytree(folder, other / "throws")
    monkeypatch.setattr(sys, "meta_path", [folders.Finder(other / "throws"), *sys.meta_path])

    assert said(folder) == f"the package 'throws' is that of {other}/throws already, and cannot be {folder}"
    assert folders.find("throws", other) == other / "throws"


@pytest.mark.parametrize("name", ["no.body", "no-body", "", "../coins", "class", "1st", "__main__", "__mp_main__"])
def test_a_name_that_no_package_can_have_is_refused(name: str) -> None:
    """Before anything is looked for."""
    with pytest.raises(RatchetError) as caught:
        folders.find(name)

    assert str(caught.value) == f"params.yaml: problem: {name!r} is no name of a Python package"


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("json", "a module of Python itself"),
        ("test", "a module of Python itself"),
        ("numpy", "an installed package"),
        ("ratchet", "an installed package"),
        ("drift", "a folder of the framework's tests"),
        ("rehearsal", "a folder of the framework's tests"),
    ],
)
def test_a_name_that_is_taken_is_refused(name: str, whose: str, placed: Callable[..., Path]) -> None:
    """Two packages of one name: which is imported would depend on who imports it first."""
    assert said(placed(name=name)) == f"params.yaml: problem: {name!r} is the name of {whose}; give src/{name}/ another"


def test_a_problem_without_a_folder_says_where_it_would_be(tmp_path: Path) -> None:
    """And what it would hold."""
    assert said(tmp_path / "nobody") == f"params.yaml: problem: there is no folder src/nobody/; {CONTENTS}"


def test_what_a_problem_lacks_is_named(placed: Callable[..., Path]) -> None:
    """All of it at once."""
    folder = placed({"card.yaml": None, "expectations/slices.py": None})

    assert said(folder) == f"src/throws/ lacks expectations/ and card.yaml; {CONTENTS}"


@pytest.mark.parametrize("path", ["helper.py", "__init__.py", "tools/helper.py"])
def test_a_module_outside_the_folders_is_refused(path: str, placed: Callable[..., Path]) -> None:
    """No stage would depend on it: a change of it would train nothing."""
    assert said(placed({path: ""})) == (
        f"src/throws/{path} stands in none of data, model and expectations, so no stage would depend on it\n"
        "move it to the folder whose modules import it"
    )


@pytest.mark.parametrize("path", [".", "model", "model/lib", "data/helper.py", "notes"])
def test_a_symbolic_link_is_refused(path: str, placed: Callable[..., Path], tmp_path: Path) -> None:
    """Python follows it, and DVC does not see when what it leads to is changed."""
    folder = placed()
    link, target = folder / path, tmp_path / "elsewhere"
    if link.exists():
        link.rename(target)
    else:
        target.mkdir()
    link.symlink_to(target)

    assert said(folder).startswith(f"src/{Path('throws', path)} hides code from DVC, so no stage would depend on it\n")


@pytest.mark.parametrize("path", ["model/.dvcignore", "model/__pycache__/helper.py", "data/helper.pyc"])
def test_what_dvc_leaves_out_is_refused(path: str, placed: Callable[..., Path]) -> None:
    """Python would import it; what Python itself keeps in a cache is nobody's."""
    kept = placed({"model/__pycache__/estimator.cpython-311.pyc": "", "model/__pycache__/estimator.pyc.123": ""})
    assert folders.check(kept.name, kept.parent) == kept
    folders.check.cache_clear()

    assert said(placed({path: ""})).startswith(f"src/throws/{path} hides code from DVC, ")


@pytest.mark.parametrize(
    ("path", "text", "name", "may"),
    [
        ("model/a.py", "from throws.data import schema", "throws.data.schema", "throws.model"),
        ("model/a.py", "import math\nfrom ..data.schema import KEY", "throws.data.schema.KEY", "throws.model"),
        ("model/a/b.py", "from ...expectations import slices", "throws.expectations.slices", "throws.model"),
        ("data/a.py", "def f():\n    import throws.model.b", "throws.model.b", "throws.data"),
        ("data/a.py", "from throws import expectations", "throws.expectations", "throws.data"),
        ("expectations/a.py", "from throws.model import b", "throws.model.b", "throws.data and throws.expectations"),
        ("data/a.py", "import ratchet.training", "ratchet.training", "ratchet.errors and ratchet.files"),
        ("data/a.py", "import ratchet", "ratchet", "ratchet.errors and ratchet.files"),
        ("model/a.py", "import others.b", "others.b", "what is installed"),
    ],
)
def test_an_import_across_the_border_is_refused(
    path: str, text: str, name: str, may: str, placed: Callable[..., Path], tmp_path: Path
) -> None:
    """What judges never imports the model, and the model nothing that a bundle lacks; the line is named."""
    folder = placed({path: text, "model/b.py": ""})
    (tmp_path / "src" / "others").mkdir()

    line, part = len(text.splitlines()), Path(path).parts[0]
    assert said(folder) == f"src/throws/{path}:{line}: imports {name}; {part}/ may import {may}"


def test_imports_that_stay_inside_are_none_of_our_business(placed: Callable[..., Path]) -> None:
    """The folder itself, Python, installed libraries, and the few modules of the loop that are meant for it."""
    folder = placed(
        {
            "data/a.py": "import pandas as pd\nfrom . import schema\nfrom ratchet.errors import AbsentError",
            "model/a/b.py": "import numpy\nfrom ..estimator import x\nfrom ratchet.rows import RowFeatures",
            "expectations/a.py": "from throws.data import schema\nfrom ratchet.problem import Case",
        },
    )

    assert folders.check(folder.name, folder.parent) == folder


def test_the_model_may_import_what_a_bundle_carries() -> None:
    """No more, or it could not be scored, and no less; but the form of a bundle is no affair of training."""
    carried = {name.removesuffix(".py") for name in export.RUNTIME}

    assert folders.RULES[folders.MODEL].loop == carried - {"__init__", "bundle"}


@pytest.mark.parametrize("part", folders.FOLDERS)
def test_a_stage_depends_on_what_its_folders_may_import(part: str) -> None:
    """Of `ratchet`; else a change of it would run nothing."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    deps = {name: set(stage.get("do", stage)["deps"]) for name, stage in stages.items()}
    needed = set()
    for module in (Path("src", folders.LOOP, *name.split(".")) for name in folders.RULES[part].loop):
        packages = [place for place in module.parents if place.is_relative_to(Path("src", folders.LOOP))]
        needed |= {f"{module}.py", *(f"{package}/__init__.py" for package in packages)}

    missing = {name: needed - found for name, found in deps.items() if f"src/${{problem}}/{part}" in found}

    assert missing
    assert not any(missing.values()), missing


def test_a_module_beside_a_stage_is_not_imported(tmp_path: Path) -> None:
    """It is nobody's dependency, so the problem may not rest on it; nor may a process that the stage starts."""
    (tmp_path / "pipelines").mkdir()
    shutil.copy(ROOT / "pipelines" / "run.sh", tmp_path / "pipelines")
    (tmp_path / "pipelines" / "helper.py").touch()
    (tmp_path / "helper.py").touch()
    look = "import importlib.util; print(importlib.util.find_spec('helper'))"
    text = f"import subprocess, sys\n{look}\nsubprocess.run([sys.executable, '-c', {look!r}], check=True)\n"
    (tmp_path / "pipelines" / "probe.py").write_text(text.replace("\nsub", "\nsys.stdout.flush()\nsub"))

    command, variables = ["sh", "pipelines/run.sh", "probe"], {**os.environ, "VIRTUAL_ENV": sys.prefix}
    variables.pop("PYTHONSAFEPATH", None)
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("None\nNone\n", "")


@pytest.mark.parametrize("text", ["def f(:", "\0"])
def test_a_module_that_is_no_python_is_named(text: str, placed: Callable[..., Path]) -> None:
    """In words, with its place."""
    assert said(placed({"model/a.py": text})).startswith("src/throws/model/a.py: is no valid Python: ")


def test_a_pipeline_that_depends_on_another_problem_is_refused(placed: Callable[..., Path], tmp_path: Path) -> None:
    """Else a change of the problem would be up to date at the desk, and nothing to judge in a pull request."""
    folder = placed()
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  pin: {cmd: x}\n  ingest:\n    foreach: [a]\n    do: {cmd: x, deps: [src/flights/data]}\n"
    )

    assert said(folder) == (
        "dvc.yaml: ingest: depends on src/flights/data, but the problem of params.yaml is 'throws'\n"
        "write src/${problem}/ instead of src/flights/"
    )


@pytest.mark.parametrize("dep", ["src/throws/data", "src/${problem}/data", "src/ratchet/files.py", "data/periods"])
def test_a_pipeline_may_depend_on_the_problem_and_the_loop(
    dep: str, placed: Callable[..., Path], tmp_path: Path
) -> None:
    """By the parameter, or by the very name."""
    folder = placed()
    (tmp_path / "dvc.yaml").write_text(f"stages:\n  train:\n    cmd: x\n    deps: ['{dep}']\n")

    assert folders.check(folder.name, folder.parent) == folder


@pytest.mark.parametrize("text", ["stages: 1", "", "stages: {train: 1}", "stages: {train: {deps: 1}}"])
def test_a_pipeline_that_is_none_is_told(text: str, placed: Callable[..., Path], tmp_path: Path) -> None:
    """In words."""
    folder = placed()
    (tmp_path / "dvc.yaml").write_text(text)

    assert said(folder).startswith("dvc.yaml: is no pipeline: ")
