"""A proposal is tested by what it touches, and by everything where that is not known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ratchet import scope
from ratchet.scope import Scope

EVERYTHING = Scope(framework=True, tests=("--ignore=tests/rehearsal",))
OWN = "tests/test_repository.py"


@pytest.mark.parametrize(
    ("paths", "tests"),
    [
        (["params.yaml"], (OWN, "tests/flights")),
        (["dvc.lock"], (OWN, "tests/flights")),
        (["revisions.json"], (OWN, "tests/flights")),
        (["src/flights/model/features.py", "tests/flights/test_features.py"], (OWN, "tests/flights")),
        (["README.md"], (OWN, "tests/test_docs.py")),
        (["docs/data.md", "docs/new/page.md"], (OWN, "tests/test_docs.py")),
        (["params.yaml", "README.md"], (OWN, "tests/flights", "tests/test_docs.py")),
        ([], (OWN,)),
    ],
)
def test_the_problem_and_documents_have_tests_of_their_own(paths: list[str], tests: tuple[str, ...]) -> None:
    """The framework's need not run; what the loop itself commits is the problem's."""
    found = scope.of(paths, "flights")

    assert found == Scope(framework=False, tests=tests)
    assert found.skips == ("rehearsal",)


@pytest.mark.parametrize(
    "path",
    [
        *("src/ratchet/gate.py", "rehearsal/desk.py", "pipelines/train.py", "deploy/Dockerfile", ".github/CODEOWNERS"),
        *(
            "uv.lock",
            "pyproject.toml",
            "dvc.yaml",
            "Makefile",
            "tests/test_gate.py",
            "tests/problems/toy_coins/source.py",
        ),
        *("src/mine/model.py", "src/flights", "src/flights.py", "tests/flights_2/a.py", "new.txt", "params.yaml.orig"),
        *("docs.md", "src/README.md", "sitecustomize.py", "src/flights2/a.py", "model/dvc.lock"),
    ],
)
def test_any_other_file_is_tested_by_everything(path: str) -> None:
    """Known or not, and whatever else is touched."""
    found = scope.of(["params.yaml", path, "README.md"], "flights")

    assert found == EVERYTHING
    assert found.skips == ()


def test_a_proposal_of_another_problem_is_tested_by_both() -> None:
    """The one that is left, and the one that is taken up; where one is not known, by the other."""
    assert scope.of(["params.yaml"], "flights", "other").tests == (OWN, "tests/flights", "tests/other")
    assert scope.of(["params.yaml"], None, "other").tests == (OWN, "tests/other")
    assert scope.of(["params.yaml"], None, None).tests == (OWN,)


def test_where_the_problem_is_not_known_its_files_are_tested_by_everything() -> None:
    """So they are where nobody knows what was touched."""
    assert scope.of(["src/flights/model.py"], None) == EVERYTHING
    assert scope.of(None, "flights") == EVERYTHING


REPOSITORY = {"repository": {"default_branch": "trunk"}}


@pytest.mark.parametrize(
    ("event", "payload", "base"),
    [
        ("pull_request", {"pull_request": {"base": {"sha": "c0ffee"}}, **REPOSITORY}, "c0ffee"),
        ("workflow_dispatch", {"ref": "refs/heads/retrain/2013-05", **REPOSITORY}, "origin/trunk"),
        ("workflow_dispatch", {"ref": "refs/heads/trunk", **REPOSITORY}, None),
        ("push", {"ref": "refs/heads/trunk", **REPOSITORY}, None),
    ],
)
def test_the_event_says_what_to_compare_with(event: str, payload: dict, base: str | None) -> None:
    """A commit of the default branch is compared with nothing."""
    assert scope.base_of(event, payload) == base


class Clone:
    """A repository with flights on `main` and a proposal checked out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet", "--initial-branch", "main")
        self.commit({"params.yaml": "problem: flights\n", OWN: "", "tests/flights/test_it.py": "", "src/a.py": "a = 1"})
        self.git("checkout", "--quiet", "-b", "proposal")

    def git(self, *arguments: str) -> str:
        """What git says."""
        author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.invalid", "-c", "commit.gpgsign=false"]
        command = ["git", *author, *arguments]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, files: dict[str, str]) -> str:
        """Write files and commit them."""
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A fresh one."""
    (tmp_path / "clone").mkdir()
    return Clone(tmp_path / "clone")


class TestProposed:
    """What is asked of git."""

    def test_what_main_got_meanwhile_is_not_the_proposals(self, clone: Clone) -> None:
        """The proposal is compared with the commit that it comes from, not with the newest of main."""
        clone.commit({"params.yaml": "problem: flights\nseed: 1\n"})
        clone.git("checkout", "--quiet", "main")
        clone.commit({"src/a.py": "a = 2"})
        clone.git("checkout", "--quiet", "proposal")

        assert scope.proposed("main", clone.root) == Scope(framework=False, tests=(OWN, "tests/flights"))

    def test_every_commit_of_it_counts(self, clone: Clone) -> None:
        """Also those before the last."""
        clone.commit({"src/a.py": "a = 2"})
        clone.commit({"README.md": "Hello"})

        assert scope.proposed("main", clone.root) == EVERYTHING

    def test_a_file_that_is_moved_is_taken_from_somewhere(self, clone: Clone) -> None:
        """From the framework into the problem: both count."""
        (clone.root / "src/flights").mkdir(parents=True)
        clone.git("mv", "src/a.py", "src/flights/a.py")
        clone.commit({})

        assert scope.proposed("main", clone.root) == EVERYTHING

    def test_the_problem_is_the_bases(self, clone: Clone) -> None:
        """Who renames it cannot thereby say that the framework is theirs."""
        clone.commit({"params.yaml": "problem: other\n", "src/other/model.py": "", "tests/other/test_it.py": ""})

        assert scope.proposed("main", clone.root) == EVERYTHING

    def test_a_problem_that_is_there_already_is_tested_when_it_is_taken_up(self, clone: Clone) -> None:
        """The proposal is one line of params.yaml, and trains another package."""
        clone.git("checkout", "--quiet", "main")
        clone.commit({"src/other/model.py": "", "tests/other/test_it.py": ""})
        clone.git("checkout", "--quiet", "-B", "proposal")
        clone.commit({"params.yaml": "problem: other\n"})

        assert scope.proposed("main", clone.root).tests == (OWN, "tests/flights", "tests/other")

    def test_a_folder_of_the_frameworks_tests_is_no_problems(self, clone: Clone) -> None:
        """Whatever params.yaml calls itself."""
        clone.git("checkout", "--quiet", "main")
        clone.commit({"params.yaml": "problem: drift\n"})
        clone.git("checkout", "--quiet", "-B", "proposal")
        clone.commit({"tests/drift/test_drift.py": ""})

        assert scope.proposed("main", clone.root) == EVERYTHING

    @pytest.mark.parametrize("name", ["ratchet", "rehearsal", "../..", "[1]", "[", ""])
    def test_a_name_that_is_no_problems_owns_nothing(self, clone: Clone, name: str) -> None:
        """The framework's packages, and what no package is called."""
        clone.git("checkout", "--quiet", "main")
        clone.commit({"params.yaml": f"problem: {name}\n"})
        clone.git("checkout", "--quiet", "-B", "proposal")
        clone.commit({"src/ratchet/gate.py": "a = 3"})

        assert scope.proposed("main", clone.root) == EVERYTHING

    def test_tests_that_are_not_there_are_not_asked_for(self, clone: Clone) -> None:
        """A problem may have none, and a repository no documents of ours."""
        clone.git("rm", "--quiet", "-r", "tests/flights")
        clone.commit({"README.md": "Hello"})

        assert scope.proposed("main", clone.root) == Scope(framework=False, tests=(OWN,))

    def test_what_cannot_be_compared_is_tested_by_everything(self, clone: Clone) -> None:
        """A base that nobody knows, a history without a common commit."""
        clone.git("checkout", "--quiet", "--orphan", "island")
        clone.commit({"README.md": "Hello"})

        assert scope.proposed("main", clone.root) == EVERYTHING
        assert scope.proposed("0" * 40, clone.root) == EVERYTHING


def test_the_verb_tells_the_jobs(clone: Clone, tmp_path: Path) -> None:
    """Outputs of the step: is the framework tested, what is `make test` narrowed to, which jobs may be skipped."""
    base = clone.git("rev-parse", "HEAD")
    clone.commit({"params.yaml": "problem: flights\nseed: 1\n"})
    (tmp_path / "event.json").write_text(json.dumps({"pull_request": {"base": {"sha": base}}, **REPOSITORY}))
    told = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}

    command = [sys.executable, "-m", "ratchet", "scope"]
    environment = {**os.environ, **told, "GITHUB_OUTPUT": str(tmp_path / "output")}
    done = subprocess.run(command, cwd=clone.root, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "output").read_text().splitlines() == [
        "framework=false",
        "tests=tests/test_repository.py tests/flights",
        "skips=rehearsal",
    ]
    assert done.stdout == "make test TESTS='tests/test_repository.py tests/flights'; skipped: rehearsal\n"
