"""The self-test through its real workflow file: `ratchet doctor --live` shows what came of it, the loop ignores it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from scenario import log, runs

from ratchet.cli import cli
from ratchet.selftest.ask import QUESTIONS
from rehearsal.desk import Desk


def test_the_doctor_has_github_asked_and_nothing_is_left(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be asked is as we think; the pull request is closed, never judged, its branches and runs are gone."""
    with desk.forge.changing() as state:
        state.bot_runs = "held"
    environment = {"REPOSITORY": desk.name, "TOKEN": desk.token("ada"), "API_URL": desk.forge.api}
    for name, value in environment.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)

    said = CliRunner().invoke(cli, ["doctor", "--live"])
    desk.wait()

    (run,) = runs(desk, "selftest.yml")
    assert run.conclusion == "success", log(run)
    lines = said.output.splitlines()
    counted = f"{len(QUESTIONS) - 1} as we think, 0 otherwise, 1 could not ask"
    assert lines[-1] == counted
    assert "could not ask  older-workflows-refused: .github/workflows has not changed yet on main" in lines
    assert "as we think    lock-commit-starts-nothing: runs that are held for approval" in lines
    assert counted in run.summary

    (pull,) = desk.get("/pulls", state="all")
    assert (pull["title"], pull["state"], pull["user"]["login"]) == ("self-test", "closed", "github-actions[bot]")
    assert [branch["name"] for branch in desk.get("/branches")] == ["deploy", "main", "records"]
    assert {one.head_branch for one in desk.forge.runs(desk.name)} == {"main"}
    assert desk.get(f"/issues/{pull['number']}/comments") == []
    assert {state for state, _ in desk.statuses(pull["head"]["sha"]).values()} == {"success"}
    assert not any(path.startswith("verdicts/") for path in desk.records())
