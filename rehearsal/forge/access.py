"""Who asks, and what they may do: people by their role, workflows by the permissions of their token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rehearsal.forge import rules
from rehearsal.forge.refusal import Refusal, not_found
from rehearsal.forge.state import Repository, State, Token

_ORDER = ("none", "read", "write", "admin")


@dataclass(frozen=True)
class Actor:
    """Who makes a request: with a token, or nobody in particular."""

    token: Token | None = None

    @property
    def login(self) -> str:
        """Name of the user; `ghost` without a token."""
        return self.token.user if self.token else "ghost"

    @property
    def is_workflow(self) -> bool:
        """The token is one that a job was given."""
        return self.token is not None and self.token.permissions is not None


def person(login: str, role: str = "admin") -> Actor:
    """Somebody who acts without HTTP, in a test or from a page."""
    return Actor(Token("", login, role=role))


def reaches(have: str | None, need: str) -> bool:
    """A role or a permission (`read`, `write`, …) is enough."""
    return _ORDER.index(have or "none") >= _ORDER.index(need)


def role_of(state: State, repository: Repository, login: str) -> str:
    """What a person may do in a repository: admin, write, read or none."""
    if login == repository.owner:
        return "admin"
    if login in repository.collaborators:
        return repository.collaborators[login]
    roles = [token.role for token in state.tokens if token.user == login and token.permissions is None]
    if roles and not repository.fork_of:  # in somebody's fork, others are strangers
        return max(roles, key=_ORDER.index)
    return "none" if repository.private else "read"


def role(state: State, repository: Repository, actor: Actor) -> str:
    """What whoever asks may do here, if a person: the token's role, in their own forks admin; anonymous: read."""
    token = actor.token
    if token is None:
        return "none" if repository.private else "read"
    if token.repository not in (None, repository.full_name):
        return "none" if repository.private else "read"
    if repository.owner == token.user and repository.fork_of:
        return "admin"
    if repository.owner == token.user:
        return token.role
    held = role_of(state, repository, token.user)
    return min(held, token.role, key=_ORDER.index) if held != "none" else "none"


def standing(state: State, repository: Repository, actor: Actor) -> str:
    """Who somebody is for a ruleset."""
    return rules.ACTIONS if actor.is_workflow else role(state, repository, actor)


def permits(permissions: Mapping[str, str], needs: Sequence[str]) -> bool:
    """A workflow token's permissions satisfy one of `needs`, each like `statuses:write`."""
    for need in needs:
        name, level = need.split(":")
        if name == "metadata" or reaches(permissions.get(name), level):
            return True
    return False


def check(state: State, repository: Repository, actor: Actor, needs: Sequence[str], least: str) -> None:
    """Let pass, or refuse as GitHub does.

    Args:
        state: Everything there is.
        repository: Where.
        actor: Who.
        needs: For a workflow's token: any of these permissions.
        least: For a person: the role.

    Raises:
        Refusal: 404 for what they may not see, 401 for a change without a token, 403 otherwise.
    """
    if actor.is_workflow:
        _check_workflow(repository, actor, needs)
        return
    have = role(state, repository, actor)
    if have == "none":
        raise not_found()
    if actor.token is None and (not reaches(have, least) or not all(need.endswith(":read") for need in needs)):
        raise Refusal(401, "Requires authentication")
    if reaches(have, least):
        return
    raise Refusal(403, "Must have admin rights to Repository." if least == "admin" else _PERSONAL)


_INTEGRATION = "Resource not accessible by integration"
_PERSONAL = "Resource not accessible by personal access token"


def _check_workflow(repository: Repository, actor: Actor, needs: Sequence[str]) -> None:
    token = actor.token
    if token is None or token.permissions is None:
        raise not_found()
    if token.repository != repository.full_name:
        # Of other repositories a workflow sees what everybody sees, and changes nothing.
        if repository.private:
            raise not_found()
        if not all(need.endswith(":read") for need in needs):
            raise Refusal(403, _INTEGRATION)
        return
    if not permits(token.permissions, needs):
        raise Refusal(403, _INTEGRATION)
