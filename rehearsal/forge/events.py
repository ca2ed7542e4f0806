"""What happened, in the shape of GitHub's webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rehearsal.forge.git import ZERO
from rehearsal.forge.shapes import actions, commits, issues, people, pulls, releases, repositories
from rehearsal.forge.state import BotRuns, Comment, Event, Pull, Release, Repository, Run

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge

_ALWAYS = {"workflow_dispatch", "repository_dispatch", "workflow_run", "run"}
_OF_PULLS = {"opened", "synchronize", "reopened"}


def starts_runs_anyway(event: Event, bot_runs: BotRuns) -> bool:
    """A workflow's own token causes it, and yet it is told: dispatches, and what pull requests' runs follow from."""
    if event.name == "pull_request":
        return event.action in _OF_PULLS and bot_runs != "none"
    return event.name in _ALWAYS


def _common(forge: Forge, repository: Repository, actor: str) -> dict[str, Any]:
    return {"repository": repositories.simple(forge, repository), "sender": people.user(forge, actor)}


def push(forge: Forge, repository: Repository, ref: str, moved: tuple[str | None, str | None], actor: str) -> Event:
    """A branch or tag was made, moved or deleted, from old to new."""
    old, new = moved
    git = forge.git(repository)
    tip = git.resolve(new) if new else None
    new_commits = (
        list(reversed(git.log(tip, old if old and git.type_of(old) == "commit" else None, limit=20))) if tip else []
    )
    listed = [
        commits.pushed_commit(
            forge, repository, commit, git.diff(commit.parents[0] if commit.parents else git.empty_tree(), commit.sha)
        )
        for commit in new_commits
    ]
    payload = {
        "ref": ref,
        "before": old or ZERO,
        "after": new or ZERO,
        "base_ref": None,
        "created": old is None,
        "deleted": new is None,
        "forced": bool(old and tip and not git.is_ancestor(old, tip)),
        "compare": f"{repositories.html(forge, repository)}/compare/{(old or ZERO)[:12]}...{(new or ZERO)[:12]}",
        "commits": listed if old else [],
        "head_commit": listed[-1] if listed else None,
        "pusher": {"name": actor, "email": f"{actor}@users.noreply.github.com"},
        **_common(forge, repository, actor),
    }
    return Event("push", None, repository.full_name, payload, ref, new or ZERO, actor)


def pull_request(forge: Forge, pull: Pull, action: str, actor: str, more: Mapping[str, Any] | None = None) -> Event:
    """Something about a pull request."""
    repository = forge.repository(pull.repository)
    payload = {
        "action": action,
        "number": pull.number,
        "pull_request": pulls.full(forge, pull),
        **(more or {}),
        **_common(forge, repository, actor),
    }
    ref = f"refs/pull/{pull.number}/merge"
    return Event("pull_request", action, repository.full_name, payload, ref, pull.head_sha, actor)


def comment(forge: Forge, one: Comment, action: str, actor: str, old: str | None = None) -> Event:
    """A comment was created, edited (its text was `old`) or deleted."""
    repository = forge.repository(one.repository)
    subject = forge.state.pull(one.repository, one.number) or forge.state.issue(one.repository, one.number)
    payload = {
        "action": action,
        "issue": issues.issue(forge, subject) if subject else None,
        "comment": issues.comment(forge, one),
        **({} if old is None else {"changes": {"body": {"from": old}}}),
        **_common(forge, repository, actor),
    }
    return _on_default("issue_comment", action, forge, repository, payload, actor)


def release(forge: Forge, one: Release, action: str, actor: str) -> Event:
    """A release was published, or changed otherwise."""
    repository = forge.repository(one.repository)
    payload = {"action": action, "release": releases.release(forge, one), **_common(forge, repository, actor)}
    return Event("release", action, one.repository, payload, f"refs/tags/{one.tag}", one.sha, actor)


def workflow_run(forge: Forge, run: Run, action: str) -> Event:
    """A run was requested, is in progress or is completed."""
    repository = forge.repository(run.repository)
    payload = {
        "action": action,
        "workflow_run": actions.run(forge, run),
        "workflow": actions.workflow(forge, repository, run.path, run.name),
        **_common(forge, repository, run.actor),
    }
    return _on_default("workflow_run", action, forge, repository, payload, run.actor)


def workflow_dispatch(
    forge: Forge,
    repository: Repository,
    path: str,
    ref: str,
    inputs: Mapping[str, Any],
    actor: str,
) -> Event:
    """Somebody pressed "Run workflow"; `ref` is full."""
    payload = {"ref": ref, "workflow": path, "inputs": dict(inputs), **_common(forge, repository, actor)}
    sha = forge.git(repository).resolve(ref) or ZERO
    return Event("workflow_dispatch", None, repository.full_name, payload, ref, sha, actor)


def repository_dispatch(
    forge: Forge, repository: Repository, kind: str, client: Mapping[str, Any], actor: str
) -> Event:
    """Something outside says that something of a kind happened."""
    payload = {
        "action": kind,
        "branch": repository.default_branch,
        "client_payload": dict(client),
        **_common(forge, repository, actor),
    }
    return _on_default("repository_dispatch", kind, forge, repository, payload, actor)


def run_control(forge: Forge, run: Run, action: str, actor: str) -> Event:
    """The forge's word to whoever executes runs: `queued` or `cancelled`."""
    repository = forge.repository(run.repository)
    return _on_default("run", action, forge, repository, {"run_id": run.id}, actor)


def _on_default(
    name: str, action: str, forge: Forge, repository: Repository, payload: dict[str, Any], actor: str
) -> Event:
    branch = repository.default_branch
    sha = forge.git(repository).branch(branch) or ZERO
    return Event(name, action, repository.full_name, payload, f"refs/heads/{branch}", sha, actor)
