"""Statuses and check runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rehearsal.forge.shapes import repositories
from rehearsal.forge.shapes.people import node_id, user

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge
    from rehearsal.forge.state import CheckRun, Repository, Status


def status(forge: Forge, one: Status, *, with_creator: bool = True) -> dict[str, Any]:
    """A status; in a combined status it stands without its creator."""
    found = {
        "url": f"{repositories.url(forge, one.repository)}/statuses/{one.sha}",
        "avatar_url": f"{forge.url}/avatars/{forge.state.user(one.creator).id}",
        "id": one.id,
        "node_id": node_id("StatusContext", one.id),
        "state": one.state,
        "description": one.description,
        "target_url": one.target_url,
        "context": one.context,
        "created_at": one.created_at,
        "updated_at": one.created_at,
    }
    return {**found, "creator": user(forge, one.creator)} if with_creator else found


def combined(
    forge: Forge, repository: Repository, sha: str, newest: Mapping[str, Status], page: Iterable[Status]
) -> dict[str, Any]:
    """All statuses of a commit as one: failure wins over pending, nothing is pending."""
    states = {one.state for one in newest.values()}
    is_bad = states & {"failure", "error"}
    root = repositories.url(forge, repository)
    return {
        "state": "failure" if is_bad else "pending" if "pending" in states or not states else "success",
        "statuses": [status(forge, one, with_creator=False) for one in page],
        "sha": sha,
        "total_count": len(newest),
        "repository": repositories.minimal(forge, repository),
        "commit_url": f"{root}/commits/{sha}",
        "url": f"{root}/commits/{sha}/status",
    }


def check_run(forge: Forge, one: CheckRun) -> dict[str, Any]:
    """A check run."""
    own = f"{repositories.url(forge, one.repository)}/check-runs/{one.id}"
    page = f"{repositories.html(forge, one.repository)}/runs/{one.id}"
    return {
        "id": one.id,
        "head_sha": one.sha,
        "node_id": node_id("CheckRun", one.id),
        "external_id": one.external_id,
        "url": own,
        "html_url": one.details_url or page,
        "details_url": one.details_url or page,
        "status": one.status,
        "conclusion": one.conclusion,
        "started_at": one.started_at,
        "completed_at": one.completed_at,
        "output": {
            "title": one.output.get("title"),
            "summary": one.output.get("summary"),
            "text": one.output.get("text"),
            "annotations_count": len(one.output.get("annotations") or []),
            "annotations_url": f"{own}/annotations",
        },
        "name": one.name,
        "check_suite": {"id": one.run_id or one.id},
        "app": app(forge),
        "pull_requests": [],
    }


def app(forge: Forge) -> dict[str, Any]:
    """GitHub Actions, the application."""
    url = f"{forge.api}/apps/github-actions"
    return {
        "id": 15368,
        "slug": "github-actions",
        "node_id": node_id("App", 15368),
        "owner": user(forge, "github"),
        "name": "GitHub Actions",
        "description": "Automate your workflow from idea to production",
        "external_url": url,
        "html_url": f"{forge.url}/apps/github-actions",
        "created_at": "2018-07-30T09:30:17Z",
        "updated_at": "2024-04-10T20:33:16Z",
        "permissions": {"actions": "write", "checks": "write", "contents": "write", "statuses": "write"},
        "events": [],
    }
