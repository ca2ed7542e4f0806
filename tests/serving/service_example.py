"""Small real bundles, and the real service on them."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from ratchet import bundle, export, files
from ratchet.problem import Problem
from rehearsal.ports import free_port

ROOT = Path(__file__).parents[2]
JSON = {"content-type": "application/json"}
TLS = ssl.create_default_context()  # not used, but httpx makes one for every call that brings none, in 20 ms
PARAMS: dict[str, dict[str, Any]] = {
    "toy_departures": {
        "learning_rate": 0.1,
        "max_iter": 20,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 50,
        "l2_regularization": 1.0,
        "max_features": 0.5,
    },
    "toy_delays": {"alpha": 1.0},
}
PERIOD = {"toy_departures": "2013-01", "toy_delays": "2021-01"}
# One flight, as anybody may write it down; fields that may be null are left out.
FLIGHT = {
    "year": 2013,
    "month": 7,
    "day": 4,
    "sched_dep_time": 1745,
    "sched_arr_time": 2010,
    "carrier": "UA",
    "flight": 1545,
    "origin": "EWR",
    "dest": "IAH",
    "distance": 1400,
}


def rows(name: str, count: int) -> pd.DataFrame:
    """Labelled rows of a problem."""
    problem = Problem(name)
    frame = problem.fetch(PERIOD[name])
    return frame[frame[problem.target].notna() & (frame["distance"] > 0)].head(count)


def build(name: str, folder: Path) -> Path:
    """The bundle of a small model of a problem; `toy_departures` are trees, `toy_delays` are not."""
    problem = Problem(name)
    frame = rows(name, 3000)
    columns = [str(column) for column in problem.schema.columns if column != problem.target]
    fitted = problem.estimator(PARAMS[name], 0).fit(frame[columns], frame[problem.target])
    requirements = {kind: folder.parent / f"{kind}.txt" for kind in ("treelite", "skops")}
    for path in requirements.values():
        files.write_text(path, "# not installed here\n")
    origin = export.Origin(
        {PERIOD[name]: "a" * 64}, {"model": PARAMS[name]}, 0.25 if problem.task == "binary" else None
    )
    with files.directory(folder) as new:
        export.build(problem, fitted, origin, requirements, new)
    return folder


def plain(name: str, count: int, folder: Path) -> list[dict[str, Any]]:
    """Rows as a caller of the service has them."""
    properties = bundle.load(folder).schema["properties"]
    return bundle.plain_rows(rows(name, count)[list(properties)])


@dataclass(frozen=True)
class Running:
    """A service that answers.

    Attributes:
        url: Where.
        process: BentoML's supervisor.
        log: What it printed.
    """

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def post(self, path: str, content: Any, **headers: str) -> httpx.Response:
        """Send JSON, or bytes as they are."""
        body = content if isinstance(content, bytes | str) else json.dumps(content)
        return httpx.post(self.url + path, content=body, headers=JSON | headers, timeout=30, verify=TLS)

    def get(self, path: str) -> httpx.Response:
        """Read a path."""
        return httpx.get(self.url + path, timeout=30, verify=TLS)

    def metrics(self) -> dict[str, float]:
        """Samples by name and labels, as the exposition writes them."""
        lines = (line.rpartition(" ") for line in self.get("/metrics").text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def workers(self) -> list[int]:
        """Processes that answer requests."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def resident(self) -> int:
        """Bytes that the workers occupy."""
        pages = sum(int(Path(f"/proc/{worker}/statm").read_text().split()[1]) for worker in self.workers())
        return pages * os.sysconf("SC_PAGESIZE")


@contextmanager
def serving(folder: Path, scratch: Path, **environment: str) -> Iterator[Running]:
    """`bentoml serve` on a bundle, until the block ends."""
    scratch.mkdir(parents=True, exist_ok=True)
    port = free_port()
    paths = [ROOT / "src", ROOT / "tests" / "problems"]
    told = {
        "RATCHET_BUNDLE": str(folder),
        "RATCHET_DRAIN_SECONDS": "0",
        "BENTOML_HOME": str(scratch / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    log = scratch / "service.log"
    command = [str(Path(sys.executable).with_name("bentoml")), "serve", "ratchet.serving.service:Service"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=scratch,
            env=os.environ | told | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait(running)
        yield running
    finally:
        _end(process)


def _wait(running: Running) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and running.process.poll() is None:
        try:
            if running.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the service did not start:\n{running.log.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
