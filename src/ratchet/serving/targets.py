"""Where a prediction log goes: files of this machine, or whole objects in anything else that fsspec knows.

Each is named by what wrote it, so that no two ever write the same one:

    <target>/<model, 16 digits>/<day, UTC>/<host>-<process>-<n>.jsonl
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, Protocol

import fsspec  # type: ignore[import-untyped]

from ratchet.errors import RatchetError

DAY = 86_400  # seconds

_MODEL, _DATE, _FILE = re.compile(r"[0-9a-f]{16}"), re.compile(r"\d{4}-\d\d-\d\d"), re.compile(r".+-\d+-\d+\.jsonl")


@dataclass(frozen=True)
class LogSettings:
    """How predictions are logged.

    Attributes:
        url: Folder, as a path or as a URL that fsspec knows (`s3://bucket/predictions`).
        model: Model digest.
        queue: Most rows that wait, beside those that are gathered for the next object; more are dropped.
        rotate_rows: Most rows of a file or an object.
        rotate_seconds: Age at which a file ends, or an object is put.
        keep_days: Days whose files are kept; 0: all. Older ones, of any model, are deleted.
        private: What becomes of columns that the schema marks private: left out, or replaced by an HMAC-SHA-256.
        salt: Key of that HMAC; without one they are left out, for the hash of a guessable value hides nothing.
    """

    url: str
    model: str
    queue: int = 10_000
    rotate_rows: int = 20_000
    rotate_seconds: float = 300.0
    keep_days: int = 30
    private: Literal["drop", "hash"] = "drop"
    salt: str = ""


@dataclass(slots=True)
class Part:
    """Lines of one day on their way to the target."""

    day: int
    pieces: list[bytes] = field(default_factory=list)
    rows: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def data(self) -> bytes:
        """All lines; put together once, where one buffer that grows is copied again and again."""
        return b"".join(self.pieces)

    @property
    def age(self) -> float:
        """Seconds since the first."""
        return time.monotonic() - self.began


class Target(Protocol):
    """Where parts go.

    Attributes:
        part_seconds: How long a part is filled, unless it is full before.
        gathers: Rows that are gathered meanwhile.
    """

    part_seconds: float
    gathers: int

    def store(self, part: Part) -> None:
        """Store all rows of a part, or none and raise whatever it is; the same part is then given again."""

    def folder(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """What the log lies in."""

    def close(self) -> None:
        """End the file that is open."""


class Files:
    """Local files, appended to: what is written outlives the process, whole lines of it."""

    part_seconds = 0.0
    gathers = 0

    def __init__(self, settings: LogSettings) -> None:
        self._folder = Path(fsspec.core.url_to_fs(settings.url)[1])
        self._settings = settings
        self._numbers = itertools.count()
        self._file: int | None = None
        self._size = self._rows = self._day = 0
        self._began = 0.0

    def store(self, part: Part) -> None:
        """See `Target`."""
        if self._file is not None and self._is_over(part, self._file):
            self.close()
        file = self._open(part.day) if self._file is None else self._file
        try:
            with memoryview(part.data) as data:
                done = 0
                while done < len(data):
                    done += os.write(file, data[done:])
        except OSError:
            self._undo(file)
            raise
        self._size = os.fstat(file).st_size
        self._rows += part.rows

    def folder(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """See `Target`."""
        return fsspec.filesystem("file"), str(self._folder)

    def close(self) -> None:
        """See `Target`."""
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):  # of a file system that is gone
                os.close(file)

    def _is_over(self, part: Part, file: int) -> bool:
        given = self._settings
        if part.day > self._day or self._rows + part.rows > given.rotate_rows:
            return True
        return time.monotonic() - self._began >= given.rotate_seconds or _is_gone(file)

    def _open(self, day: int) -> int:
        while self._file is None:
            path = self._folder / _name(self._settings.model, day, next(self._numbers))
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):  # of a process before us that had the same number
                self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o640)
        self._size = self._rows = 0
        self._day, self._began = day, time.monotonic()
        return self._file

    def _undo(self, file: int) -> None:
        """Take back half a write; where even that fails, the next one goes into a new file."""
        try:
            os.ftruncate(file, self._size)
        except OSError:
            self.close()


class Objects:
    """Whole objects in anything else that fsspec knows; what waits for its object dies with the process."""

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings
        self._numbers = itertools.count()
        self._path: str | None = None
        self.part_seconds = settings.rotate_seconds
        self.gathers = settings.rotate_rows

    def store(self, part: Part) -> None:
        """See `Target`. A part that is tried again keeps its name: the first try may have worked after all."""
        system, folder = self.folder()
        while self._path is None:
            path = f"{folder}/{_name(self._settings.model, part.day, next(self._numbers))}"
            self._path = None if system.exists(path) else path
        data = part.data
        try:
            system.pipe_file(self._path, data)
        except FileNotFoundError:  # it has real folders
            system.makedirs(self._path.rpartition("/")[0], exist_ok=True)
            system.pipe_file(self._path, data)
        self._path = None

    def folder(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """See `Target`. Some file systems connect here, so it is asked for only when it is needed."""
        system, path = fsspec.core.url_to_fs(self._settings.url)
        return system, path.rstrip("/")

    def close(self) -> None:
        """See `Target`."""


def target(settings: LogSettings) -> Target:
    """What takes the parts of a log.

    Raises:
        RatchetError: The URL is of a kind that is not installed.
    """
    protocol = fsspec.core.split_protocol(settings.url)[0] or "file"
    if protocol in {"file", "local"}:
        return Files(settings)
    try:
        fsspec.get_filesystem_class(protocol)
    except (ValueError, ImportError) as error:
        raise RatchetError(f"RATCHET_LOG: {protocol}:// cannot be used: {error}") from error
    return Objects(settings)


def sweep(system: fsspec.AbstractFileSystem, folder: str, oldest: str) -> None:
    """Delete the log's files of days before `oldest` (`2026-10-31`), of whatever model; nothing else is touched."""
    system.invalidate_cache()
    for model in _inside(system, folder, _MODEL):
        for day in _inside(system, f"{folder}/{model}", _DATE):
            if day >= oldest:
                continue
            for name in _inside(system, f"{folder}/{model}/{day}", _FILE):
                with suppress(FileNotFoundError):  # another worker was faster
                    system.rm_file(f"{folder}/{model}/{day}/{name}")
            with suppress(OSError, NotImplementedError):  # it holds something else, or there are no folders here
                system.rmdir(f"{folder}/{model}/{day}")


def _inside(system: fsspec.AbstractFileSystem, folder: str, pattern: re.Pattern[str]) -> list[str]:
    try:
        found = system.ls(folder, detail=False)
    except FileNotFoundError:
        return []
    names = (str(path).rstrip("/").rpartition("/")[2] for path in found)
    return sorted(name for name in names if pattern.fullmatch(name))


def _is_gone(file: int) -> bool:
    """Whether someone deleted an open file, or its file system is no longer there."""
    try:
        return os.fstat(file).st_nlink == 0
    except OSError:
        return True


def _name(model: str, day: int, number: int) -> str:
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "host"
    return f"{model[:16]}/{day_name(day)}/{host}-{os.getpid()}-{number}.jsonl"


def day_name(number: int) -> str:
    """The day that many days after 1970 began."""
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
