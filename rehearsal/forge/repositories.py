"""Repositories: new ones, forks, and the tokens of people."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal.forge.git import Git
from rehearsal.forge.refusal import Refusal
from rehearsal.forge.state import Label, Repository, Token

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge

_LABELS = (
    ("bug", "d73a4a", "Something isn't working"),
    ("documentation", "0075ca", "Improvements or additions to documentation"),
    ("enhancement", "a2eeef", "New feature or request"),
)


def path_of(forge: Forge, owner: str, name: str) -> Path:
    """Where its bare repository is."""
    return forge.folder / "git" / owner / f"{name}.git"


def create(
    forge: Forge, full_name: str, *, fork_of: str | None = None, is_private: bool = False, branch: str = "main"
) -> Repository:
    """Make an empty repository, or a fork.

    Raises:
        Refusal: 422, there is one of that name.
    """
    owner, name = full_name.split("/")
    if fork_of:
        return fork(forge, fork_of, owner, name)
    with forge.changing() as state:
        if state.repository(full_name):
            raise Refusal(422, "Repository creation failed.", [{"code": "custom", "field": "name"}])
        state.user(owner)
        path = path_of(forge, owner, name)
        repository = Repository(state.new_id(), owner, name, path, branch, private=is_private)
        repository.labels = [Label(state.new_id(), *label) for label in _LABELS]
        Git(path).create(repository.default_branch)
        state.repositories.append(repository)
        return repository


def fork(forge: Forge, full_name: str, owner: str, name: str | None = None) -> Repository:
    """Copy a repository's branches and tags for somebody else; the existing fork when there is one."""
    with forge.changing() as state:
        parent = forge.repository(full_name)
        target = f"{owner}/{name or parent.name}"
        found = state.repository(target)
        if found:
            return found
        state.user(owner)
        path = path_of(forge, owner, name or parent.name)
        repository = Repository(state.new_id(), owner, name or parent.name, path, fork_of=parent.full_name)
        repository.default_branch, repository.private = parent.default_branch, parent.private
        repository.settings.actions_enabled = False
        Git(path).clone_from(parent.git)
        state.repositories.append(repository)
        return repository


def person_token(forge: Forge, user: str, role: str, repository: str | None) -> str:
    """A new token of a person."""
    return forge.add_token(Token(f"ghp_{secrets.token_hex(18)}", user, repository, role=role))
