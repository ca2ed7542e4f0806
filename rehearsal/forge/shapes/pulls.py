"""Pull requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rehearsal.forge import access
from rehearsal.forge.shapes import repositories
from rehearsal.forge.shapes.issues import labels
from rehearsal.forge.shapes.people import node_id, user

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge
    from rehearsal.forge.state import Pull, Review


def association(forge: Forge, repository: str, login: str) -> str:
    """What somebody is to a repository."""
    found = forge.repository(repository)
    if found.owner == login:
        return "OWNER"
    if access.reaches(access.role_of(forge.state, found, login), "write"):
        return "COLLABORATOR"
    merged = any(one.user == login and one.merged for one in forge.pulls(repository))
    return "CONTRIBUTOR" if merged else "NONE"


def _side(forge: Forge, name: str, ref: str, sha: str) -> dict[str, Any]:
    repository = forge.state.repository(name)
    owner = name.partition("/")[0]
    return {
        "label": f"{owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user(forge, owner),
        "repo": repositories.simple(forge, repository) if repository else None,
    }


def simple(forge: Forge, pull: Pull) -> dict[str, Any]:
    """A pull request in a list."""
    root, page = repositories.url(forge, pull.repository), repositories.html(forge, pull.repository)
    own, issue = f"{root}/pulls/{pull.number}", f"{root}/issues/{pull.number}"
    links = {
        "self": own,
        "html": f"{page}/pull/{pull.number}",
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{own}/comments",
        "review_comment": f"{root}/pulls/comments{{/number}}",
        "commits": f"{own}/commits",
        "statuses": f"{root}/statuses/{pull.head_sha}",
    }
    return {
        "url": own,
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "html_url": links["html"],
        "diff_url": f"{links['html']}.diff",
        "patch_url": f"{links['html']}.patch",
        **{f"{name}_url": link for name, link in links.items() if name not in {"self", "html"}},
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "user": user(forge, pull.user),
        "body": pull.body or None,
        "labels": labels(forge, pull.repository, pull.labels),
        "milestone": None,
        "draft": pull.draft,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [user(forge, login) for login in pull.reviewers],
        "requested_teams": [],
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.merged_at,
        "merge_commit_sha": pull.merge_commit_sha,
        "head": _side(forge, pull.head_repository, pull.head_ref, pull.head_sha),
        "base": _side(forge, pull.repository, pull.base_ref, pull.base_sha),
        "_links": {name: {"href": link} for name, link in links.items()},
        "author_association": association(forge, pull.repository, pull.user),
        "auto_merge": None,
        "active_lock_reason": None,
    }


def full(forge: Forge, pull: Pull) -> dict[str, Any]:
    """A pull request with its size and whether it can be merged."""
    from rehearsal.forge import pulls

    git = forge.git(pull.repository)
    base = git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    files = git.sizes(base, pull.head_sha)
    state = pulls.mergeable_state(forge, pull)
    return {
        **simple(forge, pull),
        "merged": pull.merged,
        "mergeable": None if pull.state != "open" else state != "dirty",
        "rebaseable": None if pull.state != "open" else state != "dirty",
        "mergeable_state": state,
        "merged_by": user(forge, pull.merged_by) if pull.merged_by else None,
        "comments": len(forge.state.comments_of(pull.repository, pull.number)),
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": git.count(pull.head_sha, base),
        "additions": sum(added for added, _ in files),
        "deletions": sum(deleted for _, deleted in files),
        "changed_files": len(files),
    }


def review(forge: Forge, pull: Pull, one: Review) -> dict[str, Any]:
    """What somebody thinks of a pull request."""
    own = f"{repositories.url(forge, pull.repository)}/pulls/{pull.number}"
    page = f"{repositories.html(forge, pull.repository)}/pull/{pull.number}#pullrequestreview-{one.id}"
    return {
        "id": one.id,
        "node_id": node_id("PullRequestReview", one.id),
        "user": user(forge, one.user),
        "body": one.body,
        "state": one.state,
        "html_url": page,
        "pull_request_url": own,
        "_links": {"html": {"href": page}, "pull_request": {"href": own}},
        "submitted_at": one.submitted_at,
        "commit_id": one.commit_sha,
        "author_association": association(forge, pull.repository, one.user),
    }


def reference(forge: Forge, pull: Pull) -> dict[str, Any]:
    """A pull request as it stands in a run."""

    def side(name: str, ref: str, sha: str) -> dict[str, Any]:
        repository = forge.repository(name)
        url = repositories.url(forge, name)
        return {"ref": ref, "sha": sha, "repo": {"id": repository.id, "url": url, "name": repository.name}}

    return {
        "id": pull.id,
        "number": pull.number,
        "url": f"{repositories.url(forge, pull.repository)}/pulls/{pull.number}",
        "head": side(pull.head_repository, pull.head_ref, pull.head_sha),
        "base": side(pull.repository, pull.base_ref, pull.base_sha),
    }
