"""Issues, labels and comments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rehearsal.forge.shapes.people import node_id, user
from rehearsal.forge.shapes.repositories import html, url

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge
    from rehearsal.forge.state import Comment, Issue, Label, Pull


def reactions(own: str) -> dict[str, Any]:
    """None so far."""
    kinds = ("total_count", "+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket")
    return {"url": f"{own}/reactions", **dict.fromkeys(kinds, 0)}


def label(forge: Forge, repository: str, one: Label) -> dict[str, Any]:
    """A label."""
    return {
        "id": one.id,
        "node_id": node_id("Label", one.id),
        "url": f"{url(forge, repository)}/labels/{quote(one.name)}",
        "name": one.name,
        "color": one.color,
        "default": one.name in {"bug", "documentation", "enhancement"},
        "description": one.description,
    }


def labels(forge: Forge, repository: str, names: Iterable[str]) -> list[dict[str, Any]]:
    """The labels of an issue."""
    known = {one.name: one for one in forge.repository(repository).labels}
    return [label(forge, repository, known[name]) for name in names if name in known]


def issue(forge: Forge, one: Issue | Pull) -> dict[str, Any]:
    """An issue; a pull request is one too."""
    from rehearsal.forge.shapes.pulls import association

    own = f"{url(forge, one.repository)}/issues/{one.number}"
    is_pull = hasattr(one, "head_sha")
    found = {
        "id": one.id,
        "node_id": node_id("Issue", one.id),
        "url": own,
        "repository_url": url(forge, one.repository),
        "labels_url": f"{own}/labels{{/name}}",
        "comments_url": f"{own}/comments",
        "events_url": f"{own}/events",
        "timeline_url": f"{own}/timeline",
        "html_url": f"{html(forge, one.repository)}/{'pull' if is_pull else 'issues'}/{one.number}",
        "number": one.number,
        "title": one.title,
        "user": user(forge, one.user),
        "labels": labels(forge, one.repository, one.labels),
        "state": one.state,
        "state_reason": getattr(one, "state_reason", None),
        "locked": False,
        "active_lock_reason": None,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": len(forge.state.comments_of(one.repository, one.number)),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "closed_at": one.closed_at,
        "author_association": association(forge, one.repository, one.user),
        "body": one.body or None,
        "reactions": reactions(own),
    }
    if is_pull:
        page = found["html_url"]
        own = f"{url(forge, one.repository)}/pulls/{one.number}"
        found["pull_request"] = {
            "url": own,
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "merged_at": getattr(one, "merged_at", None),
        }
    return found


def comment(forge: Forge, one: Comment) -> dict[str, Any]:
    """A comment on an issue or a pull request."""
    from rehearsal.forge.shapes.pulls import association

    root, page = url(forge, one.repository), html(forge, one.repository)
    kind = "pull" if forge.state.pull(one.repository, one.number) else "issues"
    return {
        "id": one.id,
        "node_id": node_id("IssueComment", one.id),
        "url": f"{root}/issues/comments/{one.id}",
        "html_url": f"{page}/{kind}/{one.number}#issuecomment-{one.id}",
        "issue_url": f"{root}/issues/{one.number}",
        "user": user(forge, one.user),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "author_association": association(forge, one.repository, one.user),
        "body": one.body,
        "reactions": reactions(f"{root}/issues/comments/{one.id}"),
        "performed_via_github_app": None,
    }
