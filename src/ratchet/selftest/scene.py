"""What is asked about: a branch with commits that change nothing, a pull request from it, and how they go again.

The commits that bear statuses, also those of the gates, change no file. Whoever merges one, or takes it into a branch
of their own, merges nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from ratchet.errors import RatchetError
from ratchet.selftest.branch import PREFIX

if TYPE_CHECKING:
    from ratchet.forge import Forge, Run

T = TypeVar("T")

WORKFLOW = ".github/workflows/selftest.yml"
PROBE = ".github/workflows/ratchet-selftest.yml"
"""The file that no workflow's token may bring in."""
MESSAGE = "Self-test: this commit changes nothing"
TITLE = "self-test"
_NAME = re.compile(rf"{PREFIX}(\d+)(?:-workflow|-older)?")


class CouldNotAsk(RatchetError):  # noqa: N818  # reads as what it says
    """A question has no answer, and why."""


@dataclass(frozen=True)
class Wait:
    """How long GitHub has for what it does after it has answered.

    Attributes:
        seconds: In all.
        pause: Seconds between two looks.
        sleep: Waits the given seconds.
        clock: Says how late it is, in seconds.
    """

    seconds: float = 60.0
    pause: float = 5.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def until(self, look: Callable[[], T | None]) -> T | None:
        """What a look finds; None when the time is over and nothing is there yet."""
        deadline = self.clock() + self.seconds
        while (found := look()) is None and self.clock() < deadline:
            self.sleep(self.pause)
        return found


@dataclass
class Scene:
    """What the questions share, and what earlier ones have left for later ones.

    Attributes:
        forge: With the rights of the job.
        run: Of selftest.yml.
        wait: How long GitHub has.
        first: The first commit on the branch, which opens the pull request; None when there is none.
        second: The one on top of it, as the loop's lock commit is; it bears the statuses.
        number: Of the pull request.
    """

    forge: Forge
    run: int
    wait: Wait = field(default_factory=Wait)
    first: str | None = None
    second: str | None = None
    number: int | None = None

    @property
    def branch(self) -> str:
        """The branch that is proposed; no other run has one of that name."""
        return names(self.run)[0]

    @property
    def url(self) -> str:
        """Page of the run."""
        return f"{self.forge.server_url}/{self.forge.repository}/actions/runs/{self.run}"

    @cached_property
    def base(self) -> str:
        """The default branch's commit, on which the branch begins."""
        found = self.forge.branch(self.forge.default_branch)
        if found is None:
            raise RatchetError(f"{self.forge.repository}: has no commit yet\npush one, and ask again")
        return found

    def need(self, found: T | None, of: str) -> T:
        """What an earlier question has left.

        Raises:
            CouldNotAsk: It has left nothing.
        """
        if found is None:
            raise CouldNotAsk(f"that needs what `{of}` asks for")
        return found

    def runs(self, sha: str) -> list[Run]:
        """The runs of a commit of this repository, newest first."""
        return [run for run in self.forge.runs(sha) if run.head_repository == self.forge.repository]


def names(run: int) -> tuple[str, str, str]:
    """The branches of a run of the self-test: one that is proposed, one for a workflow file, one of an older commit."""
    return f"{PREFIX}{run}", f"{PREFIX}{run}-workflow", f"{PREFIX}{run}-older"


def clean(forge: Forge, wait: Wait, run: int) -> list[str]:
    """Remove the branches, runs and open pull requests of this run of the self-test, and of those that were cut off.

    Returns:
        What could not be removed, and why.
    """
    own: tuple[str, ...] = names(run)
    left: list[str] = []
    failed = _tried(lambda: left.extend(_left(forge)), "what earlier runs have left")
    return [*failed, *(told for name in dict.fromkeys((*own, *left)) for told in _removed(forge, wait, name))]


def _left(forge: Forge) -> list[str]:
    return [name for name in forge.branches(PREFIX) if _is_left(forge, name)]


def _is_left(forge: Forge, name: str) -> bool:
    """Whether a run of the self-test left a branch: one is named in it, and there is no file on it but the probe.

    A person's branch of such a name stays, unless it is empty besides.
    """
    named = _NAME.fullmatch(name)
    known = forge.ask(f"/actions/runs/{named[1]}") if named else None
    if known is None or not known.known or known.body["path"].partition("@")[0] != WORKFLOW:
        return False
    return set(forge.compare(forge.default_branch, name).files) <= {PROBE}


def _removed(forge: Forge, wait: Wait, name: str) -> list[str]:
    """Remove a branch and all that came of it; what could not be. Its runs go first: they are found by the branch."""
    return [
        *remove_runs(forge, wait, name),
        *_tried(lambda: forge.delete_branch(name), f"branch {name}"),
        *_tried(lambda: _close(forge, name), f"the pull request from {name}"),
    ]


def remove_runs(forge: Forge, wait: Wait, name: str) -> list[str]:
    """Remove the runs that a workflow's token caused on a branch of this repository; what could not be."""
    from ratchet.forge import BOT

    listed: list[Run] = []
    failed = _tried(lambda: listed.extend(forge.runs_on(name)), f"runs of {name}")
    for run in listed:
        if (run.head_repository, run.actor) == (forge.repository, BOT):
            failed += _tried(partial(_end, forge, wait, run), f"run {run.id} of {run.name}")
    return failed


def _end(forge: Forge, wait: Wait, run: Run) -> None:
    if run.status != "completed":
        forge.cancel_run(run.id)
        wait.until(lambda: forge.run(run.id).conclusion)
    forge.delete_run(run.id)


def _close(forge: Forge, name: str) -> None:
    """Close the pull requests whose branch was deleted, if that has not."""
    for pull in forge.pulls_of(forge.repository, name):
        forge.close_pull(pull.number)


def _tried(do: Callable[[], object], what: str) -> list[str]:
    from ratchet.forge import ApiError

    try:
        do()
    except ApiError as error:
        return [f"{what} ({str(error).splitlines()[0]})"]
    return []
