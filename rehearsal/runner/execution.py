"""One attempt of one run, from queued to completed: act at work, and what the forge learns of it."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from ratchet.errors import RatchetError
from rehearsal.forge import Job as ForgeJob
from rehearsal.forge import Run
from rehearsal.runner import expressions, machine, plan, progress, workflow
from rehearsal.runner.act import Process
from rehearsal.runner.machine import Machine, Workshop
from rehearsal.runner.progress import Job, Progress
from rehearsal.runner.workflow import Workflow

TRIES = 3
"""How often a run is begun that act loses."""
GRACE = 30.0
"""Seconds that steps with `if: always()` have after a cancellation or a time-out. GitHub gives five minutes."""


class Execution:
    """Runs an attempt. `cancel` and `go_on` may be called from elsewhere.

    Args:
        shop: What all runs share.
        run: Of which it is the newest attempt.
        paused: Called when it begins to wait for a reviewer.

    Attributes:
        waits: One of its jobs waits for a reviewer.
    """

    def __init__(self, shop: Workshop, run: Run, paused: Callable[[Execution], None]) -> None:
        self.run = run
        self.waits = False
        self._attempt = run.attempt
        self._paused, self._decided = paused, threading.Event()
        self._shop = shop
        self._guard = threading.Lock()
        self._process: Process | None = None
        self._followed: Progress | None = None
        self._is_cancelled = False

    def cancel(self, *, at_once: bool = False) -> None:
        """Stop what runs. Unless it is `at_once`, steps that always run still have a while."""
        with self._guard:
            already, self._is_cancelled = self._is_cancelled, True
            process = self._process
        self.go_on()  # to its end
        if process and at_once:
            process.kill()
        if process is None or already:
            return
        for job in list(self._followed.jobs.values()) if self._followed else []:
            job.is_stopped = True
        process.interrupt()
        _later(GRACE, process.kill)

    def go_on(self) -> None:
        """A reviewer has let the job begin that waits."""
        self.waits = False
        self._decided.set()

    def perform(self) -> None:
        """Run it to its end, which the forge learns in any case."""
        path = self._shop.forge.folder / "logs" / f"{self.run.id}-{self.run.attempt}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        conclusion = "failure"
        with path.open("a", encoding="utf-8", buffering=1) as log:
            with self._shop.forge.changing():
                self.run.log = str(path)
            try:
                conclusion = self._perform(log)
            except RatchetError as error:
                log.write(f"{error}\n")
            except Exception:
                # Whatever it is: a run that nobody ends would be in progress for ever.
                log.write(traceback.format_exc())
        with self._shop.forge.changing():
            # What was rejected, or cancelled while it waited, has ended already.
            if self.run.status != "completed" and self.run.attempt == self._attempt:
                self._shop.forge.close_run(self.run, conclusion)

    def _perform(self, log: TextIO) -> str:
        found = plan.again(self._shop.forge, self.run)
        text = found.read(self.run.path) if found else None
        if found is None or text is None:
            raise RatchetError(f"{self.run.path}: is not in the commit of the run")
        one = workflow.parse(self.run.path, text)
        known = plan.contexts(self._shop.forge, self.run, found, one)
        if plan.is_idle(one, known):
            _skip(self._shop, self.run, one.jobs.values())
            return "skipped"
        for _ in range(TRIES):
            built = machine.build(self._shop, self.run, found, one)
            try:
                jobs = _Jobs(self._shop, self.run, one, built, lambda job: self._is_let_in(job, known))
                conclusion = self._follow(one, built, jobs, lambda line: _write(log, line))
            finally:
                machine.clear(self._shop, built)
            if self._process is None or not self._process.is_stuck or self._is_cancelled:
                return conclusion
            _write(log, "act lost a step that had ended: everything once more")
            self._forget()
        raise RatchetError(f"act lost a step {TRIES} times")

    def _forget(self) -> None:
        """Take back what the forge was told of jobs that begin again."""
        with self._shop.forge.changing() as state:
            gone = {job.check_run for job in self.run.jobs}
            state.check_runs = [check for check in state.check_runs if check.id not in gone]
            self.run.jobs.clear()

    def _is_let_in(self, job: workflow.Job, known: Mapping[str, Any]) -> bool:
        """Whether a job may begin that deploys to an environment, once its reviewers have said so."""
        names = [] if job.is_first else [name for name in [expressions.interpolate(job.environment, known)] if name]
        with self._shop.forge.changing():
            if not names or self._is_cancelled or not self._shop.forge.hold_run(self.run, names):
                return not self._is_cancelled
            self.run.summary = self._followed.summary if self._followed else ""  # what the reviewers go by
            self.waits = True
        self._paused(self)
        self._decided.wait()
        self._decided.clear()
        with self._shop.forge.changing():
            if not self._is_cancelled:
                self.run.status = "in_progress"
        return not self._is_cancelled

    def _follow(self, one: Workflow, built: Machine, jobs: _Jobs, write: Callable[[str], None]) -> str:
        followed = Progress(one, jobs.begun, jobs.ended, write)
        with self._guard:
            if self._is_cancelled:
                return "cancelled"
            self._followed, self._process = followed, Process(built.invocation)
        jobs.process = self._process
        try:
            for line in self._process.lines():
                followed.follow(line)
        finally:
            self._process.kill()
            jobs.close(followed)
        return progress.conclusion(followed, is_cancelled=self._is_cancelled, code=self._process.code)


class _Jobs:
    """Tells the forge of jobs, gives each its time, and does what comes after it."""

    def __init__(
        self, shop: Workshop, run: Run, one: Workflow, built: Machine, is_let_in: Callable[[workflow.Job], bool]
    ) -> None:
        self._shop = shop
        self._is_let_in = is_let_in
        self._run = run
        self._workflow = one
        self._guest = built.guest
        self._labels = built.labels
        self._open: dict[int, tuple[ForgeJob, threading.Timer]] = {}
        self.process: Process | None = None

    def begun(self, job: Job) -> None:
        """A job begins: from now on its token may what it declares."""
        declared = self._workflow.jobs[job.identifier]
        is_let_in = self._is_let_in(declared)
        job.is_stopped |= not is_let_in
        default = self._shop.forge.repository(self._run.repository).settings.default_workflow_permissions
        held = workflow.granted(declared, default, is_restricted=plan.is_restricted(self._run))
        known = self._shop.forge.begin_job(self._run, job.name, held if is_let_in else {})
        with self._shop.forge.changing():
            known.labels = self._labels[job.identifier]
        if is_let_in:
            self._guest.job(job.identifier).set()
        self._open[id(job)] = known, _later(declared.minutes * 60, lambda: self._time_out(job))

    def ended(self, job: Job, steps: list[dict[str, Any]]) -> None:
        """A job has ended: what it left running is stopped."""
        known, timer = self._open.pop(id(job))
        timer.cancel()
        if self.process:
            self.process.sweep(job.identifier)
        self._shop.forge.end_job(known, job.conclusion or "failure", steps)

    def close(self, followed: Progress) -> None:
        """The run has ended: jobs that never began were skipped, those that did not end were stopped."""
        for job in followed.jobs.values():
            if job.conclusion is None:
                job.conclusion = "cancelled" if job.is_stopped else "failure"
                self.ended(job, followed.steps_of(job))
        _skip(self._shop, self._run, [self._workflow.jobs[identifier] for identifier in followed.missing()])
        with self._shop.forge.changing():
            self._run.summary = followed.summary

    def _time_out(self, job: Job) -> None:
        job.is_stopped = True
        minutes = self._workflow.jobs[job.identifier].minutes
        with Path(self._run.log).open("a", encoding="utf-8") as log:
            log.write(f"The job has exceeded the maximum execution time of {minutes:g} minutes.\n")
        if self.process:
            self.process.sweep(job.identifier)
            _later(GRACE, lambda: self._sweep_again(job))

    def _sweep_again(self, job: Job) -> None:
        if self.process and job.conclusion is None:
            self.process.sweep(job.identifier)


def _skip(shop: Workshop, run: Run, jobs: Iterable[workflow.Job]) -> None:
    """Tell the forge of jobs that never began."""
    for job in jobs:
        shop.forge.end_job(shop.forge.begin_job(run, job.name, {}), "skipped", [])


def _later(seconds: float, do: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), do)
    timer.daemon = True
    timer.start()
    return timer


def _write(log: TextIO, line: str) -> None:
    log.write(f"{line}\n")
