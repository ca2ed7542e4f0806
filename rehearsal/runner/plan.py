"""Events become runs: which workflows start, what their runs are called, which group they queue in. Reads git only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ratchet.errors import RatchetError
from rehearsal.forge import Event, Forge, Repository, Run
from rehearsal.runner import expressions, source, triggers
from rehearsal.runner.source import Source, Unreadable
from rehearsal.runner.workflow import Job, Workflow

_OF_DEPENDABOT = ("pull_request", "pull_request_review", "push", "create", "deployment", "deployment_status")
"""Events whose runs read at most when Dependabot has caused them; the `workflow_run` after one of these may more."""


@dataclass(frozen=True)
class Planned:
    """A run that shall be: without an id yet, and what it runs (or why it cannot be read)."""

    run: Run
    workflow: Workflow | Unreadable


@dataclass(frozen=True)
class Group:
    """Where a run queues: `name` is empty when it does not."""

    name: str = ""
    cancels: bool = False

    def meets(self, other: Group) -> bool:
        """Whether two runs, one of each, may not run at a time."""
        return bool(self.name) and self.name == other.name


def plan(forge: Forge, event: Event, known: dict[str, Workflow | Unreadable]) -> list[Planned]:
    """The runs that an event starts.

    Args:
        forge: Where it happened.
        event: What happened.
        known: Workflow files that were read before; added to.
    """
    repository = forge.repository(event.repository)
    if not repository.settings.actions_enabled or event.name == "run":
        return []
    found = source.find(forge, event)
    if found is None or triggers.is_skipped(event, found.git.commit(found.head).message):
        return []
    if event.name == "workflow_run" and triggers.is_too_long(_chain(forge, event.payload)):
        return []
    planned = []
    for one in source.workflows(found, known):
        if isinstance(one, Unreadable):
            # GitHub shows a file that it cannot read as a failed run of the push that brought it.
            starts = event.name == "push" and not event.payload.get("deleted")
        else:
            starts = triggers.starts(one, event, lambda: source.changed(found, event, repository))
        if starts:
            planned.append(Planned(_run(forge, event, found, one), one))
    return planned


def contexts(forge: Forge, run: Run, found: Source, one: Workflow) -> dict[str, Any]:
    """What expressions know before a job starts."""
    owner = run.repository.split("/", maxsplit=1)[0]
    pull = run.payload.get("pull_request") or {}
    facts = {
        "actor": run.actor,
        "api_url": forge.api,
        "base_ref": pull.get("base", {}).get("ref", ""),
        "event_name": run.event,
        "head_ref": pull.get("head", {}).get("ref", ""),
        "ref": found.ref,
        "ref_name": found.ref.removeprefix("refs/heads/").removeprefix("refs/tags/").removeprefix("refs/pull/"),
        "ref_type": "tag" if found.ref.startswith("refs/tags/") else "branch",
        "repository": run.repository,
        "repository_owner": owner,
        "run_attempt": str(run.attempt),
        "run_id": str(run.id),
        "run_number": str(run.number),
        "server_url": forge.url,
        "sha": found.sha,
        "triggering_actor": run.triggering_actor or run.actor,
        "workflow": one.name,
    }
    variables = forge.repository(run.repository).variables
    return {"github": source.github(run.payload, facts), "inputs": run.inputs, "vars": variables}


def group(one: Workflow, known: Mapping[str, Any], repository: str) -> Group:
    """Where a run of the workflow queues.

    Raises:
        RatchetError: The expression cannot be evaluated.
    """
    if one.concurrency is None:
        return Group()
    name = expressions.interpolate(one.concurrency.group, known).lower()
    cancels = expressions.is_true(expressions.value_of(one.concurrency.cancel_in_progress, known))
    return Group(f"{repository}:{name}", cancels)


def is_idle(one: Workflow, known: Mapping[str, Any]) -> bool:
    """Whether the conditions of its jobs keep every one from running: GitHub then starts no machine.

    False, too, where a condition needs what is only known inside a run.
    """
    try:
        return not any(_runs(job, known) for job in one.jobs.values())
    except RatchetError:
        return False


_STATUS = re.compile(r"\b(?:always|cancelled|failure|success)\(")


def _runs(job: Job, known: Mapping[str, Any]) -> bool:
    """Whether a job runs when all that it needs was skipped."""
    condition = job.condition or "success()"
    if not _STATUS.search(condition):
        condition = f"success() && ({condition})"
    needs = {name: {"result": "skipped", "outputs": {}} for name in job.needs}
    status = {"always": True, "cancelled": False, "failure": False, "success": job.is_first}
    functions = {name: partial(bool, value) for name, value in status.items()}
    return expressions.is_true(expressions.evaluate(condition, {**known, "needs": needs}, functions))


def environments(one: Workflow, known: Mapping[str, Any]) -> list[str]:
    """The environments that the first jobs of the workflow deploy to, each once.

    Raises:
        RatchetError: An expression needs what is only known inside a run.
    """
    names = (expressions.interpolate(job.environment, known) for job in one.jobs.values() if job.is_first)
    return list(dict.fromkeys(name for name in names if name))


def labels(job: Job, known: Mapping[str, Any]) -> list[str]:
    """Of the machine that a job asks for.

    Raises:
        RatchetError: An expression needs what is only known inside a run.
    """
    asked = expressions.value_of(job.runs_on, known)
    return [expressions.as_text(one) for one in (asked if isinstance(asked, list) else [asked])]


def is_restricted(run: Run) -> bool:
    """Its token only reads and it has no secrets: a fork's pull request, or one of Dependabot."""
    if run.actor == "dependabot[bot]":
        return run.event in _OF_DEPENDABOT
    return run.event == "pull_request" and run.head_repository != run.repository


def again(forge: Forge, run: Run) -> Source | None:
    """What a run that is stored runs on; the same for each attempt."""
    pull = run.payload.get("pull_request")
    git = forge.git(run.repository)
    if run.event == "pull_request" and pull:
        sha = source.merged(git, pull["number"], pull["base"]["sha"], pull["head"]["sha"])
        return Source(git, sha, f"refs/pull/{pull['number']}/merge", pull["head"]["sha"]) if sha else None
    ref = str(run.payload.get("ref") or "") if run.event in ("push", "workflow_dispatch") else ""
    if run.event == "release":
        ref = f"refs/tags/{run.payload['release']['tag_name']}"
    if ref and not ref.startswith("refs/"):
        ref = f"refs/heads/{ref}"
    return Source(
        git, run.head_sha, ref or f"refs/heads/{forge.repository(run.repository).default_branch}", run.head_sha
    )


def _chain(forge: Forge, payload: Mapping[str, Any]) -> int:
    """How many runs before this one were started by `workflow_run`."""
    before = forge.state.run(payload["workflow_run"]["id"])
    if before is None or before.event != "workflow_run":
        return 0
    return 1 + _chain(forge, before.payload)


def _run(forge: Forge, event: Event, found: Source, one: Workflow | Unreadable) -> Run:
    repository = forge.repository(event.repository)
    payload = dict(event.payload)
    given = (
        triggers.inputs(one, payload.get("inputs") or {})
        if isinstance(one, Workflow) and event.name == "workflow_dispatch"
        else {}
    )
    if given:  # GitHub's payload holds text, defaults filled in
        payload["inputs"] = {name: expressions.as_text(value) for name, value in given.items()}
    pull = payload.get("pull_request") or {}
    head = pull.get("head", {})
    branch = head.get("ref") or found.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    head_repository = (head.get("repo") or {}).get("full_name", "") if pull else repository.full_name
    run = Run(
        repository=repository.full_name,
        path=one.path,
        name=one.name if isinstance(one, Workflow) else one.path,
        event=event.name,
        head_branch=branch,
        head_sha=found.head,
        head_repository=head_repository or repository.full_name,
        actor=event.actor,
        payload=payload,
        inputs=given,
    )
    run.pull_requests = _pulls(forge, run)
    run.display_title = pull.get("title") or found.git.commit(found.head).title
    if isinstance(one, Workflow) and one.run_name:
        run.display_title = expressions.interpolate(one.run_name, contexts(forge, run, found, one))
    elif event.name in ("workflow_dispatch", "schedule", "workflow_run") and isinstance(one, Workflow):
        run.display_title = one.name
    return run


def _pulls(forge: Forge, run: Run) -> list[int]:
    """The open pull requests that a run belongs to, as GitHub's payloads tell: never those of forks."""
    if run.head_repository != run.repository or run.event not in ("pull_request", "push", "workflow_dispatch"):
        return []
    head = (run.repository, run.head_branch, run.head_sha)
    return [
        pull.number
        for pull in forge.pulls(run.repository)
        if pull.state == "open" and (pull.head_repository, pull.head_ref, pull.head_sha) == head
    ]


def scopes(run: Run, found: Source, repository: Repository) -> list[str]:
    """Refs whose caches a run may read, its own first: only that one it may write."""
    base = (run.payload.get("pull_request") or {}).get("base", {}).get("ref")
    wanted = [found.ref, *([f"refs/heads/{base}"] if base else []), f"refs/heads/{repository.default_branch}"]
    return list(dict.fromkeys(wanted))
