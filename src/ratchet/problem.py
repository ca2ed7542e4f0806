"""The problem contract: what a package must offer so that the loop can train, judge and serve it.

`params.yaml: problem: flights` names a folder in `src/`. Each member is looked up in a fixed module of it, when it is
first used, so that a stage loads only the code of the folders that it depends on; see `ratchet.folders`.

    <problem>/data/source.py              fetch(period) -> DataFrame
    <problem>/data/schema.py              SCHEMA, KEY, CLUSTER, TARGET, TASK
    <problem>/model/estimator.py          estimator(params, seed), baselines(), search_space()
    <problem>/model/features.py           any function of a row; named by `ratchet.rows.RowFeatures` in the estimator
    <problem>/expectations/slices.py      SLICES
    <problem>/expectations/behaviour.py   behaviour()
    <problem>/expectations/shifts.py      shifts(): changes that are injected to measure what finds them; optional
    <problem>/card.yaml                   what only a person knows; see `ratchet.card`

Other modules of a folder are its own affair. No `__init__.py` is needed anywhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from ratchet import folders
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

Task = Literal["binary", "regression"]
Slice = Callable[["pd.DataFrame"], "pd.Series[Any]"]


@dataclass(frozen=True)
class Case:
    """One behavioural expectation, checked on the holdout rows that `where` selects (all of them by default).

    Attributes:
        name: Unique, short, readable in a table.
        kind: `invariance` (the change must not move the score), `direction` (it must move it one way) or
            `minimum` (the mean score of the selected rows lies between `low` and `high`).
        sentence: The expectation in words.
        change: Rows to changed rows of the same length; for invariance and direction.
        where: Rows to a boolean mask.
        direction: `rises` or `falls`: where the mean score of the changed rows must go, by more than `tolerance`.
        tolerance: Largest absolute move allowed (invariance), or smallest mean move demanded (direction).
        low: Lowest mean score allowed (minimum).
        high: Highest mean score allowed (minimum).
    """

    name: str
    kind: Literal["invariance", "direction", "minimum"]
    sentence: str
    change: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    where: Callable[[pd.DataFrame], pd.Series[bool]] | None = None
    direction: Literal["rises", "falls"] | None = None
    tolerance: float = 0.0
    low: float = float("-inf")
    high: float = float("inf")


class Problem:
    """A problem package, its members checked as they are first used.

    Args:
        name: What `params.yaml` calls it.
        src: The folder in which it stands.

    Raises:
        RatchetError: It is not there, or not as `ratchet.folders` wants it.
    """

    def __init__(self, name: str, src: Path = folders.SRC) -> None:
        self.name = name
        self.folder = folders.find(name, src)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """In another process the package must be found anew, before anything of it is unpacked."""
        vars(self).update(state)
        folders.find(self.name, self.folder.parent)

    def fetch(self, period: str) -> pd.DataFrame:
        """Raw rows of one period (`2013-04`), the target null where it is not known (yet).

        The source raises `ratchet.errors.AbsentError` for a period of which it has nothing, or nothing yet.
        """
        return cast("pd.DataFrame", self._member("data.source", "fetch")(period))

    @property
    def schema(self) -> pa.DataFrameSchema:
        """What a row is: types, ranges, nullability, the unique key, relations between columns."""
        return cast("pa.DataFrameSchema", self._member("data.schema", "SCHEMA"))

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that identify a row, for joining outcomes later."""
        return tuple(self._member("data.schema", "KEY"))

    @property
    def cluster(self) -> tuple[str, ...]:
        """Columns of the unit that is independent of the others and orders time (a day)."""
        return tuple(self._member("data.schema", "CLUSTER"))

    @property
    def target(self) -> str:
        """The label column: 0 or 1 when the task is binary, a number when it is a regression."""
        return str(self._member("data.schema", "TARGET"))

    @property
    def task(self) -> Task:
        """The kind of label."""
        task = self._member("data.schema", "TASK")
        if task not in get_args(Task):
            known = ", ".join(get_args(Task))
            raise RatchetError(f"src/{self.name}/data/schema.py: TASK is {task!r}; it must be one of {known}")
        return cast("Task", task)

    @property
    def slices(self) -> Mapping[str, Slice]:
        """Name of a segmentation to a function that labels each row with its segment."""
        return cast("Mapping[str, Slice]", self._member("expectations.slices", "SLICES"))

    def estimator(self, params: Mapping[str, Any], seed: int) -> Any:
        """An unfitted scikit-learn estimator that takes raw schema rows; unknown `params` are a `RatchetError`."""
        return self._member("model.estimator", "estimator")(params, seed)

    def baselines(self) -> Mapping[str, Any]:
        """Name to an unfitted estimator, simple enough that a model which does not beat it should not exist."""
        return cast("Mapping[str, Any]", self._member("model.estimator", "baselines")())

    def search_space(self) -> Mapping[str, Any]:
        """Parameter name to a list of values or a SciPy distribution, for `ratchet tune`."""
        return cast("Mapping[str, Any]", self._member("model.estimator", "search_space")())

    def behaviour(self) -> Sequence[Case]:
        """Behavioural expectations."""
        return cast("Sequence[Case]", self._member("expectations.behaviour", "behaviour")())

    def _member(self, module: str, name: str) -> Any:
        place = f"src/{self.name}/{module.replace('.', '/')}.py"
        try:
            found = importlib.import_module(f"{self.name}.{module}")
        except ModuleNotFoundError as error:
            if error.name != f"{self.name}.{module}":
                raise
            raise RatchetError(f"{place}: there is no such module; it must define {name}") from error
        try:
            return getattr(found, name)
        except AttributeError as error:
            raise RatchetError(f"{place}: does not define {name}") from error
