"""Which machine a job comes onto, and what it finds there: labels, variables, and the packages that main has kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from runner_desk import CHECKOUT, REPOSITORY, WITHIN, Desk, log, opened, workflow

from rehearsal import project

SETUP = Path(".github", "actions", "setup")


def runs_on(name: str) -> str:
    """What a workflow of this repository says of the machine of its first job."""
    said = (project.ROOT / ".github" / "workflows" / name).read_text().partition("    runs-on:")[2]
    return said.partition("    timeout-minutes:")[0].strip()


class TestMachines:
    """`runs-on`."""

    @pytest.fixture
    def desk(self, tmp_path: Path) -> Iterator[Desk]:
        """A repository that trains on its own machine, by what report.yml says."""
        with opened(tmp_path) as desk:
            repository = desk.forge.repository(REPOSITORY)
            repository.variables["TRAINING_RUNNER"] = "gpu"
            repository.runners.append("gpu")
            ((path, text),) = workflow("toy", "[pull_request, workflow_dispatch]", "- run: date").items()
            desk.push({path: text.replace("runs-on: ubuntu-24.04", f"runs-on: {runs_on('report.yml')}")})
            yield desk

    def labels(self, desk: Desk) -> list[str]:
        """Of the job of the newest run, as GitHub's API tells them."""
        run = desk.runs("toy")[-1]
        assert run.conclusion == "success", log(run)
        (job,) = desk.api("GET", f"actions/runs/{run.id}/jobs").json()["jobs"]
        return list(job["labels"])

    def test_a_proposal_of_ours_trains_on_the_machine_that_is_named(self, desk: Desk) -> None:
        """Of a pull request, and of a dispatch."""
        desk.push({"a": "1"}, "proposal")
        desk.pull("proposal")
        assert self.labels(desk) == ["gpu"]

        desk.api("POST", "actions/workflows/toy.yml/dispatches", ref="proposal")

        assert self.labels(desk) == ["gpu"]

    def test_a_forks_proposal_never_does(self, desk: Desk) -> None:
        """Its code runs on a machine of GitHub's, which is thrown away."""
        desk.forge.fork(REPOSITORY, "bob")
        owner, desk.token = desk.token, desk.forge.token("bob", role="read")
        desk.push({"a": "1"}, "theirs", to="bob/flights")
        desk.pull("bob:theirs")
        desk.token = owner
        (held,) = desk.runs("toy")

        desk.api("POST", f"actions/runs/{held.id}/approve")

        assert self.labels(desk) == ["ubuntu-24.04"]

    def test_dependabots_never_does(self, desk: Desk) -> None:
        """What it brings in, nobody here has read."""
        desk.push({"a": "1"}, "dependabot/uv/numpy")
        desk.pull("dependabot/uv/numpy", desk.forge.token("dependabot[bot]", role="write"))

        assert self.labels(desk) == ["ubuntu-24.04"]

    def test_without_the_variable_everything_trains_on_github(self, desk: Desk) -> None:
        """A fresh repository has none."""
        desk.forge.repository(REPOSITORY).variables.clear()
        desk.push({"a": "1"}, "proposal")
        desk.pull("proposal")

        assert self.labels(desk) == ["ubuntu-24.04"]

    def test_a_label_that_no_machine_has_is_told(self, desk: Desk) -> None:
        """GitHub would let the job wait; here it fails."""
        desk.forge.repository(REPOSITORY).runners.clear()
        desk.push({"a": "1"}, "proposal")
        desk.pull("proposal")

        run = desk.run("toy")

        assert run.conclusion == "failure"
        assert "runs-on: gpu: no machine of GitHub or of the repository is called so" in log(run)

    @pytest.mark.parametrize("name", ["release.yml", "drift.yml"])
    def test_what_trains_mains_commit_says_the_same(self, name: str) -> None:
        """No pull request starts these."""
        assert runs_on(name).startswith("${{ vars.TRAINING_RUNNER || 'ubuntu-24.04' }} # main's commit")


class TestPackages:
    """What `.github/actions/setup` takes from a cache: every run here makes an environment of its own."""

    KEY = "uv-Linux-X64---only-groupforge-"

    @pytest.fixture
    def desk(self, tmp_path: Path) -> Iterator[Desk]:
        """A repository with the real action, whose `ci` keeps packages and whose others read them."""
        step = f"- uses: {CHECKOUT}\n- uses: ./{SETUP}\n  with: {{groups: --only-group forge, cache: %s}}\n"
        shown = "- run: which python && python -c 'import click'\n"
        follows = "{workflow_run: {workflows: [report], types: [completed]}}"
        files = {
            **workflow("ci", "{push: {branches: [main]}}", step % "write"),
            **workflow("report", "pull_request", step % "read" + shown),
            **workflow("verdict", follows, step % "read" + shown),
            **workflow("greedy", follows, step % "write"),
        }
        with opened(tmp_path, environment=None) as desk:
            shutil.copytree(project.ROOT / SETUP, desk.work / SETUP)
            for name in ("pyproject.toml", "uv.lock", ".python-version"):
                shutil.copy(project.ROOT / name, desk.work)
            desk.push(files)
            desk.runner.wait(WITHIN)
            yield desk

    def test_main_keeps_them_and_everyone_reads_them(self, desk: Desk) -> None:
        """Pull requests do, and what follows on their runs."""
        desk.push({"a": "1"}, "proposal")
        desk.pull("proposal")

        report, verdict = desk.run("report"), desk.run("verdict")

        assert f"Cache saved with key: {self.KEY}" in log(desk.run("ci"))
        for run in (report, verdict):
            assert run.conclusion == "success", log(run)
            assert f"Cache restored from key: {self.KEY}" in log(run)
            assert "/.venv/bin/python" in log(run)
            assert run.summary == ""

    def test_what_is_kept_is_not_kept_again(self, desk: Desk) -> None:
        """Until uv.lock changes, nothing is even installed for it."""
        desk.push({"a": "1"})

        first, second = desk.runs("ci")

        assert f"Cache saved with key: {self.KEY}" in log(first)
        assert f"Cache restored from key: {self.KEY}" in log(second)
        assert "Cache saved" not in log(second)

    def test_a_miss_is_told_in_the_summary(self, desk: Desk) -> None:
        """A proposal with another lock takes what it has in common with main's."""
        desk.push({"uv.lock": (desk.work / "uv.lock").read_text() + "\n"}, "proposal")
        desk.pull("proposal")

        report = desk.run("report")

        assert report.conclusion == "success", log(report)
        assert report.summary.startswith(f"Cache miss: `{self.KEY}")
        assert f", found {self.KEY}" in report.summary

    def test_what_others_cause_keeps_nothing(self, desk: Desk, tmp_path: Path) -> None:
        """GitHub gives a run of `workflow_run` a token that reads caches and does not write them; the run goes on."""
        caches = tmp_path / "forge" / "caches"
        for path in caches.iterdir():
            path.unlink()
        desk.push({"a": "1"}, "proposal")
        desk.pull("proposal")

        greedy = desk.run("greedy")

        assert greedy.conclusion == "success", log(greedy)
        assert "the token may read the caches of the default branch, and not write them" in log(greedy)
        assert list(caches.iterdir()) == []
