"""GitHub Actions: workflows, dispatch, runs, jobs, logs, artifacts, permissions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rehearsal.forge import artifacts, downloads, events, runs, workflows
from rehearsal.forge.http import Answer, Ask, page
from rehearsal.forge.refusal import Refusal, not_found
from rehearsal.forge.routes.route import Route
from rehearsal.forge.shapes import actions as shapes
from rehearsal.forge.state import Artifact, Job, Run
from rehearsal.forge.workflows import Workflow

# Workflows.


def _workflows_at(ask: Ask, ref: str) -> list[Workflow]:
    sha = ask.git.resolve(ref)
    return workflows.at(ask.git, sha) if sha else []


def _workflow(ask: Ask) -> Workflow:
    """GitHub knows a workflow once it is on the default branch, or has run."""
    name, repository = ask.params["workflow_id"], ask.repository
    found = [Workflow(run.path, run.name, None) for run in ask.forge.runs(repository)]
    for one in (*_workflows_at(ask, repository.default_branch), *found):
        if name in {one.path.rsplit("/", 1)[-1], one.path, str(shapes.workflow_id(repository.full_name, one.path))}:
            return one
    raise not_found()


def _list_workflows(ask: Ask) -> Answer:
    found = _workflows_at(ask, ask.repository.default_branch)
    return page(ask, found, lambda one: shapes.workflow(ask.forge, ask.repository, one.path, one.name), "workflows")


def _get_workflow(ask: Ask) -> Answer:
    one = _workflow(ask)
    return Answer(200, shapes.workflow(ask.forge, ask.repository, one.path, one.name))


def _dispatch(ask: Ask) -> Answer:
    path, ref = _workflow(ask).path, ask.need("ref", str, "WorkflowDispatch")
    full = next((name for name in _full_names(ref) if ask.git.ref(name)), None)
    if full is None:
        raise Refusal(422, f"No ref found for: {ref}")
    there = {one.path: one for one in _workflows_at(ask, full)}
    if path not in there:
        raise Refusal(
            422, f"Workflow does not exist or does not have a workflow_dispatch trigger in a tag or branch: {ref}"
        )
    inputs = workflows.check_inputs(there[path], ask.body.get("inputs") or {})
    if not ask.repository.settings.actions_enabled:
        raise Refusal(422, "Actions has been disabled for this repository.")
    event = events.workflow_dispatch(ask.forge, ask.repository, path, full, inputs, ask.login)
    ask.forge.emit(event, ask.actor)
    return Answer(204)


def _full_names(ref: str) -> list[str]:
    return [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]


# Runs.


def _filtered(ask: Ask, found: list[Run]) -> Answer:
    query = ask.query
    for name, field in (("branch", "head_branch"), ("event", "event"), ("head_sha", "head_sha"), ("actor", "actor")):
        if name in query:
            found = [one for one in found if getattr(one, field) == query[name]]
    if "status" in query:
        found = [one for one in found if query["status"] in shapes.shown(one)]
    return page(ask, found[::-1], lambda one: shapes.run(ask.forge, one), "workflow_runs")


def _list_runs(ask: Ask) -> Answer:
    return _filtered(ask, ask.forge.runs(ask.repository))


def _runs_of_workflow(ask: Ask) -> Answer:
    path = _workflow(ask).path
    return _filtered(ask, [one for one in ask.forge.runs(ask.repository) if one.path == path])


def _run(ask: Ask) -> Run:
    found = ask.forge.state.run(ask.number("run_id"))
    if found is None or found.repository != ask.repository.full_name:
        raise not_found()
    return found


def _get_run(ask: Ask) -> Answer:
    return Answer(200, shapes.run(ask.forge, _run(ask)))


def _get_attempt(ask: Ask) -> Answer:
    run, number = _run(ask), ask.number("attempt_number")
    if number == run.attempt:
        return Answer(200, shapes.run(ask.forge, run))
    past = _past(run, number)
    shown = {**shapes.run(ask.forge, run), "run_attempt": number, "status": "completed"}
    return Answer(200, {**shown, "conclusion": past["conclusion"], "run_started_at": past["started_at"]})


def _past(run: Run, number: int) -> dict[str, Any]:
    found = next((past for past in run.attempts if past["attempt"] == number), None)
    if found is None:
        raise not_found()
    return found


def _rerun(ask: Ask) -> Answer:
    runs.rerun(ask.forge, _run(ask), ask.actor)
    return Answer(201, {})


def _cancel(ask: Ask) -> Answer:
    runs.cancel(ask.forge, _run(ask), ask.actor)
    return Answer(202, {})


def _delete_run(ask: Ask) -> Answer:
    runs.delete(ask.forge, _run(ask))
    return Answer(204)


def _approve(ask: Ask) -> Answer:
    runs.approve(ask.forge, _run(ask), ask.actor)
    return Answer(201, {})


def _jobs(ask: Ask) -> Answer:
    run = _run(ask)
    found = [(run.attempt, job) for job in run.jobs]
    if ask.query.get("filter") == "all":
        found = [*((past["attempt"], Job(**job)) for past in run.attempts for job in past["jobs"]), *found]
    return _job_page(ask, run, found)


def _attempt_jobs(ask: Ask) -> Answer:
    run, number = _run(ask), ask.number("attempt_number")
    listed = run.jobs if number == run.attempt else [Job(**job) for job in _past(run, number)["jobs"]]
    return _job_page(ask, run, [(number, job) for job in listed])


def _job_page(ask: Ask, run: Run, found: list[tuple[int, Job]]) -> Answer:
    return page(ask, found, lambda one: shapes.job(ask.forge, run, one[1], one[0]), "jobs")


def _job(ask: Ask) -> tuple[Run, Job]:
    for run in ask.forge.runs(ask.repository):
        for job in run.jobs:
            if job.id == ask.number("job_id"):
                return run, job
    raise not_found()


def _get_job(ask: Ask) -> Answer:
    run, job = _job(ask)
    return Answer(200, shapes.job(ask.forge, run, job, run.attempt))


def _job_logs(ask: Ask) -> Answer:
    run, _ = _job(ask)
    if not Path(run.log).is_file():
        raise not_found()
    return Answer(302, b"", {"Location": downloads.address_of_log(ask.forge, run, run.attempt)})


def _logs(ask: Ask) -> Answer:
    run = _run(ask)
    return Answer(302, b"", {"Location": downloads.address_of_log(ask.forge, run, run.attempt)})


# Artifacts.


def _list_artifacts(ask: Ask) -> Answer:
    return _artifact_page(ask, list(ask.forge.state.artifacts_of(ask.repository.full_name)))


def _artifacts_of_run(ask: Ask) -> Answer:
    run = _run(ask)
    return _artifact_page(ask, [one for one in ask.forge.state.artifacts if one.run_id == run.id])


def _artifact_page(ask: Ask, found: list[Artifact]) -> Answer:
    if "name" in ask.query:
        found = [one for one in found if one.name == ask.query["name"]]
    return page(ask, found[::-1], lambda one: shapes.artifact(ask.forge, one), "artifacts")


def _artifact(ask: Ask) -> Artifact:
    wanted = ask.number("artifact_id")
    found = next((one for one in ask.forge.state.artifacts_of(ask.repository.full_name) if one.id == wanted), None)
    if found is None:
        raise not_found()
    return found


def _get_artifact(ask: Ask) -> Answer:
    return Answer(200, shapes.artifact(ask.forge, _artifact(ask)))


def _delete_artifact(ask: Ask) -> Answer:
    ask.forge.state.artifacts.remove(_artifact(ask))
    return Answer(204)


def _download_artifact(ask: Ask) -> Answer:
    if ask.actor.token is None:  # also of public repositories
        raise Refusal(401, "Requires authentication")
    artifact = _artifact(ask)
    if ask.params["archive_format"] != "zip":
        raise not_found()
    if artifact.expired:
        raise Refusal(410, "Artifact has expired")
    return Answer(302, b"", {"Location": artifacts.address(ask.forge, artifact.path)})


# Settings.


def _permissions(ask: Ask) -> Answer:
    is_on = ask.repository.settings.actions_enabled
    return Answer(
        200,
        {"enabled": is_on, "allowed_actions": "all", "sha_pinning_required": False} if is_on else {"enabled": False},
    )


def _set_permissions(ask: Ask) -> Answer:
    ask.repository.settings.actions_enabled = ask.need("enabled", bool, "Actions")
    return Answer(204)


def _token_permissions(ask: Ask) -> Answer:
    settings = ask.repository.settings
    return Answer(
        200,
        {
            "default_workflow_permissions": settings.default_workflow_permissions,
            "can_approve_pull_request_reviews": settings.actions_may_open_pulls,
        },
    )


def _set_token_permissions(ask: Ask) -> Answer:
    settings, body = ask.repository.settings, ask.body
    held = body.get("default_workflow_permissions", settings.default_workflow_permissions)
    if held not in {"read", "write"}:
        raise Refusal(422, 'Invalid request.\n\ndefault_workflow_permissions is not a member of ["read", "write"].')
    settings.default_workflow_permissions = held
    may = body.get("can_approve_pull_request_reviews", settings.actions_may_open_pulls)
    settings.actions_may_open_pulls = bool(may)
    return Answer(204)


_READ, _WRITE = "actions:read", "actions:write"
_RUN = "/repos/{owner}/{repo}/actions/runs/{run_id}"
_ARTIFACT = "/repos/{owner}/{repo}/actions/artifacts/{artifact_id}"
_WORKFLOW = "/repos/{owner}/{repo}/actions/workflows/{workflow_id}"
_PERMISSIONS = "/repos/{owner}/{repo}/actions/permissions"
_ADMIN = ("administration:read", "administration:write")
ROUTES = (
    Route("GET", "/repos/{owner}/{repo}/actions/workflows", _list_workflows, _READ),
    Route("GET", _WORKFLOW, _get_workflow, _READ),
    Route("POST", f"{_WORKFLOW}/dispatches", _dispatch, _WRITE),
    Route("GET", f"{_WORKFLOW}/runs", _runs_of_workflow, _READ),
    Route("GET", "/repos/{owner}/{repo}/actions/runs", _list_runs, _READ),
    Route("GET", _RUN, _get_run, _READ),
    Route("DELETE", _RUN, _delete_run, _WRITE),
    Route("GET", f"{_RUN}/attempts/{{attempt_number}}", _get_attempt, _READ),
    Route("GET", f"{_RUN}/attempts/{{attempt_number}}/jobs", _attempt_jobs, _READ),
    Route("POST", f"{_RUN}/rerun", _rerun, _WRITE),
    Route("POST", f"{_RUN}/cancel", _cancel, _WRITE),
    Route("POST", f"{_RUN}/approve", _approve, _WRITE),
    Route("GET", f"{_RUN}/jobs", _jobs, _READ),
    Route("GET", f"{_RUN}/logs", _logs, _READ),
    Route("GET", f"{_RUN}/artifacts", _artifacts_of_run, _READ),
    Route("GET", "/repos/{owner}/{repo}/actions/jobs/{job_id}", _get_job, _READ),
    Route("GET", "/repos/{owner}/{repo}/actions/jobs/{job_id}/logs", _job_logs, _READ),
    Route("GET", "/repos/{owner}/{repo}/actions/artifacts", _list_artifacts, _READ),
    Route("GET", _ARTIFACT, _get_artifact, _READ),
    Route("DELETE", _ARTIFACT, _delete_artifact, _WRITE),
    Route("GET", f"{_ARTIFACT}/{{archive_format}}", _download_artifact, _READ),
    Route("GET", _PERMISSIONS, _permissions, _ADMIN[0], "admin"),
    Route("PUT", _PERMISSIONS, _set_permissions, _ADMIN[1], "admin"),
    Route("GET", f"{_PERMISSIONS}/workflow", _token_permissions, _ADMIN[0], "admin"),
    Route("PUT", f"{_PERMISSIONS}/workflow", _set_token_permissions, _ADMIN[1], "admin"),
)
