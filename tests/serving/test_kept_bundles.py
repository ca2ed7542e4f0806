"""Bundles as they were first released are scored, compared and served for ever, by the code and the problems of today.

`tests/fixtures/bundles/first` keeps two, with what a release had beside them: trees of the coins, and an estimator of
the delays. A problem was one folder of modules then, `coins/features.py`; the wheel in the bundle still is.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from service_example import ROOT, serving

from outputs_example import build, parameters
from ratchet import bundle, data, image, outputs, params, scoring
from ratchet.problem import Problem
from ratchet.release import code
from rehearsal.project import PARAMS

KEPT = ROOT / "tests" / "fixtures" / "bundles" / "first"
KINDS = {"coins": "treelite", "delays": "skops"}
HOLDOUT = {"coins": "2013-03", "delays": "2021-03"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments are made once, as for a user."""
    return tmp_path_factory.mktemp("environments")


def scored(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of the holdout of a kept bundle, and the scores that its own run gave them."""
    problem = Problem(f"toy_{name}")
    key = list(problem.key)
    rows = data.ingest(problem, HOLDOUT[name], parameters([*HOLDOUT.values()]).data.checks).rows
    known = pd.read_parquet(KEPT / name / "scores.parquet")[[*key, "score"]].head(50)
    found = known.merge(rows, on=key, how="left", validate="one_to_one")
    return found.drop(columns="score"), found["score"].to_numpy()


@pytest.mark.parametrize("name", KINDS)
def test_it_is_scored_with_its_own_code(name: str, cache: Path) -> None:
    """In an environment of its own requirements: the scores are those of the day it was made."""
    rows, expected = scored(name)

    assert bundle.load(KEPT / name / "bundle").manifest["kind"] == KINDS[name]
    assert scoring.score(KEPT / name / "bundle", rows, cache) == pytest.approx(expected, abs=1e-9)


def test_it_is_compared_with_one_of_today(cache: Path, tmp_path: Path) -> None:
    """A champion of the old form: a challenger of the new form is judged against it, on the same rows.

    It is of a problem that has had another name since, as only the tests' own can.
    """
    challenger = outputs.find(build(tmp_path / "stump", ["2013-01", "2013-02", "2013-03"], "stump"))
    shutil.copytree(KEPT / "coins" / "bundle", tmp_path / "old")
    manifest = tmp_path / "old" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"problem": "coins"', '"problem": "toy_coins"'))
    old = outputs.find(tmp_path / "old")
    policy = params.load(PARAMS).gate.model_copy(update={"metric": "log_loss"})

    found = outputs.compare(old, challenger, outputs.holdout(challenger, None), policy, 1, cache)

    assert found.verdict["verdict"] == "block"  # a stump, against twenty trees
    assert found.verdict["champion"]["digest"] == bundle.digest(tmp_path / "old")
    with zipfile.ZipFile(next(challenger.bundle.glob("*.whl"))) as wheel:
        assert "toy_coins/model/features.py" in [one.filename for one in code.members(wheel)]


@pytest.mark.parametrize("name", KINDS)
def test_it_is_served_as_an_image_serves_it(name: str, tmp_path: Path) -> None:
    """The code of its wheel beside the serving code of today: a request gets the score that the run gave."""
    source = tmp_path / "source"
    shutil.copytree(KEPT / name / "bundle", source / "bundle")
    image._unpack(next((source / "bundle").glob("*.whl")), source)
    shutil.copytree(ROOT / image.SERVING, source / "ratchet" / "serving")
    opened, (rows, expected) = bundle.load(source / "bundle"), scored(name)
    asked = bundle.plain_rows(rows[list(opened.schema["properties"])])

    with serving(source / "bundle", tmp_path / "service", PYTHONPATH=str(source)) as running:
        answered = [running.post("/predict", row).json() for row in asked[:5]]

    assert [answer["model"] for answer in answered] == [opened.digest] * 5
    assert [answer["score"] for answer in answered] == pytest.approx(expected[:5], abs=1e-9)
