"""Repositories with a released champion, made once for each process of the tests; each scenario has a copy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import scenario
from drifting import drift

from rehearsal.desk import Desk

# Every release makes an image: the Bento itself takes seconds, and what buildah makes of it has tests of its own.
os.environ.setdefault("REHEARSAL_BUILDER", "bento")


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its forge."""
    return scenario.found(tmp_path_factory.mktemp("released") / "forge")


@pytest.fixture
def desk(released: Path, tmp_path: Path) -> Iterator[Desk]:
    """A desk on a copy."""
    with scenario.opened(released, tmp_path / "forge") as opened:
        yield opened


@pytest.fixture(scope="session")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a forge whose trains drift."""
    return scenario.found(tmp_path_factory.mktemp("drifting") / "forge", drift)


@pytest.fixture
def year(drifting: Path, tmp_path: Path) -> Iterator[Desk]:
    """A desk on a copy of it."""
    with scenario.opened(drifting, tmp_path / "forge") as opened:
        yield opened


@pytest.fixture(scope="session")
def promising(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a forge whose pull request 1 is a better model, judged and ready to be merged."""
    folder = tmp_path_factory.mktemp("promising") / "forge"
    with scenario.opened(released, folder) as opened:
        assert opened.propose("Less shrinkage", scenario.alpha(scenario.BETTER), "less-shrinkage") == 1
        opened.wait()
        assert set(scenario.gates(opened, 1).values()) == {"success"}
    return folder


@pytest.fixture
def judged(promising: Path, tmp_path: Path) -> Iterator[Desk]:
    """A desk on a copy of it."""
    with scenario.opened(promising, tmp_path / "forge") as opened:
        yield opened
