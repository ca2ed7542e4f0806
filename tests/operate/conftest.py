"""The world of the two files that watch it: it takes seconds to start, so it is made once."""

from collections.abc import Iterator

import pytest
from operate_example import World, running


@pytest.fixture(scope="package")  # nobody waits for it afterwards
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two arms that are well, and a Prometheus that has seen it."""
    with running(tmp_path_factory.mktemp("operate")) as made:
        yield made
