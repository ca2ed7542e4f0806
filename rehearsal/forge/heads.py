"""Refs that move: the rules that may forbid it, and what follows from it for pull requests and workflows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rehearsal.forge import access, events, pulls, rules
from rehearsal.forge.access import Actor
from rehearsal.forge.git import ZERO, GitError
from rehearsal.forge.refusal import Refusal
from rehearsal.forge.state import Repository, now

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge


def move(
    forge: Forge, repository: Repository, ref: str, sha: str | None, actor: Actor, *, is_forced: bool = False
) -> None:
    """Make, move or (None) delete a ref.

    Raises:
        Refusal: 422, it is no fast-forward or a ruleset forbids it.
    """
    git = forge.git(repository)
    old = git.ref(ref)
    is_forward = bool(old and sha and git.is_ancestor(old, sha))
    if old and sha and not is_forward and not is_forced:
        raise Refusal(422, "Update is not a fast forward")
    found = violations(forge, repository, ref, old, sha, actor)
    if found:
        raise Refusal(422, rules.PREFIX + "\n\n".join(found) + "\n\n")
    if sha and actor.is_workflow and not _knows_workflows(forge, repository, sha):
        raise Refusal(403, "Resource not accessible by integration")
    try:
        git.update_ref(ref, sha, old or ZERO)
    except GitError as error:
        raise Refusal(422, f"Reference update failed: {error}") from error
    moved(forge, repository, {ref: (old, sha)}, actor)


def violations(
    forge: Forge, repository: Repository, ref: str, old: str | None, new: str | None, actor: Actor
) -> list[str]:
    """Which rules a direct change of a ref breaks; `old` and `new` must be there."""
    who = access.standing(forge.state, repository, actor)
    held = rules.rules_of(repository.rulesets, ref, repository.default_branch, who)
    is_forward = bool(old and new and forge.git(repository).is_ancestor(old, new))
    found = rules.push_violations(held, creates=old is None, deletes=new is None, is_forward=is_forward)
    return found + unchecked(forge, repository, held, ref, new if old else None)


def unchecked(forge: Forge, repository: Repository, held: list[rules.Rule], ref: str, sha: str | None) -> list[str]:
    """What a commit lacks of the required checks to become the head of a branch without a pull request."""
    if not sha or not rules.required_checks(held):
        return []
    return rules.check_violations(
        pulls.checks(forge, repository, ref.removeprefix("refs/heads/"), sha), is_behind=False
    )


def workflow_files(forge: Forge, repository: Repository, rev: str | None = None) -> set[str]:
    """The workflow files of a commit, or of all branches, each as `blob path`."""
    git = forge.git(repository)
    revs = [rev] if rev else git.refs("refs/heads/").values()
    entries = (entry for one in revs for entry in git.tree(one, recursive=True, path=".github/workflows/"))
    return {f"{entry.sha} {entry.path}" for entry in entries if entry.type == "blob"}


def _knows_workflows(forge: Forge, repository: Repository, sha: str) -> bool:
    """A workflow's own token brings no workflow file into the repository that no branch has in this very form."""
    return workflow_files(forge, repository, sha) <= workflow_files(forge, repository)


def moved(
    forge: Forge, repository: Repository, changes: Mapping[str, tuple[str | None, str | None]], actor: Actor
) -> None:
    """Refs have moved, each from old to new: pull requests follow, and whoever listens is told."""
    for ref, (old, new) in changes.items():
        if old == new:
            continue
        repository.pushed_at = now()
        forge.emit(events.push(forge, repository, ref, (old, new), actor.login), actor)
        if ref.startswith("refs/heads/"):
            pulls.follow(forge, repository, ref.removeprefix("refs/heads/"), new, actor)
