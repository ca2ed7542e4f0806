"""Commits, trees and files of a repository as data, fetched by git: one fetch instead of a request for each of them.

    objects = Objects("https://github.com", "ada/flights", token, patience)
    head = objects.ref("heads/records")
    objects.tree(head)["verdicts/0123/4567/pr1-2.1.json"].sha

They come into a bare repository of their own, `--depth=1 --filter=blob:none`, from which nothing is ever checked out.
Files come when they are read, all that are asked for at once. Whoever proposes writes trees and files: paths are text,
a link or a submodule is an entry like any other, and all sizes are bounded.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ratchet.errors import RatchetError
from ratchet.forge.api import MEGABYTE, ApiError, NotFound, Patience, Transient
from ratchet.forge.git import Git
from ratchet.forge.nouns import Commit, Entry

PACK = 300 * MEGABYTE
"""Bytes, as git packs them, that one fetch may bring."""
LISTING = 30 * MEGABYTE
"""Bytes that the names of a tree's files may have: some 300,000 files. A tree of a few bytes can name billions."""
NO_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""How git names a tree without entries."""

_SETTINGS = {
    "fetch.negotiationAlgorithm": "noop",  # nothing here helps to make what comes smaller
    "fetch.unpackLimit": "1",  # one pack, whose size is bounded
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
    "remote.origin.promisor": "true",
}


class Bare:
    """A bare repository that has of another one what was fetched, with the rights of one token.

    Args:
        server: "https://github.com".
        repository: "owner/name".
        token: With the permission `contents: read`.
        patience: How long a fetch that fails is repeated.
    """

    leaves_out = "blob:none"
    """What does not come with commits, in git's words."""

    def __init__(self, server: str, repository: str, token: str, patience: Patience) -> None:
        self._repository, self._patience = repository, patience
        folder = Path(tempfile.mkdtemp(prefix="ratchet-objects-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        settings = {
            "remote.origin.url": f"{server}/{repository}.git",
            "remote.origin.partialCloneFilter": self.leaves_out,
        }
        self._git = Git(folder, server, token, {**_SETTINGS, **settings})
        self._local("init", "--quiet", "--bare", "--template=", "--object-format=sha1", ".")

    def _local(self, *arguments: str, stdin: bytes = b"", limit: int | None = None) -> bytes:
        done = self._git.done(arguments, stdin, limit)
        if done.was_cut:
            raise RatchetError(
                f"{self._repository}: a commit has more files than are ever needed\nkeep data out of git: DVC holds it"
            )
        if done.code:
            raise RatchetError(f"git {arguments[0]}: {done.last}")
        return done.out

    def _fetch(self, shas: Iterable[str], *options: str) -> None:
        wanted = ("--no-tags", "--no-write-fetch-head", f"--filter={self.leaves_out}", *options, "--stdin", "origin")
        self._remote("fetch", "--quiet", *wanted, stdin=_lines(shas))

    def _remote(self, *arguments: str, stdin: bytes = b"") -> bytes:
        what = f"git {arguments[0]} of {self._repository}"

        def call() -> bytes:
            done = self._git.done(arguments, stdin, PACK)
            if done.was_cut:
                raise RatchetError(
                    f"{what}: is larger than {PACK / MEGABYTE:.0f} MB\nkeep data out of git: DVC holds it"
                )
            if done.code:
                raise _fault(done.said, what)
            return done.out

        return self._patience.repeat(call, what)


class History(Bare):
    """Which commit comes from which: commits alone, without their trees."""

    leaves_out = "tree:0"

    def lacking(self, sha: str, heads: Collection[str]) -> set[str]:
        """Those of some commits that do not come from a commit; all of them are asked for at once."""
        self._fetch({sha, *heads})
        return {head for head in heads if self._git.done(["merge-base", "--is-ancestor", sha, head]).code}


class Objects(Bare):
    """The commits, trees and files of a repository."""

    def __init__(self, server: str, repository: str, token: str, patience: Patience) -> None:
        super().__init__(server, repository, token, patience)
        self._depths: dict[str, int] = {}
        self._commits: dict[str, Commit] = {}
        self._trees: dict[str, Mapping[str, Entry]] = {}
        self._sizes: dict[str, int] = {}

    def ref(self, name: str) -> str | None:
        """The commit that `heads/main` or `tags/model-v1` points to now; None when there is no such ref."""
        listed = self._remote("ls-remote", "origin", f"refs/{name}", f"refs/{name}^{{}}").decode().splitlines()
        found = {ref: sha for sha, _, ref in (line.partition("\t") for line in listed)}
        return found.get(f"refs/{name}^{{}}") or found.get(f"refs/{name}")  # the first is what a tag is about

    def bring(self, shas: Collection[str], depth: int = 1) -> None:
        """Fetch commits with their trees, as far as they are not here, in one fetch.

        Raises:
            NotFound: There is no such commit.
        """
        if missing := sorted({sha for sha in shas if self._depths.get(sha, 0) < depth}):
            self._fetch(missing, f"--depth={depth}")
            self._depths.update(dict.fromkeys(missing, depth))

    def tree(self, sha: str) -> Mapping[str, Entry]:
        """All paths of a commit's tree, without the directories.

        Raises:
            RatchetError: There are more than any repository needs.
        """
        if sha not in self._trees:
            self.bring([sha])
            self._trees[sha] = dict(map(_entry, self._listed("ls-tree", "-r", "-z", "--full-tree", sha)))
        return self._trees[sha]

    def commit(self, sha: str) -> Commit:
        """A commit; of a merge, `files` are those that differ from its first parent."""
        if sha not in self._commits:
            self.bring([sha], depth=2)
            head, _, message = self._local("cat-file", "commit", sha).decode(errors="replace").partition("\n\n")
            fields = [line.partition(" ")[::2] for line in head.splitlines()]
            parents = tuple(value for name, value in fields if name == "parent")
            told = {name: value for name, value in fields if name in {"tree", "committer"}}
            base = parents[0] if parents else NO_TREE
            changed = self._listed("diff-tree", "-r", "-z", "--no-renames", "--name-only", base, sha)
            seconds = int(told["committer"].split()[-2])
            at = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._commits[sha] = Commit(sha, told["tree"], parents, message, tuple(sorted(map(_path, changed))), at)
        return self._commits[sha]

    def sizes(self, shas: Collection[str]) -> dict[str, int]:
        """Bytes of files, by the hashes in their entries; those that are not here are fetched, all at once.

        Raises:
            NotFound: There is no such file.
            RatchetError: All together are more than one fetch may bring.
        """
        if missing := sorted(set(shas) - self._sizes.keys()):
            self._fetch(missing)
            listed = self._local("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=_lines(missing))
            self._sizes.update((sha, int(size)) for sha, size in map(str.split, listed.decode().splitlines()))
        return {sha: self._sizes[sha] for sha in shas}

    def files(self, shas: Collection[str], limit: int) -> dict[str, bytes]:
        """The bytes of files, by the hashes in their entries; like `sizes`.

        Args:
            shas: Which.
            limit: Bytes that all of them may have together.

        Raises:
            RatchetError: They have more.
        """
        sizes = self.sizes(shas)
        if (total := sum(sizes.values())) > limit:
            raise RatchetError(f"{self._repository}: {total} bytes were to be read where at most {limit} are expected")
        content, start = self._local("cat-file", "--batch", stdin=_lines(sizes)), 0
        found = {}
        for sha, size in sizes.items():
            start = content.index(b"\n", start) + 1  # after "<sha> blob <size>"
            found[sha] = content[start : start + size]
            start += size + 1
        return found

    def content(self, sha: str, limit: int, under: str = "") -> dict[str, bytes]:
        """The files of a commit by their path, no links; like `files`.

        Args:
            sha: The commit.
            limit: Bytes that they may have together.
            under: Only those whose path begins so.
        """
        named = {path: entry.sha for path, entry in self.tree(sha).items() if entry.is_file and path.startswith(under)}
        found = self.files(named.values(), limit)
        return {path: found[blob] for path, blob in named.items()}

    def _listed(self, *arguments: str) -> list[bytes]:
        """What git lists with a zero byte after each.

        Raises:
            RatchetError: It is more than a repository needs.
        """
        return self._local(*arguments, limit=LISTING).split(b"\0")[:-1]


def _fault(said: str, what: str) -> Exception:
    """What git says of a server that does not do what it is asked for: it has no codes for it."""
    lines = [line for line in said.splitlines() if line.startswith(("fatal: ", "error: ", "remote: "))]
    last = (lines or ["no reason given"])[-1].partition(": ")[2]
    if "not our ref" in said:
        return NotFound(f"{what}: there is no such commit or file: {last}", 404)
    if re.search(r"Authentication failed|could not read Username|error: 40[13]|not found", said):
        return ApiError(f"{what}: {last}\nthe token is wrong, or the job needs `contents: read`", 403)
    return Transient(f"GitHub's git fails: {last}", sent=False)


def _lines(shas: Iterable[str]) -> bytes:
    return "".join(f"{sha}\n" for sha in shas).encode()


def _entry(line: bytes) -> tuple[str, Entry]:
    mode, kind, sha = line.partition(b"\t")[0].decode().split()
    return _path(line.partition(b"\t")[2]), Entry(mode, kind, sha)


def _path(name: bytes) -> str:
    """A path as text; bytes that are none are written out, as hexadecimal digits."""
    return name.decode(errors="backslashreplace")
