"""What several test modules share: the rehearsal and the problems under tests/problems are importable, as in src/."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Test processes share the cores: threads that spin at a barrier for a core that is taken cost ten times the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS / "problems"), str(TESTS.parent)]


@pytest.fixture(autouse=True, scope="module")
def fresh_workers() -> Iterator[None]:
    """Joblib keeps its processes, which import from where they could when they began: each module gets its own."""
    yield
    if "joblib.externals.loky" in sys.modules:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)
