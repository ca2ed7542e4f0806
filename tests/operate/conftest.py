"""The world of the two files that watch it: it takes seconds to start, so it is made once."""

from collections.abc import Iterator

import pytest
from operate_example import World, running


@pytest.fixture(scope="module")  # it asks and scrapes all the time, so it must not outlive its tests
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two arms that are well, and a Prometheus that has seen it."""
    with running(tmp_path_factory.mktemp("operate")) as made:
        yield made
