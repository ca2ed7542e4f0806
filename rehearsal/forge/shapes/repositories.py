"""Repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rehearsal.forge import access
from rehearsal.forge.access import Actor
from rehearsal.forge.shapes.people import node_id, user

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge
    from rehearsal.forge.state import Repository

_LINKS = {
    "archive": "/{archive_format}{/ref}",
    "assignees": "/assignees{/user}",
    "blobs": "/git/blobs{/sha}",
    "branches": "/branches{/branch}",
    "collaborators": "/collaborators{/collaborator}",
    "comments": "/comments{/number}",
    "commits": "/commits{/sha}",
    "compare": "/compare/{base}...{head}",
    "contents": "/contents/{+path}",
    "contributors": "/contributors",
    "deployments": "/deployments",
    "downloads": "/downloads",
    "events": "/events",
    "forks": "/forks",
    "git_commits": "/git/commits{/sha}",
    "git_refs": "/git/refs{/sha}",
    "git_tags": "/git/tags{/sha}",
    "hooks": "/hooks",
    "issue_comment": "/issues/comments{/number}",
    "issue_events": "/issues/events{/number}",
    "issues": "/issues{/number}",
    "keys": "/keys{/key_id}",
    "labels": "/labels{/name}",
    "languages": "/languages",
    "merges": "/merges",
    "milestones": "/milestones{/number}",
    "notifications": "/notifications{?since,all,participating}",
    "pulls": "/pulls{/number}",
    "releases": "/releases{/id}",
    "stargazers": "/stargazers",
    "statuses": "/statuses/{sha}",
    "subscribers": "/subscribers",
    "subscription": "/subscription",
    "tags": "/tags",
    "teams": "/teams",
    "trees": "/git/trees{/sha}",
}


def url(forge: Forge, repository: Repository | str) -> str:
    """Of a repository in the API."""
    name = repository if isinstance(repository, str) else repository.full_name
    return f"{forge.api}/repos/{name}"


def html(forge: Forge, repository: Repository | str) -> str:
    """Of a repository for people."""
    name = repository if isinstance(repository, str) else repository.full_name
    return f"{forge.url}/{name}"


def minimal(forge: Forge, repository: Repository) -> dict[str, Any]:
    """A repository as it stands in other things."""
    root = url(forge, repository)
    return {
        "id": repository.id,
        "node_id": node_id("Repository", repository.id),
        "name": repository.name,
        "full_name": repository.full_name,
        "owner": user(forge, repository.owner),
        "private": repository.private,
        "html_url": html(forge, repository),
        "description": repository.description or None,
        "fork": repository.fork_of is not None,
        "url": root,
        **{f"{name}_url": root + template for name, template in _LINKS.items()},
    }


def simple(forge: Forge, repository: Repository) -> dict[str, Any]:
    """A repository as it stands in a pull request or a webhook."""
    page = html(forge, repository)
    pulls = sum(one.state == "open" for one in forge.pulls(repository))
    issues = sum(one.state == "open" and one.repository == repository.full_name for one in forge.state.issues)
    forks = sum(one.fork_of == repository.full_name for one in forge.state.repositories)
    settings = repository.settings
    return {
        **minimal(forge, repository),
        "git_url": f"{page}.git",
        "ssh_url": f"{page}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        "forks_count": forks,
        "forks": forks,
        "stargazers_count": 0,
        "watchers_count": 0,
        "watchers": 0,
        "size": 0,
        "default_branch": repository.default_branch,
        "open_issues_count": pulls + issues,
        "open_issues": pulls + issues,
        "is_template": False,
        "topics": [],
        "has_issues": True,
        "has_projects": False,
        "has_wiki": False,
        "has_pages": False,
        "has_downloads": True,
        "has_discussions": False,
        "archived": False,
        "disabled": False,
        "visibility": "private" if repository.private else "public",
        "allow_forking": True,
        "web_commit_signoff_required": False,
        "pushed_at": repository.pushed_at,
        "created_at": repository.created_at,
        "updated_at": repository.pushed_at,
        "allow_merge_commit": settings.allow_merge_commit,
        "allow_squash_merge": settings.allow_squash_merge,
        "allow_rebase_merge": settings.allow_rebase_merge,
        "delete_branch_on_merge": settings.delete_branch_on_merge,
        "allow_auto_merge": False,
        "allow_update_branch": True,
    }


def full(forge: Forge, repository: Repository, actor: Actor) -> dict[str, Any]:
    """A repository as it is asked for itself, with what whoever asks may do."""
    held = _role(forge, repository, actor)
    found = {
        **simple(forge, repository),
        "subscribers_count": 0,
        "network_count": 0,
        "permissions": {
            "admin": held == "admin",
            "maintain": held == "admin",
            "push": access.reaches(held, "write"),
            "triage": access.reaches(held, "write"),
            "pull": access.reaches(held, "read"),
        },
    }
    parent = forge.state.repository(repository.fork_of) if repository.fork_of else None
    if parent:
        found |= {"parent": simple(forge, parent), "source": simple(forge, parent)}
    if held != "admin":  # GitHub shows the merge settings to those who may change them
        for name in ("allow_merge_commit", "allow_squash_merge", "allow_rebase_merge", "delete_branch_on_merge"):
            found.pop(name)
    return found


def _role(forge: Forge, repository: Repository, actor: Actor) -> str:
    if actor.token is not None and actor.token.permissions is not None:
        return actor.token.permissions.get("contents", "read")
    return access.role(forge.state, repository, actor)
