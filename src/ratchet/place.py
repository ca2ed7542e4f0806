"""Where a pull request stands: whether its head is still the commit that a run saw, as far as it matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratchet.forge import Commit, Forge, Pull

LOCK = "dvc.lock"


@dataclass(frozen=True)
class Place:
    """A pull request and its head.

    Attributes:
        pull: The pull request.
        is_lock_child: The head is the commit in question with nothing but another dvc.lock on top.
    """

    pull: Pull
    is_lock_child: bool


def find(forge: Forge, repository: str, branch: str, sha: str, workflow: str) -> Place | None:
    """The open pull request into the default branch whose head a run saw; None when the head has moved on.

    None, too, when the head is offered to several branches, because a run does not say for which it was made, and when
    it is a fork's copy of a commit that one of our own pull requests has: statuses belong to commits.

    Args:
        forge: With a token that reads.
        repository: "owner/name" the commit is in.
        branch: Of that repository.
        sha: The commit.
        workflow: Of the run, "report.yml". A lock that a person pushed has a run of its own, which alone speaks for it.
    """
    found = forge.pulls_of(repository, branch)
    if len(found) != 1 or found[0].base_branch != forge.default_branch:
        return None
    pull = found[0]
    if pull.is_fork and any(own.head_sha == sha for own in forge.open_pulls() if not own.is_fork):
        return None
    is_child = pull.head_sha != sha and is_lock_child(forge.commit(pull.head_sha), sha)
    if is_child and forge.runs(workflow, branch, pull.head_sha):
        return None
    return Place(pull, is_child) if is_child or pull.head_sha == sha else None


def is_lock_child(commit: Commit, parent: str) -> bool:
    """Whether a commit does nothing but change dvc.lock of its one parent. What it says there is not looked at."""
    return commit.parents == (parent,) and commit.files == (LOCK,)
