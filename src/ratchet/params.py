"""`params.yaml`: the one place that reads it, and the one that edits it.

Every section is a frozen model that forbids unknown keys, so that a typo fails at once instead of being ignored.
"""

from __future__ import annotations

import re
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


def edit(path: Path, changes: Mapping[str, Any]) -> None:
    """Change values in a parameter file; comments, order and every other line stay as they are.

    Args:
        path: The file; it is replaced whole, or not at all.
        changes: Dotted keys (`model.learning_rate`) to plain values; a last part that is not there yet is added.

    Raises:
        RatchetError: The file cannot be read, is not YAML, or has no such section.
    """
    import difflib

    from ruamel.yaml.error import YAMLError

    from ratchet import files

    try:
        before = path.read_text(encoding="utf-8")
        plain, edited = _round_trip(before, {}), _round_trip(before, changes)
    except OSError as error:
        raise RatchetError(f"{path}: cannot be read: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise RatchetError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    except KeyError as error:
        raise RatchetError(f"{path}: has no section {error.args[0]!r} to change") from error
    # A round trip may lay out any line anew (spaces, quotes): only those that the change itself moves are taken over.
    lines, old, new = before.splitlines(), plain.splitlines(), edited.splitlines()
    if len(lines) != len(old):
        lines = old
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, start, end, first, last in reversed(matcher.get_opcodes()):
        if kind != "equal":
            lines[start:end] = new[first:last]
    files.write_text(path, "\n".join(lines) + "\n")


def _round_trip(text: str, changes: Mapping[str, Any]) -> str:
    import io

    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedSeq

    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 1_000_000
    offset = 2 if re.search(r"^( *)[^ #-].*:( *#.*)?\n\1  +- ", text, re.MULTILINE) else 0
    editor.indent(mapping=2, sequence=offset + 2, offset=offset)
    content = editor.load(text)

    def said(value: Any) -> Any:  # in the words of the parser that `load` uses: it reads YAML 1.1, the editor 1.2
        return editor.load(yaml.safe_dump(value))

    for dotted, value in changes.items():
        *sections, name = dotted.split(".")
        section = content
        for part in sections:
            section = section[part]
        if isinstance(section.get(name), CommentedSeq) and isinstance(value, list | tuple):
            section[name][:] = [said(item) for item in value]
        elif name in section:
            section[name] = said(value)
        else:  # before the last one, whose trailing blank line belongs to the end of the section
            section.insert(max(len(section) - 1, 0), name, said(value))
    out = io.StringIO()
    editor.dump(content, out)
    return out.getvalue()
