"""What workflows may do, and what GitHub keeps quiet about what they did."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from forge_desk import ADA, NAME, WORKFLOW, Desk, bot

from rehearsal.forge import BOT, BotRuns, Forge, Run
from rehearsal.forge.access import person
from rehearsal.forge.git import Entry, Person
from rehearsal.forge.refusal import Refusal
from rehearsal.forge.runs import cancel, permissions, rerun

HERE = f"/repos/{NAME}"
INTEGRATION = "Resource not accessible by integration"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Forge(tmp_path / "forge", bot_runs="held") as forge:
        forge.create_repository(NAME)
        found = Desk(forge)
        found.commit("main", {"README.md": "flights\n", ".github/workflows/report.yml": WORKFLOW})
        found.commit("topic", {"params.yaml": "seed: 1\n"})
        forge.listen(found.events.append)
        yield found


@pytest.mark.parametrize(
    ("bot_runs", "told"),
    [
        ("held", ["pull_request.synchronize by github-actions[bot]"]),
        ("failed", ["pull_request.synchronize by github-actions[bot]"]),
        ("none", []),
    ],
)
def test_a_workflows_own_push_starts_no_run_of_a_push(desk: Desk, bot_runs: BotRuns, told: list[str]) -> None:
    """What a pull request makes of it depends on the world; the head follows in each."""
    desk.forge.state.bot_runs = bot_runs
    pull = desk.propose()
    desk.told()

    sha = desk.commit("topic", {"dvc.lock": "stages: {}\n"}, bot(contents="write"))

    assert desk.told() == told
    assert pull.head_sha == sha


def test_a_commit_that_a_workflow_makes_through_the_api_counts_as_its_push(desk: Desk) -> None:
    """So does a pull request that it opens again; one that it closes is kept quiet."""
    pull = desk.propose()
    _, token = desk.running({"contents": "write", "pull-requests": "write"})
    parent = desk.git.commit(pull.head_sha)
    commit = {"message": "Lock", "tree": parent.tree, "parents": [parent.sha]}
    sha = desk.ask("POST", f"{HERE}/git/commits", token, json=commit).json()["sha"]
    desk.told()

    desk.ask("PATCH", f"{HERE}/git/refs/heads/topic", token, json={"sha": sha})
    assert (desk.told(), pull.head_sha) == (["pull_request.synchronize by github-actions[bot]"], sha)

    desk.ask("PATCH", f"{HERE}/pulls/{pull.number}", token, json={"state": "closed"})
    assert desk.told() == []
    desk.ask("PATCH", f"{HERE}/pulls/{pull.number}", token, json={"state": "open"})
    assert desk.told() == ["pull_request.reopened by github-actions[bot]"]


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


def test_a_run_that_has_not_ended_is_not_deleted(desk: Desk) -> None:
    """Refused with the status that GitHub was seen to give; ended, it goes."""
    run = desk.open_run()
    where = f"{HERE}/actions/runs/{run.id}"
    desk.forge.begin_run(run)

    assert desk.ask("DELETE", where).status_code == 403
    desk.forge.close_run(run, "success")
    assert desk.ask("DELETE", where).status_code == 204


def shown(desk: Desk, run: Run) -> tuple[str, str | None, int, int]:
    """Status, conclusion, attempt and how many jobs, as GitHub tells of a run."""
    path = f"{HERE}/actions/runs/{run.id}"
    found, jobs = desk.ask("GET", path).json(), desk.ask("GET", f"{path}/jobs").json()
    return found["status"], found["conclusion"], found["run_attempt"], jobs["total_count"]


def test_a_held_run_is_requested_with_its_conclusion_and_told_nothing_more_of(desk: Desk) -> None:
    """It looks completed, has no job, and nothing can be done to it but to let it begin."""
    run = desk.open_run(actor=BOT)

    (event,) = desk.events
    told = event.payload["workflow_run"]
    assert (event.name, event.action) == ("workflow_run", "requested")
    assert (told["status"], told["conclusion"], told["run_attempt"]) == ("completed", "action_required", 1)
    assert shown(desk, run) == ("completed", "action_required", 1, 0)
    assert desk.ask("POST", f"{HERE}/actions/runs/{run.id}/cancel").status_code == 409
    assert desk.ask("GET", f"{HERE}/commits/{run.head_sha}/check-runs").json()["total_count"] == 0


def test_a_held_run_that_is_approved_begins_its_first_attempt(desk: Desk) -> None:
    """Somebody with write access lets it, once; it is not requested a second time."""
    run = desk.open_run(actor=BOT)
    desk.told()
    path = f"{HERE}/actions/runs/{run.id}/approve"
    reader = desk.forge.token("zoe", role="read")

    assert [desk.ask("POST", path, token).status_code for token in (reader, "", "")] == [403, 201, 403]
    desk.forge.begin_run(run)
    desk.forge.close_run(run, "success")

    assert desk.told() == [
        "run.queued by ada",
        "workflow_run.in_progress by github-actions[bot]",
        "workflow_run.completed by github-actions[bot]",
    ]
    assert shown(desk, run) == ("completed", "success", 1, 0)


def test_a_held_run_that_is_run_again_begins_its_second_attempt(desk: Desk) -> None:
    """The first one stays without a job."""
    run = desk.open_run(actor=BOT)

    assert desk.ask("POST", f"{HERE}/actions/runs/{run.id}/rerun").status_code == 201

    first = desk.ask("GET", f"{HERE}/actions/runs/{run.id}/attempts/1").json()
    assert (first["status"], first["conclusion"]) == ("completed", "action_required")
    assert shown(desk, run) == ("queued", None, 2, 0)


def test_a_run_that_fails_without_a_job_is_requested_and_completed(desk: Desk) -> None:
    """As some have measured it."""
    desk.forge.state.bot_runs = "failed"

    run = desk.open_run(actor=BOT)

    assert shown(desk, run) == ("completed", "failure", 1, 0)
    assert desk.told() == [
        "workflow_run.requested by github-actions[bot]",
        "workflow_run.completed by github-actions[bot]",
    ]


def test_only_pull_requests_hold_what_a_workflow_causes(desk: Desk) -> None:
    """A dispatched run begins, and so does Dependabot's."""
    assert desk.open_run("workflow_dispatch", actor=BOT).status == "queued"
    assert desk.open_run(actor="dependabot[bot]").status == "queued"


def test_the_button_lets_no_run_begin_that_nobody_holds(desk: Desk) -> None:
    """GitHub's words."""
    run = desk.open_run()
    with pytest.raises(Refusal, match="not from a fork pull request or queued by the Actions bot"):
        desk.forge.approve_run(run, ADA)


def test_the_world_is_kept_with_the_folder(tmp_path: Path) -> None:
    """Until another one is asked for."""
    with Forge(tmp_path / "forge", bot_runs="none") as forge:
        forge.create_repository(NAME)
    assert Forge(tmp_path / "forge").state.bot_runs == "none"
    assert Forge(tmp_path / "forge", bot_runs="failed").state.bot_runs == "failed"


def test_the_first_pull_request_of_a_stranger_waits_for_a_maintainer(desk: Desk) -> None:
    """Until one of theirs is merged; another policy knows nobody, and a third holds nothing."""
    settings = desk.forge.repository(NAME).settings
    fork = desk.forge.fork(NAME, "bob")
    desk.forge.token("bob", role="read")
    assert desk.open_run(actor="bob", head_repository=fork.full_name).is_held
    assert not desk.open_run(actor="ada", head_repository=fork.full_name).is_held
    settings.fork_approval = "first_time_contributors_new_to_github"
    assert not desk.open_run(actor="bob", head_repository=fork.full_name).is_held

    desk.commit("idea", {"params.yaml": "seed: 3\n"}, person("bob"), fork.full_name)
    desk.forge.merge(desk.propose(head="bob:idea", by=person("bob", "read")), "merge", ADA)
    settings.fork_approval = "first_time_contributors"
    assert not desk.open_run(actor="bob", head_repository=fork.full_name).is_held
    settings.fork_approval = "all_external_contributors"
    assert desk.open_run(actor="bob", head_repository=fork.full_name).is_held


WRITES = {"contents": "write", "pull-requests": "write"}
NEW = {".github/workflows/new.yml": "on: push\n"}


def refused(answer: httpx.Response, status: int = 403) -> bool:
    """It is, in the words that GitHub has for a missing permission."""
    return (answer.status_code, answer.json()["message"]) == (status, INTEGRATION if status == 403 else "Not Found")


def test_a_workflow_moves_no_branch_to_another_workflow_file(desk: Desk) -> None:
    """GitHub's permission `workflows`, which no job has: also when main has the file already, whatever the way."""
    pull = desk.propose()
    main = desk.commit("main", NEW)
    _, token = desk.running(WRITES)

    assert refused(desk.ask("PATCH", f"{HERE}/git/refs/heads/topic", token, json={"sha": main, "force": True}))
    assert refused(desk.ask("POST", f"{HERE}/merges", token, json={"base": "topic", "head": "main"}))
    assert refused(desk.ask("PUT", f"{HERE}/pulls/{pull.number}/update-branch", token, json={}))
    body = {"message": "New", "content": "b246IHB1c2gK", "branch": "topic"}
    assert refused(desk.ask("PUT", f"{HERE}/contents/.github/workflows/other.yml", token, json=body))
    assert pull.head_sha == desk.git.branch("topic")
    assert desk.ask("PUT", f"{HERE}/pulls/{pull.number}/update-branch", json={}).status_code == 202


def test_a_workflow_merges_no_pull_request_that_changes_a_workflow_file(desk: Desk) -> None:
    """A person does."""
    desk.commit("topic", NEW)
    pull = desk.propose()
    _, token = desk.running(WRITES)

    assert refused(desk.ask("PUT", f"{HERE}/pulls/{pull.number}/merge", token, json={}))
    assert desk.ask("PUT", f"{HERE}/pulls/{pull.number}/merge", json={}).status_code == 200


def test_a_workflow_makes_no_ref_whose_workflow_files_are_not_those_of_the_default_branch(desk: Desk) -> None:
    """An old commit of main is enough; a branch that has none of these files may be made."""
    old = desk.git.branch("main")
    desk.commit("main", {".github/workflows/report.yml": WORKFLOW + "# newer\n"})
    empty = desk.git.write_tree(None, [Entry("a", "100644", "blob", desk.git.write_blob(b"a"))])
    orphan = desk.git.write_commit(empty, [], "Records", Person("ada", "ada@example.invalid"))
    _, token = desk.running(WRITES)

    for kind in ("heads", "tags"):
        assert refused(desk.ask("POST", f"{HERE}/git/refs", token, json={"ref": f"refs/{kind}/old", "sha": old}))
    made = desk.ask("POST", f"{HERE}/git/refs", token, json={"ref": "refs/heads/records", "sha": orphan})
    assert made.status_code == 201
    head = desk.git.branch("main")
    made = desk.ask("POST", f"{HERE}/git/refs", token, json={"ref": "refs/heads/new", "sha": head})
    assert made.status_code == 201


def test_a_workflow_makes_no_release_where_the_workflow_files_are_others(desk: Desk) -> None:
    """404 for a draft already, as GitHub's description of the API has it; a person may."""
    old = desk.git.branch("main")
    newer = desk.commit("main", {"README.md": "More flights\n"})
    _, token = desk.running(WRITES)
    release = {"tag_name": "v1", "target_commitish": old, "draft": True}
    assert desk.ask("POST", f"{HERE}/releases", token, json=release).status_code == 201

    desk.commit("main", NEW | {".github/workflows/report.yml": WORKFLOW + "# newer\n"})

    release |= {"tag_name": "v2", "target_commitish": newer}
    assert refused(desk.ask("POST", f"{HERE}/releases", token, json=release), 404)
    drafted = desk.ask("GET", f"{HERE}/releases", token).json()[0]
    assert refused(desk.ask("PATCH", f"{HERE}/releases/{drafted['id']}", token, json={"draft": False}), 404)
    assert desk.ask("POST", f"{HERE}/releases", json=release).status_code == 201


def test_a_dispatch_has_at_most_25_inputs(desk: Desk) -> None:
    """A workflow that declares more cannot be dispatched."""
    path = f"{HERE}/actions/workflows/report.yml/dispatches"
    answers = []
    for number in (25, 26):
        inputs = "".join(f"      input{one}: {{}}\n" for one in range(number))
        desk.commit("main", {".github/workflows/report.yml": f"on:\n  workflow_dispatch:\n    inputs:\n{inputs}"})
        answers.append(desk.ask("POST", path, json={"ref": "main"}).status_code)

    assert answers == [204, 422]


def test_a_workflows_token_is_long(desk: Desk) -> None:
    """As GitHub's is, which has a signature in it."""
    assert len(desk.running({})[1]) == 520


def test_the_workflows_of_a_repository_have_a_thousand_requests_an_hour_together(desk: Desk) -> None:
    """What is left stands in every answer; a person has an hour of their own, and asking what is left is free."""
    assert desk.ask("GET", HERE, desk.running({})[1]).headers["X-RateLimit-Limit"] == "1000"
    desk.forge.quota.pass_hour()
    desk.forge.quota.workflow = 3
    _, one = desk.running({"contents": "read"})
    _, other = desk.running({"contents": "read"})

    answers = [desk.ask("GET", HERE, token) for token in (one, other, one, other)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 403]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert answers[-1].json()["message"] == "API rate limit exceeded for github-actions[bot]."
    assert 3500 < int(answers[-1].headers["X-RateLimit-Reset"]) - time.time() <= 3601
    assert desk.ask("GET", "/rate_limit", one).json()["rate"]["remaining"] == 0
    assert desk.ask("GET", HERE).headers["X-RateLimit-Limit"] == "5000"
    assert [call.path for call in desk.forge.quota.calls][-3:] == [f"/api/v3{HERE}"] * 3
    desk.forge.quota.pass_hour()
    assert desk.ask("GET", HERE, one).status_code == 200


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
