"""The processor: what NumPy and BLAS choose by it is fixed before they load, wherever something fits or scores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ratchet import processor

ROOT = Path(__file__).parents[1]
STAGES = sorted((ROOT / "pipelines").glob("*.py"))
FIXED = {**processor.THREADS, **processor.AVX2}

needs_avx2 = pytest.mark.skipif(not processor.has_avx2(), reason="nothing is fixed on this processor but the threads")

# Prints the environment as it is when NumPy is first looked for.
WATCH = """
import importlib.abc, json, os, runpy, sys

class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            sys.meta_path.remove(self)
            print(json.dumps(dict(os.environ)))

sys.meta_path.insert(0, Watch())
(name,) = sys.argv[1:]
runpy.run_path(name, run_name="imported") if name.endswith(".py") else importlib.import_module(name)
import numpy
"""

USED = """
import json, ratchet, numpy, scipy.linalg
from numpy._core import _multiarray_umath as umath
from threadpoolctl import threadpool_info

blas = [found for found in threadpool_info() if found["user_api"] == "blas"]
print(json.dumps({
    "kernels": [found["architecture"] for found in blas],
    "threads": [found["num_threads"] for found in blas],
    "loops": [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]],
}))
"""


def run(*arguments: str, **variables: str) -> dict[str, object]:
    """The JSON that a Python program prints on a machine that names nothing but `variables`."""
    bare = {name: value for name, value in os.environ.items() if name not in FIXED}
    environment = {**bare, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), **variables}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


@needs_avx2
@pytest.mark.parametrize(
    "name",
    [*map(str, STAGES), "ratchet.cli", "ratchet.bundle", "ratchet.serving.start"],
    ids=lambda name: Path(name).name,
)
def test_whatever_fits_or_scores_fixes_it_before_numpy_is_loaded(name: str) -> None:
    """Each stage, the command line, a bundle in its own environment, and the service."""
    assert FIXED.items() <= run("-c", WATCH, name).items()


@needs_avx2
def test_both_blas_use_one_kernel_and_numpy_one_width() -> None:
    """NumPy's and SciPy's; a NumPy that comes with other loops than those that are known here fails this test."""
    assert run("-c", USED) == {"kernels": ["Haswell", "Haswell"], "threads": [1, 1], "loops": ["X86_V3"]}


@needs_avx2
def test_what_the_machine_names_stays() -> None:
    """Each for itself."""
    assert run("-c", USED, OPENBLAS_CORETYPE="Nehalem", OPENBLAS_NUM_THREADS="2") == {
        "kernels": ["Nehalem", "Nehalem"],
        "threads": [min(2, os.cpu_count() or 1)] * 2,
        "loops": ["X86_V3"],
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu fma sse4_2 avx avx2 bmi2\n\nprocessor : 1\nflags\t\t: fpu\n", True),
        ("processor : 0\nflags\t\t: fpu fma sse4_2 avx\n", False),
        ("processor : 0\nflags\t\t: fpu avx2\n", False),
        ("processor : 0\nFeatures\t: fp asimd sha2\n", False),  # ARM
        ("", False),
    ],
)
def test_a_kernel_is_named_only_where_it_runs(text: str, expected: bool, tmp_path: Path) -> None:
    """A kernel that the processor has not would end the process without a word."""
    (tmp_path / "cpuinfo").write_text(text)

    assert processor.has_avx2(tmp_path / "cpuinfo") is expected
    assert processor.has_avx2(tmp_path / "nothing") is False
