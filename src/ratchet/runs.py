"""Which run of a workflow counts for a commit. Pure: from the runs that there are, never from the order of events.

GitHub tells of runs in any order, of some it never tells the end, and some never come to anything. So:

- A run has a say once a job of it has begun. The newest run of a commit that has a say counts.
- A commit that only brings dvc.lock leaves the say to the commit below it, until a run of its own has one.
- Where none has, one that is queued counts, else one that is held for approval, else one that ended without a job.
- What a workflow's own push or pull request sets off counts only once it has a say: held or not, nobody asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratchet.forge import Job, Run

HELD = "action_required"
"""Conclusion of a run that waits for a maintainer's approval."""


def is_held(run: Run) -> bool:
    """Whether it waits for approval: GitHub calls it completed, although it never began."""
    return run.conclusion == HELD


def has_say(run: Run, jobs: Callable[[], Iterable[Job]]) -> bool:
    """Whether a job of a run has begun; `jobs` is asked only where status and conclusion do not tell.

    GitHub lists a run as queued, too, while one of its jobs is at work and another waits for a runner.
    """
    if run.status == "in_progress" or run.conclusion == "success":
        return True
    return not is_held(run) and any(job.begun for job in jobs())


def later(one: Run, other: Run) -> Run:
    """Of two views of the same run, the one that saw more of it."""
    return max(one, other, key=lambda run: (run.attempt, _progress(run)))


def counting(own: Iterable[Run], below: Iterable[Run], say: Callable[[Run], bool]) -> Run | None:
    """The run that counts for a commit.

    Args:
        own: Runs of one workflow for the commit.
        below: Those for the commit below it, when it does nothing but bring another dvc.lock; else none.
        say: Whether a run has a say.
    """
    own, below = _newest_first(own), _newest_first(below)
    both = _newest_first([*own, *below])
    asked = [run for run in both if not run.is_unasked]
    candidates: tuple[Iterable[Run], ...] = (
        filter(say, own),
        filter(say, below),
        (run for run in asked if run.status != "completed"),
        filter(is_held, asked),
        asked,
    )
    return next((run for runs in candidates for run in runs), None)


def _newest_first(runs: Iterable[Run]) -> Sequence[Run]:
    return sorted(runs, key=lambda run: (run.started_at, run.id), reverse=True)


def _progress(run: Run) -> int:
    if run.status != "completed":
        return 2 if run.status == "in_progress" else 1
    return 0 if is_held(run) else 3
