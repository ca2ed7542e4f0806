"""Environments with their reviewers, and the runs that wait for them."""

from __future__ import annotations

from typing import Any

from rehearsal.forge import environments
from rehearsal.forge.environments import Protection
from rehearsal.forge.http import Answer, Ask, page
from rehearsal.forge.refusal import Refusal, not_found
from rehearsal.forge.routes.route import Route
from rehearsal.forge.shapes import environments as shapes
from rehearsal.forge.state import Environment, Run


def _list(ask: Ask) -> Answer:
    def shape(one: Environment) -> dict[str, Any]:
        return shapes.environment(ask.forge, ask.repository, one)

    return page(ask, ask.repository.environments, shape, "environments")


def _environment(ask: Ask) -> Environment:
    found = environments.find(ask.repository, ask.params["environment_name"])
    if found is None:
        raise not_found()
    return found


def _get(ask: Ask) -> Answer:
    return Answer(200, shapes.environment(ask.forge, ask.repository, _environment(ask)))


def _put(ask: Ask) -> Answer:
    body = ask.body
    asked = Protection(
        [_login(ask, one) for one in body.get("reviewers") or ()], bool(body.get("prevent_self_review", False))
    )
    made = environments.make(ask.forge, ask.repository, ask.params["environment_name"], asked)
    return Answer(200, shapes.environment(ask.forge, ask.repository, made))


def _login(ask: Ask, reviewer: dict[str, Any]) -> str:
    """Who a reviewer is; teams belong to organisations, which are not played."""
    known = (one.login for one in ask.forge.state.users if (reviewer.get("type"), one.id) == ("User", reviewer["id"]))
    login = next(known, None)
    if login is None:
        raise Refusal(422, f"Failed to create the environment protection rule: no reviewer {reviewer.get('id')}")
    return login


def _delete(ask: Ask) -> Answer:
    ask.repository.environments.remove(_environment(ask))
    return Answer(204)


def _run(ask: Ask) -> Run:
    found = ask.forge.state.run(ask.number("run_id"))
    if found is None or found.repository != ask.repository.full_name:
        raise not_found()
    return found


def _awaited(ask: Ask, run: Run) -> list[Environment]:
    return [one for one in ask.repository.environments if one.name in run.pending]


def _pending(ask: Ask) -> Answer:
    run = _run(ask)
    return Answer(200, [shapes.pending(ask.forge, run, one, ask.login) for one in _awaited(ask, run)])


def _review(ask: Ask) -> Answer:
    run, numbers = _run(ask), ask.need("environment_ids", list, "PendingDeployment")
    verdict, comment = ask.need("state", str, "PendingDeployment"), ask.need("comment", str, "PendingDeployment")
    if verdict not in {environments.APPROVED, environments.REJECTED}:
        raise Refusal(422, f'Invalid request.\n\n{verdict} is not a member of ["approved", "rejected"].')
    found = {one.id: one for one in _awaited(ask, run)}
    names = [found[number].name if number in found else f"#{number}" for number in numbers]
    environments.review(ask.forge, run, names, verdict, comment, ask.actor)
    return Answer(200, [shapes.deployment(ask.forge, run, one) for one in found.values() if one.name in names])


def _approvals(ask: Ask) -> Answer:
    run = _run(ask)
    return Answer(200, [shapes.approval(ask.forge, run, one) for one in run.approvals])


_RUN = "/repos/{owner}/{repo}/actions/runs/{run_id}"
_ENVIRONMENT = "/repos/{owner}/{repo}/environments/{environment_name}"
_READ, _ADMIN = "actions:read", ("administration:write", "admin")
ROUTES = (
    Route("GET", "/repos/{owner}/{repo}/environments", _list, _READ),
    Route("GET", _ENVIRONMENT, _get, _READ),
    Route("PUT", _ENVIRONMENT, _put, *_ADMIN),
    Route("DELETE", _ENVIRONMENT, _delete, *_ADMIN),
    Route("GET", f"{_RUN}/pending_deployments", _pending, _READ),
    Route("POST", f"{_RUN}/pending_deployments", _review, "deployments:write", "read"),
    Route("GET", f"{_RUN}/approvals", _approvals, _READ),
)
