"""Bundles and services that the tests of the service share; each is made once in a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_example import Running, build, serving


@pytest.fixture(scope="session")
def flights_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A binary task, trees."""
    return build("toy_departures", tmp_path_factory.mktemp("flights") / "bundle")


@pytest.fixture(scope="session")
def delays_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A regression that is no ensemble of trees."""
    return build("toy_delays", tmp_path_factory.mktemp("delays") / "bundle")


@pytest.fixture(scope="session")
def service(flights_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The flights, served as they come."""
    with serving(flights_bundle, tmp_path_factory.mktemp("service"), RATCHET_BODY_SECONDS="2") as running:
        yield running
