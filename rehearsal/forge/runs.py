"""Workflow runs: from queued to completed, with their jobs, tokens and check runs."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rehearsal.forge import access, events
from rehearsal.forge.access import Actor
from rehearsal.forge.refusal import Refusal
from rehearsal.forge.state import BOT, CheckRun, Job, Run, State, Token, now

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge

_COUNTED = {"pull_request", "pull_request_target", "push", "merge_group"}
"""Events whose runs' checks can satisfy a ruleset. Those of a dispatched run cannot."""

_NOTHING = {"metadata": "read"}


def open_run(forge: Forge, run: Run) -> Run:
    """Store a new run and tell that it was requested."""
    with forge.changing() as state:
        run.id = state.new_id()
        run.number = 1 + sum((one.repository, one.path) == (run.repository, run.path) for one in state.runs)
        run.triggering_actor = run.triggering_actor or run.actor
        by_bot = run.actor == BOT and run.event == "pull_request"
        is_held = state.bot_runs == "held" if by_bot else _is_strangers(state, run)
        run.status = "waiting" if is_held else "queued"
        state.runs.append(run)
        forge.emit(events.workflow_run(forge, run, "requested"))
        if by_bot and state.bot_runs == "failed":
            close_run(forge, run, "failure")
    return run


def _is_strangers(state: State, run: Run) -> bool:
    """Whether a fork's pull request has to wait: its author, or the person who pushed to it, is not known here."""
    repository = state.repository(run.repository)
    if repository is None or run.event != "pull_request" or run.head_repository == run.repository:
        return False
    policy = repository.settings.fork_approval
    merged = {pull.user for pull in state.pulls if pull.repository == run.repository and pull.merged}
    known = merged if policy == "first_time_contributors" else set()
    author = run.payload.get("pull_request", {}).get("user", {}).get("login", run.actor)
    roles = [access.role_of(state, repository, who) for who in {author, run.actor} - known]
    are_known = all(access.reaches(role, "write") for role in roles)
    return not are_known and policy != "first_time_contributors_new_to_github"


def begin_run(forge: Forge, run: Run) -> None:
    """It is being executed."""
    with forge.changing():
        run.status, run.conclusion, run.started_at, run.completed_at = "in_progress", None, now(), None
        forge.emit(events.workflow_run(forge, run, "in_progress"))


def begin_job(forge: Forge, run: Run, name: str, permissions: Mapping[str, str]) -> Job:
    """A job of it begins, and with it a check run on the run's commit."""
    with forge.changing() as state:
        job = Job(state.new_id(), name, "in_progress", permissions=dict(permissions), started_at=now())
        page = f"{forge.url}/{run.repository}/actions/runs/{run.id}"
        check = CheckRun(state.new_id(), run.repository, run.head_sha, name, "in_progress", details_url=page)
        check.run_id, check.attempt, check.counts_for_pull = run.id, run.attempt, run.event in _COUNTED
        job.check_run = check.id
        state.check_runs.append(check)
        run.jobs.append(job)
        return job


def end_job(forge: Forge, job: Job, conclusion: str, steps: Sequence[Mapping[str, Any]]) -> None:
    """A job ended."""
    with forge.changing() as state:
        job.status, job.conclusion, job.completed_at = "completed", conclusion, now()
        job.steps = [dict(step) for step in steps] or job.steps
        for check in state.check_runs:
            if check.id == job.check_run:
                check.status, check.conclusion, check.completed_at = "completed", conclusion, job.completed_at


def close_run(forge: Forge, run: Run, conclusion: str) -> None:
    """A run ended; a job that still runs ends with it."""
    with forge.changing():
        for job in run.jobs:
            if job.status != "completed":
                end_job(forge, job, "cancelled" if conclusion == "cancelled" else "failure", [])
        run.status, run.conclusion, run.completed_at, run.pending = "completed", conclusion, now(), []
        forge.revoke(run)
        forge.emit(events.workflow_run(forge, run, "completed"))


# Tokens.


def mint(forge: Forge, run: Run) -> str:
    """A new token for a run; what it may do follows the jobs that are in progress."""
    signed = ".".join(map(secrets.token_urlsafe, (27, 306, 48)))  # a JWT, as GitHub's are since May 2026
    value = f"ghs_15368_{signed}"
    return forge.add_token(Token(value, BOT, run.repository, dict(_NOTHING), role="none", run_id=run.id))


def permissions(run: Run) -> dict[str, str]:
    """What all jobs in progress may do. A run for a fork's pull request reads at most."""
    active = [job.permissions for job in run.jobs if job.status == "in_progress"]
    if not active:
        return dict(_NOTHING)
    is_fork = run.head_repository != run.repository and run.event == "pull_request"
    found = dict(_NOTHING)
    for name in set.intersection(*(set(one) for one in active)):
        least = min((one[name] for one in active), key=("none", "read", "write", "admin").index)
        found[name] = "read" if is_fork and least == "write" else least
    return found


def current(forge: Forge, token: Token) -> Token:
    """A token with what it may do right now."""
    run = forge.state.run(token.run_id) if token.run_id else None
    return dataclasses.replace(token, permissions=permissions(run)) if run else token


# What people do with runs.


def rerun(forge: Forge, run: Run, actor: Actor) -> None:
    """Execute it again, as its next attempt; of one that is held it is the first that executes.

    Raises:
        Refusal: 403, it has not ended yet.
    """
    if run.is_held:
        run.conclusion = "action_required"
    elif run.status != "completed":
        raise Refusal(403, "This workflow is already running")
    kept = ("attempt", "conclusion", "log", "summary", "created_at", "started_at", "completed_at")
    past = {name: getattr(run, name) for name in kept}
    run.attempts.append({**past, "jobs": [dataclasses.asdict(job) for job in run.jobs]})
    run.attempt, run.status, run.conclusion = run.attempt + 1, "queued", None
    run.started_at, run.completed_at, run.jobs, run.log, run.summary = None, None, [], "", ""
    run.triggering_actor = actor.login
    forge.emit(events.run_control(forge, run, "queued", actor.login))


def cancel(forge: Forge, run: Run, actor: Actor) -> None:
    """Stop it. One that nobody executes yet has ended at once; otherwise whoever executes it ends it.

    Raises:
        Refusal: 409, it has ended already.
    """
    if run.status == "completed" or run.is_held:
        raise Refusal(409, "Cannot cancel a workflow run that is completed.")
    if run.status != "in_progress":
        close_run(forge, run, "cancelled")
    forge.emit(events.run_control(forge, run, "cancelled", actor.login))


def delete(forge: Forge, run: Run) -> None:
    """Forget a run that has ended, with what it left.

    Raises:
        Refusal: 403, it has not ended yet (seen in actions/runner#3872, 2026-08).
    """
    if run.status != "completed" and not run.is_held:
        raise Refusal(403, "Could not delete the workflow run")
    state = forge.state
    state.runs.remove(run)
    state.artifacts = [one for one in state.artifacts if one.run_id != run.id]
    state.check_runs = [one for one in state.check_runs if one.run_id != run.id]


def approve(forge: Forge, run: Run, actor: Actor) -> None:
    """Let a run begin that waits for it, as the button does: still its first attempt.

    Raises:
        Refusal: 403, it does not wait.
    """
    if run.head_repository == run.repository and run.actor != BOT:
        raise Refusal(403, "This run is not from a fork pull request or queued by the Actions bot.")
    if not run.is_held:
        raise Refusal(403, "This run is not waiting for approval.")
    run.status = "queued"
    run.triggering_actor = actor.login
    forge.emit(events.run_control(forge, run, "queued", actor.login))
