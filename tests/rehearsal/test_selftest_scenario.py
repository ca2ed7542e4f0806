"""The self-test through its real workflow file: `ratchet doctor --live` shows what came of it, the loop ignores it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from scenario import CHECKS, log, runs

import project
from ratchet.cli import cli
from ratchet.selftest.ask import QUESTIONS
from rehearsal.desk import Desk


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Desk]:
    """A repository with the real workflow files, but for the release: and set up as on the first day."""
    source = project.delays(tmp_path / "project").root
    (source / ".github" / "workflows" / "release.yml").unlink()
    (source / "Makefile").write_text(CHECKS)
    with Desk(tmp_path / "forge", bot_runs="held") as made:
        made.found(source)
        made.protect()
        made.wait()
        yield made


def test_the_doctor_has_github_asked_and_nothing_is_left(
    place: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can be asked is as we think; the pull request is closed, never judged, its branches and runs are gone."""
    addresses = {"API_URL": place.forge.api, "SERVER_URL": place.forge.url}
    for name, value in {"REPOSITORY": place.name, "TOKEN": place.token("ada"), **addresses}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)

    monkeypatch.chdir(tmp_path / "project")  # the doctor looks at the clone, too

    said = CliRunner().invoke(cli, ["doctor", "--live"])
    place.wait()

    assert isinstance(said.exception, SystemExit), said.exception  # a release is missing, and what else the doctor says
    (run,) = runs(place, "selftest.yml")
    assert run.conclusion == "success", log(run)
    lines = said.output.splitlines()
    counted = f"{len(QUESTIONS) - 1} as we think, 0 otherwise, 1 could not ask"
    assert lines[-1] == counted
    assert "could not ask  older-workflows-refused: .github/workflows has not changed yet on main" in lines
    assert "as we think    lock-commit-starts-nothing: runs that are held for approval" in lines
    assert counted in run.summary

    (pull,) = place.get("/pulls", state="all")
    assert (pull["title"], pull["state"], pull["user"]["login"]) == ("self-test", "closed", "github-actions[bot]")
    assert [branch["name"] for branch in place.get("/branches")] == ["main"]
    assert {one.head_branch for one in place.forge.runs(place.name)} == {"main"}
    assert place.get(f"/issues/{pull['number']}/comments") == []
    assert {state for state, _ in place.statuses(pull["head"]["sha"]).values()} == {"success"}
    assert place.records() == {}
