"""Files by their path: what an edit in the browser does."""

from __future__ import annotations

import base64

from rehearsal.forge import heads, pulls
from rehearsal.forge.git import Entry
from rehearsal.forge.http import Answer, Ask
from rehearsal.forge.refusal import Refusal, not_found
from rehearsal.forge.routes.git_data import decoded, person, wants_raw
from rehearsal.forge.routes.route import Route
from rehearsal.forge.shapes import commits


def _get(ask: Ask) -> Answer:
    name = ask.query.get("ref") or ask.repository.default_branch
    commit, path = ask.git.resolve(name), ask.params.get("path", "").strip("/")
    if commit is None:
        raise Refusal(404, f"No commit found for the ref {name}" if "ref" in ask.query else "This repository is empty.")
    entry = ask.git.entry(commit, path)
    if entry is None or entry.sha is None:
        raise not_found()
    if entry.type == "tree":
        return Answer(200, _directory(ask, entry.sha, path, name))
    content = ask.git.blob(entry.sha)
    if wants_raw(ask):
        return Answer(200, content, {"Content-Type": "application/vnd.github.raw+json; charset=utf-8"})
    shape = commits.content(ask.forge, ask.repository, ask.git, entry, name)
    return Answer(200, {**shape, "content": base64.encodebytes(content).decode(), "encoding": "base64"})


def _directory(ask: Ask, tree: str, path: str, name: str) -> list[dict[str, object]]:
    prefix = f"{path}/" if path else ""
    entries = [Entry(prefix + one.path, one.mode, one.type, one.sha, one.size) for one in ask.git.tree(tree)]
    return [commits.content(ask.forge, ask.repository, ask.git, one, name) for one in entries]


def _put(ask: Ask) -> Answer:
    message, text = ask.need("message", str, "Content"), ask.need("content", str, "Content")
    blob, old = ask.git.write_blob(decoded(text)), _old(ask)
    given = ask.body.get("sha")
    if old and given is None:
        raise Refusal(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if given is not None and (old is None or old.sha != given):
        raise Refusal(409, f"{ask.params['path']} does not match {given}")
    sha = _commit(ask, Entry(ask.params["path"], old.mode if old else "100644", "blob", blob), message)
    entry = ask.git.entry(sha, ask.params["path"])
    shape = commits.content(ask.forge, ask.repository, ask.git, entry, _branch(ask)) if entry else None
    return Answer(200 if old else 201, {"content": shape, "commit": _shape(ask, sha)})


def _delete(ask: Ask) -> Answer:
    body = {**ask.query, **ask.body}
    old = _old(ask)
    if old is None:
        raise not_found()
    if not body.get("sha") or not body.get("message"):
        raise Refusal(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if body["sha"] != old.sha:
        raise Refusal(409, f"{ask.params['path']} does not match {body['sha']}")
    sha = _commit(ask, Entry(ask.params["path"], old.mode, "blob", None), body["message"])
    return Answer(200, {"content": None, "commit": _shape(ask, sha)})


def _branch(ask: Ask) -> str:
    return str(ask.body.get("branch") or ask.query.get("branch") or ask.repository.default_branch)


def _old(ask: Ask) -> Entry | None:
    head = ask.git.branch(_branch(ask))
    if head is None:
        if ask.git.refs("refs/heads/"):
            raise Refusal(404, f"Branch {_branch(ask)} not found")
        return None
    return ask.git.entry(head, ask.params["path"])


def _commit(ask: Ask, entry: Entry, message: str) -> str:
    head = ask.git.branch(_branch(ask))
    tree = ask.git.write_tree(head, [entry])
    author = person(ask.body.get("author")) or pulls.author(ask.forge, ask.login)
    committer = person(ask.body.get("committer")) or author
    sha = ask.git.write_commit(tree, [head] if head else [], message, author, committer)
    try:
        heads.move(ask.forge, ask.repository, f"refs/heads/{_branch(ask)}", sha, ask.actor)
    except Refusal as refusal:  # the contents API tells broken rules as a conflict
        raise Refusal(409 if refusal.status == 422 else refusal.status, refusal.message) from refusal
    return sha


def _shape(ask: Ask, sha: str) -> dict[str, object]:
    return commits.git_commit(ask.forge, ask.repository, ask.git.commit(sha))


ROUTES = (
    Route("GET", "/repos/{owner}/{repo}/contents/{path}", _get, "contents:read"),
    Route("PUT", "/repos/{owner}/{repo}/contents/{path}", _put, "contents:write"),
    Route("DELETE", "/repos/{owner}/{repo}/contents/{path}", _delete, "contents:write"),
)
