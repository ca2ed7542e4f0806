"""Hyper-parameter search: random candidates, judged by time-ordered folds of the training periods.

Every candidate's figure goes into a journal as soon as it is known, so a search that was killed goes on where it was.
The candidate to beat is number 0, the parameters as they are.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet import files, metrics, training
from ratchet import params as parameters
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.metrics import Metric
    from ratchet.params import Params
    from ratchet.problem import Problem

Echo = Callable[[str], None]
JOURNAL = Path(".ratchet/tune")
SHOWN = 5


@dataclass(frozen=True)
class Candidate:
    """Parameters of the model and their figure, out of fold; `number` 0 are the parameters as they are."""

    number: int
    model: Mapping[str, Any]
    value: float


@dataclass(frozen=True)
class Result:
    """A finished search.

    Attributes:
        metric: What was compared.
        candidates: From the best to the worst; of equals the first drawn, so that the present parameters win a draw.
        changes: Dotted keys of `params.yaml` to the values of the best; empty when nothing beats what is there.
    """

    metric: Metric
    candidates: tuple[Candidate, ...]
    changes: Mapping[str, Any]


def run(  # noqa: PLR0913, PLR0917  # a question (three values) and how to work on it (four)
    problem: Problem,
    params: Params,
    frame: pd.DataFrame,
    candidates: int,
    jobs: int,
    journal: Path = JOURNAL,
    echo: Echo = print,
) -> Result:
    """Search at random in the problem's space.

    Args:
        problem: Says what is estimated, and where to search.
        params: The parameters to beat; seed, folds and metric come from them too.
        frame: Raw rows of the training periods.
        candidates: How many to try, besides the present one.
        jobs: How many at the same time; -1 for one per core.
        journal: Folder of the journals, one file per question asked.
        echo: Where plain progress lines go when there is no terminal.

    Raises:
        RatchetError: There is no search space or no such metric, or the estimator refuses a candidate.
    """
    from joblib import Parallel, delayed

    rows = training.labelled(problem, frame)
    metric = _metric(problem, params)
    models = draw(problem, params, candidates)
    path = journal / f"{question(problem, params, rows)}.jsonl"
    known = read_journal(path)
    missing = [model for model in models if _name(model) not in known]
    if len(missing) < len(models):
        echo(f"{len(models) - len(missing)} of {len(models)} candidates are known from {path}")
    work = Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(_evaluate)(problem, params, model, rows) for model in missing
    )
    with _Journal(path) as record:
        for model, value in _progress(work, len(missing), metric, echo):
            record(model, value)
            known[_name(model)] = value
    return rank(params, metric, [Candidate(i, model, known[_name(model)]) for i, model in enumerate(models)])


def draw(problem: Problem, params: Params, candidates: int) -> list[Mapping[str, Any]]:
    """The parameters as they are, then distinct random ones, the same for the same seed; floats to 3 digits."""
    from sklearn.model_selection import ParameterSampler

    space = dict(problem.search_space())
    if not space:
        raise RatchetError(f"problem {problem.name!r}: search_space() is empty, there is nothing to tune")
    drawn = ParameterSampler(space, n_iter=candidates, random_state=params.train.seed)
    try:
        models = [dict(params.model), *({**params.model, **_plain(sample)} for sample in _quiet(drawn))]
    except ValueError as error:
        raise RatchetError(f"problem {problem.name!r}: search_space(): {error}") from error
    return list({_name(model): model for model in models}.values())


def question(problem: Problem, params: Params, rows: pd.DataFrame) -> str:
    """Digest of everything but its own parameters that a candidate's figure depends on: rows, folds, seed, code."""
    from pandas.util import hash_pandas_object

    digest = hashlib.sha256(json.dumps([list(map(str, rows.columns)), params.gate.metric]).encode())
    digest.update(json.dumps(params.train.model_dump(), sort_keys=True).encode())
    digest.update(hash_pandas_object(rows, index=False).to_numpy().tobytes())
    for source in sorted(problem.folder.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def read_journal(path: Path) -> dict[str, float]:
    """Figures by candidate; a last line that was cut off by a kill is passed over."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    known = {}
    for number, line in enumerate(lines[:-1], start=1):  # what stands after the last newline is not whole
        try:
            entry = json.loads(line)
            known[_name(entry["model"])] = float(entry["value"])
        except (ValueError, KeyError, TypeError) as error:
            raise RatchetError(f"{path}: line {number} is not a line of a journal; delete the file") from error
    return known


def rank(params: Params, metric: Metric, candidates: list[Candidate]) -> Result:
    """Order candidates, and say what to change when another than the first is best."""
    present = candidates[0].value
    ordered = sorted(candidates, key=lambda found: (-metric.improvement(present, found.value), found.number))
    changed = {
        f"model.{name}": value
        for name, value in ordered[0].model.items()
        if name not in params.model or params.model[name] != value
    }
    return Result(metric, tuple(ordered), changed)


def table(result: Result) -> str:
    """The best candidates and the present one, with the parameters in which each differs from it."""
    (present,) = [found for found in result.candidates if found.number == 0]
    shown = [*result.candidates[:SHOWN], *([present] if present not in result.candidates[:SHOWN] else [])]
    lines = [f"{'candidate':>9}  {result.metric.title.lower():>12}  parameters"]
    for found in shown:
        differs = [f"{name}={value}" for name, value in found.model.items() if present.model.get(name) != value]
        told = ", ".join(differs) or ("as they are" if found is present else "the same")
        lines.append(f"{found.number:>9}  {metrics.rounded(found.value)!s:>12}  {told}")
    return "\n".join(lines)


def propose(result: Result, path: Path = Path("params.yaml"), echo: Echo = print) -> None:
    """Write the winner into the parameter file, every other line of it untouched, and say how to propose it."""
    if not result.changes:
        echo(f"nothing beats the parameters as they are; {path} stays untouched")
        return
    parameters.edit(path, result.changes)
    echo(f"wrote {', '.join(sorted(result.changes))} to {path}")
    echo(
        f"propose it: git switch -c tune && git commit -m 'Tune the model' {path} && git push, then open a pull request"
    )


class _Journal:
    """Appends whole lines; a line that a kill has cut off is removed first."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Callable[[Mapping[str, Any], float], None]:
        whole = self._path.read_bytes() if self._path.exists() else b""
        if not whole.endswith(b"\n") and whole:
            files.write_bytes(self._path, whole[: whole.rfind(b"\n") + 1])
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a", encoding="utf-8")
        return self._record

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _record(self, model: Mapping[str, Any], value: float) -> None:
        self._file.write(json.dumps({"model": model, "value": value}, sort_keys=True) + "\n")
        self._file.flush()


def _evaluate(
    problem: Problem, params: Params, model: Mapping[str, Any], rows: pd.DataFrame
) -> tuple[Mapping[str, Any], float]:
    """The figure of one candidate on the pooled out-of-fold scores."""
    labels, scores = training.pooled(training.out_of_fold(problem, model, params, rows))
    at = training.threshold(labels, scores, params.train.cost_ratio) if problem.task == "binary" else None
    metric = metrics.get(params.gate.metric, problem.task, at)
    value = metric.value(labels, scores, np.ones(len(labels)))
    if not np.isfinite(value):
        raise RatchetError(f"{metric.title} has no value on the training folds with {_name(model)}")
    return model, value


def _metric(problem: Problem, params: Params) -> Metric:
    # Any threshold will do: only the name and the direction are of interest before there are scores.
    return metrics.get(params.gate.metric, problem.task, 0.5 if problem.task == "binary" else None)


def _progress(
    work: Iterator[tuple[Mapping[str, Any], float]], total: int, metric: Metric, echo: Echo
) -> Iterator[tuple[Mapping[str, Any], float]]:
    """A progress bar on a terminal, plain lines anywhere else."""
    from tqdm import tqdm

    is_terminal = sys.stderr.isatty()
    for number, found in enumerate(tqdm(work, total=total, unit="candidate", disable=not is_terminal), start=1):
        if not is_terminal:
            echo(f"candidate {number} of {total}: {metric.title.lower()} {metrics.rounded(found[1])}")
        yield found


def _quiet(sampler: Any) -> list[dict[str, Any]]:
    """The sampler's candidates; that a small grid has fewer than asked for needs no warning."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return list(sampler)


def _plain(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Python values that a person can read: 3 significant digits are all that a search can tell apart."""
    plain = {name: value.item() if hasattr(value, "item") else value for name, value in sample.items()}
    return {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in plain.items()}


def _name(model: Mapping[str, Any]) -> str:
    return json.dumps(model, sort_keys=True)
