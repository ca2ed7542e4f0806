"""act: runs one workflow file on this machine (https://github.com/nektos/act), and tells what happens line by line.

Host mode, no container. Each run has a folder of its own, which holds everything act and the jobs write. Jobs run one
after another: then the token of a run may do exactly what the job under way may, and act's jobs do not race.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ratchet.errors import RatchetError

RUNNERS = ("ubuntu-24.04", "ubuntu-22.04", "ubuntu-slim")
"""Labels of GitHub's machines, each of which is this one here."""
# What a step sees of the environment around: nothing of a person's own secrets and settings.
_KEPT = re.compile(
    r"HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|OMP_\w+|\w*_NUM_THREADS|UV_\w+|PIP_\w+|NPM_CONFIG_\w+"
    r"|(?:https?|no|all)_proxy|\w+_CA_BUNDLE|\w+_CA_CERTS|SSL_CERT_\w+|PLAYWRIGHT_\w+|npm_config_\w+",
    re.IGNORECASE,
)
_PRIVATE = re.compile(r"TOKEN|PASSWORD|SECRET|PROJECT_ENVIRONMENT")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[=>]")


@dataclass(frozen=True)
class Line:
    """One line of act's log.

    Attributes:
        job: Identifier of the job; empty when the line is about none.
        matrix: Of the job.
        stage: Pre, Main or Post.
        step: What act calls the step.
        steps: Identifiers from the step of the job down into composite actions.
        result: Of the step, when it has ended.
        seconds: That it took.
        job_result: Of the job, when it has ended.
        text: The message.
        is_output: A program of the step wrote it.
        summary: What the step left in GITHUB_STEP_SUMMARY.
    """

    text: str
    job: str = ""
    matrix: Mapping[str, Any] = field(default_factory=dict)
    stage: str = ""
    step: str = ""
    steps: tuple[str, ...] = ()
    result: str | None = None
    seconds: float = 0.0
    job_result: str | None = None
    is_output: bool = False
    summary: str | None = None


def parse(text: str) -> Line:
    """Read a line of `act --json`; what is not JSON is a line about no job."""
    try:
        found = json.loads(text)
    except ValueError:
        return Line(clean(text))
    return Line(
        text=clean(str(found.get("msg", ""))),
        job=found.get("jobID", ""),
        matrix=found.get("matrix") or {},
        stage=found.get("stage", ""),
        step=found.get("step", ""),
        steps=tuple(found.get("stepID") or found.get("stepid") or ()),
        result=found.get("stepResult"),
        seconds=found.get("executionTime", 0) / 1e9,
        job_result=found.get("jobResult"),
        is_output=bool(found.get("raw_output")),
        summary=found.get("content") if found.get("command") == "summary" else None,
    )


def clean(text: str) -> str:
    """A line as a log keeps it: of what a terminal would overwrite only the last, and no colours."""
    return _ANSI.sub("", text).rstrip("\r\n").rsplit("\r", 1)[-1]


SILENCE = 20.0
"""Seconds without a word and without a process of any step, after which act is taken to be stuck."""


@dataclass(frozen=True)
class Invocation:
    """What act is asked to run.

    Attributes:
        folder: Of the run; act and the jobs keep to it.
        path: Of the workflow file in `folder / "tree"`.
        event: GitHub's event name.
        payload: Of the event.
        actor: Login.
        env: Variables for every step.
        secrets: By name; GITHUB_TOKEN is one.
        variables: What expressions know as `vars`.
        runners: Labels of the repository's own machines.
        actions: `owner/name@ref` to the folder of its stand-in.
        programs: A folder that comes first on PATH.
    """

    folder: Path
    path: str
    event: str
    payload: Mapping[str, Any]
    actor: str
    env: Mapping[str, str]
    secrets: Mapping[str, str]
    variables: Mapping[str, str]
    runners: Sequence[str]
    actions: Mapping[str, Path]
    programs: Path


class Process:
    """act at work on one run.

    Attributes:
        is_stuck: It did not notice that a step had ended, and was stopped. Happens to one step in many hundreds, and
            more on a busy machine: act waits for the end of a terminal that nobody holds any more.
    """

    def __init__(self, given: Invocation) -> None:
        self.is_stuck = False
        self._heard = time.monotonic()
        self._tag = given.env["RUNNER_TRACKING_ID"]
        command = _command(given)
        self._process = subprocess.Popen(
            command,
            cwd=given.folder / "tree",
            env=surroundings(given.programs),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )

    def lines(self) -> Iterator[Line]:
        """What it says, until it has ended."""
        threading.Thread(target=self._watch, daemon=True).start()
        for text in self._process.stdout or ():
            self._heard = time.monotonic()
            yield parse(text)
        self._process.wait()

    def _watch(self) -> None:
        while self.is_running:
            time.sleep(1)
            is_silent = time.monotonic() - self._heard > SILENCE
            if is_silent and self.is_running and not any(_tagged(self._tag, None)):
                self.is_stuck = True
                self._process.kill()

    @property
    def code(self) -> int:
        """With which it ended; zero is success."""
        return self._process.wait()

    @property
    def is_running(self) -> bool:
        """It has not ended."""
        return self._process.poll() is None

    def interrupt(self) -> None:
        """Cancel as GitHub does: what runs is stopped, steps with `if: always()` still run."""
        if self.is_running:
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End act and everything that its steps have started."""
        if self.is_running:
            self._process.kill()
        self.sweep()

    def sweep(self, job: str | None = None) -> None:
        """End the processes that steps (of one job) have started and left, as GitHub does after a job."""
        for number in _tagged(self._tag, job):
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                continue


def surroundings(first: Path) -> dict[str, str]:
    """The environment of a machine that steps find: programs on PATH, without our own interpreter's."""
    own = {Path(sys.prefix, "bin"), Path(sys.executable).parent}
    places = [
        place for place in os.environ.get("PATH", os.defpath).split(os.pathsep) if place and Path(place) not in own
    ]
    kept = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name) and not _PRIVATE.search(name)}
    return {**kept, "PATH": os.pathsep.join([str(first), *places])}


def program() -> str:
    """The act executable of this environment.

    Raises:
        RatchetError: It is not installed.
    """
    found = shutil.which("act", path=str(Path(sys.executable).parent)) or shutil.which("act")
    if found is None:
        raise RatchetError("act is not installed\nrun `make install`")
    return found


def _command(given: Invocation) -> list[str]:
    folder = given.folder
    event = folder / "event.json"
    event.write_text(json.dumps(given.payload), encoding="utf-8")
    secrets = folder / "secrets.yaml"  # JSON is YAML; a secret on a command line could be read by others
    secrets.touch(mode=0o600)
    secrets.write_text(json.dumps(dict(given.secrets)), encoding="utf-8")
    command = [program(), given.event, "--workflows", given.path, "--eventpath", str(event), "--actor", given.actor]
    command += ["--json", "--no-skip-checkout", "--no-cache-server", "--reuse", "--concurrent-jobs", "1"]
    command += ["--action-cache-path", str(folder / "jobs"), "--secret-file", str(secrets)]
    command += [part for name in (*RUNNERS, *given.runners) for part in ("--platform", f"{name}=-self-hosted")]
    command += [part for name, value in given.env.items() for part in ("--env", f"{name}={value}")]
    command += [part for name, value in given.variables.items() for part in ("--var", f"{name}={value}")]
    command += [part for name, place in given.actions.items() for part in ("--local-repository", f"{name}={place}")]
    return command


def _tagged(tag: str, job: str | None) -> Iterator[int]:
    """Processes whose environment bears the run's tag (and the job's name); none where there is no /proc."""
    wanted = {f"RUNNER_TRACKING_ID={tag}".encode()} | ({f"GITHUB_JOB={job}".encode()} if job else set())
    for place in Path("/proc").glob("[0-9]*"):
        try:
            variables = set((place / "environ").read_bytes().split(b"\0"))
        except OSError:
            continue
        if wanted <= variables:
            yield int(place.name)
