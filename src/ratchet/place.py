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


def find(forge: Forge, repository: str, branch: str, sha: str) -> Place | None:
    """The open pull request whose head a run saw; None when the head has moved on, or there is none.

    Args:
        forge: With a token that reads.
        repository: "owner/name" the commit is in.
        branch: Of that repository.
        sha: The commit.
    """
    pull = forge.pull_of(repository, branch)
    if pull is None:
        return None
    is_child = pull.head_sha != sha and is_lock_child(forge.commit(pull.head_sha), sha)
    return Place(pull, is_child) if is_child or pull.head_sha == sha else None


def is_lock_child(commit: Commit, parent: str) -> bool:
    """Whether a commit does nothing but change dvc.lock of its one parent. What it says there is not looked at."""
    return commit.parents == (parent,) and commit.files == (LOCK,)
