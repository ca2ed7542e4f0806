"""Which calls of GitHub's REST API the loop makes: read from its client's own code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from contract.description import OPERATIONS, SEVERAL_SEGMENTS

from rehearsal import project

CLIENT = project.ROOT / "src" / "ratchet" / "forge"
_VERBS = {"get": "GET", "pages": "GET", "download": "GET", "create": "POST", "upload": "POST"}
_OWN = {"_get": "GET", "_pages": "GET", "_post": "POST"}
_ROOT = "/repos/ada/flights"


def of_the_loop() -> dict[str, list[str]]:
    """Operation to where it is called: `client.py:95`.

    Raises:
        AssertionError: A call is of no operation that the description has.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(CLIENT.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef):
                for line, verb, where in _calls(scope):
                    found.setdefault(_operation(verb, where), []).append(f"{path.name}:{line}")
    return {name: sorted(set(places)) for name, places in sorted(found.items())}


def _calls(scope: ast.FunctionDef) -> Iterator[tuple[int, str, str]]:
    """Line, verb and path of each call in a function; `*` stands for what is known only when it runs."""
    names: dict[str, ast.expr] = {
        target.id: node.value
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(scope):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        name, holder = node.func.attr, ast.unparse(node.func.value)
        arguments = node.args
        if holder == "self" and name in _OWN:
            verb, where = _OWN[name], _ROOT + _text(arguments[0], names)
        elif holder == "self._api" and name == "send":
            assert isinstance(arguments[0], ast.Constant), ast.unparse(node)
            verb, where = str(arguments[0].value), _text(arguments[1], names)
        elif holder == "self._api" and name in _VERBS:
            verb, where = _VERBS[name], _text(arguments[0], names)
        else:
            continue
        if where not in {f"{_ROOT}*", "*", "**"}:  # the helpers themselves
            yield node.lineno, verb, where


def _text(node: ast.expr, names: dict[str, ast.expr]) -> str:
    """An expression of a path as text."""
    found = "*"
    match node:
        case ast.Constant(value=str(text)):
            found = text
        case ast.JoinedStr(values=parts):
            found = "".join(_text(part, {}) for part in parts)  # a value within a path is never a path
        case ast.FormattedValue(value=inner):
            found = _text(inner, {})
        case ast.Attribute(attr="_root"):
            found = _ROOT
        case ast.Attribute(attr="upload_url"):
            found = f"{_ROOT}/releases/*/assets"
        case ast.BinOp(left=left, right=right):
            found = _text(left, {}) + _text(right, {})
        case ast.Name(id=name) if name in names:
            found = _text(names[name], {})
    return found


def _operation(verb: str, where: str) -> str:
    """The operation of a request."""
    found = [name for name in OPERATIONS if name.startswith(f"{verb} ") and _fits(name.partition(" ")[2], where)]
    assert found, f"{verb} {where}: is no operation of the description"
    return min(found, key=lambda name: name.count("{"))


def _fits(template: str, where: str) -> bool:
    parts = re.split(r"\{(\w+)\}", template)
    texts = [
        re.escape(part) if index % 2 == 0 else ".+" if part in SEVERAL_SEGMENTS else "[^/]+"
        for index, part in enumerate(parts)
    ]
    return bool(re.fullmatch("".join(texts), where))
