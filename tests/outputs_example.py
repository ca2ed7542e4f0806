"""Folders of outputs of the coins problem: the pipeline's own steps, in this process, on small data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import yaml

from ratchet import bundle, data, evaluation, export, files, persistence, training
from ratchet.params import Params
from ratchet.problem import Problem
from rehearsal.project import PARAMS

ROOT = Path(__file__).parents[1]
COINS = Problem("toy_coins")


@cache
def pinned(group: str) -> str:
    """The real locked requirements, as the stage `pin` exports them."""
    sys.path.insert(0, str(ROOT / "pipelines"))
    from pin import export as exported

    return str(exported(group))


def parameters(periods: Sequence[str], kind: str = "hist") -> Params:
    """The template's parameters, for coins; the last period tests."""
    content = yaml.safe_load(PARAMS.read_text())
    content["data"] |= {"periods": list(periods), "holdout": 1}
    return Params.model_validate(content | {"problem": "toy_coins", "model": {"kind": kind}})


def build(folder: Path, periods: Sequence[str], kind: str = "hist") -> Path:
    """Ingest, assemble, train, export and evaluate into `folder`; the last period tests."""
    given = parameters(periods, kind)
    for period in periods:
        data.write(data.ingest(COINS, period, given.data.checks), folder / data.PERIODS / period)
    dataset = data.assemble(COINS, given.data, folder / data.PERIODS)
    files.write_json(folder / data.DATASET, dataset)
    trained = training.train(COINS, given, data.load(dataset, "train", folder / data.PERIODS))
    with files.directory(folder / "model") as model:
        persistence.dump(trained.pipeline, model / "pipeline.skops")
        persistence.dump(dict(trained.baselines), model / "baselines.skops")
        files.write_json(model / "training.json", trained.training_json)
    requirements = {kind: folder / f"{kind}.txt" for kind in ("treelite", "skops")}
    for name, group in (("treelite", "scoring"), ("skops", "scoring-sklearn")):
        files.write_text(requirements[name], pinned(group))
    origin = export.Origin(
        {period: batch["sha256"] for period, batch in dataset["train"].items()},
        given.model_dump(mode="json", include={"train", "model"}),
        trained.training_json["threshold"],
    )
    with files.directory(folder / "bundle") as new:
        export.build(COINS, trained.pipeline, origin, requirements, new)
    evaluate(folder)
    return folder


def evaluate(folder: Path) -> None:
    """What the stage `evaluate` does."""
    dataset = files.read_json(folder / data.DATASET)
    holdout = data.load(dataset, "test", folder / data.PERIODS)
    opened = bundle.load(folder / "bundle")
    fitted = persistence.load(folder / "model" / "baselines.skops", ("toy_coins", "ratchet.rows"))
    inputs = holdout.drop(columns=COINS.target)
    baselines = {name: training.scores(model, inputs, COINS.task) for name, model in fitted.items()}
    table = evaluation.scores_table(COINS, holdout, opened.score, baselines)
    model = evaluation.Model(opened.score, opened.digest, opened.manifest["threshold"])
    evaluation.write(folder / "evaluation", table, evaluation.evaluate(COINS, table, holdout, model))
