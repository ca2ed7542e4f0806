"""What several test modules share: the rehearsal, the problems of src/ and those of tests/problems are importable."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guard import MARK, Guard
from ratchet import folders

if TYPE_CHECKING:
    from rehearsal.forge import Forge

# Test processes share the cores: threads that spin at a barrier for a core that is taken cost ten times the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What tests do is done at a desk, also where GitHub runs them.
os.environ.pop("GITHUB_ACTIONS", None)

TESTS = Path(__file__).parent
for model in (TESTS / "problems").glob(f"*/{folders.MODEL}"):
    folders.find(model.parent.name, TESTS / "problems")

GUARD = Guard(TESTS.parent)
sys.addaudithook(GUARD)


def pytest_configure(config: pytest.Config) -> None:
    """Tests that read the repository's own files say so."""
    config.addinivalue_line("markers", f"{MARK}: is about the repository's own params.yaml, dvc.lock or problem")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module is imported when it is collected; one of the problem's tests finds the problem."""
    if name := GUARD.problem_of(collector.path):
        folders.find(name, TESTS.parent / "src")
    with GUARD.watching(collector.path):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test, with the fixtures that are made for it."""
    with GUARD.watching(item.path, own=item.get_closest_marker(MARK) is not None):
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The demo is by far the longest test: begun last, it would run on alone."""
    items.sort(key=lambda item: item.path.name != "test_demo.py")


@pytest.fixture(autouse=True, scope="module")
def fresh_workers() -> Iterator[None]:
    """Joblib keeps its processes, which import from where they could when they began: each module gets its own."""
    yield
    if "joblib.externals.loky" in sys.modules:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """A local forge."""
    from forge_example import server

    with server(tmp_path_factory.mktemp("forge")) as running:
        yield running


@pytest.fixture(scope="session")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weak and a good model of the coins, tested on the same month."""
    from release_example import models

    return models(tmp_path_factory.mktemp("models"))
