"""`params.yaml`: the one place that reads it, and the one that edits it.

Every section is a frozen model that forbids unknown keys, so that a typo fails at once instead of being ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ratchet.errors import RatchetError

Share = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Checks(_Section):
    """Bounds of the batch checks; see `ratchet.data`."""

    quarantined: Share
    duplicated: Share
    rows: Range
    nulls: Share
    label_rate: Share
    gap_days: Annotated[int, Field(ge=0)]


class Data(_Section):
    """Which periods there are and how many of the last ones test the model."""

    periods: Annotated[tuple[str, ...], Field(min_length=2)]
    holdout: Annotated[int, Field(ge=1)]
    checks: Checks

    @model_validator(mode="after")
    def _ordered(self) -> Data:
        if list(self.periods) != sorted(set(self.periods)):
            raise ValueError("periods must be in order of time, each once")
        if self.holdout >= len(self.periods):
            raise ValueError(f"holdout {self.holdout} leaves none of {len(self.periods)} periods to train on")
        return self

    @property
    def train(self) -> tuple[str, ...]:
        """Periods that train the model."""
        return self.periods[: -self.holdout]

    @property
    def test(self) -> tuple[str, ...]:
        """Periods that test the model."""
        return self.periods[-self.holdout :]


class Train(_Section):
    """How the estimator is fitted; see `ratchet.training`."""

    seed: Annotated[int, Field(ge=0)]
    folds: Annotated[int, Field(ge=2)]
    cost_ratio: Annotated[float, Field(gt=0)]


class Gate(_Section):
    """The policy of the verdict; see `ratchet.gate`."""

    metric: str
    delta: Annotated[float, Field(ge=0)]
    margin: Annotated[float, Field(ge=0)]
    level: Annotated[float, Field(gt=0, lt=0.5)]
    slice_margin: Annotated[float, Field(ge=0)]
    slice_rows: Annotated[int, Field(ge=1)]
    calibration_slope: Range
    bundle_megabytes: Annotated[float, Field(gt=0)]


class Tracking(_Section):
    """Where and how patiently runs are recorded; see `ratchet.tracking`."""

    experiment: str
    timeout: Annotated[float, Field(gt=0)]


class Params(_Section):
    """The whole of `params.yaml`; `model` is checked by the problem's own `estimator`."""

    problem: str
    data: Data
    train: Train
    model: Mapping[str, Any]
    gate: Gate
    tracking: Tracking


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check a parameter file.

    Raises:
        RatchetError: It is missing, is not YAML, or has an unknown, missing or impossible value; names each one.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RatchetError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RatchetError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()]
        raise RatchetError(f"{path}: " + f"\n{path}: ".join(problems[:3])) from error
