"""The runner: hears what happens on the forge, queues the runs that follow from it, and has them executed."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ratchet.errors import RatchetError
from rehearsal.forge import Event, Forge, Run
from rehearsal.forge.shapes import people, repositories
from rehearsal.runner import plan, standins, workflow
from rehearsal.runner.execution import Execution
from rehearsal.runner.machine import Workshop
from rehearsal.runner.plan import Group, Planned
from rehearsal.runner.service import Service
from rehearsal.runner.source import Unreadable
from rehearsal.runner.workflow import Workflow


@dataclass
class _Queued:
    run: Run
    group: Group
    environments: list[str]


class Runner:
    """Executes workflows of a forge with act.

        with Runner(forge) as runner:
            ...
            runner.wait(timeout=60)

    Args:
        forge: Started before the runner.
        workers: How many runs go on at a time.
        environment: The Python environment that clones with our own uv.lock use instead of one of their own.
    """

    def __init__(self, forge: Forge, workers: int = 2, environment: Path | None = Path(sys.prefix)) -> None:
        self._forge = forge
        self._workers = workers
        self._folder = Path(tempfile.mkdtemp(prefix="rehearsal-"))
        service = Service(forge, forge.folder / "caches")
        prepared = standins.prepare(self._folder / "actions")
        self._shop = Workshop(forge, service, prepared, self._folder / "runs", environment)
        self._known: dict[str, Workflow | Unreadable] = {}
        self._changed = threading.Condition(threading.RLock())
        self._queue: list[_Queued] = []
        self._busy: dict[int, tuple[Group, Execution]] = {}
        self._held: dict[int, Group] = {}  # wait for a reviewer, and keep their place in their group meanwhile
        self._paused: list[Execution] = []  # have a worker more than there are meant to be
        self._hearing = 0
        self._is_on = False
        self._threads: list[threading.Thread] = []
        self._problems: list[str] = []

    # Life.

    def start(self) -> Self:
        """Listen, and begin to work."""
        self._shop.service.mount()
        self._is_on = True
        self._forge.listen(self._hear)
        for _ in range(self._workers):
            self._begin_worker()
        return self

    def stop(self) -> None:
        """Cancel what runs, and work no more."""
        with self._changed:
            self._is_on = False
            self._queue.clear()
            busy = [execution for _, execution in self._busy.values()]
            self._changed.notify_all()
        for execution in busy:
            execution.cancel(at_once=True)
        for thread in self._threads:
            thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def wait(self, timeout: float = 600.0) -> None:
        """Return when nothing is queued or in progress, with everything that followed from it.

        What waits for a reviewer, and what queues behind it, is nothing that time would end.

        Raises:
            RatchetError: It takes longer than `timeout` seconds, or an event could not be understood.
        """
        until = time.monotonic() + timeout
        with self._changed:
            while self._hearing or self._moving() or self._movable():
                if not self._changed.wait(until - time.monotonic()) and time.monotonic() >= until:
                    raise RatchetError(f"after {timeout:g} s there is still work: {', '.join(self._names())}")
            if self._problems:
                raise RatchetError("\n".join(self._problems))

    def schedule(self, repository: str, path: str) -> None:
        """Let the time come for a workflow with `on: schedule`.

        Args:
            repository: Full name.
            path: Of the workflow, or its file name.

        Raises:
            RatchetError: The default branch has no such workflow with a schedule.
        """
        one = self._forge.repository(repository)
        path = path if "/" in path else f"{workflow.FOLDER}/{path}"
        sha = self._forge.git(one).branch(one.default_branch)
        payload = {
            "schedule": "",
            "workflow": path,
            "repository": repositories.simple(self._forge, one),
            "sender": people.user(self._forge, one.owner),
        }
        event = Event("schedule", None, repository, payload, f"refs/heads/{one.default_branch}", sha or "", one.owner)
        found = [planned for planned in plan.plan(self._forge, event, self._known) if planned.run.path == path]
        if not found:
            raise RatchetError(f"{path}: is no workflow with a schedule on {one.default_branch} of {repository}")
        self._open(found[0])

    # Hearing.

    def _hear(self, event: Event) -> None:
        with self._changed:
            if not self._is_on:
                return
            self._hearing += 1
        try:
            if event.name == "run":
                self._control(event)
            else:
                for planned in plan.plan(self._forge, event, self._known):
                    self._open(planned)
        except Exception:
            # Not the fault of whoever caused the event, and answers for a request of theirs: `wait` tells.
            self._problems.append(f"{event.name}: {traceback.format_exc()}")
        finally:
            with self._changed:
                self._hearing -= 1
                self._changed.notify_all()

    def _control(self, event: Event) -> None:
        run = self._forge.run(event.payload["run_id"])
        with self._changed:
            _, execution = self._busy.get(run.id, (None, None))
            waits = execution is not None and execution.waits
            if event.action != "queued":
                self._queue = [queued for queued in self._queue if queued.run.id != run.id]
            if event.action != "queued" or waits:
                self._held.pop(run.id, None)
            self._changed.notify_all()
        if execution and event.action != "queued":
            execution.cancel()
        elif execution and waits:
            execution.go_on()
        elif event.action == "queued":
            self._enqueue(run)

    def _open(self, planned: Planned) -> None:
        run = self._forge.open_run(planned.run)
        if run.status == "queued":
            self._enqueue(run)

    def _enqueue(self, run: Run) -> None:
        try:
            new = self._queued(run)
        except RatchetError as error:
            self._refuse(run, str(error))
            return
        with self._changed:
            if self._held.pop(run.id, None) is not None:  # it was let go: its turn had come before
                self._queue.insert(0, new)
                self._changed.notify_all()
                return
            replaced = [queued.run for queued in self._queue if new.group.meets(queued.group)]
            self._queue = [queued for queued in self._queue if queued.run not in replaced]
            running = [one for group, one in self._busy.values() if new.group.meets(group)]
            held = [number for number, group in self._held.items() if new.group.meets(group)]
            self._queue.append(new)
            self._changed.notify_all()
        for old in replaced:
            self._forge.close_run(old, "cancelled")
        if new.group.cancels:
            self._cancel(running, held)

    def _cancel(self, running: list[Execution], held: list[int]) -> None:
        for execution in running:
            execution.cancel()
        with self._changed:
            for number in held:
                self._held.pop(number, None)
            self._changed.notify_all()
        for number in held:
            self._forge.close_run(self._forge.run(number), "cancelled")

    def _queued(self, run: Run) -> _Queued:
        found = plan.again(self._forge, run)
        text = found.read(run.path) if found else None
        if found is None or text is None:
            raise RatchetError(f"{run.path}: is not in the commit of the run")
        one = workflow.parse(run.path, text)
        known = plan.contexts(self._forge, run, found, one)
        return _Queued(run, plan.group(one, known, run.repository), plan.environments(one, known))

    def _refuse(self, run: Run, reason: str) -> None:
        """A run that cannot begin has failed; its log says why."""
        path = self._forge.folder / "logs" / f"{run.id}-{run.attempt}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{reason}\n", encoding="utf-8")
        with self._forge.changing():
            run.log = str(path)
        self._forge.close_run(run, "failure")

    # Working.

    def _begin_worker(self) -> None:
        thread = threading.Thread(target=self._work, name=f"runner-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _pause(self, execution: Execution) -> None:
        """A run waits for a reviewer: its worker stays with it, and another one takes that one's place."""
        with self._changed:
            group, _ = self._busy[execution.run.id]
            self._held[execution.run.id] = group
            if execution not in self._paused:
                self._paused.append(execution)
                self._begin_worker()
            self._changed.notify_all()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            queued, execution = taken
            try:
                with self._forge.changing():
                    is_wanted = queued.run.status == "queued"  # not cancelled meanwhile
                    is_wanted = is_wanted and not self._forge.hold_run(queued.run, queued.environments)
                    if is_wanted:
                        self._forge.begin_run(queued.run)
                if is_wanted:
                    execution.perform()
            finally:
                with self._changed:
                    del self._busy[queued.run.id]
                    self._held.pop(queued.run.id, None)
                    if queued.run.status == "waiting":
                        self._held[queued.run.id] = queued.group
                    self._changed.notify_all()
            if execution in self._paused:
                self._paused.remove(execution)
                return

    def _take(self) -> tuple[_Queued, Execution] | None:
        with self._changed:
            while self._is_on:
                for queued in self._movable():
                    meets = any(queued.group.meets(group) for group, _ in self._busy.values())
                    if not meets and queued.run.id not in self._busy:
                        self._queue.remove(queued)
                        execution = Execution(self._shop, queued.run, self._pause)
                        self._busy[queued.run.id] = queued.group, execution
                        return queued, execution
                self._changed.wait()
        return None

    def _moving(self) -> bool:
        return any(not execution.waits for _, execution in self._busy.values())

    def _movable(self) -> list[_Queued]:
        """What is queued, and not behind a run of its group that waits for a reviewer."""
        held = list(self._held.values())
        return [queued for queued in self._queue if not any(queued.group.meets(group) for group in held)]

    def _names(self) -> list[str]:
        busy = [f"{one.run.name} #{one.run.number} ({one.run.event})" for _, one in self._busy.values()]
        return busy + [f"{queued.run.name} #{queued.run.number} (queued)" for queued in self._queue]
