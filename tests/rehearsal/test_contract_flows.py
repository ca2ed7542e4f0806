"""git as a client of the local forge, and what follows on it from the flows that the loop is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract import description, desk
from contract.desk import NAME, address, attempt, branch, git, run_of, write

from rehearsal.forge import Event, Forge

Json = dict[str, Any]


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
def ask(forge: Forge) -> Callable[..., Any]:
    """Ask the API about `ada/flights` as its owner; the JSON of an answer that is a success."""

    def asked(method: str, path: str = "", **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {forge.token('ada')}"}
        answer = httpx.request(method, f"{forge.api}/repos/{NAME}{path}", headers=headers, json=body or None)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    return asked


def proposed(ask: Callable[..., Any], clone: Path, name: str = "more-trees") -> Json:
    """A pull request of one commit from a branch of the same repository."""
    branch(clone, name, {"params.yaml": "seed: 1\n\n\n\ntrees: 200\n"}, "Twice the trees")
    return dict(ask("POST", "/pulls", title="Twice the trees", body="Surely better.", head=name, base="main"))


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


def test_the_newest_status_of_a_context_counts(ask: Callable[..., Any], clone: Path) -> None:
    """The combined status is pending as long as one is, and success when all are."""
    sha = proposed(ask, clone)["head"]["sha"]

    def say(state: str, description: str, context: str) -> str:
        ask("POST", f"/statuses/{sha}", state=state, description=description, context=context)
        return str(ask("GET", f"/commits/{sha}/status")["state"])

    assert say("pending", "Under way", "model-gate") == "pending"
    assert say("success", "Passed", "ci-gate") == "pending"
    assert say("success", "Promote", "model-gate") == "success"
    listed = ask("GET", f"/commits/{sha}/statuses")
    assert [status["description"] for status in listed] == ["Promote", "Passed", "Under way"]


def test_a_draft_is_no_release_yet(ask: Callable[..., Any], forge: Forge, clone: Path) -> None:
    """It has no tag and is not the latest; published, its files come back byte for byte."""
    content, sha = bytes(range(256)) * 999, git(clone, "rev-parse", "main")
    release = ask("POST", "/releases", tag_name="model-v1", name="First", draft=True, target_commitish=sha)
    headers = {"Authorization": f"Bearer {forge.token('ada')}"}
    where = release["upload_url"].partition("{")[0] + "?name=bundle.zip"
    answers = [httpx.post(where, headers=headers, content=content) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 422]
    assert answers[1].json()["errors"][0]["code"] == "already_exists"
    assert httpx.get(f"{forge.api}/repos/{NAME}/releases/latest").status_code == 404
    assert git(clone, "ls-remote", "--tags", "origin") == ""

    ask("PATCH", f"/releases/{release['id']}", draft=False)

    (asset,) = ask("GET", "/releases/latest")["assets"]
    assert (asset["name"], asset["size"], asset["state"]) == ("bundle.zip", 255744, "uploaded")
    assert git(clone, "ls-remote", "--tags", "origin").split()[0] == sha
    assert httpx.get(asset["browser_download_url"], follow_redirects=True).content == content


def misfits(events: Iterable[Event]) -> dict[str, list[str]]:
    """What is wrong with the payloads of events."""
    found = {
        f"{event.name} {event.action}": description.event_faults(event.name, event.action, event.payload)
        for event in events
    }
    return {name: faults for name, faults in found.items() if faults}


def test_events_have_the_shape_of_webhooks(ask: Callable[..., Any], forge: Forge, clone: Path) -> None:
    """Pushes, a pull request's life, a comment, a release, a dispatch and a run."""
    seen: list[Event] = []
    forge.listen(seen.append)
    proposed(ask, clone)
    sha = write(clone, {"src/model.py": "TREES = 200\n"}, "In code too")
    git(clone, "push", "--quiet", "origin", "more-trees")
    comment = ask("POST", "/issues/1/comments", body="Why?")["id"]
    ask("PATCH", f"/issues/comments/{comment}", body="Why so many?")
    ask("DELETE", f"/issues/comments/{comment}")
    ask("PATCH", "/pulls/1", title="Twice as many trees")
    ask("PATCH", "/pulls/1", state="closed")
    ask("PATCH", "/pulls/1", state="open")
    ask("POST", "/actions/workflows/report.yml/dispatches", ref="main", inputs={"reason": "a try"})
    run = forge.open_run(run_of(sha))
    forge.begin_run(run)
    forge.close_run(run, "success")
    ask("PUT", "/pulls/1/merge", merge_method="merge")
    ask("POST", "/releases", tag_name="model-v1", target_commitish="main")

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
