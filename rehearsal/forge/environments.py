"""Environments: what a job deploys to, and whose approval a run waits for before it begins.

On GitHub each job waits for itself. Here a run waits before it begins for what its first jobs deploy to, and for the
others when it comes to each of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rehearsal.forge import events, runs
from rehearsal.forge.access import Actor
from rehearsal.forge.refusal import Refusal, not_found
from rehearsal.forge.state import Approval, Environment, Repository, Run, now

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge

APPROVED, REJECTED = "approved", "rejected"


@dataclass(frozen=True)
class Protection:
    """What an environment asks of a run."""

    reviewers: Sequence[str] = ()
    prevent_self_review: bool = False


def find(repository: Repository, name: str) -> Environment | None:
    """The environment of that name, whatever its case."""
    return next((one for one in repository.environments if one.name.lower() == name.lower()), None)


def make(forge: Forge, repository: Repository, name: str, protection: Protection) -> Environment:
    """Make an environment, or change what is asked there."""
    with forge.changing() as state:
        found = find(repository, name)
        if found is None:
            found = Environment(state.new_id(), name)
            repository.environments.append(found)
        found.reviewers, found.prevent_self_review = list(protection.reviewers), protection.prevent_self_review
        found.updated_at = now()
        return found


def hold(forge: Forge, run: Run, names: Sequence[str]) -> bool:
    """Whether a run has to wait for the reviewers of these environments; it then does, until they approve.

    An environment that nobody has made is made here, and asks for nobody.
    """
    with forge.changing():
        repository = forge.repository(run.repository)
        found = [find(repository, name) or make(forge, repository, name, Protection()) for name in names]
        passed = {name for one in run.approvals if one.attempt == run.attempt for name in one.environments}
        run.pending = [one.name for one in found if one.reviewers and one.name not in passed]
        if run.pending:
            run.status = "waiting"
        return bool(run.pending)


def may_approve(environment: Environment, run: Run, login: str) -> bool:
    """Whether somebody is one of those who decide."""
    is_own = environment.prevent_self_review and login == run.triggering_actor
    return login in environment.reviewers and not is_own


def review(forge: Forge, run: Run, names: Collection[str], verdict: str, comment: str, actor: Actor) -> None:
    """Somebody approves or rejects that a run deploys to environments that it waits for.

    Raises:
        Refusal: 422, it does not wait for them; 403, they are not asked.
    """
    waited = [name for name in run.pending if name in names]
    if not waited or len(waited) < len(names):
        raise Refusal(422, "There are no pending deployment requests to approve or reject for these environments.")
    repository = forge.repository(run.repository)
    for name in waited:
        found = find(repository, name)
        if found is None:
            raise not_found()
        if not may_approve(found, run, actor.login):
            raise Refusal(403, f"{actor.login} is not a required reviewer of {name}.")
    with forge.changing():
        run.approvals.append(Approval(waited, actor.login, verdict, comment, run.attempt))
        if verdict == REJECTED:
            runs.close_run(forge, run, "failure")
            forge.emit(events.run_control(forge, run, "cancelled", actor.login))
            return
        run.pending = [name for name in run.pending if name not in waited]
        if not run.pending:
            run.status = "queued"
            forge.emit(events.run_control(forge, run, "queued", actor.login))
