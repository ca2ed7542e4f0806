"""The service against other ways to serve the same model, one row a request, all servers in one run.

    python bench/serving.py          # needs the outputs of `dvc repro`, and wrk; a first look: --seconds 2 --repeat 1

Each server has one worker on one core; wrk asks from another, in turns, to and fro, with rows of the holdout. Whoever
has not the turn is stopped: slow servers go on with what a turn has left them, and idle ones wake up so often that they
make the tail of whoever answers on their core. Cores are kept from sleeping, where that is allowed. Prints requests a
second at 1, 8 and 64 connections, where the time of one request goes, and the memory of the worker over many requests.
The bounds: at least 15 times BentoML's quick start, 12 times FastAPI, 30 times `mlflow models serve`; p99 at most 4
times p50 at one connection; the prediction log at most 5 %; memory flat; no answer other than the bundle's. Each is
printed with whether it was kept; the exit code is 1 when one was not. Those of p99 and of the log need a machine to
themselves: where neighbours take the processor, and memory is cold, the echo's own p99 is far above 4 times its median.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ratchet import bundle, data, files, persistence
from ratchet.errors import RatchetError, told_to_the_user
from ratchet.serving import fast
from ratchet.serving.log import Counters, PredictionLog
from ratchet.serving.metrics import Metrics
from ratchet.serving.request import Rows
from ratchet.serving.targets import LogSettings
from rehearsal.ports import free_port

OURS, QUIET, INSIDE, ECHO = "ours", "ours, log off", "ours inside BentoML's middleware", "bare ASGI echo"
FASTER = {"BentoML quick start": 15, "FastAPI": 12, "mlflow models serve": 30}
"""How many times as fast ours must be, with any number of connections."""
TAIL, LOG_COST, GROWTH = 4.0, 0.05, 0.02
"""Bounds of p99 over p50, of what the log costs, and of the memory's growth after the first tenth of the requests."""
ROUNDING = 1e-12
"""The most that the answers of scikit-learn's own pipeline may differ from the bundle's."""
ROWS = 500
PROCESSES = 8  # in which the log is measured: two of them differ by more than its cost does
TOUCHED = 1 << 28  # bytes; a page that a host has not given yet costs ten times as much to whoever writes a file to it
CONNECTIONS = (1, 8, 64)
PROGRAMS = Path(sys.executable).parent
UVICORN = [str(PROGRAMS / "uvicorn"), "--host", "127.0.0.1", "--port", "{port}", "--no-access-log"]
BENCH = Path(__file__).parent.resolve()
BUNDLE = Path("bundle").resolve()
WRK = """
wrk.method, wrk.path, wrk.headers["content-type"] = "POST", "%s", "application/json"
local bodies, i = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
function request() i = i %% #bodies + 1; return wrk.format(nil, nil, nil, bodies[i]) end
function done(summary, latency)
  local e = summary.errors
  io.stderr:write(string.format('{"requests": %%d, "seconds": %%f, "failed": %%d, "p50": %%f, "p99": %%f}',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True)
class Server:
    """A way to serve the model.

    Attributes:
        name: For people.
        command: What starts it, with `{port}` in it.
        asks: A row as the body of a request.
        answers: The score in an answer.
        path: Where rows are sent to.
        environment: Variables of its own.
    """

    name: str
    command: Sequence[str]
    asks: Callable[[Mapping[str, Any]], Any] = dict
    answers: Callable[[Any], float] = lambda answer: float(answer["score"])
    path: str = "/predict"
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """A server that answers: where, its process, and how it is asked."""

    server: Server
    url: str
    process: subprocess.Popen[bytes]
    script: Path

    def family(self) -> list[int]:
        """The server's processes; those that started others come before them."""
        table = _processes("pid,ppid")
        found = [self.process.pid]
        for one in found:
            found += [pid for pid, parent in table if parent == one]
        return found

    def send(self, what: signal.Signals) -> None:
        """Send all of them a signal."""
        for member in self.family():  # BentoML's workers are in groups of their own
            with suppress(ProcessLookupError):  # it may have ended by itself
                os.kill(member, what)

    def worker(self) -> int:
        """The process that holds the model: the largest of the server's."""
        sizes = dict(_processes("pid,rss"))
        return max(self.family(), key=lambda pid: sizes.get(pid, 0))


@dataclass(frozen=True)
class Load:
    """What wrk saw; latencies in milliseconds."""

    requests: int
    seconds: float
    failed: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description="The service against others.")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--repeat", type=int, default=4, help="turns; medians are printed")
    parser.add_argument("--requests", type=int, default=500_000, help="over which memory is watched; 0: not")
    parser.add_argument("--only", default="", help="servers to measure, by the beginning of their names, with commas")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        raise RatchetError("wrk is not installed: apt-get install wrk")
    opened = bundle.load(BUNDLE)
    rows = _rows(opened)
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        stack.enter_context(awake())
        chosen = [s for s in servers(opened, folder) if s.name.startswith(tuple(given.only.split(",")))]
        running = [stack.enter_context(started(server, rows, folder)) for server in chosen]
        differences = {one.server.name: difference(one, opened, rows) for one in running if one.server.name != ECHO}
        for name, found in differences.items():
            print(f"{name}: answers differ by at most {found:.1e}", flush=True)
        loads = measure(running, given.seconds, given.repeat)
        print("\n" + table(running, loads))
        if (ECHO, 1) in loads:
            print(anatomy(opened, rows, loads, folder))
        prices = log_prices(rows, folder, given.seconds * given.repeat / 2)  # many, for less long
        print(told_of_the_log(prices))
        price = max(statistics.mean(price for price, _ in found) for found in prices.values())
        kept = bounds(loads)
        kept["share of the throughput that the prediction log takes"] = (price, LOG_COST, price <= LOG_COST)
        kept |= {
            f"answers of {name}, difference": (found, bound, found <= bound)
            for name, found in differences.items()
            for bound in [0.0 if name in {OURS, QUIET, INSIDE} else ROUNDING]
        }
    with TemporaryDirectory() as scratch:  # servers that have answered nothing yet
        for server in (s for s in servers(opened, Path(scratch)) if given.requests and s.name in {OURS, INSIDE}):
            with started(server, rows, Path(scratch)) as fresh:
                watched = memory(fresh, given.requests if server.name == OURS else given.requests // 10)
            print(f"{server.name}: {watched.told()}")
            if server.name == OURS:
                kept["memory, growth after the first tenth"] = (watched.growth, GROWTH, watched.is_flat)
    print("\n" + told(kept))
    sys.exit(0 if all(one for _, _, one in kept.values()) else 1)


def servers(opened: bundle.Bundle, folder: Path) -> list[Server]:
    """All of them; ours first."""
    problem = opened.manifest["problem"]
    bento = [str(PROGRAMS / "bentoml"), "serve", "--host", "127.0.0.1", "--port", "{port}"]
    mlflow = [str(PROGRAMS / "mlflow"), "models", "serve", "--env-manager", "local", "--workers", "1"]
    named = {"BENCH_PROBLEM": problem}
    ours = [*bento, "ratchet.serving.service:Service"]
    return [
        Server(OURS, ours, environment={"RATCHET_LOG": str(folder / "predictions")}),
        Server(QUIET, ours),
        Server(ECHO, [*UVICORN, "servers:echo"], answers=lambda _: 0.0, environment=named),
        Server(INSIDE, [*UVICORN, "--factory", "servers:mounted"], environment=named),
        Server("FastAPI", [*UVICORN, "--factory", "servers:fastapi"], environment=named),
        Server(
            "BentoML quick start",
            [*bento, "servers:QuickStart"],
            asks=lambda row: {"rows": [row]},
            answers=lambda answer: float(answer[0]),
            environment=named,
        ),
        Server(
            "mlflow models serve",
            [*mlflow, "-m", str(_saved(problem, folder)), "-h", "127.0.0.1", "-p", "{port}"],
            asks=lambda row: {"dataframe_records": [row]},
            answers=lambda answer: float(answer["predictions"][0][1]),
            path="/invocations",
        ),
    ]


@contextmanager
def started(server: Server, rows: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[Running]:
    """The server, on the first core, answering."""
    port = free_port()
    home = folder / f"home-{port}"
    told = {
        "RATCHET_BUNDLE": str(BUNDLE),
        "OMP_NUM_THREADS": "1",
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "1",
    }
    told["PATH"] = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"  # MLflow starts uvicorn by its name
    command = [*_on_core(0), *(part.format(port=port) for part in server.command)]
    bodies, script = folder / f"{port}.jsonl", folder / f"{port}.lua"
    files.write_bytes(bodies, b"".join(orjson.dumps(server.asks(row)) + b"\n" for row in rows))
    files.write_text(script, WRK % (server.path, bodies))
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=BENCH,
            env=os.environ | told | dict(server.environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(server, f"http://127.0.0.1:{port}", process, script)
    try:
        _wait(running, rows[0], folder / f"{port}.log")
        yield running
    finally:
        running.send(signal.SIGKILL)
        process.wait()


def difference(running: Running, opened: bundle.Bundle, rows: Sequence[Mapping[str, Any]]) -> float:
    """The largest between its answers and the bundle's."""
    with httpx.Client(timeout=30) as client:
        found = [_ask(client, running, row) for row in rows]
    return max(abs(score - opened.score_row(row)) for score, row in zip(found, rows, strict=True))


def measure(running: Sequence[Running], seconds: float, repeat: int) -> dict[tuple[str, int], list[Load]]:
    """Loads by name and connections; in turns, to and fro: whatever else the machine does hits all."""
    loads: dict[tuple[str, int], list[Load]] = {}
    for one in running:
        load(one, 8, 1.0)
        one.send(signal.SIGSTOP)
    for turn in range(repeat):
        for connections in CONNECTIONS:
            for one in running[:: -1 if turn % 2 else 1]:
                one.send(signal.SIGCONT)
                loads.setdefault((one.server.name, connections), []).append(load(one, connections, seconds))
                one.send(signal.SIGSTOP)
    return loads


@contextmanager
def awake() -> Iterator[None]:
    """Cores that do not sleep: a virtual one wakes up when its host likes, and with one connection all wait for that.

    Source: https://docs.kernel.org/power/pm_qos_interface.html
    """
    try:
        latency = os.open("/dev/cpu_dma_latency", os.O_WRONLY)
    except OSError as error:
        print(f"the cores may sleep, so p99 is the machine's too: {error}")
        yield
        return
    try:
        os.write(latency, bytes(4))  # microseconds to wake up in, for as long as it is open
        yield
    finally:
        os.close(latency)


def load(running: Running, connections: int, seconds: float) -> Load:
    """Ask as fast as it answers, from the second core."""
    bytearray(TOUCHED)
    options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    command = [*_on_core(1), "wrk", *options, "-s", str(running.script), running.url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Load(**json.loads(done.stderr.strip().splitlines()[-1]))


def table(running: Sequence[Running], loads: Mapping[tuple[str, int], Sequence[Load]]) -> str:
    """Rates, latencies, and how many times as fast ours is."""
    lines = [
        "| server | requests/s at 1 | p50 | p99 | at 8 | at 64 | ours is as fast | failed |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in running:
        name = one.server.name
        rates = [statistics.median(turn.rate for turn in loads[name, c]) for c in CONNECTIONS]
        p50, p99 = (statistics.median(getattr(turn, p) for turn in loads[name, 1]) for p in ("p50", "p99"))
        ratios = [_ratio(loads, name, c) for c in CONNECTIONS]
        failed = sum(turn.failed for c in CONNECTIONS for turn in loads[name, c])
        times = " / ".join(f"{ratio:.2f}" if ratio < 2 else f"{ratio:.0f}" for ratio in ratios)
        cells = [f"{rates[0]:,.0f}", f"{p50:.2f} ms", f"{p99:.2f} ms", f"{rates[1]:,.0f}", f"{rates[2]:,.0f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {times} times | {failed} |")
    return "\n".join(lines) + "\n"


def log_prices(rows: Sequence[Mapping[str, Any]], folder: Path, seconds: float) -> dict[int, list[tuple[float, float]]]:
    """Shares of the throughput that the log takes, and its writing thread of them; by connections, for each process."""
    prices: dict[int, list[tuple[float, float]]] = {}
    for process in range(PROCESSES):
        told = {"RATCHET_LOG": str(folder / f"by-turns-{process}")}
        server = Server("log by turns", [*UVICORN, "--factory", "servers:ByTurns"], environment=told)
        with started(server, rows, folder) as running:
            load(running, 8, 2.0)
            for connections in CONNECTIONS:
                httpx.get(running.url + "/price").raise_for_status()
                load(running, connections, seconds)
                found = httpx.get(running.url + "/price").raise_for_status().json()
                dear = found["on"] + found["writer"]
                shares = 1 - found["off"] / dear, found["writer"] / dear
                prices.setdefault(connections, []).append(shares)
    return prices


def told_of_the_log(prices: Mapping[int, Sequence[tuple[float, float]]]) -> str:
    """The means of the processes, and each."""
    lines = ["| connections | the prediction log takes | of that its thread | each process |", "|---:|---:|---:|---|"]
    for connections, found in prices.items():
        price, writer = map(statistics.mean, zip(*found, strict=True))
        each = ", ".join(f"{price:.1%}" for price, _ in found)
        lines.append(f"| {connections} | {price:.1%} | {writer:.1%} | {each} |")
    return "\n".join(lines) + "\n"


def anatomy(
    opened: bundle.Bundle,
    rows: Sequence[Mapping[str, Any]],
    loads: Mapping[tuple[str, int], Sequence[Load]],
    folder: Path,
) -> str:
    """Where a request's time goes: parts timed by themselves, and what they leave of the whole."""
    whole = _microseconds(loads, OURS)
    floor = _microseconds(loads, ECHO)
    parts = _parts(opened, rows, folder)
    rest = whole - floor - sum(parts.values())
    shown = {
        "server, socket and event loop (the echo)": floor,
        **parts,
        "routes, headers, answer in two messages": rest,
    }
    lines = ["| part of a request | µs | share |", "|---|---:|---:|"]
    lines += [f"| {name} | {value:.1f} | {value / whole:.0%} |" for name, value in shown.items()]
    lines.append(f"| **whole** | {whole:.1f} | |")
    if (INSIDE, 1) in loads:
        inside = _microseconds(loads, INSIDE) - _microseconds(loads, QUIET)
        lines.append(f"| not in it: BentoML's middleware | {inside:.1f} | {inside / whole:.0%} |")
    return "\n".join(lines) + "\n"


def bounds(loads: Mapping[tuple[str, int], Sequence[Load]]) -> dict[str, tuple[float, float, bool]]:
    """What was promised of speed: figure, bound, and whether it was kept; of the servers that were measured."""
    kept = {}
    for name, least in FASTER.items():
        if (name, 1) in loads:
            ratio = min(_ratio(loads, name, connections) for connections in CONNECTIONS)
            kept[f"times as fast as {name}"] = (ratio, float(least), ratio >= least)
    tail = statistics.median(turn.p99 / turn.p50 for turn in loads[OURS, 1])
    kept["p99 over p50 at one connection"] = (tail, TAIL, tail <= TAIL)
    failed = sum(turn.failed for connections in CONNECTIONS for turn in loads[OURS, connections])
    kept["requests that failed"] = (failed, 0, failed == 0)
    return kept


def told(kept: Mapping[str, tuple[float, float, bool]]) -> str:
    """The bounds, as Markdown."""
    lines = [
        f"| {name} | {value:.3g} | {bound:g} | {'kept' if one else 'BROKEN'} |"
        for name, (value, bound, one) in kept.items()
    ]
    return "\n".join(["| bound | found | bound | |", "|---|---:|---:|---|", *lines])


def _ratio(loads: Mapping[tuple[str, int], Sequence[Load]], name: str, connections: int) -> float:
    """Ours over another, turn by turn."""
    pairs = zip(loads[OURS, connections], loads[name, connections], strict=True)
    return statistics.median(ours.rate / other.rate for ours, other in pairs)


@dataclass(frozen=True)
class Watched:
    """Resident size of a worker, bytes, after so many requests."""

    sizes: Sequence[tuple[int, int]]
    failed: int

    @property
    def growth(self) -> float:
        """After the first tenth of the requests, relative."""
        done = self.sizes[-1][0]
        warm = next(size for asked, size in self.sizes if asked >= done / 10)
        return self.sizes[-1][1] / warm - 1

    @property
    def is_flat(self) -> bool:
        """And every request was answered."""
        return self.growth <= GROWTH and self.failed == 0

    def told(self) -> str:
        """For people."""
        (_, first), (done, last) = self.sizes[0], self.sizes[-1]
        steps = ", ".join(f"{size / 1e6:.1f}" for _, size in self.sizes[:: max(1, len(self.sizes) // 10)])
        return (
            f"{done:,} requests, {self.failed} failed: {first / 1e6:.1f} → {last / 1e6:.1f} MB, "
            f"{(last - first) / done:.1f} bytes a request, {self.growth:.1%} after the first tenth\n"
            f"  on the way: {steps} MB"
        )


def memory(running: Running, requests: int) -> Watched:
    """Resident size of the worker over many requests; every one must be answered with 200."""
    worker, sizes, done, failed = running.worker(), [], 0, 0
    load(running, 8, 2)
    while done <= requests:
        sizes.append((done, _resident(worker)))
        turn = load(running, 8, 5)
        done, failed = done + turn.requests, failed + turn.failed
    sizes.append((done, _resident(worker)))
    return Watched(sizes, failed)


def _parts(opened: bundle.Bundle, rows: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, float]:
    """Microseconds of what our application does with a row."""
    fast.quicken(opened)
    model: Any = opened.model
    read = Rows(opened.schema, 1000)
    bodies = [orjson.dumps(row) for row in rows]
    parsed = [read.one(body) for body in bodies]
    matrix = _matrix(model, parsed[0])
    metrics = Metrics("binary", {"model": opened.digest}, {}, None)
    counters = Counters(**metrics.log)
    log = PredictionLog(LogSettings(str(folder / "parts"), opened.digest, queue=10_000_000), opened.schema, counters)
    decision = True
    answer = {"id": "0", "score": 0.25, "decision": decision, "model": opened.digest}
    told = orjson.dumps(answer)

    def count(_: int) -> None:
        metrics.answered("/predict", 200, 0.0001)
        metrics.scored(0.25, decision)

    timed = {
        "parse and validate": _timed(lambda i: read.one(bodies[i])),
        "features and encoders": _timed(lambda i: opened.score_row(parsed[i])),
        "trees": _timed(lambda _: model._predict(model._trees, matrix, nthread=1)),
        "encode the answer": _timed(lambda _: orjson.dumps(answer)),
        "metrics": _timed(count),
        "prediction log": _timed(lambda i: log.put(told, 0.0, bodies[i], 0.0)),
    }
    log.close(30)
    timed["features and encoders"] -= timed["trees"]
    return timed


def _matrix(model: Any, row: Mapping[str, Any]) -> Any:
    seen: list[Any] = []
    predict = model._predict

    def watch(trees: Any, matrix: Any, *, nthread: int) -> Any:
        seen.append(matrix)
        return predict(trees, matrix, nthread=nthread)

    model._predict = watch
    model.score_row({name: row.get(name) for name in row})
    model._predict = predict
    return seen[0]


def _timed(work: Callable[[int], Any]) -> float:
    """Microseconds of one call, the median over rounds of all rows."""
    rounds = []
    for _ in range(20):
        began = time.perf_counter()
        for i in range(ROWS):
            work(i)
        rounds.append((time.perf_counter() - began) / ROWS * 1e6)
    return statistics.median(rounds)


def _microseconds(loads: Mapping[tuple[str, int], Sequence[Load]], name: str) -> float:
    return statistics.median(1e6 / turn.rate for turn in loads[name, 1])


def _rows(opened: bundle.Bundle) -> list[Mapping[str, Any]]:
    """Rows of the holdout without gaps: the others' frames could not tell what kind a column of nulls is."""
    holdout = data.load(files.read_json(data.DATASET), "test")
    whole = holdout[list(opened.schema["properties"])].dropna()
    return list(bundle.plain_rows(whole.sample(ROWS, random_state=0)))


def _saved(problem: str, folder: Path) -> Path:
    """The pipeline as MLflow keeps it."""
    import mlflow.sklearn

    place = folder / "mlflow"
    pipeline = persistence.load(Path("model/pipeline.skops"), (problem, "ratchet.rows"))
    options = {"pyfunc_predict_fn": "predict_proba", "serialization_format": "cloudpickle", "pip_requirements": []}
    mlflow.sklearn.save_model(pipeline, place, **options)
    return place


def _ask(client: httpx.Client, running: Running, row: Mapping[str, Any]) -> float:
    answer = client.post(running.url + running.server.path, json=running.server.asks(row))
    answer.raise_for_status()
    return running.server.answers(answer.json())


def _wait(running: Running, row: Mapping[str, Any], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and running.process.poll() is None:
        try:
            with httpx.Client(timeout=30) as client:
                _ask(client, running, row)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    raise RatchetError("\n".join([f"{running.server.name} did not start", *log.read_text().strip().splitlines()[-2:]]))


def _on_core(core: int) -> list[str]:
    can = shutil.which("taskset") and (os.cpu_count() or 1) > 1
    return ["taskset", "--cpu-list", str(core)] if can else []


def _processes(columns: str) -> list[tuple[int, int]]:
    """Two columns of ps(1) about every process."""
    found = subprocess.run(["ps", "-eo", columns], check=True, capture_output=True, text=True).stdout
    return [(int(one), int(other)) for one, other in (line.split() for line in found.splitlines()[1:])]


def _resident(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    with told_to_the_user():
        main()
