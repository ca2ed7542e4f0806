"""A host of the desk: it follows the branch `deploy` as a server does, and real rows are asked of what runs there.

with Host(desk, "production", folder) as host, Callers(host.url, rows) as callers:
    host.follow()
    time.sleep(5)
    print(callers.tally())
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from ratchet.deploy.apply import Report, Watch
from ratchet.deploy.state import Environment
from ratchet.errors import RatchetError
from rehearsal.desk import Desk, git
from rehearsal.engine import Processes
from rehearsal.registry import Registry

Row = Mapping[str, Any]

PAUSE = 0.005
"""Seconds between an answer and the next question of a caller."""
TIMEOUT = 10.0
"""Seconds that a caller waits for an answer."""


class Host:
    """Runs what the branch wants: `ratchet deploy apply`, with processes instead of containers.

    Args:
        desk: Whose branch it follows, and whose registry it takes images from.
        environment: Which one it is.
        folder: For the clone, logs and routes.
        settings: Of the service, beside what its image says.
    """

    def __init__(
        self, desk: Desk, environment: Environment, folder: Path, settings: Mapping[str, str] | None = None
    ) -> None:
        self.engine = Processes(Registry(desk.folder / "registry"), folder / "engine", settings)
        self._desk, self._environment, self._folder = desk, environment, folder
        self._watch = Watch(self.engine, folder / "deploy", environment, folder / "reached.json")

    def __enter__(self) -> Host:
        """Nothing runs before it is asked to follow."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all that runs here."""
        self.engine.stop_all()

    @property
    def url(self) -> str:
        """Where callers reach it."""
        return self.engine.url

    def follow(self) -> Report:
        """Run what the branch says now.

        Raises:
            RatchetError: An arm is sick, or the branch cannot be followed.
        """
        if not (self._folder / "deploy").exists():
            remote = self._desk.remote(self._desk.owner)
            git(self._folder, "clone", "--quiet", "--branch", "deploy", "--single-branch", remote, "deploy")
        report = self._watch.look(respite=TIMEOUT)
        if not report.is_well:
            raise RatchetError("\n".join([f"{self._environment}: is not as the branch wants it", *report.lines()]))
        return report


@dataclass(frozen=True)
class Tally:
    """What callers got in a while.

    Attributes:
        models: Model digest to the number of its answers.
        failed: Questions without a good answer.
        p50: Milliseconds, the median of the good answers.
        p99: The same for the slowest in a hundred.
    """

    models: Mapping[str, int]
    failed: int
    p50: float
    p99: float

    @property
    def asked(self) -> int:
        """Questions."""
        return sum(self.models.values()) + self.failed


class Callers:
    """One caller who asks row after row, and keeps what came back.

    Args:
        url: Of the host.
        rows: Raw rows, asked over and over.
    """

    def __init__(self, url: str, rows: Sequence[Row]) -> None:
        self._url, self._rows = url, rows
        self._answers: list[tuple[str | None, float]] = []
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Callers:
        """Begin to ask."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask no more."""
        self._stop.set()
        self._thread.join()

    def once(self) -> dict[str, Any]:
        """The answer to the first row.

        Raises:
            RatchetError: It is no good answer.
        """
        answer = httpx.post(f"{self._url}/predict", json=dict(self._rows[0]), timeout=TIMEOUT)
        if answer.is_error:
            raise RatchetError(f"{self._url}/predict: {answer.status_code}: {answer.text[:300]}")
        return dict(answer.json())

    def during(self, seconds: float) -> Tally:
        """What comes back from now on, for a while."""
        self.tally()
        time.sleep(seconds)
        return self.tally()

    def tally(self) -> Tally:
        """What came back since the last tally."""
        with self._lock:
            answers, self._answers = self._answers, []
        good = sorted(seconds * 1000 for model, seconds in answers if model is not None)
        models = Counter(model for model, _ in answers if model is not None)
        failed = len(answers) - len(good)
        return Tally(models, failed, _quantile(good, 0.5), _quantile(good, 0.99))

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=TIMEOUT) as client:
            for row in cycle(self._rows):
                if self._stop.wait(PAUSE):
                    return
                begin = time.perf_counter()
                model = _model(client, row)
                with self._lock:
                    self._answers.append((model, time.perf_counter() - begin))


def _model(client: httpx.Client, row: Row) -> str | None:
    """Which model answered; None when there is no good answer."""
    try:
        return str(client.post("/predict", json=row).raise_for_status().json()["model"])
    except (httpx.HTTPError, ValueError, KeyError):
        return None


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
