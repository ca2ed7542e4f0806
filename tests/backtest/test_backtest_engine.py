"""Both engines give the same answers; an error in the work reaches the person."""

from __future__ import annotations

import sys

import pytest

from ratchet.backtest.engine import ENGINES, Engine, spread
from ratchet.errors import RatchetError


def squared(number: int) -> int:
    if number < 0:
        raise RatchetError(f"{number} is negative")
    return number**2


@pytest.mark.parametrize("engine", ENGINES)
def test_every_item_has_its_answer(engine: Engine) -> None:
    """In any order, on two processes."""
    if engine == "dask":
        pytest.importorskip("distributed")

    assert sorted(spread(squared, [3, 1, 2], engine, 2, "number")) == [1, 4, 9]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_the_work_says_is_wrong_reaches_the_person(engine: Engine) -> None:
    """With its own words, out of the other process."""
    if engine == "dask":
        pytest.importorskip("distributed")

    with pytest.raises(RatchetError, match="-1 is negative"):
        list(spread(squared, [1, -1], engine, 2, "number"))


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_to_do_starts_nothing(engine: Engine) -> None:
    """Neither processes nor a cluster, which may not even be installed."""
    assert list(spread(squared, [], engine, 2, "number")) == []


def test_dask_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(RatchetError, match="uv sync --group distributed"):
        list(spread(squared, [1], "dask", 2, "number"))
