"""Pull requests: they follow their branch, merge cleanly or not at all, and only when the rules let them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from forge_desk import ADA, NAME, Desk, bot

from rehearsal.forge import Forge
from rehearsal.forge.access import person
from rehearsal.forge.pulls import Merge, merge, update_branch
from rehearsal.forge.refusal import Refusal

STRICT = {
    "type": "required_status_checks",
    "parameters": {
        "strict_required_status_checks_policy": True,
        "required_status_checks": [{"context": "ci-gate"}, {"context": "model-gate"}],
    },
}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Forge(tmp_path / "forge", bot_runs="held") as forge:
        forge.create_repository(NAME)
        found = Desk(forge)
        found.commit("main", {"README.md": "flights\n", "params.yaml": "seed: 1\n\n\n\ntrees: 100\n"})
        found.commit("topic", {"params.yaml": "seed: 1\n\n\n\ntrees: 200\n"})
        forge.listen(found.events.append)
        yield found


def status(desk: Desk, sha: str, *contexts: str, state: str = "success") -> None:
    for context in contexts:
        answer = desk.ask("POST", f"/repos/{NAME}/statuses/{sha}", json={"state": state, "context": context})
        assert answer.status_code == 201


def text(desk: Desk, path: str, branch: str = "main") -> str:
    found = desk.git.read(desk.git.branch(branch) or "", path)
    return "" if found is None else found.decode()


def test_the_head_follows_its_branch(desk: Desk) -> None:
    """A push is a synchronize, and refs/pull/N/head moves."""
    pull = desk.propose()
    desk.told()

    sha = desk.commit("topic", {"params.yaml": "seed: 2\n\n\n\ntrees: 200\n"})

    assert pull.head_sha == sha
    assert desk.git.ref("refs/pull/1/head") == sha
    assert desk.told() == ["push by ada", "pull_request.synchronize by ada"]


def test_a_forks_branch_is_followed_into_the_base_repository(desk: Desk) -> None:
    """Its commits can be read there."""
    fork = desk.forge.fork(NAME, "bob")
    bob = person("bob", "read")
    desk.commit("idea", {"params.yaml": "seed: 3\n\n\n\ntrees: 100\n"}, bob, fork.full_name)
    pull = desk.propose(head="bob:idea", by=bob)

    sha = desk.commit("idea", {"params.yaml": "seed: 4\n\n\n\ntrees: 100\n"}, bob, fork.full_name)

    assert (pull.head_repository, pull.head_sha) == ("bob/flights", sha)
    assert desk.git.read(sha, "params.yaml") == b"seed: 4\n\n\n\ntrees: 100\n"
    assert "refs/heads/idea" not in desk.git.refs()


def test_a_merge_keeps_what_main_got_meanwhile(desk: Desk) -> None:
    """Three ways: both changes of one file are there."""
    pull = desk.propose()
    before = desk.commit("main", {"params.yaml": "seed: 9\n\n\n\ntrees: 100\n"})

    sha = desk.forge.merge(pull, "merge", ADA)

    assert text(desk, "params.yaml") == "seed: 9\n\n\n\ntrees: 200\n"
    assert desk.git.commit(sha).parents == (before, pull.head_sha)
    assert (pull.state, pull.merged, pull.merged_by, pull.merge_commit_sha) == ("closed", True, "ada", sha)


def test_a_squash_is_one_commit_by_the_author(desk: Desk) -> None:
    """Titled after the pull request, with its number."""
    desk.commit("topic", {"more.txt": "more\n"})
    pull = desk.propose()
    before = desk.git.branch("main")

    sha = desk.forge.merge(pull, "squash", ADA)

    commit = desk.git.commit(sha)
    assert (commit.parents, commit.title, commit.author.name) == ((before,), "Change topic (#1)", "ada")
    assert text(desk, "more.txt") == "more\n"


def test_a_rebase_puts_each_commit_on_top_of_main(desk: Desk) -> None:
    """In order, without a merge commit."""
    desk.commit("topic", {"more.txt": "more\n"})
    pull = desk.propose()
    before = desk.commit("main", {"README.md": "more flights\n"})

    sha = desk.forge.merge(pull, "rebase", ADA)

    assert [commit.parents for commit in desk.git.log(sha, before)] == [(desk.git.commit(sha).parents[0],), (before,)]
    assert (text(desk, "README.md"), text(desk, "more.txt")) == ("more flights\n", "more\n")


def test_a_conflict_is_not_mergeable(desk: Desk) -> None:
    """405, and nothing moved."""
    pull = desk.propose()
    before = desk.commit("main", {"params.yaml": "seed: 1\n\n\n\ntrees: 300\n"})

    with pytest.raises(Refusal) as refused:
        desk.forge.merge(pull, "merge", ADA)

    assert (refused.value.status, refused.value.message) == (405, "Pull Request is not mergeable")
    assert desk.git.branch("main") == before
    assert desk.forge.blockers(pull) == ["Pull Request is not mergeable"]


def test_a_merge_of_another_head_is_a_conflict(desk: Desk) -> None:
    """Whoever merges says what they looked at."""
    pull = desk.propose()

    with pytest.raises(Refusal) as refused:
        merge(desk.forge, pull, Merge("merge", sha="0" * 40), ADA)

    assert refused.value.status == 409


def test_required_statuses_must_be_green_on_the_head(desk: Desk) -> None:
    """Not on the commit before it."""
    desk.protect(STRICT)
    pull = desk.propose()
    status(desk, pull.head_sha, "ci-gate", "model-gate")
    assert desk.forge.blockers(pull) == []

    desk.commit("topic", {"more.txt": "more\n"})

    assert desk.forge.blockers(pull) == ["2 of 2 required status checks are expected."]
    status(desk, pull.head_sha, "ci-gate")
    status(desk, pull.head_sha, "model-gate", state="failure")
    assert desk.forge.blockers(pull) == ['Required status check "model-gate" is failing.']
    with pytest.raises(Refusal) as refused:
        desk.forge.merge(pull, "merge", ADA)
    assert refused.value.message == (
        'Repository rule violations found\n\nRequired status check "model-gate" is failing.\n\n'
    )


def test_a_branch_must_be_up_to_date(desk: Desk) -> None:
    """Strict: main moved, so its statuses are of yesterday, until the branch is updated and judged again."""
    pull = desk.propose()
    status(desk, pull.head_sha, "ci-gate", "model-gate")
    desk.commit("main", {"README.md": "more flights\n"})

    desk.protect(STRICT)

    assert desk.forge.blockers(pull) == ["2 of 2 required status checks are expected."]
    shown = desk.ask("GET", f"/repos/{NAME}/pulls/1").json()
    assert (shown["mergeable"], shown["mergeable_state"]) == (True, "behind")
    with desk.forge.changing():
        update_branch(desk.forge, pull, None, ADA)
    status(desk, pull.head_sha, "ci-gate", "model-gate")
    assert desk.forge.blockers(pull) == []


def test_a_status_may_be_required_of_github_actions(desk: Desk) -> None:
    """What a person says under its name does not count, nor does it hide what Actions said."""
    required = {"context": "model-gate", "integration_id": 15368}
    desk.protect({"type": "required_status_checks", "parameters": {"required_status_checks": [required]}})
    pull = desk.propose()
    status(desk, pull.head_sha, "model-gate")
    assert desk.forge.blockers(pull) == ['Required status check "model-gate" is expected.']

    _, token = desk.running({"statuses": "write"})
    body = {"state": "success", "context": "model-gate"}
    desk.ask("POST", f"/repos/{NAME}/statuses/{pull.head_sha}", token, json=body)
    status(desk, pull.head_sha, "model-gate", state="failure")

    assert desk.forge.blockers(pull) == []


def test_a_branch_with_required_checks_takes_green_commits_alone(desk: Desk) -> None:
    """Also without a pull request."""
    desk.protect(STRICT)
    topic = desk.git.branch("topic") or ""
    path, body = f"/repos/{NAME}/git/refs/heads/main", {"sha": topic}

    early = desk.ask("PATCH", path, json=body)
    status(desk, topic, "ci-gate", "model-gate")
    late = desk.ask("PATCH", path, json=body)

    assert early.status_code == 422
    assert early.json()["message"] == (
        "Repository rule violations found\n\n2 of 2 required status checks are expected.\n\n"
    )
    assert late.status_code == 200


def test_checks_of_a_dispatched_run_do_not_count(desk: Desk) -> None:
    """Those of a pull request's run do."""
    desk.protect(STRICT)
    pull = desk.propose()
    for event, expected in (("workflow_dispatch", "2 of 2 required status checks are expected."), ("pull_request", "")):
        run = desk.open_run(event, head_sha=pull.head_sha)
        desk.forge.begin_run(run)
        for name in ("ci-gate", "model-gate"):
            desk.forge.end_job(desk.forge.begin_job(run, name, {}), "success")
        desk.forge.close_run(run, "success")

        assert desk.forge.blockers(pull) == ([expected] if expected else [])


def test_commits_that_reach_main_by_a_push_merge_the_pull_request(desk: Desk) -> None:
    """GitHub notices, and so does the forge."""
    pull = desk.propose()

    desk.forge.move(NAME, "refs/heads/main", pull.head_sha, ADA)

    assert (pull.state, pull.merged) == ("closed", True)


def test_a_deleted_branch_closes_its_pull_request(desk: Desk) -> None:
    """Unmerged; the commits stay under refs/pull."""
    pull = desk.propose()

    desk.forge.move(NAME, "refs/heads/topic", None, ADA)

    assert (pull.state, pull.merged) == ("closed", False)
    assert desk.git.ref("refs/pull/1/head") == pull.head_sha


def test_a_workflow_opens_pull_requests_only_where_the_settings_allow_it(desk: Desk) -> None:
    """And then its runs wait for approval."""
    writer = bot(contents="write", pull_requests="write")
    with pytest.raises(Refusal) as refused:
        desk.propose(by=writer)
    assert refused.value.message == "GitHub Actions is not permitted to create or approve pull requests."

    with desk.forge.changing():
        desk.forge.repository(NAME).settings.actions_may_open_pulls = True
    pull = desk.propose(by=writer)

    assert desk.told() == ["pull_request.opened by github-actions[bot]"]
    assert desk.open_run(actor=pull.user).status == "waiting"


def test_issues_and_pull_requests_share_their_numbers(desk: Desk) -> None:
    """A refused pull request takes none."""
    desk.propose()
    with pytest.raises(Refusal):
        desk.propose()

    answer = desk.ask("POST", f"/repos/{NAME}/issues", json={"title": "Drift"})

    assert answer.json()["number"] == 2
