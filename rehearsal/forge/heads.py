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
        Refusal: 422, it is no fast-forward or a ruleset forbids it; 403, a workflow brings in a workflow file.
    """
    git = forge.git(repository)
    old = git.ref(ref)
    is_forward = bool(old and sha and git.is_ancestor(old, sha))
    if old and sha and not is_forward and not is_forced:
        raise Refusal(422, "Update is not a fast forward")
    found = violations(forge, repository, ref, old, sha, actor)
    if found:
        raise Refusal(422, rules.PREFIX + "\n\n".join(found) + "\n\n")
    if sha:
        refuse_workflows(forge, repository, old, sha, actor)
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


def refuse_workflows(forge: Forge, repository: Repository, old: str | None, new: str, actor: Actor) -> None:
    """A workflow's own token never has the permission `workflows`, which a changed workflow file needs.

    What counts as a change: of a ref that is moved, any difference between its old and its new commit, also one that
    another branch has already; of a ref that is made, a file that the default branch has not in this very form.

    Raises:
        Refusal: 403.
    """
    if actor.is_workflow and changed_workflows(forge, repository, old, new):
        raise Refusal(403, "Resource not accessible by integration")


def changed_workflows(forge: Forge, repository: Repository, old: str | None, new: str) -> list[str]:
    """The workflow files that a ref would change by going from `old` (None: by being made) to `new`."""
    git = forge.git(repository)
    base = old or default_head(forge, repository)
    kinds = [] if old else ["--diff-filter=AM"]
    found = git.run("diff", "--name-only", "--no-renames", *kinds, base, new, "--", ".github/workflows/")
    return found.decode().splitlines()


def default_head(forge: Forge, repository: Repository) -> str:
    """The newest commit of the default branch, or the empty tree."""
    git = forge.git(repository)
    return git.branch(repository.default_branch) or git.empty_tree()


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
