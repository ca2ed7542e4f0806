"""Shifts: changes that are injected into rows, to measure who finds them and when."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet import files, folders
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.problem import Problem


@dataclass(frozen=True)
class Shift:
    """A change that is injected into rows, to see who finds it.

    Attributes:
        name: Short, readable in a table.
        sentence: What happens, in words.
        apply: Rows and a strength from 0 (nothing) to 1 to changed rows, labels included. Row by row, so that the shift
            of some rows is some rows of the shift; rows may vanish, those that stay keep their index.
        gradual: Its strength grows from month to month, instead of being 1 from the first.
    """

    name: str
    sentence: str
    apply: Callable[[pd.DataFrame, float], pd.DataFrame]
    gradual: bool = False


def module(problem: Problem) -> Path:
    """The module of a problem that may define `shifts()`."""
    return problem.folder / folders.EXPECTATIONS / "shifts.py"


def of(problem: Problem) -> Mapping[str, Shift]:
    """The shifts that a problem offers, by name; none when it has no such module."""
    if not module(problem).is_file():
        return {}
    found = importlib.import_module(f"{problem.name}.{folders.EXPECTATIONS}.shifts")
    return {shift.name: shift for shift in found.shifts()}


def digest(problem: Problem) -> str:
    """SHA-256 of the code of that module."""
    if not module(problem).is_file():
        raise RatchetError(f"src/{problem.name}/{folders.EXPECTATIONS}/shifts.py: there is no such module")
    return files.sha256(module(problem))
