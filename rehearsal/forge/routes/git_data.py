"""Git's own objects: blobs, trees, commits, tags, refs."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from rehearsal.forge import heads, pulls
from rehearsal.forge.git import Entry, GitError, Person
from rehearsal.forge.http import Answer, Ask
from rehearsal.forge.refusal import Refusal, not_found
from rehearsal.forge.routes.route import Route
from rehearsal.forge.shapes import commits, people, repositories

_MODES = {"100644": "blob", "100755": "blob", "120000": "blob", "040000": "tree", "160000": "commit"}
_RAW = ("application/vnd.github.raw", "application/vnd.github.v3.raw")


def wants_raw(ask: Ask) -> bool:
    """The bytes are asked for, not JSON."""
    return ask.headers.get("accept", "").startswith(_RAW)


def _refuse_empty(ask: Ask) -> None:
    if not ask.git.refs("refs/heads/"):
        raise Refusal(409, "Git Repository is empty.")


def _object(ask: Ask, sha: str, kind: str) -> str:
    _refuse_empty(ask)
    if ask.git.type_of(sha) != kind:
        raise not_found()
    return sha


def _get_blob(ask: Ask) -> Answer:
    sha = _object(ask, ask.params["file_sha"], "blob")
    content = ask.git.blob(sha)
    if wants_raw(ask):
        return Answer(200, content, {"Content-Type": "application/vnd.github.raw+json; charset=utf-8"})
    return Answer(200, commits.blob(ask.forge, ask.repository, sha, content))


def decoded(text: str) -> bytes:
    """Bytes from base64.

    Raises:
        Refusal: 422, it is none.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(422, "content is not valid Base64") from error


def _create_blob(ask: Ask) -> Answer:
    _refuse_empty(ask)
    text = ask.need("content", str, "Blob")
    content = decoded(text) if ask.body.get("encoding") == "base64" else text.encode()
    sha = ask.git.write_blob(content)
    return Answer(201, {"sha": sha, "url": f"{repositories.url(ask.forge, ask.repository)}/git/blobs/{sha}"})


def _get_tree(ask: Ask) -> Answer:
    _refuse_empty(ask)
    name = ask.params["tree_sha"]
    sha = ask.git.ref(f"{ask.git.resolve(name) or name}^{{tree}}")
    if sha is None:
        raise not_found()
    entries = ask.git.tree(sha, recursive="recursive" in ask.query)
    return Answer(200, commits.tree(ask.forge, ask.repository, sha, entries))


def _create_tree(ask: Ask) -> Answer:
    _refuse_empty(ask)
    base = ask.body.get("base_tree")
    entries = [_entry(ask, one) for one in ask.need("tree", list, "Tree")]
    if base and ask.git.ref(f"{base}^{{tree}}") is None:
        raise Refusal(422, "base_tree is not a valid tree oid")
    for entry in entries:
        if entry.sha is None and (base is None or ask.git.entry(base, entry.path) is None):
            raise Refusal(422, "GitRPC::BadObjectState")
    try:
        sha = ask.git.write_tree(base, entries)
    except GitError as error:
        raise Refusal(422, "GitRPC::BadObjectState") from error
    return Answer(201, commits.tree(ask.forge, ask.repository, sha, ask.git.tree(sha)))


def _entry(ask: Ask, one: Any) -> Entry:
    if not isinstance(one, dict) or not isinstance(one.get("path"), str) or one.get("mode") not in _MODES:
        raise Refusal(422, "Must supply a valid tree.mode")
    path, mode = one["path"], one["mode"]
    if "content" in one:
        return Entry(path, mode, "blob", ask.git.write_blob(one["content"].encode()))
    sha = one.get("sha")
    if sha is not None and ask.git.type_of(sha) != _MODES[mode]:
        raise Refusal(422, f"tree.sha {sha} is not a valid {_MODES[mode]}")
    if not path or path.startswith("/") or any(part in {"", ".", "..", ".git"} for part in path.split("/")):
        raise Refusal(422, "tree.path contains a malformed path component")
    return Entry(path, mode, _MODES[mode], sha)


def _get_commit(ask: Ask) -> Answer:
    sha = _object(ask, ask.params["commit_sha"], "commit")
    return Answer(200, commits.git_commit(ask.forge, ask.repository, ask.git.commit(sha)))


def person(value: Any) -> Person | None:
    """Who made a commit, as a body says it."""
    if not isinstance(value, dict):
        return None
    if "name" not in value or "email" not in value:
        raise Refusal(422, 'Invalid request.\n\n"name", "email" weren\'t supplied.')
    return Person(value["name"], value["email"], value.get("date"))


def _create_commit(ask: Ask) -> Answer:
    _refuse_empty(ask)
    message, tree = ask.need("message", str, "Commit"), ask.need("tree", str, "Commit")
    parents = ask.body.get("parents") or []
    if ask.git.type_of(tree) != "tree":
        raise Refusal(422, "Tree SHA does not exist")
    if any(ask.git.type_of(parent) != "commit" for parent in parents):
        raise Refusal(422, "Parent SHA does not exist or is not a commit object")
    author = person(ask.body.get("author")) or pulls.author(ask.forge, ask.login)
    committer = person(ask.body.get("committer")) or author
    sha = ask.git.write_commit(tree, parents, message, author, committer)
    return Answer(201, commits.git_commit(ask.forge, ask.repository, ask.git.commit(sha)))


def _tag_shape(ask: Ask, sha: str) -> dict[str, Any]:
    head, _, message = ask.git.run("cat-file", "tag", sha).decode(errors="replace").partition("\n\n")
    fields = dict(line.split(" ", 1) for line in head.splitlines())
    name, _, rest = fields["tagger"].partition(" <")
    root = repositories.url(ask.forge, ask.repository)
    target = {"sha": fields["object"], "type": fields["type"]}
    return {
        "node_id": people.node_id("Tag", sha),
        "tag": fields["tag"],
        "sha": sha,
        "url": f"{root}/git/tags/{sha}",
        "message": message.rstrip("\n"),
        "tagger": {"name": name, "email": rest.split(">")[0], "date": _date(rest)},
        "object": {**target, "url": f"{root}/git/{target['type']}s/{target['sha']}"},
        "verification": {
            "verified": False,
            "reason": "unsigned",
            "signature": None,
            "payload": None,
            "verified_at": None,
        },
    }


def _date(tagger: str) -> str:
    import datetime

    seconds = int(tagger.rpartition("> ")[2].split()[0])
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _get_tag(ask: Ask) -> Answer:
    return Answer(200, _tag_shape(ask, _object(ask, ask.params["tag_sha"], "tag")))


def _create_tag(ask: Ask) -> Answer:
    name, message = ask.need("tag", str, "Tag"), ask.need("message", str, "Tag")
    target, kind = ask.need("object", str, "Tag"), ask.need("type", str, "Tag")
    if ask.git.type_of(target) != kind:
        raise Refusal(422, f"Object {target} is not a {kind}")
    tagger = person(ask.body.get("tagger")) or pulls.author(ask.forge, ask.login)
    return Answer(201, _tag_shape(ask, ask.git.write_tag(name, target, kind, message, tagger)))


def _shape(ask: Ask, name: str, sha: str) -> dict[str, Any]:
    return commits.ref(ask.forge, ask.repository, name, sha, ask.git.type_of(sha) or "commit")


def _get_ref(ask: Ask) -> Answer:
    _refuse_empty(ask)
    name = f"refs/{ask.params['ref'].removeprefix('refs/')}"
    sha = ask.git.ref(name)
    if sha is None:
        raise not_found()
    return Answer(200, _shape(ask, name, sha))


def _matching(ask: Ask) -> Answer:
    prefix = f"refs/{ask.params['ref'].removeprefix('refs/')}"
    found = {name: sha for name, sha in ask.git.refs().items() if name.startswith(prefix)}
    return Answer(200, [_shape(ask, name, sha) for name, sha in found.items()])


def _create_ref(ask: Ask) -> Answer:
    _refuse_empty(ask)
    name, sha = ask.need("ref", str, "Reference"), ask.need("sha", str, "Reference")
    if not name.startswith("refs/") or name.count("/") < 2:
        raise Refusal(422, "Reference name must start with 'refs' and have at least two slashes")
    if ask.git.type_of(sha) is None:
        raise Refusal(422, "Object does not exist")
    if ask.git.ref(name):
        raise Refusal(422, "Reference already exists")
    heads.move(ask.forge, ask.repository, name, sha, ask.actor)
    return Answer(201, _shape(ask, name, sha))


def _update_ref(ask: Ask) -> Answer:
    name, sha = f"refs/{ask.params['ref']}", ask.need("sha", str, "Reference")
    _refuse_empty(ask)
    if ask.git.ref(name) is None:
        raise Refusal(422, "Reference does not exist")
    if ask.git.type_of(sha) is None:
        raise Refusal(422, "Object does not exist")
    heads.move(ask.forge, ask.repository, name, sha, ask.actor, is_forced=bool(ask.body.get("force")))
    return Answer(200, _shape(ask, name, sha))


def _delete_ref(ask: Ask) -> Answer:
    name = f"refs/{ask.params['ref']}"
    if ask.git.ref(name) is None:
        raise Refusal(422, "Reference does not exist")
    heads.move(ask.forge, ask.repository, name, None, ask.actor)
    return Answer(204)


_READ, _WRITE = "contents:read", "contents:write"
ROUTES = (
    Route("GET", "/repos/{owner}/{repo}/git/blobs/{file_sha}", _get_blob, _READ),
    Route("POST", "/repos/{owner}/{repo}/git/blobs", _create_blob, _WRITE),
    Route("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha}", _get_tree, _READ),
    Route("POST", "/repos/{owner}/{repo}/git/trees", _create_tree, _WRITE),
    Route("GET", "/repos/{owner}/{repo}/git/commits/{commit_sha}", _get_commit, _READ),
    Route("POST", "/repos/{owner}/{repo}/git/commits", _create_commit, _WRITE),
    Route("GET", "/repos/{owner}/{repo}/git/tags/{tag_sha}", _get_tag, _READ),
    Route("POST", "/repos/{owner}/{repo}/git/tags", _create_tag, _WRITE),
    Route("GET", "/repos/{owner}/{repo}/git/ref/{ref}", _get_ref, _READ),
    Route("GET", "/repos/{owner}/{repo}/git/matching-refs/{ref}", _matching, _READ),
    Route("POST", "/repos/{owner}/{repo}/git/refs", _create_ref, _WRITE),
    Route("PATCH", "/repos/{owner}/{repo}/git/refs/{ref}", _update_ref, _WRITE),
    Route("DELETE", "/repos/{owner}/{repo}/git/refs/{ref}", _delete_ref, _WRITE),
)
