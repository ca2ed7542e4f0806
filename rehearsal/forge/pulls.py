"""Pull requests: opened, following their branch, mergeable or not, merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rehearsal.forge import access, events, heads, rules
from rehearsal.forge.access import Actor
from rehearsal.forge.git import Git, Person
from rehearsal.forge.refusal import Refusal, invalid
from rehearsal.forge.rules import Check
from rehearsal.forge.state import BOT, Pull, Repository, now

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge

NOREPLY = "users.noreply.github.com"


@dataclass(frozen=True)
class Proposal:
    """What somebody wants to open: `head` is `branch` or `owner:branch`."""

    title: str
    head: str
    base: str
    body: str = ""
    is_draft: bool = False


@dataclass(frozen=True)
class Merge:
    """How to merge: `method` is merge, squash or rebase; `sha` is what the head must be."""

    method: str = "merge"
    sha: str | None = None
    title: str | None = None
    message: str | None = None


def author(forge: Forge, login: str) -> Person:
    """How a user signs a commit."""
    user = forge.state.user(login)
    return Person(login, f"{user.id}+{login}@{NOREPLY}")


# Opening.


def open_pull(forge: Forge, repository: Repository, proposal: Proposal, actor: Actor) -> Pull:
    """Open a pull request.

    Raises:
        Refusal: 422 when a branch is missing, there is nothing between them, or there is one already; 403 when a
            workflow opens it and the repository's settings do not allow that.
    """
    if actor.is_workflow and not repository.settings.actions_may_open_pulls:
        raise Refusal(403, "GitHub Actions is not permitted to create or approve pull requests.")
    source, branch = _head(forge, repository, proposal.head)
    head, base = forge.git(source).branch(branch), forge.git(repository).branch(proposal.base)
    if head is None:
        raise invalid("PullRequest", "head")
    if base is None:
        raise invalid("PullRequest", "base")
    _refuse_duplicate(forge, repository, source, branch, proposal.base)
    state, git = forge.state, forge.git(repository)
    number = repository.next_number
    git.fetch(source.git, head, f"refs/pull/{number}/head")
    if not git.count(head, base):
        git.update_ref(f"refs/pull/{number}/head", None)
        message = f"No commits between {proposal.base} and {branch}"
        raise Refusal(422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": message}])
    repository.next_number += 1
    names = (source.full_name, branch, head, proposal.base, base)
    pull = Pull(state.new_id(), repository.full_name, number, proposal.title, proposal.body, actor.login, *names)
    pull.draft = proposal.is_draft
    state.pulls.append(pull)
    forge.emit(events.pull_request(forge, pull, "opened", actor.login), actor)
    return pull


def _head(forge: Forge, repository: Repository, head: str) -> tuple[Repository, str]:
    owner, colon, branch = head.rpartition(":")
    if not colon or owner == repository.owner:
        return repository, branch
    full_name = {repository.full_name, repository.fork_of}
    for one in forge.state.repositories:
        if one.owner == owner and (one.fork_of in full_name or one.full_name in full_name):
            return one, branch
    raise invalid("PullRequest", "head")


def _refuse_duplicate(forge: Forge, repository: Repository, source: Repository, branch: str, base: str) -> None:
    for pull in forge.pulls(repository):
        same = (pull.head_repository, pull.head_ref, pull.base_ref) == (source.full_name, branch, base)
        if same and pull.state == "open":
            message = f"A pull request already exists for {source.owner}:{branch}."
            raise Refusal(422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": message}])


# Following.


def follow(forge: Forge, repository: Repository, branch: str, sha: str | None, actor: Actor) -> None:
    """A branch has moved: pull requests from it have a new head; those into it may be merged by that."""
    for pull in [one for one in forge.state.pulls if one.state == "open"]:
        if (pull.head_repository, pull.head_ref) == (repository.full_name, branch):
            _new_head(forge, pull, sha, actor)
        elif (pull.repository, pull.base_ref) == (repository.full_name, branch) and sha:
            _new_base(forge, pull, sha, actor)


def _new_head(forge: Forge, pull: Pull, sha: str | None, actor: Actor) -> None:
    if sha is None:
        close(forge, pull, actor)
        return
    before, git = pull.head_sha, forge.git(pull.repository)
    git.fetch(forge.git(pull.head_repository).path, sha, f"refs/pull/{pull.number}/head")
    pull.head_sha, pull.updated_at = sha, now()
    pull.base_sha = git.branch(pull.base_ref) or pull.base_sha
    forge.emit(events.pull_request(forge, pull, "synchronize", actor.login, {"before": before, "after": sha}), actor)


def _new_base(forge: Forge, pull: Pull, sha: str, actor: Actor) -> None:
    if forge.git(pull.repository).is_ancestor(pull.head_sha, sha):
        _merged(forge, pull, sha, actor)


def close(forge: Forge, pull: Pull, actor: Actor) -> None:
    """Close it unmerged."""
    pull.state, pull.closed_at, pull.updated_at = "closed", now(), now()
    forge.emit(events.pull_request(forge, pull, "closed", actor.login), actor)


def reopen(forge: Forge, pull: Pull, actor: Actor) -> None:
    """Open it again.

    Raises:
        Refusal: 422, its branch is gone or it is merged.
    """
    head = forge.git(pull.head_repository).branch(pull.head_ref)
    if head is None or pull.merged:
        raise Refusal(422, "Validation Failed", [{"resource": "PullRequest", "code": "invalid", "field": "state"}])
    forge.git(pull.repository).fetch(forge.git(pull.head_repository).path, head, f"refs/pull/{pull.number}/head")
    pull.state, pull.closed_at, pull.head_sha, pull.updated_at = "open", None, head, now()
    forge.emit(events.pull_request(forge, pull, "reopened", actor.login), actor)


# Mergeable?


def checks(forge: Forge, repository: Repository, ref: str, sha: str) -> list[Check]:
    """What a commit has under each name that the rules of a branch require."""
    held = rules.rules_of(repository.rulesets, f"refs/heads/{ref}", repository.default_branch)
    own = rules.of_actions(held)
    return [
        Check(name, _state_of(forge, repository, (sha, name), BOT if name in own else None))
        for name in rules.required_checks(held)
    ]


def _state_of(forge: Forge, repository: Repository, key: tuple[str, str], creator: str | None) -> str:
    """State of a name on a commit; of statuses, only those of one creator may count."""
    sha, name = key
    found, wanted = [], (repository.full_name, sha, name)
    statuses = [one for one in forge.state.statuses if (one.repository, one.sha, one.context) == wanted]
    counted = [one for one in statuses if creator in {None, one.creator}]
    if counted:
        found.append({"success": "success", "pending": "pending"}.get(counted[-1].state, "failing"))
    runs = [one for one in forge.state.check_runs_of(repository.full_name, sha) if one.name == name]
    checked = [one for one in runs if one.counts_for_pull]
    if checked:
        last = checked[-1]
        done = "success" if last.conclusion in {"success", "neutral", "skipped"} else "failing"
        found.append(done if last.status == "completed" else "pending")
    for state in ("failing", "pending", "success"):
        if state in found:
            return state
    return "expected"


def conflicts(forge: Forge, pull: Pull) -> bool:
    """A three-way merge with the branch it wants to change has no clean result."""
    git = forge.git(pull.repository)
    base = git.branch(pull.base_ref)
    return base is None or git.merge(base, pull.head_sha) is None


def is_behind(forge: Forge, pull: Pull) -> bool:
    """The branch it wants to change has commits that it has not."""
    git = forge.git(pull.repository)
    base = git.branch(pull.base_ref)
    return base is not None and not git.is_ancestor(base, pull.head_sha)


def blockers(forge: Forge, pull: Pull) -> list[str]:
    """Why it cannot be merged, in GitHub's words; empty when it can."""
    if pull.state != "open":
        return ["Pull Request is not mergeable" if not pull.merged else "Pull Request has already been merged"]
    if pull.draft:
        return ["Pull Request is still a draft"]
    if conflicts(forge, pull):
        return ["Pull Request is not mergeable"]
    return rule_blockers(forge, pull)


def rule_blockers(forge: Forge, pull: Pull) -> list[str]:
    """Which rules keep it from being merged."""
    repository = forge.repository(pull.repository)
    held = rules.rules_of(repository.rulesets, f"refs/heads/{pull.base_ref}", repository.default_branch)
    late = rules.is_strict(held) and is_behind(forge, pull)
    found = checks(forge, repository, pull.base_ref, pull.head_sha)
    return [*rules.check_violations(found, is_behind=late), *rules.unplayed(held)]


def mergeable_state(forge: Forge, pull: Pull) -> str:
    """GitHub's word for it: clean, dirty, behind, blocked, unstable, draft or unknown."""
    if pull.state != "open":
        return "unknown"
    if pull.draft:
        return "draft"
    if conflicts(forge, pull):
        return "dirty"
    if rule_blockers(forge, pull):
        return _blocked_state(forge, pull)
    statuses = forge.state.statuses_of(pull.repository, pull.head_sha).values()
    runs = forge.state.check_runs_of(pull.repository, pull.head_sha)
    is_bad = any(one.state != "success" for one in statuses)
    is_bad |= any(one.conclusion not in {"success", "neutral", "skipped"} for one in runs)
    return "unstable" if is_bad else "clean"


def _blocked_state(forge: Forge, pull: Pull) -> str:
    repository = forge.repository(pull.repository)
    states = [check.state for check in checks(forge, repository, pull.base_ref, pull.head_sha)]
    held = rules.rules_of(repository.rulesets, f"refs/heads/{pull.base_ref}", repository.default_branch)
    return "behind" if set(states) <= {"success"} and not rules.unplayed(held) else "blocked"


# Merging.


def merge(forge: Forge, pull: Pull, how: Merge, actor: Actor) -> str:
    """Merge it; the new head of the branch it wanted to change.

    Raises:
        Refusal: 405 when it may not or cannot be merged, 409 when its head is not `how.sha`.
    """
    repository = forge.repository(pull.repository)
    _refuse_method(repository, pull, how.method)
    if how.sha and how.sha != pull.head_sha:
        raise Refusal(409, "Head branch was modified. Review and try the merge again.")
    _refuse_blocked(forge, repository, pull, actor)
    git = forge.git(repository)
    base = git.branch(pull.base_ref)
    if base is None:
        raise Refusal(404, "Base does not exist")
    new = _METHODS[how.method](forge, git, pull, base, how, actor)
    heads.refuse_workflows(forge, repository, base, new, actor)
    git.update_ref(f"refs/heads/{pull.base_ref}", new, base)
    _merged(forge, pull, new, actor)
    heads.moved(forge, repository, {f"refs/heads/{pull.base_ref}": (base, new)}, actor)
    if repository.settings.delete_branch_on_merge and not pull.is_fork:
        heads.move(forge, repository, f"refs/heads/{pull.head_ref}", None, actor)
    return new


def _refuse_method(repository: Repository, pull: Pull, method: str) -> None:
    settings = repository.settings
    allowed = {
        "merge": settings.allow_merge_commit,
        "squash": settings.allow_squash_merge,
        "rebase": settings.allow_rebase_merge,
    }
    if method not in allowed:
        raise invalid("PullRequest", "merge_method")
    if not allowed[method]:
        name = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}[method]
        raise Refusal(405, f"{name} are not allowed on this repository.")
    held = rules.rules_of(repository.rulesets, f"refs/heads/{pull.base_ref}", repository.default_branch)
    if method not in rules.allowed_methods(held):
        message = f"The merge method {method} is not allowed for this branch."
        raise Refusal(405, f"{rules.PREFIX}{message}\n\n")


def _refuse_blocked(forge: Forge, repository: Repository, pull: Pull, actor: Actor) -> None:
    if pull.state != "open" or pull.draft or conflicts(forge, pull):
        raise Refusal(405, blockers(forge, pull)[0])
    who = access.standing(forge.state, repository, actor)
    ref = f"refs/heads/{pull.base_ref}"
    held = rules.rules_of(repository.rulesets, ref, repository.default_branch, who, merging=True)
    found = rule_blockers(forge, pull) if rules.required_checks(held) or rules.unplayed(held) else []
    if found:
        raise Refusal(405, rules.PREFIX + "\n\n".join(found) + "\n\n")


def _merge_commit(forge: Forge, git: Git, pull: Pull, base: str, how: Merge, actor: Actor) -> str:
    owner = pull.head_repository.split("/")[0]
    title = how.title or f"Merge pull request #{pull.number} from {owner}/{pull.head_ref}"
    message = pull.title if how.message is None else how.message
    tree = _clean(git.merge(base, pull.head_sha))
    return git.write_commit(tree, [base, pull.head_sha], _text(title, message), author(forge, actor.login))


def _squash(forge: Forge, git: Git, pull: Pull, base: str, how: Merge, actor: Actor) -> str:
    commits = list(reversed(git.log(pull.head_sha, base)))
    title = how.title or f"{commits[0].title if len(commits) == 1 else pull.title} (#{pull.number})"
    bodies = [commit.message.partition("\n\n")[2] for commit in commits]
    listed = bodies[0] if len(commits) == 1 else "\n\n".join(f"* {commit.message}" for commit in commits)
    message = listed if how.message is None else how.message
    tree = _clean(git.merge(base, pull.head_sha))
    by = author(forge, pull.user)
    return git.write_commit(tree, [base], _text(title, message), by, author(forge, actor.login))


def _rebase(forge: Forge, git: Git, pull: Pull, base: str, how: Merge, actor: Actor) -> str:  # noqa: ARG001
    tip = base
    for commit in reversed(git.log(pull.head_sha, base)):
        if len(commit.parents) > 1:
            continue
        tree = _clean(git.pick(commit, tip))
        tip = git.write_commit(tree, [tip], commit.message, commit.author, author(forge, actor.login))
    return tip


_METHODS = {"merge": _merge_commit, "squash": _squash, "rebase": _rebase}


def _clean(tree: str | None) -> str:
    if tree is None:
        raise Refusal(405, "Pull Request is not mergeable")
    return tree


def _text(title: str, message: str) -> str:
    return f"{title}\n\n{message}".strip() + "\n"


def _merged(forge: Forge, pull: Pull, sha: str, actor: Actor) -> None:
    at = now()
    pull.state, pull.merged, pull.merged_by, pull.merge_commit_sha = "closed", True, actor.login, sha
    pull.closed_at = pull.merged_at = pull.updated_at = at
    forge.emit(events.pull_request(forge, pull, "closed", actor.login), actor)


def update_branch(forge: Forge, pull: Pull, expected: str | None, actor: Actor) -> None:
    """Merge the base into the head branch, as the button "Update branch" does.

    Raises:
        Refusal: 422 when the head moved, it conflicts, or there is nothing to do.
    """
    if expected and expected != pull.head_sha:
        raise Refusal(422, "expected head sha didn't match current head ref.")
    git = forge.git(pull.repository)
    base = git.branch(pull.base_ref)
    if base is None or not is_behind(forge, pull):
        raise Refusal(422, "There are no new commits on the base branch.")
    source = forge.repository(pull.head_repository)
    forge.git(source).fetch(git.path, base, "refs/forge/base")
    tree = forge.git(source).merge(pull.head_sha, base)
    if tree is None:
        raise Refusal(422, "merge conflict between base and head")
    message = f"Merge branch '{pull.base_ref}' into {pull.head_ref}\n"
    new = forge.git(source).write_commit(tree, [pull.head_sha, base], message, author(forge, actor.login))
    heads.move(forge, source, f"refs/heads/{pull.head_ref}", new, actor)
