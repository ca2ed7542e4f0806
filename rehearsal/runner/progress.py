"""What act's lines mean: jobs that begin and end, their steps, the summary, the log that people read. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal.runner.act import Line
from rehearsal.runner.workflow import Workflow

_NOISE = ("LocalRepositoryCache ", "Reevaluate condition ", "Result condition ", "Cleaning up container", "  ⚙  ")
_SUMMARY_LIMIT = 1024 * 1024  # GitHub's, in bytes


@dataclass
class Job:
    """A job under way, or done.

    Attributes:
        identifier: Its key in the workflow.
        name: What people read, with the values of its matrix.
        steps: Those that ran: by identifier, with name, conclusion, seconds.
        conclusion: success, failure or (timed out, or stopped) cancelled, once it has ended.
        is_stopped: It ran longer than it may, or the run was cancelled.
    """

    identifier: str
    name: str
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    conclusion: str | None = None
    is_stopped: bool = False


@dataclass
class Progress:
    """Follows a run.

    Args:
        workflow: What runs.
        begun: Called when a job begins.
        ended: Called when a job has ended, with all its steps.
        write: Takes each line of the log.
    """

    workflow: Workflow
    begun: Callable[[Job], None]
    ended: Callable[[Job, list[dict[str, Any]]], None]
    write: Callable[[str], None]
    jobs: dict[tuple[str, str], Job] = field(default_factory=dict)
    summary: str = ""
    _forgiven: set[tuple[str, str]] = field(default_factory=set)

    def follow(self, line: Line) -> None:
        """Take one more line."""
        if not line.job:
            self._about_nothing(line)
            return
        job = self._job(line)
        self._tell(job, line)
        if line.summary:
            self._summarise(line.summary)
        if line.text == "Failed but continue next step" and len(line.steps) == 1:
            self._forgiven.add((job.identifier, line.steps[0]))
        if line.result and line.stage == "Main" and len(line.steps) == 1:
            self._step(job, line)
        if line.job_result:
            ended = "success" if line.job_result == "success" else "failure"
            job.conclusion = "cancelled" if job.is_stopped else ended  # act calls one a success that was never let in
            self.ended(job, self.steps_of(job))

    def steps_of(self, job: Job) -> list[dict[str, Any]]:
        """All steps of a job in their order, those that did not run as skipped."""
        declared = self.workflow.jobs[job.identifier].steps
        names = [(str(step.get("id") or place), step) for place, step in enumerate(declared)]
        return [
            job.steps.get(key) or {"name": step_name(step), "conclusion": "skipped", "seconds": 0.0}
            for key, step in names
        ]

    def missing(self) -> list[str]:
        """Identifiers of jobs that never began."""
        begun = {identifier for identifier, _ in self.jobs}
        return [name for name in self.workflow.jobs if name not in begun]

    def _job(self, line: Line) -> Job:
        key = (line.job, json.dumps(line.matrix, sort_keys=True))
        if key not in self.jobs:
            self.jobs[key] = Job(line.job, _name(self.workflow.jobs[line.job].name, line.matrix))
            self.write(f"job: {self.jobs[key].name}")
            self.begun(self.jobs[key])
        return self.jobs[key]

    def _tell(self, job: Job, line: Line) -> None:
        if line.text.startswith(_NOISE) or (line.stage in ("Pre", "Post") and not line.is_output):
            return
        if line.is_output:
            self.write(f"    {line.text}")
        elif line.text.startswith("⭐ Run Main") and len(line.steps) == 1:
            self.write(f"  step: {self._step_name(job, line)}")
        elif line.job_result or line.result or line.text.startswith("⭐"):
            return
        else:
            self.write(f"    {line.text.strip()}")

    def _step(self, job: Job, line: Line) -> None:
        is_fine = line.result == "success" or (job.identifier, line.steps[0]) in self._forgiven
        conclusion = "success" if is_fine else "failure"
        name = self._step_name(job, line)
        job.steps[line.steps[0]] = {"name": name, "conclusion": conclusion, "seconds": round(line.seconds, 3)}
        if line.result != "success":
            self.write(f"  {'failed, and goes on' if is_fine else 'failed'}: {name}")

    def _step_name(self, job: Job, line: Line) -> str:
        for place, step in enumerate(self.workflow.jobs[job.identifier].steps):
            if str(step.get("id") or place) == line.steps[0]:
                return line.step if "name" in step else f"Run {line.step.strip().splitlines()[0]}"
        return line.step

    def _summarise(self, text: str) -> None:
        if len((self.summary + text).encode()) > _SUMMARY_LIMIT:
            self.write("    the summary is larger than 1 MiB, and is left out")
            return
        self.summary += text if text.endswith("\n") else text + "\n"

    def _about_nothing(self, line: Line) -> None:
        text = line.text.strip()
        if text and "docker connection" not in text:
            self.write(text)


def step_name(step: Mapping[str, Any]) -> str:
    """How GitHub shows a step."""
    if step.get("name"):
        return str(step["name"])
    if "uses" in step:
        return f"Run {step['uses']}"
    return f"Run {str(step.get('run', '')).strip().splitlines()[0] if step.get('run') else ''}"


def conclusion(followed: Progress, *, is_cancelled: bool, code: int) -> str:
    """What became of a run: cancelled, failure, success, or skipped when none of its jobs had to run.

    Args:
        followed: Its jobs.
        is_cancelled: Somebody stopped it.
        code: With which act ended.
    """
    found = {job.conclusion for job in followed.jobs.values()}
    if is_cancelled or "cancelled" in found:
        return "cancelled"
    if code or found - {"success"}:
        return "failure"
    return "success" if found else "skipped"


def _name(name: str, matrix: Mapping[str, Any]) -> str:
    return f"{name} ({', '.join(str(value) for value in matrix.values())})" if matrix else name
