"""What the service counts, for Prometheus.

The names are a contract with the alerts, the dashboard and `ratchet status`. A request pays for bound children only: no
label is looked up on its way.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
PROBABILITIES = tuple(round(0.05 * step, 2) for step in range(1, 21))
NUMBERS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 1e4, 1e5, 1e6)
FOLDER = "ratchet-metrics-"


def prepare(workers: int) -> None:
    """Decide, before prometheus_client is first imported, where its values are kept.

    BentoML hands each of its servers the same folder, and empties it whenever one starts: two services on a machine
    would report each other's figures, and lose them. One worker needs no folder at all; several share one that belongs
    to their own parent.
    """
    if "prometheus_client" in sys.modules:
        return
    os.environ.pop(MULTIPROCESS, None)
    if workers > 1:
        os.environ[MULTIPROCESS] = str(_shared_folder(os.getppid()))


class Metrics:
    """All of them, on a registry of their own."""

    def __init__(
        self, task: str, identity: Mapping[str, str], reference: Mapping[str, Any], released: float | None
    ) -> None:
        """Make them.

        Args:
            task: `binary` or `regression`.
            identity: `model`, `release`, `commit` and `problem`, for `ratchet_model_info`.
            reference: What the judged evaluation saw: `score_mean`, `decision_share`; may be empty.
            released: When the model was released, seconds since 1970.
        """
        from prometheus_client import (
            CONTENT_TYPE_LATEST,
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            ProcessCollector,
            disable_created_metrics,
        )

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.content_type = CONTENT_TYPE_LATEST.encode()
        self.registry = CollectorRegistry()
        kept: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter("ratchet_requests", "Requests answered", ["route", "code"], **kept)
        self._seconds = Histogram(
            "ratchet_request_seconds", "Time to the answer, seconds", ["route"], buckets=SECONDS, **kept
        )
        self.rows = Counter("ratchet_rows", "Rows scored", **kept)
        bounds = PROBABILITIES if task == "binary" else NUMBERS
        self.score = Histogram("ratchet_score", "Scores given", buckets=bounds, **kept)
        decisions = Counter("ratchet_decisions", "Decisions at the threshold", ["decision"], **kept)
        self.decisions = (
            {value: decisions.labels(str(value).lower()) for value in (True, False)} if task == "binary" else {}
        )
        self._log_rows = Counter("ratchet_log_rows", "Rows of the prediction log", ["outcome"], **kept)
        self.log = {outcome: self._log_rows.labels(outcome) for outcome in ("written", "dropped", "failed")}
        self._waiting = Gauge(
            "ratchet_log_queue_rows", "Rows that wait to be logged", multiprocess_mode="livesum", **kept
        )

        def state(name: str, text: str, value: float | None) -> None:
            if value is not None:
                Gauge(name, text, multiprocess_mode="max", **kept).set(value)

        state("ratchet_score_reference_mean", "Mean score on the judged holdout", reference.get("score_mean"))
        state(
            "ratchet_decision_reference_share", "Share of true on the judged holdout", reference.get("decision_share")
        )
        state("ratchet_model_released_timestamp_seconds", "When the model was released", released)
        Gauge("ratchet_model_info", "What is served", list(identity), multiprocess_mode="max", **kept).labels(
            **identity
        ).set(1)
        if MULTIPROCESS not in os.environ:
            ProcessCollector(registry=self.registry)
        self._read_waiting: Callable[[], int] = int
        self._answers: dict[tuple[str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def answered(self, route: str, code: int, seconds: float) -> None:
        """Count one answer."""
        try:
            count, observe = self._answers[route, code]
        except KeyError:
            bound = self._requests.labels(route, str(code)).inc, self._seconds.labels(route).observe
            count, observe = self._answers[route, code] = bound
        count()
        observe(seconds)

    def scored(self, score: float, decision: bool | None) -> None:  # noqa: FBT001  # called for every row
        """Count one row."""
        self.rows.inc()
        self.score.observe(score)
        if decision is not None:
            self.decisions[decision].inc()

    def log_waits(self, waiting: Callable[[], int]) -> None:
        """Name what knows how many rows wait to be logged."""
        self._read_waiting = waiting

    def refresh(self) -> None:
        """Look at what is not counted as it happens; with several workers another one may be asked for it."""
        self._waiting.set(self._read_waiting())

    def exposition(self) -> bytes:
        """Everything as text, of all workers."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        self.refresh()
        if MULTIPROCESS not in os.environ:
            return generate_latest(self.registry)
        everything = CollectorRegistry()
        MultiProcessCollector(everything)  # type: ignore[no-untyped-call]
        return generate_latest(everything)

    def close(self) -> None:
        """Take this worker's gauges out of what the others report."""
        if MULTIPROCESS in os.environ:
            from prometheus_client.multiprocess import mark_process_dead

            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def _shared_folder(parent: int) -> Path:
    """A folder that all workers of one parent find, and no others; those of parents that are gone are deleted."""
    import psutil  # type: ignore[import-untyped]

    place = Path(tempfile.gettempdir())
    for old in place.glob(f"{FOLDER}*"):
        if not psutil.pid_exists(int(old.name.removeprefix(FOLDER).partition("-")[0])):
            shutil.rmtree(old, ignore_errors=True)
    folder = place / f"{FOLDER}{parent}-{psutil.Process(parent).create_time():.0f}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
