"""The self-test on a forge: it names the world that GitHub is, and each assumption that does not hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selftest_example import FILES, NAME, ROOT, WAIT, World, world

from ratchet.selftest import answers
from ratchet.selftest.answers import Answers
from ratchet.selftest.ask import QUESTIONS, comment
from ratchet.selftest.branch import PREFIX
from ratchet.selftest.questions import REVIEWS, RULES
from ratchet.selftest.scene import MESSAGE, TITLE, WORKFLOW
from rehearsal.forge import BotRuns, Fault
from rehearsal.runner import plan, workflow

ALWAYS = 1_000


@pytest.fixture
def place(tmp_path: Path) -> Iterator[World]:
    """A repository on a forge that holds what a workflow's token causes."""
    with world(tmp_path) as made:
        yield made


def outcomes(found: Answers, outcome: str) -> dict[str, str]:
    """What was found, by the question, where it came out so."""
    return {answer.id: answer.found for answer in found.answers if answer.outcome == outcome}


def nothing_is_left(place: World) -> bool:
    """No branch, run, open pull request or comment."""
    pulls = place.server.pulls(NAME)
    return (
        place.branches() == ["main"]
        and place.runs() == []
        and [(pull.title, pull.state) for pull in pulls] == [(TITLE, "closed")] * len(pulls)
        and place.server.state.comments == []
    )


@pytest.mark.parametrize(
    ("bot_runs", "named"),
    [
        ("held", "runs that are held for approval"),
        ("none", "no run at all"),
        ("failed", "runs that end without a job"),
    ],
)
def test_each_world_is_as_we_think_and_is_named(tmp_path: Path, bot_runs: BotRuns, named: str) -> None:
    """Whatever GitHub makes of what a workflow's token causes, the loop can live with it, and the answer says which."""
    with world(tmp_path, bot_runs) as made:
        found = made.selftest()

        assert [answer.id for answer in found.answers] == list(QUESTIONS)
        assert outcomes(found, "otherwise") == outcomes(found, "could not ask") == {}
        said = outcomes(found, "as we think")
        assert said["opened-starts-nothing"] == said["lock-commit-starts-nothing"] == named
        assert nothing_is_left(made)
        assert found.left == (
            "pull request 1, closed",
            f"statuses of commit {str(found.commit)[:10]}, which no branch holds",
        )


def lies(path: str, lie: Callable[[Any], Any]) -> Fault:
    """What is read there is not the truth."""
    return Fault("GET", path, "lie", ALWAYS, lie=lie)


def runs(lie: Callable[[Any], dict[str, Any]]) -> Fault:
    """A lie about each run of a list."""
    return lies("/actions/runs$", lambda said: {**said, "workflow_runs": [r | lie(r) for r in said["workflow_runs"]]})


def begun(place: World, *, is_first: bool) -> Fault:
    """The runs go on: those of the pull request's first commit, or those of the one on top of it."""
    goes_on = {"status": "in_progress", "conclusion": None}
    main = place.git.branch("main")
    return runs(lambda run: goes_on if (main in place.git.commit(run["head_sha"]).parents) is is_first else {})


BROKEN: dict[str, Callable[[World], Fault | list[Fault]]] = {
    "artifact-up-and-down": lambda _: Fault("GET", r"/actions/artifacts/\d+/zip$", 415, ALWAYS),
    # Before it, git was asked for the default branch, and for three branches that an earlier attempt could have left.
    "commit-down": lambda _: Fault("POST", "/git-upload-pack$", 403, skip=4),
    "commit-by-api": lambda _: Fault("POST", "/git/commits$", 403, ALWAYS),
    "pull-request": lambda _: Fault("POST", "/pulls$", 403, ALWAYS),
    "opened-starts-nothing": lambda place: begun(place, is_first=True),
    "lock-commit-starts-nothing": lambda place: begun(place, is_first=False),
    "push-starts-nothing": lambda _: runs(lambda run: {"event": "push"} if run["name"] == "ci" else {}),
    "status-up-and-down": lambda _: lies(
        "/statuses$", lambda said: [{**one, "creator": {**one["creator"], "login": "ada"}} for one in said]
    ),
    "gates-count": lambda _: lies(r"/pulls/\d+$", lambda said: {**said, "mergeable_state": "blocked"}),
    "only-forward": lambda _: Fault("PATCH", rf"/git/refs/heads/{PREFIX}\d+$", 200, skip=2),
    "workflow-file-refused": lambda _: Fault("PATCH", "/git/refs/heads/.*-workflow$", 200),
    "older-workflows-refused": lambda place: [
        Fault("POST", "/git/refs$", 201, skip=2, lie=lambda _: {"object": {"sha": place.older}}),
        Fault("PATCH", "/git/refs/heads/.*-older$", 200),
    ],
    "dispatch-starts": lambda _: lies("/workflows/selftest.yml/runs$", lambda said: {**said, "workflow_runs": []}),
    "deleted-branch-closes": lambda _: lies(r"/pulls/\d+$", lambda said: {**said, "state": "open"}),
    "requests-left": lambda _: lies(
        "/rate_limit$", lambda said: {**said, "resources": {"core": {**said["rate"], "limit": 60}}}
    ),
    "comment-with-least-permission": lambda _: Fault("POST", r"/issues/\d+/comments$", 403, ALWAYS),
    "no-more-than-is-asked-for": lambda place: Fault(
        "POST", "/git/refs$", 201, skip=3, lie=lambda _: {"object": {"sha": place.git.branch("main")}}
    ),
}
"""By the assumption that breaks: what GitHub would then answer."""


@pytest.mark.parametrize("broken", QUESTIONS)
def test_the_assumption_that_is_broken_is_named_and_no_other(place: World, broken: str) -> None:
    """What depends on it cannot be asked, the rest is as we think, and nothing is left behind."""
    faults = BROKEN[broken](place)
    place.server.faults.extend(faults if isinstance(faults, list) else [faults])

    found = place.selftest()

    place.server.faults.clear()
    assert list(outcomes(found, "otherwise")) == [broken], found.answers
    assert not found.well
    assert nothing_is_left(place)


def test_every_question_can_be_broken() -> None:
    """One that nothing breaks asks nothing."""
    assert set(BROKEN) == set(QUESTIONS)


def test_the_first_day_shows_what_a_new_repository_can_have(tmp_path: Path) -> None:
    """Its page, step 2: each answer that is shown, and how many there are of each kind."""
    page = (ROOT / "docs/first-day.md").read_text("utf-8")
    shown = [line for line in page.splitlines() if re.match(r"(as we think|could not ask)  |\d+ as we think, ", line)]
    with world(tmp_path, new=True) as made:
        told = answers.told(made.selftest())

    assert len(shown) > 5
    assert [line for line in shown if line.startswith(("could not ask", "1"))] == [
        line for line in told if line.startswith(("could not ask", "1"))
    ]
    assert {line.split(":")[0] for line in shown} <= {line.split(":")[0] for line in told}


def test_a_setting_that_is_off_is_named_with_what_to_click(place: World) -> None:
    """As GitHub has it until step 1 of the first day is done; six more need a pull request, and cannot be asked."""
    place.server.repository(NAME).settings.actions_may_open_pulls = False

    found = place.selftest()

    (said,) = outcomes(found, "otherwise").items()
    assert said[0] == "pull-request"
    assert "GitHub Actions is not permitted to create or approve pull requests" in said[1]
    answer = next(answer for answer in found.answers if answer.id == "pull-request")
    assert answer.todo.endswith("Allow GitHub Actions to create and approve pull requests")
    others = outcomes(found, "could not ask")
    assert others["comment-with-least-permission"] == "that needs what `pull-request` asks for"
    assert len(others) == 6
    assert nothing_is_left(place)


def test_without_our_ruleset_nothing_tells_whether_gates_count(place: World) -> None:
    """It is imported later on the first day."""
    place.server.repository(NAME).rulesets.clear()

    assert outcomes(place.selftest(), "could not ask") == {
        "gates-count": "no ruleset asks for ci-gate and model-gate: import .github/rulesets/main.json"
    }


MORE: list[tuple[str, dict[str, Any], str]] = [
    ("required_status_checks", {"required_status_checks": [{"context": "tests"}]}, "tests"),
    ("merge_queue", {}, "merge_queue"),
    ("code_scanning", {"code_scanning_tools": [{"tool": "CodeQL"}]}, "code_scanning"),
    ("required_deployments", {"required_deployment_environments": ["staging"]}, "required_deployments"),
    ("workflows", {"workflows": [{"path": ".github/workflows/theirs.yml"}]}, "workflows"),
    ("pull_request", {"required_approving_review_count": 1}, "required_approving_review_count"),
    (
        "pull_request",
        {"required_approving_review_count": 0, "required_reviewers": [{"minimum_approvals": 1}]},
        "required_reviewers",
    ),
]


@pytest.mark.parametrize(("kind", "parameters", "named"), MORE, ids=[named for *_, named in MORE])
def test_beside_rules_of_others_nothing_tells_whether_gates_count(
    place: World, kind: str, parameters: dict[str, Any], named: str
) -> None:
    """The pull request may be blocked by those: the forge, which does not play them, says so, and merges nothing."""
    held = place.server.repository(NAME).rulesets
    held.append({**held[0], "id": 2, "rules": [{"type": kind, "parameters": parameters}]})

    assert outcomes(place.selftest(), "could not ask") == {"gates-count": f"the rulesets ask for more: {named}"}


def test_the_rules_that_do_not_block_are_those_of_our_ruleset() -> None:
    """As it is imported; it asks for no review."""
    ours = json.loads((ROOT / ".github/rulesets/main.json").read_text("utf-8"))["rules"]

    assert {rule["type"] for rule in ours} == RULES
    assert [name for rule in ours for name in REVIEWS if rule.get("parameters", {}).get(name)] == []


def test_what_cannot_be_reached_is_not_otherwise(place: World) -> None:
    """A bad day of GitHub's tells nothing about what it does on others."""
    place.server.faults.append(Fault("*", "/git/", 502, ALWAYS, skip=1))

    found = place.selftest()

    assert outcomes(found, "otherwise") == {}
    assert "GitHub answers 502" in outcomes(found, "could not ask")["commit-by-api"]


def test_without_answers_of_the_first_job_nothing_is_claimed(place: World) -> None:
    """It was cut off: the second says of every question that it was not asked."""
    found = comment(place.client(), 1, WAIT, None)

    assert list(outcomes(found, "could not ask")) == list(QUESTIONS)


def test_what_a_run_that_was_cut_off_has_left_the_next_one_removes(place: World) -> None:
    """Branches, runs and the open pull request."""
    cut = place.begin()
    client, main = place.job_of(cut, "ask"), place.git.branch("main")
    for name in (f"{PREFIX}{cut.id}", f"{PREFIX}{cut.id}-workflow"):
        client.create_branch(name, str(main))
    client.commit_files(f"{PREFIX}{cut.id}", main, {}, MESSAGE)
    client.create_pull(TITLE, f"{PREFIX}{cut.id}", "main")
    assert [run.is_held for run in place.runs()] == [True, True]
    place.server.close_run(cut, "cancelled")

    place.selftest()

    assert nothing_is_left(place)


def test_what_cannot_be_removed_is_said(place: World) -> None:
    """Run by run, and the rest is removed all the same."""
    place.server.faults.append(Fault("DELETE", r"/actions/runs/\d+$", 403, ALWAYS))

    found = place.selftest()

    assert found.well
    assert [line.split("(")[0].split()[:4] for line in found.left[2:]] == [["could", "not", "be", "removed:"]] * 5
    assert {run.id for run in place.runs()} == {int(line.split()[5]) for line in found.left[2:]}
    assert place.branches() == ["main"]


@pytest.mark.parametrize("name", ["mine", "{other}", "{selftest}", "{selftest}-workflow"])
def test_a_branch_that_is_not_its_own_stays(place: World, name: str) -> None:
    """Whatever a person calls a branch that holds something."""
    other, selftest = place.run(event="push"), place.begin()
    branch = PREFIX + name.format(other=other.id, selftest=selftest.id)
    place.commit(branch, {"params.yaml": "problem: mine\n"})

    place.selftest()

    assert place.branches() == ["main", branch]


@pytest.mark.parametrize(
    ("branch", "group", "is_idle"),
    [("main", "selftest", False), ("topic", "selftest", False), (f"{PREFIX}12", "selftest77", True)],
)
def test_one_waits_for_the_other_and_none_for_what_it_dispatches_itself(branch: str, group: str, is_idle: bool) -> None:
    """Each would remove what the other has made; what runs on its own branch has nothing to do."""
    one = workflow.parse(WORKFLOW, FILES[WORKFLOW])
    known = {"github": {"ref_name": branch, "run_id": "77"}}

    assert plan.group(one, known, NAME).name == f"{NAME}:{group}"
    assert plan.is_idle(one, known) is is_idle
