"""`params.yaml`: the one place that reads it, and the one that edits it.

Every section is a frozen model that forbids unknown keys, so that a typo fails at once instead of being ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ratchet import files, yaml12
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


class Drift(_Section):
    """How a new period is looked at; see `ratchet.drift`. What a batch must be is said by `data.checks`."""

    false_alarms: Annotated[float, Field(gt=0, lt=0.5)]
    least: Share
    fall: Annotated[float, Field(ge=0)]
    slice_fall: Annotated[float, Field(ge=0)]
    labelled: Share
    p99_milliseconds: Annotated[float, Field(gt=0)]
    error_rate: Share
    log: str | None
    prometheus: str | None


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
    drift: Drift
    tracking: Tracking


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check a parameter file.

    Raises:
        RatchetError: It is missing, is not YAML, or has an unknown, missing or impossible value; names each one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RatchetError(f"{path}: cannot be read: {error.strerror}") from error
    return parse(content, str(path))


def parse(content: bytes, name: str = "params.yaml") -> Params:
    """Check the content of a parameter file; `name` stands in errors.

    Raises:
        RatchetError: As `load`.
    """
    try:
        return Params.model_validate(yaml12.read(content, name))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()]
        raise RatchetError(f"{name}: " + f"\n{name}: ".join(problems[:3])) from error


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys; lists stay whole."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flattened(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def edit(path: Path, changes: Mapping[str, Any]) -> None:
    """Change values in a parameter file and nothing else: comments, order and layout stay, byte for byte.

    A round trip through a YAML writer would lay out anew what it does not remember (spaces, indentation), so the
    text is cut where the parser saw the values.

    Args:
        path: The file; it is replaced whole, or not at all.
        changes: Dotted keys (`model.learning_rate`) to a value or a list of values; a last part that is not there yet
            is added to its section.

    Raises:
        RatchetError: The file cannot be read, is not YAML, or has no such section.
    """
    try:
        given = path.read_bytes()
    except OSError as error:
        raise RatchetError(f"{path}: cannot be read: {error.strerror}") from error
    content, text = yaml12.read(given, str(path)), given.decode("utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    cuts = []
    for dotted, value in changes.items():
        *sections, name = dotted.split(".")
        node, values = root, content
        for section in sections:
            node, values = _child(node, section), values.get(section) if isinstance(values, dict) else None
        if not isinstance(node, yaml.MappingNode) or not values:
            raise RatchetError(f"{path}: has no section {'.'.join(sections)!r} to change")
        cuts.append(_cut(text, node, values, name, value))
    newline = "\r\n" if "\r\n" in text else "\n"
    for start, end, new in sorted(cuts, reverse=True):
        text = text[:start] + re.sub(r"\r?\n", newline, new) + text[end:]
    files.write_bytes(path, text.encode())


def _cut(
    text: str, section: yaml.MappingNode, values: Mapping[str, Any], name: str, value: Any
) -> tuple[int, int, str]:
    """Which part of the text to replace, and by what, to give a section's key a value."""
    node = _child(section, name)
    if node is None:  # before the last key: after it there may be comments that belong to what follows
        at = section.value[-1][0].start_mark
        separator = ", " if section.flow_style else "\n" + " " * at.column
        return at.index, at.index, f"{name}: {yaml12.write_line(value)}{separator}"
    start, end = node.start_mark.index, node.end_mark.index
    if values[name] == value and type(values[name]) is type(value):
        return start, start, ""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        if not isinstance(node, yaml.SequenceNode) or not isinstance(value, list | tuple):
            raise RatchetError(f"{name}: is a section or a list, and {value!r} is not")
        return _cut_list(text, node, values[name], value)
    return start, end, yaml12.write_line(value) if end > start else f" {yaml12.write_line(value)}"


def _cut_list(text: str, node: yaml.SequenceNode, old: Sequence[Any], new: Sequence[Any]) -> tuple[int, int, str]:
    """The same for a list with one item a line; items that stay keep their line."""
    starts = [text.rfind("\n", 0, item.start_mark.index) + 1 for item in node.value]
    end = text.find("\n", node.value[-1].end_mark.index) + 1 or len(text)
    lines = [text[here:there] for here, there in zip(starts, [*starts[1:], end], strict=True)]
    known = dict(zip(map(yaml12.write_line, old), lines, strict=True))
    indent = " " * node.start_mark.column
    lines = [known.get(said, f"{indent}- {said}\n") for said in map(yaml12.write_line, new)] or [f"{indent}  []\n"]
    return starts[0], end, "".join(lines)


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for key, value in pairs if key.value == name), None)
