"""The repository's own files, whatever they hold: these tests run on every proposal.

Whether dvc.lock fits them is not asked: the loop writes it when a proposal is judged, and release.yml holds main's
against its files.
"""

from pathlib import Path

import pytest

from ratchet import card, lock, metrics, params, schema
from ratchet.params import Params
from ratchet.problem import Problem

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.own


@pytest.fixture(scope="module")
def given() -> Params:
    """What params.yaml says."""
    return params.load(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def problem(given: Params) -> Problem:
    """The problem that it names."""
    return Problem(given.problem)


def test_the_parameters_make_a_model(given: Params, problem: Problem) -> None:
    """params.yaml is as it must be, and what it says of the model is what the problem's estimator takes."""
    assert hasattr(problem.estimator(given.model, given.train.seed), "fit")


def test_the_policy_fits_the_problem(given: Params, problem: Problem) -> None:
    """The metric that promotes is one of this kind of task."""
    assert metrics.get(given.gate.metric, problem.task).name == given.gate.metric


def test_the_problem_offers_what_a_judge_needs(problem: Problem) -> None:
    """A row that can be described, something to beat, segments, expectations with names of their own."""
    columns = set(problem.schema.columns)

    assert {problem.target, *problem.key, *problem.cluster} <= columns
    assert problem.target not in schema.row_schema(problem)["properties"]
    assert problem.baselines()
    assert all(callable(segment) for segment in problem.slices.values())
    names = [case.name for case in problem.behaviour()]
    assert len(set(names)) == len(names)


def test_the_card_can_be_read(problem: Problem) -> None:
    """It is data, and may leave texts out."""
    assert card.texts(ROOT / "src" / problem.name / "card.yaml")


def test_the_lock_can_be_read() -> None:
    """Or there is none yet."""
    path = ROOT / "dvc.lock"

    assert not path.exists() or lock.read(path)
