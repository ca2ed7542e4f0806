"""Plays one event on a forge that is thrown away afterwards, for whoever edits workflows.

python -m rehearsal pull_request
python -m rehearsal pull_request --set model.learning_rate=0.05
python -m rehearsal dispatch:maintainer.yml --input action=refresh --input pull-request=1 --input reason=why
python -m rehearsal event.json
"""

from __future__ import annotations

import datetime
import json
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ratchet import params
from ratchet.errors import RatchetError
from rehearsal import project
from rehearsal.forge import Event, Forge, Run
from rehearsal.runner.runner import Runner

OWNER = "you"
NAME = f"{OWNER}/repository"
_TAIL = 30  # lines of the log of a run that failed


@dataclass(frozen=True)
class Script:
    """What to play.

    Attributes:
        event: push, pull_request, dispatch or schedule.
        workflow: File name, of a dispatch or a schedule.
        inputs: Of a dispatch.
        edits: Dotted keys of params.yaml to new values; what a push or a pull request changes.
        title: Of the commit and the pull request.
    """

    event: str
    workflow: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    edits: Mapping[str, Any] = field(default_factory=dict)
    title: str = "A change"


def script(words: str, inputs: Mapping[str, str], edits: Mapping[str, Any]) -> Script:
    """Read what a person typed: an event, or a JSON file with the fields of a `Script`.

    Raises:
        RatchetError: It is neither.
    """
    if words.endswith(".json"):
        return _from_file(Path(words), inputs, edits)
    event, _, workflow = words.partition(":")
    if event not in ("push", "pull_request", "dispatch", "schedule"):
        raise RatchetError(
            f"{words}: is no event\ntake push, pull_request, dispatch:WORKFLOW, schedule:WORKFLOW or a JSON file"
        )
    if (event in ("dispatch", "schedule")) != bool(workflow):
        raise RatchetError(
            f"{words}: dispatch and schedule name a workflow, as in dispatch:release.yml; the others do not"
        )
    return Script(event, workflow, inputs, edits)


@dataclass(frozen=True)
class Desk:
    """A forge with the working tree as `main` of one repository, and its runner.

    Attributes:
        forge: Runs already.
        runner: Runs already.
        work: A clone.
        token: Of the owner.
    """

    forge: Forge
    runner: Runner
    work: Path
    token: str


@contextmanager
def desk() -> Iterator[Desk]:
    """Set one up, and throw it away afterwards. It prints each run as it ends."""
    with tempfile.TemporaryDirectory(prefix="rehearsal-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        work = folder / "work"
        project.copy(work, without=["tests/"], but=project.FEW_TESTS)
        _git(work, "init", "--quiet", "--initial-branch", "main")
        _commit(work, "The working tree")
        with Forge(folder / "forge") as forge:
            repository = forge.create_repository(NAME)
            repository.settings.actions_may_open_pulls = True
            token = forge.token(OWNER)
            _push(forge, work, token, "main")  # nobody listens yet: the event is what follows
            with Runner(forge) as runner:
                forge.listen(lambda event: _tell(forge, event))
                yield Desk(forge, runner, work, token)


def play(at: Desk, given: Script, timeout: float) -> list[Run]:
    """Let the event happen, and wait for everything that follows from it.

    Args:
        at: Where.
        given: What.
        timeout: Seconds that it may take.

    Returns:
        The runs.
    """
    if given.event == "schedule":
        at.runner.schedule(NAME, given.workflow)
    elif given.event == "dispatch":
        body = {"ref": "main", "inputs": dict(given.inputs)}
        _post(at, f"actions/workflows/{given.workflow}/dispatches", body)
    else:
        branch = "main" if given.event == "push" else "proposal"
        _change(at.work, given)
        _push(at.forge, at.work, at.token, branch)
        if given.event == "pull_request":
            _post(at, "pulls", {"title": given.title, "head": branch, "base": "main"})
    at.runner.wait(timeout)
    return at.forge.runs(NAME)


def described(run: Run) -> str:
    """A run in lines: its jobs with their permissions, their steps, and the end of the log if it failed."""
    lines = [f"{run.conclusion}: {run.name} ({run.event}) {_seconds(run.started_at, run.completed_at)}"]
    for job in run.jobs:
        held = ", ".join(f"{scope}: {level}" for scope, level in job.permissions.items()) or "no permissions"
        lines.append(f"  {job.conclusion}: {job.name} ({held})")
        lines += [f"    {step['seconds']:7.2f} s  {step['conclusion']:<8} {step['name']}" for step in job.steps]
    if run.conclusion not in ("success", "skipped") and run.log:
        log = Path(run.log).read_text(encoding="utf-8").splitlines()
        lines += [f"  | {line}" for line in log[-_TAIL:]]
    return "\n".join(lines)


def _change(work: Path, given: Script) -> None:
    path = work / "params.yaml"
    if given.edits:
        params.edit(path, given.edits)
    else:  # a change of nothing: the shortest way through the workflows
        path.write_text(f"{path.read_text('utf-8')}# rehearsed\n", encoding="utf-8")
    _commit(work, given.title)


def _from_file(path: Path, inputs: Mapping[str, str], edits: Mapping[str, Any]) -> Script:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        base = script(found["event"], {}, {})
        return Script(
            base.event,
            base.workflow,
            {**found.get("inputs", {}), **inputs},
            {**found.get("edits", {}), **edits},
            str(found.get("title", base.title)),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        example = '{"event": "pull_request", "edits": {"train.seed": 1}, "title": "Another seed"}'
        raise RatchetError(f"{path}: is no event that can be played ({error!r})\nwrite {example}") from error


def pairs(given: list[str]) -> dict[str, Any]:
    """`key=value` words as a mapping, values as YAML reads them.

    Raises:
        RatchetError: A word has no `=`.
    """
    for word in given:
        if "=" not in word:
            raise RatchetError(f"{word}: is no key=value")
    return {word.split("=", 1)[0]: yaml.safe_load(word.split("=", 1)[1]) for word in given}


def _tell(forge: Forge, event: Event) -> None:
    if event.name == "workflow_run" and event.action == "completed":
        print(described(forge.run(event.payload["workflow_run"]["id"])), flush=True)


def _seconds(begun: str | None, ended: str | None) -> str:
    if begun is None or ended is None:
        return ""
    took = datetime.datetime.fromisoformat(ended) - datetime.datetime.fromisoformat(begun)
    return f"{took.total_seconds():.0f} s"


def _commit(work: Path, message: str) -> None:
    _git(work, "add", "--all")
    author = ["-c", f"user.name={OWNER}", "-c", f"user.email={OWNER}@example.invalid", "-c", "commit.gpgsign=false"]
    _git(work, *author, "commit", "--quiet", "--no-verify", "--message", message)


def _git(work: Path, *arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RatchetError(f"git {arguments[0]}: {done.stderr.strip()}")


def _push(forge: Forge, work: Path, token: str, branch: str) -> None:
    address = forge.url.replace("//", f"//{OWNER}:{token}@")
    _git(work, "push", "--quiet", f"{address}/{NAME}.git", f"HEAD:refs/heads/{branch}")


def _post(at: Desk, path: str, body: Mapping[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {at.token}", "Content-Type": "application/json"}
    url = f"{at.forge.api}/repos/{NAME}/{path}"
    asked = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310 - our own forge
    try:
        urllib.request.urlopen(asked).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        raise RatchetError(f"{path}: {json.loads(error.read()).get('message', error.reason)}") from error
