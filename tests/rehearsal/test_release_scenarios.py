"""Releases through the real workflow: a merge ships the judged bytes, or nothing ships and an issue says why."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
from scenario import BETTER, alpha, answers, bundle_in, gates, head, issues, jobs, log, merges, runs, state, verdicts

from ratchet import files
from rehearsal.desk import Desk

GREEN = {"model-gate": "success", "ci-gate": "success"}
SHIPPING = ("candidate", "image", "scan", "attest", "publish", "refuse")
ALL = {**dict.fromkeys(SHIPPING, "success"), "registry": "skipped"}
UNSHIPPED = {"image": "skipped", "scan": "skipped", "attest": "skipped"}
NOTHING = {**ALL, **UNSHIPPED, "publish": "skipped"}

pytestmark = pytest.mark.xdist_group("judged")


def releases(desk: Desk) -> list[str]:
    """Tags, oldest first."""
    return [found["tag_name"] for found in reversed(desk.get("/releases"))]


def last(desk: Desk) -> Any:
    """The newest run of release.yml."""
    return runs(desk, "release.yml")[-1]


def unprotect(desk: Desk) -> None:
    """Take the rules of main away."""
    for ruleset in desk.get("/rulesets"):
        desk.ask("DELETE", f"/rulesets/{ruleset['id']}")


def content(desk: Desk, path: str, ref: str) -> bytes:
    """A file at a commit or on a branch."""
    return base64.b64decode(desk.get(f"/contents/{path}", ref=ref)["content"])


def is_as_judged(desk: Desk, number: int, tag: str) -> None:
    """A release, its image and staging hold the model of the pull request's verdict, and no stage ran for it."""
    verdict = verdicts(desk, number)[-1]
    record = desk.records()[f"releases/{tag}.json"]
    assert record["model_digest"] == verdict["model_digest"]
    assert (record["pull_request"], record["artifact"]) == (number, verdict["artifact"])
    assert record["verdict"] in desk.records()
    assert bundle_in(desk, record["image"]) == verdict["model_digest"]
    assert answers(desk) == tag
    assert "Running stage" not in log(last(desk))


def test_a_new_repository_trains_its_first_model_and_puts_it_into_staging(desk: Desk) -> None:
    """Better than its baselines; its lock comes to main, its image is in staging, and nothing is in production."""
    record = desk.records()["releases/model-v1.json"]

    assert jobs(last(desk)) == ALL
    assert "Running stage 'train'" in log(last(desk))
    assert (record["pull_request"], record["verdict"]) == (None, None)
    assert record["sha"] == desk.head("main")
    assert bundle_in(desk, record["image"]) == record["model_digest"]
    assert state(desk)["slots"]["blue"]["image"] == record["image"]
    assert desk.ask("GET", "/contents/production/state.json?ref=deploy").status_code == 404
    assert sorted(record["assets"]) == [
        *("bundle.zip", "card.md", "dataset.json", "evaluation.json", "release.json", "sbom.spdx.json"),
        *("smoke.json", "training.json"),
    ]


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_a_merge_ships_the_judged_bytes_whatever_way_it_is_made(judged: Desk, how: str) -> None:
    """Release, image and staging; a dispatch afterwards finds nothing to do."""
    if how == "rebase":  # our ruleset leaves it out; a repository without one has it
        unprotect(judged)
    assert merges(judged, 1, how)
    judged.wait()

    assert jobs(last(judged)) == ALL
    assert releases(judged) == ["model-v1", "model-v2"]
    is_as_judged(judged, 1, "model-v2")
    assert state(judged)["slots"]["blue"]["release"] == "model-v1"  # warm, to go back to
    assert "rows are the judged ones" in log(last(judged))
    before = {name: judged.head(name) for name in ("main", "records", "deploy")}

    judged.dispatch("release.yml")
    judged.wait()

    assert jobs(last(judged)) == NOTHING
    assert "main's lock is that of model-v2: nothing to release" in log(last(judged))
    assert {name: judged.head(name) for name in before} == before


def test_a_tampered_artifact_ships_nothing_until_it_is_what_was_judged(judged: Desk) -> None:
    """The issue names both digests; with the right bytes back, a dispatch releases them and closes it."""
    number = verdicts(judged, 1)[0]["artifact"]["id"]
    path = next(Path(one.path) for one in judged.forge.state.artifacts if one.id == number)
    whole = path.read_bytes()
    path.write_bytes(whole + b"more")

    assert merges(judged, 1)
    judged.wait()

    assert jobs(last(judged)) == {**NOTHING, "candidate": "failure"}
    assert releases(judged) == ["model-v1"]
    assert answers(judged) == "model-v1"
    assert issues(judged) == ["Nothing was released: the artifact is not the one that was judged"]
    (issue,) = [one for one in judged.get("/issues") if "pull_request" not in one]
    assert f"sha256:{files.sha256(path)}" in issue["body"].replace("\u200b", "")

    path.write_bytes(whole)
    judged.dispatch("release.yml")
    judged.wait()

    is_as_judged(judged, 1, "model-v2")
    assert issues(judged) == []


def test_a_forged_artifact_and_a_missed_push_change_nothing(judged: Desk, tmp_path: Path) -> None:
    """Another run uploads its own `evidence`; the push's run is cancelled; a dispatch releases what was judged."""
    (tmp_path / "forged").mkdir()
    (tmp_path / "forged" / "run.json").write_text("{}")
    judged.forge.store_artifact(runs(judged, "ci.yml")[-1], "evidence", tmp_path / "forged")
    assert merges(judged, 1)
    while len(runs(judged, "release.yml")) < 2:
        time.sleep(0.1)
    assert judged.ask("POST", f"/actions/runs/{last(judged).id}/cancel").status_code == 202
    judged.wait()
    assert last(judged).conclusion == "cancelled"
    assert releases(judged) == ["model-v1"]

    judged.dispatch("release.yml")
    judged.wait()

    is_as_judged(judged, 1, "model-v2")
    assert issues(judged) == []


def test_an_expired_artifact_is_judged_again_and_then_released(judged: Desk) -> None:
    """Through a pull request that changes no file; its model is the same, and the same look."""
    number = verdicts(judged, 1)[0]["artifact"]["id"]
    with judged.forge.changing() as changed:
        for artifact in changed.artifacts:
            artifact.expired = artifact.expired or artifact.id == number
    assert merges(judged, 1)
    judged.wait()

    assert jobs(last(judged)) == {**ALL, **UNSHIPPED}
    assert releases(judged) == ["model-v1"]
    (pull,) = judged.get("/pulls")
    assert pull["head"]["ref"].startswith("rejudge-")
    again = int(pull["number"])
    assert judged.get(f"/pulls/{again}/files") == []
    assert gates(judged, again) == GREEN
    assert verdicts(judged, again)[0]["model_digest"] == verdicts(judged, 1)[0]["model_digest"]
    assert verdicts(judged, again)[0]["look"] == verdicts(judged, 1)[0]["look"]

    assert merges(judged, again)
    judged.wait()

    is_as_judged(judged, again, "model-v2")


def test_a_lock_that_somebody_edited_on_main_ships_nothing_until_it_is_put_back(desk: Desk) -> None:
    """It was never judged; the issue says so, and closes when main is as it was."""
    unprotect(desk)
    locked = content(desk, "dvc.lock", "main")
    desk.edit({"dvc.lock": locked.replace(b"alpha: 100.0", b"alpha: 99.0").replace(b"md5: ", b"md5: 0")}, "main")
    desk.wait()

    assert jobs(last(desk)) == {**NOTHING, "candidate": "failure"}
    assert releases(desk) == ["model-v1"]
    assert issues(desk) == ["Nothing was released: main's dvc.lock was never judged to pass"]

    desk.edit({"dvc.lock": locked}, "main")
    desk.wait()

    assert jobs(last(desk)) == NOTHING
    assert issues(desk) == []


def test_two_judged_merges_at_once_ship_each_what_was_judged_or_the_newest_alone(judged: Desk) -> None:
    """Both change the lock; the second is merged by hand while the first is released, and keeps its own lock."""
    assert judged.propose("Hardly any shrinkage", alpha(BETTER / 2), "hardly-any-shrinkage") == 2
    judged.wait()
    judged.dispatch("maintainer.yml", action="accept", **{"pull-request": "2", "reason": "A second look is stricter"})
    judged.wait()
    assert gates(judged, 2) == GREEN
    unprotect(judged)
    theirs = {path: content(judged, path, head(judged, 2)) for path in ("params.yaml", "dvc.lock")}

    assert merges(judged, 1)
    judged.edit({"params.yaml": theirs["params.yaml"]}, "main")  # for a moment the lock is not about what main holds
    judged.edit({"dvc.lock": theirs["dvc.lock"]}, "main")
    judged.wait()

    shipped = [judged.records()[f"releases/{tag}.json"] for tag in releases(judged)[1:]]
    assert 1 <= len(shipped) <= 2
    for record in shipped:
        verdict = verdicts(judged, record["pull_request"])[0]
        assert record["model_digest"] == verdict["model_digest"]
        assert bundle_in(judged, record["image"]) == verdict["model_digest"]
    is_as_judged(judged, 2, releases(judged)[-1])
    assert issues(judged) == []


def test_a_conflict_that_was_resolved_by_halves_ships_nothing(judged: Desk) -> None:
    """Main has the judged lock, and parameters that it is not about; an issue says which, until they fit."""
    unprotect(judged)
    judged_lock, own = content(judged, "dvc.lock", head(judged, 1)), content(judged, "params.yaml", head(judged, 1))
    judged.edit({"dvc.lock": judged_lock}, "main")
    judged.wait()

    assert jobs(last(judged)) == {**NOTHING, "candidate": "failure"}
    assert releases(judged) == ["model-v1"]
    assert issues(judged) == ["Nothing was released: main's dvc.lock is not about what main holds"]
    (issue,) = [one for one in judged.get("/issues") if "pull_request" not in one]
    assert "export: model is not what params.yaml says, and 1 more" in issue["body"]

    judged.edit({"params.yaml": own}, "main")
    judged.wait()

    is_as_judged(judged, 1, "model-v2")
    assert issues(judged) == []


def test_two_releases_at_once_end_as_one_after_the_other(judged: Desk) -> None:
    """A merge and two dispatches: one of the runs releases, the others find nothing to do, or are not needed."""
    assert merges(judged, 1)
    judged.dispatch("release.yml")
    judged.dispatch("release.yml")
    judged.wait()

    assert {run.conclusion for run in runs(judged, "release.yml")} <= {"success", "cancelled"}
    assert sum(jobs(run).get("publish") == "success" for run in runs(judged, "release.yml")[1:]) == 1
    assert releases(judged) == ["model-v1", "model-v2"]
    record = judged.records()["releases/model-v2.json"]
    assert bundle_in(judged, record["image"]) == verdicts(judged, 1)[0]["model_digest"]
    assert len([path for path in judged.records() if path.startswith("promotions/staging-")]) == 2
