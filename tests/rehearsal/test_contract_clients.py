"""PyGithub and git as clients of the local forge, through the flows that the loop is made of."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from contract import description, desk
from contract.desk import NAME, address, attempt, branch, git, run_of, write
from contract.world import ruleset
from github import BadCredentialsException, GithubException, InputGitTreeElement, UnknownObjectException
from github.PullRequest import PullRequest
from github.Repository import Repository

from rehearsal.forge import Event, Forge


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    """A forge that knows nothing yet."""
    with Forge(tmp_path / "forge") as running:
        yield running


@pytest.fixture
def clone(forge: Forge, tmp_path: Path) -> Path:
    """A clone of `ada/flights`, which has one commit on main."""
    return desk.seeded(forge, tmp_path / "clone")


@pytest.fixture
def flights(forge: Forge, clone: Path) -> Repository:
    """`ada/flights` as its owner sees it through PyGithub."""
    return desk.client(forge, forge.token("ada")).get_repo(NAME)


def proposed(flights: Repository, clone: Path, name: str = "more-trees") -> PullRequest:
    """A pull request of one commit from a branch of the same repository."""
    branch(clone, name, {"params.yaml": "seed: 1\n\n\n\ntrees: 200\n"}, "Twice the trees")
    return flights.create_pull(title="Twice the trees", body="Surely better.", head=name, base="main")


def guard(flights: Repository) -> None:
    """Keep main until the status `model-gate` is green and the branch is up to date."""
    rules = ruleset("main", "main")
    flights.requester.requestJsonAndCheck("POST", f"{flights.url}/rulesets", input=rules)


def test_git_clones_what_was_pushed(forge: Forge, clone: Path, tmp_path: Path) -> None:
    """Without a token too, as the repository is public."""
    git(tmp_path, "clone", "--quiet", address(forge), "other")

    assert git(tmp_path / "other", "rev-parse", "HEAD") == git(clone, "rev-parse", "main")
    assert (tmp_path / "other" / "README.md").read_text() == "# Flights\n"


def test_git_fetches_what_another_clone_pushed(forge: Forge, clone: Path, tmp_path: Path) -> None:
    """A shallow clone as well as a full one."""
    git(tmp_path, "clone", "--quiet", "--depth", "1", address(forge), "other")

    sha = write(clone, {"README.md": "# More\n"}, "More")
    git(clone, "push", "--quiet", "origin", "main")
    git(tmp_path / "other", "fetch", "--quiet", "origin")

    assert git(tmp_path / "other", "rev-parse", "origin/main") == sha


def test_git_may_not_rewrite_a_branch_without_force(forge: Forge, clone: Path) -> None:
    """A push that is no fast-forward is refused, and the branch stays."""
    first = git(clone, "rev-parse", "main")
    second = write(clone, {"README.md": "# Second\n"}, "Second")
    git(clone, "push", "--quiet", "origin", "main")
    git(clone, "reset", "--quiet", "--hard", first)
    write(clone, {"README.md": "# Other\n"}, "Other")

    refused = attempt(clone, "push", "origin", "main")

    assert refused.returncode == 1
    assert "[rejected]" in refused.stderr
    assert git(clone, "ls-remote", "origin", "refs/heads/main").split()[0] == second


def test_git_with_a_wrong_token_is_refused(forge: Forge, clone: Path) -> None:
    """Wherever git has to show one: it asks a public repository without."""
    forge.create_repository("ada/secret", private=True)
    secret = address(forge, "wrong", "ada/secret")
    for arguments in (("push", address(forge, "wrong"), "main:other"), ("ls-remote", secret)):
        refused = attempt(clone, *arguments)

        assert refused.returncode == 128
        assert "Authentication failed" in refused.stderr


@pytest.mark.parametrize("role", ["read", None])
def test_git_pushes_only_for_those_who_may_write(forge: Forge, clone: Path, role: str | None) -> None:
    """Neither for a reader nor for somebody unknown."""
    token = forge.token("eve", role=role) if role else None

    refused = attempt(clone, "push", address(forge, token), "main:other")

    assert refused.returncode == 128
    assert "403" in refused.stderr if role else "could not read Username" in refused.stderr
    assert git(clone, "ls-remote", "origin", "refs/heads/other") == ""


def test_git_does_not_show_a_private_repository_to_strangers(forge: Forge, clone: Path, tmp_path: Path) -> None:
    """GitHub asks an unknown person for a password and tells a known one that there is nothing."""
    forge.create_repository("ada/secret", private=True)

    unknown = attempt(tmp_path, "ls-remote", address(forge, name="ada/secret"))

    assert unknown.returncode == 128
    assert "could not read Username" in unknown.stderr


def test_a_pull_request_follows_its_branch(forge: Forge, flights: Repository, clone: Path) -> None:
    """After a push its head is the new commit, also as `refs/pull/1/head`, and its commits and files are counted."""
    pull = proposed(flights, clone)
    assert (pull.number, pull.state, pull.head.label, pull.base.ref) == (1, "open", "ada:more-trees", "main")

    sha = write(clone, {"src/model.py": "TREES = 200\n"}, "In code too")
    git(clone, "push", "--quiet", "origin", "more-trees")
    pull = flights.get_pull(1)

    assert pull.head.sha == sha
    assert pull.base.sha == git(clone, "rev-parse", "main")
    assert [commit.commit.message for commit in pull.get_commits()] == ["Twice the trees", "In code too"]
    assert {(file.filename, file.status) for file in pull.get_files()} == {
        ("params.yaml", "modified"),
        ("src/model.py", "modified"),
    }
    assert (pull.commits, pull.changed_files, pull.additions, pull.deletions) == (2, 2, 2, 2)
    assert git(clone, "ls-remote", "origin", "refs/pull/1/head").split()[0] == sha
    assert [found.number for found in flights.get_pulls(head="ada:more-trees")] == [1]
    assert [found.number for found in flights.get_pulls(head="ada:other")] == []


def test_a_branch_has_one_open_pull_request(flights: Repository, clone: Path) -> None:
    """A second one with the same head and base is a 422 with GitHub's words."""
    proposed(flights, clone)

    with pytest.raises(GithubException) as refused:
        flights.create_pull(title="Again", body="", head="more-trees", base="main")

    assert refused.value.status == 422
    assert refused.value.data["errors"][0]["message"] == "A pull request already exists for ada:more-trees."


def test_comments_come_in_pages(forge: Forge, flights: Repository, clone: Path) -> None:
    """The 120th is found, edited and deleted; pages hold 30."""
    pull = proposed(flights, clone)
    desk.say(forge, 1, [f"comment {number}" for number in range(119)])
    pull.create_issue_comment("comment 119")

    comments = pull.get_issue_comments()
    bodies = [comment.body for comment in comments]
    assert bodies == [f"comment {number}" for number in range(120)]
    assert [comment.body for comment in comments.get_page(3)] == bodies[90:120]
    assert comments.totalCount == 120

    last = flights.get_issue(1).get_comments()[119]
    last.edit("the last")
    assert flights.get_issue(1).get_comment(last.id).body == "the last"
    last.delete()
    assert pull.get_issue_comments().totalCount == 119
    assert flights.get_issue(1).comments == 119


def test_the_newest_status_of_a_context_counts(flights: Repository, clone: Path) -> None:
    """The combined status is pending as long as one is, and success when all are."""
    commit = flights.get_commit(proposed(flights, clone).head.sha)
    commit.create_status("pending", "https://example.org/run", "Under way", "model-gate")
    commit.create_status("success", "https://example.org/ci", "Passed", "ci-gate")
    assert commit.get_combined_status().state == "pending"

    commit.create_status("success", "https://example.org/run", "Promote", "model-gate")

    combined = commit.get_combined_status()
    assert combined.state == "success"
    assert {(status.context, status.description) for status in combined.statuses} == {
        ("model-gate", "Promote"),
        ("ci-gate", "Passed"),
    }
    _, listed = flights.requester.requestJsonAndCheck("GET", f"{commit.url}/statuses")
    assert [status["description"] for status in listed] == ["Promote", "Passed", "Under way"]


@pytest.mark.parametrize(("method", "parents", "commits"), [("merge", 2, 3), ("squash", 1, 2), ("rebase", 1, 2)])
def test_a_pull_request_is_merged(flights: Repository, clone: Path, method: str, parents: int, commits: int) -> None:
    """As a merge, as one commit, or as its commits on top; what main got meanwhile stays."""
    pull = proposed(flights, clone)
    git(clone, "switch", "--quiet", "main")
    write(clone, {"README.md": "# Meanwhile\n"}, "Meanwhile")
    git(clone, "push", "--quiet", "origin", "main")
    before = git(clone, "rev-list", "--count", "main")

    merged = flights.get_pull(1).merge(merge_method=method, sha=pull.head.sha)

    assert merged.merged
    git(clone, "pull", "--quiet", "origin", "main")
    assert git(clone, "rev-parse", "main") == merged.sha
    assert len(git(clone, "rev-parse", "main^@").split()) == parents
    assert int(git(clone, "rev-list", "--count", "main")) - int(before) == commits - 1
    assert (clone / "README.md").read_text() == "# Meanwhile\n"
    assert "trees: 200" in (clone / "params.yaml").read_text()
    pull = flights.get_pull(1)
    assert (pull.state, pull.merged, pull.merge_commit_sha, pull.merged_by.login) == ("closed", True, merged.sha, "ada")
    assert pull.is_merged()


def test_a_merge_of_another_head_than_the_one_seen_is_refused(flights: Repository, clone: Path) -> None:
    """409, and nothing is merged."""
    pull = proposed(flights, clone)
    write(clone, {"src/model.py": "TREES = 300\n"}, "Unseen")
    git(clone, "push", "--quiet", "origin", "more-trees")

    with pytest.raises(GithubException) as refused:
        pull.merge(sha=pull.head.sha)

    assert (refused.value.status, refused.value.message) == (
        409,
        "Head branch was modified. Review and try the merge again.",
    )
    assert not flights.get_pull(1).merged


def test_a_conflict_is_not_merged(flights: Repository, clone: Path) -> None:
    """The pull request says that it cannot be merged, and the merge is a 405."""
    proposed(flights, clone)
    git(clone, "switch", "--quiet", "main")
    write(clone, {"params.yaml": "seed: 1\n\n\n\ntrees: 50\n"}, "Half the trees")
    git(clone, "push", "--quiet", "origin", "main")
    pull = flights.get_pull(1)
    assert (pull.mergeable, pull.mergeable_state) == (False, "dirty")

    with pytest.raises(GithubException) as refused:
        pull.merge()

    assert (refused.value.status, refused.value.message) == (405, "Pull Request is not mergeable")


def test_a_ruleset_keeps_main_until_its_statuses_are_green(flights: Repository, clone: Path) -> None:
    """Missing, then pending, then from another commit: 405; green and up to date: merged."""
    guard(flights)
    pull = proposed(flights, clone)
    head = flights.get_commit(pull.head.sha)
    flights.get_commit(git(clone, "rev-parse", "main")).create_status("success", context="model-gate")

    for state in (None, "pending", "failure", "error"):
        if state:
            head.create_status(state, context="model-gate")
        assert flights.get_pull(1).mergeable_state == "blocked"
        with pytest.raises(GithubException) as refused:
            pull.merge()
        assert refused.value.status == 405
        assert "model-gate" in str(refused.value.message)

    head.create_status("success", context="model-gate")
    assert flights.get_pull(1).mergeable_state == "clean"
    assert pull.merge().merged


def test_a_ruleset_keeps_main_from_direct_pushes(flights: Repository, clone: Path) -> None:
    """By git and through the API; its history cannot be rewritten, and it cannot be deleted."""
    before = git(clone, "rev-parse", "main")
    guard(flights)
    sha = write(clone, {"README.md": "# Direct\n"}, "Direct")

    pushed = attempt(clone, "push", "origin", "main")
    deleted = attempt(clone, "push", "origin", ":main")

    assert (pushed.returncode, deleted.returncode) == (1, 1)
    assert 'Required status check "model-gate" is expected.' in pushed.stderr
    assert "[remote rejected]" in deleted.stderr
    git(clone, "push", "--quiet", "origin", f"{sha}:refs/heads/aside")
    with pytest.raises(GithubException) as refused:
        flights.get_git_ref("heads/main").edit(sha)
    assert refused.value.status == 422
    assert flights.get_branch("main").commit.sha == before


def test_a_strict_ruleset_wants_the_branch_up_to_date(flights: Repository, clone: Path) -> None:
    """Green but behind main is a 405; after the update the new head needs its own status."""
    pull = proposed(flights, clone)
    git(clone, "switch", "--quiet", "main")
    write(clone, {"README.md": "# Meanwhile\n"}, "Meanwhile")
    git(clone, "push", "--quiet", "origin", "main")
    guard(flights)
    flights.get_commit(pull.head.sha).create_status("success", context="model-gate")
    assert flights.get_pull(1).mergeable_state == "behind"

    with pytest.raises(GithubException) as refused:
        pull.merge()
    assert refused.value.status == 405

    assert pull.update_branch(expected_head_sha=pull.head.sha)
    pull = flights.get_pull(1)
    assert pull.mergeable_state == "blocked"
    flights.get_commit(pull.head.sha).create_status("success", context="model-gate")
    assert pull.merge(merge_method="squash").merged


def test_a_release_carries_its_assets(flights: Repository, clone: Path, tmp_path: Path) -> None:
    """A draft has no tag and is not the latest; published, its files come back byte for byte."""
    sha = git(clone, "rev-parse", "main")
    (tmp_path / "bundle.zip").write_bytes(bytes(range(256)) * 999)
    release = flights.create_git_release("model-v1", "First", "The first model.", draft=True, target_commitish=sha)
    asset = release.upload_asset(str(tmp_path / "bundle.zip"), content_type="application/zip")
    with pytest.raises(GithubException) as refused:
        release.upload_asset(str(tmp_path / "bundle.zip"))
    assert refused.value.status == 422
    assert refused.value.data["errors"][0]["code"] == "already_exists"
    with pytest.raises(UnknownObjectException):
        flights.get_latest_release()
    assert git(clone, "ls-remote", "--tags", "origin") == ""

    release.update_release("First", "The first model.", draft=False)

    latest = flights.get_latest_release()
    assert (latest.tag_name, latest.name, latest.draft) == ("model-v1", "First", False)
    assert git(clone, "ls-remote", "--tags", "origin").split()[0] == sha
    assert [(found.name, found.size, found.state) for found in latest.get_assets()] == [
        ("bundle.zip", 255744, "uploaded")
    ]
    flights.get_release_asset(asset.id).download_asset(str(tmp_path / "back.zip"))
    assert (tmp_path / "back.zip").read_bytes() == (tmp_path / "bundle.zip").read_bytes()
    assert httpx.get(latest.assets[0].browser_download_url, follow_redirects=True).content == bytes(range(256)) * 999
    assert flights.get_release("model-v1").id == release.id


def test_an_artifact_of_a_run_is_downloaded(forge: Forge, flights: Repository, clone: Path, tmp_path: Path) -> None:
    """As a zip whose digest the forge names, through an address that needs no token."""
    pull = proposed(flights, clone)
    run = forge.open_run(run_of(pull.head.sha))
    forge.begin_run(run)
    job = forge.begin_job(run, "report", {"contents": "read"})
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "run.json").write_text("{}")
    forge.store_artifact(run, "evidence", tmp_path / "evidence")
    forge.end_job(job, "success", [{"name": "report", "conclusion": "success", "seconds": 1.5}])
    forge.close_run(run, "success")

    found = flights.get_workflow_run(run.id)
    (artifact,) = found.get_artifacts()
    flights.requester.getFile(artifact.archive_download_url, str(tmp_path / "back.zip"))

    assert (found.status, found.conclusion, found.event, found.head_sha) == (
        "completed",
        "success",
        "pull_request",
        pull.head.sha,
    )
    content = (tmp_path / "back.zip").read_bytes()
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["run.json"]
    assert (artifact.name, artifact.size_in_bytes, artifact.expired) == ("evidence", len(content), False)
    assert artifact.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert [job.name for job in found.jobs()] == ["report"]
    assert [run.id for run in flights.get_workflow("report.yml").get_runs(branch="more-trees")] == [run.id]


def test_a_fork_proposes_without_being_able_to_write(forge: Forge, flights: Repository, clone: Path) -> None:
    """Its pull request names both repositories, and follows the fork's branch."""
    forge.fork(NAME, "bob")
    token = forge.token("bob", role="read")
    git(clone, "remote", "add", "fork", address(forge, token, "bob/flights"))
    git(clone, "switch", "--quiet", "--create", "from-bob")
    write(clone, {"params.yaml": "seed: 2\n"}, "Another seed")
    git(clone, "push", "--quiet", "fork", "from-bob")

    pull = desk.client(forge, token).get_repo(NAME).create_pull(title="Seed", body="", head="bob:from-bob", base="main")
    sha = write(clone, {"params.yaml": "seed: 3\n"}, "Yet another")
    git(clone, "push", "--quiet", "fork", "from-bob")

    pull = flights.get_pull(pull.number)
    assert (pull.head.repo.full_name, pull.base.repo.full_name) == ("bob/flights", NAME)
    assert (pull.head.repo.fork, pull.head.sha, pull.user.login) == (True, sha, "bob")
    assert git(clone, "ls-remote", "origin", "refs/pull/1/head").split()[0] == sha
    assert attempt(clone, "push", address(forge, token), "from-bob:other").returncode == 128


def test_a_commit_is_made_of_blobs_and_a_tree(flights: Repository, clone: Path) -> None:
    """Paths of the base's tree stay, and the branch moves forward only."""
    main = flights.get_branch("main").commit
    blob = flights.create_git_blob("stages: {}\n", "utf-8")
    element = InputGitTreeElement("dvc.lock", "100644", "blob", sha=blob.sha)
    tree = flights.create_git_tree([element], flights.get_git_tree(main.sha))
    commit = flights.create_git_commit("Lock", tree, [flights.get_git_commit(main.sha)])
    other = flights.create_git_commit("Other", tree, [flights.get_git_commit(main.sha)])

    flights.get_git_ref("heads/main").edit(commit.sha, force=False)

    with pytest.raises(GithubException) as refused:
        flights.get_git_ref("heads/main").edit(other.sha, force=False)
    assert (refused.value.status, refused.value.message) == (422, "Update is not a fast forward")
    git(clone, "fetch", "--quiet", "origin")
    assert git(clone, "show", "origin/main:dvc.lock") == "stages: {}"
    assert git(clone, "diff", "--name-only", main.sha, "origin/main") == "dvc.lock"


def test_a_branch_can_begin_without_a_parent(flights: Repository, clone: Path) -> None:
    """An orphan, as the ledger is; creating it twice is a 422."""
    tree = flights.create_git_tree([InputGitTreeElement("verdicts/1.json", "100644", "blob", content="{}\n")])
    commit = flights.create_git_commit("Begin", tree, [])
    flights.create_git_ref("refs/heads/records", commit.sha)

    with pytest.raises(GithubException) as refused:
        flights.create_git_ref("refs/heads/records", commit.sha)

    assert (refused.value.status, refused.value.message) == (422, "Reference already exists")
    git(clone, "fetch", "--quiet", "origin")
    assert git(clone, "ls-tree", "-r", "--name-only", "origin/records") == "verdicts/1.json"
    assert git(clone, "rev-list", "--count", "origin/records") == "1"


def test_a_file_is_edited_in_the_browser(flights: Repository, clone: Path) -> None:
    """With the blob that was seen; another one is a 409."""
    seen = flights.get_contents("params.yaml", ref="main")
    assert not isinstance(seen, list)

    flights.update_file("params.yaml", "Fewer trees", "seed: 1\n\n\n\ntrees: 50\n", seen.sha, branch="main")

    with pytest.raises(GithubException) as refused:
        flights.update_file("params.yaml", "Again", "trees: 1\n", seen.sha, branch="main")
    assert refused.value.status == 409
    git(clone, "pull", "--quiet", "origin", "main")
    assert (clone / "params.yaml").read_text() == "seed: 1\n\n\n\ntrees: 50\n"


def test_a_wrong_token_is_told_so(forge: Forge, clone: Path) -> None:
    """401, also where no token would do."""
    with pytest.raises(BadCredentialsException) as refused:
        desk.client(forge, "wrong").get_repo(NAME)

    assert (refused.value.status, refused.value.data["message"]) == (401, "Bad credentials")


def test_a_workflows_token_can_do_what_its_job_may(forge: Forge, flights: Repository, clone: Path) -> None:
    """And nothing else: 403 with GitHub's words; after the job it is worth nothing."""
    pull = proposed(flights, clone)
    run = forge.open_run(run_of(pull.head.sha))
    forge.begin_run(run)
    job = forge.begin_job(run, "write", {"statuses": "write", "contents": "read"})
    repository = desk.client(forge, forge.mint(run)).get_repo(NAME)

    repository.get_commit(pull.head.sha).create_status("success", context="model-gate")
    with pytest.raises(GithubException) as refused:
        repository.get_issue(1).create_comment("no")

    assert (refused.value.status, refused.value.message) == (403, "Resource not accessible by integration")
    _, listed = flights.requester.requestJsonAndCheck("GET", f"{flights.url}/commits/{pull.head.sha}/statuses")
    assert [status["creator"]["login"] for status in listed] == ["github-actions[bot]"]
    assert attempt(clone, "push", address(forge, forge.mint(run)), "main:other").returncode == 128
    forge.end_job(job, "success", [])
    forge.close_run(run, "success")


def test_a_dispatch_names_inputs_that_the_workflow_has(forge: Forge, flights: Repository) -> None:
    """Defaults are filled in; what is missing, unknown or no option is a 422."""
    seen: list[Event] = []
    forge.listen(seen.append)
    workflow = flights.get_workflow("report.yml")

    assert workflow.create_dispatch("main", {"reason": "a try"}, throw=True)
    for inputs in ({}, {"reason": "a", "more": "b"}, {"reason": "a", "look": "third"}):
        with pytest.raises(GithubException) as refused:
            workflow.create_dispatch("main", inputs, throw=True)
        assert refused.value.status == 422

    (event,) = [event for event in seen if event.name == "workflow_dispatch"]
    assert (event.ref, event.actor) == ("refs/heads/main", "ada")
    assert event.payload["inputs"] == {"reason": "a try", "look": "first"}


def test_who_may_write_can_be_asked(forge: Forge, flights: Repository) -> None:
    """The owner is an admin, a stranger a reader of a public repository."""
    forge.token("eve", role="read")

    assert flights.get_collaborator_permission("ada") == "admin"
    assert flights.get_collaborator_permission("eve") == "read"


def test_a_tree_can_be_fetched_as_an_archive(flights: Repository, clone: Path) -> None:
    """The link that the forge gives holds the files of the commit."""
    content = httpx.get(flights.get_archive_link("tarball", "main"), follow_redirects=True).content

    assert content[:2] == b"\x1f\x8b"


def test_a_forks_run_names_no_pull_request(forge: Forge, flights: Repository, clone: Path) -> None:
    """Neither the run nor the event that tells of it: the pull request is found by repository, branch and SHA."""
    forge.fork(NAME, "bob")
    seen: list[Event] = []
    forge.listen(seen.append)
    token = forge.token("bob", role="read")
    git(clone, "switch", "--quiet", "--create", "from-bob")
    sha = write(clone, {"params.yaml": "seed: 2\n"}, "Another seed")
    git(clone, "push", "--quiet", address(forge, token, "bob/flights"), "from-bob")
    desk.client(forge, token).get_repo(NAME).create_pull(title="Seed", body="", head="bob:from-bob", base="main")

    run = run_of(sha, "bob/flights", "from-bob")
    run.pull_requests = [1]
    run = forge.open_run(run)
    forge.begin_run(run)
    forge.close_run(run, "success")

    (told,) = [event for event in seen if (event.name, event.action) == ("workflow_run", "completed")]
    assert told.payload["workflow_run"]["pull_requests"] == []
    assert told.payload["workflow_run"]["head_repository"]["full_name"] == "bob/flights"
    assert flights.get_workflow_run(run.id).pull_requests == []
    assert [pull.number for pull in flights.get_pulls(head="bob:from-bob") if pull.head.sha == sha] == [1]
    assert misfits(seen) == {}


def misfits(events: Iterable[Event]) -> dict[str, list[str]]:
    """What is wrong with the payloads of events."""
    found = {
        f"{event.name} {event.action}": description.event_faults(event.name, event.action, event.payload)
        for event in events
    }
    return {name: faults for name, faults in found.items() if faults}


def test_events_have_the_shape_of_webhooks(forge: Forge, flights: Repository, clone: Path, tmp_path: Path) -> None:
    """Pushes, a pull request's life, a comment, a release, a dispatch and a run."""
    seen: list[Event] = []
    forge.listen(seen.append)
    pull = proposed(flights, clone)
    write(clone, {"src/model.py": "TREES = 200\n"}, "In code too")
    git(clone, "push", "--quiet", "origin", "more-trees")
    comment = pull.create_issue_comment("Why?")
    comment.edit("Why so many?")
    comment.delete()
    pull.edit(title="Twice as many trees")
    pull.edit(state="closed")
    pull.edit(state="open")
    flights.get_commit(flights.get_pull(1).head.sha).create_status("success", context="model-gate")
    flights.get_workflow("report.yml").create_dispatch("main", {"reason": "a try"}, throw=True)
    run = forge.open_run(run_of(flights.get_pull(1).head.sha))
    forge.begin_run(run)
    forge.close_run(run, "success")
    flights.get_pull(1).merge()
    flights.create_git_release("model-v1", "First", "The first model.", target_commitish="main")

    found = {f"{event.name} {event.action}" if event.action else event.name for event in seen}

    assert misfits(seen) == {}
    assert found == {
        "issue_comment created",
        "issue_comment deleted",
        "issue_comment edited",
        "pull_request closed",
        "pull_request edited",
        "pull_request opened",
        "pull_request reopened",
        "pull_request synchronize",
        "push",
        "release published",
        "workflow_dispatch",
        "workflow_run completed",
        "workflow_run in_progress",
        "workflow_run requested",
    }
