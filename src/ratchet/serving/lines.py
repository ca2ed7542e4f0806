"""A line of the prediction log, without what is private.

    {"id", "at", "model", "inputs": {…}, "score", "decision", "seconds"}

A row that is given as the JSON that it came as becomes part of its line as it is. Private columns are cut out of the
bytes, and only where that is sure to find them: without a backslash, a name is spelled in one way and a quote begins or
ends a text. Else the JSON is read.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

Inputs = Mapping[str, Any] | bytes
"""A row, or the JSON object that it came as: one that holds every name once, and no list or object."""
Entry = tuple[str, float, Inputs, float, bool | None, float]
Encode = Callable[[str, float, Inputs, float, bool | None, float], bytes]

_LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z
_BACKSLASH, _NEWLINE, _RETURN = b"\\\n\r"


def encoder(model: str, private: Sequence[str], salt: bytes) -> Encode:
    """What makes a line of a prediction.

    Args:
        model: Model digest.
        private: Columns that are left out, or replaced by their hash.
        salt: Of that hash; empty: they are left out.
    """
    public = _hashing(private, salt) if salt else _dropping(private)

    def encode(  # called as `PredictionLog.put` is
        identifier: str,
        at: float,
        inputs: Inputs,
        score: float,
        decision: bool | None,  # noqa: FBT001
        seconds: float,
    ) -> bytes:
        line = {
            "id": identifier,
            "at": datetime.fromtimestamp(at, UTC),
            "model": model,
            "inputs": public(inputs),
            "score": score,
            "decision": decision,
            "seconds": seconds,
        }
        return orjson.dumps(line, option=_LINE)

    return encode


def hashed(name: str, value: object, salt: bytes) -> str:
    """HMAC-SHA-256 (64 hex) of a column's value: equal values of one column stay equal, and no more can be seen."""
    return hmac.digest(salt, orjson.dumps([name, value]), "sha256").hex()


def _hashing(private: Sequence[str], salt: bytes) -> Callable[[Inputs], Any]:
    def public(inputs: Inputs) -> dict[str, Any]:
        row = _read(inputs)
        for name in private:
            value = row.pop(name, None)
            if value is not None:
                row[name] = hashed(name, value, salt)
        return row

    return public


def _dropping(private: Sequence[str]) -> Callable[[Inputs], Any]:
    names = [(quoted, quoted + b":") for quoted in map(orjson.dumps, private)]

    def public(inputs: Inputs) -> Any:
        if isinstance(inputs, bytes):
            plain = _without(names, inputs)
            if plain is not None:
                return orjson.Fragment(plain)
        row = _read(inputs)
        for name in private:
            row.pop(name, None)
        return row

    return public


def _without(names: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes | None:
    """The object without these names and their values; None where that takes more than a look at commas and quotes."""
    if _BACKSLASH in body or _NEWLINE in body or _RETURN in body:
        return None
    for name, key in names:
        before, found, rest = body.partition(key)
        value, comma, after = rest.partition(b",")
        if found and comma and value.count(b'"') in {0, 2}:
            body = before + after
        elif found or name in body:
            return None
    return body


def _read(inputs: Inputs) -> dict[str, Any]:
    """A copy, for the service may still need the row."""
    return dict(orjson.loads(inputs) if isinstance(inputs, bytes) else inputs)
