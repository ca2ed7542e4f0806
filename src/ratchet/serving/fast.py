"""One row through treelite without its wrapper, which costs more than the trees.

The judged code of the bundle scores; only `treelite.gtil.predict` beneath it is replaced, for one row, by the very call
into treelite's library that it makes, on buffers that are made once. Where anything is not as expected, nothing is
replaced.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from ratchet.bundle import Bundle, Trees

Matrix = np.ndarray[Any, np.dtype[np.float64]]
Predict = Callable[..., Matrix]


def quicken(opened: Bundle) -> bool:
    """Make `opened.score_row` faster, once it is shown to answer the same; whether it was.

    The buffers are shared by all calls: only one thread may score.
    """
    model = opened.model
    if not isinstance(model, Trees):
        return False
    try:
        slow: Predict = model._predict  # a bundle's own code may be older or newer than ours
        quick = predictor(model._trees, slow)
    except (AttributeError, ImportError, TypeError):
        return False
    if not _agree(quick, slow, model._trees):
        return False
    model._predict = quick
    return True


def predictor(trees: Any, slow: Predict) -> Predict:
    """`treelite.gtil.predict` for these trees; more than one row is left to `slow`."""
    from treelite.core import _LIB
    from treelite.gtil.gtil import GTILConfig

    if trees.input_type != "float64" or trees.output_type != "float64":
        raise TypeError("only trees of 64-bit floats")
    row = np.zeros((1, trees.num_feature))
    output = np.zeros_like(slow(trees, row, nthread=1))
    config = GTILConfig(nthread=1, predict_type="default")
    double = ctypes.POINTER(ctypes.c_double)
    call = _LIB.TreeliteGTILPredict
    arguments = (
        trees.handle,
        row.ctypes.data_as(double),
        b"float64",
        ctypes.c_uint64(1),
        output.ctypes.data_as(double),
        config.handle,
    )

    def quick(model: Any, matrix: Matrix, *, nthread: int) -> Matrix:
        if model is not trees or matrix.shape != row.shape:
            return slow(model, matrix, nthread=nthread)
        row[0] = matrix[0]
        if call(*arguments) != 0:
            return slow(model, matrix, nthread=nthread)
        return output

    quick.config = config  # type: ignore[attr-defined]  # deleting it would free what the call points to
    return quick


def _agree(quick: Predict, slow: Predict, trees: Any) -> bool:
    """On rows of nothing, of zeros and of many sizes."""
    generator = np.random.default_rng(0)
    size = trees.num_feature
    rows = [np.full((1, size), np.nan), np.zeros((1, size))]
    rows += [generator.normal(scale=10.0**power, size=(1, size)) for power in range(-2, 6) for _ in range(8)]
    return all(np.array_equal(quick(trees, row, nthread=1), slow(trees, row, nthread=1)) for row in rows)
