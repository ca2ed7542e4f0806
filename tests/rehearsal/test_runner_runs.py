"""Events on the forge become runs: small workflows, executed by act, with the stand-ins that the real ones use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from runner_desk import CACHE, CHECKOUT, DOWNLOAD, GREEN, REPOSITORY, UPLOAD, WITHIN, Desk, log, opened, until, workflow

from rehearsal import project
from rehearsal.forge import BOT, BotRuns


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A forge and a runner, with an empty repository."""
    with opened(tmp_path) as desk:
        yield desk


def test_a_push_runs_what_listens_and_keeps_what_became_of_it(desk: Desk) -> None:
    """Jobs, permissions, steps with durations, the log without colours, and the summary."""
    steps = f"""
- uses: {CHECKOUT}
- name: Say
  run: printf 'hello \\033[31mred\\033[0m\\n' && echo "## Done" >> "$GITHUB_STEP_SUMMARY"
- if: false
  run: echo never
- run: exit 3
  continue-on-error: true
- run: test "$(git rev-parse HEAD)" = "$GITHUB_SHA"
"""
    sha = desk.push(workflow("toy", "push", steps, job="permissions: {contents: read}"), message="The first")

    run = desk.run("toy")

    assert (run.conclusion, run.head_sha, run.head_branch, run.actor, run.display_title) == (
        "success", sha, "main", "ada", "The first",
    )  # fmt: skip
    (job,) = run.jobs
    assert (job.name, job.conclusion, job.permissions) == ("job", "success", {"contents": "read"})
    assert [(step["name"], step["conclusion"]) for step in job.steps] == [
        (f"Run {CHECKOUT}", "success"),
        ("Say", "success"),
        ("Run echo never", "skipped"),
        ("Run exit 3", "success"),
        ('Run test "$(git rev-parse HEAD)" = "$GITHUB_SHA"', "success"),
    ]
    assert job.steps[0]["seconds"] > 0
    assert run.summary == "## Done\n"
    assert "  step: Say\n    hello red\n" in log(run)


def test_a_failed_step_fails_the_run_and_skips_what_needs_it(desk: Desk) -> None:
    """The job that needs it is skipped; one that always runs sees the result."""
    jobs = f"""
name: toy
on: push
jobs:
  bad: {{runs-on: ubuntu-24.04, steps: [{{run: exit 1}}, {{run: echo after}}]}}
  next: {{runs-on: ubuntu-24.04, needs: bad, steps: [{{run: echo next}}]}}
  close:
    runs-on: ubuntu-24.04
    needs: [bad, next]
    if: always()
    steps:
      - uses: {GREEN}
        with: {{jobs: "${{{{ toJSON(needs) }}}}"}}
"""
    desk.push({".github/workflows/toy.yml": jobs})

    run = desk.run("toy")

    assert run.conclusion == "failure"
    assert {job.name: job.conclusion for job in run.jobs} == {"bad": "failure", "close": "failure", "next": "skipped"}
    assert "red: bad → failure" in log(run)
    assert "red: next → skipped" in log(run)


def test_a_chain_hands_artifacts_from_run_to_run(desk: Desk) -> None:
    """`workflow_run` hears requested and completed; the second reads the artifact of the first with its own token."""
    first = f"""
- run: mkdir -p out/deep .hidden && echo 42 > out/deep/answer.txt && echo x > out/.secret
- id: up
  uses: {UPLOAD}
  with: {{name: evidence, path: out}}
- uses: {UPLOAD}
  with: {{path: out/deep/answer.txt, archive: false}}
- uses: {UPLOAD}
  with: {{name: nothing, path: nowhere, if-no-files-found: ignore}}
- run: echo "url ${{{{ steps.up.outputs.artifact-url }}}}"
"""
    second = f"""
- run: echo "told ${{{{ github.event.action }}}} ${{{{ github.event.workflow_run.conclusion }}}}"
- if: github.event.action == 'completed'
  uses: {DOWNLOAD}
  with: {{path: in, run-id: "${{{{ github.event.workflow_run.id }}}}", github-token: "${{{{ github.token }}}}"}}
- if: github.event.action == 'completed'
  run: find in -type f | sort && cat in/evidence/deep/answer.txt
"""
    after = "{workflow_run: {workflows: [toy], types: [requested, completed]}}"
    desk.push(
        {**workflow("toy", "push", first), **workflow("after", after, second, job="permissions: {actions: read}")}
    )

    requested, completed = desk.runs("after")

    (toy,) = desk.runs("toy")
    assert [run.conclusion for run in (toy, requested, completed)] == ["success"] * 3
    assert "told requested \n" in log(requested)
    assert "told completed success\n" in log(completed)
    assert "    in/answer.txt/answer.txt\n    in/evidence/deep/answer.txt\n    42\n" in log(completed)
    artifact = desk.forge.artifact(toy, "evidence")
    assert artifact is not None
    assert f"url {desk.forge.url}/{REPOSITORY}/actions/runs/{toy.id}/artifacts/{artifact.id}\n" in log(toy)


def test_an_artifact_name_is_taken_once_in_a_run(desk: Desk) -> None:
    """A second upload fails unless it says overwrite."""
    steps = f"""
- run: echo 1 > a
- uses: {UPLOAD}
  with: {{name: a, path: a}}
- uses: {UPLOAD}
  with: {{name: a, path: a, overwrite: true}}
- uses: {UPLOAD}
  with: {{name: a, path: a}}
"""
    desk.push(workflow("toy", "push", steps))

    run = desk.run("toy")

    assert [step["conclusion"] for step in run.jobs[0].steps] == ["success", "success", "success", "failure"]
    assert "an artifact with this name already exists on the workflow run" in log(run)


def test_a_cache_is_read_by_pull_requests_and_written_for_their_own_ref_alone(desk: Desk) -> None:
    """An entry of main serves a pull request; the entry of a pull request never reaches main."""
    steps = f"""
- uses: {CHECKOUT}
- uses: {CACHE}
  with: {{path: kept, key: "k-${{{{ hashFiles('key') }}}}", restore-keys: k-}}
- run: echo "had $(cat kept/file || true)" && mkdir -p kept && echo "$GITHUB_REF" > kept/file
"""
    desk.push({**workflow("toy", "[push, pull_request]", steps), "key": "1"})
    desk.runner.wait(WITHIN)
    desk.push({"key": "2"}, "proposal")
    desk.runner.wait(WITHIN)
    desk.pull("proposal")
    desk.runner.wait(WITHIN)
    desk.push({"key": "2"})

    first, branch, pull, again = desk.runs("toy")

    assert "had \n" in log(first)
    assert "had refs/heads/main\n" in log(branch)
    assert "had refs/heads/main\n" in log(pull)
    assert "had refs/heads/main\n" in log(again)


def test_a_pull_request_of_a_fork_only_reads_and_has_no_secrets(desk: Desk) -> None:
    """The same workflow, once for a branch and once for a fork."""
    steps = """
- run: echo "secret [${SECRET:-none}]"
  env: {SECRET: "${{ secrets.KEY }}"}
"""
    desk.forge.repository(REPOSITORY).secrets["KEY"] = "s3cret-value"
    desk.push(workflow("toy", "pull_request", steps, job="permissions: {contents: write, statuses: write}"))
    desk.forge.fork(REPOSITORY, "bob")
    bob = desk.forge.token("bob", role="read")
    desk.push({}, "own")
    desk.pull("own")
    owner, desk.token = desk.token, bob
    desk.push({}, "theirs", to="bob/flights")
    number = desk.pull("bob:theirs")
    desk.token = owner
    assert [run.is_held for run in desk.runs("toy")] == [False, True]
    desk.api("POST", f"actions/runs/{desk.runs('toy')[1].id}/approve")

    own, theirs = desk.runs("toy")

    assert own.jobs[0].permissions == {"contents": "write", "statuses": "write"}
    assert theirs.jobs[0].permissions == {"contents": "read", "statuses": "read"}
    assert "secret [***]" in log(own)
    assert "secret [none]" in log(theirs)
    assert (theirs.head_repository, theirs.pull_requests) == ("bob/flights", [])
    assert (own.head_repository, own.pull_requests) == (REPOSITORY, [number - 1])


def test_a_pull_request_runs_the_merge_commit_and_knows_its_head(desk: Desk) -> None:
    """GITHUB_SHA is the merge of head and base; the run is of the head."""
    steps = f"""
- uses: {CHECKOUT}
- run: echo "merged $(ls a b | tr '\\n' ' ') $GITHUB_REF $GITHUB_HEAD_REF $GITHUB_BASE_REF"
- uses: {CHECKOUT}
  with: {{ref: "${{{{ github.event.pull_request.head.sha }}}}", path: head, fetch-depth: 0}}
- run: cd head && test ! -e b && git show origin/main:b && git rev-parse HEAD
"""
    desk.push(workflow("toy", "pull_request", steps))
    head = desk.push({"a": "1"}, "proposal")
    desk.push({"b": "from main\n"})
    number = desk.pull("proposal")

    run = desk.run("toy")

    assert run.conclusion == "success", log(run)
    assert run.head_sha == head
    assert f"merged a b  refs/pull/{number}/merge proposal main\n" in log(run)
    assert f"    from main\n    {head}\n" in log(run)


def test_a_pull_request_that_conflicts_runs_nothing(desk: Desk) -> None:
    """As on GitHub: there is no merge commit to run."""
    desk.push({**workflow("toy", "pull_request", "- run: date"), "a": "0"})
    desk.push({"a": "1"}, "proposal")
    desk.push({"a": "2"})
    desk.pull("proposal")

    assert desk.runs("toy") == []


def test_a_commit_that_asks_for_no_run_gets_none(desk: Desk) -> None:
    """`[skip ci]` in the message of the newest commit."""
    desk.push(workflow("toy", "push", "- run: date"), message="Fix [skip ci]")

    assert desk.runs("toy") == []


def test_a_dispatch_brings_inputs_and_their_defaults(desk: Desk) -> None:
    """Booleans are booleans in expressions; the run belongs to the branch that was named."""
    on = "{workflow_dispatch: {inputs: {reason: {required: true}, dry: {type: boolean, default: true}}}}"
    steps = """
- run: echo "$REASON ${{ inputs.dry && 'dry' || 'wet' }} $GITHUB_REF"
  env: {REASON: "${{ inputs.reason }}"}
"""
    desk.push(workflow("toy", on, steps))
    desk.push({}, "other")

    desk.api("POST", "actions/workflows/toy.yml/dispatches", ref="other", inputs={"reason": "because"})

    run = desk.run("toy")
    assert "because dry refs/heads/other\n" in log(run)
    assert (run.event, run.head_branch, run.inputs) == (
        "workflow_dispatch",
        "other",
        {"reason": "because", "dry": True},
    )


def test_a_schedule_comes_when_it_is_called(desk: Desk) -> None:
    """It runs on the default branch."""
    desk.push(workflow("toy", "{schedule: [{cron: '0 5 * * 1'}]}", "- run: echo at $GITHUB_REF"))

    desk.runner.schedule(REPOSITORY, "toy.yml")

    assert "at refs/heads/main\n" in log(desk.run("toy"))


def test_a_newer_run_of_a_group_cancels_the_one_that_runs(desk: Desk) -> None:
    """With cancel-in-progress; what always runs still does, and the process that ran is gone."""
    top = 'concurrency: {group: "toy-${{ github.ref }}", cancel-in-progress: true}'
    steps = """
- run: if [ -n "$LONG" ]; then echo started && sleep 300; fi
  env: {LONG: "${{ contains(github.event.head_commit.message, 'long') && '1' || '' }}"}
- if: cancelled()
  run: echo cleaned up
- run: echo done
"""
    desk.push(workflow("toy", "push", steps, top=top), message="long")
    until(lambda: any("started" in log(run) for run in desk.forge.runs(REPOSITORY) if run.log))
    desk.push({})

    first, second = desk.runs("toy")

    assert (first.conclusion, second.conclusion) == ("cancelled", "success")
    assert first.jobs[0].conclusion == "cancelled"
    assert "cleaned up" in log(first)
    assert "done" not in log(first)


def test_of_the_runs_that_wait_in_a_group_only_the_newest_stays(desk: Desk) -> None:
    """Without cancel-in-progress the one that runs goes on; the one that waited is cancelled unseen."""
    steps = '- run: echo started && while [ ! -e "$GATE" ]; do sleep 0.05; done'
    gate = desk.work / ".git" / "gate"
    one = workflow("toy", "push", f"{steps}\n  env: {{GATE: {gate}}}", top="concurrency: toy")
    desk.push(one)
    until(lambda: any("started" in log(run) for run in desk.forge.runs(REPOSITORY) if run.log))
    desk.push({})
    desk.push({})
    gate.touch()

    conclusions = [(run.conclusion, len(run.jobs)) for run in desk.runs("toy")]

    assert conclusions == [("success", 1), ("cancelled", 0), ("success", 1)]


def test_a_person_cancels_a_run(desk: Desk) -> None:
    """Its jobs are cancelled, and whoever listens to `workflow_run` hears so."""
    after = workflow(
        "after",
        "{workflow_run: {workflows: [toy], types: [completed]}}",
        "- run: echo ${{ github.event.workflow_run.conclusion }}",
    )
    toy = workflow("toy", "push", "- run: echo started && sleep 300")
    behind = "  behind:\n    needs: [job]\n    runs-on: ubuntu-24.04\n    steps: [{run: echo behind}]\n"
    desk.push({**after, **{path: text + behind for path, text in toy.items()}})
    until(lambda: any("started" in log(run) for run in desk.forge.runs(REPOSITORY) if run.log))
    run = desk.forge.runs(REPOSITORY)[0]

    desk.api("POST", f"actions/runs/{run.id}/cancel")

    cancelled = desk.run("toy")
    assert cancelled.conclusion == "cancelled"
    assert {job.name: job.conclusion for job in cancelled.jobs} == {"job": "cancelled", "behind": "skipped"}
    assert "    cancelled\n" in log(desk.run("after"))


def test_a_run_is_executed_again_with_what_it_had(desk: Desk) -> None:
    """The same commit and event as the next attempt."""
    steps = """
- run: echo "attempt $GITHUB_RUN_ATTEMPT of $GITHUB_SHA" && test "$GITHUB_RUN_ATTEMPT" = 2
"""
    sha = desk.push(workflow("toy", "push", steps))
    run = desk.run("toy")
    assert run.conclusion == "failure"
    desk.push({})
    desk.runner.wait(WITHIN)

    desk.api("POST", f"actions/runs/{run.id}/rerun")

    again = desk.runs("toy")[0]
    assert (again.id, again.attempt, again.conclusion) == (run.id, 2, "success")
    assert f"attempt 2 of {sha}\n" in log(again)
    assert again.attempts[0]["conclusion"] == "failure"


def test_a_job_that_takes_too_long_is_stopped(desk: Desk) -> None:
    """Its time is up, its processes are gone, and the log says why."""
    desk.push(workflow("toy", "push", "- run: sleep 300", job="timeout-minutes: 0.02"))

    run = desk.run("toy")

    assert (run.conclusion, run.jobs[0].conclusion) == ("cancelled", "cancelled")
    assert "The job has exceeded the maximum execution time of 0.02 minutes." in log(run)


def test_what_a_job_leaves_running_is_ended_with_it(desk: Desk) -> None:
    """As on GitHub, no process outlives its job."""
    marker = desk.work / ".git" / "alive"
    desk.push(workflow("toy", "push", f"- run: (sleep 2 && touch {marker}) > /dev/null 2>&1 & disown"))

    assert desk.run("toy").conclusion == "success"

    time.sleep(2.5)
    assert not marker.exists()


def test_a_token_may_what_its_job_declares(desk: Desk) -> None:
    """One job sets a status, the next one may not."""
    job = f"""
    runs-on: ubuntu-24.04
    steps:
      - uses: {CHECKOUT}
      - run: |
          curl --silent --output /dev/null --write-out 'code %{{http_code}}' --header "Authorization: Bearer $TOKEN" \\
            --data '{{"state": "success"}}' "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/statuses/$GITHUB_SHA"
        env: {{TOKEN: "${{{{ github.token }}}}"}}
"""
    may = f"  may:\n    permissions: {{contents: read, statuses: write}}{job}"
    may_not = f"  may-not:\n    needs: may\n    permissions: {{contents: read}}{job}"
    desk.push({".github/workflows/toy.yml": f"name: toy\non: push\npermissions: {{}}\njobs:\n{may}{may_not}"})

    run = desk.run("toy")

    assert [line.strip() for line in log(run).splitlines() if "code 4" in line or "code 2" in line] == [
        "code 201",
        "code 403",
    ]


def test_a_push_with_a_workflows_token_starts_nothing(desk: Desk) -> None:
    """Or a workflow would start itself for ever."""
    steps = f"""
- uses: {CHECKOUT}
- run: git -c user.name=x -c user.email=x@x commit --quiet --allow-empty -m more && git push --quiet origin HEAD:main
"""
    desk.push(workflow("toy", "push", steps, job="permissions: {contents: write}"))

    run = desk.run("toy")

    assert run.conclusion == "success", log(run)
    assert desk.forge.git(REPOSITORY).commit(desk.forge.git(REPOSITORY).branch("main") or "").title == "more"


def test_an_action_without_a_stand_in_fails_the_run_and_says_what_to_write(desk: Desk) -> None:
    """Also where it hides in a composite action of the repository; nothing is fetched from elsewhere."""
    inside = "runs: {using: composite, steps: [{uses: some/thing/sub@v1}]}"
    desk.push({**workflow("toy", "push", "- uses: ./.github/actions/own"), ".github/actions/own/action.yml": inside})

    run = desk.run("toy")

    assert run.conclusion == "failure"
    assert log(run) == (
        "`uses: some/thing/sub@v1` has no stand-in\n"
        "write rehearsal/runner/actions/some__thing/action.yml, which does here what it does there\n"
    )


def test_a_workflow_that_cannot_be_read_is_a_failed_run(desk: Desk) -> None:
    """Of the push that brought it, with the reason as its log."""
    desk.push({".github/workflows/broken.yml": "on: push\njobs: {a: {permissions: {content: read}}}"})

    run = desk.run(".github/workflows/broken.yml")

    assert run.conclusion == "failure"
    assert log(run) == ".github/workflows/broken.yml: jobs.a: permissions: GitHub does not know `content: read`\n"


def test_workflow_run_chains_end_after_three(desk: Desk) -> None:
    """As on GitHub, which would run two that listen to each other for ever otherwise."""
    on = "{workflow_run: {workflows: [%s], types: [completed]}}"
    files = workflow("toy", "push", "- run: date") | workflow("ping", on % "toy, pong", "- run: date")
    desk.push(files | workflow("pong", on % "ping", "- run: date"))

    names = [run.name for run in desk.runs("toy") + desk.runs("ping") + desk.runs("pong")]

    assert sorted(names) == ["ping", "ping", "pong", "toy"]


def test_uv_is_the_machines_and_the_environment_is_shared_by_those_with_our_lock(desk: Desk) -> None:
    """A clone with another lock makes its own."""
    steps = f"""
- uses: {CHECKOUT}
- run: uv --version && echo "environment [${{UV_PROJECT_ENVIRONMENT:-own}}]"
"""
    desk.push({**workflow("toy", "push", steps), "uv.lock": (project.ROOT / "uv.lock").read_text()})
    desk.runner.wait(WITHIN)
    desk.push({"uv.lock": "other"})

    ours, other = desk.runs("toy")

    assert "    uv " in log(ours)
    assert "environment [own]" not in log(ours)
    assert "environment [own]" in log(other)


def test_steps_see_no_variable_of_the_person_at_the_desk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their credentials are theirs."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "private")
    desk.push(
        workflow("toy", "push", '- run: echo "key [${AWS_SECRET_ACCESS_KEY:-none}] token [${GITHUB_TOKEN:-none}]"')
    )

    assert "key [none] token [none]" in log(desk.run("toy"))


@pytest.mark.parametrize("bot_runs", ["held", "none", "failed"])
def test_what_a_workflow_does_to_a_pull_request_runs_only_when_a_person_lets_it(desk: Desk, bot_runs: BotRuns) -> None:
    """It opens one and pushes to it, with git: held runs, no runs, or failed ones; what listens to them hears it."""
    desk.forge.state.bot_runs = bot_runs
    desk.forge.repository(REPOSITORY).settings.actions_may_open_pulls = True
    steps = f"""
- uses: {CHECKOUT}
- run: |
    curl --silent --fail --output /dev/null --header "Authorization: Bearer $TOKEN" \\
      --data '{{"title": "More data", "head": "retrain", "base": "main"}}' "$API/pulls"
    git fetch --quiet origin retrain && git checkout --quiet FETCH_HEAD
    git -c user.name=bot -c user.email=bot@x commit --quiet --allow-empty --message Locked
    git push --quiet origin HEAD:retrain
  env: {{TOKEN: "${{{{ github.token }}}}", API: "${{{{ github.api_url }}}}/repos/${{{{ github.repository }}}}"}}
"""
    listens = "{workflow_run: {workflows: [toy], types: [requested, in_progress, completed]}}"
    may = "permissions: {contents: write, pull-requests: write}"
    desk.push(
        workflow("opens", "workflow_dispatch", steps, job=may)
        | workflow("toy", "pull_request", "- run: date")
        | workflow("hears", listens, "- run: date", top='run-name: "${{ github.event.action }}"')
    )
    desk.push({"a": "1"}, "retrain")
    desk.api("POST", "actions/workflows/opens.yml/dispatches", ref="main")

    found = [(run.status, run.conclusion, run.actor) for run in desk.runs("toy")]
    heard = [run.display_title for run in desk.runs("hears")]
    if bot_runs == "none":
        assert (found, heard) == ([], [])
    elif bot_runs == "failed":
        assert found == [("completed", "failure", BOT)] * 2
        assert heard == ["requested", "completed"] * 2
    else:
        assert found == [("waiting", None, BOT)] * 2
        assert heard == ["requested"] * 2
        newest = desk.runs("toy")[-1]
        desk.api("POST", f"actions/runs/{newest.id}/approve")
        assert [run.status for run in desk.runs("toy")] == ["waiting", "completed"]
        assert [run.display_title for run in desk.runs("hears")][2:] == ["in_progress", "completed"]
        assert (newest.conclusion, newest.attempt) == ("success", 1)


def test_whoever_stops_the_runner_stops_what_it_runs(desk: Desk) -> None:
    """At once, also what would always run."""
    desk.push(workflow("toy", "push", "- run: echo started && sleep 300\n- if: always()\n  run: sleep 300"))
    until(lambda: any("started" in log(run) for run in desk.forge.runs(REPOSITORY) if run.log))
    began = time.monotonic()

    desk.runner.stop()

    assert time.monotonic() - began < 10
    assert desk.forge.runs(REPOSITORY)[0].conclusion == "cancelled"


def test_a_run_costs_less_than_two_seconds_of_its_own(desk: Desk) -> None:
    """From the event to the end of a run that does nothing but check out; the best of three, for busy machines."""
    desk.push(workflow("toy", "workflow_dispatch", f"- uses: {CHECKOUT}"))
    took = []

    for _ in range(3):
        began = time.monotonic()
        desk.api("POST", "actions/workflows/toy.yml/dispatches", ref="main")
        desk.runner.wait(WITHIN)
        took.append(time.monotonic() - began)

    assert [run.conclusion for run in desk.runs("toy")] == ["success"] * 3
    assert min(took) < 2


def test_a_run_that_act_loses_begins_again(desk: Desk, tmp_path: Path) -> None:
    """A step stops act itself and ends: after some silence all of it runs once more, and the forge knows one job."""
    lose = f"mkdir '{tmp_path}/lost' 2>/dev/null && kill -STOP $PPID; echo done"
    sha = desk.push(workflow("toy", "push", f"- run: {lose}"))

    run = desk.run("toy")

    assert run.conclusion == "success"
    assert [(job.name, job.conclusion) for job in run.jobs] == [("job", "success")]
    assert "act lost a step that had ended" in log(run)
    assert [check.conclusion for check in desk.forge.state.check_runs_of(REPOSITORY, sha)] == ["success"]
