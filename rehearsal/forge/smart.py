"""git over HTTP: `git http-backend` behind the forge's tokens and rules; a push moves pull requests and is told."""

from __future__ import annotations

import gzip
import re
import subprocess
from typing import TYPE_CHECKING

from rehearsal.forge import access, heads, rules
from rehearsal.forge.git import ZERO, clean_environment
from rehearsal.forge.http import Answer, Ask
from rehearsal.forge.refusal import Refusal

if TYPE_CHECKING:
    from rehearsal.forge.state import Repository

_PUSH = "git-receive-pack"


def answer(ask: Ask, method: str, path: str, query: str) -> Answer:
    """Answer git.

    Raises:
        Refusal: 401, 403 or 404, in the words that git shows to a person.
    """
    match = re.fullmatch(r"/([^/]+)/([^/]+)\.git(/.*)", path)
    if match is None:
        raise Refusal(404, "Not Found")
    is_push = path.endswith(f"/{_PUSH}") or f"service={_PUSH}" in query
    repository = _allowed(ask, f"{match[1]}/{match[2]}", is_push=is_push)
    env = {
        "GIT_PROJECT_ROOT": str(repository.git.parent),
        "PATH_INFO": f"/{repository.git.name}{match[3]}",
        "REQUEST_METHOD": method,
        "QUERY_STRING": query,
        "CONTENT_TYPE": ask.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(ask.raw)),
        "HTTP_CONTENT_ENCODING": ask.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": ask.headers.get("git-protocol", ""),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REMOTE_USER": ask.login,
        "REMOTE_ADDR": "127.0.0.1",
    }
    if method == "POST" and is_push:
        return _push(ask, repository, env)
    return _backend(env, ask.raw)


def refused(refusal: Refusal) -> Answer:
    """A refusal as git shows it."""
    message = "Invalid username or token." if refusal.status == 401 and "Bad" in refusal.message else refusal.message
    headers = {"Content-Type": "text/plain"}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="GitHub"'
    return Answer(refusal.status, f"{message}\n".encode(), headers)


def _allowed(ask: Ask, name: str, *, is_push: bool) -> Repository:
    found = ask.forge.state.repository(name)
    if ask.actor.token is None and (is_push or found is None or found.private):
        raise Refusal(401, "Authentication required")
    if found is None:
        raise Refusal(404, "Repository not found.")
    needs = ["contents:write" if is_push else "contents:read"]
    try:
        access.check(ask.forge.state, found, ask.actor, needs, "write" if is_push else "read")
    except Refusal as refusal:
        if refusal.status == 404:
            raise Refusal(404, "Repository not found.") from refusal
        raise Refusal(403, f"Permission to {found.full_name}.git denied to {ask.login}.") from refusal
    return found


def _push(ask: Ask, repository: Repository, env: dict[str, str]) -> Answer:
    with ask.forge.changing():
        git = ask.forge.git(repository)
        before = git.refs()
        reply = _backend({**env, **_rules(ask, repository, before)}, ask.raw)
        after = git.refs()
        names = [name for name in {**before, **after} if name.startswith(("refs/heads/", "refs/tags/"))]
        heads.moved(ask.forge, repository, {name: (before.get(name), after.get(name)) for name in names}, ask.actor)
        return reply


def _rules(ask: Ask, repository: Repository, before: dict[str, str]) -> dict[str, str]:
    """What the update hook has to know about this push."""
    who = access.standing(ask.forge.state, repository, ask.actor)
    refused_refs, forward = [], []
    for new, ref in commands(_plain(ask)):
        held = rules.rules_of(repository.rulesets, ref, repository.default_branch, who)
        is_gone, is_new = new == ZERO, ref not in before
        found = rules.push_violations(held, creates=is_new, deletes=is_gone, is_forward=True)
        lacks = heads.unchecked(ask.forge, repository, held, ref, None if is_new or is_gone else new)
        refused_refs += [f"{ref} {why}" for why in (*found, *lacks)][:1]
        if rules.push_violations(held, creates=is_new, deletes=is_gone, is_forward=False) != found:
            forward.append(ref)
    base = heads.default_head(ask.forge, repository) if ask.actor.is_workflow else "any"
    return {"FORGE_REFUSED": "\n".join(refused_refs), "FORGE_NO_FORCE": "\n".join(forward), "FORGE_WORKFLOWS": base}


def _plain(ask: Ask) -> bytes:
    return gzip.decompress(ask.raw) if ask.headers.get("content-encoding") == "gzip" else ask.raw


def commands(body: bytes) -> list[tuple[str, str]]:
    """What a push wants: pairs of the new SHA and the ref, from the head of its body (pkt-lines up to a flush)."""
    found, at = [], 0
    while at + 4 <= len(body):
        size = int(body[at : at + 4], 16)
        if size == 0:
            break
        line = body[at + 4 : at + size].split(b"\0", 1)[0].decode(errors="replace").strip()
        at += size
        parts = line.split(" ", 2)
        if len(parts) == 3:  # `shallow SHA` has two
            found.append((parts[1], parts[2]))
    return found


def _backend(env: dict[str, str], body: bytes) -> Answer:
    done = subprocess.run(
        ["git", "http-backend"], input=body, capture_output=True, env={**clean_environment(), **env}, check=False
    )
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    status = int(headers.pop("Status", "200").split()[0])
    if not headers:
        return Answer(500, done.stderr or b"git http-backend gave no answer\n", {"Content-Type": "text/plain"})
    return Answer(status, content, headers)
