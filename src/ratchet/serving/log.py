"""The prediction log: what was asked and what was answered, as JSON lines, off the request path.

A request pays for its share of a handful of lines of JSON in a bounded buffer, and a thread writes: within a second it
appends to a local file, and into anything else that fsspec knows it puts whole objects. A target that is full, slow or
gone costs rows once the buffer is full, never a request. The code that encodes is cold after all else that a request
does, so some lines in a row cost less each; a thread that encoded all would compete with requests.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ratchet.serving.lines import Entry, Inputs, encoder
from ratchet.serving.targets import DAY, LogSettings, Part, day_name, sweep, target

logger = logging.getLogger("ratchet.serving.log")

FLUSH_SECONDS = 1.0  # a crash loses at most what came since
BUSY_SECONDS = 0.25  # from one write to the next, while there are rows: to write many at once holds requests up
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds between two tries of a target that fails
HANDFUL = 64  # rows that are encoded together: fewer cost more each, and for more of them one request waits longer
PLAIN_BYTES = 4096  # of a body that is kept in place of its row: one full of blanks shall not fill the memory


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


class PredictionLog:
    """Takes rows without ever blocking or raising; a thread writes them.

    Attributes:
        plain_bytes: Longest JSON that it takes in place of a row; 0 where private values are hashed, for 1 and 1.0 are
            one value and two texts.
    """

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
        private, salt = _private(settings, schema)
        self.plain_bytes = 0 if salt else PLAIN_BYTES
        self._encode = encoder(private, salt)
        self._target = target(settings)
        self._limit = settings.queue + self._target.gathers
        self._plenty = settings.queue // 2 + self._target.gathers
        self._handful = max(1, min(HANDFUL, settings.queue // 2))
        self._part_rows = settings.rotate_rows
        self._keep_days = settings.keep_days
        self._lock = threading.Lock()  # held for a handful of lines at most, never while anything is written
        self._fresh: deque[Entry] = deque()  # nobody needs the lock to add to it
        self._filling: Part | None = None
        self._filled: deque[Part] = deque()
        self._encoded = self._failures = self._swept = self._day = 0
        self._wake, self._closing, self._abandoned = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows that are not at the target yet."""
        return self._encoded + len(self._fresh)

    def put(self, answer: bytes, at: float, inputs: Inputs, seconds: float) -> None:
        """Log one prediction; costs microseconds. A row is not to be changed.

        Args:
            answer: The JSON object of what was said of this row: `id`, `score`, `decision`, `model`.
            at: When it was asked, seconds since 1970.
            inputs: The raw row; or the JSON that it came as, of at most `plain_bytes`, which costs less to keep.
            seconds: How long the answer took.
        """
        fresh = self._fresh
        if self._encoded + len(fresh) >= self._limit or self._closing.is_set():
            self._counters.dropped.inc()
            return
        fresh.append((answer, at, inputs, seconds))
        if len(fresh) >= self._handful:
            with self._lock:
                self._encode_fresh()
            if self._encoded >= self._plenty:
                self._wake.set()

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits and end the thread; what the target has not taken after `timeout` seconds is lost."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout)
        lost = 0 if self._abandoned.is_set() else self.waiting
        self._abandoned.set()
        if lost:
            self._counters.dropped.inc(lost)
            logger.warning("prediction log: closed with %d rows that the target did not take", lost)

    def _encode_fresh(self) -> None:
        """Make lines of the rows that have come; the lock is held."""
        lines: list[bytes] = []
        for _ in range(len(self._fresh)):
            entry = self._fresh.popleft()
            try:
                line = self._encode(*entry)
            except Exception:  # whatever it is, it must not become the request's
                self._counters.dropped.inc()
                continue
            day = int(entry[1] // DAY)
            if day > self._day:
                self._append(lines)
                self._seal()
                self._day, lines = day, []
            lines.append(line)
        self._append(lines)

    def _append(self, lines: list[bytes]) -> None:
        while lines:
            part = self._filling = self._filling or Part(self._day)
            fitting = lines[: self._part_rows - part.rows]
            part.pieces.append(b"".join(fitting))
            part.rows += len(fitting)
            self._encoded += len(fitting)
            if part.rows >= self._part_rows:
                self._seal()
                self._wake.set()
            lines = lines[len(fitting) :]

    def _seal(self) -> None:
        """End the part that is being filled; the lock is held."""
        if self._filling:
            self._filled.append(self._filling)
            self._filling = None

    def _run(self) -> None:
        pause = FLUSH_SECONDS
        while not self._closing.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            self._sweep()
            pause = BUSY_SECONDS if self._write() else FLUSH_SECONDS
        self._write()
        self._target.close()

    def _write(self) -> bool:
        """Write what there is by now, and say if there was; what comes meanwhile waits, or each row were a write."""
        with self._lock:
            self._encode_fresh()
            part = self._filling
            if part and (self._closing.is_set() or part.age >= self._target.part_seconds):
                self._seal()
            found = bool(self._filled)
        while self._filled and not self._abandoned.is_set():
            self._store(self._filled[0])
        return found

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
                self._encoded -= part.rows

    def _sweep(self) -> None:
        """Once a day delete what is too old."""
        today = int(time.time() // DAY)
        if today == self._swept or not self._keep_days:
            return
        self._swept = today
        try:
            sweep(*self._target.folder(), day_name(today - self._keep_days))
        except Exception as error:  # of any of fsspec's file systems
            logger.warning("prediction log: old files cannot be deleted: %s", error)


def _private(settings: LogSettings, schema: Mapping[str, Any]) -> tuple[list[str], bytes]:
    """The private columns, and the salt of their hashes; none: they are left out."""
    private = [name for name, rule in schema["properties"].items() if rule.get("private")]
    salt = settings.salt.encode() if settings.private == "hash" else b""
    if private and settings.private == "hash" and not salt:
        logger.warning("prediction log: RATCHET_LOG_SALT is not set, so %s is left out, not hashed", ", ".join(private))
    return private, salt
