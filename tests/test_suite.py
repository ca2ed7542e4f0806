"""The tests themselves are run as they are meant to be."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import edited
from guard import Guard, OwnFileError
from ratchet import folders, params
from rehearsal import project
from rehearsal.project import PARAMS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["params.yaml", "dvc.lock", "src/{problem}/card.yaml"])
def test_no_test_of_the_framework_opens_the_repositorys_own_files(name: str) -> None:
    """Its parameters, its lock and its problem; by any way of writing the path."""
    problem = next(path.name for path in (ROOT / "src").iterdir() if path.is_dir() and path.name != "ratchet")
    path = ROOT / name.format(problem=problem)

    for way in (path, str(path), os.path.relpath(path), path.parent / ".." / path.parent.name / path.name):
        with pytest.raises(OwnFileError, match="is the repository's own"):
            open(way, encoding="utf-8")  # noqa: SIM115, PTH123


def test_tests_of_the_problem_may(tmp_path: Path) -> None:
    """So may those that are marked, and anybody may read a file of that name elsewhere."""
    for name in ("src/mine/card.yaml", "src/ratchet/gate.py", "params.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a: 1")
    guard = Guard(tmp_path)
    opened = ("open", (str(tmp_path / "params.yaml"), "r", 0))

    guard(*opened)
    with guard.watching(tmp_path / "tests" / "mine" / "test_it.py"):
        guard(*opened)
    with guard.watching(tmp_path / "tests" / "test_it.py", own=True):
        guard(*opened)
    with guard.watching(tmp_path / "tests" / "test_it.py"):
        guard("open", (str(tmp_path / "src" / "ratchet" / "gate.py"), "r", 0))
        guard("open", (str(tmp_path / "build" / "params.yaml"), "r", 0))
        guard("open", (3, "r", 0))
        with pytest.raises(OwnFileError):
            guard(*opened)


@pytest.mark.own
@pytest.mark.skipif(
    "RATCHET_TEMPLATE" not in os.environ, reason="what a repository made of the template edits is its own"
)
def test_the_frozen_copies_are_what_the_template_comes_with() -> None:
    """Whoever keeps the template changes both: `cp params.yaml tests/problems/`, and so for the flights."""
    frozen = project.example()

    assert {name: (ROOT / name).read_bytes() for name in frozen} == frozen
    problem = {path.relative_to(ROOT).as_posix() for path in (ROOT / "src/flights").rglob("*") if path.suffix != ".pyc"}
    assert {name for name in problem if (ROOT / name).is_file()} == set(frozen) - {"params.yaml"}


@pytest.mark.skipif("RATCHET_TEMPLATE" not in os.environ, reason="who has the template may have other tests, too")
def test_no_problem_may_be_called_as_a_folder_of_our_tests() -> None:
    """Else a change of what is in it would be tested by nothing, and could read the repository's own files."""
    found = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}

    assert found - {"__pycache__", "flights"} == folders.RESERVED


@pytest.mark.parametrize("name", ["delays", "mine"])
def test_a_copy_of_a_problem_of_the_tests_is_tested_where_it_stands(name: str, tmp_path: Path) -> None:
    """As docs/data.md advises, without an edit: what is imported is the copy in `src/`."""
    project.template(tmp_path, ("tests/rehearsal/",))
    shutil.copytree(ROOT / "tests/problems/toy_delays", tmp_path / "src" / name)
    (tmp_path / "tests" / name).mkdir()
    text = f"from {name}.model import estimator, features\ndef test_it():\n    print(features.__file__)\n"
    (tmp_path / "tests" / name / "test_it.py").write_text(f"{text}    print(estimator.features.__code__.co_filename)\n")
    command = [sys.executable, "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider", f"tests/{name}"]
    variables = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}

    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    assert done.stdout.count(f"{tmp_path}/src/{name}/model/features.py\n") == 2, done.stdout + done.stderr


def test_the_copy_for_edited_parameters_changes_every_value(tmp_path: Path) -> None:
    """All but the problem; each to another that may be."""
    before = yaml.safe_load(PARAMS.read_text())
    path = tmp_path / "params.yaml"
    shutil.copy(PARAMS, path)

    params.edit(path, edited.VALUES)

    after = params.load(path).model_dump(mode="json")
    assert [key for key, value in flat(before).items() if flat(after)[key] == value] == ["problem"]


def flat(content: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Dotted keys to values."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return found


def test_tests_that_share_what_is_costly_run_in_one_process(tmp_path: Path) -> None:
    """Groups work: with some versions of pytest they are ignored without a word, and everything is made twice."""
    text = "import os, pytest\n@pytest.mark.xdist_group('g')\n@pytest.mark.parametrize('n', range(8))\n"
    (tmp_path / "test_it.py").write_text(f"{text}def test_it(n):\n    print(f'pid {{os.getpid()}}')\n")
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-rP", "-p", "no:cacheprovider", "."]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert len({line for line in done.stdout.splitlines() if line.startswith("pid ")}) == 1, done.stdout
