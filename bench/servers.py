"""What `bench/serving.py` measures the service against: the same model, served as each tool's own pages show it.

Run by that script, in this folder, with the repository's outputs beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import pandas as pd
from fastapi import FastAPI

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
