"""What a check looks at: the champion, the rows it knows, and a period as it has arrived."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet import files
from ratchet.errors import AbsentError, RatchetError
from ratchet.retraining import periods

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ratchet.drift import DriftOptions, Findings, Judged, Logged, Operations
    from ratchet.evidence import Champion
    from ratchet.params import Params
    from ratchet.problem import Problem

    Scores = np.ndarray[Any, np.dtype[np.float64]]

MOST_KNOWN = 12
"""Periods that the champion knows and a new one is held against, the newest of them: of months, a year."""
COVERED = 0.5
"""Share of a period's rows that the log must have answers for, so that what was answered is checked."""
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

    @property
    def known(self) -> dict[str, Mapping[str, Any]]:
        """The batches that the champion was trained and tested on, by period."""
        return {**self.dataset["train"], **self.dataset["test"]}

    @property
    def labelled(self) -> float:
        """Share of its rows that must have a label before a period is retrained with: the pipeline refuses fewer."""
        nulls = max(float(batch["nulls"].get(self.problem.target, 0.0)) for batch in self.known.values())
        return max(self.given.drift.labelled, 1 - nulls - self.given.data.checks.nulls)

    @property
    def options(self) -> DriftOptions:
        """The bounds of a check."""
        return replace(options_of(self.given), labelled=self.labelled)

    @cached_property
    def answers(self) -> tuple[pd.DataFrame, int] | str | None:
        """What the champion has answered, and how many lines of the log were unreadable; None where no log is read.

        Instead why the log tells nothing: it is an extra, and no check fails for it.
        """
        from ratchet import outcomes

        url = self.given.drift.log
        if url is None:
            return None
        try:
            log = outcomes.read(url, self.problem)
        except Exception as error:  # each kind of storage has its own
            return str(error) or type(error).__name__
        found = outcomes.newest(log, self.problem)
        return found.loc[found["model"] == self.digest, [*self.problem.key, "score"]], log.unreadable + log.keyless


@dataclass(frozen=True)
class Batch:
    """A period as it came.

    Attributes:
        period: Its name.
        rows: Its valid rows; None when they cannot be used.
        figures: Content of `batch.json`; None likewise.
        fault: Why the rows cannot be used; None when they can.
        inputs: Names all that a check of it rests on, hex SHA-256.
        answered: What the prediction log has of it; None where none is read.
    """

    period: str
    rows: pd.DataFrame | None
    figures: Mapping[str, Any] | None
    fault: str | None
    inputs: str
    answered: Answered | None = None


@dataclass(frozen=True)
class Answered:
    """What the prediction log has of a period.

    Attributes:
        scores: One for each row, NaN where the champion was not asked, shape (n,).
        logged: The same as a check is told.
    """

    scores: Scores
    logged: Logged


def arrived(scene: Scene, wanted: str | None) -> Iterator[Batch]:
    """The period that is wanted, or those after the newest of params.yaml, as far as they are over and have come.

    One that is absent, empty or unfinished has not come yet. Once the next one has, it is a gap: broken data.

    Raises:
        AbsentError: The one that is wanted is not over, or has not come.
        RatchetError: The champion knows it already, or it is named otherwise.
    """
    if wanted is not None:
        periods.through(scene.last, wanted)  # or says why it cannot be looked at
        if not periods.is_over(wanted, today()):
            raise AbsentError(f"{wanted}: is not over yet, today is {today()}\ncheck it when all of it has come")
        yield batch(scene, wanted)
        return
    gap: Batch | None = None
    for period in takewhile(lambda one: periods.is_over(one, today()), periods.after(scene.last)):
        try:
            found = batch(scene, period)
        except AbsentError as error:
            if gap is not None:
                return
            gap = _faulty(scene, period, error)
            continue
        yield from [gap] if gap is not None else []
        gap = None
        yield found


def today() -> date:
    """In UTC."""
    return datetime.now(UTC).date()


def batch(scene: Scene, period: str) -> Batch:
    """A period, ingested by main's code. Labels may be missing: until they suffice nothing about them is a fault.

    Raises:
        AbsentError: The source has nothing of it, or not all of its days.
    """
    from ratchet import data

    checks, target = scene.given.data.checks, scene.problem.target
    try:
        found = data.ingest(scene.problem, period, checks, labelled=False)
        figures = dict(found.figures)
        if figures["labelled"] >= scene.labelled * figures["rows"]:
            data.check_labels(period, found.rows[target], scene.problem)
        else:
            figures |= {"labelled": 0, "nulls": {name: n for name, n in figures["nulls"].items() if name != target}}
        history = [{"period": name, **scene.known[name]} for name in sorted(scene.known)]
        data.check_history([*history, figures], checks, scene.problem.task)
    except AbsentError:
        raise
    except RatchetError as error:
        return _faulty(scene, period, error)
    met = answered(scene, found.rows)
    used = None if met is None or not met.logged.counts else hashlib.sha256(met.scores.tobytes()).hexdigest()
    content = [found.source.decode(), used]
    if period in scene.blocked.values():  # mended, perhaps to what was looked at before: it must be seen to be whole
        content.append("was broken")
    return Batch(period, found.rows, found.figures, None, _named(scene, period, content), answered=met)


def _faulty(scene: Scene, period: str, error: RatchetError) -> Batch:
    return Batch(period, None, None, str(error), _named(scene, period, [str(error), None]))


def known(scene: Scene) -> list[tuple[str, pd.DataFrame]]:
    """The rows that the champion was trained and tested on ("train", "test"), of the newest periods, one frame each."""
    kept = sorted((period, part) for part in ("train", "test") for period in scene.dataset[part])[-MOST_KNOWN:]
    return [(part, _rows(scene, part, period)) for period, part in kept]


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


def answered(scene: Scene, rows: pd.DataFrame) -> Answered | None:
    """What the service has answered of a period's rows; None where no log is read."""
    import numpy as np

    from ratchet import drift

    if scene.answers is None:
        return None
    if isinstance(scene.answers, str):
        return Answered(np.full(len(rows), np.nan), drift.Logged(len(rows), fault=scene.answers))
    found, unreadable = scene.answers
    key = list(scene.problem.key)
    scores = rows[key].merge(found, on=key, how="left", validate="one_to_one")["score"].to_numpy(dtype="float64")
    count = int(np.isfinite(scores).sum())
    return Answered(scores, drift.Logged(len(rows), count, count >= COVERED * len(rows), unreadable))


def operations(scene: Scene, period: str) -> Operations | None:
    """What Prometheus knows of the service in a period, or why it tells nothing; None where none is configured."""
    from ratchet import drift

    address = scene.given.drift.prometheus
    if address is None:
        return None
    lasts = periods.named(period)
    until = (lasts + 1).start_time
    asked = f'{{route=~"/predict.*"}}[{(until - lasts.start_time).days}d]'
    failed = asked.replace("}", ',code=~"5.."}', 1)
    latency = f"histogram_quantile(0.99, sum by (le) (increase(ratchet_request_seconds_bucket{asked})))"
    try:
        requests = _figure(address, f"sum(increase(ratchet_requests_total{asked}))", until) or 0.0
        errors = _figure(address, f"sum(increase(ratchet_requests_total{failed}))", until) or 0.0
        seconds = _figure(address, latency, until)
    except RatchetError as error:
        return drift.Operations(fault=str(error))
    return drift.Operations(
        round(requests),
        None if seconds is None else 1000 * seconds,
        errors / requests if requests else None,
    )


def _figure(address: str, expression: str, at: pd.Timestamp) -> float | None:
    """The one value of an expression at a moment (UTC); None where there is none."""
    import math

    import httpx

    try:
        asked = {"query": expression, "time": f"{at.isoformat()}Z"}
        answer = httpx.get(f"{address.rstrip('/')}/api/v1/query", params=asked, timeout=PATIENCE)
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


def _named(scene: Scene, period: str, content: list[str | None]) -> str:
    policy = scene.given.model_dump(mode="json", include={"data", "drift", "gate", "model", "train"})
    text = json.dumps([period, *content, scene.digest, policy, scene.blocked_by(period)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def findings(scene: Scene, given: Batch) -> Findings:
    """What a check of the period finds."""
    from ratchet import drift

    rows_known, options = known(scene), scene.options
    frames = [rows for _, rows in rows_known]
    if given.rows is None or given.figures is None:
        fault = drift.Quality(fault=given.fault)
        reference = drift.reference.build(scene.problem, frames)
        return drift.examine(scene.problem, reference, [], None, quality=fault, options=options)
    scores, first = [scored(scene, rows) for rows in frames], _first_judged(scene, rows_known)
    return drift.examine(
        scene.problem,
        drift.reference.build(scene.problem, frames, scores, first),
        [given.rows],
        [_scores(scene, given.rows, given.answered)],
        judged=judged(scene),
        operations=_met(operations(scene, given.period), given.answered),
        quality=drift.Quality.of_batch(given.figures),
        options=options,
    )


def _first_judged(scene: Scene, rows_known: list[tuple[str, pd.DataFrame]]) -> str:
    """The first cluster of the champion's holdout."""
    from ratchet import data

    return min(data.clusters(rows, scene.problem).min() for part, rows in rows_known if part == "test")


def _scores(scene: Scene, rows: pd.DataFrame, met: Answered | None) -> Scores:
    """What was answered, where that counts; else, and where nobody asked, what the champion answers now."""
    import numpy as np

    anew = scored(scene, rows)
    return anew if met is None or not met.logged.counts else np.where(np.isfinite(met.scores), met.scores, anew)


def _met(asked: Operations | None, met: Answered | None) -> Operations | None:
    """What is known of the service, by Prometheus and by its log."""
    from ratchet import drift

    return asked if met is None else replace(asked or drift.Operations(), log=met.logged)


def options_of(given: Params) -> DriftOptions:
    """The bounds of a check, as params.yaml has them."""
    from ratchet import drift

    checks, gate = given.data.checks, given.gate
    return drift.DriftOptions(
        **given.drift.model_dump(exclude={"log", "prometheus"}),
        metric=gate.metric,
        slice_rows=gate.slice_rows,
        calibration_slope=gate.calibration_slope,
        rows=checks.rows,
        nulls=checks.nulls,
        quarantined=checks.quarantined,
        duplicated=checks.duplicated,
        gap_days=checks.gap_days,
    )
