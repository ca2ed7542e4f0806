"""The shapes of what passes between jobs and into the ledger: JSON Schemas in this package, `<name>.schema.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, TypeVar

from ratchet.errors import RatchetError

T = TypeVar("T")


def validated(name: str, found: T) -> T:
    """What was found, when it has the shape of `<name>.schema.json`.

    Raises:
        RatchetError: It has not; names the first place.
    """
    import jsonschema

    fault = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema(name)).iter_errors(found))
    if fault is not None:
        raise RatchetError(f"{name}: {fault.json_path}: {fault.message[:200]}")
    return found


@cache
def schema(name: str) -> Mapping[str, Any]:
    """The JSON Schema of that name."""
    text = resources.files("ratchet").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))
