"""Environments with required reviewers: who lets a run in, what waits meanwhile, and what waits behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ratchet.errors import RatchetError
from rehearsal.desk import Desk
from rehearsal.forge import Run
from rehearsal.forge.runs import cancel, rerun
from rehearsal.runner import plan, workflow

WITHIN = 60.0  # seconds for whatever follows from one event
JOB = """\
    runs-on: ubuntu-24.04
    permissions: {contents: read}
"""
PROMOTE = f"""\
name: promote
on:
  workflow_dispatch:
    inputs:
      environment: {{type: choice, options: [production, staging], default: production}}
concurrency: deploy
permissions: {{}}
jobs:
  promote:
    environment: ${{{{ inputs.environment }}}}
{JOB}    steps:
      - run: echo "into ${{{{ inputs.environment }}}}"
"""
PLANNED = f"""\
name: planned
on: workflow_dispatch
concurrency: deploy
permissions: {{}}
jobs:
  plan:
{JOB}    outputs:
      tag: ${{{{ steps.plan.outputs.tag }}}}
    steps:
      - id: plan
        run: |
          echo "tag=model-v2" >> "$GITHUB_OUTPUT"
          echo "It brings model-v2" >> "$GITHUB_STEP_SUMMARY"
  deploy:
    needs: plan
    environment: production
{JOB}    steps:
      - uses: actions/checkout@v6
      - run: echo "deploys ${{{{ needs.plan.outputs.tag }}}}"
"""
ROLLBACK = f"""\
name: rollback
on: workflow_dispatch
concurrency: deploy
permissions: {{}}
jobs:
  rollback:
{JOB}    steps:
      - run: echo back
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A repository with both workflows, whose owner guards production."""
    source = tmp_path / "project"
    for name, text in {"promote": PROMOTE, "planned": PLANNED, "rollback": ROLLBACK}.items():
        (source / ".github/workflows").mkdir(parents=True, exist_ok=True)
        (source / f".github/workflows/{name}.yml").write_text(text)
    with Desk(tmp_path / "forge") as opened:
        opened.found(source)
        opened.guard()
        yield opened


def start(desk: Desk, name: str = "promote", **inputs: str) -> Run:
    """Dispatch a workflow, let happen what happens by itself, and return its newest run."""
    assert desk.dispatch(f"{name}.yml", **inputs).status_code == 204
    return settled(desk, name)


def settled(desk: Desk, name: str = "promote") -> Run:
    """The newest run of a workflow when nothing moves any more."""
    desk.wait(WITHIN)
    return [run for run in desk.forge.runs(desk.name) if run.name == name][-1]


def shown(desk: Desk, run: Run) -> tuple[str, str | None]:
    """Status and conclusion, as GitHub tells them."""
    told = desk.get(f"/actions/runs/{run.id}")
    return told["status"], told["conclusion"]


def test_a_run_waits_before_its_first_job_and_goes_on_when_it_is_approved(desk: Desk) -> None:
    """Nothing of it has run before; who approved it, and with what words, stays."""
    run = start(desk)
    assert (shown(desk, run), run.jobs, desk.waiting()) == (("waiting", None), [], [run.id])

    assert desk.approve(run.id, comment="The canary is well.").status_code == 200
    desk.wait(WITHIN)

    assert shown(desk, run) == ("completed", "success")
    assert "into production" in Path(run.log).read_text()
    (said,) = desk.get(f"/actions/runs/{run.id}/approvals")
    assert (said["user"]["login"], said["state"], said["comment"]) == ("ada", "approved", "The canary is well.")
    assert [one["name"] for one in said["environments"]] == ["production"]
    assert desk.waiting() == []


def test_what_is_rejected_has_failed_without_running(desk: Desk) -> None:
    """And frees its place."""
    run = start(desk)

    desk.approve(run.id, verdict="rejected")
    desk.wait(WITHIN)

    assert (shown(desk, run), run.jobs) == (("completed", "failure"), [])
    assert shown(desk, start(desk, "rollback")) == ("completed", "success")


def test_an_environment_that_nobody_guards_lets_everything_in(desk: Desk) -> None:
    """The first job that names it makes it, as on GitHub."""
    run = start(desk, environment="staging")

    assert shown(desk, run) == ("completed", "success")
    listed = {one["name"]: len(one["protection_rules"]) for one in desk.get("/environments")["environments"]}
    assert listed == {"production": 1, "staging": 0}


def test_only_the_reviewers_approve(desk: Desk) -> None:
    """Not whoever can write, and not who has asked, where that is forbidden."""
    desk.guard("production", ["bob"])
    run = start(desk)
    assert desk.get(f"/actions/runs/{run.id}/pending_deployments")[0]["current_user_can_approve"] is False

    refused = desk.approve(run.id)
    assert (refused.status_code, refused.json()["message"]) == (403, "ada is not a required reviewer of production.")
    assert desk.approve(run.id, "bob").status_code == 200
    desk.wait(WITHIN)
    assert shown(desk, run) == ("completed", "success")

    reviewers = [{"type": "User", "id": desk.forge.state.user("ada").id}]
    desk.ask("PUT", "/environments/production", reviewers=reviewers, prevent_self_review=True)
    assert desk.approve(start(desk).id).status_code == 403


def test_a_workflow_does_not_approve_itself(desk: Desk) -> None:
    """Neither without the permission nor with it."""
    run = start(desk)
    waits = desk.get(f"/actions/runs/{run.id}/pending_deployments")[0]["environment"]["id"]
    body = {"environment_ids": [waits], "state": "approved", "comment": "me"}
    other = desk.forge.open_run(Run(desk.name, "x.yml", "x", "push", "main", run.head_sha, desk.name, "ada"))
    other.status = "in_progress"

    answers = []
    for permissions in ({"actions": "write"}, {"deployments": "write"}):
        job = desk.forge.begin_job(other, "job", permissions)
        answers.append(_as(desk, desk.forge.mint(other), f"/actions/runs/{run.id}/pending_deployments", body))
        desk.forge.end_job(job, "success")
    desk.forge.close_run(other, "success")

    assert answers == [
        (403, "Resource not accessible by integration"),
        (403, "github-actions[bot] is not a required reviewer of production."),
    ]


def _as(desk: Desk, token: str, path: str, body: Mapping[str, Any]) -> tuple[int, str]:
    import httpx

    url, headers = f"{desk.forge.api}/repos/{desk.name}{path}", {"Authorization": f"Bearer {token}"}
    answer = httpx.post(url, headers=headers, json=dict(body))
    return answer.status_code, answer.json()["message"]


def test_a_rerun_has_to_be_approved_again(desk: Desk) -> None:
    """An approval is of one attempt."""
    run = start(desk)
    desk.approve(run.id)
    desk.wait(WITHIN)

    with desk.forge.changing():
        rerun(desk.forge, run, desk.forge.owner(desk.name))
    desk.wait(WITHIN)

    assert (run.attempt, shown(desk, run)) == (2, ("waiting", None))


def test_what_waits_keeps_its_place_in_its_group(desk: Desk) -> None:
    """A run of the same group queues behind it until it is approved or cancelled, as on GitHub."""
    first = start(desk)
    behind = start(desk, "rollback")
    assert (shown(desk, first)[0], shown(desk, behind)[0]) == ("waiting", "queued")

    desk.approve(first.id)
    desk.wait(WITHIN)
    assert [shown(desk, run) for run in (first, behind)] == [("completed", "success")] * 2
    assert str(first.completed_at) <= str(behind.started_at)

    second = start(desk)
    behind = start(desk, "rollback")
    with desk.forge.changing():
        cancel(desk.forge, second, desk.forge.owner(desk.name))
    desk.wait(WITHIN)
    assert (shown(desk, second)[1], shown(desk, behind)[1]) == ("cancelled", "success")


def test_what_waits_still_waits_when_the_forge_is_opened_again(desk: Desk, tmp_path: Path) -> None:
    """Approved then, it runs."""
    run = start(desk)
    desk.__exit__(None, None, None)

    with Desk(tmp_path / "forge") as again:
        assert again.waiting() == [run.id]
        again.approve(run.id)
        again.wait(WITHIN)
        assert shown(again, again.forge.run(run.id)) == ("completed", "success")
    desk.__enter__()


def test_a_job_that_needs_another_waits_by_itself(desk: Desk) -> None:
    """What came before it has run, and the reviewers can read it; others go on beside it, those of its group wait."""
    run = start(desk, "planned")
    assert (shown(desk, run), desk.waiting()) == (("waiting", None), [run.id])
    assert [(job.name, job.conclusion) for job in run.jobs] == [("plan", "success")]
    assert run.summary == "It brings model-v2\n"
    assert "deploys" not in Path(run.log).read_text()
    behind = start(desk, "rollback")
    assert shown(desk, behind)[0] == "queued"

    desk.approve(run.id)
    desk.wait(WITHIN)

    assert [shown(desk, one) for one in (run, behind)] == [("completed", "success")] * 2
    assert "deploys model-v2" in Path(run.log).read_text()
    assert str(run.completed_at) <= str(behind.started_at)


@pytest.mark.parametrize("how", ["rejected", "cancelled"])
def test_a_job_that_is_not_let_in_never_begins(desk: Desk, how: str) -> None:
    """Its run has ended at once, and a later one is not disturbed."""
    run = start(desk, "planned")

    if how == "rejected":
        desk.approve(run.id, verdict="rejected")
    else:
        with desk.forge.changing():
            cancel(desk.forge, run, desk.forge.owner(desk.name))
    desk.wait(WITHIN)

    assert shown(desk, run) == ("completed", {"rejected": "failure"}.get(how, how))
    assert "deploys" not in Path(run.log).read_text()
    assert {job.name: job.permissions for job in run.jobs} == {"plan": {"contents": "read"}, "deploy": {}}
    assert shown(desk, start(desk, "rollback")) == ("completed", "success")


def test_any_number_of_runs_may_wait_in_their_middle(desk: Desk) -> None:
    """None of them keeps a worker from the others."""
    desk.edit({".github/workflows/planned.yml": PLANNED.replace("concurrency: deploy\n", "").encode()}, "main")
    waiting = [start(desk, "planned") for _ in range(3)]
    assert desk.waiting() == [run.id for run in waiting]

    assert shown(desk, start(desk, "rollback")) == ("completed", "success")
    for run in waiting:
        desk.approve(run.id)
    desk.wait(WITHIN)

    assert [shown(desk, run) for run in waiting] == [("completed", "success")] * 3


def test_a_job_that_could_not_be_stopped_is_refused() -> None:
    """It deploys after another one, and the first thing it does asks for nothing."""
    text = PLANNED.replace("      - uses: actions/checkout@v6\n", "")

    with pytest.raises(RatchetError, match=r"jobs\.deploy: deploys after another job"):
        workflow.parse(".github/workflows/planned.yml", text)


def test_the_environments_of_a_workflow_are_named_once() -> None:
    """By word, by mapping, and by an expression; of those that need no other job."""
    jobs = {
        "a": "environment: production",
        "b": "environment: {name: '${{ inputs.to }}', url: https://example.org}",
        "c": "environment: production",
        "d": "name: none",
        "e": "{needs: a, environment: later, steps: [{uses: actions/checkout@v6}]}",
    }
    text = "name: w\non: push\njobs:\n" + "".join(f"  {name}:\n    {line}\n" for name, line in jobs.items())
    parsed = workflow.parse(".github/workflows/w.yml", text.encode())

    assert plan.environments(parsed, {"inputs": {"to": "staging"}}) == ["production", "staging"]


def test_reviews_of_a_pull_request_are_kept_in_their_order(desk: Desk) -> None:
    """Nobody approves their own."""
    number = desk.propose("More trees", {"README.md": b"# More\n"}, "more")

    assert desk.review(number, "ada").status_code == 422
    assert desk.review(number, "eve", "COMMENT", "Why?").status_code == 200
    assert desk.review(number, "eve").status_code == 200

    listed = desk.get(f"/pulls/{number}/reviews")
    assert [(one["user"]["login"], one["state"], one["body"]) for one in listed] == [
        ("eve", "COMMENTED", "Why?"),
        ("eve", "APPROVED", ""),
    ]
    assert listed[0]["commit_id"] == desk.pull(number)["head"]["sha"]
