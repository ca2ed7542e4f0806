"""Pull requests from first commit to end, through the real workflow files: comment, statuses, record, merge."""

from __future__ import annotations

import base64
import html
import time
from pathlib import Path

import pytest
from scenario import (
    BETTER,
    SAME,
    WORSE,
    alpha,
    bundle_in,
    few,
    found,
    gates,
    head,
    headline,
    jobs,
    log,
    merges,
    runs,
    told,
    verdicts,
)

from ratchet import cml, doctor
from ratchet.forge import Forge as Client
from rehearsal.desk import Desk

GREEN = {"model-gate": "success", "ci-gate": "success"}


def test_a_better_model_is_promoted_merged_and_released_as_it_was_judged(desk: Desk) -> None:
    """One comment, both gates green on the commit with the judged lock, the same bytes in the release, no training."""
    before = len(desk.forge.quota.calls)
    number = desk.propose("Less shrinkage", alpha(BETTER), "less-shrinkage")
    proposed = head(desk, number)
    desk.wait()

    few(desk, before)
    assert headline(desk, number).startswith("### ✅ Promote: mean absolute error falls")
    assert head(desk, number) != proposed
    assert desk.get(f"/commits/{head(desk, number)}")["parents"][0]["sha"] == proposed
    assert [file["filename"] for file in desk.get(f"/commits/{head(desk, number)}")["files"]] == ["dvc.lock"]
    assert gates(desk, number) == GREEN
    assert desk.statuses(proposed)["model-gate"][0] == "failure"
    (record,) = verdicts(desk, number)
    assert (record["verdict"], record["look"], record["head_sha"]) == ("promote", 1, proposed)

    before = len(desk.forge.quota.calls)
    assert merges(desk, number, "squash")
    desk.wait()
    few(desk, before)
    assert desk.get("/releases/latest")["tag_name"] == "model-v2"
    assert desk.records()["releases/model-v2.json"]["model_digest"] == record["model_digest"]
    assert "Running stage" not in log(runs(desk, "release.yml")[-1])


def test_the_default_branch_may_have_any_name(tmp_path: Path) -> None:
    """Where it is `master`, a proposal is judged, merged and released; the doctor finds nothing that misses it."""
    folder = found(tmp_path / "forge", branch="master")

    with Desk(folder) as desk:
        number = desk.propose("Less shrinkage", alpha(BETTER), "less-shrinkage")
        desk.wait()
        assert gates(desk, number) == GREEN
        assert len(runs(desk, "release.yml")) == 1  # pushes to the proposal's branch release nothing

        assert merges(desk, number)
        desk.wait()
        assert desk.get("/releases/latest")["tag_name"] == "model-v2"
        client = Client(desk.name, desk.token("ada"), api_url=desk.forge.api, server_url=desk.forge.url)
        assert {check.name: check.sentence for check in doctor.examine(doctor.ask(client))}["default branch"] == (
            "master: what happens to it starts the workflows"
        )


def test_a_worse_model_is_blocked(desk: Desk) -> None:
    """Its lock stays off the branch, and the button does nothing."""
    number = desk.propose("More shrinkage", alpha(WORSE), "more-shrinkage")
    proposed = head(desk, number)
    desk.wait()

    assert headline(desk, number).startswith("### ⛔ Block: mean absolute error rises")
    assert head(desk, number) == proposed
    assert gates(desk, number) == {"model-gate": "failure", "ci-gate": "success"}
    assert not merges(desk, number)
    assert [record["verdict"] for record in verdicts(desk, number)] == ["block"]


def test_noise_is_a_safe_hold_that_a_maintainer_may_accept(desk: Desk) -> None:
    """It merges after the acceptance and not before; who accepted and why is in the ledger, the comment, the status."""
    number = desk.propose("A hair more", alpha(SAME), "a-hair-more")
    desk.wait()
    assert "Hold, safe: mean absolute error" in headline(desk, number)
    assert "accept" in told(desk, number)
    assert gates(desk, number) == {"model-gate": "failure", "ci-gate": "success"}
    assert not merges(desk, number)

    desk.dispatch("maintainer.yml", action="accept", **{"pull-request": str(number), "reason": "Rounder number"})
    desk.wait()

    (accepted,) = (entry for path, entry in desk.records().items() if path.startswith("acceptances/"))
    assert (accepted["who"], accepted["reason"], accepted["hold"]) == ("ada", "Rounder number", "safe")
    assert desk.statuses(head(desk, number))["model-gate"] == ("success", "Accepted by ada: Rounder number")
    assert "Rounder number" in told(desk, number)
    assert merges(desk, number)


def test_a_hold_that_cannot_tell_may_not_be_accepted(desk: Desk) -> None:
    """A month less to learn from may harm or help by more than the margin: the maintainer's run fails and says so."""
    number = desk.propose(
        "Forget January", {"params.yaml": {"data.periods": ["2021-02", "2021-03"], "model.alpha": 1.0}}, "forget"
    )
    desk.wait()
    assert "Hold, cannot tell" in headline(desk, number)

    desk.dispatch("maintainer.yml", action="accept", **{"pull-request": str(number), "reason": "I like it"})
    desk.wait()

    run = runs(desk, "maintainer.yml")[-1]
    assert run.conclusion == "failure"
    assert "only a safe hold or a change of the judge can be accepted" in log(run)
    assert not merges(desk, number)


def test_a_change_of_words_is_found_out_to_change_nothing(desk: Desk) -> None:
    """No stage runs, no look is spent, and it may be merged; the merge releases nothing."""
    number = desk.propose("Say hello", {"README.md": b"# Hello\n"}, "hello")
    desk.wait()

    assert "Running stage" not in log(runs(desk, "report.yml")[-1])
    assert gates(desk, number) == GREEN
    assert verdicts(desk, number) == []
    assert merges(desk, number)
    desk.wait()
    assert desk.get("/releases/latest")["tag_name"] == "model-v1"
    assert "nothing to release" in log(runs(desk, "release.yml")[-1])
    assert jobs(runs(desk, "release.yml")[-1])["image"] == "skipped"
    assert jobs(runs(desk, "release.yml")[-1])["publish"] == "skipped"


def test_where_cml_cannot_be_fetched_the_same_comment_is_updated_and_says_so(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it is skipped, the last step writes, and no gate minds."""
    number = desk.propose("Say hello", {"README.md": b"# Hello\n"}, "hello")
    desk.wait()
    with_it = told(desk, number)
    monkeypatch.setenv("REHEARSAL_CML", str(tmp_path / "absent"))
    assert desk.ask("POST", f"/actions/runs/{runs(desk, 'report.yml')[-1].id}/rerun").status_code == 201
    desk.wait()

    commented = [job for run in runs(desk, "verdict.yml") for job in run.jobs if job.name == "comment" and job.steps]
    steps = [[step["conclusion"] for step in job.steps][-5:] for job in commented]
    assert steps == [["success"] * 5, ["success", "skipped", "skipped", "skipped", "success"]]
    assert "iterative/cml could not be fetched" in log(runs(desk, "verdict.yml")[-1])
    assert cml.UNREACHED not in with_it
    assert told(desk, number).replace(cml.UNREACHED, "").split() == with_it.split()
    assert cml.UNREACHED in told(desk, number)
    assert gates(desk, number) == GREEN


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({"params.yaml": {"data.periods": ["2021-01", "2021-02", "2021-03", "2022-01"]}}, "ingest@2022-01"),
        ({"src/delays/model/estimator.py": b"raise SystemExit('out of luck')\n"}, "train"),
    ],
    ids=["broken-data", "a-crash"],
)
def test_a_stage_that_fails_is_told_with_its_reason(desk: Desk, changes: dict, stage: str) -> None:
    """The comment names the stage and shows the end of its log."""
    number = desk.propose("This will not work", changes, "broken")
    desk.wait()

    assert f"Stage {stage} failed" in html.unescape(told(desk, number)).replace("\u200b", "")
    assert gates(desk, number)["model-gate"] == "failure"
    assert verdicts(desk, number) == []
    assert not merges(desk, number)


def test_a_cancelled_run_is_an_error_with_its_reason_and_a_re_run_heals_it(desk: Desk) -> None:
    """Nothing waits for ever: the gate closes with the reason, and the second attempt of the same run is judged."""
    number = desk.propose("Less shrinkage", alpha(BETTER), "less-shrinkage")
    run = wait_for_report(desk)
    assert desk.ask("POST", f"/actions/runs/{run.id}/cancel").status_code == 202
    desk.wait()
    state, description = desk.statuses(head(desk, number))["model-gate"]
    assert state == "error"
    assert "cancelled" in description
    assert "cancelled" in told(desk, number)

    assert desk.ask("POST", f"/actions/runs/{run.id}/rerun").status_code == 201
    desk.wait()

    assert headline(desk, number).startswith("### ✅ Promote")
    assert gates(desk, number) == GREEN


def test_the_first_proposal_of_a_repository_without_a_release_is_held_against_the_baseline(desk: Desk) -> None:
    """There is no champion yet, and the comment says so."""
    release = desk.get("/releases/latest")
    assert desk.ask("DELETE", f"/releases/{release['id']}").status_code == 204
    number = desk.propose("Less shrinkage", alpha(BETTER), "less-shrinkage")
    desk.wait()

    assert "baseline" in told(desk, number)
    assert verdicts(desk, number)[0]["champion"] is None
    assert headline(desk, number).startswith("### ✅ Promote")


@pytest.mark.parametrize(
    "changes",
    [{"params.yaml": {"gate.delta": 0.0}}, {"src/delays/expectations/slices.py": b"SLICES = {}\n"}],
    ids=["the-policy", "the-slices"],
)
def test_a_change_of_the_judge_is_held_until_a_maintainer_accepts_it(desk: Desk, changes: dict) -> None:
    """Whatever else it does; and the acceptance holds for this commit only."""
    number = desk.propose("A milder judge", changes, "milder")
    desk.wait()
    assert gates(desk, number)["model-gate"] == "failure"
    assert "judge" in headline(desk, number)
    assert not merges(desk, number)

    desk.dispatch("maintainer.yml", action="accept", **{"pull-request": str(number), "reason": "We agreed on it"})
    desk.wait()
    assert gates(desk, number) == GREEN

    desk.edit({"params.yaml": {"gate.margin": 0.5}}, "milder")
    desk.wait()
    assert gates(desk, number)["model-gate"] == "failure"


def test_a_lock_that_lies_is_replaced_by_the_one_that_was_judged(desk: Desk) -> None:
    """The committed lock says that nothing has to be trained; what is merged is what came of training."""
    number = desk.propose("Less shrinkage", alpha(BETTER), "less-shrinkage")
    lying = desk.get("/contents/dvc.lock?ref=less-shrinkage")
    text = base64.b64decode(lying["content"]).decode().replace("alpha: 100.0", "alpha: 1.0")
    desk.edit({"dvc.lock": text.encode()}, "less-shrinkage")
    desk.wait()

    assert "Running stage 'train'" in log(runs(desk, "report.yml")[-1])
    merged_lock = base64.b64decode(desk.get(f"/contents/dvc.lock?ref={head(desk, number)}")["content"]).decode()
    assert merged_lock != text
    assert gates(desk, number) == GREEN
    assert headline(desk, number).startswith("### ✅ Promote")


def test_a_fork_is_judged_without_a_right_to_write_and_merged_once_adopted(desk: Desk) -> None:
    """Its scores are its own; adopted, the same commit is trained and judged here, and merges."""
    number = desk.propose("Less shrinkage", alpha(BETTER), "less-shrinkage", who="bob")
    desk.approve_workflows(number)
    desk.wait()
    report = runs(desk, "report.yml")[-1]
    assert report.head_repository == "bob/flights"
    assert {level for job in report.jobs for level in job.permissions.values()} == {"read"}
    assert "its own" in told(desk, number)
    assert gates(desk, number) == {"model-gate": "failure", "ci-gate": "success"}
    assert not merges(desk, number)

    desk.dispatch("maintainer.yml", action="adopt", **{"pull-request": str(number), "reason": "Read it, looks fine"})
    desk.wait()

    adopted = number + 1
    assert desk.pull(adopted)["head"]["repo"]["full_name"] == desk.name
    assert headline(desk, adopted).startswith("### ✅ Promote")
    assert gates(desk, adopted) == GREEN
    assert [path.split("/")[0] for path in desk.records() if "adoption" in path] == ["adoptions"]
    assert merges(desk, adopted)
    desk.wait()
    record = desk.records()["releases/model-v2.json"]
    assert (record["pull_request"], record["model_digest"]) == (adopted, verdicts(desk, adopted)[0]["model_digest"])
    assert bundle_in(desk, record["image"]) == record["model_digest"]


def test_words_of_a_fork_need_no_adoption(desk: Desk) -> None:
    """Main's lock fits its files, which the judge sees by itself: nothing rests on what the fork says."""
    number = desk.propose("Say hello", {"README.md": b"# Hello\n"}, "hello", who="bob")
    desk.approve_workflows(number)
    desk.wait()

    assert gates(desk, number) == GREEN
    assert merges(desk, number)


def test_a_push_while_a_run_is_under_way_is_judged_and_the_old_commit_is_not(desk: Desk) -> None:
    """The older run is cancelled; the comment and the gate are about the newer commit alone."""
    number = desk.propose("More shrinkage", alpha(WORSE), "shrinkage")
    first = head(desk, number)
    wait_for_report(desk)
    desk.edit(alpha(BETTER), "shrinkage")
    desk.wait()

    assert headline(desk, number).startswith("### ✅ Promote")
    assert gates(desk, number) == GREEN
    assert runs(desk, "report.yml")[0].conclusion == "cancelled"
    assert (
        desk.statuses(first).get("model-gate", ("error", ""))[0] == "error"
    )  # it may have gone before it was asked for
    assert [record["verdict"] for record in verdicts(desk, number)] == ["promote"]


def test_a_second_attempt_of_a_run_changes_nothing(desk: Desk) -> None:
    """The same comment, the same head, the same look."""
    number = desk.propose("A hair more", alpha(SAME), "a-hair-more")
    desk.wait()
    before, commit, look = headline(desk, number), head(desk, number), verdicts(desk, number)[0]["look"]

    assert desk.ask("POST", f"/actions/runs/{runs(desk, 'report.yml')[-1].id}/rerun").status_code == 201
    desk.wait()

    assert headline(desk, number) == before
    assert head(desk, number) == commit
    assert {record["look"] for record in verdicts(desk, number)} == {look}


def test_of_two_models_the_second_is_refreshed_and_judged_again_after_the_first_is_released(desk: Desk) -> None:
    """Strict: yesterday's verdict never merges today; the merge's only conflict is dvc.lock."""
    first = desk.propose("Less shrinkage", alpha(BETTER), "first")
    desk.wait()  # so that it is the first look
    second = desk.propose("Fewer folds", {"params.yaml": {"train.folds": 2}}, "second")
    desk.wait()
    assert merges(desk, first)
    assert not merges(desk, second)
    desk.wait()

    refreshes = [entry for path, entry in desk.records().items() if path.startswith("refreshes/")]
    assert [(entry["pull_request"], entry["reason"]) for entry in refreshes] == [(second, "model-v2 is released")]
    assert desk.get(f"/compare/main...{head(desk, second)}")["behind_by"] == 0
    assert "Hold, safe: mean absolute error stays as it is" in headline(desk, second)
    assert gates(desk, second) == {"model-gate": "failure", "ci-gate": "success"}
    champions = [record["champion"]["tag"] for record in verdicts(desk, second)]
    assert champions == ["model-v1", "model-v2"]


def test_a_hundred_and_twenty_comments_do_not_make_a_second_one(desk: Desk) -> None:
    """The comment is found behind all others, and edited."""
    number = desk.propose("More shrinkage", alpha(WORSE), "shrinkage")
    desk.wait()
    for count in range(120):
        desk.ask("POST", f"/issues/{number}/comments", body=f"What about {count}?")
    desk.edit(alpha(BETTER), "shrinkage")
    desk.wait()

    assert "Hold, safe: mean absolute error falls" in headline(desk, number)  # at the second look
    assert "Block" in told(desk, number)


def wait_for_report(desk: Desk) -> object:
    """The run of report.yml, once it is at work."""
    for _ in range(600):
        found = [run for run in runs(desk, "report.yml") if run.status == "in_progress" and run.jobs]
        if found:
            time.sleep(1)
            return found[-1]
        time.sleep(0.1)
    raise AssertionError("report.yml never began")
