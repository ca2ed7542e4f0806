"""Environments, and what waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rehearsal.forge import environments
from rehearsal.forge.shapes import repositories
from rehearsal.forge.shapes.people import node_id, user

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge
    from rehearsal.forge.state import Approval, Environment, Repository, Run


def environment(forge: Forge, repository: Repository, one: Environment) -> dict[str, Any]:
    """An environment with what it asks for."""
    rule = {
        "id": one.id,
        "node_id": node_id("GateRule", one.id),
        "type": "required_reviewers",
        "prevent_self_review": one.prevent_self_review,
        "reviewers": reviewers(forge, one),
    }
    return {
        **_reference(forge, repository, one),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "protection_rules": [rule] if one.reviewers else [],
        "deployment_branch_policy": None,
    }


def reviewers(forge: Forge, one: Environment) -> list[dict[str, Any]]:
    """Of whom one has to approve."""
    return [{"type": "User", "reviewer": user(forge, login)} for login in one.reviewers]


def pending(forge: Forge, run: Run, one: Environment, login: str) -> dict[str, Any]:
    """That a run waits for an environment, as somebody sees it."""
    return {
        "environment": _reference(forge, forge.repository(run.repository), one),
        "wait_timer": 0,
        "wait_timer_started_at": None,
        "current_user_can_approve": environments.may_approve(one, run, login),
        "reviewers": reviewers(forge, one),
    }


def approval(forge: Forge, run: Run, one: Approval) -> dict[str, Any]:
    """What a reviewer has said of a run."""
    repository = forge.repository(run.repository)
    found = [environments.find(repository, name) for name in one.environments]
    shown = [
        {**_reference(forge, repository, each), "created_at": each.created_at, "updated_at": each.updated_at}
        for each in found
        if each
    ]
    return {"environments": shown, "state": one.state, "user": user(forge, one.user), "comment": one.comment}


def deployment(forge: Forge, run: Run, one: Environment) -> dict[str, Any]:
    """That a run deploys to an environment."""
    root = repositories.url(forge, run.repository)
    own, at = f"{root}/deployments/{run.id}", run.created_at
    return {
        "url": own,
        "id": run.id,
        "node_id": node_id("Deployment", run.id),
        "sha": run.head_sha,
        "ref": run.head_branch,
        "task": "deploy",
        "payload": {},
        "original_environment": one.name,
        "environment": one.name,
        "description": None,
        "creator": user(forge, run.triggering_actor or run.actor),
        "created_at": at,
        "updated_at": at,
        "statuses_url": f"{own}/statuses",
        "repository_url": root,
        "transient_environment": False,
        "production_environment": one.name == "production",
    }


def _reference(forge: Forge, repository: Repository, one: Environment) -> dict[str, Any]:
    root, html = repositories.url(forge, repository), repositories.html(forge, repository)
    return {
        "id": one.id,
        "node_id": node_id("Environment", one.id),
        "name": one.name,
        "url": f"{root}/environments/{quote(one.name, safe='')}",
        "html_url": f"{html}/deployments/activity_log?environments_filter={quote(one.name, safe='')}",
    }
