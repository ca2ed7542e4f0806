"""What workflows may do, and what GitHub keeps quiet about what they did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from forge_desk import ADA, NAME, WORKFLOW, Desk, bot

from rehearsal.forge import Forge
from rehearsal.forge.refusal import Refusal
from rehearsal.forge.runs import approve, cancel, permissions, rerun

HERE = f"/repos/{NAME}"
INTEGRATION = "Resource not accessible by integration"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Forge(tmp_path / "forge") as forge:
        forge.create_repository(NAME)
        found = Desk(forge)
        found.commit("main", {"README.md": "flights\n", ".github/workflows/report.yml": WORKFLOW})
        found.commit("topic", {"params.yaml": "seed: 1\n"})
        forge.listen(found.events.append)
        yield found


def test_a_workflows_own_push_starts_nothing(desk: Desk) -> None:
    """Neither a push nor a synchronize is told, though the head follows."""
    pull = desk.propose()
    desk.told()

    sha = desk.commit("topic", {"dvc.lock": "stages: {}\n"}, bot(contents="write"))

    assert desk.told() == []
    assert pull.head_sha == sha


def test_a_workflows_dispatch_starts_a_run(desk: Desk) -> None:
    """The exception to the rule."""
    _, token = desk.running({"actions": "write"})
    desk.told()

    answer = desk.ask(
        "POST",
        f"{HERE}/actions/workflows/report.yml/dispatches",
        token,
        json={"ref": "main", "inputs": {"reason": "x"}},
    )

    assert answer.status_code == 204
    assert desk.events[0].payload["inputs"] == {"reason": "x", "kind": "accept"}
    assert (desk.events[0].ref, desk.events[0].sha) == ("refs/heads/main", desk.git.branch("main"))
    assert desk.told() == ["workflow_dispatch by github-actions[bot]"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "Required input 'reason' not provided"),
        ({"reason": "x", "colour": "red"}, 'Unexpected inputs provided: ["colour"]'),
        ({"reason": "x", "kind": "burn"}, "Provided value 'burn' for input 'kind' not in the list of allowed values"),
    ],
)
def test_inputs_that_the_workflow_does_not_know_are_refused(desk: Desk, inputs: dict, message: str) -> None:
    """422, and nothing starts."""
    path = f"{HERE}/actions/workflows/report.yml/dispatches"
    answer = desk.ask("POST", path, json={"ref": "main", "inputs": inputs})

    assert (answer.status_code, answer.json()["message"]) == (422, message)
    assert desk.told() == []


def test_a_token_may_what_all_jobs_in_progress_may(desk: Desk) -> None:
    """The same token: nothing before the first job, the least of two at once, nothing when the run has ended."""
    run = desk.open_run()
    desk.forge.begin_run(run)
    token = desk.forge.mint(run)
    path, body = f"{HERE}/statuses/{desk.git.branch('main')}", {"state": "success"}
    assert desk.ask("POST", path, token, json=body).json()["message"] == INTEGRATION

    write = desk.forge.begin_job(run, "write", {"statuses": "write", "contents": "read"})
    assert desk.ask("POST", path, token, json=body).status_code == 201

    judge = desk.forge.begin_job(run, "judge", {"statuses": "read", "actions": "read"})
    assert permissions(run) == {"metadata": "read", "statuses": "read"}
    assert desk.ask("POST", path, token, json=body).status_code == 403

    desk.forge.end_job(judge, "success")
    desk.forge.end_job(write, "success")
    desk.forge.close_run(run, "success")
    assert desk.ask("GET", HERE, token).json()["message"] == "Bad credentials"


def test_a_forks_run_reads_at_most(desk: Desk) -> None:
    """Whatever its workflow file says."""
    desk.forge.fork(NAME, "bob")
    run, token = desk.running({"statuses": "write", "contents": "read"}, head_repository="bob/flights")

    answer = desk.ask("POST", f"{HERE}/statuses/{run.head_sha}", token, json={"state": "success"})

    assert (answer.status_code, answer.json()["message"]) == (403, INTEGRATION)
    assert desk.ask("GET", f"{HERE}/commits/main/status", token).status_code == 200


def test_a_forks_run_names_no_pull_request(desk: Desk) -> None:
    """`workflow_run.pull_requests` is empty, where that of a branch has one."""
    desk.propose()
    desk.forge.fork(NAME, "bob")
    desk.told()

    desk.open_run(pull_requests=[1])
    desk.open_run(pull_requests=[1], head_repository="bob/flights")

    own, forks = (event.payload["workflow_run"] for event in desk.events)
    assert [pull["number"] for pull in own["pull_requests"]] == [1]
    assert forks["pull_requests"] == []
    assert forks["head_repository"]["full_name"] == "bob/flights"


def test_a_run_is_told_from_request_to_completion(desk: Desk) -> None:
    """On the default branch, where the workflows that listen are."""
    run = desk.open_run()
    desk.forge.begin_run(run)
    desk.forge.close_run(run, "failure")

    assert [event.ref for event in desk.events] == ["refs/heads/main"] * 3
    assert desk.events[-1].payload["workflow_run"]["conclusion"] == "failure"
    assert desk.told() == [
        "workflow_run.requested by ada",
        "workflow_run.in_progress by ada",
        "workflow_run.completed by ada",
    ]


def test_a_rerun_is_the_next_attempt_of_the_same_run(desk: Desk) -> None:
    """Not requested again, as on GitHub; the jobs of the first attempt are kept."""
    run = desk.open_run()
    desk.forge.begin_run(run)
    desk.forge.end_job(desk.forge.begin_job(run, "train", {}), "failure")
    desk.forge.close_run(run, "failure")
    desk.told()

    with desk.forge.changing():
        rerun(desk.forge, run, ADA)

    assert desk.told() == ["run.queued by ada"]
    assert (run.attempt, run.status, run.conclusion, run.jobs) == (2, "queued", None, [])
    first = desk.ask("GET", f"{HERE}/actions/runs/{run.id}/attempts/1/jobs").json()["jobs"]
    assert [(job["name"], job["conclusion"]) for job in first] == [("train", "failure")]


def test_a_queued_run_is_cancelled_at_once_and_a_running_one_by_who_executes_it(desk: Desk) -> None:
    """The forge tells whoever that is."""
    queued, running = desk.open_run(), desk.open_run()
    desk.forge.begin_run(running)
    desk.told()

    with desk.forge.changing():
        cancel(desk.forge, queued, ADA)
        cancel(desk.forge, running, ADA)

    assert (queued.status, queued.conclusion, running.status) == ("completed", "cancelled", "in_progress")
    assert desk.told() == ["workflow_run.completed by ada", "run.cancelled by ada", "run.cancelled by ada"]
    with pytest.raises(Refusal, match="409"):
        cancel(desk.forge, queued, ADA)


def test_a_run_that_waits_looks_completed_until_it_is_approved(desk: Desk) -> None:
    """GitHub's conclusion for it is action_required."""
    run = desk.open_run(actor="github-actions[bot]")
    shown = desk.ask("GET", f"{HERE}/actions/runs/{run.id}").json()
    assert (shown["status"], shown["conclusion"]) == ("completed", "action_required")
    desk.told()

    with desk.forge.changing():
        approve(desk.forge, run, ADA)

    assert (run.status, desk.told()) == ("queued", ["run.queued by ada"])


def test_a_workflow_brings_no_workflow_file_that_no_branch_has(desk: Desk) -> None:
    """GitHub's `workflows` permission, which the token of a job never has."""
    with pytest.raises(Refusal) as refused:
        desk.commit("topic", {".github/workflows/evil.yml": "on: push\n"}, bot(contents="write"))
    assert (refused.value.status, refused.value.message) == (403, INTEGRATION)

    desk.commit("idea", {".github/workflows/new.yml": "on: push\n"})
    assert desk.commit("topic", {".github/workflows/new.yml": "on: push\n"}, bot(contents="write"))


def test_an_artifact_is_kept_for_its_run_and_fetched_without_a_token(desk: Desk, tmp_path: Path) -> None:
    """A second of the same name takes its place; the address is worth nothing when it is touched."""
    run = desk.open_run()
    for text in ("old", "new"):
        (tmp_path / "run.json").write_text(text)
        artifact = desk.forge.store_artifact(run, "evidence", tmp_path / "run.json", archive=False)

    listed = desk.ask("GET", f"{HERE}/actions/runs/{run.id}/artifacts").json()["artifacts"]
    address = desk.ask("GET", f"{HERE}/actions/artifacts/{artifact.id}/zip").headers["Location"]

    assert [one["id"] for one in listed] == [artifact.id]
    assert listed[0]["digest"] == "sha256:11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"
    assert httpx.get(address).content == b"new"
    assert httpx.get(address.replace("sig=", "sig=0")).status_code == 404
    assert desk.ask("GET", f"{HERE}/actions/artifacts/{artifact.id}/zip", None).status_code == 401
