"""What a check looks at: the champion, the rows it knows, and a period as it has arrived."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet import files
from ratchet.errors import AbsentError, RatchetError
from ratchet.retraining import periods

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ratchet.drift import DriftOptions, Findings, Judged, Operations
    from ratchet.evidence import Champion
    from ratchet.params import Params
    from ratchet.problem import Problem

    Scores = np.ndarray[Any, np.dtype[np.float64]]

MOST_KNOWN = 12
"""Periods that the champion knows and a new one is held against, the newest of them: of months, a year."""
PATIENCE = 10.0
"""Seconds for Prometheus to answer."""


@dataclass(frozen=True)
class Scene:
    """What every period is looked at with.

    Attributes:
        root: Main, checked out.
        given: Its parameters.
        problem: Whose rows they are.
        champion: The newest release.
        digest: Its model digest.
        dataset: What it was trained and tested on: its `dataset.json`.
        blocked: Open issues about broken data, each with the period it is about, oldest first.
    """

    root: Path
    given: Params
    problem: Problem
    champion: Champion
    digest: str
    dataset: Mapping[str, Any]
    blocked: Mapping[int, str]

    def blocked_by(self, period: str) -> str | None:
        """What keeps a period from being retrained with, as one cites it: broken data of another one."""
        return next((f"#{number}" for number, about in self.blocked.items() if about != period), None)

    @property
    def last(self) -> str:
        """The newest period of params.yaml."""
        return self.given.data.periods[-1]


@dataclass(frozen=True)
class Batch:
    """A period as it came.

    Attributes:
        period: Its name.
        rows: Its valid rows; None when they cannot be used.
        figures: Content of `batch.json`; None likewise.
        fault: Why the rows cannot be used; None when they can.
        inputs: Names all that a check of it rests on, hex SHA-256.
    """

    period: str
    rows: pd.DataFrame | None
    figures: Mapping[str, Any] | None
    fault: str | None
    inputs: str


def arrived(scene: Scene, wanted: str | None) -> Iterator[Batch]:
    """The period that is wanted, or those after the newest of params.yaml, as far as the source has them.

    Raises:
        AbsentError: The source has nothing of the one that is wanted.
        RatchetError: The champion knows it already, or it is named otherwise.
    """
    if wanted is not None:
        periods.through(scene.last, wanted)  # or says why it cannot be looked at
        yield batch(scene, wanted)
        return
    for period in periods.after(scene.last):
        try:
            yield batch(scene, period)
        except AbsentError:
            return


def batch(scene: Scene, period: str) -> Batch:
    """A period, ingested by main's code; labels may be missing.

    Raises:
        AbsentError: The source has nothing of it.
    """
    from ratchet import data

    checks = scene.given.data.checks
    known = {**scene.dataset["train"], **scene.dataset["test"]}
    try:
        found = data.ingest(scene.problem, period, checks, labelled=False)
        history = [{"period": name, **known[name]} for name in sorted(known)]
        nulls = {name: share for name, share in found.figures["nulls"].items() if name != scene.problem.target}
        # Labels that have not come yet are no fault.
        data.check_history([*history, {**found.figures, "nulls": nulls}], checks, scene.problem.task)
    except AbsentError:
        raise
    except RatchetError as error:
        return Batch(period, None, None, str(error), _named(scene, period, str(error)))
    return Batch(period, found.rows, found.figures, None, _named(scene, period, found.source.decode()))


def known(scene: Scene) -> list[pd.DataFrame]:
    """The rows that the champion was trained and tested on, of the newest periods, one frame each."""
    kept = sorted((period, part) for part in ("train", "test") for period in scene.dataset[part])[-MOST_KNOWN:]
    return [_rows(scene, part, period) for period, part in kept]


def judged(scene: Scene) -> Judged:
    """The champion on the holdout that it was judged on."""
    import pandas as pd

    from ratchet import bundle, drift, evaluation

    rows = pd.concat([_rows(scene, "test", period) for period in sorted(scene.dataset["test"])], ignore_index=True)
    table = evaluation.scores_table(scene.problem, rows, lambda frame: scored(scene, frame), {})
    return drift.Judged(table, bundle.read_manifest(scene.champion.folder)["threshold"])


def scored(scene: Scene, frame: pd.DataFrame) -> Scores:
    """The champion's scores of raw rows, by its own code in its own environment, shape (n,)."""
    from ratchet import scoring

    return scoring.score(scene.champion.folder, frame)


def answered(scene: Scene, rows: pd.DataFrame) -> tuple[pd.DataFrame, Scores | None]:
    """Rows of a period with the champion's scores: all, scored now, or where a log is kept those that were asked.

    Returns:
        Rows, and one score each, shape (n,); None instead of scores when the log has none of this model.

    Raises:
        RatchetError: The log cannot be read.
    """
    from ratchet import outcomes

    url = scene.given.drift.log
    if url is None:
        return rows, scored(scene, rows)
    key = list(scene.problem.key)
    log = outcomes.read(url, scene.problem).frame
    mine = log[log["model"] == scene.digest].sort_values(["at", "id"], kind="stable")
    newest = mine.drop_duplicates(key, keep="last")[[*key, "score"]]
    merged = rows.merge(newest, on=key, how="inner", validate="one_to_one")
    if merged.empty:
        return rows, None
    return merged.drop(columns="score"), merged["score"].to_numpy(dtype="float64")


def operations(scene: Scene, days: int) -> Operations | None:
    """What Prometheus knows of the service in the last days; None where none is configured.

    Raises:
        RatchetError: It is configured, and does not answer.
    """
    from ratchet import drift

    address = scene.given.drift.prometheus
    if address is None:
        return None
    asked = f'{{route=~"/predict.*"}}[{max(days, 1)}d]'
    failed = asked.replace("}", ',code=~"5.."}', 1)
    requests = _figure(address, f"sum(increase(ratchet_requests_total{asked}))") or 0.0
    errors = _figure(address, f"sum(increase(ratchet_requests_total{failed}))") or 0.0
    seconds = _figure(
        address, f"histogram_quantile(0.99, sum by (le) (increase(ratchet_request_seconds_bucket{asked})))"
    )
    return drift.Operations(
        round(requests),
        None if seconds is None else 1000 * seconds,
        errors / requests if requests else None,
    )


def _figure(address: str, expression: str) -> float | None:
    """The one value of an expression; None where there is none."""
    import math

    import httpx

    try:
        answer = httpx.get(f"{address.rstrip('/')}/api/v1/query", params={"query": expression}, timeout=PATIENCE)
        found = answer.raise_for_status().json()["data"]["result"]
        value = float(found[0]["value"][1]) if found else math.nan
    except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError) as error:
        raise RatchetError(
            f"{address}: does not answer as Prometheus does: {str(error)[:200]}\n"
            "correct drift.prometheus in params.yaml, or set it to null"
        ) from error
    return value if math.isfinite(value) else None


def _rows(scene: Scene, part: str, period: str) -> pd.DataFrame:
    """The rows of a period that the champion knows: those that lie here, when they are the same, or fetched anew."""
    from ratchet import data

    path = scene.root / data.PERIODS / period / data.ROWS
    if path.is_file() and files.sha256(path) == scene.dataset[part][period]["sha256"]:
        return files.read_parquet(path)
    return data.ingest(scene.problem, period, scene.given.data.checks, labelled=False).rows


def _named(scene: Scene, period: str, content: str) -> str:
    policy = scene.given.model_dump(mode="json", include={"data", "drift", "gate", "model", "train"})
    text = json.dumps([period, content, scene.digest, policy, scene.blocked_by(period)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def findings(scene: Scene, given: Batch) -> Findings:
    """What a check of the period finds."""
    from ratchet import drift

    rows_known, options = known(scene), options_of(scene.given)
    if given.rows is None or given.figures is None:
        fault = drift.Quality(fault=given.fault)
        reference = drift.reference.build(scene.problem, rows_known)
        return drift.examine(scene.problem, reference, [], None, quality=fault, options=options)
    rows, scores = answered(scene, given.rows)
    before = None if scores is None else [scored(scene, frame) for frame in rows_known]
    return drift.examine(
        scene.problem,
        drift.reference.build(scene.problem, rows_known, before),
        [rows],
        None if scores is None else [scores],
        judged=judged(scene),
        operations=operations(scene, rows[list(scene.problem.cluster)].drop_duplicates().shape[0]),
        quality=drift.Quality.of_batch(given.figures),
        options=options,
    )


def options_of(given: Params) -> DriftOptions:
    """The bounds of a check, as params.yaml has them."""
    from ratchet import drift

    checks, gate = given.data.checks, given.gate
    return drift.DriftOptions(
        **given.drift.model_dump(exclude={"log", "prometheus"}),
        metric=gate.metric,
        slice_rows=gate.slice_rows,
        calibration_slope=gate.calibration_slope,
        nulls=checks.nulls,
        quarantined=checks.quarantined,
        duplicated=checks.duplicated,
        gap_days=checks.gap_days,
    )
