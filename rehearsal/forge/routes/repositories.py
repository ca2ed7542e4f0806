"""Repositories: themselves, branches, tags, forks, collaborators, archives, comparisons, dispatches, settings."""

from __future__ import annotations

from rehearsal.forge import access, downloads, events, heads, pulls, rules
from rehearsal.forge.git import Commit
from rehearsal.forge.http import Answer, Ask, page
from rehearsal.forge.refusal import Refusal, invalid, not_found
from rehearsal.forge.routes.route import Route
from rehearsal.forge.shapes import commits, people, repositories
from rehearsal.forge.shapes.releases import tag_of
from rehearsal.forge.state import now

_SETTINGS = ("allow_merge_commit", "allow_squash_merge", "allow_rebase_merge", "delete_branch_on_merge")


def _get(ask: Ask) -> Answer:
    return Answer(200, repositories.full(ask.forge, ask.repository, ask.actor))


def _edit(ask: Ask) -> Answer:
    repository, body = ask.repository, ask.body
    for name in _SETTINGS:
        if name in body:
            setattr(repository.settings, name, bool(body[name]))
    if "default_branch" in body:
        if ask.git.branch(body["default_branch"]) is None:
            raise invalid("Repository", "default_branch")
        repository.default_branch = body["default_branch"]
        ask.git.run("symbolic-ref", "HEAD", f"refs/heads/{repository.default_branch}")
    repository.description = body.get("description", repository.description) or ""
    repository.private = bool(body.get("private", repository.private))
    return _get(ask)


def _create(ask: Ask) -> Answer:
    if ask.actor.is_workflow:
        raise Refusal(403, "Resource not accessible by integration")
    if ask.actor.token and ask.actor.token.role == "read":
        raise Refusal(403, "Resource not accessible by personal access token")
    name = ask.need("name", str, "Repository")
    made = ask.forge.create_repository(f"{ask.login}/{name}", private=bool(ask.body.get("private")))
    return Answer(201, repositories.full(ask.forge, made, ask.actor))


def _fork(ask: Ask) -> Answer:
    if ask.login == ask.repository.owner:
        raise Refusal(403, "You cannot fork your own repository.")
    made = ask.forge.fork(ask.repository.full_name, ask.login)
    return Answer(202, repositories.full(ask.forge, made, ask.actor))


def _forks(ask: Ask) -> Answer:
    found = [one for one in ask.forge.state.repositories if one.fork_of == ask.repository.full_name]
    return page(ask, found, lambda one: repositories.minimal(ask.forge, one))


def _is_protected(ask: Ask, name: str) -> bool:
    return bool(rules.rules_of(ask.repository.rulesets, f"refs/heads/{name}", ask.repository.default_branch))


def _branches(ask: Ask) -> Answer:
    found = ask.git.refs("refs/heads/")
    listed = [(name.removeprefix("refs/heads/"), sha) for name, sha in found.items()]

    def shape(one: tuple[str, str]) -> dict[str, object]:
        return commits.branch(ask.forge, ask.repository, *one, is_protected=_is_protected(ask, one[0]))

    return page(ask, listed, shape)


def _branch(ask: Ask) -> Answer:
    name, sha = ask.params["branch"], ask.git.branch(ask.params["branch"])
    if sha is None:
        raise Refusal(404, "Branch not found")
    own = f"{repositories.url(ask.forge, ask.repository)}/branches/{name}"
    is_protected = _is_protected(ask, name)
    held = rules.rules_of(ask.repository.rulesets, f"refs/heads/{name}", ask.repository.default_branch)
    required = rules.required_checks(held)
    return Answer(
        200,
        {
            "name": name,
            "commit": commits.commit_of(ask.forge, ask.repository, ask.git.commit(sha)),
            "_links": {"self": own, "html": f"{repositories.html(ask.forge, ask.repository)}/tree/{name}"},
            "protected": is_protected,
            "protection": {
                "enabled": is_protected,
                "required_status_checks": {"enforcement_level": "off", "contexts": required, "checks": []},
            },
            "protection_url": f"{own}/protection",
        },
    )


def _tags(ask: Ask) -> Answer:
    found = [(name.removeprefix("refs/tags/"), name) for name in ask.git.refs("refs/tags/")][::-1]
    return page(ask, found, lambda one: tag_of(ask.forge, ask.repository, one[0], ask.git.resolve(one[1]) or ""))


def _commit_named(ask: Ask, name: str) -> Commit:
    sha = ask.git.resolve(name)
    if sha is None:
        raise Refusal(422, f"No commit found for SHA: {name}")
    return ask.git.commit(sha)


def _commits(ask: Ask) -> Answer:
    start = ask.query.get("sha") or ask.repository.default_branch
    sha = ask.git.resolve(start)
    if sha is None:
        if not ask.git.refs("refs/heads/"):
            raise Refusal(409, "Git Repository is empty.")
        raise not_found()
    found = ask.git.log(sha, limit=1000, path=ask.query.get("path", ""))
    return page(ask, found, lambda one: commits.commit_of(ask.forge, ask.repository, one))


def _commit(ask: Ask) -> Answer:
    commit = _commit_named(ask, ask.params["ref"])
    files = ask.git.diff(commit.parents[0] if commit.parents else ask.git.empty_tree(), commit.sha)
    return Answer(200, commits.detailed(ask.forge, ask.repository, commit, files))


def _compare(ask: Ask) -> Answer:
    base_name, dots, head_name = ask.params["basehead"].partition("...")
    base, head = _side(ask, base_name), _side(ask, head_name)
    git, root = ask.git, repositories.url(ask.forge, ask.repository)
    page_url = repositories.html(ask.forge, ask.repository)
    merge_base = git.merge_base(base, head) if dots and base and head else None
    if base is None or head is None or merge_base is None:
        raise not_found()
    ahead, behind = git.count(head, base), git.count(base, head)
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    between = f"{page_url}/compare/{base_name}...{head_name}"

    def shape(one: Commit) -> dict[str, object]:
        return commits.commit_of(ask.forge, ask.repository, one)

    return Answer(
        200,
        {
            "url": f"{root}/compare/{base_name}...{head_name}",
            "html_url": between,
            "permalink_url": f"{page_url}/compare/{base[:7]}...{head[:7]}",
            "diff_url": f"{between}.diff",
            "patch_url": f"{between}.patch",
            "base_commit": shape(git.commit(base)),
            "merge_base_commit": shape(git.commit(merge_base)),
            "status": status,
            "ahead_by": ahead,
            "behind_by": behind,
            "total_commits": ahead,
            "commits": [shape(one) for one in reversed(git.log(head, base))],
            "files": [commits.diff_entry(ask.forge, ask.repository, one, head) for one in git.diff(merge_base, head)],
        },
    )


def _side(ask: Ask, name: str) -> str | None:
    """A commit by its name; `owner:branch` is that of a fork."""
    owner, colon, branch = name.rpartition(":")
    if not colon or owner == ask.repository.owner:
        return ask.git.resolve(branch)
    for one in ask.forge.state.repositories:
        if one.owner == owner and one.fork_of == ask.repository.full_name:
            sha = ask.forge.git(one).resolve(branch)
            if sha:
                ask.git.fetch(one.git, sha, f"refs/forge/{owner}")
            return sha
    return None


def _archive(kind: str, ask: Ask) -> Answer:
    sha = ask.git.resolve(ask.params.get("ref") or ask.repository.default_branch)
    if sha is None:
        raise not_found()
    return Answer(302, b"", {"Location": downloads.address_of_archive(ask.forge, ask.repository, sha, kind)})


def _tarball(ask: Ask) -> Answer:
    return _archive("tar.gz", ask)


def _zipball(ask: Ask) -> Answer:
    return _archive("zip", ask)


def _collaborators(ask: Ask) -> Answer:
    repository = ask.repository
    roles = {repository.owner: "admin", **repository.collaborators}

    def shape(one: tuple[str, str]) -> dict[str, object]:
        login, held = one
        names = ("pull", "triage", "push", "maintain", "admin")
        least = ("read", "write", "write", "admin", "admin")
        may = {name: access.reaches(held, need) for name, need in zip(names, least, strict=True)}
        return {**people.user(ask.forge, login), "permissions": may, "role_name": held}

    return page(ask, list(roles.items()), shape)


def _is_collaborator(ask: Ask) -> Answer:
    held = access.role_of(ask.forge.state, ask.repository, ask.params["username"])
    if not access.reaches(held, "write"):
        raise not_found()
    return Answer(204)


def _add_collaborator(ask: Ask) -> Answer:
    roles = {"pull": "read", "push": "write", "admin": "admin", "read": "read", "write": "write"}
    held = roles.get(ask.body.get("permission", "push"))
    if held is None:
        raise invalid("Repository", "permission")
    login, repository = ask.params["username"], ask.repository
    is_new = login not in repository.collaborators and login != repository.owner
    ask.forge.state.user(login)
    repository.collaborators[login] = held  # whoever is invited accepts at once
    if not is_new:
        return Answer(204)
    number = ask.forge.state.new_id()
    invitation = {
        "id": number,
        "node_id": people.node_id("RepositoryInvitation", number),
        "repository": repositories.minimal(ask.forge, repository),
        "invitee": people.user(ask.forge, login),
        "inviter": people.user(ask.forge, ask.login),
        "permissions": held,
        "created_at": now(),
        "expired": False,
        "url": f"{ask.forge.api}/user/repository_invitations/{number}",
        "html_url": f"{repositories.html(ask.forge, repository)}/invitations",
    }
    return Answer(201, invitation)


def _permission(ask: Ask) -> Answer:
    login = ask.params["username"]
    if all(user.login != login for user in ask.forge.state.users):
        raise not_found()
    held = access.role_of(ask.forge.state, ask.repository, login)
    person = {**people.user(ask.forge, login), "role_name": held}
    return Answer(200, {"permission": held, "role_name": held, "user": person})


def _dispatch(ask: Ask) -> Answer:
    kind = ask.need("event_type", str, "RepositoryDispatch")
    client = ask.body.get("client_payload") or {}
    ask.forge.emit(events.repository_dispatch(ask.forge, ask.repository, kind, client, ask.login), ask.actor)
    return Answer(204)


def _merge(ask: Ask) -> Answer:
    base, head = ask.need("base", str, "Merge"), ask.need("head", str, "Merge")
    git = ask.git
    old, new = git.branch(base), git.resolve(head)
    if old is None or new is None:
        raise Refusal(404, "Base does not exist" if old is None else "Head does not exist")
    if git.is_ancestor(new, old):
        return Answer(204)
    tree = git.merge(old, new)
    if tree is None:
        raise Refusal(409, "Merge conflict")
    message = ask.body.get("commit_message") or f"Merge {head} into {base}"
    made = git.write_commit(tree, [old, new], f"{message}\n", pulls.author(ask.forge, ask.login))
    heads.move(ask.forge, ask.repository, f"refs/heads/{base}", made, ask.actor)
    return Answer(201, commits.commit_of(ask.forge, ask.repository, git.commit(made)))


_CONTENTS = "contents:read"
ROUTES = (
    Route("GET", "/repos/{owner}/{repo}", _get),
    Route("PATCH", "/repos/{owner}/{repo}", _edit, "administration:write", "admin"),
    Route("POST", "/user/repos", _create, role="read"),
    Route("GET", "/repos/{owner}/{repo}/forks", _forks),
    Route("POST", "/repos/{owner}/{repo}/forks", _fork, "administration:write", "read"),
    Route("GET", "/repos/{owner}/{repo}/branches", _branches, _CONTENTS),
    Route("GET", "/repos/{owner}/{repo}/branches/{branch}", _branch, _CONTENTS),
    Route("GET", "/repos/{owner}/{repo}/tags", _tags),
    Route("GET", "/repos/{owner}/{repo}/commits", _commits, _CONTENTS),
    Route("GET", "/repos/{owner}/{repo}/commits/{ref}", _commit, _CONTENTS),
    Route("GET", "/repos/{owner}/{repo}/compare/{basehead}", _compare, _CONTENTS),
    Route("GET", "/repos/{owner}/{repo}/tarball/{ref}", _tarball, _CONTENTS),
    Route("GET", "/repos/{owner}/{repo}/zipball/{ref}", _zipball, _CONTENTS),
    Route("GET", "/repos/{owner}/{repo}/collaborators", _collaborators, role="write"),
    Route("GET", "/repos/{owner}/{repo}/collaborators/{username}", _is_collaborator, role="write"),
    Route("PUT", "/repos/{owner}/{repo}/collaborators/{username}", _add_collaborator, "administration:write", "admin"),
    Route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", _permission),
    Route("POST", "/repos/{owner}/{repo}/dispatches", _dispatch, "contents:write"),
    Route("POST", "/repos/{owner}/{repo}/merges", _merge, "contents:write"),
)
