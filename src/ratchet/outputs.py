"""Two models side by side: reads bundles or folders of outputs, scores what was not scored, and asks for a verdict.

The shell around `ratchet.gate` and `ratchet.report`, which know neither files nor environments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet import bundle, data, evaluation, files, gate, params, report, scoring
from ratchet.errors import RatchetError
from ratchet.problem import Problem
from ratchet.report import markdown, page

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.params import Gate


@dataclass(frozen=True)
class Outputs:
    """A bundle, and the folder of outputs it lies in, if it does."""

    bundle: Path
    root: Path | None

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """The bundle's manifest."""
        return bundle.read_manifest(self.bundle)

    @property
    def dataset(self) -> Mapping[str, Any] | None:
        """What it was trained and tested on."""
        return self._read(data.DATASET)

    @property
    def training(self) -> Mapping[str, Any] | None:
        """The figures of its training."""
        return self._read(Path("model/training.json"))

    @property
    def evaluation(self) -> Mapping[str, Any] | None:
        """Its own evaluation, if that is of this very bundle."""
        found = self._read(Path("evaluation/evaluation.json"))
        return found if found and found["model_digest"] == bundle.digest(self.bundle) else None

    def _read(self, name: Path) -> Mapping[str, Any] | None:
        path = self.root / name if self.root else None
        return files.read_json(path) if path and path.exists() else None


@dataclass(frozen=True)
class Holdout:
    """Rows that judge: the raw rows, and the SHA-256 of each period (or file) they come from."""

    frame: pd.DataFrame
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Judged:
    """A verdict and what the report of it is made from."""

    verdict: dict[str, Any]
    inputs: report.Inputs

    def write(self, folder: Path) -> None:
        """Write verdict.json, report.md and report.html."""
        document = report.report(self.inputs)
        with files.directory(folder) as new:
            files.write_json(new / "verdict.json", self.verdict)
            files.write_text(new / "report.md", markdown.render(document))
            files.write_text(new / "report.html", page.render(document))


def find(path: Path) -> Outputs:
    """The bundle at `path`, or in the folder of outputs at `path`.

    Raises:
        RatchetError: There is neither.
    """
    if (path / bundle.MANIFEST).is_file():
        return Outputs(path, path.parent if (path.parent / data.DATASET).is_file() else None)
    if (path / "bundle" / bundle.MANIFEST).is_file():
        return Outputs(path / "bundle", path)
    raise RatchetError(f"{path}: is neither a bundle (manifest.json) nor a folder of outputs (bundle/manifest.json)")


def holdout(challenger: Outputs, rows: Path | None) -> Holdout:
    """The rows to judge on: a Parquet file, or those on which the challenger was tested."""
    if rows is not None:
        return Holdout(files.read_parquet(rows), {rows.name: files.sha256(rows)})
    if challenger.root is None or challenger.dataset is None:
        raise RatchetError(f"{challenger.bundle}: came without the rows it was tested on; name a file with --rows")
    digests = {period: batch["sha256"] for period, batch in challenger.dataset["test"].items()}
    return Holdout(data.load(challenger.dataset, "test", challenger.root / data.PERIODS), digests)


def compare(
    champion: Outputs, challenger: Outputs, judged_on: Holdout, policy: Gate, look: int, cache: Path | None = None
) -> Judged:
    """Judge a challenger against the champion on rows that neither has trained on.

    Args:
        champion: The model to beat.
        challenger: The model that is proposed.
        judged_on: The rows.
        policy: `gate:` of params.yaml.
        look: Which distinct model this is that is judged on these rows, from 1.
        cache: Where environments of bundles are kept.

    Raises:
        RatchetError: The two answer different problems, the rows lack a column, or a bundle cannot score them.
    """
    names = {str(side.manifest["problem"]) for side in (champion, challenger)}
    if len(names) > 1:
        raise RatchetError(
            f"the models answer different problems ({', '.join(sorted(names))}); they cannot be compared"
        )
    problem = Problem(names.pop())
    absent = [str(name) for name in problem.schema.columns if name not in judged_on.frame]
    if absent:
        raise RatchetError(f"{', '.join(judged_on.digests)}: the rows lack {', '.join(absent)}; a verdict needs them")
    old = side(problem, champion, judged_on, cache, behaves=False)
    new = side(problem, challenger, judged_on, cache, behaves=True)
    verdict = gate.verdict(champion=old, challenger=new, holdout=judged_on.digests, policy=policy, look=look)
    inputs = report.Inputs(
        verdict=verdict,
        champion=_shown(champion, old),
        challenger=_shown(challenger, new),
        params=_changes(champion, challenger),
        commands=["dvc repro", f"ratchet compare CHAMPION . --look {look}"],
    )
    return Judged(verdict, inputs)


def side(problem: Problem, given: Outputs, judged_on: Holdout, cache: Path | None, *, behaves: bool) -> gate.Side:
    """One model on the rows that judge: its own scores where it was tested on them, else scored now.

    Args:
        problem: What both models answer.
        given: The model.
        judged_on: The rows.
        cache: Where environments of bundles are kept.
        behaves: Whether the behavioural cases are tried on a model that is scored now.
    """
    opened = bundle.load(given.bundle)
    found = given.evaluation
    if found is not None and given.root is not None and _tested_on(given) == judged_on.digests:
        table = files.read_parquet(given.root / "evaluation/scores.parquet")
    else:
        model = evaluation.Model(
            lambda frame: scoring.score(given.bundle, frame, cache), opened.digest, opened.manifest["threshold"]
        )
        table = evaluation.scores_table(problem, judged_on.frame, model.score, {})
        # The behaviour of a proposal is judged; that of a champion was, and costs a start of its environment per case.
        found = evaluation.evaluate(problem, table, judged_on.frame if behaves else None, model)
    return gate.Side(table, found, opened.manifest, opened.schema, bundle.size(given.bundle), opened.digest)


def _tested_on(side: Outputs) -> dict[str, str]:
    dataset = side.dataset or {"test": {}}
    return {period: batch["sha256"] for period, batch in dataset["test"].items()}


def _shown(side: Outputs, judged: gate.Side) -> report.Side:
    return report.Side(judged.evaluation, side.dataset, side.training, judged.size)


def _changes(champion: Outputs, challenger: Outputs) -> list[tuple[str, object, object]]:
    old, new = (params.flattened(side.manifest["made_from"]["params"]) for side in (champion, challenger))
    return [(k, old.get(k), new.get(k)) for k in sorted(old.keys() | new.keys()) if old.get(k) != new.get(k)]
