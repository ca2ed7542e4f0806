"""Arms for tests of `ratchet deploy apply`: tiny programs that answer as the service does, and can be told to fail."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ratchet.deploy.state import Arm, Slot, State, Strategy, other

A, B, C, D = (Arm(f"model-v{n}", f"{n}" * 64, f"ghcr.io/ada/coins@sha256:{n}{'0' * 63}") for n in (1, 2, 3, 4))


def one(slot: Slot, arm: Arm, strategy: Strategy = "all-at-once") -> State:
    """A state with one arm."""
    return State("production", strategy, {slot: arm, other(slot): None}, slot)


def two(champion: Slot, arm: Arm, rest: Arm, share: int = 10) -> State:
    """A canary: `rest` is the challenger."""
    return State("production", "canary", {champion: arm, other(champion): rest}, champion, other(champion), share)


def shadow(champion: Slot, arm: Arm, rest: Arm) -> State:
    """`rest` gets a copy of everything, and answers nobody."""
    slots = {champion: arm, other(champion): rest}
    return State("production", "shadow", slots, champion, other(champion), mirror=100)


def warm(champion: Slot, arm: Arm, rest: Arm) -> State:
    """Blue-green: `rest` answers when the champion cannot."""
    return State("production", "blue-green", {champion: arm, other(champion): rest}, champion)


@dataclass
class Tiny:
    """Runs tiny arms; see `main`.

    Attributes:
        folder: Where faults are told.
        models: Image to the model it says it has, where that is not the right one.
    """

    folder: Path
    models: dict[str, str] = field(default_factory=dict)

    def fault(self, arm: Arm, fault: str) -> None:
        """From now on an arm is "unready", answers "500", or ends when it "dies"; "" heals it."""
        self._faults(arm.image).write_text(fault)

    def run(self, reference: str, port: int, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """See `Images`."""
        right = next(arm.model for arm in (A, B, C, D) if arm.image == reference)
        model = self.models.get(reference, right)
        with log.open("ab") as file:
            return _begin([str(port), model, str(self._faults(reference))], file)

    def _faults(self, image: str) -> Path:
        path = self.folder / image[-64:]
        path.touch()
        return path


def _begin(arguments: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-S", "-c", _PROGRAM, *arguments]
    return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


@dataclass(frozen=True)
class Answer:
    """What a caller got.

    Attributes:
        row: Which of the rows was asked.
        begin: When it was asked, seconds of `time.monotonic`.
        end: When the answer was there.
        status: Of HTTP; 0 when the connection failed.
        body: The JSON of it; what went wrong, otherwise.
    """

    row: int
    begin: float
    end: float
    status: int
    body: Any


class Load:
    """Callers that ask for predictions, one after the other on a connection each, while something is done.

    Args:
        url: Where they ask.
        rows: What they ask, by turns.
        threads: How many callers.
        pause: Seconds that each waits between two requests.
    """

    def __init__(self, url: str, rows: Sequence[Any], threads: int = 4, pause: float = 0.005) -> None:
        self.answers: list[Answer] = []
        self._address = url.removeprefix("http://")
        self._bodies = [json.dumps(row).encode() for row in rows]
        self._pause = pause
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n, threads)) for n in range(threads)]

    def __enter__(self) -> Load:
        """Begin, and wait until each has been answered."""
        for thread in self._threads:
            thread.start()
        while len(self.answers) < len(self._threads):
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def failures(self) -> list[Answer]:
        """Requests that were not answered with a prediction."""
        return [answer for answer in self.answers if answer.status != 200]

    def since(self, moment: float) -> list[Answer]:
        """Answers to what was asked after a moment."""
        return [answer for answer in list(self.answers) if answer.begin >= moment]

    def _ask(self, first: int, step: int) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        row = first % len(self._bodies)
        while not self._ended.is_set():
            begin = time.monotonic()
            try:
                connection.request("POST", "/predict", self._bodies[row], {"Content-Type": "application/json"})
                reply = connection.getresponse()
                status, text = reply.status, reply.read().decode()
                body = json.loads(text) if status == 200 else text
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                status, body = 0, repr(error)
            self.answers.append(Answer(row, begin, time.monotonic(), status, body))
            row = (row + step) % len(self._bodies)
            time.sleep(self._pause)
        connection.close()


_PROGRAM = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
port, model, faults = sys.argv[1:]
told = {"200": 0, "500": 0}
if Path(faults).read_text() == "dies":
    sys.exit("no such model")

class Arm(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        fault = Path(faults).read_text()
        if self.path == "/metrics":
            lines = [f'ratchet_requests_total{{code="{code}",route="/predict"}} {n}.0' for code, n in told.items()]
            return self.answer(200, "\\n".join(lines) + "\\n")
        self.answer(503 if self.path == "/readyz" and fault == "unready" else 200, json.dumps({"model": model}))

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        code = 500 if Path(faults).read_text() == "500" else 200
        told[str(code)] += 1
        self.answer(code, json.dumps({"model": model}))

    def answer(self, code, text):
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(port)), Arm).serve_forever()
"""
