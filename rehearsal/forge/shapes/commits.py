"""Git's objects."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from rehearsal.forge.git import Changed, Commit, Entry, Git, Person
from rehearsal.forge.shapes.people import node_id, user
from rehearsal.forge.shapes.repositories import html, url

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge
    from rehearsal.forge.state import Repository

_UNSIGNED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


def _person(person: Person) -> dict[str, Any]:
    return {"name": person.name, "email": person.email, "date": person.date}


def git_commit(forge: Forge, repository: Repository, commit: Commit) -> dict[str, Any]:
    """A commit of the git data API."""
    root = url(forge, repository)
    return {
        "sha": commit.sha,
        "node_id": node_id("Commit", commit.sha),
        "url": f"{root}/git/commits/{commit.sha}",
        "html_url": f"{html(forge, repository)}/commit/{commit.sha}",
        "author": _person(commit.author),
        "committer": _person(commit.committer),
        "message": commit.message,
        "tree": {"sha": commit.tree, "url": f"{root}/git/trees/{commit.tree}"},
        "parents": _parents(forge, repository, commit, "git/commits"),
        "verification": _UNSIGNED,
    }


def _parents(forge: Forge, repository: Repository, commit: Commit, kind: str) -> list[dict[str, Any]]:
    root, page = url(forge, repository), html(forge, repository)
    return [{"sha": sha, "url": f"{root}/{kind}/{sha}", "html_url": f"{page}/commit/{sha}"} for sha in commit.parents]


def commit_of(forge: Forge, repository: Repository, commit: Commit) -> dict[str, Any]:
    """A commit with the users who made it."""
    root = url(forge, repository)
    return {
        "url": f"{root}/commits/{commit.sha}",
        "sha": commit.sha,
        "node_id": node_id("Commit", commit.sha),
        "html_url": f"{html(forge, repository)}/commit/{commit.sha}",
        "comments_url": f"{root}/commits/{commit.sha}/comments",
        "commit": {
            "url": f"{root}/git/commits/{commit.sha}",
            "author": _person(commit.author),
            "committer": _person(commit.committer),
            "message": commit.message,
            "comment_count": 0,
            "tree": {"sha": commit.tree, "url": f"{root}/git/trees/{commit.tree}"},
            "verification": _UNSIGNED,
        },
        "author": _known(forge, commit.author),
        "committer": _known(forge, commit.committer),
        "parents": _parents(forge, repository, commit, "commits"),
    }


def detailed(forge: Forge, repository: Repository, commit: Commit, files: list[Changed]) -> dict[str, Any]:
    """A commit with what it changed."""
    additions, deletions = sum(one.additions for one in files), sum(one.deletions for one in files)
    return {
        **commit_of(forge, repository, commit),
        "stats": {"additions": additions, "deletions": deletions, "total": additions + deletions},
        "files": [diff_entry(forge, repository, one, commit.sha) for one in files],
    }


def _known(forge: Forge, person: Person) -> dict[str, Any] | None:
    """The user who signs so; a commit by somebody unknown to the forge has none."""
    for known in forge.state.users:
        if person.name == known.login or person.email.endswith(f"+{known.login}@users.noreply.github.com"):
            return user(forge, known.login)
    return None


def simple_commit(commit: Commit) -> dict[str, Any]:
    """A commit as it stands in a run."""
    return {
        "id": commit.sha,
        "tree_id": commit.tree,
        "message": commit.message,
        "timestamp": commit.committer.date,
        "author": {"name": commit.author.name, "email": commit.author.email},
        "committer": {"name": commit.committer.name, "email": commit.committer.email},
    }


def pushed_commit(forge: Forge, repository: Repository, commit: Commit, files: list[Changed]) -> dict[str, Any]:
    """A commit as it stands in a push."""
    names = {kind: [one.path for one in files if one.status == kind] for kind in ("added", "removed", "modified")}
    return {
        **simple_commit(commit),
        "distinct": True,
        "url": f"{html(forge, repository)}/commit/{commit.sha}",
        **names,
    }


def diff_entry(forge: Forge, repository: Repository, file: Changed, sha: str) -> dict[str, Any]:
    """A changed file."""
    page = html(forge, repository)
    found: dict[str, Any] = {
        "sha": file.sha,
        "filename": file.path,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": f"{page}/blob/{sha}/{_quoted(file.path)}",
        "raw_url": f"{page}/raw/{sha}/{_quoted(file.path)}",
        "contents_url": f"{url(forge, repository)}/contents/{_quoted(file.path)}?ref={sha}",
    }
    if file.patch is not None:
        found["patch"] = file.patch
    if file.previous:
        found["previous_filename"] = file.previous
    return found


def ref(forge: Forge, repository: Repository, name: str, sha: str, kind: str) -> dict[str, Any]:
    """A ref and what it points at."""
    root = url(forge, repository)
    return {
        "ref": name,
        "node_id": node_id("Ref", f"{repository.id}:{name}"),
        "url": f"{root}/git/{name}",
        "object": {"sha": sha, "type": kind, "url": f"{root}/git/{kind}s/{sha}"},
    }


def tree(forge: Forge, repository: Repository, sha: str, entries: list[Entry]) -> dict[str, Any]:
    """A tree."""
    root = url(forge, repository)
    listed = []
    for entry in entries:
        kind = {"commit": "commits"}.get(entry.type, f"{entry.type}s")
        line: dict[str, Any] = {"path": entry.path, "mode": entry.mode, "type": entry.type, "sha": entry.sha}
        if entry.size is not None:
            line["size"] = entry.size
        listed.append({**line, "url": f"{root}/git/{kind}/{entry.sha}"})
    return {"sha": sha, "url": f"{root}/git/trees/{sha}", "tree": listed, "truncated": False}


def blob(forge: Forge, repository: Repository, sha: str, content: bytes) -> dict[str, Any]:
    """A blob."""
    return {
        "sha": sha,
        "node_id": node_id("Blob", sha),
        "size": len(content),
        "url": f"{url(forge, repository)}/git/blobs/{sha}",
        "content": base64.encodebytes(content).decode(),
        "encoding": "base64",
    }


def content(forge: Forge, repository: Repository, git: Git, entry: Entry, at: str) -> dict[str, Any]:
    """A file of the contents API, without its content."""
    root, page = url(forge, repository), html(forge, repository)
    kind = "git/trees" if entry.type == "tree" else "git/blobs"
    links = {
        "self": f"{root}/contents/{_quoted(entry.path)}?ref={at}",
        "git": f"{root}/{kind}/{entry.sha}",
        "html": f"{page}/{'tree' if entry.type == 'tree' else 'blob'}/{at}/{_quoted(entry.path)}",
    }
    is_link = entry.mode == "120000"
    return {
        "type": "dir" if entry.type == "tree" else "symlink" if is_link else "file",
        "name": entry.path.rsplit("/", 1)[-1],
        "path": entry.path,
        "sha": entry.sha,
        "size": entry.size or 0,
        "url": links["self"],
        "html_url": links["html"],
        "git_url": links["git"],
        "download_url": None if entry.type == "tree" else f"{page}/raw/{at}/{_quoted(entry.path)}",
        "_links": links,
        **({"target": git.blob(entry.sha).decode(errors="replace")} if is_link and entry.sha else {}),
    }


def branch(forge: Forge, repository: Repository, name: str, sha: str, *, is_protected: bool) -> dict[str, Any]:
    """A branch in a list."""
    return {
        "name": name,
        "commit": {"sha": sha, "url": f"{url(forge, repository)}/commits/{sha}"},
        "protected": is_protected,
    }


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path)
