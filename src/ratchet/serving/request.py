"""What a request may hold: rows as the bundle's schema says, checked straight from the bytes of the body.

A row must be of JSON's own types (`"1.5"` and `true` are no numbers), finite, within its ranges and lists, and hold no
field twice and none that the schema does not know. As in JSON Schema, 1.0 is an integer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NoReturn, NotRequired

from pydantic import AfterValidator, ConfigDict, FailFast, Field, TypeAdapter, ValidationError, with_config
from pydantic_core import ErrorDetails, SchemaError
from typing_extensions import TypedDict

Row = dict[str, Any]

INT64 = (-(2**63), 2**63 - 1)  # integers are trained on as 64 bits; larger ones have no meaning to a model
SHOWN = 60  # characters of a value that an error repeats
DETAILS = 20  # most errors told at once

_TYPES: Mapping[str, Any] = {"integer": int, "number": float, "string": str}
_NOUNS = {"integer": "an integer", "number": "a finite number", "string": "text"}
_LIMITS = {
    "minimum": ("ge", "at least {}"),
    "exclusiveMinimum": ("gt", "more than {}"),
    "maximum": ("le", "at most {}"),
    "exclusiveMaximum": ("lt", "less than {}"),
    "minLength": ("min_length", "at least {} characters"),
    "maxLength": ("max_length", "at most {} characters"),
    "pattern": ("pattern", "matching {}"),
}


@dataclass(eq=False)
class Refused(Exception):  # noqa: N818  # it is an answer, not an accident
    """Why a request gets no prediction.

    Attributes:
        status: HTTP status, 4xx.
        error: One sentence.
        details: `field`, `rule` and `value` of each thing that is wrong.
        headers: Of the answer, beside the usual ones.
        closes: Whether the connection is of no more use.
    """

    status: int
    error: str
    details: Sequence[Mapping[str, Any]] = ()
    headers: Sequence[tuple[bytes, bytes]] = ()
    closes: bool = field(default=False, kw_only=True)


class Rows:
    """Reads rows out of request bodies."""

    def __init__(self, schema: Mapping[str, Any], max_rows: int) -> None:
        """Compile a bundle's schema.

        Args:
            schema: JSON Schema of one raw row.
            max_rows: Most rows of a batch.
        """
        self._max_rows = max_rows
        self._rules = {name: rule(values) for name, values in schema["properties"].items()}
        self._integers = {name for name, values in schema["properties"].items() if _kind(values) == "integer"}
        row, batch = (
            _adapters(schema, max_rows, "rust-regex") or _adapters(schema, max_rows, "python-re") or _no_regex()
        )
        self._row, self._batch = row.validator, batch.validator

    def one(self, body: bytes) -> Row:
        """The row of a body.

        Raises:
            Refused: It is no such row.
        """
        try:
            row: Row = self._row.validate_json(body)
        except ValidationError as error:
            row = self._again(self._row, body, error)
        if body.count(b":") != len(row):  # otherwise each colon belongs to another field
            _refuse_twice(body)
        return row

    def many(self, body: bytes) -> list[Row]:
        """The rows of the body of a batch.

        Raises:
            Refused: It is no such batch; one bad row rejects it.
        """
        try:
            batch = self._batch.validate_json(body)
        except ValidationError as error:
            batch = self._again(self._batch, body, error)
        rows: list[Row] = batch["rows"]
        if body.count(b":") != 1 + sum(map(len, rows)):
            _refuse_twice(body)
        return rows

    def _again(self, validator: Any, body: bytes, error: ValidationError) -> Any:
        """Checked once more with 1.0 read as the integer it is, when there is one."""
        errors = error.errors(include_url=False, include_context=False)
        if not any(map(_is_whole_float, errors)):
            self._refuse(errors)
        try:
            return validator.validate_python(json.loads(body, object_hook=self._with_integers))
        except ValidationError as another:
            self._refuse(another.errors(include_url=False, include_context=False))
        except ValueError:  # Python reads no integers of more than 4,300 digits
            self._refuse(errors)

    def _with_integers(self, row: Row) -> Row:
        for name in self._integers & row.keys():
            if isinstance(row[name], float) and row[name].is_integer():
                row[name] = int(row[name])
        return row

    def _refuse(self, errors: Sequence[ErrorDetails]) -> NoReturn:
        first = errors[0]
        if first["type"] == "json_invalid":
            raise Refused(400, f"the body is not JSON: {first['msg'].removeprefix('Invalid JSON: ')}")
        details = [self._detail(error) for error in errors[:DETAILS]]
        details.sort(key=lambda detail: "value" not in detail)  # what is wrong before what is not there
        raise Refused(422, f"{details[0]['field'] or 'the body'}: {details[0]['rule']}", details)

    def _detail(self, error: ErrorDetails) -> dict[str, Any]:
        place = error["loc"]
        where = _path(place)
        if error["type"] == "missing":
            return {"field": where, "rule": f"required: {self._rule(place)}"}
        if error["type"] == "extra_forbidden":
            return {"field": where, "rule": "no such field", "value": shown(error["input"])}
        return {"field": where, "rule": self._rule(place), "value": shown(error["input"])}

    def _rule(self, place: tuple[int | str, ...]) -> str:
        if place == ("rows",):
            return f"a list of 1 to {self._max_rows} rows"
        return self._rules.get(str(place[-1]), "an object") if place else "an object"


def rule(values: Mapping[str, Any]) -> str:
    """What a field must be, in words: "an integer, at least 1, at most 12"."""
    if "enum" in values:
        text = "one of " + ", ".join(str(value) for value in values["enum"] if value is not None)
    else:
        limits = [words.format(values[key]) for key, (_, words) in _LIMITS.items() if key in values]
        text = ", ".join([_noun(values), *limits])
    return f"{text}, or null" if "null" in values["type"] else text


def shown(value: Any) -> str:
    """A value as an error repeats it: short, whatever was sent."""
    if isinstance(value, str | bytes):
        value = value[: SHOWN + 1]
    elif isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    elif isinstance(value, int) and value.bit_length() > 256:
        return "a very large integer"
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _noun(values: Mapping[str, Any]) -> str:
    kind = _kind(values)
    is_open = kind == "integer" and not {"minimum", "maximum"} <= values.keys()
    return "an integer of 64 bits" if is_open else _NOUNS[kind]


def _kind(values: Mapping[str, Any]) -> str:
    kind = values["type"]
    return str(kind if isinstance(kind, str) else next(item for item in kind if item != "null"))


def _adapters(
    schema: Mapping[str, Any], max_rows: int, engine: Literal["rust-regex", "python-re"]
) -> tuple[TypeAdapter[Any], TypeAdapter[Any]] | None:
    """Of a row and of a batch; None when this engine does not know a pattern. Rust's takes linear time on any text."""
    config = ConfigDict(
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        regex_engine=engine,
        cache_strings="keys",
        hide_input_in_errors=True,
    )
    required = set(schema["required"])
    fields = {
        name: _type(values) if name in required else NotRequired[_type(values)]
        for name, values in schema["properties"].items()
    }
    make: Any = TypedDict  # the fields are known when a bundle is, not to a type checker
    row = with_config(config)(make("Row", fields))
    rows = Annotated[list[row], Field(min_length=1, max_length=max_rows), FailFast()]  # type: ignore[valid-type]
    batch = with_config(config)(make("Batch", {"rows": rows}))
    try:
        return TypeAdapter(row), TypeAdapter(batch)
    except SchemaError:
        return None


def _no_regex() -> NoReturn:
    raise ValueError("the schema holds a pattern that is no regular expression")


def _type(values: Mapping[str, Any]) -> Any:
    kind = _kind(values)
    allowed = [value for value in values.get("enum", ()) if value is not None]
    if allowed and kind == "string":
        checked: Any = Literal[tuple(allowed)]
    else:
        limits = {name: values[key] for key, (name, _) in _LIMITS.items() if key in values}
        if kind == "integer":
            limits = {"ge": INT64[0], "le": INT64[1]} | limits
        checked = Annotated[_TYPES[kind], Field(**limits)]
        if allowed:
            checked = Annotated[checked, AfterValidator(_one_of(frozenset(allowed)))]
    return checked | None if "null" in values["type"] else checked


def _one_of(allowed: frozenset[Any]) -> Any:
    def check(value: Any) -> Any:
        if value not in allowed:
            raise ValueError
        return value

    return check


def _is_whole_float(error: ErrorDetails) -> bool:
    value = error["input"]
    return error["type"] in {"int_type", "int_from_float"} and isinstance(value, float) and value.is_integer()


def _path(place: Sequence[int | str]) -> str:
    """`rows[3].origin`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _refuse_twice(body: bytes) -> None:
    """Look at every name: which of two values counts is up to the reader, so neither does."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for name, value in pairs:
            if name in seen:
                raise Refused(
                    422, f"{name}: given twice", [{"field": name, "rule": "given once", "value": shown(value)}]
                )
            seen[name] = value
        return seen

    try:
        json.loads(body, object_pairs_hook=once)
    except ValueError as error:  # it may stand where it does not count: {"day": <5,000 digits>, "day": 1}
        raise Refused(400, f"the body is not JSON that everybody reads alike: {error}") from error
