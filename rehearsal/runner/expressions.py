"""GitHub's expressions, as far as they decide before a job starts: concurrency groups, names of runs, idle runs.

    evaluate("github.event.number || github.ref", {"github": {...}})
    interpolate("report-${{ github.ref }}", {"github": {...}})

Inside jobs act evaluates them. Semantics follow GitHub's: names and text compare without case, what is missing is null,
null and false are empty numbers, `&&` and `||` give one of their sides.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ratchet.errors import RatchetError

Contexts = Mapping[str, Any]
Functions = Mapping[str, Callable[..., Any]]

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?))
        |(?P<text>'(?:[^']|'')*')
        |(?P<name>[A-Za-z_][A-Za-z0-9_-]*)
        |(?P<operator>\|\||&&|==|!=|<=|>=|[<>!().,\[\]*]))""",
    re.VERBOSE,
)
_INSIDE = re.compile(r"\$\{\{((?:[^'}]|'(?:[^']|'')*'|\}(?!\}))*)\}\}")
_LITERALS = {"true": True, "false": False, "null": None}
_BINDING = {"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4}


def interpolate(text: str, contexts: Contexts) -> str:
    """Text with each `${{ … }}` replaced by its value."""
    return _INSIDE.sub(lambda found: as_text(evaluate(found[1], contexts)), text)


def value_of(given: Any, contexts: Contexts) -> Any:
    """What a key of a workflow means: one whole `${{ … }}` keeps its type, anything else is as it stands."""
    if not isinstance(given, str):
        return given
    whole = _INSIDE.fullmatch(given.strip())
    return evaluate(whole[1], contexts) if whole else interpolate(given, contexts)


def bare(condition: str) -> str:
    """A condition without the `${{ }}` that may stand around it."""
    whole = _INSIDE.fullmatch(condition.strip())
    return (whole[1] if whole else condition).strip()


def evaluate(expression: str, contexts: Contexts, functions: Functions = MappingProxyType({})) -> Any:
    """The value of an expression without its `${{ }}`.

    Args:
        expression: As it stands.
        contexts: What names mean.
        functions: Those that are known beside the ones that only look at their arguments.

    Raises:
        RatchetError: It cannot be read, or needs what is only known inside a job.
    """
    parser = _Parser(_tokens(expression), expression, contexts, {**_FUNCTIONS, **functions})
    value = parser.expression(0)
    if parser.peek() is not None:
        raise _unreadable(expression)
    return value


def as_text(value: Any) -> str:
    """How GitHub writes a value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping):
        return "Object"
    return "Array" if isinstance(value, list) else str(value)


def is_true(value: Any) -> bool:
    """What a condition makes of a value."""
    if _is_number(value):
        return bool(value) and not math.isnan(value)
    return value is not None and value is not False and value != ""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def _tokens(expression: str) -> list[_Token]:
    found, position = [], 0
    while expression[position:].strip():
        match = _TOKEN.match(expression, position)
        if match is None or match.lastgroup is None:
            raise _unreadable(expression)
        found.append(_Token(match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found


def _unreadable(expression: str) -> RatchetError:
    return RatchetError(f"cannot read the expression: {expression.strip()}")


class _Parser:
    """Reads and evaluates at once, by binding strength."""

    def __init__(self, tokens: Sequence[_Token], expression: str, contexts: Contexts, functions: Functions) -> None:
        self._tokens = list(tokens)
        self._expression = expression
        self._contexts = contexts
        self._functions = functions

    def peek(self) -> str | None:
        return self._tokens[0].text if self._tokens else None

    def _next(self) -> _Token:
        if not self._tokens:
            raise _unreadable(self._expression)
        return self._tokens.pop(0)

    def _expect(self, text: str) -> None:
        if self._next().text != text:
            raise _unreadable(self._expression)

    def expression(self, least: int) -> Any:
        left = self._unary()
        while (operator := self.peek()) in _BINDING and _BINDING[str(operator)] > least:
            self._next()
            left = _apply(str(operator), left, self.expression(_BINDING[str(operator)]))
        return left

    def _unary(self) -> Any:
        if self.peek() == "!":
            self._next()
            return not is_true(self._unary())
        return self._path(self._primary())

    def _primary(self) -> Any:
        token = self._next()
        if token.kind == "number":
            return float(int(token.text, 16)) if "x" in token.text else float(token.text)
        if token.kind == "text":
            return token.text[1:-1].replace("''", "'")
        if token.kind == "name":
            return self._named(token.text)
        if token.text == "(":
            value = self.expression(0)
            self._expect(")")
            return value
        raise _unreadable(self._expression)

    def _named(self, name: str) -> Any:
        if self.peek() == "(":
            self._next()
            return self._call(name)
        if name.lower() in _LITERALS:
            return _LITERALS[name.lower()]
        if name.lower() not in self._contexts:
            raise RatchetError(f"`{name}` is not known before a job starts: {self._expression.strip()}")
        return self._contexts[name.lower()]

    def _call(self, name: str) -> Any:
        arguments = []
        while self.peek() != ")":
            arguments.append(self.expression(0))
            if self.peek() == ",":
                self._next()
        self._expect(")")
        function = self._functions.get(name.lower())
        if function is None:
            raise RatchetError(f"`{name}()` is not known before a job starts: {self._expression.strip()}")
        return function(*arguments)

    def _path(self, value: Any) -> Any:
        while self.peek() in (".", "["):
            if self._next().text == ".":
                value = _member(value, self._next().text)
            else:
                value = _member(value, self.expression(0))
                self._expect("]")
        return value


def _member(value: Any, key: Any) -> Any:
    if isinstance(value, list) and _is_number(key):
        return value[int(key)] if 0 <= key < len(value) else None
    if not isinstance(value, Mapping):
        return None
    return next((content for name, content in value.items() if name.lower() == as_text(key).lower()), None)


def _apply(operator: str, left: Any, right: Any) -> Any:
    if operator == "||":
        return left if is_true(left) else right
    if operator == "&&":
        return right if is_true(left) else left
    if operator in ("==", "!="):
        return _equal(left, right) == (operator == "==")
    return _ordered(operator, left, right)


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    if isinstance(left, Mapping | list) or isinstance(right, Mapping | list):
        return left is right
    if type(left) is type(right):
        return bool(left == right)
    return _number(left) == _number(right)


def _ordered(operator: str, left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        left, right = left.lower(), right.lower()
    else:
        left, right = _number(left), _number(right)
    compared: dict[str, bool] = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}
    return compared[operator]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _contains(where: Any, what: Any) -> bool:
    if isinstance(where, list):
        return any(_equal(item, what) for item in where)
    return as_text(what).lower() in as_text(where).lower()


def _format(pattern: Any, *values: Any) -> str:
    braces = {"{{": "{", "}}": "}"}
    return re.sub(
        r"\{\{|\}\}|\{(\d+)\}", lambda found: braces.get(found[0]) or as_text(values[int(found[1])]), as_text(pattern)
    )


def _join(items: Any, separator: Any = ",") -> str:
    return as_text(separator).join(as_text(item) for item in (items if isinstance(items, list) else [items]))


_FUNCTIONS: Functions = {
    "contains": _contains,
    "startswith": lambda text, start: as_text(text).lower().startswith(as_text(start).lower()),
    "endswith": lambda text, end: as_text(text).lower().endswith(as_text(end).lower()),
    "format": _format,
    "join": _join,
    "tojson": lambda value: json.dumps(value, indent=2),
    "fromjson": lambda text: json.loads(as_text(text)),
}
