"""Where a pull request stands: its head, and the run of a workflow that counts for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ratchet import runs
from ratchet.selftest.branch import is_selftest

if TYPE_CHECKING:
    from ratchet.forge import Commit, Forge, Job, Pull, Run

LOCK = "dvc.lock"
EVENTS = {"pull_request", "workflow_dispatch"}
"""What sets off the runs that say something of a pull request."""


@dataclass(frozen=True)
class Snapshot:
    """The runs of commits as GitHub lists them, each list asked for once: what comes later is in a later one.

    Attributes:
        forge: With a token that reads.
        runs: Of all workflows, by commit, as far as they were asked for.
        jobs: Of runs, by the run.
    """

    forge: Forge
    runs: dict[str, Sequence[Run]] = field(default_factory=dict)
    jobs: dict[Run, Sequence[Job]] = field(default_factory=dict)

    def of(self, sha: str) -> Sequence[Run]:
        """The runs for a commit."""
        if sha not in self.runs:
            self.runs[sha] = self.forge.runs(sha)
        return self.runs[sha]

    def has_say(self, run: Run) -> bool:
        """Whether a run has a say."""
        return runs.has_say(run, lambda: self._jobs(run))

    def later(self) -> Snapshot:
        """One of how things are now; what has ended stays as it is."""
        return Snapshot(self.forge, jobs={run: jobs for run, jobs in self.jobs.items() if run.status == "completed"})

    def _jobs(self, run: Run) -> Sequence[Job]:
        if run not in self.jobs:
            self.jobs[run] = self.forge.jobs(run.id, run.attempt)
        return self.jobs[run]


@dataclass(frozen=True)
class Place:
    """A pull request, and what a workflow says of it.

    Attributes:
        pull: It.
        run: The run that counts: for the head, or for the commit below one that only brings dvc.lock.
        has_say: A job of it has begun.
        seen: The runs that this was found by.
    """

    pull: Pull
    run: Run
    has_say: bool
    seen: Snapshot = field(repr=False)

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
    place = stand(Snapshot(forge), pull, told.path, told)
    return place if place and told.head_sha in {pull.head_sha, *place.commits} else None


def stand(seen: Snapshot, pull: Pull, path: str, told: Run | None = None) -> Place | None:
    """Where a pull request stands with a workflow; None when no run of it counts.

    Args:
        seen: What GitHub says of runs.
        pull: The pull request.
        path: The workflow's file.
        told: What is known of a run besides: an event, or an earlier answer, may be ahead of GitHub's list.
    """

    def of(sha: str) -> Sequence[Run]:
        listed = [run for run in seen.of(sha) if run.path == path and run.event in EVENTS]
        of_pull = (pull.head_repository, pull.head_branch)
        ours = {run.id: run for run in listed if (run.head_repository, run.head_branch) == of_pull}
        if told and told.head_sha == sha:
            ours[told.id] = runs.later(ours.get(told.id, told), told)
        return tuple(ours.values())

    run = runs.counting(of(pull.head_sha), (), seen.has_say)
    if run is None or not seen.has_say(run):
        commit = seen.forge.commit(pull.head_sha)
        if is_lock_child(commit):
            run = runs.counting(of(pull.head_sha), of(commit.parents[0]), seen.has_say)
    return Place(pull, run, seen.has_say(run), seen) if run else None


def is_lock_child(commit: Commit, parent: str | None = None) -> bool:
    """Whether a commit does nothing but change dvc.lock of its one parent. What it says there is not looked at.

    Args:
        commit: It.
        parent: Which parent it must have, if it matters.
    """
    return len(commit.parents) == 1 and commit.parents[0] == (parent or commit.parents[0]) and commit.files == (LOCK,)
