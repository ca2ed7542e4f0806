"""A line of the prediction log: the answer, when it was asked and how long it took, the row without what is private.

    {"id", "score", "decision", "model", "at", "seconds", "inputs": {…}}

It is put together of JSON that is there already: the answer as it is sent, and the row as it came. Private columns are
cut out of the bytes, and only where that is sure to find them: without a backslash, a name is spelled in one way and a
quote begins or ends a text; without a comma or a colon, a name is not what stands between two texts. Else the JSON is
read.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

Inputs = Mapping[str, Any] | bytes
"""A row, or the JSON object that it came as: one that holds every name once, and no list or object."""
Entry = tuple[bytes, float, Inputs, float]
Encode = Callable[[bytes, float, Inputs, float], bytes]

_THREE_DIGITS = [b"%03d" % number for number in range(1000)]  # to format one costs as much as to join a whole line
_BACKSLASH, _NEWLINE, _RETURN = b"\\\n\r"


def encoder(private: Sequence[str], salt: bytes) -> Encode:
    """What makes a line of a prediction; it is called as `PredictionLog.put` is.

    Args:
        private: Columns that are left out, or replaced by their hash.
        salt: Of that hash; empty: they are left out.
    """
    public = _hashing(private, salt) if salt else _dropping(private)

    def encode(answer: bytes, at: float, inputs: Inputs, seconds: float) -> bytes:
        second = int(at)
        microsecond = int((at - second) * 1e6)
        parts = (
            answer[:-1],
            _at(second),
            _THREE_DIGITS[microsecond // 1000],
            _THREE_DIGITS[microsecond % 1000],
            b'Z","seconds":',
            orjson.dumps(seconds),
            b',"inputs":',
            public(inputs),
            b"}\n",
        )
        return b"".join(parts)

    return encode


def hashed(name: str, value: object, salt: bytes) -> str:
    """HMAC-SHA-256 (64 hex) of a column's value: equal values of one column stay equal, and no more can be seen."""
    return hmac.digest(salt, orjson.dumps([name, value]), "sha256").hex()


@lru_cache(maxsize=4)
def _at(second: int) -> bytes:
    """The part of a line that many share: the second, since 1970, in UTC."""
    return datetime.fromtimestamp(second, UTC).strftime(',"at":"%Y-%m-%dT%H:%M:%S.').encode()


def _hashing(private: Sequence[str], salt: bytes) -> Callable[[Inputs], bytes]:
    def public(inputs: Inputs) -> bytes:
        row = _read(inputs)
        for name in private:
            value = row.pop(name, None)
            if value is not None:
                row[name] = hashed(name, value, salt)
        return orjson.dumps(row)

    return public


def _dropping(private: Sequence[str]) -> Callable[[Inputs], bytes]:
    names = [(quoted, quoted + b":") for quoted in map(orjson.dumps, private)]
    can_cut = not any(mark in name for name in private for mark in ",:")

    def public(inputs: Inputs) -> bytes:
        plain = _without(names, inputs) if can_cut and isinstance(inputs, bytes) else None
        if plain is not None:
            return plain
        row = _read(inputs)
        for name in private:
            row.pop(name, None)
        return orjson.dumps(row)

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
