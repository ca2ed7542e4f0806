"""The same bytes on any x86-64 processor: what NumPy and its BLAS would choose by the processor is fixed.

OpenBLAS has a kernel for each family of processors, and NumPy loops for each width of their vectors. Two of them add
the same numbers in another order, so a fitted coefficient differs in its last bits, and with it the hash of a model.
Both choose when they are loaded; `ratchet` fixes the choice as the first thing it does. Haswell's kernel and NumPy's
loops for AVX2 (X86_V3) run on every processor with AVX2 and FMA: Intel's since 2013, AMD's since 2015, each that GitHub
has. Where these are missing, and on ARM, nothing but the threads is fixed, and the bytes may be others.
"""

from __future__ import annotations

import os
from pathlib import Path

# Sums of floats also depend on how BLAS splits them over threads.
THREADS = {"OPENBLAS_NUM_THREADS": "1"}
# The names are those by which threadpoolctl and NumPy tell what is in use.
AVX2 = {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}


def fix() -> None:
    """Set what is not set, in the environment of this process and of those that it starts; call before NumPy loads.

    What the machine names itself, be it empty, stays.
    """
    for name, value in {**THREADS, **(AVX2 if has_avx2() else {})}.items():
        os.environ.setdefault(name, value)


def has_avx2(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether Linux says that the processor has AVX2 and FMA; a kernel that it has not would end the process."""
    try:
        with cpuinfo.open(encoding="ascii", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return False
    return {"avx2", "fma"} <= set(flags.split())
