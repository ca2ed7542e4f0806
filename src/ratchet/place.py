"""Where a pull request stands: its head, and the run of a workflow that counts for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ratchet import runs
from ratchet.selftest.branch import is_selftest

if TYPE_CHECKING:
    from ratchet.forge import Commit, Forge, Pull, Run

LOCK = "dvc.lock"
EVENTS = {"pull_request", "workflow_dispatch"}
"""What sets off the runs that say something of a pull request."""


@dataclass(frozen=True)
class Place:
    """A pull request, and what a workflow says of it.

    Attributes:
        pull: It.
        run: The run that counts: for the head, or for the commit below one that only brings dvc.lock.
        has_say: A job of it has begun.
    """

    pull: Pull
    run: Run
    has_say: bool

    @property
    def commits(self) -> tuple[str, ...]:
        """The commits whose gate the run sets: its own first, the head last."""
        return tuple(dict.fromkeys((self.run.head_sha, self.pull.head_sha)))

    @property
    def is_lock_child(self) -> bool:
        """Whether the head is the run's commit with nothing but another dvc.lock on top."""
        return self.pull.head_sha != self.run.head_sha

    @property
    def can_be_judged(self) -> bool:
        """Whether the run says something of what is proposed: it came to an end of its own."""
        return self.has_say and self.run.conclusion in {"success", "failure"}


def find(forge: Forge, told: Run) -> Place | None:
    """The open pull request into the default branch that a run is about; None when its commit does not matter any more.

    None, too, when it is the self-test's own, when the head is offered to several branches, because a run does not say
    for which it was made, when it is a fork's copy of a commit that one of our own pull requests has, for statuses
    belong to commits, and when no run of the workflow counts.

    Args:
        forge: With a token that reads.
        told: A run as an event tells of it: of which workflow, repository, branch and commit.
    """
    if told.event not in EVENTS:
        return None
    found = forge.pulls_of(told.head_repository or "", told.head_branch or "")
    if len(found) != 1 or found[0].base_branch != forge.default_branch or is_selftest(found[0]):
        return None
    pull = found[0]
    if pull.is_fork and any(own.head_sha == told.head_sha for own in forge.open_pulls() if not own.is_fork):
        return None
    place = stand(forge, pull, told.path, told)
    return place if place and told.head_sha in {pull.head_sha, *place.commits} else None


def stand(forge: Forge, pull: Pull, path: str, told: Run | None = None) -> Place | None:
    """Where a pull request stands with a workflow; None when no run of it counts.

    Args:
        forge: With a token that reads.
        pull: The pull request.
        path: The workflow's file.
        told: What is known of a run besides: an event, or an earlier answer, may be ahead of GitHub's list.
    """

    @cache
    def of(sha: str) -> tuple[Run, ...]:
        listed = [run for run in forge.runs(sha) if run.path == path and run.event in EVENTS]
        of_pull = (pull.head_repository, pull.head_branch)
        ours = {run.id: run for run in listed if (run.head_repository, run.head_branch) == of_pull}
        if told and told.head_sha == sha:
            ours[told.id] = runs.later(ours.get(told.id, told), told)
        return tuple(ours.values())

    @cache
    def say(run: Run) -> bool:
        return runs.has_say(run, lambda: forge.jobs(run.id, run.attempt))

    run = runs.counting(of(pull.head_sha), (), say)
    if run is None or not say(run):
        commit = forge.commit(pull.head_sha)
        if is_lock_child(commit):
            run = runs.counting(of(pull.head_sha), of(commit.parents[0]), say)
    return Place(pull, run, say(run)) if run else None


def is_lock_child(commit: Commit, parent: str | None = None) -> bool:
    """Whether a commit does nothing but change dvc.lock of its one parent. What it says there is not looked at.

    Args:
        commit: It.
        parent: Which parent it must have, if it matters.
    """
    return len(commit.parents) == 1 and commit.parents[0] == (parent or commit.parents[0]) and commit.files == (LOCK,)
