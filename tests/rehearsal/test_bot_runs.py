"""What a workflow's own push sets off is held, is nothing, or fails without a job: what is promoted is merged anyway.

The checks of ci.yml take longer than the judge: they end after the commit that brings dvc.lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scenario import BETTER, alpha, found, gates, head, headline, jobs, merges, opened, runs

from rehearsal.desk import Desk

pytestmark = pytest.mark.xdist_group("bots")

GREEN = {"model-gate": "success", "ci-gate": "success"}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that the checks wait for."""
    return tmp_path_factory.mktemp("gate") / "open"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, gate: Path) -> Path:
    """A repository with a release, whose checks end when they may."""
    gate.touch()
    checks = f"install lint test:\n\t@until test -e {gate}; do sleep 1; done\n"
    return found(tmp_path_factory.mktemp("bots") / "template", checks=checks)


@pytest.fixture
def desk(request: pytest.FixtureRequest, template: Path, tmp_path: Path, gate: Path) -> Iterator[Desk]:
    """In the world of that name; the checks wait."""
    gate.unlink(missing_ok=True)
    with opened(template, tmp_path / "forge", bot_runs=request.param) as made:
        yield made
        gate.touch()


def judged(desk: Desk, number: int) -> str:
    """The commit that brings the lock, once `model-gate` is green on it, while the checks of its parent still run."""
    proposed = head(desk, number)
    for _ in range(600):
        sha = head(desk, number)
        if sha != proposed and desk.statuses(sha).get("model-gate", ("", ""))[0] == "success":
            assert desk.statuses(sha)["ci-gate"][0] == "pending"
            return sha
        time.sleep(0.5)
    raise AssertionError("the verdict never came")


def of_bot(desk: Desk, sha: str) -> set[str | None]:
    """How the runs end that a workflow's own push or pull request sets off at a commit."""
    listed = desk.get("/actions/runs", head_sha=sha, event="pull_request")["workflow_runs"]
    return {run["conclusion"] for run in listed if run["actor"]["login"] == "github-actions[bot]"}


def released(desk: Desk, number: int, sha: str) -> None:
    """Both gates are green on the head, it merges, and the merge releases."""
    assert head(desk, number) == sha
    assert gates(desk, number) == GREEN
    assert headline(desk, number).startswith("### ✅ Promote")
    assert merges(desk, number, "squash")
    desk.wait()
    assert desk.get("/releases/latest")["tag_name"] == "model-v2"
    assert {job for run in runs(desk, "verdict.yml") for job in jobs(run).values()} <= {"success", "skipped"}


@pytest.mark.parametrize("desk", ["held", "none"], indirect=True)
def test_what_a_person_proposes_is_merged(desk: Desk, gate: Path) -> None:
    """The checks of the proposed commit count for the one with the lock, although they end later."""
    number = desk.propose("Less shrinkage", alpha(BETTER), "less-shrinkage")
    sha = judged(desk, number)
    gate.touch()
    desk.wait()

    assert of_bot(desk, sha) == ({"action_required"} if desk.forge.state.bot_runs == "held" else set())
    released(desk, number, sha)


@pytest.mark.parametrize("desk", ["held", "failed"], indirect=True)
def test_what_a_bot_proposes_is_merged(desk: Desk, gate: Path) -> None:
    """A fork's commit is adopted: what the new pull request sets off comes to nothing, and dispatched runs judge it."""
    gate.touch()
    theirs = desk.propose("Less shrinkage", alpha(BETTER), "less-shrinkage", who="bob")
    desk.wait()
    gate.unlink()
    desk.dispatch("maintainer.yml", action="adopt", **{"pull-request": str(theirs), "reason": "Read it, looks fine"})
    for _ in range(600):
        if desk.ask("GET", f"/pulls/{theirs + 1}").status_code == 200:
            break
        time.sleep(0.5)
    sha = judged(desk, theirs + 1)
    gate.touch()
    desk.wait()

    released(desk, theirs + 1, sha)
