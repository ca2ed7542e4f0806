"""The row schema: a problem's Pandera schema as a JSON Schema of one row.

It travels in the bundle, so that a service can check a row (and describe its API) without pandas and Pandera.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandera.pandas as pa

    from ratchet.problem import Problem

_RULES = {
    "greater_than_or_equal_to": {"minimum": "min_value"},
    "less_than_or_equal_to": {"maximum": "max_value"},
    "greater_than": {"exclusiveMinimum": "min_value"},
    "less_than": {"exclusiveMaximum": "max_value"},
    "in_range": {"minimum": "min_value", "maximum": "max_value"},
    "isin": {"enum": "allowed_values"},
    "str_matches": {"pattern": "pattern"},
    "str_length": {"minLength": "min_value", "maxLength": "max_value"},
}


def row_schema(problem: Problem) -> dict[str, Any]:
    """JSON Schema (2020-12) of one raw row: no label, and no column whose metadata say `input: False`.

    Columns that may be null may also be left out.
    """
    columns = {str(n): c for n, c in problem.schema.columns.items() if n != problem.target and _is_input(c)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {name: _property(name, column) for name, column in columns.items()},
        "required": [name for name, column in columns.items() if not column.nullable],
        "additionalProperties": False,
    }


def _is_input(column: pa.Column) -> bool:
    return bool((column.metadata or {}).get("input", True))


def _property(name: str, column: pa.Column) -> dict[str, Any]:
    kind = _kind(name, column)
    rules: dict[str, Any] = {"type": [kind, "null"] if column.nullable else kind}
    for check in column.checks:
        for keyword, statistic in _RULES.get(str(check.name), {}).items():
            value = check.statistics.get(statistic)
            if value is not None:
                rules[keyword] = _plain(value)
    if column.nullable and "enum" in rules:
        rules["enum"].append(None)
    if column.description:
        rules["description"] = column.description
    metadata = column.metadata or {}
    if "example" in metadata:
        rules["examples"] = [metadata["example"]]
    if metadata.get("private"):
        rules["private"] = True  # an annotation of ours: such a column never reaches a log in clear
    return rules


def _kind(name: str, column: pa.Column) -> str:
    dtype = str(column.dtype)
    for prefix, kind in (("int", "integer"), ("Int", "integer"), ("float", "number"), ("str", "string")):
        if dtype.startswith(prefix):
            return kind
    raise RatchetError(f"schema: column {name!r} has type {dtype}; a row of JSON can hold int, float and str columns")


def _plain(value: Any) -> Any:
    if hasattr(value, "pattern"):  # a compiled expression
        return value.pattern
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value.item() if hasattr(value, "item") else value
