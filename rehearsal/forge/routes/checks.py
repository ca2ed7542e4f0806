"""Commit statuses and check runs."""

from __future__ import annotations

from rehearsal.forge.http import Answer, Ask, page
from rehearsal.forge.refusal import Refusal, invalid, not_found
from rehearsal.forge.routes.route import Route
from rehearsal.forge.shapes import checks as shapes
from rehearsal.forge.state import CheckRun, Status, now

_STATES = {"error", "failure", "pending", "success"}
_LONGEST = 140


def _resolved(ask: Ask) -> str:
    sha = ask.git.resolve(ask.params["ref"])
    if sha is None:
        raise Refusal(422, f"No commit found for SHA: {ask.params['ref']}")
    return sha


def _create_status(ask: Ask) -> Answer:
    sha, body = ask.params["sha"], ask.body
    if ask.git.type_of(sha) != "commit" or len(sha) != 40:
        raise Refusal(422, f"No commit found for SHA: {sha}")
    if ask.need("state", str, "Status") not in _STATES:
        raise invalid("Status", "state", "custom", "state is not included in the list")
    description, target = body.get("description"), body.get("target_url") or None
    if description and len(description) > _LONGEST:
        raise invalid("Status", "description", "custom", f"description is too long (maximum is {_LONGEST} characters)")
    if target and not target.startswith(("http://", "https://")):
        raise invalid("Status", "target_url", "custom", "target_url must use http(s) scheme")
    status = Status(
        ask.forge.state.new_id(),
        ask.repository.full_name,
        sha,
        body.get("context") or "default",
        body["state"],
        ask.login,
        description,
        target,
    )
    ask.forge.state.statuses.append(status)
    return Answer(201, shapes.status(ask.forge, status))


def _statuses(ask: Ask) -> Answer:
    wanted = (ask.repository.full_name, _resolved(ask))
    found = [one for one in reversed(ask.forge.state.statuses) if (one.repository, one.sha) == wanted]
    return page(ask, found, lambda one: shapes.status(ask.forge, one))


def _combined(ask: Ask) -> Answer:
    sha = _resolved(ask)
    newest = ask.forge.state.statuses_of(ask.repository.full_name, sha)
    listed = page(ask, list(newest.values()), lambda one: one)
    body = shapes.combined(ask.forge, ask.repository, sha, newest, listed.body)
    return Answer(200, body, listed.headers)


def _list_runs(ask: Ask) -> Answer:
    found = ask.forge.state.check_runs_of(ask.repository.full_name, _resolved(ask))
    for name, field in (("check_name", "name"), ("status", "status")):
        if name in ask.query:
            found = [one for one in found if getattr(one, field) == ask.query[name]]
    return page(ask, found[::-1], lambda one: shapes.check_run(ask.forge, one), "check_runs")


def _create_run(ask: Ask) -> Answer:
    if not ask.actor.is_workflow:
        raise Refusal(403, "You must authenticate via a GitHub App.")
    name, sha = ask.need("name", str, "CheckRun"), ask.need("head_sha", str, "CheckRun")
    if ask.git.type_of(sha) != "commit":
        raise Refusal(422, f"No commit found for SHA: {sha}")
    run = CheckRun(ask.forge.state.new_id(), ask.repository.full_name, sha, name)
    _change(ask, run)
    ask.forge.state.check_runs.append(run)
    return Answer(201, shapes.check_run(ask.forge, run))


def _change(ask: Ask, run: CheckRun) -> None:
    body = ask.body
    for field in ("name", "status", "conclusion", "details_url", "external_id", "started_at", "completed_at"):
        if body.get(field) is not None:
            setattr(run, field, body[field])
    run.output = {**run.output, **(body.get("output") or {})}
    if run.conclusion:
        run.status, run.completed_at = "completed", run.completed_at or now()


def _run(ask: Ask) -> CheckRun:
    wanted = (ask.repository.full_name, ask.number("check_run_id"))
    found = next((one for one in ask.forge.state.check_runs if (one.repository, one.id) == wanted), None)
    if found is None:
        raise not_found()
    return found


def _get_run(ask: Ask) -> Answer:
    return Answer(200, shapes.check_run(ask.forge, _run(ask)))


def _update_run(ask: Ask) -> Answer:
    if not ask.actor.is_workflow:
        raise Refusal(403, "You must authenticate via a GitHub App.")
    run = _run(ask)
    _change(ask, run)
    return Answer(200, shapes.check_run(ask.forge, run))


ROUTES = (
    Route("POST", "/repos/{owner}/{repo}/statuses/{sha}", _create_status, "statuses:write"),
    Route("GET", "/repos/{owner}/{repo}/commits/{ref}/statuses", _statuses, "statuses:read"),
    Route("GET", "/repos/{owner}/{repo}/commits/{ref}/status", _combined, "statuses:read"),
    Route("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs", _list_runs, "checks:read"),
    Route("POST", "/repos/{owner}/{repo}/check-runs", _create_run, "checks:write"),
    Route("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}", _get_run, "checks:read"),
    Route("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}", _update_run, "checks:write"),
)
