"""A bare repository, through git's plumbing: nothing is ever checked out."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ZERO = "0" * 40
"""What git says where a ref is made or deleted."""

_HOOK = Path(__file__).parent / "update.sh"
_CONFIG = (
    ("http.receivepack", "true"),  # who may push is decided before git is asked
    ("receive.hideRefs", "refs/pull"),  # the forge alone writes the heads of pull requests
    ("transfer.hideRefs", "refs/forge"),
    ("uploadpack.allowAnySHA1InWant", "true"),
    ("uploadpack.allowFilter", "true"),
    ("gc.auto", "0"),
    ("core.logAllRefUpdates", "false"),
)


class GitError(Exception):
    """Git refused; the message is its own."""


@dataclass(frozen=True)
class Person:
    """Who made a commit, and when: ISO 8601, or None for now."""

    name: str
    email: str
    date: str | None = None


@dataclass(frozen=True)
class Commit:
    """A commit as it is stored."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str

    @property
    def title(self) -> str:
        """The first line of the message."""
        return self.message.split("\n", 1)[0]


@dataclass(frozen=True)
class Entry:
    """One line of a tree; `sha` is None where a new tree shall not have the path; `size` is that of a blob."""

    path: str
    mode: str
    type: str
    sha: str | None
    size: int | None = None


@dataclass(frozen=True)
class Changed:
    """A file that differs between two commits; without a `patch` it is binary."""

    path: str
    previous: str | None
    status: str
    sha: str
    additions: int
    deletions: int
    patch: str | None


class Git:
    """The git repository in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._commits: dict[str, Commit] = {}

    def create(self, default_branch: str) -> None:
        """Make an empty bare repository."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _run(["git", "init", "--quiet", "--bare", f"--initial-branch={default_branch}", str(self.path)])
        self._set_up()

    def clone_from(self, other: Path) -> None:
        """Become a copy of another repository: its branches and tags."""
        self.create("main")
        self.run("fetch", "--quiet", str(other), "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        self.run("symbolic-ref", "HEAD", Git(other).run("symbolic-ref", "HEAD").decode().strip())

    def _set_up(self) -> None:
        for key, value in _CONFIG:
            self.run("config", key, value)
        hook = self.path / "hooks" / "update"
        hook.parent.mkdir(exist_ok=True)
        shutil.copyfile(_HOOK, hook)
        hook.chmod(0o755)

    def run(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """The output of a git command.

        Raises:
            GitError: It failed.
        """
        return _run(["git", f"--git-dir={self.path}", *arguments], stdin, env)

    def refs(self, prefix: str = "") -> dict[str, str]:
        """Full names of refs to what they point at, sorted by name."""
        pattern = [prefix] if prefix else []
        lines = self.run("for-each-ref", "--format=%(refname) %(objectname)", *pattern).decode().splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def ref(self, name: str) -> str | None:
        """What the ref of this full name points at."""
        try:
            return self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name).decode().strip()
        except GitError:
            return None

    def branch(self, name: str) -> str | None:
        """The head of a branch."""
        return self.ref(f"refs/heads/{name}")

    def resolve(self, name: str) -> str | None:
        """The commit that a branch, a tag, a full ref or a SHA (also a short one) names."""
        for candidate in (f"refs/heads/{name}", f"refs/tags/{name}", name):
            found = self.ref(f"{candidate}^{{commit}}")
            if found:
                return found
        return None

    def type_of(self, sha: str) -> str | None:
        """blob, tree, commit or tag; None when there is no such object."""
        try:
            return self.run("cat-file", "-t", sha).decode().strip()
        except GitError:
            return None

    def update_ref(self, name: str, new: str | None, old: str | None = None) -> None:
        """Move a ref; None deletes it. `old` is what it must point at before.

        Raises:
            GitError: It points elsewhere.
        """
        if new is None:
            self.run("update-ref", "-d", name, *([old] if old else []))
        else:
            self.run("update-ref", name, new, *([old] if old else []))

    def is_ancestor(self, old: str, new: str) -> bool:
        """Moving from `old` to `new` loses no commit."""
        try:
            self.run("merge-base", "--is-ancestor", old, new)
        except GitError:
            return False
        return True

    def merge_base(self, one: str, other: str) -> str | None:
        """The newest commit that both have."""
        try:
            return self.run("merge-base", one, other).decode().strip()
        except GitError:
            return None

    def commit(self, sha: str) -> Commit:
        """A commit by its full SHA."""
        if sha not in self._commits:
            self._commits[sha] = _parse_commit(sha, self.run("cat-file", "commit", sha).decode(errors="replace"))
        return self._commits[sha]

    def log(self, include: str, exclude: str | None = None, *, limit: int = 250, path: str = "") -> list[Commit]:
        """Commits of `include` that `exclude` does not have, newest first."""
        span = [include, f"^{exclude}"] if exclude else [include]
        tail = ["--", path] if path else ["--"]
        names = self.run("rev-list", "--topo-order", f"--max-count={limit}", *span, *tail).decode().split()
        return [self.commit(name) for name in names]

    def count(self, include: str, exclude: str) -> int:
        """How many commits `include` has that `exclude` has not."""
        return int(self.run("rev-list", "--count", include, f"^{exclude}"))

    def tree(self, name: str, *, recursive: bool = False, path: str = "") -> list[Entry]:
        """The entries of a tree (or of the tree of a commit); recursive: with everything below, or below `path/`."""
        below = ["-r", "-t"] if recursive else []
        only = ["--", path] if path else []
        lines = self.run("ls-tree", "-z", "-l", *below, name, *only).decode(errors="replace").split("\0")
        return [_parse_entry(line) for line in lines if line]

    def entry(self, commit: str, path: str) -> Entry | None:
        """What a commit has at a path; the empty path is its root."""
        if not path:
            return Entry("", "040000", "tree", self.ref(f"{commit}^{{tree}}"))
        lines = self.run("ls-tree", "-z", "-l", commit, "--", path).decode(errors="replace").split("\0")
        return next((_parse_entry(line) for line in lines if line), None)

    def blob(self, sha: str) -> bytes:
        """The bytes of a blob."""
        return self.run("cat-file", "blob", sha)

    def read(self, commit: str, path: str) -> bytes | None:
        """The bytes of a file in a commit."""
        entry = self.entry(commit, path)
        return self.blob(entry.sha) if entry and entry.type == "blob" and entry.sha else None

    def write_blob(self, content: bytes) -> str:
        """Store bytes."""
        return self.run("hash-object", "-w", "--stdin", stdin=content).decode().strip()

    def write_tree(self, base: str | None, entries: Iterable[Entry]) -> str:
        """A tree: `base` (a tree or commit) with some paths changed, added or (sha None) removed.

        Raises:
            GitError: An object is missing, or a removed path was not there.
        """
        with tempfile.TemporaryDirectory(prefix="forge-index-") as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self.run("read-tree", *([base] if base else ["--empty"]), env=env)
            lines = []
            for entry in entries:
                if entry.type == "tree" and entry.sha:
                    self.run("read-tree", f"--prefix={entry.path}/", entry.sha, env=env)
                else:
                    lines.append(f"{entry.mode if entry.sha else '0'} {entry.sha or ZERO}\t{entry.path}\0")
            self.run("update-index", "-z", "--index-info", stdin="".join(lines).encode(), env=env)
            return self.run("write-tree", env=env).decode().strip()

    def write_commit(
        self, tree: str, parents: Sequence[str], message: str, author: Person, committer: Person | None = None
    ) -> str:
        """Store a commit; no ref moves."""
        by = committer or author
        env = {
            **_identity("AUTHOR", author),
            **_identity("COMMITTER", by),
        }
        flags = [flag for parent in parents for flag in ("-p", parent)]
        return self.run("commit-tree", tree, *flags, stdin=message.encode(), env=env).decode().strip()

    def write_tag(self, name: str, target: str, kind: str, message: str, tagger: Person) -> str:
        """Store an annotated tag; no ref is made."""
        stamp = self.run("var", "GIT_COMMITTER_IDENT", env=_identity("COMMITTER", tagger)).decode().strip()
        text = f"object {target}\ntype {kind}\ntag {name}\ntagger {stamp}\n\n{message}\n"
        return self.run("mktag", stdin=text.encode()).decode().strip()

    def empty_tree(self) -> str:
        """A tree without entries."""
        return self.run("hash-object", "-t", "tree", "-w", "--stdin").decode().strip()

    def merge(self, one: str, other: str) -> str | None:
        """The tree of a three-way merge, None when it conflicts."""
        try:
            out = self.run("merge-tree", "--write-tree", "--allow-unrelated-histories", one, other)
        except GitError:
            return None
        return out.decode().split("\n", 1)[0].strip()

    def pick(self, commit: Commit, onto: str) -> str | None:
        """The tree of `onto` with the change of one commit, None when it conflicts."""
        # git 2.39 cannot be told the base of a merge, so the target is dressed up as a child of the commit's parent.
        parents = commit.parents[:1]
        dressed = self.write_commit(f"{onto}^{{tree}}", parents, "base", Person("forge", "forge@localhost"))
        return self.merge(dressed, commit.sha)

    def diff(self, base: str, head: str) -> list[Changed]:
        """The files that differ, with their patches."""
        raw = self.run("diff", "--raw", "-z", "--no-abbrev", "--find-renames", base, head).decode(errors="replace")
        files = _parse_raw(raw.split("\0"))
        numbers = self._numbers(base, head)
        return [_changed(file, *numbers.get(file[1], (0, 0)), self._patch(base, head, file)) for file in files]

    def sizes(self, base: str, head: str) -> list[tuple[int, int]]:
        """Lines added and deleted, for each file that differs."""
        return list(self._numbers(base, head).values())

    def _numbers(self, base: str, head: str) -> dict[str, tuple[int, int]]:
        out = self.run("diff", "--numstat", "-z", "--find-renames", base, head).decode(errors="replace").split("\0")
        found: dict[str, tuple[int, int]] = {}
        rest = iter(out)
        for line in rest:
            if not line:
                continue
            added, deleted, path = line.split("\t", 2)
            if not path:  # a rename: the two names follow
                next(rest)
                path = next(rest)
            found[path] = (int(added), int(deleted)) if added != "-" else (0, 0)
        return found

    def _patch(self, base: str, head: str, file: tuple[str, str, str | None, str]) -> str | None:
        names = [name for name in (file[2], file[1]) if name]
        out = self.run("diff", "--find-renames", base, head, "--", *names).decode(errors="replace")
        start = out.find("\n@@")
        return out[start + 1 :].rstrip("\n") if start >= 0 else None

    def archive(self, commit: str, kind: str, prefix: str) -> bytes:
        """The files of a commit as `tar.gz` or `zip`, in a folder of that name."""
        return self.run("archive", f"--format={kind}", f"--prefix={prefix}/", commit)

    def fetch(self, source: Path, sha: str, ref: str) -> None:
        """Copy a commit and its history from another repository, under a ref of this one."""
        if source != self.path:
            self.run("fetch", "--quiet", "--no-write-fetch-head", str(source), sha)
        self.update_ref(ref, sha)


def _run(command: Sequence[str], stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
    done = subprocess.run(
        command, input=stdin, capture_output=True, env={**clean_environment(), **(env or {})}, check=False
    )
    if done.returncode:
        raise GitError(done.stderr.decode(errors="replace").strip() or f"git ended with {done.returncode}")
    return done.stdout


def clean_environment() -> dict[str, str]:
    """The environment without what a surrounding git (a hook, a person's configuration) would impose."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}


def _identity(role: str, person: Person) -> dict[str, str]:
    found = {f"GIT_{role}_NAME": person.name or "nobody", f"GIT_{role}_EMAIL": person.email}
    return {**found, f"GIT_{role}_DATE": person.date} if person.date else found


def _parse_person(text: str) -> Person:
    import datetime

    name, _, rest = text.rpartition(" <")
    email, _, when = rest.partition("> ")
    seconds = int(when.split(" ")[0])
    date = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Person(name, email, date)


def _parse_commit(sha: str, text: str) -> Commit:
    head, _, message = text.partition("\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.splitlines():
        key, _, value = line.partition(" ")
        fields.setdefault(key, []).append(value)
    return Commit(
        sha,
        fields["tree"][0],
        tuple(fields.get("parent", [])),
        _parse_person(fields["author"][0]),
        _parse_person(fields["committer"][0]),
        message.rstrip("\n"),
    )


def _parse_entry(line: str) -> Entry:
    head, path = line.split("\t", 1)
    mode, kind, sha, size = head.split()
    return Entry(path, mode, kind, sha, int(size) if size != "-" else None)


_STATUS = {"A": "added", "D": "removed", "M": "modified", "T": "changed", "R": "renamed", "C": "copied"}


def _parse_raw(fields: Sequence[str]) -> list[tuple[str, str, str | None, str]]:
    """Status, path, previous path and blob of each changed file."""
    found = []
    rest = iter(fields)
    for line in rest:
        if not line:
            continue
        _, _, old, new, letter = line.split(" ")
        first = next(rest)
        moved = letter[0] in "RC"
        path = next(rest) if moved else first
        found.append((_STATUS[letter[0]], path, first if moved else None, old if letter == "D" else new))
    return found


def _changed(file: tuple[str, str, str | None, str], additions: int, deletions: int, patch: str | None) -> Changed:
    status, path, previous, sha = file
    return Changed(path, previous, status, sha, additions, deletions, patch)
