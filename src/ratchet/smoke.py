"""The smoke test of an image: the running container must say which model it is, and score as was judged.

    ratchet smoke ghcr.io/ada/flights@sha256:… --candidate build/candidate

smoke.json    image, model, rows, largest_difference, ready_seconds, p50_ms, p99_ms
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ratchet import files
from ratchet.errors import RatchetError
from ratchet.release.candidate import SMOKE, Candidate

REPORT = "smoke.json"
READY_SECONDS = 60.0  # a container that is not ready after a minute would not come up behind a proxy either
# The service answers in about a millisecond, on a machine that others use in perhaps ten. These bounds find what is
# wrong by an order of magnitude (a pipeline that is loaded with each request), never a slow runner.
P50_MS, P99_MS = 50.0, 500.0
WARM_UP = 10
# Judged scores have as many decimals as do not depend on the CPU (`ratchet.evaluation`); where the rest lies on the
# edge between two of them, the last decimal may be the other one.
DECIMALS = 10
TOLERANCE = 1.5e-10
RUN = ("--detach", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--publish", "127.0.0.1::3000")  # noqa: S108  # the container's
LAST_LINES = 30


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        image: Which was asked, by digest.
        model: The digest that it named.
        rows: That were scored, one by one and in one batch.
        largest_difference: To the judged scores, in the decimals that these have.
        ready_seconds: From start to ready.
        p50_ms: Half of the answers took at most this long, in milliseconds.
        p99_ms: All but one of a hundred did.
    """

    image: str
    model: str
    rows: int
    largest_difference: float
    ready_seconds: float
    p50_ms: float
    p99_ms: float

    def write(self, folder: Path) -> None:
        """Write `smoke.json`."""
        rounded = {name: round(getattr(self, name), 3) for name in ("ready_seconds", "p50_ms", "p99_ms")}
        files.write_json(folder / REPORT, {**vars(self), **rounded})

    def sentence(self) -> str:
        """The same for people."""
        differ = (
            f"differ by at most {self.largest_difference:.1e}" if self.largest_difference else "are the judged ones"
        )
        return (
            f"ready after {self.ready_seconds:.1f} s; the scores of {self.rows} rows {differ}; "
            f"p50 {self.p50_ms:.2f} ms (bound {P50_MS:g}), p99 {self.p99_ms:.2f} ms (bound {P99_MS:g})"
        )


@dataclass(frozen=True)
class Expected:
    """What the candidate says that the service must do.

    Attributes:
        model: The judged model digest.
        rows: Raw rows.
        scores: Judged scores of these.
    """

    model: str
    rows: Sequence[Any]
    scores: Sequence[float]


def read(folder: Path) -> Expected:
    """What a candidate's folder says.

    Raises:
        RatchetError: It is incomplete, or has no rows to ask for.
    """
    try:
        lines = [json.loads(line) for line in (folder / SMOKE).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise RatchetError(f"{folder / SMOKE}: cannot be read: {error}") from error
    if not lines:
        raise RatchetError(f"{folder / SMOKE}: has no rows, so nothing could be compared")
    model = Candidate.read(folder).model_digest or ""
    return Expected(model, [line["row"] for line in lines], [line["score"] for line in lines])


def smoke(image: str, expected: Expected) -> Report:
    """Run an image, and ask it everything.

    Args:
        image: By digest, where docker can pull it from.
        expected: What it must say.

    Raises:
        RatchetError: It does not start, is another model, scores differently, or is slow. Says what the container
            printed last, on standard output.
    """
    with _running(image) as container, _client(container) as client:
        try:
            ready = _wait(container, client)
            _check_model(client, expected.model)
            return _check_scores(client, image, expected, ready)
        except RatchetError:
            print("\n".join(_docker("logs", "--tail", str(LAST_LINES), container).splitlines()[-LAST_LINES:]))
            raise


def _client(container: str) -> httpx.Client:
    """One connection to a container's port 3000, kept open; it is on this machine, so past any proxy."""
    address = _docker("port", container, "3000").split()[0]
    return httpx.Client(base_url=f"http://{address}", timeout=10, trust_env=False)


def _status(client: httpx.Client, path: str) -> int | None:
    """Of a GET; None when nobody answers."""
    try:
        return client.get(path).status_code
    except httpx.TransportError:
        return None


def _ask(client: httpx.Client, path: str, content: Any = None) -> tuple[Any, float]:
    """The JSON of an answer, and the milliseconds that it took.

    Raises:
        RatchetError: It is no success.
    """
    began = time.perf_counter()
    try:
        answer = client.get(path) if content is None else client.post(path, json=content)
    except httpx.TransportError as error:
        raise RatchetError(f"{path}: there is no answer: {error}") from error
    took = (time.perf_counter() - began) * 1000
    if answer.status_code != 200:
        raise RatchetError(f"{path}: answers {answer.status_code}: {_error(answer.content)}")
    return answer.json(), took


def _error(text: bytes) -> str:
    """The sentence of an answer that is no success; beside it stand values of the row, which no log should have."""
    try:
        return str(json.loads(text)["error"])[:300]
    except (ValueError, KeyError, TypeError):
        return "it does not say why"


@contextmanager
def _running(image: str) -> Iterator[str]:
    container = _docker("run", *RUN, image).split()[-1]
    try:
        yield container
    finally:
        _docker("rm", "--force", container)


def _wait(container: str, client: httpx.Client) -> float:
    """Seconds until it was ready."""
    began = time.perf_counter()
    while (waited := time.perf_counter() - began) < READY_SECONDS:
        status = _status(client, "/readyz")
        if status == 200:
            return time.perf_counter() - began
        if status is None and _docker("inspect", "--format", "{{.State.Running}}", container).strip() != "true":
            raise RatchetError(f"the container ended after {waited:.1f} s; its last lines are above")
        time.sleep(0.05)
    raise RatchetError(f"the container is not ready after {READY_SECONDS:g} s; its last lines are above")


def _check_model(client: httpx.Client, expected: str) -> None:
    found = _ask(client, "/info")[0].get("model")
    if found != expected:
        raise RatchetError(f"/info: the image serves the model {found}, judged was {expected}")


def _check_scores(client: httpx.Client, image: str, expected: Expected, ready: float) -> Report:
    for row in expected.rows[:WARM_UP]:
        _ask(client, "/predict", row)
    answers = [_ask(client, "/predict", row) for row in expected.rows]
    single = [answer["score"] for answer, _ in answers]
    batch = [one["score"] for one in _ask(client, "/predict_batch", {"rows": expected.rows})[0]["predictions"]]
    worst = max(_compare("/predict", single, expected), _compare("/predict_batch", batch, expected))
    p50, p99 = _quantiles([took for _, took in answers])
    if p50 > P50_MS or p99 > P99_MS:
        raise RatchetError(
            f"/predict: p50 is {p50:.1f} ms and p99 {p99:.1f} ms; the bounds are {P50_MS:g} and {P99_MS:g}"
        )
    return Report(image, expected.model, len(expected.rows), worst, ready, p50, p99)


def _compare(path: str, scores: Sequence[float], expected: Expected) -> float:
    """The largest difference, which of large predictions is relative."""
    pairs = [(round(score, DECIMALS), judged) for score, judged in zip(scores, expected.scores, strict=True)]
    gaps: list[float] = [abs(score - judged) / max(1.0, abs(judged)) for score, judged in pairs]
    wrong = [number for number, gap in enumerate(gaps) if not gap <= TOLERANCE]
    if wrong:
        first = wrong[0]
        raise RatchetError(
            f"{path}: {len(wrong)} of {len(gaps)} rows do not score as was judged; "
            f"row {first} scores {scores[first]!r}, judged was {expected.scores[first]!r}\n"
            f"the row is line {first + 1} of {SMOKE} in the artifact `candidate`"  # not here: columns may be private
        )
    return max(gaps)


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    """The median, and the 99th percentile by nearest rank."""
    ordered = sorted(values)
    return statistics.median(ordered), ordered[-(-99 * len(ordered) // 100) - 1]


def _docker(*arguments: str) -> str:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError as error:
        raise RatchetError(
            "docker is not installed, so no image can be run\nin a rehearsal, its runner has one"
        ) from error
    if done.returncode:
        told = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        # Before it stands what was pulled, after it where to find help.
        complaint = next((line for line in told if line.startswith(("docker:", "Error"))), told[-1])
        raise RatchetError(f"docker {arguments[0]}: {complaint.removeprefix('docker: ')}")
    return done.stdout + (done.stderr if arguments[0] == "logs" else "")
