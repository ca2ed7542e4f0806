"""A repository with a released champion, made once for each process of the tests; each scenario has a copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import scenario

from rehearsal.desk import Desk


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its forge."""
    return scenario.found(tmp_path_factory.mktemp("released") / "forge")


@pytest.fixture
def desk(released: Path, tmp_path: Path) -> Iterator[Desk]:
    """A desk on a copy."""
    with scenario.opened(released, tmp_path / "forge") as opened:
        yield opened
