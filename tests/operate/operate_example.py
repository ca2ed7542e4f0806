"""What runs on a host, on this machine: two real arms behind a real Traefik, watched by a real Prometheus.

The rules and the scrapes are those of `deploy/prometheus`, but for their durations: minutes are seconds here. What is
injected are faults of code, callers, disks and processes; no metric is made up.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml

from outputs_example import build
from ratchet import bundle, data, files
from ratchet.deploy import prometheus, traefik
from ratchet.deploy.state import Arm, Slot, State
from rehearsal.engine import Processes, end
from rehearsal.ports import free_port

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
SCRAPES = ROOT / "deploy" / "prometheus" / "prometheus.yml"
QUICK = {"30s": "1s", "1m": "1s", "2m": "1s", "5m": "5s", "15m": "5s", "1h": "1s", "1d": "6s", "1w": "10m"}
"""What each duration of the rules is here."""
DAY = 86_400
FAULTY = """
import time


def features(row):
    force = row["force"]
    if isinstance(force, float) and force == 9.99:
        raise ValueError("a fault of the model's code")
    if isinstance(force, float) and force == 8.88:
        time.sleep(0.4)
    return {"metal": row["metal"], "side": row["side"], "force": row["force"], "spin": row["force"] * row["turns"]}
"""
"""The features of the coins, with two values that they cannot cope with."""
BREAKS, SLOWS, REFUSED = 9.99, 8.88, 99.0

Row = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """Runs `ratchet.serving` on one bundle, in each slot with settings of its own."""

    bundle: Path
    code: Path
    settings: Mapping[str, Mapping[str, str]]

    def run(self, reference: str, port: int, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """See `Images`; a reference is the name of a slot."""
        given = {
            "BENTOML_HOST": "127.0.0.1",
            "BENTOML_PORT": str(port),
            "RATCHET_BUNDLE": str(self.bundle),
            "PYTHONPATH": os.pathsep.join([str(self.code), str(ROOT / "src")]),
        }
        with log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "ratchet.serving.start"],
                env={**os.environ, **environment, **given, **self.settings[reference]},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )


@dataclass
class World:
    """All of it.

    Attributes:
        engine: Two arms, and Traefik.
        folder: Prometheus' own.
        predictions: The folder of the green arm's prediction log.
        rows: What people ask.
        state: What has to run.
        shift: What people do to each row before they ask.
        api: Where Prometheus is.
    """

    engine: Processes
    folder: Path
    predictions: Path
    rows: Sequence[Row]
    state: State
    shift: Callable[[Row], Row] = field(default=lambda row: row)
    api: str = ""

    def route(self) -> None:
        """Let Traefik ask both arms, as the state says; starts it when it does not run."""
        self.engine.route(traefik.render(self.state, self.engine.address))

    def start(self, *slots: Slot) -> None:
        """Start arms, tell Traefik and Prometheus where they are, and wait until they are ready."""
        for slot in slots:
            self.engine.start(slot, slot)
        targets = prometheus.arms(self.state, lambda slot: self.engine.address(slot).partition("//")[2])
        files.write_text(self.folder / "arms.json", targets)
        self.route()
        for slot in slots:
            until(partial(_is_ready, self.engine.probe(slot)))

    def ask(self, url: str, **changed: Any) -> int:
        """Ask for one prediction of a changed row; the code of the answer, 0 when there was none."""
        try:
            return httpx.post(f"{url}/predict", json=self.rows[0] | changed, timeout=2).status_code
        except httpx.HTTPError:
            return 0

    def query(self, expression: str) -> list[Any]:
        """What Prometheus says to an expression.

        Raises:
            AssertionError: It does not understand it.
        """
        answer = httpx.get(f"{self.api}/api/v1/query", params={"query": expression}, timeout=10).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        return list(answer["data"]["result"])

    def firing(self) -> set[tuple[str, str]]:
        """Alerts that fire: name and slot, "" where one has none."""
        listed = httpx.get(f"{self.api}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
        return {(a["labels"]["alertname"], a["labels"].get("slot", "")) for a in listed if a["state"] == "firing"}

    @contextmanager
    def always(self, *faults: Callable[[], object]) -> Iterator[None]:
        """Do something again and again, beside what people do, until the block ends."""
        ended = threading.Event()

        def go() -> None:
            while not ended.wait(0.02):
                for fault in faults:
                    fault()

        thread = threading.Thread(target=go)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _is_ready(url: str) -> bool:
    return httpx.get(f"{url}/readyz", timeout=2).is_success


def until(reached: Callable[[], bool], seconds: float = 40) -> float:
    """Wait for something; how long it took, seconds.

    Raises:
        AssertionError: It does not come.
    """
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        with suppress(httpx.HTTPError):
            if reached():
                return time.monotonic() - began
        time.sleep(0.1)
    raise AssertionError(f"did not come about in {seconds:g} s")


@contextmanager
def running(folder: Path) -> Iterator[World]:
    """Blue, released 50 days ago, and green, with a prediction log; each answers half, and people ask."""
    build(folder / "toy_coins", ["2013-01", "2013-02"])
    opened = bundle.load(folder / "toy_coins" / "bundle")
    holdout = files.read_parquet(folder / "toy_coins" / data.PERIODS / "2013-02" / "rows.parquet")
    asked = opened.score(holdout).argsort()[:250]  # a rare event, as most are: there is room for twice as many
    rows = bundle.plain_rows(holdout.iloc[asked][list(opened.schema["properties"])])
    scores = opened.score_rows(rows)
    shares = {
        "score_mean": float(scores.mean()),
        "decision_share": float((scores >= opened.manifest["threshold"]).mean()),
    }
    files.write_json(folder / "toy_coins" / "reference.json", shares | {"rows": len(rows)})
    shutil.copytree(ROOT / "tests" / "problems" / "toy_coins", folder / "code" / "toy_coins")
    files.write_text(folder / "code" / "toy_coins" / "model" / "features.py", FAULTY)
    predictions = folder / "predictions"
    predictions.mkdir()
    settings = {
        "blue": {"RATCHET_RELEASE": "model-v1", "RATCHET_RELEASED": f"{time.time() - 50 * DAY:.0f}"},
        "green": {
            "RATCHET_RELEASE": "model-v2",
            "RATCHET_RELEASED": f"{time.time():.0f}",
            "RATCHET_LOG": str(predictions),
            "RATCHET_LOG_QUEUE": "100",
            "RATCHET_LOG_ROTATE_ROWS": "50",
        },
    }
    arms = {slot: Arm(f"model-v{n}", opened.digest, slot) for n, slot in enumerate(("blue", "green"), 1)}
    image = f"ghcr.io/ada/coins@sha256:{opened.digest}"
    state = State(
        "production",
        "ab",
        {slot: Arm(arm.release, opened.digest, image) for slot, arm in arms.items()},
        "blue",
        "green",
        share=50,
    )
    with Processes(Service(opened.folder, folder / "code", settings), folder / "host") as engine:
        world = World(engine, folder / "prometheus", predictions, rows, state)
        world.start("blue", "green")
        with watched(engine, world.folder) as world.api, people(world):
            yield world


@contextmanager
def watched(engine: Processes, folder: Path) -> Iterator[str]:
    """Prometheus with the host's configuration, on free ports; where its API is."""
    files.write_text(folder / "alerts.yml", quickened(RULES.read_text(encoding="utf-8")))
    static = yaml.safe_load((engine.folder / "traefik.yaml").read_text(encoding="utf-8"))
    given = yaml.safe_load(SCRAPES.read_text(encoding="utf-8"))
    given["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    model, proxy = given["scrape_configs"]
    model["file_sd_configs"][0]["files"] = [str(folder / "arms.json")]
    proxy["static_configs"][0]["targets"] = [static["entryPoints"]["metrics"]["address"]]
    files.write_text(folder / "prometheus.yml", yaml.safe_dump(given))
    address = f"127.0.0.1:{free_port()}"
    program = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'series'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(program, stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: httpx.get(f"http://{address}/-/ready", timeout=2).is_success)
        yield f"http://{address}"
    finally:
        end(process)


def quickened(rules: str) -> str:
    """Rules with the durations of `QUICK`; one that is not there fails."""
    ranges = re.sub(r"\[(\w+)\]", lambda found: f"[{QUICK[found[1]]}]", rules)
    return re.sub(r"\bfor: (\w+)", lambda found: f"for: {QUICK[found[1]]}", ranges)


@contextmanager
def people(world: World) -> Iterator[None]:
    """About thirty requests a second through Traefik: two of three for one row, the third for fifty."""
    ended = threading.Event()

    def go() -> None:
        n = 0
        with httpx.Client(base_url=world.engine.url, timeout=2) as client:
            while not ended.wait(0.03):
                n += 1
                rows = [world.shift(world.rows[(n + k) % len(world.rows)]) for k in range(50)]
                with suppress(httpx.HTTPError):
                    client.cookies.clear()
                    if n % 3:
                        client.post("/predict", json=rows[0])
                    else:
                        client.post("/predict_batch", json={"rows": rows})

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
