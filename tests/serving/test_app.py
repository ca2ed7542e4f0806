"""The application by itself: models that fail, logs that fail, and what is counted of it."""

import asyncio
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from service_example import FLIGHT, JSON

from ratchet import bundle
from ratchet.serving.app import App
from ratchet.serving.metrics import Metrics
from ratchet.serving.settings import read

pytestmark = pytest.mark.xdist_group("service")

IDENTITY = {"model": "m", "release": "", "commit": "", "problem": "flights"}


BREAKS = {8: KeyError("forgotten"), 9: ValueError("no such shape"), 10: TypeError("no number")}
"""What the code of `Ill` raises in some months."""


class Ill:
    """A model that has no answer for July, and breaks afterwards."""

    def score_row(self, row: Mapping[str, Any]) -> float:
        """See `bundle.Model`."""
        if row["month"] in BREAKS:
            raise BREAKS[row["month"]]
        return math.nan if row["month"] == 7 else 1 / (row["month"] - 1)

    def score_columns(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """See `bundle.Model`."""
        if columns["month"][0] in BREAKS:
            raise BREAKS[columns["month"][0]]
        return np.where(columns["month"] == 7, np.nan, 0.5)


def app(folder: Path, model: Any = None, **environment: str) -> App:
    opened = bundle.load(folder)
    if model is not None:
        opened.__dict__["model"] = model
    return App(opened, read(environment), Metrics("binary", IDENTITY, {}, None))


def ask(served: App, *requests: tuple[str, Any]) -> list[httpx.Response]:
    """Answers to what is posted (text as it is), or got where there is nothing to post, one after the other."""

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(served)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return [
                await (client.get(path) if body is None else client.post(path, content=body, headers=JSON))
                for path, given in requests
                for body in [json.dumps(given) if isinstance(given, dict) else given]
            ]

    return asyncio.run(run())


@pytest.mark.parametrize(("month", "why"), [(1, "division by zero"), (7, "it says nan")])
def test_a_row_without_a_score_is_refused(flights_bundle: Path, month: int, why: str) -> None:
    """The schema allows it and the model has no number for it: 422, for JSON has no NaN."""
    (answer,) = ask(app(flights_bundle, Ill()), ("/predict", FLIGHT | {"month": month}))
    assert (answer.status_code, answer.json()["error"]) == (422, f"the model has no score for this: {why}")


def test_in_a_batch_the_row_without_a_score_is_named(flights_bundle: Path) -> None:
    """All or none, as with any bad row."""
    (answer,) = ask(app(flights_bundle, Ill()), ("/predict_batch", {"rows": [FLIGHT | {"month": 2}, FLIGHT]}))
    assert answer.status_code == 422
    assert answer.json()["details"] == [{"field": "rows[1]", "rule": "must have a score"}]


@pytest.mark.parametrize("month", BREAKS)
def test_a_defect_is_a_500_that_tells_nothing_and_ends_nothing(
    flights_bundle: Path, caplog: pytest.LogCaptureFixture, month: int
) -> None:
    """The log has the traceback, the caller a sentence, the metrics a count, and the next row its score.

    Whatever the code of a model raises: guards and alerts look for 5xx, and take such a model out.
    """
    served = app(flights_bundle, Ill())
    row = FLIGHT | {"month": month}
    broken, batch, well, metrics = ask(
        served,
        ("/predict", row),
        ("/predict_batch", {"rows": [row]}),
        ("/predict", FLIGHT | {"month": 3}),
        ("/metrics", None),
    )
    for answer in (broken, batch):
        assert (answer.status_code, answer.json()) == (
            500,
            {"error": "the service failed; its log says how", "details": []},
        )
    assert f"{type(BREAKS[month]).__name__}: {BREAKS[month]}" in caplog.text
    assert well.json()["score"] == 0.5
    assert 'ratchet_requests_total{code="500",route="/predict"} 1.0' in metrics.text
    assert 'ratchet_requests_total{code="500",route="/predict_batch"} 1.0' in metrics.text


def test_a_dead_log_fails_no_request_and_shows(flights_bundle: Path, tmp_path: Path) -> None:
    """Its folder cannot be made: every row is answered, and counted as failed."""
    (tmp_path / "file").write_text("in the way")
    served = app(flights_bundle, RATCHET_LOG=str(tmp_path / "file" / "log"))
    answers = ask(served, *[("/predict", FLIGHT)] * 20)
    time.sleep(1.5)  # the log looks once a second
    (metrics,) = ask(served, ("/metrics", None))
    served.close()
    assert {answer.status_code for answer in answers} == {200}
    assert 'ratchet_log_rows_total{outcome="failed"} 0.0' not in metrics.text
    assert "ratchet_log_queue_rows 20.0" in metrics.text


def test_the_log_holds_a_row_as_it_came_unless_that_is_long(flights_bundle: Path, tmp_path: Path) -> None:
    """Who fills a body with blanks fills neither the memory nor the disk."""
    served = app(flights_bundle, RATCHET_LOG=str(tmp_path))
    body = json.dumps({"tailnum": "N14228"} | FLIGHT)
    answers = ask(served, ("/predict", body), ("/predict", body + " " * 5000))
    served.close()
    assert [answer.status_code for answer in answers] == [200, 200]
    as_it_came, padded = logged(tmp_path)
    assert json.dumps(FLIGHT)[1:].encode() in as_it_came  # with its spaces
    assert len(padded) < len(as_it_came)
    assert json.loads(padded)["inputs"] == json.loads(as_it_came)["inputs"] == FLIGHT


def test_hashes_are_of_checked_values(flights_bundle: Path, tmp_path: Path) -> None:
    """1 and 1.0 are one value and two texts, so the row is logged as it was read."""
    served = app(flights_bundle, RATCHET_LOG=str(tmp_path), RATCHET_LOG_PRIVATE="hash", RATCHET_LOG_SALT="pepper")
    ask(served, ("/predict", FLIGHT | {"tailnum": "N14228", "day": 4.0}))
    served.close()
    (line,) = logged(tmp_path)
    # printf '["tailnum","N14228"]' | openssl dgst -sha256 -hmac pepper
    told = {"tailnum": "f64c641371b393e4887cb2a18f138faee0b92226c54cdb3612f8c5267b5a98e2"}
    assert json.loads(line)["inputs"] == FLIGHT | told
    assert b'"day":4,' in line


def logged(folder: Path) -> list[bytes]:
    (path,) = folder.rglob("*.jsonl")
    return path.read_bytes().splitlines()


def test_a_regression_counts_scores_and_no_decisions() -> None:
    """Of what is not known there is no series: zero would be a claim."""
    metrics = Metrics("regression", IDENTITY, {}, None)
    metrics.scored(12.5, None)
    text = metrics.exposition().decode()
    assert 'ratchet_score_bucket{le="20.0"} 1.0' in text
    assert "ratchet_decisions_total{" not in text
    assert "ratchet_score_reference_mean" not in text
    assert "ratchet_model_released_timestamp_seconds" not in text
