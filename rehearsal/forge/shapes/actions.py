"""Workflows, runs, jobs and artifacts."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from rehearsal.forge.shapes import pulls, repositories
from rehearsal.forge.shapes.commits import simple_commit
from rehearsal.forge.shapes.people import node_id, user

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge
    from rehearsal.forge.state import Artifact, Job, Repository, Run


def workflow_id(repository: str, path: str) -> int:
    """The same number for the same file, always."""
    return zlib.crc32(f"{repository}:{path}".encode())


def workflow(forge: Forge, repository: Repository, path: str, name: str) -> dict[str, Any]:
    """A workflow file."""
    root, page = repositories.url(forge, repository), repositories.html(forge, repository)
    number = workflow_id(repository.full_name, path)
    file = path.rsplit("/", 1)[-1]
    return {
        "id": number,
        "node_id": node_id("Workflow", number),
        "name": name,
        "path": path,
        "state": "active",
        "created_at": repository.created_at,
        "updated_at": repository.pushed_at,
        "url": f"{root}/actions/workflows/{number}",
        "html_url": f"{page}/blob/{repository.default_branch}/{path}",
        "badge_url": f"{page}/actions/workflows/{file}/badge.svg",
    }


def shown(run: Run) -> tuple[str, str | None]:
    """Status and conclusion as GitHub shows them: a run that waits for a maintainer looks completed."""
    return ("completed", "action_required") if run.is_held else (run.status, run.conclusion)


def run(forge: Forge, one: Run) -> dict[str, Any]:
    """A workflow run, its newest attempt."""
    status, conclusion = shown(one)
    repository = forge.repository(one.repository)
    head = forge.state.repository(one.head_repository) or repository
    own = f"{repositories.url(forge, repository)}/actions/runs/{one.id}"
    number = workflow_id(one.repository, one.path)
    actions = ("jobs", "logs", "artifacts", "cancel", "rerun")
    return {
        "id": one.id,
        "name": one.name,
        "node_id": node_id("WorkflowRun", one.id),
        "head_branch": one.head_branch,
        "head_sha": one.head_sha,
        "path": one.path,
        "display_title": one.display_title or one.name,
        "run_number": one.number,
        "run_attempt": one.attempt,
        "event": one.event,
        "status": status,
        "conclusion": conclusion,
        "workflow_id": number,
        "check_suite_id": one.id,
        "check_suite_node_id": node_id("CheckSuite", one.id),
        "url": own,
        "html_url": f"{repositories.html(forge, repository)}/actions/runs/{one.id}",
        "pull_requests": _pull_requests(forge, one),
        "created_at": one.created_at,
        "updated_at": one.completed_at or one.started_at or one.created_at,
        "run_started_at": one.started_at or one.created_at,
        "actor": user(forge, one.actor),
        "triggering_actor": user(forge, one.triggering_actor or one.actor),
        **{f"{name}_url": f"{own}/{name}" for name in actions},
        "previous_attempt_url": f"{own}/attempts/{one.attempt - 1}" if one.attempt > 1 else None,
        "check_suite_url": f"{repositories.url(forge, repository)}/check-suites/{one.id}",
        "workflow_url": f"{repositories.url(forge, repository)}/actions/workflows/{number}",
        "head_commit": _head_commit(forge, one),
        "repository": repositories.minimal(forge, repository),
        "head_repository": repositories.minimal(forge, head),
        "referenced_workflows": [],
    }


def _pull_requests(forge: Forge, one: Run) -> list[dict[str, Any]]:
    if one.head_repository != one.repository:  # GitHub tells nothing about the pull requests of forks
        return []
    found = (forge.state.pull(one.repository, number) for number in one.pull_requests)
    return [pulls.reference(forge, pull) for pull in found if pull]


def _head_commit(forge: Forge, one: Run) -> dict[str, Any] | None:
    git = forge.git(one.repository)
    return simple_commit(git.commit(one.head_sha)) if git.type_of(one.head_sha) == "commit" else None


def job(forge: Forge, one: Run, of: Job, attempt: int) -> dict[str, Any]:
    """A job of one attempt of a run."""
    root, page = repositories.url(forge, one.repository), repositories.html(forge, one.repository)
    steps = [
        {
            "name": step["name"],
            "status": "completed",
            "conclusion": step.get("conclusion"),
            "number": number,
            "started_at": of.started_at,
            "completed_at": of.completed_at,
        }
        for number, step in enumerate(of.steps, 1)
    ]
    return {
        "id": of.id,
        "run_id": one.id,
        "run_url": f"{root}/actions/runs/{one.id}",
        "run_attempt": attempt,
        "node_id": node_id("CheckRun", of.id),
        "head_sha": one.head_sha,
        "url": f"{root}/actions/jobs/{of.id}",
        "html_url": f"{page}/actions/runs/{one.id}/job/{of.id}",
        "status": of.status,
        "conclusion": of.conclusion,
        "created_at": of.started_at or one.created_at,
        "started_at": of.started_at or one.created_at,
        "completed_at": of.completed_at,
        "name": of.name,
        "steps": steps,
        "check_run_url": f"{root}/check-runs/{of.check_run}",
        "labels": of.labels,
        "runner_id": 1,
        "runner_name": "rehearsal",
        "runner_group_id": 1,
        "runner_group_name": "rehearsal",
        "workflow_name": one.name,
        "head_branch": one.head_branch,
    }


def artifact(forge: Forge, one: Artifact) -> dict[str, Any]:
    """An artifact."""
    own = f"{repositories.url(forge, one.repository)}/actions/artifacts/{one.id}"
    run = forge.run(one.run_id)
    head = forge.state.repository(run.head_repository) or forge.repository(one.repository)
    return {
        "id": one.id,
        "node_id": node_id("Artifact", one.id),
        "name": one.name,
        "size_in_bytes": one.size,
        "url": own,
        "archive_download_url": f"{own}/zip",
        "expired": one.expired,
        "digest": one.digest,
        "created_at": one.created_at,
        "updated_at": one.created_at,
        "expires_at": one.expires_at,
        "workflow_run": {
            "id": run.id,
            "repository_id": forge.repository(one.repository).id,
            "head_repository_id": head.id,
            "head_branch": run.head_branch,
            "head_sha": run.head_sha,
        },
    }
