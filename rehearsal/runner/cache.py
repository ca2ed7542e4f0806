"""What `actions/cache` keeps: archives by key, each readable from its own branch and from those that come from it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ratchet.errors import RatchetError

READ_ONLY = ("workflow_run", "issue_comment", "pull_request_target")
"""Events whose runs write no cache (GitHub, since 2026-06-26): others than who may write can cause them."""


@dataclass(frozen=True)
class Entry:
    """One archive.

    Attributes:
        repository: Whose.
        scope: The ref of the run that saved it.
        key: Its name.
        paths: What is in it; an entry only fits where the same ones are asked for.
        saved: When, in nanoseconds.
        archive: Name of the file.
    """

    repository: str
    scope: str
    key: str
    paths: list[str]
    saved: int
    archive: str


class Cache:
    """The caches of all repositories, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, repository: str, scopes: Sequence[str], keys: Sequence[str], paths: Sequence[str]) -> Entry | None:
        """GitHub's order: branch by branch the exact key, then the newest that begins with one of the keys."""
        entries = [one for one in self._entries() if (one.repository, one.paths) == (repository, list(paths))]
        for scope in scopes:
            here = [one for one in entries if one.scope == scope]
            exact = [one for one in here if one.key == keys[0]]
            alike = (
                sorted((one for one in here if one.key.startswith(key)), key=lambda one: -one.saved)
                for key in keys
                if key
            )
            found = next(itertools.chain(exact, *alike), None)
            if found:
                return found
        return None

    def restore(self, entry: Entry, workspace: Path) -> None:
        """Unpack it where it came from."""
        with tarfile.open(self._folder / entry.archive) as archive:
            archive.extractall(workspace, filter="tar")

    def save(self, entry: Entry, workspace: Path) -> bool:
        """Keep what is at its paths; False when the key is taken in that scope, or there is nothing.

        Raises:
            RatchetError: A path lies outside the workspace.
        """
        places = [_inside(path, workspace) for path in entry.paths]
        present = [place for place in places if (workspace / place).exists()]
        if not present or self._is_taken(entry):
            return False
        descriptor, temporary = tempfile.mkstemp(dir=self._folder, suffix=".new")
        os.close(descriptor)
        with tarfile.open(temporary, "w") as archive:
            for place in present:
                archive.add(workspace / place, str(place))
        with self._lock:
            shutil.move(temporary, self._folder / entry.archive)
            path = self._folder / f"{entry.archive}.json"
            path.write_text(json.dumps(asdict(entry)), encoding="utf-8")
        return True

    def _is_taken(self, entry: Entry) -> bool:
        return any(one.archive == entry.archive for one in self._entries())

    def _entries(self) -> Iterator[Entry]:
        with self._lock:
            return iter([Entry(**json.loads(path.read_text("utf-8"))) for path in self._folder.glob("*.json")])


def entry(repository: str, scope: str, key: str, paths: Sequence[str]) -> Entry:
    """A new entry, saved now."""
    name = hashlib.sha256("\n".join([repository, scope, key, *paths]).encode()).hexdigest()[:32]
    return Entry(repository, scope, key, list(paths), time.time_ns(), f"{name}.tar")


def _inside(path: str, workspace: Path) -> Path:
    place = Path(os.path.normpath(workspace / Path(path).expanduser()))
    if not place.is_relative_to(workspace):
        raise RatchetError(f"cache: {path} lies outside the workspace, which cannot be rehearsed")
    return place.relative_to(workspace)
