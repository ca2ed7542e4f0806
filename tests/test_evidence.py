"""A proposal runs from the base's lock in its own tree, and leaves a folder that the intake lets through."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from project import OUTPUTS, Project, delays
from ratchet import bundle, evidence, files, intake, lock
from ratchet.errors import RatchetError
from ratchet.evidence import Champion

pytestmark = pytest.mark.xdist_group("evidence")

QUICK = {"tracking__experiment": "another"}
"""A change after which one stage runs that makes nothing."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has run, committed with its lock; its outputs are there."""
    # One process imports one package of a name, so the copy is called as that of tests/problems is.
    project = delays(tmp_path_factory.mktemp("made") / "project", "toy_delays")
    project.repro()
    project.commit("The first model")
    return project


@pytest.fixture
def project(made: Project, tmp_path: Path) -> Project:
    """A fresh checkout with main's cache and no outputs."""
    twin = made.twin(tmp_path / "project")
    for name in OUTPUTS:
        shutil.rmtree(twin.root / name)
    return twin


@pytest.fixture
def champion(made: Project) -> Champion:
    """The model of the base, as a release has it."""
    return Champion("model-v1", made.root / "bundle")


def collect(
    project: Project, champion: Champion | None = None, base: str = "HEAD"
) -> tuple[dict[str, Any], intake.Submission]:
    """The run, and its folder as a judge reads it."""
    out = project.root.parent / "evidence"
    run = evidence.collect(base, out, champion, project.root)
    archive = shutil.make_archive(str(out), "zip", out)
    return run, intake.read(Path(archive), project.root.parent / "read")


def ran(run: dict[str, Any]) -> list[str]:
    return [stage["name"] for stage in run["stages"]]


def test_a_change_of_words_is_found_out_before_anything_runs(project: Project) -> None:
    """Nothing is checked out, nothing runs; the evidence says so."""
    (project.root / "README.md").write_text("Other words\n", encoding="utf-8")

    run, read = collect(project)

    assert run["outcome"] == read.outcome == "unchanged"
    assert run["lock_digest"] == project.lock_digest
    assert run["stages"] == []
    assert run["seconds"] < 20
    assert not any((project.root / name).exists() for name in OUTPUTS)
    assert sorted(path.name for path in read.folder.iterdir()) == ["dvc.lock", "manifest.json", "run.json"]


@pytest.mark.parametrize("is_released", [True, False], ids=["released", "not released"])
def test_mains_own_model_is_made_again_when_no_release_holds_it(
    project: Project, made: Project, tmp_path: Path, is_released: bool
) -> None:
    """On a branch that asks for it, although nothing changed; not when it is the champion already."""
    champion = tmp_path / "champion"
    shutil.copytree(made.root / "bundle", champion)
    if not is_released:
        manifest = files.read_json(champion / "manifest.json")
        files.write_json(champion / "manifest.json", {**manifest, "made_from": {**manifest["made_from"], "params": {}}})
    out = project.root.parent / "evidence"

    run = evidence.collect("HEAD", out, Champion("model-v1", champion), project.root, rejudges=True)

    assert run["outcome"] == ("unchanged" if is_released else "proposed")
    assert run["lock_digest"] == made.lock_digest
    assert run["model_digest"] == (None if is_released else made.model_digest)


@dataclass(frozen=True)
class Proposal:
    """A proposal that has run, and its evidence."""

    project: Project
    run: dict[str, Any]
    read: intake.Submission


@pytest.fixture(scope="module")
def proposal(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Proposal:
    """Another parameter, with a committed lock which says that it gave the old model."""
    project = made.twin(tmp_path_factory.mktemp("proposal") / "project")
    for name in OUTPUTS:
        shutil.rmtree(project.root / name)
    base = project.run("git", "rev-parse", "HEAD").out.strip()
    project.edit(model__alpha=30.0)
    lie = yaml.safe_load((project.root / "dvc.lock").read_text())
    for stage in ("train", "export"):
        lie["stages"][stage]["params"]["params.yaml"]["model"]["alpha"] = 30.0
    (project.root / "dvc.lock").write_text(yaml.safe_dump(lie))
    project.commit("Nothing to do")
    return Proposal(project, *collect(project, Champion("model-v1", made.root / "bundle"), base))


def test_a_proposal_leaves_all_that_a_judge_needs(proposal: Proposal, made: Project) -> None:
    """Bundle, figures, scores, and what differs from the base."""
    project, run, read = proposal.project, proposal.run, proposal.read

    assert run["outcome"] == "proposed"
    assert all(stage["seconds"] > 0 for stage in run["stages"])
    assert run["model_digest"] == project.model_digest != made.model_digest
    assert run["lock_digest"] == project.lock_digest
    assert bundle.digest(read.bundle) == project.model_digest
    assert read.evaluation == project.read("evaluation/evaluation.json")
    pd.testing.assert_frame_equal(read.scores, files.read_parquet(project.root / "evaluation/scores.parquet"))
    assert read.diff["params"] == [["model.alpha", 1.0, 30.0]]


def test_the_champion_scores_the_same_rows(proposal: Proposal, made: Project) -> None:
    """In its own environment; to the last digits what its own evaluation gave."""
    read, own = proposal.read, files.read_parquet(made.root / "evaluation/scores.parquet")
    new, old = proposal.project.read("evaluation/metrics.json"), made.read("evaluation/metrics.json")
    values = {name: (was, now) for name, was, now in read.diff["metrics"]}

    assert read.run["champion"] == {"tag": "model-v1", "model_digest": made.model_digest}
    assert read.champion_scores is not None
    pd.testing.assert_frame_equal(read.champion_scores, own[list(read.champion_scores)], rtol=1e-9)
    assert values["mae"] == (pytest.approx(old["mae"], rel=1e-4), new["mae"])


def test_a_lock_that_lies_is_not_where_a_run_starts(proposal: Proposal) -> None:
    """What depends on the change runs, and nothing else, whatever the committed lock says."""
    assert ran(proposal.run) == ["train", "export", "evaluate", "card", "track"]


@pytest.mark.parametrize("is_proven", [True, False], ids=["proven", "claimed"])
def test_what_mains_own_workflow_has_trained_is_not_trained_again(
    project: Project, champion: Champion, is_proven: bool
) -> None:
    """A lock that the ledger knows is where the run starts: what is in the cache is taken."""
    base = project.run("git", "rev-parse", "HEAD").out.strip()
    project.edit(model__alpha=30.0)
    project.repro()
    digest, model = project.lock_digest, project.model_digest
    project.commit("Retrained")
    for name in OUTPUTS:
        shutil.rmtree(project.root / name)
    out = project.root.parent / "evidence"

    run = evidence.collect(base, out, champion, project.root, proven=lambda known: is_proven and known == digest)

    assert (run["outcome"], run["model_digest"], run["lock_digest"]) == ("proposed", model, digest)
    assert ("train" in ran(run)) is not is_proven


def test_the_lock_of_a_proposal_fits_its_files(proposal: Proposal) -> None:
    """What a judge asks of it: the head's files as bytes, the pipeline as data, the outputs that came along."""
    root, read = proposal.project.root, proposal.read
    listing = proposal.project.run("git", "ls-files", "-z").out.split("\0")[:-1]
    live = lock.live_of((root / "dvc.yaml").read_bytes(), (root / "params.yaml").read_bytes())
    stages = lock.parse(read.lock)

    def content(path: str) -> bytes | None:
        return read.output(path) or ((root / path).read_bytes() if path in listing else None)

    assert lock.faults(stages, live, content, listing) == []
    assert lock.strangers(stages, live, {}) == []
    forged = lock.faults(stages, live, lambda path: b"{}" if path == "data/dataset.json" else content(path), listing)
    assert forged == ["assemble: data/dataset.json is not the one that it made"]


def test_without_a_lock_in_the_base_everything_runs(project: Project) -> None:
    """A new repository; the lock that was committed since does not count."""
    text = (project.root / "dvc.lock").read_text()
    (project.root / "dvc.lock").unlink()
    project.commit("No lock")
    base = project.run("git", "rev-parse", "HEAD").out.strip()
    (project.root / "dvc.lock").write_text(text)
    project.commit("A lock")

    run = evidence.collect(base, project.root.parent / "evidence", None, project.root)

    assert run["outcome"] == "proposed"
    assert len(run["stages"]) == 10
    assert run["base_sha"] == base
    assert run["head_sha"] != base


def test_what_the_cache_has_lost_is_made_again(project: Project) -> None:
    """And nothing else: the rest comes from the cache."""
    project.edit(**QUICK)
    md5 = lock.out_md5(lock.read(project.root / "dvc.lock"), "assemble", "data/dataset.json") or ""
    (project.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()

    run, _ = collect(project)

    assert run["outcome"] == "proposed"
    assert ran(run) == ["assemble", "track"]


def test_a_champion_that_is_the_same_model_has_the_same_scores(project: Project, champion: Champion) -> None:
    """The same bytes are not run again; baselines are the challenger's alone."""
    project.edit(**QUICK)

    run, read = collect(project, champion)

    assert ran(run) == ["track"]
    assert read.champion_scores is not None
    assert "baseline:mean" not in read.champion_scores
    pd.testing.assert_frame_equal(read.champion_scores, read.scores[list(read.champion_scores)])


def test_a_champion_that_cannot_score_is_a_failure_with_its_reason(
    project: Project, champion: Champion, tmp_path: Path
) -> None:
    """The evidence says which and why; there is nothing to judge."""
    project.edit(**QUICK)
    broken = shutil.copytree(champion.folder, tmp_path / "broken")
    manifest = json.loads((broken / "manifest.json").read_text())
    (broken / "manifest.json").write_text(json.dumps(manifest | {"python": "3.1"}))

    run, read = collect(project, Champion("model-v1", broken))

    assert run["outcome"] == read.outcome == "failed"
    assert run["failure"]["stage"] is None
    assert run["failure"]["log"].startswith("the champion model-v1 cannot score the holdout: ")
    assert ran(run) == ["track"]


def test_a_stage_that_fails_is_named_with_the_end_of_its_log(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The log streams while it runs; what is kept has no colours; the job's page shows it as plain text."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    stop = 'print("x" * 9000); raise SystemExit("\\x1b[31mno <b>memory</b> left")'
    project.replace("pipelines/train.py", "def main() -> None:", f"def main() -> None:\n    {stop}")

    run, read = collect(project)

    assert run["outcome"] == "failed"
    assert run["failure"]["stage"] == "train"
    assert ran(run) == ["train"]
    assert len(run["failure"]["log"]) <= 4000
    assert "\nno <b>memory</b> left\n" in run["failure"]["log"]
    assert "\x1b" not in run["failure"]["log"]
    assert run["failure"]["log"].endswith("failed to run: sh pipelines/run.sh train, exited with 1")
    assert read.run["failure"] == run["failure"]
    assert read.scores.empty
    assert "Running stage 'train':" in capfd.readouterr().out
    summary = (tmp_path / "summary.md").read_text()
    assert "The stage **train** failed." in summary
    assert "```sh" in summary


@pytest.mark.parametrize("path", ["model/weights.bin", "data/periods/2021-01/rows.parquet", "bundle"])
def test_outputs_that_are_committed_are_a_failure(project: Project, path: str) -> None:
    """A run would take them for its own."""
    base = project.run("git", "rev-parse", "HEAD").out.strip()
    (project.root / path).parent.mkdir(parents=True, exist_ok=True)
    (project.root / path).write_text("better")
    project.run("git", "add", "--force", path)
    project.commit("A better model")

    run = evidence.collect(base, project.root.parent / "evidence", None, project.root)

    assert run["outcome"] == "failed"
    assert run["failure"] == {
        "stage": None,
        "log": f"{path} is committed (1 such files), but the pipeline makes it\n"
        f"take it out: `git rm -r --cached {path}`",
    }


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("params.yaml", "problem: [", "params.yaml: is not valid YAML"),
        ("dvc.yaml", "stages: {a: {cmd: x, what: y}}", "dvc.yaml: "),
        ("params.yaml", None, "params.yaml: is missing"),
    ],
)
def test_a_pipeline_that_cannot_be_read_is_a_failure(project: Project, name: str, text: str | None, said: str) -> None:
    """In seconds, with the reason."""
    (project.root / name).unlink()
    if text is not None:
        (project.root / name).write_text(text)

    run, read = collect(project)

    assert run["outcome"] == read.outcome == "failed"
    assert run["failure"]["log"].startswith(said)


def test_what_came_to_the_base_later_is_not_the_proposals(project: Project) -> None:
    """A branch is compared with the commit of main that it left."""
    left = project.run("git", "rev-parse", "HEAD").out.strip()
    project.run("git", "checkout", "--quiet", "-b", "proposal")
    (project.root / "README.md").write_text("Other words\n", encoding="utf-8")
    project.commit("Words")
    project.run("git", "checkout", "--quiet", "main")
    (project.root / "dvc.lock").unlink()
    project.commit("Main moves")
    project.run("git", "checkout", "--quiet", "proposal")

    run, _ = collect(project, base="main")

    assert run["outcome"] == "unchanged"
    assert run["base_sha"] == left


def test_an_unknown_base_is_an_error(project: Project, tmp_path: Path) -> None:
    """Nothing is written: it is the checkout that is wrong, not the proposal."""
    with pytest.raises(RatchetError, match="git knows no commit 'origin/absent' here"):
        evidence.collect("origin/absent", tmp_path / "evidence", None, project.root)

    assert not (tmp_path / "evidence").exists()


def test_the_judge_can_read_what_needs_no_pipeline() -> None:
    """Reading evidence loads neither scikit-learn nor MLflow."""
    code = "import sys, ratchet.intake; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"sklearn", "mlflow", "dvc", "pyarrow"} & set(modules)
