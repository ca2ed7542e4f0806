"""What GitHub knows of one pull request, in memory: every order in which runs proceed and events are handled.

A client of it has the methods of `ratchet.forge.Forge` that settling calls, and nothing else. While one event is
handled another run may proceed, and another event may be handled: before runs are listed, or something is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import report_example
from ratchet import comment, place, settle
from ratchet.forge import Commit, Entry, Job, Pull, Run, Status
from ratchet.ledger import blob_name
from settle_example import LOCK, REPORT

NAME, BRANCH, BOT = "ada/flights", "change", "github-actions[bot]"
BASE, PROPOSED, LOCKED = "0" * 40, "1" * 40, "2" * 40
LINKS = comment.Links("https://github.com", NAME)

Phase = Literal["held", "queued", "in_progress", "success", "failure", "void", "gone"]
"""`queued` is at work, as GitHub's list has it while another job waits; `gone` is cancelled without a job."""
SHOWN: Mapping[Phase, tuple[str, str | None]] = {
    "held": ("completed", "action_required"),
    "queued": ("queued", None),
    "in_progress": ("in_progress", None),
    "success": ("completed", "success"),
    "failure": ("completed", "failure"),
    "void": ("completed", "failure"),
    "gone": ("completed", "cancelled"),
}


@dataclass(frozen=True)
class Life:
    """A run, and the phases that it goes through."""

    id: int
    path: str
    sha: str
    actor: str
    event: str
    phases: tuple[Phase, ...]


@dataclass
class GitHub:
    """A pull request whose commit is proposed, with runs that proceed one phase at a time.

    Attributes:
        lives: The runs that exist or will.
        after_lock: Those that come into being with the commit that brings dvc.lock.
        at: Which phase each run is in; -1 before it exists.
        told: Events that nobody has handled yet.
        set: Statuses, newest first.
        head: Of the pull request.
        meanwhile: What else happens before the call of that number which lists runs or writes something.
        crosses: Whether something happens while an event is handled, too.
    """

    lives: Sequence[Life]
    after_lock: Sequence[Life] = ()
    at: dict[int, int] = field(default_factory=dict)
    told: tuple[tuple[int, int], ...] = ()
    set: list[tuple[str, Status]] = field(default_factory=list)
    head: str = PROPOSED
    meanwhile: tuple[int, Callable[[GitHub], None]] | None = None
    crosses: bool = True

    repository, default_branch = NAME, "main"

    # What proceeds.

    def steps(self) -> list[int]:
        """Numbers of the runs that can proceed."""
        return [life.id for life in self.lives if self.at.get(life.id, -1) + 1 < len(life.phases)]

    def proceed(self, number: int) -> None:
        """A run enters its next phase, of which an event tells."""
        self.at[number] = self.at.get(number, -1) + 1
        self.told = (*self.told, (number, self.at[number]))

    def handle(self, event: tuple[int, int]) -> None:
        """What verdict.yml does of an event."""
        self.told = tuple(other for other in self.told if other != event)
        life = self._life(event[0])
        run = self._run(life, event[1])
        judgement = self._judgement(run)
        settle.settle(self, {"workflow_run": _payload(run)}, judgement, LINKS)  # type: ignore[arg-type]

    def _judgement(self, run: Run) -> dict[str, Any] | None:
        """The judge's part: main's model, with a lock to commit where the commit does not have it."""
        if run.path != REPORT or run.conclusion is None:
            return None
        found = place.find(self, run)  # type: ignore[arg-type]
        if found is None or found.run.id != run.id or not found.can_be_judged:
            return None
        head = {"sha": run.head_sha, "repository": NAME, "branch": BRANCH, "is_fork": False}
        about = {"id": run.id, "attempt": run.attempt, "url": run.url}
        lock = LOCK if run.head_sha == PROPOSED else None
        short = report_example.unjudged("unchanged", lock=lock, params=[], stages=[], judge_changed=[])
        return short | {"pull_request": 1, "head": head, "run": about}

    def _life(self, number: int) -> Life:
        return next(life for life in self.lives if life.id == number)

    def _run(self, life: Life, phase: int) -> Run:
        status, conclusion = SHOWN[life.phases[phase]]
        url = f"https://github.com/{NAME}/actions/runs/{life.id}"
        at = f"2026-11-30T12:00:{life.id:02}Z"
        fields = (life.id, 1, life.path, life.path, life.event, status, conclusion, NAME, BRANCH, life.sha)
        return Run(*fields, life.actor, url, at, at)

    # What the loop asks.

    def _asked(self) -> None:
        if self.meanwhile is None:
            return
        number, deed = self.meanwhile
        self.meanwhile = (number - 1, deed) if number else None
        if number == 0:
            deed(self)

    def pulls_of(self, head_repository: str, branch: str) -> list[Pull]:
        """The one pull request."""
        names = (NAME, BRANCH, self.head, NAME, "main", BASE)
        return [Pull(1, "Try", "", "open", False, "ada", *names, None, "")] if (head_repository, branch) else []

    def commit(self, sha: str) -> Commit:
        """The proposed commit, or that with the lock on top of it."""
        parent, files = (PROPOSED, ("dvc.lock",)) if sha == LOCKED else (BASE, ("params.yaml",))
        return Commit(sha, sha, (parent,), "", files)

    def runs(self, head_sha: str) -> list[Run]:
        """As they stand."""
        self._asked()
        return [self._run(life, self.at[life.id]) for life in self.lives if life.sha == head_sha and life.id in self.at]

    def jobs(self, run_id: int, attempt: int) -> list[Job]:
        """None of a run that ended without a job."""
        life = self._life(run_id)
        has_begun = life.phases[self.at[run_id]] in {"queued", "in_progress", "success", "failure"}
        return [Job("job", "completed", "failure", "", begun=True)] * has_begun

    def status_history(self, sha: str) -> list[Status]:
        """Of a commit."""
        return [status for where, status in self.set if where == sha]

    def statuses(self, sha: str) -> dict[str, Status]:
        """The newest of each context."""
        return {status.context: status for status in reversed(self.status_history(sha))}

    def set_status(self, sha: str, context: str, state: str, description: str, url: str) -> None:
        """Put it on top."""
        self._asked()
        self.set.insert(0, (sha, Status(context, state, description, url, BOT)))

    def branch(self, name: str) -> None:
        """There are no records."""

    def tree(self, sha: str) -> dict[str, Entry]:
        """The proposed commit has another lock."""
        return {"dvc.lock": Entry("100644", "blob", blob_name(LOCK) if sha == LOCKED else "0" * 40)}

    def commit_files(self, branch: str, parent: str, changed: Mapping[str, bytes], message: str) -> str:
        """The commit that brings the lock, and what runs it sets off."""
        self._asked()
        assert (branch, parent, changed) == (BRANCH, PROPOSED, {"dvc.lock": LOCK.encode()})
        if self.head == PROPOSED:
            self.head, self.lives = LOCKED, (*self.lives, *self.after_lock)
        self._asked()
        return LOCKED

    # What is explored.

    def gates(self, sha: str) -> dict[str, str]:
        """Context to state."""
        return {context: status.state for context, status in self.statuses(sha).items()}

    def key(self) -> tuple[Any, ...]:
        """What the future depends on."""
        kept = tuple((sha, status.context, status.state, status.url) for sha, status in self.set)
        return self.head, tuple(sorted(self.at.items())), tuple(sorted(self.told)), kept

    def after(self, deed: Callable[[GitHub], None]) -> GitHub:
        """A copy to which something has happened."""
        found = replace(self, at=dict(self.at), set=list(self.set))
        deed(found)
        found.meanwhile = None
        return found

    def next(self) -> Iterator[GitHub]:
        """What may come next: a run proceeds, an event is handled, or both while another is being handled."""
        for number in self.steps():
            yield self.after(lambda now, number=number: now.proceed(number))  # type: ignore[misc]
        for event in self.told:
            yield self.after(lambda now, event=event: now.handle(event))  # type: ignore[misc]
            for deed in self._deeds(event) if self.crosses else ():
                yield from self._interrupted(event, deed)

    def _interrupted(self, event: tuple[int, int], deed: Callable[[GitHub], None]) -> Iterator[GitHub]:
        for call in range(40):
            found = replace(self, at=dict(self.at), set=list(self.set), meanwhile=(call, deed))
            found.handle(event)
            if found.meanwhile is not None:  # there are not so many calls
                return
            yield found

    def _deeds(self, but: tuple[int, int]) -> Iterator[Callable[[GitHub], None]]:
        for other in self.told:
            if other != but:
                yield lambda now, other=other: now.handle(other)  # type: ignore[misc]
        for number in self.steps():
            yield lambda now, number=number: _at_once(now, number)  # type: ignore[misc]


def _at_once(now: GitHub, number: int) -> None:
    now.proceed(number)
    now.handle(now.told[-1])


def ends(start: GitHub) -> Iterator[GitHub]:
    """Every state in which nothing can happen any more, whatever the order."""
    seen, todo = {start.key()}, [start]
    while todo:
        now = todo.pop()
        if not now.steps() and not now.told:
            yield now
        for found in now.next():
            if found.key() not in seen:
                seen.add(found.key())
                todo.append(found)


def _payload(run: Run) -> dict[str, Any]:
    names = {"full_name": run.head_repository}
    return {
        **{name: getattr(run, name) for name in ("id", "name", "path", "event", "status", "conclusion")},
        **{name: getattr(run, name) for name in ("head_branch", "head_sha", "created_at")},
        "run_attempt": run.attempt,
        "head_repository": names,
        "actor": {"login": run.actor},
        "html_url": run.url,
        "run_started_at": run.started_at,
    }
