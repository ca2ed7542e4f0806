"""What `bench/serving.py` measures the service against: the same model, served as each tool's own pages show it.

Run by that script, in this folder, with the repository's outputs beside it.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import orjson
import pandas as pd
from fastapi import FastAPI
from scipy import stats

from ratchet import persistence

ROOT = Path(__file__).parents[1]
SCORE = b'{"id":"0","score":0.25,"decision":false,"model":"%s"}' % (b"0" * 64)
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(SCORE))]


def pipeline() -> Any:
    """The fitted scikit-learn pipeline that the bundle was made from."""
    return persistence.load(ROOT / "model" / "pipeline.skops", (os.environ["BENCH_PROBLEM"], "ratchet.rows"))


@bentoml.service
class QuickStart:
    """BentoML's quick start for scikit-learn: a frame in, `predict_proba`, everything else as it comes."""

    def __init__(self) -> None:
        self.model = pipeline()

    @bentoml.api
    def predict(self, rows: pd.DataFrame) -> np.ndarray:  # type: ignore[type-arg]
        """Scores of the rows."""
        scores: np.ndarray = self.model.predict_proba(rows)[:, 1]  # type: ignore[type-arg]
        return scores


def fastapi() -> FastAPI:
    """FastAPI with the pipeline; any object is a row, so it checks less than ours."""
    app, model = FastAPI(), pipeline()

    @app.post("/predict")
    def predict(row: dict[str, Any]) -> dict[str, float]:
        return {"score": float(model.predict_proba(pd.DataFrame([row]))[0, 1])}

    return app


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """The floor: reads the body and answers, always the same, with nothing in between."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["method"] == "POST":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": SCORE})


def mounted() -> Any:
    """Our application where BentoML would have it: behind its own middleware, its tracing and its timeout."""
    from ratchet.serving import metrics, settings
    from ratchet.serving.service import load

    metrics.prepare(workers=1)
    service = bentoml.service(name="mounted", metrics={"enabled": False}, logging={"access": {"enabled": False}})
    mounted: Any = service(type("Mounted", (), {}))
    mounted.mount_asgi_app(load(settings.read()), path="/")
    return mounted.to_asgi()


class ByTurns:
    """Our application, whose prediction log is taken away and given back every moment.

    Two processes of the very same code differ by some percent, for as long as they live: more than the log costs.
    """

    SLICE_SECONDS = 0.05  # some handfuls of the log's lines; by chance more or less, for machines have a beat too

    def __init__(self) -> None:
        from ratchet.serving import metrics, settings
        from ratchet.serving.service import load

        metrics.prepare(workers=1)
        self._app = load(settings.read())
        self._log = self._app._log
        self._writer = next(thread for thread in threading.enumerate() if thread.name == "prediction-log")
        self._random = np.random.default_rng()
        self._begin()
        gc.collect()
        gc.freeze()  # as the service does

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer; `/price` tells the costs since it was last asked."""
        if scope["type"] != "http":
            await echo(scope, receive, send)
        elif scope["path"] == "/price":
            body = orjson.dumps(self._price(), option=orjson.OPT_SERIALIZE_NUMPY)
            self._begin()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
        else:
            if not self._count:
                self._start()  # the first since it was asked: what was idle before is nobody's
            elif time.perf_counter() > self._until:
                self._turn()
            self._count += 1
            await self._app(scope, receive, send)

    def _begin(self) -> None:
        self._slices: dict[bool, list[float]] = {True: [], False: []}
        self._count, self._logged, self._written = 0, 0, 0.0

    def _start(self) -> None:
        self._began, self._count, self._wrote = time.perf_counter(), 0, self._writing()
        self._until = self._began + self.SLICE_SECONDS * self._random.uniform(0.5, 1.5)

    def _turn(self) -> None:
        is_on = self._app._log is not None
        writer = self._writing() - self._wrote
        self._slices[is_on].append((time.perf_counter() - self._began - writer) / self._count)
        self._written += writer
        self._logged += self._count if is_on else 0
        self._app._log = None if is_on else self._log
        self._start()

    def _price(self) -> dict[str, float]:
        """Seconds of a request, without the slices that something else hit, and of the writing thread for each.

        The thread writes when it can, in whosever turn: its seconds are taken out of all, and shared by what it wrote.
        """
        on, off = (stats.trim_mean(self._slices[is_on], 0.1) for is_on in (True, False))
        return {"on": on, "off": off, "writer": self._written / max(1, self._logged)}

    def _writing(self) -> float:
        """Seconds of a processor that the thread has had."""
        return time.clock_gettime(time.pthread_getcpuclockid(self._writer.ident or 0))
