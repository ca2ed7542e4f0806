"""The prediction log: what was asked and what was answered, as JSON lines, off the request path.

    <target>/<model, 16 digits>/<day, UTC>/<host>-<process>-<n>.jsonl
    {"id", "at", "model", "inputs": {…}, "score", "decision", "seconds"}

A request pays for its share of a handful of lines of JSON in a bounded buffer, and a thread writes: once a second it
appends to a local file, and into anything else that fsspec knows it puts whole objects. A target that is full, slow or
gone costs rows once the buffer is full, never a request. The code that encodes is cold after all else that a request
does, so many lines in a row cost less each; a thread that encoded all would compete with requests.
"""

from __future__ import annotations

import hmac
import itertools
import logging
import os
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

import fsspec  # type: ignore[import-untyped]
import orjson

from ratchet.errors import RatchetError

logger = logging.getLogger("ratchet.serving.log")

FLUSH_SECONDS = 1.0  # a crash loses at most what came since
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds between two tries of a target that fails
DAY = 86_400  # seconds
HANDFUL = 64  # rows that are encoded together

_LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z
_MODEL, _DATE, _FILE = re.compile(r"[0-9a-f]{16}"), re.compile(r"\d{4}-\d\d-\d\d"), re.compile(r".+-\d+-\d+\.jsonl")

Entry = tuple[str, float, Mapping[str, Any], float, bool | None, float]
Encode = Callable[[str, float, Mapping[str, Any], float, bool | None, float], bytes]


class Counter(Protocol):
    """What counts rows; a counter of prometheus_client is one."""

    def inc(self, amount: float = 1) -> None:
        """Add to it."""


@dataclass(frozen=True)
class Counters:
    """Where rows are counted: each ends as written or as dropped.

    Attributes:
        written: Rows that the target has.
        dropped: Rows that are lost: the queue was full, they cannot be encoded, or the log was closed before the
            target took them.
        failed: Rows of every try that failed, again each time; they are still kept, and tried again.
    """

    written: Counter
    dropped: Counter
    failed: Counter


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


class PredictionLog:
    """Takes rows without ever blocking or raising; a thread writes them."""

    def __init__(self, settings: LogSettings, schema: Mapping[str, Any], counters: Counters) -> None:
        """Start the thread; the target is first touched by it, and may be dead.

        Args:
            settings: Where to, and how.
            schema: JSON Schema of one raw row, of which the private columns are taken.
            counters: Where rows are counted.

        Raises:
            RatchetError: The URL is of a kind that is not installed.
        """
        self._counters = counters
        self._encode = encoder(settings, schema)
        self._target = _target(settings)
        self._limit = settings.queue + self._target.gathers
        self._plenty = settings.queue // 2
        self._part_rows = settings.rotate_rows
        self._keep_days = settings.keep_days
        self._lock = threading.Lock()  # held for a handful of lines at most, never while anything is written
        self._fresh: list[Entry] = []
        self._filling: Part | None = None
        self._filled: deque[Part] = deque()
        self._waiting = self._failures = self._swept = 0
        self._wake, self._closing, self._abandoned = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows that are not at the target yet."""
        return self._waiting

    def put(
        self,
        identifier: str,
        at: float,
        row: Mapping[str, Any],
        score: float,
        decision: bool | None,  # noqa: FBT001  # a value like the others
        seconds: float,
    ) -> None:
        """Log one prediction; costs microseconds. The row is not to be changed.

        Args:
            identifier: Of the request, or of the row in a batch.
            at: When it was asked, seconds since 1970.
            row: Raw inputs.
            score: The answer.
            decision: Whether the score reaches the threshold; None for a regression.
            seconds: How long the answer took.
        """
        if not self._take((identifier, at, row, score, decision, seconds)):
            self._counters.dropped.inc()

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits and end the thread; what the target has not taken after `timeout` seconds is lost."""
        with self._lock:
            self._closing.set()
        self._wake.set()
        self._thread.join(timeout)
        lost = 0 if self._abandoned.is_set() else self._waiting
        self._abandoned.set()
        if lost:
            self._counters.dropped.inc(lost)
            logger.warning("prediction log: closed with %d rows that the target did not take", lost)

    def _take(self, entry: Entry) -> bool:
        with self._lock:
            if self._waiting >= self._limit or self._closing.is_set():
                return False
            self._waiting += 1
            self._fresh.append(entry)
            if len(self._fresh) >= HANDFUL:
                self._encode_fresh()
            if self._waiting == self._plenty:
                self._wake.set()
            return True

    def _encode_fresh(self) -> None:
        """Make lines of the rows that have come; the lock is held."""
        for entry in self._fresh:
            try:
                day, line = int(entry[1] // DAY), self._encode(*entry)
            except Exception:  # whatever it is, it must not become the request's
                self._waiting -= 1
                self._counters.dropped.inc()
            else:
                self._append(day, line)
        self._fresh.clear()

    def _append(self, day: int, line: bytes) -> None:
        part = self._filling
        if part is None or day > part.day:
            self._seal()
            part = self._filling = Part(day)
        part.data.extend(line)
        part.rows += 1
        if part.rows >= self._part_rows:
            self._seal()

    def _seal(self) -> None:
        """End the part that is being filled; the lock is held."""
        if self._filling:
            self._filled.append(self._filling)
            self._filling = None
            self._wake.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            self._sweep()
            self._write()
        self._write()
        self._target.close()

    def _write(self) -> None:
        """Write what there is by now; rows that come meanwhile wait for the next time, or each would be a write."""
        with self._lock:
            self._encode_fresh()
            part = self._filling
            if part and (self._closing.is_set() or part.age >= self._target.part_seconds):
                self._seal()
        while self._filled and not self._abandoned.is_set():
            self._store(self._filled[0])

    def _store(self, part: Part) -> None:
        """Try once; after a failure wait, the longer the more there were."""
        try:
            self._target.store(part)
        except Exception as error:  # of any of fsspec's file systems
            self._counters.failed.inc(part.rows)
            if not self._failures:
                logger.warning("prediction log: %s; rows wait, and are lost when %d do", error, self._limit)
            pause = min(FIRST_PAUSE * 2 ** min(self._failures, 10), LONGEST_PAUSE)
            self._failures += 1
            (self._abandoned if self._closing.is_set() else self._closing).wait(pause)
            return
        if self._failures:
            logger.warning("prediction log: works again after %d failures", self._failures)
        self._failures = 0
        if not self._abandoned.is_set():
            self._counters.written.inc(part.rows)
            with self._lock:
                self._filled.popleft()
                self._waiting -= part.rows

    def _sweep(self) -> None:
        """Once a day delete what is too old."""
        today = int(time.time() // DAY)
        if today == self._swept or not self._keep_days:
            return
        self._swept = today
        try:
            sweep(*self._target.folder(), _day(today - self._keep_days))
        except Exception as error:  # of any of fsspec's file systems
            logger.warning("prediction log: old files cannot be deleted: %s", error)


@dataclass(slots=True)
class Part:
    """Lines of one day on their way to the target."""

    day: int
    data: bytearray = field(default_factory=bytearray)
    rows: int = 0
    began: float = field(default_factory=time.monotonic)

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
        data = bytes(part.data)
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


def encoder(settings: LogSettings, schema: Mapping[str, Any]) -> Encode:
    """What makes a line of a prediction, without what is private."""
    private = [name for name, rule in schema["properties"].items() if rule.get("private")]
    salt = settings.salt.encode() if settings.private == "hash" else b""
    if private and settings.private == "hash" and not salt:
        logger.warning("prediction log: RATCHET_LOG_SALT is not set, so %s is left out, not hashed", ", ".join(private))

    def encode(  # called as `PredictionLog.put` is
        identifier: str,
        at: float,
        row: Mapping[str, Any],
        score: float,
        decision: bool | None,  # noqa: FBT001
        seconds: float,
    ) -> bytes:
        inputs = dict(row)
        for name in private:
            value = inputs.pop(name, None)
            if salt and value is not None:
                inputs[name] = hashed(name, value, salt)
        line = {
            "id": identifier,
            "at": datetime.fromtimestamp(at, UTC),
            "model": settings.model,
            "inputs": inputs,
            "score": score,
            "decision": decision,
            "seconds": seconds,
        }
        return orjson.dumps(line, option=_LINE)

    return encode


def hashed(name: str, value: object, salt: bytes) -> str:
    """HMAC-SHA-256 (64 hex) of a column's value: equal values of one column stay equal, and no more can be seen."""
    return hmac.digest(salt, orjson.dumps([name, value]), "sha256").hex()


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


def _target(settings: LogSettings) -> Target:
    protocol = fsspec.core.split_protocol(settings.url)[0] or "file"
    if protocol in {"file", "local"}:
        return Files(settings)
    try:
        fsspec.get_filesystem_class(protocol)
    except (ValueError, ImportError) as error:
        raise RatchetError(f"RATCHET_LOG: {protocol}:// cannot be used: {error}") from error
    return Objects(settings)


def _is_gone(file: int) -> bool:
    """Whether someone deleted an open file, or its file system is no longer there."""
    try:
        return os.fstat(file).st_nlink == 0
    except OSError:
        return True


def _name(model: str, day: int, number: int) -> str:
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "host"
    return f"{model[:16]}/{_day(day)}/{host}-{os.getpid()}-{number}.jsonl"


def _day(number: int) -> str:
    """The day that many days after 1970 began."""
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
