"""Which commit GitHub would take for an event: where workflows are read from, and what jobs see as GITHUB_SHA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ratchet.errors import RatchetError
from rehearsal.forge import Event, Forge, Repository
from rehearsal.forge.git import ZERO, Git, GitError, Person
from rehearsal.runner import workflow
from rehearsal.runner.workflow import Workflow

_OF_THE_EVENT = ("push", "workflow_dispatch", "create", "release")


@dataclass(frozen=True)
class Source:
    """A commit, the ref that it is known by, and the head of the pull request if there is one."""

    git: Git
    sha: str
    ref: str
    head: str

    def read(self, path: str) -> bytes | None:
        """A file of the commit."""
        return self.git.read(self.sha, path)


@dataclass(frozen=True)
class Unreadable:
    """A workflow file that GitHub would refuse."""

    path: str
    reason: str


def find(forge: Forge, event: Event) -> Source | None:
    """What the event runs on; None where GitHub runs nothing: deleted refs, and pull requests that do not merge."""
    repository = forge.repository(event.repository)
    git = forge.git(repository)
    if event.name == "pull_request":
        pull = event.payload["pull_request"]
        sha = merged(git, pull["number"], pull["base"]["sha"], pull["head"]["sha"])
        return Source(git, sha, f"refs/pull/{pull['number']}/merge", pull["head"]["sha"]) if sha else None
    if event.name in _OF_THE_EVENT:
        found = git.resolve(event.sha) if event.sha != ZERO else None
        return Source(git, found, event.ref, found) if found else None
    sha = git.branch(repository.default_branch)
    return Source(git, sha, f"refs/heads/{repository.default_branch}", sha) if sha else None


def merged(git: Git, number: int, base: str, head: str) -> str | None:
    """The commit that merges a pull request, as `refs/pull/N/merge`; None when it conflicts. Always the same one."""
    tree = git.merge(base, head)
    if tree is None:
        return None
    by = Person("forge", "noreply@localhost", git.commit(head).committer.date)
    sha = git.write_commit(tree, [base, head], f"Merge {head} into {base}", by)
    git.update_ref(f"refs/pull/{number}/merge", sha)
    return sha


def workflows(found: Source, known: dict[str, Workflow | Unreadable]) -> list[Workflow | Unreadable]:
    """The workflow files of a commit.

    Args:
        found: The commit.
        known: What was read before, by path and blob; added to.
    """
    try:
        entries = found.git.tree(f"{found.sha}:{workflow.FOLDER}")
    except GitError:
        return []
    read = []
    for entry in entries:
        if entry.type != "blob" or not entry.path.endswith((".yml", ".yaml")):
            continue
        path, key = f"{workflow.FOLDER}/{entry.path}", f"{entry.path}:{entry.sha}"
        if key not in known:
            known[key] = _parsed(path, found.git.blob(str(entry.sha)))
        read.append(known[key])
    return read


def changed(found: Source, event: Event, repository: Repository) -> Sequence[str]:
    """The files that a push or a pull request changes."""
    if event.name == "push":
        before = event.payload.get("before", ZERO)
        base = before if before != ZERO else found.git.merge_base(repository.default_branch, found.sha)
    else:
        base = found.git.merge_base(event.payload["pull_request"]["base"]["sha"], found.head)
    listing = (
        ["diff", "--name-only", "-z", base, found.head] if base else ["ls-tree", "-r", "--name-only", "-z", found.head]
    )
    return [name for name in found.git.run(*listing).decode(errors="replace").split("\0") if name]


def remote_actions(found: Source, path: str, others: Sequence[str]) -> list[str]:
    """Every `owner/name…@ref` that a workflow uses, itself or through composite actions of the repository.

    Args:
        found: The commit of the workflow.
        path: Of the workflow.
        others: More commits that its jobs may check out.

    Raises:
        RatchetError: One of the files is no YAML.
    """
    text = found.read(path) or b""
    wanted: dict[str, None] = {}
    for used in workflow.uses(workflow.read_yaml(text, path)):
        if used.startswith("./"):
            for commit in dict.fromkeys([found.sha, *others]):
                _inside(found.git, commit, used, wanted, depth=0)
        else:
            wanted[used] = None
    return list(wanted)


def _inside(git: Git, commit: str, used: str, wanted: dict[str, None], *, depth: int) -> None:
    if depth > 5:
        return
    folder = str(PurePosixPath(used))
    for name in ("action.yml", "action.yaml"):
        text = git.read(commit, f"{folder}/{name}")
        if text is None:
            continue
        for inner in workflow.uses(workflow.read_yaml(text, f"{folder}/{name}").get("runs")):
            if inner.startswith("./"):
                _inside(git, commit, inner, wanted, depth=depth + 1)
            else:
                wanted[inner] = None


def _parsed(path: str, text: bytes) -> Workflow | Unreadable:
    try:
        return workflow.parse(path, text)
    except RatchetError as error:
        return Unreadable(path, str(error))


def extract(found: Source, path: str, tree: Path) -> None:
    """Write the workflow file where act reads it."""
    target = tree / path
    target.parent.mkdir(parents=True)
    target.write_bytes(found.read(path) or b"")


def github(event: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The `github` context before a job starts."""
    return {"event": event, **facts}
