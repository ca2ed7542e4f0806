"""The state as one JSON file: read with care for its types, written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
import types
import typing
from pathlib import Path
from typing import Any

from rehearsal.forge.state import State


def load(path: Path) -> State:
    """The stored state, or an empty one."""
    if not path.exists():
        return State()
    found = _read(State, json.loads(path.read_text(encoding="utf-8")))
    assert isinstance(found, State)  # noqa: S101 - for the type checker
    return found


def save(path: Path, state: State) -> None:
    """Replace the file."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(_plain(state), ensure_ascii=False), encoding="utf-8")
    temporary.replace(path)


def _plain(value: Any) -> Any:
    """Records and paths as JSON has them. `dataclasses.asdict` would copy every payload first."""
    if dataclasses.is_dataclass(value):
        return {field: _plain(content) for field, content in vars(value).items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def _read(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{name: _read(hints[name], content) for name, content in value.items() if name in hints})
    origin = typing.get_origin(kind)
    if origin is list:
        (item,) = typing.get_args(kind)
        return [_read(item, one) for one in value]
    if origin is types.UnionType and value is not None:
        return _read(next(one for one in typing.get_args(kind) if one is not type(None)), value)
    return Path(value) if kind is Path else value


_KNOWN: dict[type, dict[str, Any]] = {}


def _hints(kind: type) -> dict[str, Any]:
    if kind not in _KNOWN:
        _KNOWN[kind] = typing.get_type_hints(kind)
    return _KNOWN[kind]
