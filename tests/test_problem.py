"""The problem contract: members are found where the contract says, and what is missing is named."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from joblib import Parallel, delayed

from problem_example import written
from ratchet.errors import RatchetError
from ratchet.problem import Problem

ROOT = Path(__file__).parents[1]


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Problem]:
    """A problem package of the given modules, see `written`."""
    return partial(written, tmp_path, f"made_{abs(hash(tmp_path))}")


@pytest.mark.parametrize(
    ("name", "task", "key", "cluster", "target"),
    [
        ("toy_coins", "binary", ("throw",), ("day",), "head"),
        ("toy_delays", "regression", ("day", "train"), ("day",), "delay"),
    ],
)
def test_a_package_offers_what_the_loop_needs(
    name: str, task: str, key: tuple[str, ...], cluster: tuple[str, ...], target: str
) -> None:
    """Every member, from the module that the contract names."""
    problem = Problem(name)

    assert (problem.task, problem.key, problem.cluster, problem.target) == (task, key, cluster, target)
    assert {*key, *cluster, target} <= set(problem.schema.columns)
    assert len(problem.baselines()) == 1
    assert {case.kind for case in problem.behaviour()} == {"invariance", "direction", "minimum"}


@pytest.mark.parametrize(("name", "period"), [("toy_coins", "2013-02"), ("toy_delays", "2021-02")])
def test_rows_are_the_same_whenever_they_are_fetched(name: str, period: str) -> None:
    """And every slice labels each of them."""
    problem = Problem(name)
    rows = problem.fetch(period)

    assert rows.equals(problem.fetch(period))
    assert all(len(segment(rows)) == len(rows) for segment in problem.slices.values())


def test_a_missing_module_is_named_with_what_it_must_define(made: Callable[..., Problem]) -> None:
    """The one that was asked for, only when it is."""
    problem = made(data__schema="TASK = 'binary'")

    assert problem.task == "binary"
    with pytest.raises(RatchetError, match=r"/data/source\.py: there is no such module; it must define fetch$"):
        problem.fetch("2013-01")
    with pytest.raises(RatchetError, match=r"/model/estimator\.py: there is no such module; it must define baselines$"):
        problem.baselines()


def test_a_missing_member_is_named(made: Callable[..., Problem]) -> None:
    """With the module that lacks it."""
    problem = made(data__schema="TASK = 'binary'", model__estimator="")

    with pytest.raises(RatchetError, match=r"/data/schema\.py: does not define KEY$"):
        _ = problem.key
    with pytest.raises(RatchetError, match=r"/model/estimator\.py: does not define estimator$"):
        problem.estimator({}, 0)


def test_a_module_that_cannot_be_imported_shows_its_own_error(made: Callable[..., Problem]) -> None:
    """A typo inside a module is the author's to see: it is not called a missing module or member."""
    problem = made(
        data__source="import there_is_no_such_library",
        model__estimator="import math\nmath.no_such_function",
        expectations__slices="from math import no_such_function",
        expectations__behaviour="1 / 0",
    )

    with pytest.raises(ModuleNotFoundError, match="there_is_no_such_library"):
        problem.fetch("2013-01")
    with pytest.raises(AttributeError, match="module 'math' has no attribute 'no_such_function'"):
        problem.baselines()
    with pytest.raises(ImportError, match="cannot import name 'no_such_function'"):
        _ = problem.slices
    with pytest.raises(ZeroDivisionError):
        problem.behaviour()


def test_an_error_of_a_member_is_its_own(made: Callable[..., Problem]) -> None:
    """What `fetch` raises is what is seen."""
    problem = made(data__source="def fetch(period):\n    return None.rows")

    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'rows'"):
        problem.fetch("2013-01")


@pytest.mark.parametrize("task", ["'multiclass'", "None", "['binary']"])
def test_a_wrong_task_lists_the_right_ones(task: str, made: Callable[..., Problem]) -> None:
    """Binary and regression are what the metrics know."""
    problem = made(data__schema=f"TASK = {task}")

    with pytest.raises(RatchetError, match=r"/data/schema\.py: TASK is .*; it must be one of binary, regression$"):
        _ = problem.task


def test_another_process_finds_the_package_before_it_unpacks_what_is_in_it(made: Callable[..., Problem]) -> None:
    """Joblib's processes know nothing of the folder but what the problem tells them."""
    problem = made(model__estimator="class Mean:\n    def fit(self):\n        return 'fitted'")
    mean = importlib.import_module(f"{problem.name}.model.estimator").Mean()

    assert Parallel(n_jobs=2)(delayed(fitted)(problem, mean) for _ in range(2)) == ["fitted", "fitted"]


def fitted(_: Problem, estimator: Any) -> str:
    """What a worker does."""
    return str(estimator.fit())


def test_the_loop_names_no_problem() -> None:
    """Nothing in src/ratchet imports or mentions the example problem."""
    mentions = [path for path in (ROOT / "src" / "ratchet").rglob("*.py") if "import flights" in path.read_text()]
    imports = [path for path in (ROOT / "src" / "ratchet").rglob("*.py") if "from flights" in path.read_text()]

    assert mentions + imports == []
